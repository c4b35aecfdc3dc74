//! `auth-type`: what a user must know to enter, and how it is asked for (contract §13).

pub mod crypt;
pub mod des;
pub mod digest;
pub mod hash;

use std::collections::HashMap;
use std::fmt;
use std::hash::{Hash as StdHash, Hasher};
use std::sync::Arc;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use http::header::{self, HeaderMap, HeaderValue};
use sha2::{Digest as _, Sha256};

use self::digest::Digests;
use self::hash::Hash;

/// A question for a user, and who has the answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Login {
    /// Quoted as it is: compile lets through what needs no escape.
    pub realm: Arc<str>,
    pub scheme: Scheme,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    Basic(Arc<Passwords>),
    Digest(Arc<Digests>),
}

/// What stands for all of a secret's users: equal secrets are equal, and nothing of them is seen.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u8; 32]);

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fingerprint")
    }
}

impl Fingerprint {
    fn of(entries: &[(&[u8], &[u8])]) -> Self {
        let mut digest = Sha256::new();
        for text in entries.iter().flat_map(|(user, secret)| [user, secret]) {
            digest.update((text.len() as u64).to_be_bytes());
            digest.update(text);
        }
        Self(digest.finalize().into())
    }
}

/// The users of a file of lines `user:secret`, as nginx reads it: lines that begin with `#` are none.
pub fn lines(file: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let lines = file.split(|byte| *byte == b'\n').filter(|line| !line.starts_with(b"#"));
    lines.filter_map(|line| {
        let at = line.iter().position(|byte| *byte == b':')?;
        let (user, rest) = line.split_at_checked(at)?;
        Some((user, up_to(rest.get(1..)?, b"\r")))
    })
}

fn up_to<'t>(text: &'t [u8], ends: &[u8]) -> &'t [u8] {
    text.split(|byte| ends.contains(byte)).next().unwrap_or_default()
}

/// Users and their passwords, for basic authentication.
#[derive(Clone)]
pub struct Passwords {
    fingerprint: Fingerprint,
    /// `None`: the password cannot be read, so nobody has it.
    users: HashMap<Box<[u8]>, Option<Arc<Hash>>>,
    /// Compared with what an unknown user sends, so that it takes as long.
    decoy: Option<Arc<Hash>>,
}

impl fmt::Debug for Passwords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} users", self.users.len())
    }
}

impl PartialEq for Passwords {
    fn eq(&self, other: &Self) -> bool {
        self.fingerprint == other.fingerprint
    }
}

impl Eq for Passwords {}

impl StdHash for Passwords {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.fingerprint.hash(state);
    }
}

impl Passwords {
    /// Problems are told in words, with the number of the entry and without what it holds. The first entry of a user
    /// counts, as in nginx.
    pub fn new(entries: &[(&[u8], &[u8])]) -> (Self, Vec<String>) {
        /// As many problems are told at most.
        const TOLD: usize = 5;
        let mut problems = Vec::new();
        let mut users = HashMap::new();
        for (number, (user, secret)) in entries.iter().enumerate() {
            let hash = match Hash::parse(up_to(secret, b":\r\n")) {
                Ok(hash) => Some(Arc::new(hash)),
                Err(problem) => {
                    problems.push(format!("user number {}: {problem}; nobody can log in by it", number + 1));
                    None
                }
            };
            users.entry(Box::from(*user)).or_insert(hash);
        }
        problems.truncate(TOLD);
        let costliest = users.values().flatten().max_by_key(|hash: &&Arc<Hash>| hash.cost());
        let decoy = costliest.map(Arc::clone);
        (Self { fingerprint: Fingerprint::of(entries), users, decoy }, problems)
    }

    pub fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    /// What a password is to be compared with, and whether a match lets its user in. `None`: nothing can match.
    pub fn find(&self, user: &[u8]) -> Option<(&Arc<Hash>, bool)> {
        match self.users.get(user) {
            Some(Some(hash)) => Some((hash, true)),
            Some(None) | None => self.decoy.as_ref().map(|decoy| (decoy, false)),
        }
    }
}

/// Base64 as clients write it, with its padding or without.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// What follows the scheme in the one `Authorization` of a request.
pub fn authorization<'h>(headers: &'h HeaderMap, scheme: &str) -> Option<&'h [u8]> {
    let mut lines = headers.get_all(header::AUTHORIZATION).iter();
    let line = lines.next().filter(|_| lines.next().is_none())?;
    after_scheme(line, scheme)
}

fn after_scheme<'h>(line: &'h HeaderValue, scheme: &str) -> Option<&'h [u8]> {
    let (name, rest) = line.as_bytes().split_at_checked(scheme.len())?;
    let rest = rest.strip_prefix(b" ").filter(|_| name.eq_ignore_ascii_case(scheme.as_bytes()))?;
    Some(rest.trim_ascii_start())
}

/// User and password of basic authentication (RFC 7617). A user without a name is none.
pub fn credentials(encoded: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let mut user = BASE64.decode(encoded.trim_ascii_end()).ok()?;
    let at = user.iter().position(|byte| *byte == b':').filter(|at| *at > 0)?;
    let password = user.split_off(at + 1);
    user.truncate(at);
    Some((user, password))
}

/// The user that an `Authorization` names, whether or not anybody asked: nginx's `$remote_user`.
pub fn remote_user(line: &HeaderValue) -> Option<Vec<u8>> {
    credentials(after_scheme(line, "basic")?).map(|(user, _)| user)
}

#[cfg(test)]
#[path = "login/tests.rs"]
mod tests;
