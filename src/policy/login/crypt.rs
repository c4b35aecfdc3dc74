//! crypt(3) by digests: MD5 (`$1$`, and Apache's `$apr1$`), SHA-256 (`$5$`) and SHA-512 (`$6$`), as texts.

use md5::{Digest as _, Md5};

const ALPHABET: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The value of a character of crypt's alphabet.
pub fn value(character: u8) -> Option<u8> {
    ALPHABET.iter().position(|known| *known == character).and_then(|at| u8::try_from(at).ok())
}

/// The character of six bits.
pub fn character(bits: u8) -> u8 {
    ALPHABET.get(usize::from(bits & 63)).copied().unwrap_or(b'.')
}

/// Groups of three bytes, the last byte lowest, each as four characters from the lowest bits on. `bytes` says which
/// bytes of a digest follow each other; what is left at the end is a shorter group.
fn encode(digest: &[u8], bytes: &[usize]) -> Vec<u8> {
    let mut out = Vec::with_capacity(digest.len() * 4 / 3 + 1);
    for group in bytes.chunks(3) {
        let word = group.iter().fold(0_u32, |word, at| word << 8 | u32::from(digest.get(*at).copied().unwrap_or(0)));
        let characters = (group.len() * 8).div_ceil(6);
        out.extend((0..characters).map(|n| character((word >> (6 * n)) as u8)));
    }
    out
}

/// The text that follows the salt of `$1$` and `$apr1$`; `magic` is one of these two.
pub fn md5(password: &[u8], magic: &[u8], salt: &[u8]) -> Vec<u8> {
    const ORDER: [usize; 16] = [0, 6, 12, 1, 7, 13, 2, 8, 14, 3, 9, 15, 4, 10, 5, 11];
    let inner = Md5::new().chain_update(password).chain_update(salt).chain_update(password).finalize();
    let mut outer = Md5::new().chain_update(password).chain_update(magic).chain_update(salt);
    for left in (1..=password.len()).rev().step_by(16) {
        outer.update(inner.get(..left.min(16)).unwrap_or_default());
    }
    let mut length = password.len();
    while length != 0 {
        outer.update(if length & 1 != 0 { &[0] } else { password.get(..1).unwrap_or_default() });
        length >>= 1;
    }
    let mut digest = outer.finalize();
    for round in 0..1000 {
        let mut next = Md5::new();
        let (first, last) = if round & 1 != 0 { (password, &*digest) } else { (&*digest, password) };
        next.update(first);
        if round % 3 != 0 {
            next.update(salt);
        }
        if round % 7 != 0 {
            next.update(password);
        }
        next.update(last);
        digest = next.finalize();
    }
    encode(&digest, &ORDER)
}

/// The text that follows the salt of `$5$`; `None` for rounds outside 1,000 to 999,999,999.
pub fn sha256(password: &[u8], salt: &[u8], rounds: u32) -> Option<Vec<u8>> {
    let params = sha_crypt::Params::new(rounds).ok()?;
    Some(encode(&sha_crypt::sha256_crypt(password, salt, params), &rotating(32)))
}

/// The same of `$6$`.
pub fn sha512(password: &[u8], salt: &[u8], rounds: u32) -> Option<Vec<u8>> {
    let params = sha_crypt::Params::new(rounds).ok()?;
    Some(encode(&sha_crypt::sha512_crypt(password, salt, params), &rotating(64)))
}

/// The order of a SHA digest's bytes: thirds side by side, turning by one with each group.
fn rotating(length: usize) -> Vec<usize> {
    let third = length / 3;
    // Longer by one to the left for SHA-256, to the right for SHA-512.
    let turn = if length == 32 { 2 } else { 1 };
    let mut order = Vec::with_capacity(length);
    for row in 0..third {
        let columns = [row, row + third, row + 2 * third];
        order.extend((0..3).filter_map(|column| columns.get((column + row * turn) % 3)));
    }
    order.extend((3 * third..length).rev());
    order
}
