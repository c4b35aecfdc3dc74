//! `proxy-ssl-*` to TLS towards upstreams: the location's own Secret, else that of its host (contract, group ProxySSL).

use std::sync::Arc;

use crate::base::diagnostic::{Reason, Severity};
use crate::compile::Memo;
use crate::compile::annotations::Annotations;
use crate::compile::annotations::value::TlsVersion;
use crate::compile::certificate::UpstreamSecret;
use crate::compile::ingress::servers::Server;
use crate::compile::ingress::{Input, Owned};
use crate::compile::report::Report;
use crate::compile::settings::tls;
use crate::policy::RoutePolicy;
use crate::policy::upstream::{Protocol, UpstreamTls};
use crate::snapshot::ObjectKey;

/// TLS upstream without `proxy-ssl-secret`: no verification, no SNI, as nginx does by default.
pub fn plain(protocol: Protocol) -> Option<UpstreamTls> {
    let http2 = protocol.is_http2();
    protocol.is_tls(true).then(|| UpstreamTls { tls12: true, tls13: true, http2, ..UpstreamTls::default() })
}

/// The Secret that an Ingress names, read once for all of its locations.
pub fn secret(
    input: Input<'_>,
    ingress: &ObjectKey,
    a: &Annotations,
    memo: &mut Memo,
) -> Option<Result<Arc<UpstreamSecret>, String>> {
    let key = a.proxy_ssl_secret.as_ref()?;
    if key.namespace != ingress.namespace && !input.settings.main.cross_namespace {
        return Some(Err(format!("Secret {key} is in another namespace")));
    }
    let secret = input.snapshot.secrets.get(key).ok_or_else(|| format!("Secret {key} does not exist"));
    Some(secret.map(|secret| memo.upstream_secret(key, secret)))
}

/// Of an Ingress: without a Secret the other keys have no effect. A Secret that cannot be used denies the location.
pub fn own(owner: &Owned, protocol: Protocol, report: &mut Report) -> Result<Option<UpstreamTls>, String> {
    let a = owner.annotations();
    let (Some(key), Some(secret)) = (&a.proxy_ssl_secret, &owner.upstream_secret) else { return Ok(None) };
    if let Some(message) = a.proxy_ssl_ciphers.as_ref().and_then(|list| tls::cipher_warning(&list.0)) {
        let key = Some("proxy-ssl-ciphers".to_owned());
        report.ingress(Severity::Warning, Reason::UnsupportedAnnotation, &owner.ingress, key, message);
    }
    let secret = secret.as_ref().map_err(String::clone)?;
    let named = |reason: &String| format!("Secret {key}: {reason}");
    let verify = a.proxy_ssl_verify.is_some_and(|v| v.is_on());
    // Nothing to verify against means nothing is trusted.
    let nothing = || Ok(Arc::from([]));
    let trusted =
        verify.then(|| secret.trusted.as_ref().map_or_else(nothing, |t| t.clone().map_err(|why| named(&why))));
    let trusted = trusted.transpose()?;
    if !protocol.is_tls(true) {
        return Ok(None);
    }
    let client = secret.client.clone().map_err(|why| named(&why))?;
    Ok(Some(UpstreamTls { verify: trusted, client, ..options(a, protocol) }))
}

/// What the annotations say besides the Secret.
fn options(a: &Annotations, protocol: Protocol) -> UpstreamTls {
    let versions = a.proxy_ssl_protocols.as_ref();
    UpstreamTls {
        name: a.proxy_ssl_name.as_ref().map(|name| name.as_str().into()),
        send_name: a.proxy_ssl_server_name.is_some_and(|s| s.is_on()),
        // With a Secret ingress-nginx offers TLS 1.2 alone unless told otherwise.
        tls12: versions.is_none_or(|v| v.0.contains(&TlsVersion::Tls12)),
        tls13: versions.is_some_and(|v| v.0.contains(&TlsVersion::Tls13)),
        ciphers: a.proxy_ssl_ciphers.as_ref().and_then(|list| tls::numbers(&list.0)),
        depth: a.proxy_ssl_verify_depth.unwrap_or(1).max(1),
        http2: protocol.is_http2(),
        ..UpstreamTls::default()
    }
}

/// Gives a location without a Secret of its own that of its host: the oldest Ingress's that can be used, unless
/// `proxy-ssl-location-only` keeps it there.
pub fn inherit(
    input: Input<'_>,
    owned: &[Owned],
    server: &Server<'_>,
    owner: Option<&Owned>,
    policy: &mut RoutePolicy,
) {
    let protocol = policy.upstream.protocol;
    let has_own = owner.is_some_and(|owner| owner.annotations().proxy_ssl_secret.is_some());
    if has_own || !protocol.is_tls(true) || input.settings.main.proxy_ssl_location_only {
        return;
    }
    // What is wrong with them is told where they are a location's own.
    let mut told = Report::default();
    let owners = server.owners.iter().filter_map(|index| owned.get(*index));
    let mut usable = owners.filter_map(|owner| own(owner, protocol, &mut told).ok().flatten());
    if let Some(tls) = usable.next() {
        policy.upstream.tls = Some(Arc::new(tls));
    }
}
