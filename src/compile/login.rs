//! `auth-type` and its Secret, read (contract §13). What cannot be asked denies: nobody enters for want of a password file.

use std::sync::Arc;

use super::Memo;
use super::annotations::Annotations;
use super::annotations::values_access::{AuthType, SecretType};
use super::ingress::Input;
use super::report::Report;
use crate::base::diagnostic::{Reason, Severity};
use crate::policy::login::digest::Digests;
use crate::policy::login::{Login, Passwords, Scheme, lines};
use crate::snapshot::{Ingress, Secret};

/// How the users of a Secret are read.
pub type UsersOf = (AuthType, SecretType);

/// Users, and what is wrong with some of them; or why there are none.
pub type UsersResult = Result<(Scheme, Arc<[String]>), String>;

/// The key of a file of users.
const FILE: &str = "auth";

/// What an Ingress asks of users, or why that cannot be asked; both are told.
pub fn login(
    input: Input<'_>,
    ingress: &Ingress,
    a: &Annotations,
    memo: &mut Memo,
    report: &mut Report,
) -> Option<Result<Arc<Login>, Arc<str>>> {
    if a.auth_type.is_none() && a.auth_secret.is_none() {
        return None;
    }
    let key = || Some("auth-secret".to_owned());
    match read(input, ingress, a, memo) {
        Ok((login, problems)) => {
            for problem in problems.iter() {
                report.ingress(Severity::Warning, Reason::AnnotationParsingFailed, ingress, key(), problem.as_str());
            }
            Some(Ok(Arc::new(login)))
        }
        Err(reason) => {
            let message = format!("{reason}; its paths answer 503");
            report.ingress(Severity::Error, Reason::AnnotationParsingFailed, ingress, key(), message);
            Some(Err(reason.into()))
        }
    }
}

fn read(
    input: Input<'_>,
    ingress: &Ingress,
    a: &Annotations,
    memo: &mut Memo,
) -> Result<(Login, Arc<[String]>), String> {
    let auth_type = a.auth_type.ok_or("auth-secret is set, and auth-type is not")?;
    let name = a.auth_secret.as_ref().ok_or("auth-type is set, and auth-secret is not")?;
    let namespace = &ingress.metadata.namespace;
    let key = name.key(namespace).ok_or("it names no Secret")?;
    if key.namespace != *namespace && !input.settings.main.cross_namespace {
        return Err(format!("Secret {key} is in another namespace"));
    }
    let secret = input.snapshot.secrets.get(&key).ok_or_else(|| format!("Secret {key} does not exist"))?;
    let named = |reason: String| format!("Secret {key}: {reason}");
    let of = (auth_type, a.auth_secret_type.unwrap_or_default());
    let (scheme, problems) = memo.users(&key, secret, of).map_err(named)?;
    let realm = a.auth_realm.as_ref().map_or("", |realm| realm.as_str());
    // Without validation a realm is any text; what would need an escape is refused.
    if realm.chars().any(|c| !(' '..='~').contains(&c) || matches!(c, '"' | '\\')) {
        return Err("auth-realm has a character that cannot stand in a header".to_owned());
    }
    Ok((Login { realm: realm.into(), scheme }, problems.iter().cloned().map(named).collect()))
}

/// Reads the users of a Secret. Errors and problems never quote what it holds.
pub fn users(secret: &Secret, (auth_type, secret_type): UsersOf) -> UsersResult {
    if let Some(key) = secret.undecodable.iter().find(|key| secret_type == SecretType::Map || *key == FILE) {
        return Err(format!("{key} is not base64"));
    }
    let entries: Vec<(&[u8], &[u8])> = match secret_type {
        SecretType::File => {
            let file = secret.data.get(FILE).ok_or_else(|| format!("it has no key {FILE}"))?;
            lines(file).collect()
        }
        SecretType::Map => secret.data.iter().map(|(user, hash)| (user.as_bytes(), hash.as_slice())).collect(),
    };
    let (scheme, problems) = match auth_type {
        AuthType::Basic => {
            let (users, problems) = Passwords::new(&entries);
            (Scheme::Basic(Arc::new(users)), problems)
        }
        AuthType::Digest => {
            let (users, problems) = Digests::new(&entries);
            (Scheme::Digest(Arc::new(users)), problems)
        }
    };
    Ok((scheme, problems.into()))
}
