//! What compile remembers of unchanged objects. Dropping it changes nothing but the time the next compile takes.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::annotations::{AnnotationProblem, Annotations, ParseOptions};
use super::certificate;
use super::login::{self, UsersOf, UsersResult};
use crate::policy::client_certificate::verify::Authorities;
use crate::snapshot::{Ingress, ObjectKey, Secret};
use crate::table::Certificate;

/// The annotations of one Ingress, read.
#[derive(Debug)]
pub struct Parsed {
    pub annotations: Annotations,
    pub problems: Vec<AnnotationProblem>,
}

/// What was read of one version of an object, and whether it was asked for since the last [`Memo::forget_unused`].
#[derive(Debug)]
struct Known<O, V> {
    object: Arc<O>,
    value: V,
    used: bool,
}

type Map<O, V> = HashMap<ObjectKey, Known<O, V>>;

type CertificateResult = Result<Arc<Certificate>, String>;

type AuthoritiesResult = Result<Arc<Authorities>, String>;

#[derive(Debug, Default)]
pub struct Memo {
    annotations: Map<Ingress, Arc<Parsed>>,
    certificates: Map<Secret, CertificateResult>,
    authorities: Map<Secret, AuthoritiesResult>,
    users: BTreeMap<UsersOf, Map<Secret, UsersResult>>,
}

impl Memo {
    pub fn annotations(&mut self, key: &ObjectKey, ingress: &Arc<Ingress>, options: &ParseOptions) -> Arc<Parsed> {
        recall(&mut self.annotations, key, ingress, || {
            let (annotations, problems) = Annotations::parse(&ingress.metadata.annotations, options);
            Arc::new(Parsed { annotations, problems })
        })
    }

    pub fn certificate(&mut self, key: &ObjectKey, secret: &Arc<Secret>) -> CertificateResult {
        recall(&mut self.certificates, key, secret, || certificate::from_secret(secret).map(Arc::new))
    }

    pub fn authorities(&mut self, key: &ObjectKey, secret: &Arc<Secret>) -> AuthoritiesResult {
        recall(&mut self.authorities, key, secret, || certificate::authorities(secret).map(Arc::new))
    }

    /// The users of a Secret, read as `of` has it.
    pub fn users(&mut self, key: &ObjectKey, secret: &Arc<Secret>, of: UsersOf) -> UsersResult {
        recall(self.users.entry(of).or_default(), key, secret, || login::users(secret, of))
    }

    /// Forgets what was not asked for since the last call: objects that are gone, or not used any more.
    pub fn forget_unused(&mut self) {
        self.annotations.retain(|_, known| std::mem::take(&mut known.used));
        self.certificates.retain(|_, known| std::mem::take(&mut known.used));
        self.authorities.retain(|_, known| std::mem::take(&mut known.used));
        for users in self.users.values_mut() {
            users.retain(|_, known| std::mem::take(&mut known.used));
        }
    }
}

fn recall<O, V: Clone>(map: &mut Map<O, V>, key: &ObjectKey, object: &Arc<O>, read: impl FnOnce() -> V) -> V {
    match map.get_mut(key) {
        Some(known) if Arc::ptr_eq(&known.object, object) => {
            known.used = true;
            known.value.clone()
        }
        Some(known) => {
            *known = Known { object: Arc::clone(object), value: read(), used: true };
            known.value.clone()
        }
        None => {
            let value = read();
            map.insert(key.clone(), Known { object: Arc::clone(object), value: value.clone(), used: true });
            value
        }
    }
}
