//! The policy of one location: its Ingress's annotation, else the ConfigMap's key, else the built-in default.

mod access;
pub mod answers;
mod error_pages;
mod fastcgi;
pub mod upstream_tls;

use std::sync::Arc;

use super::servers::Location;
use super::{Input, Owned};
use crate::base::diagnostic::{Reason, Severity};
use crate::compile::annotations::Annotations;
use crate::compile::annotations::value::{BackendProtocol, ConnectionHeader as RawConnection, HttpVersion};
use crate::compile::regexes::Regexes;
use crate::compile::report::Report;
use crate::compile::settings::{Settings, conditions};
use crate::policy::RoutePolicy;
use crate::policy::https_redirect::{HttpsRedirect, Mode};
use crate::policy::retry::RetryPolicy;
use crate::policy::rewrite::Rewrite;
use crate::policy::template::Template;
use crate::policy::upstream::{ConnectionHeader, Protocol, Timeouts, UpstreamPolicy};

/// Resolves the policy of `location` under the path text `path` (which differs from the rule's where a prefix was split).
pub fn resolve(
    input: Input<'_>,
    location: &Location<'_>,
    path: &str,
    owner: Option<&Owned>,
    (regexes, report): (&mut Regexes, &mut Report),
) -> RoutePolicy {
    let Some(owner) = owner else { return default_server(&input.settings.main, regexes) };
    let settings = input.settings.of(&owner.ingress);
    let a = owner.annotations();
    let mut denied = settings.denied.clone().or_else(|| owner.denied.clone());
    let mut deny = |reason: String| denied = Some(denied.take().unwrap_or_else(|| reason.into()));
    let protocol = protocol(location, a);
    let fastcgi = fastcgi::resolve(input, owner, protocol).unwrap_or_else(|reason| {
        let key = Some("fastcgi-params-configmap".to_owned());
        let message = format!("{reason}; its paths answer 503");
        report.ingress(Severity::Error, Reason::AnnotationParsingFailed, &owner.ingress, key, message);
        deny(reason);
        None
    });
    let tls = upstream_tls::own(owner, protocol, report).unwrap_or_else(|reason| {
        let key = Some("proxy-ssl-secret".to_owned());
        let message = format!("{reason}; its paths answer 503");
        report.ingress(Severity::Error, Reason::AnnotationParsingFailed, &owner.ingress, key, message);
        deny(reason);
        None
    });
    if let Some(Err(reason)) = &owner.login {
        deny(reason.to_string());
    }
    let rewrite = rewrite(location, path, owner, (regexes, report)).unwrap_or_else(|reason| {
        deny(reason);
        None
    });
    let mut policy = RoutePolicy {
        body_limit: body_limit(a, settings),
        https_redirect: https_redirect(location, a, settings),
        port_in_redirect: a.use_port_in_redirects.unwrap_or(settings.use_port_in_redirects),
        relative_redirects: a.relative_redirects.unwrap_or(settings.relative_redirects),
        forwarded_prefix: rewrite.as_ref().and_then(|_| forwarded_prefix(a)),
        rewrite,
        upstream: UpstreamPolicy {
            protocol,
            http10: protocol != Protocol::Fcgi
                && a.proxy_http_version.map_or(settings.http10, |v| v == HttpVersion::Http10),
            vhost: a.upstream_vhost.as_ref().and_then(|v| Template::parse(v.as_str()).ok()).map(Arc::new),
            connection: a.connection_proxy_header.map(|c| match c {
                RawConnection::Close => ConnectionHeader::Close,
                RawConnection::KeepAlive => ConnectionHeader::KeepAlive,
            }),
            timeouts: timeouts(a, settings),
            retry: if protocol.is_http2() { RetryPolicy::OF_GRPC } else { retry(a, settings) },
            request_buffering: a.proxy_request_buffering.map_or(settings.request_buffering, |b| b.is_on()),
            response_head_limit: head_limit(protocol, a, settings),
            fastcgi,
            tls: tls.or_else(|| upstream_tls::plain(protocol)).map(Arc::new),
        },
        access: access::access(location, owner, &settings.access),
        session_cookie: a.affinity.is_some() && !location.is_default && !location.is_catch_all,
        error_pages: error_pages::resolve(a, settings, protocol),
        snippet: None,
        access_log: a.enable_access_log.unwrap_or(true),
        denied,
        ..RoutePolicy::default()
    };
    answers::resolve(input, location, owner, settings, &mut policy, (regexes, report));
    policy
}

/// The default server's own location: the ConfigMap's upstream settings and no redirects.
fn default_server(settings: &Settings, regexes: &mut Regexes) -> RoutePolicy {
    let none = Annotations::default();
    let mut policy = RoutePolicy {
        body_limit: body_limit(&none, settings),
        upstream: UpstreamPolicy {
            timeouts: timeouts(&none, settings),
            retry: retry(&none, settings),
            request_buffering: settings.request_buffering,
            response_head_limit: settings.response_head_limit,
            ..UpstreamPolicy::default()
        },
        access: access::of_default_server(&settings.access),
        error_pages: error_pages::resolve(&none, settings, Protocol::Http),
        access_log: settings.global.access_log.default_backend,
        denied: settings.denied.clone(),
        ..RoutePolicy::default()
    };
    answers::default_server(settings, &mut policy, regexes);
    policy
}

fn body_limit(a: &Annotations, settings: &Settings) -> Option<u64> {
    a.proxy_body_size.map_or(settings.body_limit, |size| size.limit())
}

fn head_limit(protocol: Protocol, a: &Annotations, settings: &Settings) -> u32 {
    let own = a.proxy_buffer_size.map_or(settings.response_head_limit, |size| size.clamped());
    if protocol.is_http2() { own.max(settings.grpc_head_limit) } else { own }
}

fn https_redirect(location: &Location<'_>, a: &Annotations, settings: &Settings) -> HttpsRedirect {
    let exempt = settings.no_tls_redirect_locations.iter().any(|prefix| location.path.starts_with(prefix.as_str()));
    if location.is_catch_all || exempt {
        return HttpsRedirect::default();
    }
    let mode = if a.force_ssl_redirect.unwrap_or(settings.force_ssl_redirect) {
        Mode::Always
    } else if a.ssl_redirect.unwrap_or(settings.ssl_redirect) {
        Mode::WithCertificate
    } else {
        Mode::Never
    };
    HttpsRedirect {
        mode,
        preserve_trailing_slash: a.preserve_trailing_slash.unwrap_or(settings.preserve_trailing_slash),
        with_port: a.use_port_in_redirects.unwrap_or(settings.use_port_in_redirects),
    }
}

/// The rewrite of a location, unless its target is its very path. A regex that cannot be used denies the location:
/// requests that were to be rewritten must not reach the upstream as they are.
fn rewrite(
    location: &Location<'_>,
    path: &str,
    owner: &Owned,
    (regexes, report): (&mut Regexes, &mut Report),
) -> Result<Option<Arc<Rewrite>>, String> {
    let target = owner.annotations().rewrite_target.as_ref().map(|t| t.as_str());
    let Some(target) = target.filter(|t| *t != path && !location.is_catch_all) else { return Ok(None) };
    let rewrite = regexes.pattern(path).and_then(|regex| Rewrite::with(regex, path, target));
    rewrite.map(|r| Some(Arc::new(r))).map_err(|reason| {
        let message = format!("the rewrite of path {path:?} to {target:?} cannot be done: {reason}; it answers 503");
        let key = Some("rewrite-target".to_owned());
        report.ingress(Severity::Error, Reason::AnnotationParsingFailed, &owner.ingress, key, message.clone());
        message
    })
}

fn forwarded_prefix(a: &Annotations) -> Option<Arc<Template>> {
    a.x_forwarded_prefix.as_ref().and_then(|p| Template::parse(p.as_str()).ok()).map(Arc::new)
}

fn timeouts(a: &Annotations, settings: &Settings) -> Timeouts {
    let default = settings.timeouts;
    Timeouts {
        connect: a.proxy_connect_timeout.map_or(default.connect, |s| s.duration()),
        send: a.proxy_send_timeout.map_or(default.send, |s| s.duration()),
        read: a.proxy_read_timeout.map_or(default.read, |s| s.duration()),
    }
}

fn retry(a: &Annotations, settings: &Settings) -> RetryPolicy {
    let default = settings.retry;
    RetryPolicy {
        on: a.proxy_next_upstream.as_ref().map_or(default.on, |set| conditions(set, settings.retry_non_idempotent)),
        tries: a.proxy_next_upstream_tries.unwrap_or(default.tries),
        within: a.proxy_next_upstream_timeout.map_or(default.within, |s| s.duration()),
    }
}

/// The default backend of the controller speaks plain http, whatever the endpoints of an Ingress speak.
fn protocol(location: &Location, a: &Annotations) -> Protocol {
    let protocol = a.backend_protocol.filter(|_| !location.has_no_backend());
    if location.speaks_tls {
        return if protocol == Some(BackendProtocol::Grpcs) { Protocol::Grpcs } else { Protocol::Https };
    }
    match protocol {
        Some(BackendProtocol::Https) => Protocol::Https,
        Some(BackendProtocol::AutoHttp) => Protocol::AutoHttp,
        Some(BackendProtocol::Grpc) => Protocol::Grpc,
        Some(BackendProtocol::Grpcs) => Protocol::Grpcs,
        Some(BackendProtocol::Fcgi) => Protocol::Fcgi,
        Some(BackendProtocol::Http) | None => Protocol::Http,
    }
}
