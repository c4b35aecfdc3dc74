//! What compile remembers of unchanged objects. Dropping it changes nothing but the time the next compile takes.

use std::collections::HashMap;
use std::sync::Arc;

use super::annotations::{AnnotationProblem, Annotations, ParseOptions};
use super::certificate;
use crate::snapshot::{Ingress, ObjectKey, Secret, Snapshot};
use crate::table::Certificate;

/// The annotations of one Ingress, read.
#[derive(Debug)]
pub struct Parsed {
    pub annotations: Annotations,
    pub problems: Vec<AnnotationProblem>,
}

type CertificateResult = Result<Arc<Certificate>, String>;

#[derive(Debug, Default)]
pub struct Memo {
    annotations: HashMap<ObjectKey, (Arc<Ingress>, Arc<Parsed>)>,
    certificates: HashMap<ObjectKey, (Arc<Secret>, CertificateResult)>,
}

impl Memo {
    pub fn annotations(&mut self, key: &ObjectKey, ingress: &Arc<Ingress>, options: &ParseOptions) -> Arc<Parsed> {
        if let Some((known, parsed)) = self.annotations.get(key)
            && Arc::ptr_eq(known, ingress)
        {
            return Arc::clone(parsed);
        }
        let (annotations, problems) = Annotations::parse(&ingress.metadata.annotations, options);
        let parsed = Arc::new(Parsed { annotations, problems });
        self.annotations.insert(key.clone(), (Arc::clone(ingress), Arc::clone(&parsed)));
        parsed
    }

    pub fn certificate(&mut self, key: &ObjectKey, secret: &Arc<Secret>) -> CertificateResult {
        if let Some((known, result)) = self.certificates.get(key)
            && Arc::ptr_eq(known, secret)
        {
            return result.clone();
        }
        let result = certificate::from_secret(secret).map(Arc::new);
        self.certificates.insert(key.clone(), (Arc::clone(secret), result.clone()));
        result
    }

    pub fn forget_absent(&mut self, snapshot: &Snapshot) {
        self.annotations.retain(|key, _| snapshot.ingresses.contains_key(key));
        self.certificates.retain(|key, _| snapshot.secrets.contains_key(key));
    }
}
