//! Digest authentication (RFC 7616, with MD5 and `qop="auth"`): what clients like to be asked by nginx's module.
//!
//! A nonce is its time, something random and a keyed hash of both, so no replica and no worker has to remember one. The
//! key derives from the users' secrets: all replicas have the same, and a changed secret ends all nonces.

use std::collections::HashMap;
use std::fmt;
use std::hash::{Hash as StdHash, Hasher};

use http::HeaderValue;
use md5::{Digest as _, Md5};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

use super::Fingerprint;

/// How long a nonce is taken, in seconds: the module's time for the first answer.
pub const LIFETIME: u64 = 60;

/// A name, and the realm it is known in.
type User = (Box<[u8]>, Box<[u8]>);

/// Users with the realms they are known in.
#[derive(Clone)]
pub struct Digests {
    fingerprint: Fingerprint,
    /// `MD5(user:realm:password)` in lower-case hexadecimal, by user and realm.
    users: HashMap<User, Box<[u8]>>,
}

impl fmt::Debug for Digests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} users", self.users.len())
    }
}

impl PartialEq for Digests {
    fn eq(&self, other: &Self) -> bool {
        self.fingerprint == other.fingerprint
    }
}

impl Eq for Digests {}

impl StdHash for Digests {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.fingerprint.hash(state);
    }
}

/// A request, as far as its answer to a question speaks of it.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    pub method: &'a str,
    /// Path and query as sent.
    pub target: &'a str,
    /// Seconds since 1970.
    pub now: u64,
}

/// What an answer is worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Entered(Vec<u8>),
    /// Right, but for a nonce that is no longer taken: the client may try again without asking its user.
    Stale,
    Refused,
}

impl Digests {
    /// Reads entries `user`, `realm:hash`, as `htdigest` writes them. Problems are told as those of passwords are.
    pub fn new(entries: &[(&[u8], &[u8])]) -> (Self, Vec<String>) {
        const TOLD: usize = 5;
        let mut problems = Vec::new();
        let mut users = HashMap::new();
        for (number, (user, secret)) in entries.iter().enumerate() {
            let secret = super::up_to(secret, b"\r\n");
            let at = secret.iter().rposition(|byte| *byte == b':');
            let parts = at.and_then(|at| Some((secret.get(..at)?, secret.get(at + 1..)?)));
            match parts.filter(|(_, hash)| hash.len() == 32 && hash.iter().all(u8::is_ascii_hexdigit)) {
                Some((realm, hash)) => {
                    let key = (Box::from(*user), Box::from(realm));
                    users.entry(key).or_insert_with(|| hash.to_ascii_lowercase().into());
                }
                None => problems.push(format!("user number {}: it is not user:realm:hash of htdigest", number + 1)),
            }
        }
        problems.truncate(TOLD);
        (Self { fingerprint: Fingerprint::of(entries), users }, problems)
    }

    /// The value of `WWW-Authenticate`.
    pub fn challenge(&self, realm: &str, now: u64, random: u64, is_stale: bool) -> Option<HeaderValue> {
        let stale = if is_stale { ", stale=true" } else { "" };
        let nonce = self.nonce(realm, now, random);
        HeaderValue::from_str(&format!(
            "Digest algorithm=MD5, qop=\"auth\", realm=\"{realm}\", nonce=\"{nonce}\"{stale}"
        ))
        .ok()
    }

    fn nonce(&self, realm: &str, time: u64, random: u64) -> String {
        let seal = Sha256::new()
            .chain_update(self.fingerprint.0)
            .chain_update(b"nonce")
            .chain_update(time.to_be_bytes())
            .chain_update(random.to_be_bytes())
            .chain_update(realm)
            .finalize();
        let (seal, _) = seal.split_at_checked(16).unwrap_or((&seal, &[]));
        format!("{time:016x}{random:016x}{}", hex(seal))
    }

    /// Whether a nonce is one of ours, and of when.
    fn made(&self, realm: &str, nonce: &str) -> Option<u64> {
        let number = |range| nonce.get(range).and_then(|digits| u64::from_str_radix(digits, 16).ok());
        let (time, random) = (number(0..16)?, number(16..32)?);
        let own = self.nonce(realm, time, random);
        bool::from(own.as_bytes().ct_eq(nonce.as_bytes())).then_some(time)
    }

    /// Judges what follows `Digest` in `Authorization`.
    pub fn judge(&self, realm: &str, fields: &[u8], asked: Asked<'_>) -> Outcome {
        self.judged(realm, fields, asked).unwrap_or(Outcome::Refused)
    }

    fn judged(&self, realm: &str, fields: &[u8], asked: Asked<'_>) -> Option<Outcome> {
        let fields = parameters(fields)?;
        let field = |name: &str| fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_slice());
        let text = |name: &str| field(name).and_then(|value| std::str::from_utf8(value).ok());
        let (user, nonce, count, own_nonce) = (field("username")?, text("nonce")?, field("nc")?, field("cnonce")?);
        let is_md5 = text("algorithm").is_none_or(|name| name.eq_ignore_ascii_case("md5"));
        let about_this = text("uri")? == asked.target && field("realm")? == realm.as_bytes();
        if !is_md5 || !about_this || text("qop")? != "auth" {
            return None;
        }
        let known = self.users.get(&(Box::from(user), Box::from(realm.as_bytes())));
        let secret = known.map_or(&[b'0'; 32][..], |hash| hash);
        let what = hex(&Md5::digest(format!("{}:{}", asked.method, asked.target)));
        let parts: [&[u8]; 6] = [secret, nonce.as_bytes(), count, own_nonce, b"auth", what.as_bytes()];
        let right = hex(&Md5::digest(parts.join(&b':')));
        let sent = field("response")?.to_ascii_lowercase();
        let is_right = bool::from(right.as_bytes().ct_eq(&sent)) && known.is_some();
        let made = self.made(realm, nonce);
        match (is_right, made) {
            (true, Some(time)) if time <= asked.now + LIFETIME && asked.now <= time + LIFETIME => {
                Some(Outcome::Entered(user.to_vec()))
            }
            (true, _) => Some(Outcome::Stale),
            (false, _) => None,
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        out.extend([byte >> 4, byte & 15].map(|digit| char::from_digit(digit.into(), 16).unwrap_or('0')));
        out
    })
}

/// `name=value` or `name="value"`, separated by commas; names in lower case. `None`: it is nothing of the kind, or has
/// more than a client sends.
fn parameters(text: &[u8]) -> Option<Vec<(String, Vec<u8>)>> {
    const MOST: usize = 16;
    let mut list = Vec::new();
    let mut rest = text.trim_ascii();
    while !rest.is_empty() {
        let at = rest.iter().position(|byte| *byte == b'=')?;
        let name = std::str::from_utf8(rest.get(..at)?.trim_ascii()).ok()?.to_ascii_lowercase();
        rest = rest.get(at + 1..)?.trim_ascii_start();
        let mut value = Vec::new();
        let quoted = rest.strip_prefix(b"\"");
        let mut bytes = quoted.unwrap_or(rest).iter();
        let is_end = |byte: u8| if quoted.is_some() { byte == b'"' } else { byte == b',' };
        let mut ended = false;
        while let Some(byte) = bytes.next() {
            match *byte {
                byte if is_end(byte) => {
                    ended = true;
                    break;
                }
                b'\\' if quoted.is_some() => value.push(*bytes.next()?),
                byte => value.push(byte),
            }
        }
        if quoted.is_some() && !ended {
            return None;
        }
        rest = bytes.as_slice().trim_ascii_start();
        rest = rest.strip_prefix(b",").unwrap_or(rest).trim_ascii_start();
        let value = if quoted.is_some() { value } else { value.trim_ascii_end().to_vec() };
        list.push((name, value));
        if list.len() > MOST {
            return None;
        }
    }
    Some(list)
}
