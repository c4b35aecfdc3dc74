//! One user's password as a secret holds it: every form that nginx takes.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use sha1::{Digest as _, Sha1};
use subtle::ConstantTimeEq as _;

use super::{crypt, des};

/// The most a hash may cost, so that nobody's secret stops the proxy: bcrypt's cost, and rounds of SHA-256 and SHA-512.
const MAX_BCRYPT_COST: u32 = 14;
const MAX_ROUNDS: u32 = 500_000;
/// Longer passwords are not compared with SHA-256 and SHA-512, whose time grows with the square (musl's limit).
const MAX_CRYPTED: usize = 256;
const DEFAULT_ROUNDS: u32 = 5000;
/// Salts are cut at these lengths, as crypt(3) does.
const MD5_SALT: usize = 8;
const SHA_SALT: usize = 16;

#[derive(Clone, PartialEq, Eq)]
pub enum Hash {
    Plain(Vec<u8>),
    /// `{SHA}` and `{SSHA}`: the digest, then the salt.
    Sha1(Vec<u8>),
    Des(Vec<u8>),
    /// `$1$` or `$apr1$`, salt, the rest.
    Md5(&'static [u8], Vec<u8>, Vec<u8>),
    Sha256(Vec<u8>, u32, Vec<u8>),
    Sha512(Vec<u8>, u32, Vec<u8>),
    Bcrypt(String, u32),
}

/// What is secret never reaches a log.
impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hash")
    }
}

impl Hash {
    /// Reads what follows the user's name. Errors never quote it.
    pub fn parse(text: &[u8]) -> Result<Self, &'static str> {
        const UNKNOWN: &str = "its password is in none of the known forms";
        if let Some(plain) = text.strip_prefix(b"{PLAIN}") {
            return Ok(Self::Plain(plain.to_vec()));
        }
        let (sha, is_salted) = match text.strip_prefix(b"{SSHA}") {
            Some(rest) => (Some(rest), true),
            None => (text.strip_prefix(b"{SHA}"), false),
        };
        if let Some(encoded) = sha {
            let bytes = BASE64_STANDARD.decode(encoded).map_err(|_| "its password is not base64")?;
            let fits = if is_salted { bytes.len() >= 20 } else { bytes.len() == 20 };
            return if fits { Ok(Self::Sha1(bytes)) } else { Err("its password is no SHA-1 digest") };
        }
        for magic in [&b"$apr1$"[..], b"$1$"] {
            if let Some(rest) = text.strip_prefix(magic) {
                let (salt, hash) = split(rest).ok_or(UNKNOWN)?;
                return Ok(Self::Md5(magic, cut(salt, MD5_SALT), hash.to_vec()));
            }
        }
        match text {
            [b'$', b'5', b'$', rest @ ..] => {
                sha_crypt(rest).map(|(salt, rounds, hash)| Self::Sha256(salt, rounds, hash))
            }
            [b'$', b'6', b'$', rest @ ..] => {
                sha_crypt(rest).map(|(salt, rounds, hash)| Self::Sha512(salt, rounds, hash))
            }
            [b'$', b'2', b'a' | b'b' | b'y', b'$', ..] => bcrypt(text),
            _ if text.len() == 13 && text.iter().all(|c| crypt::value(*c).is_some()) => Ok(Self::Des(text.to_vec())),
            _ => Err(UNKNOWN),
        }
    }

    /// What a comparison costs, roughly in microseconds.
    pub fn cost(&self) -> u64 {
        match self {
            Self::Plain(_) | Self::Sha1(_) => 0,
            Self::Des(_) | Self::Md5(..) => 200,
            Self::Sha256(_, rounds, _) | Self::Sha512(_, rounds, _) => u64::from(*rounds),
            Self::Bcrypt(_, cost) => 50 << cost,
        }
    }

    pub fn matches(&self, password: &[u8]) -> bool {
        match self {
            Self::Plain(plain) => same(password, plain),
            Self::Sha1(bytes) => {
                let Some((digest, salt)) = bytes.split_at_checked(20) else { return false };
                same(&Sha1::new().chain_update(password).chain_update(salt).finalize(), digest)
            }
            Self::Des(text) => {
                let [first, second, hash @ ..] = text.as_slice() else { return false };
                des::crypt(password, [*first, *second]).is_some_and(|made| same(&made, hash))
            }
            Self::Md5(magic, salt, hash) => same(&crypt::md5(password, magic, salt), hash),
            Self::Sha256(..) | Self::Sha512(..) if password.len() > MAX_CRYPTED => false,
            Self::Sha256(salt, rounds, hash) => {
                crypt::sha256(password, salt, *rounds).is_some_and(|made| same(&made, hash))
            }
            Self::Sha512(salt, rounds, hash) => {
                crypt::sha512(password, salt, *rounds).is_some_and(|made| same(&made, hash))
            }
            Self::Bcrypt(text, _) => ::bcrypt::verify(password, text).unwrap_or(false),
        }
    }
}

fn same(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

/// Salt and hash.
fn split(rest: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = rest.iter().position(|byte| *byte == b'$')?;
    let (salt, hash) = rest.split_at_checked(at)?;
    Some((salt, hash.get(1..)?))
}

fn cut(salt: &[u8], length: usize) -> Vec<u8> {
    salt.iter().take(length).copied().collect()
}

/// Salt, rounds and hash of `[rounds=n$]salt$hash`.
fn sha_crypt(rest: &[u8]) -> Result<(Vec<u8>, u32, Vec<u8>), &'static str> {
    const BROKEN: &str = "its password is no hash of crypt(3)";
    let (rounds, rest) = match rest.strip_prefix(b"rounds=") {
        None => (DEFAULT_ROUNDS, rest),
        Some(rest) => {
            let (digits, rest) = split(rest).ok_or(BROKEN)?;
            let rounds = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok()).ok_or(BROKEN)?;
            (rounds, rest)
        }
    };
    if !(1000..=MAX_ROUNDS).contains(&rounds) {
        return Err("its password has fewer than 1,000 or more than 500,000 rounds");
    }
    let (salt, hash) = split(rest).ok_or(BROKEN)?;
    Ok((cut(salt, SHA_SALT), rounds, hash.to_vec()))
}

fn bcrypt(text: &[u8]) -> Result<Hash, &'static str> {
    const BROKEN: &str = "its password is no bcrypt hash";
    let text = std::str::from_utf8(text).map_err(|_| BROKEN)?;
    let parts: ::bcrypt::HashParts = text.parse().map_err(|_| BROKEN)?;
    match parts.get_cost() {
        cost @ 4..=MAX_BCRYPT_COST => Ok(Hash::Bcrypt(text.to_owned(), cost)),
        _ => Err("its password has a bcrypt cost outside 4 to 14"),
    }
}
