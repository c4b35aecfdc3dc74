//! `auth-tls-*` to what a host asks of its clients: the oldest Ingress of the host that has them decides (contract §2.2, §12).
//!
//! A Secret that cannot be used forbids the whole host, whoever of its Ingresses names it.

use std::collections::HashMap;
use std::sync::Arc;

use super::servers::Server;
use super::{Input, Owned};
use crate::base::diagnostic::{Reason, Severity};
use crate::compile::Memo;
use crate::compile::annotations::values_tls::AuthoritySecret;
use crate::compile::report::Report;
use crate::policy::client_certificate::{ClientAuth, Verify};

const KEY: &str = "auth-tls-secret";

/// What holds for all requests of a host.
#[derive(Clone, Debug, Default)]
pub struct HostAuth {
    pub auth: Option<Arc<ClientAuth>>,
    /// Why every request is answered with 403.
    pub forbidden: Option<Arc<str>>,
}

/// Resolves hosts; each Ingress is read once.
#[derive(Debug)]
pub struct ClientCertificates<'a> {
    input: Input<'a>,
    owned: &'a [Owned],
    memo: &'a mut Memo,
    known: HashMap<usize, Result<Arc<ClientAuth>, Arc<str>>>,
}

impl<'a> ClientCertificates<'a> {
    pub fn new(input: Input<'a>, owned: &'a [Owned], memo: &'a mut Memo) -> Self {
        Self { input, owned, memo, known: HashMap::new() }
    }

    pub fn of_host(&mut self, server: &Server<'_>, report: &mut Report) -> HostAuth {
        let mut host = HostAuth::default();
        // A canary asks for its host, too, as in ingress-nginx: of its annotations these are no location's.
        let mut asking: Vec<usize> = server.owners.iter().chain(&server.canaries).copied().collect();
        asking.sort_unstable();
        for index in &asking {
            let Some(owner) = self.owned.get(*index) else { continue };
            let Some(secret) = &owner.annotations().auth_tls_secret else { continue };
            if !self.known.contains_key(index) {
                let read = self.read(owner, secret).map(Arc::new);
                self.known.insert(*index, read.map_err(|(reason, text)| tell(owner, reason, &text, report)));
            }
            match self.known.get(index) {
                Some(Ok(auth)) => drop(host.auth.get_or_insert_with(|| Arc::clone(auth))),
                Some(Err(reason)) => drop(host.forbidden.get_or_insert_with(|| Arc::clone(reason))),
                None => {}
            }
        }
        host
    }

    fn read(&mut self, owner: &Owned, secret: &AuthoritySecret) -> Result<ClientAuth, (Reason, String)> {
        let wrong = |text| (Reason::AnnotationParsingFailed, text);
        let a = owner.annotations();
        let key = secret.key().map_err(wrong)?;
        if key.namespace != owner.key.namespace && !self.input.settings.main.cross_namespace {
            return Err(wrong(format!("Secret {key} is in another namespace")));
        }
        let found = self.input.snapshot.secrets.get(&key);
        let secret = found.ok_or_else(|| (Reason::MissingReference, format!("Secret {key} does not exist")))?;
        let authorities = self.memo.authorities(&key, secret);
        let authorities = authorities.map_err(|why| (Reason::BrokenCertificate, format!("Secret {key}: {why}")))?;
        let subject = a.auth_tls_match_cn.as_ref().map(|m| m.pattern()).transpose();
        Ok(ClientAuth {
            verify: a.auth_tls_verify_client.unwrap_or(Verify::Required),
            authorities,
            depth: a.auth_tls_verify_depth.unwrap_or(1).max(1),
            subject: subject.map_err(|why| wrong(format!("auth-tls-match-cn is no regex that can be used: {why}")))?,
            error_page: a.auth_tls_error_page.clone(),
            pass: a.auth_tls_pass_certificate_to_upstream.unwrap_or(false),
        })
    }
}

fn tell(owner: &Owned, reason: Reason, text: &str, report: &mut Report) -> Arc<str> {
    let message = format!("{text}; every path of its hosts answers 403");
    report.ingress(Severity::Error, reason, &owner.ingress, Some(KEY.to_owned()), message);
    format!("{}: {KEY}: {text}", owner.key).into()
}
