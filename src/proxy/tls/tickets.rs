//! Session tickets: with keys of our own that are renewed, or with one that several replicas share (RFC 5077, RFC 8446 §4.6.1).

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::digest::{SHA256, digest};
use rustls::crypto::GetRandomFailed;
use rustls::server::ProducesTickets;
use rustls::ticketer::TicketRotator;
use rustls_pki_types::UnixTime;

use crate::policy::server_tls::Tickets;

/// Makes a producer of tickets that are good for `lifetime` seconds.
pub fn producer(tickets: &Tickets, lifetime: u32) -> Result<Box<dyn ProducesTickets>, rustls::Error> {
    match tickets {
        Tickets::Own => Ok(Box::new(TicketRotator::new(lifetime, renewed)?)),
        // All bytes of the shared secret count, however many there are.
        Tickets::Shared(key) => Ok(Box::new(Sealed::new(digest(&SHA256, &key.0).as_ref(), lifetime)?)),
    }
}

/// A key of a rotation, which is what ends its tickets.
fn renewed() -> Result<Box<dyn ProducesTickets>, GetRandomFailed> {
    let mut key = [0; 32];
    getrandom::fill(&mut key).map_err(|_| GetRandomFailed)?;
    Ok(Box::new(Sealed::new(&key, u32::MAX).map_err(|_| GetRandomFailed)?))
}

/// Tickets under one key, each with the time it was made: the key alone would keep them good for ever.
struct Sealed {
    key: RandomizedNonceKey,
    lifetime: u32,
}

impl std::fmt::Debug for Sealed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sealed").field("lifetime", &self.lifetime).finish_non_exhaustive()
    }
}

const STAMP: usize = size_of::<u64>();

impl Sealed {
    fn new(key: &[u8], lifetime: u32) -> Result<Self, rustls::Error> {
        let key = RandomizedNonceKey::new(&AES_256_GCM, key);
        let key = key.map_err(|_| rustls::Error::General("the key of session tickets cannot be used".to_owned()))?;
        Ok(Self { key, lifetime })
    }

    fn seal(&self, plain: &[u8], now: u64) -> Option<Vec<u8>> {
        let mut sealed = now.to_be_bytes().to_vec();
        sealed.extend_from_slice(plain);
        let nonce = self.key.seal_in_place_append_tag(Aad::empty(), &mut sealed).ok()?;
        let mut ticket = nonce.as_ref().to_vec();
        ticket.append(&mut sealed);
        Some(ticket)
    }

    fn open(&self, ticket: &[u8], now: u64) -> Option<Vec<u8>> {
        let (nonce, sealed) = ticket.split_at_checked(NONCE_LEN)?;
        let mut sealed = sealed.to_vec();
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let opened = self.key.open_in_place(nonce, Aad::empty(), &mut sealed).ok()?;
        let (made, plain) = opened.split_at_checked(STAMP)?;
        let age = now.checked_sub(u64::from_be_bytes(made.try_into().ok()?))?;
        (age <= u64::from(self.lifetime)).then(|| plain.to_vec())
    }
}

impl ProducesTickets for Sealed {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        self.lifetime
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.seal(plain, UnixTime::now().as_secs())
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        self.open(cipher, UnixTime::now().as_secs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tickets_of_one_key_end() {
        let (ours, theirs) = (Sealed::new(&[1; 32], 600).unwrap(), Sealed::new(&[2; 32], 600).unwrap());
        let ticket = ours.seal(b"session", 1000).unwrap();
        assert_eq!(ours.open(&ticket, 1600).as_deref(), Some(&b"session"[..]));
        assert_eq!(ours.open(&ticket, 1601), None, "too old");
        assert_eq!(ours.open(&ticket, 999), None, "of the future");
        assert_eq!(theirs.open(&ticket, 1000), None, "another key");
        assert_ne!(ours.seal(b"session", 1000), Some(ticket.clone()));
        for at in 0..ticket.len() {
            let mut forged = ticket.clone();
            forged[at] ^= 1;
            assert_eq!(ours.open(&forged, 1000), None, "byte {at}");
            assert_eq!(ours.open(&ticket[..at], 1000), None, "cut at {at}");
        }
    }
}
