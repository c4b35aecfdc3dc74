//! The `ssl_*` families. Who scrapes pays for their samples: with ten thousand certificates they are megabytes, and would
//! be made anew at every change of any Ingress.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex};

use prometheus::Result;
use prometheus::core::{Collector, Desc};
use prometheus::proto::{MetricFamily, MetricType};

use super::collect::family;
use super::controller::{Samples, gauges, pairs};
use super::names;
use super::requests::lock;

/// One host's certificate, for the two `ssl_*` families.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CertificateLabels {
    /// Of the Secret.
    pub namespace: String,
    /// `_` for the default certificate.
    pub host: String,
    pub secret_name: String,
    pub issuer_organization: String,
    pub issuer_common_name: String,
    /// Of the issuer's name, which is normally empty; not the certificate's number.
    pub issuer_serial_number: String,
    /// The certificate's number, in decimal.
    pub serial_number: String,
    /// In Go's words: `RSA`, `ECDSA`, `Ed25519`.
    pub public_key_algorithm: String,
    /// Seconds since 1970.
    pub not_after: i64,
}

/// Tells the certificates in use whenever somebody asks.
pub type Certificates = Arc<dyn Fn() -> Vec<CertificateLabels> + Send + Sync>;

/// Both families as one collector.
#[derive(Clone)]
pub(super) struct CertificateCollector {
    class: String,
    descs: [Desc; 2],
    /// With whether expiry is reported.
    source: Arc<Mutex<Option<(Certificates, bool)>>>,
}

impl fmt::Debug for CertificateCollector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CertificateCollector").field("class", &self.class).finish_non_exhaustive()
    }
}

impl CertificateCollector {
    pub fn new(class: &str) -> Result<Self> {
        let desc = |of: names::Family| Desc::new(of.name.into(), of.help.into(), Vec::new(), HashMap::new());
        let descs = [desc(names::SSL_CERTIFICATE_INFO)?, desc(names::SSL_EXPIRE_TIME)?];
        Ok(Self { class: class.to_owned(), descs, source: Arc::default() })
    }

    pub fn set(&self, certificates: Certificates, expiry: bool) {
        *lock(&self.source) = Some((certificates, expiry));
    }

    /// Info and expiry.
    fn samples(&self) -> (Samples, Samples) {
        let (mut info, mut expire) = (BTreeMap::new(), BTreeMap::new());
        let Some((certificates, expiry)) = lock(&self.source).clone() else { return (info, expire) };
        for certificate in certificates() {
            let identifier = format!("{}-{}", certificate.issuer_serial_number, certificate.serial_number);
            let base = [
                ("class", self.class.as_str()),
                ("host", &certificate.host),
                ("identifier", &identifier),
                ("namespace", &certificate.namespace),
                ("secret_name", &certificate.secret_name),
            ];
            let more = [
                ("issuer_common_name", certificate.issuer_common_name.as_str()),
                ("issuer_organization", &certificate.issuer_organization),
                ("public_key_algorithm", &certificate.public_key_algorithm),
                ("serial_number", &certificate.serial_number),
            ];
            info.insert(pairs(base.into_iter().chain(more)), 1.0);
            if expiry {
                expire.insert(pairs(base), certificate.not_after as f64);
            }
        }
        (info, expire)
    }
}

impl Collector for CertificateCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.descs.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let (info, expire) = self.samples();
        let of = |of: names::Family, samples| family(of.name, of.help, MetricType::GAUGE, gauges(samples));
        vec![of(names::SSL_CERTIFICATE_INFO, &info), of(names::SSL_EXPIRE_TIME, &expire)]
    }
}
