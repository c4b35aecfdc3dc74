//! The admission server's certificate: from files, or made here, kept in a Secret for all replicas and announced to the
//! API server in the caBundle of the ValidatingWebhookConfiguration.
//!
//! A certificate that is made here has an authority of its own, whose key is thrown away. While one takes the place of
//! another, the bundle holds both authorities, so that it does not matter who learns of it first.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose};
use rustls::crypto::aws_lc_rs;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::snapshot::ObjectKey;
use crate::source::cluster::{ANSWER, causes};

/// How long a certificate is valid, and how long before its end another takes its place.
const LIFE: Duration = Duration::from_secs(90 * 86_400);
const RENEWAL: Duration = Duration::from_secs(30 * 86_400);
/// How often files and the Secret are looked at.
const LOOK: Duration = Duration::from_secs(10);

/// Where the certificate comes from.
#[derive(Clone, Debug)]
pub enum Origin {
    /// `--validating-webhook-certificate`, `--validating-webhook-key`.
    Files {
        certificate: PathBuf,
        key: PathBuf,
    },
    Own(Own),
}

/// A certificate that is made here.
#[derive(Clone, Debug)]
pub struct Own {
    /// The DNS names that the API server calls us by.
    pub names: Vec<String>,
    /// `--validating-webhook-secret`; `None` keeps it in memory.
    pub secret: Option<ObjectKey>,
    /// `--validating-webhook-configuration`.
    pub configuration: Option<String>,
}

/// PEM texts: the chain, its key, the authorities it is trusted by.
#[derive(Clone, Debug, PartialEq)]
struct Material {
    chain: Vec<u8>,
    key: Vec<u8>,
    authorities: Vec<u8>,
}

/// The certificate in use; `None` until there is one.
pub type Current = watch::Sender<Option<Arc<CertifiedKey>>>;

/// Keeps the certificate for as long as the process runs. What fails is tried again at the next look.
pub async fn keep(origin: Origin, client: Client, current: Arc<Current>, leads: watch::Receiver<bool>) {
    let mut shown: Option<Material> = None;
    let mut complained = String::new();
    loop {
        let material = match &origin {
            Origin::Files { certificate, key } => from_files(certificate, key),
            Origin::Own(own) => match timeout(ANSWER, own.look(&client, &leads, shown.as_ref())).await {
                Ok(result) => result,
                Err(_) => Err("no answer from the API server".to_owned()),
            },
        };
        let installed = material.and_then(|material| {
            if shown.as_ref() == Some(&material) {
                return Ok(());
            }
            current.send_replace(Some(Arc::new(material.certified()?)));
            tracing::info!("the admission server has a new certificate");
            shown = Some(material);
            Ok(())
        });
        match installed {
            Ok(()) => complained.clear(),
            Err(error) if error != complained => {
                tracing::error!(error, "the admission server's certificate; the one before it stays");
                complained = error;
            }
            Err(_) => {}
        }
        // Until there is one, soon again: the API server may be calling already.
        sleep(if shown.is_some() { LOOK } else { Duration::from_secs(1) }).await;
    }
}

fn from_files(certificate: &PathBuf, key: &PathBuf) -> Result<Material, String> {
    let read = |path: &PathBuf| std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()));
    Ok(Material { chain: read(certificate)?, key: read(key)?, authorities: Vec::new() })
}

impl Material {
    fn certified(&self) -> Result<CertifiedKey, String> {
        let text = |error: rustls_pki_types::pem::Error| error.to_string();
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&self.chain).collect();
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(text)?;
        CertifiedKey::from_der(chain.map_err(text)?, key, &aws_lc_rs::default_provider())
            .map_err(|error| error.to_string())
    }

    /// A new certificate. `before`'s newest authority stays trusted beside the new one's.
    fn make(names: &[String], before: Option<&Material>, now: SystemTime) -> Result<Self, String> {
        let text = |error: rcgen::Error| error.to_string();
        let valid = |params: &mut CertificateParams| {
            // Clocks of other machines may be behind.
            params.not_before = (now - Duration::from_secs(3600)).into();
            params.not_after = (now + LIFE).into();
        };
        let mut authority = CertificateParams::new(Vec::new()).map_err(text)?;
        authority.distinguished_name.push(DnType::CommonName, "portcullis admission");
        authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        valid(&mut authority);
        let issuer = CertifiedIssuer::self_signed(authority, KeyPair::generate().map_err(text)?).map_err(text)?;
        let mut leaf = CertificateParams::new(names.to_vec()).map_err(text)?;
        leaf.distinguished_name.push(DnType::CommonName, "portcullis admission");
        valid(&mut leaf);
        let key = KeyPair::generate().map_err(text)?;
        let certificate = leaf.signed_by(&key, &issuer).map_err(text)?;
        let mut authorities = issuer.pem();
        if let Some(newest) = before.and_then(Material::newest_authority) {
            authorities.push_str(&newest);
        }
        Ok(Self {
            chain: certificate.pem().into_bytes(),
            key: key.serialize_pem().into_bytes(),
            authorities: authorities.into_bytes(),
        })
    }

    fn newest_authority(&self) -> Option<String> {
        const END: &str = "-----END CERTIFICATE-----";
        let text = std::str::from_utf8(&self.authorities).ok()?;
        let (first, _) = text.split_once(END)?;
        Some(format!("{first}{END}\n"))
    }

    /// Whether another is to take its place: it ends soon, or it lacks a name.
    fn is_due(&self, names: &[String], now: SystemTime) -> bool {
        let leaf = CertificateDer::from_pem_slice(&self.chain).ok();
        let parsed = leaf.as_ref().and_then(|leaf| x509_parser::parse_x509_certificate(leaf).ok());
        let Some((_, leaf)) = parsed else { return true };
        let end = u64::try_from(leaf.validity().not_after.timestamp()).unwrap_or(0);
        let left = (SystemTime::UNIX_EPOCH + Duration::from_secs(end)).duration_since(now).unwrap_or_default();
        let has = |name: &String| {
            let alternatives = leaf.subject_alternative_name().ok().flatten();
            alternatives.is_some_and(|list| {
                list.value
                    .general_names
                    .iter()
                    .any(|general| matches!(general, x509_parser::extensions::GeneralName::DNSName(dns) if dns == name))
            })
        };
        left < RENEWAL || !names.iter().all(has)
    }

    fn of(secret: &Secret) -> Option<Self> {
        let data = secret.data.as_ref()?;
        let get = |key: &str| data.get(key).map(|bytes| bytes.0.clone()).filter(|bytes| !bytes.is_empty());
        Some(Self { chain: get("tls.crt")?, key: get("tls.key")?, authorities: get("ca.crt")? })
    }
}

impl Own {
    /// The certificate that all replicas show now. The leader makes it, renews it and announces it.
    async fn look(
        &self,
        client: &Client,
        leads: &watch::Receiver<bool>,
        shown: Option<&Material>,
    ) -> Result<Material, String> {
        let Some(key) = &self.secret else {
            let now = SystemTime::now();
            return match shown.filter(|shown| !shown.is_due(&self.names, now)) {
                Some(shown) => Ok(shown.clone()),
                None => Material::make(&self.names, shown, now),
            };
        };
        let secrets: Api<Secret> = Api::namespaced(client.clone(), &key.namespace);
        let text = |error: kube::Error| format!("Secret {key}: {}", causes(error));
        let secret = secrets.get_opt(&key.name).await.map_err(text)?;
        let known = secret.as_ref().and_then(Material::of);
        let now = SystemTime::now();
        let leads = *leads.borrow();
        match known {
            Some(known) if !leads => Ok(known),
            None if !leads => Err(format!("Secret {key} is not there yet: the leader makes it")),
            Some(known) if !known.is_due(&self.names, now) => {
                // What is good is shown, whether or not it can be announced.
                self.announce(client, &known).await.unwrap_or_else(|error| tracing::warn!(error, "the caBundle"));
                Ok(known)
            }
            known => {
                let new = Material::make(&self.names, known.as_ref(), now)?;
                // Trusted before it is shown; where that fails, the one before it goes on.
                self.announce(client, &new).await?;
                self.store(&secrets, key, secret, &new).await.map_err(text)?;
                Ok(new)
            }
        }
    }

    /// By compare-and-swap: of two that think they lead one is told of a conflict.
    async fn store(
        &self,
        secrets: &Api<Secret>,
        key: &ObjectKey,
        before: Option<Secret>,
        material: &Material,
    ) -> kube::Result<()> {
        let is_new = before.is_none();
        let mut secret = before.unwrap_or_default();
        secret.metadata.name = Some(key.name.to_string());
        let entries = [("tls.crt", &material.chain), ("tls.key", &material.key), ("ca.crt", &material.authorities)];
        let data = secret.data.get_or_insert_default();
        data.extend(entries.map(|(name, bytes)| (name.to_owned(), ByteString(bytes.clone()))));
        match is_new {
            true => {
                secret.type_ = Some("kubernetes.io/tls".to_owned());
                secrets.create(&PostParams::default(), &secret).await.map(drop)
            }
            false => secrets.replace(&key.name, &PostParams::default(), &secret).await.map(drop),
        }
    }

    /// Puts the authorities into every webhook of the configuration that has others.
    async fn announce(&self, client: &Client, material: &Material) -> Result<(), String> {
        let Some(name) = &self.configuration else { return Ok(()) };
        let text = |error: kube::Error| format!("ValidatingWebhookConfiguration {name}: {}", causes(error));
        let api: Api<ValidatingWebhookConfiguration> = Api::all(client.clone());
        let configuration = api.get(name).await.map_err(text)?;
        let webhooks = configuration.webhooks.unwrap_or_default();
        let wanted = ByteString(material.authorities.clone());
        let stale =
            webhooks.iter().enumerate().filter(|(_, hook)| hook.client_config.ca_bundle.as_ref() != Some(&wanted));
        let mut patch: Vec<serde_json::Value> = stale
            .map(|(n, _)| serde_json::json!({ "op": "add", "path": format!("/webhooks/{n}/clientConfig/caBundle"), "value": wanted }))
            .collect();
        if patch.is_empty() {
            return Ok(());
        }
        // Nobody else's change in between is lost.
        let version = configuration.metadata.resource_version;
        patch.insert(0, serde_json::json!({ "op": "test", "path": "/metadata/resourceVersion", "value": version }));
        let patch = serde_json::from_value(patch.into()).map_err(|error| error.to_string())?;
        api.patch(name, &PatchParams::default(), &Patch::<()>::Json(patch)).await.map_err(text)?;
        tracing::info!(configuration = name, "the caBundle names the admission server's certificate");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_renewed_in_time_and_keeps_the_authority_before_it() {
        let names = vec!["admission.ns.svc".to_owned()];
        let now = SystemTime::now();
        let first = Material::make(&names, None, now).unwrap();
        assert!(first.certified().is_ok());
        let other = vec!["other.ns.svc".to_owned()];
        for (names, at, due) in [
            (&names, now, false),
            (&names, now + LIFE - RENEWAL - Duration::from_secs(60), false),
            (&names, now + LIFE - RENEWAL + Duration::from_secs(60), true),
            (&other, now, true),
        ] {
            assert_eq!(first.is_due(names, at), due, "{names:?} {at:?}");
        }
        let second = Material::make(&names, Some(&first), now).unwrap();
        let third = Material::make(&names, Some(&second), now).unwrap();
        let count = |material: &Material| CertificateDer::pem_slice_iter(&material.authorities).count();
        assert_eq!((count(&first), count(&second), count(&third)), (1, 2, 2));
        assert!(third.authorities.ends_with(&second.newest_authority().unwrap().into_bytes()));
    }
}
