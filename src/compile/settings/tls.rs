//! The ConfigMap's `ssl-*` keys to what all handshakes are made with, and what of them has no effect.

use std::sync::Arc;

use crate::compile::configmap::ConfigMapSettings;
use crate::policy::server_tls::cipher::CipherList;
use crate::policy::server_tls::{ServerTls, Sessions, Tickets, TlsPolicy};

/// Fills in the defaults.
pub fn resolve(raw: &ConfigMapSettings) -> TlsPolicy {
    let default = ServerTls::default();
    let versions = raw.ssl_protocols.as_ref().filter(|v| v.tls12 || v.tls13);
    let sessions = default.sessions;
    let tickets = || raw.ssl_session_ticket_key.clone().map_or(Tickets::Own, |key| Tickets::Shared(key.0));
    let bytes = raw.ssl_session_cache_size.map_or(sessions.cache, |size| usize::try_from(size.0).ok());
    let groups = raw.ssl_ecdh_curve.as_ref().filter(|groups| !groups.numbers.is_empty());
    TlsPolicy {
        reject_unknown: raw.ssl_reject_handshake.unwrap_or(false),
        common: ServerTls {
            tls12: versions.map_or(default.tls12, |v| v.tls12),
            tls13: versions.map_or(default.tls13, |v| v.tls13),
            ciphers: raw.ssl_ciphers.as_ref().and_then(|list| numbers(&list.0)).unwrap_or(default.ciphers),
            prefer_server: default.prefer_server,
            groups: groups.map(|groups| groups.numbers.as_slice().into()),
            sessions: Sessions {
                cache: bytes.filter(|_| raw.ssl_session_cache.unwrap_or(true)),
                tickets: raw.ssl_session_tickets.unwrap_or(false).then(tickets),
                lifetime: raw.ssl_session_timeout.map_or(sessions.lifetime, |time| time.0),
            },
        },
    }
}

/// The suites of a list, if it has any.
pub fn numbers(list: &CipherList) -> Option<Arc<[u16]>> {
    (!list.numbers.is_empty()).then(|| list.numbers.as_slice().into())
}

/// What to say of a list of ciphers.
pub fn cipher_warning(list: &CipherList) -> Option<String> {
    let unknown = list.unknown.join(", ");
    if list.numbers.is_empty() {
        return Some(format!("none of these is here ({unknown}): the default ciphers are offered"));
    }
    (!unknown.is_empty()).then(|| format!("not here, and left out: {unknown}"))
}

/// What of the keys has no effect: each with its reason.
pub fn warnings(raw: &ConfigMapSettings) -> Vec<(&'static str, String)> {
    let mut warnings = Vec::new();
    if let Some(versions) = raw.ssl_protocols.as_ref().filter(|versions| !versions.unknown.is_empty()) {
        let unknown = versions.unknown.join(", ");
        let message = match versions.tls12 || versions.tls13 {
            true => format!("not here, and left out: {unknown}"),
            false => format!("none of these is here ({unknown}): TLS 1.2 and 1.3 are offered"),
        };
        warnings.push(("ssl-protocols", message));
    }
    // The default list names suites that ingress-nginx cannot offer either; it is nobody's choice.
    let default = super::super::configmap::ROWS.iter().find(|row| row.key == "ssl-ciphers").map(|row| row.default);
    if let Some(list) = raw.ssl_ciphers.as_ref().filter(|list| default.map(CipherList::parse).as_ref() != Some(&list.0))
    {
        warnings.extend(cipher_warning(&list.0).map(|message| ("ssl-ciphers", message)));
    }
    if let Some(groups) = raw.ssl_ecdh_curve.as_ref().filter(|groups| !groups.unknown.is_empty()) {
        warnings.push(("ssl-ecdh-curve", format!("not here, and left out: {}", groups.unknown.join(", "))));
    }
    if raw.ssl_session_ticket_key.is_some() && raw.ssl_session_tickets != Some(true) {
        warnings.push(("ssl-session-ticket-key", "it has no effect without ssl-session-tickets: \"true\"".to_owned()));
    }
    warnings
}
