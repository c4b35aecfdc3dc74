//! What a location answers by itself or changes in answers: redirects, CORS, headers, rewrites, the rate.

use std::sync::Arc;

use http::{HeaderValue, StatusCode};

use super::super::servers::Location;
use super::super::{Input, Owned};
use crate::base::diagnostic::{Reason, Severity};
use crate::compile::annotations::Annotations;
use crate::compile::annotations::value::{BackendProtocol, FromAnnotation as _};
use crate::compile::regexes::{Regexes, ReplacementResult};
use crate::compile::report::Report;
use crate::compile::settings::Settings;
use crate::compile::settings::headers::{header_name, is_header_name};
use crate::policy::RoutePolicy;
use crate::policy::answer::{AnswerRewrites, Replacement};
use crate::policy::cors::{Cors, Origin, Origins};
use crate::policy::header_text::HeaderText;
use crate::policy::redirect::{Redirect, is_http_url};
use crate::policy::response_rate::ResponseRate;
use crate::snapshot::ObjectKey;

/// Whether ingress-nginx drops all settings of the redirect group: a temporary redirect to what is no http URL.
pub fn drops_redirects(a: &Annotations) -> bool {
    a.temporal_redirect.as_ref().is_some_and(|url| !is_http_url(url.as_str()))
}

/// Resolves the settings of a location into its policy.
pub fn resolve(
    input: Input<'_>,
    location: &Location<'_>,
    owner: &Owned,
    settings: &Settings,
    policy: &mut RoutePolicy,
    (regexes, report): (&mut Regexes, &mut Report),
) {
    let a = owner.annotations();
    let mut tell = |severity, reason, key: &str, message: String| {
        report.ingress(severity, reason, &owner.ingress, Some(key.to_owned()), message);
    };
    if drops_redirects(a) {
        let message = "it is no http or https URL: the redirects of this Ingress are ignored".to_owned();
        tell(Severity::Warning, Reason::AnnotationParsingFailed, "temporal-redirect", message);
        policy.relative_redirects = settings.relative_redirects;
    } else if !location.is_catch_all {
        match redirect(a).transpose() {
            Ok(redirect) => policy.redirect = redirect.map(Arc::new),
            Err((key, reason)) => {
                tell(Severity::Error, Reason::AnnotationParsingFailed, key, format!("{reason}; its paths answer 503"));
                policy.denied = policy.denied.take().or_else(|| Some(reason.into()));
            }
        }
    }
    policy.cors = cors(a).map(Arc::new);
    if let Some(named) = &a.custom_headers {
        match custom_headers(input, named.as_str(), &settings.headers.allowed_response_headers) {
            Ok(headers) => policy.custom_headers = Some(headers).filter(|list| !list.is_empty()),
            Err(reason) => {
                let message = format!("{reason}; its paths answer 503");
                tell(Severity::Error, Reason::AnnotationParsingFailed, "custom-headers", message);
                policy.denied = policy.denied.take().or_else(|| Some(reason.into()));
            }
        }
    }
    let (answer, problems) = rewrites(a, settings, regexes);
    for (key, message) in problems {
        tell(Severity::Warning, Reason::AnnotationParsingFailed, key, format!("{message}; it is left out"));
    }
    policy.answer = answer;
    policy.response_rate = rate(a, settings);
}

/// The same for the default server's own location, which has the ConfigMap's settings alone.
pub fn default_server(settings: &Settings, policy: &mut RoutePolicy, regexes: &mut Regexes) {
    policy.answer = rewrites(&Annotations::default(), settings, regexes).0;
}

/// Errors come with their key.
fn redirect(a: &Annotations) -> Option<Result<Redirect, (&'static str, String)>> {
    let status = |code: Option<i64>, last: u16, default: StatusCode| {
        let code = code.and_then(|code| u16::try_from(code).ok()).filter(|code| (300..=last).contains(code));
        code.and_then(|code| StatusCode::from_u16(code).ok()).unwrap_or(default)
    };
    if let Some(url) = &a.temporal_redirect {
        let status = status(a.temporal_redirect_code.map(|code| code.0), 307, StatusCode::FOUND);
        return Some(Redirect::new(status, url.as_str()).map_err(|reason| ("temporal-redirect", reason)));
    }
    let url = a.permanent_redirect.as_ref()?;
    let status = status(a.permanent_redirect_code.map(|code| code.0), 308, StatusCode::MOVED_PERMANENTLY);
    Some(Redirect::new(status, url.as_str()).map_err(|reason| ("permanent-redirect", reason)))
}

const METHODS: HeaderValue = HeaderValue::from_static("GET, PUT, POST, DELETE, PATCH, OPTIONS");
const HEADERS: HeaderValue = HeaderValue::from_static(
    "DNT,Keep-Alive,User-Agent,X-Requested-With,If-Modified-Since,Cache-Control,Content-Type,Range,Authorization",
);

fn cors(a: &Annotations) -> Option<Cors> {
    a.enable_cors.filter(|on| *on)?;
    let origins = match a.cors_allow_origin.as_ref().map(|origins| origins.0.as_slice()) {
        Some([]) => return None,
        None => Origins::Any,
        Some([any]) if any == "*" => Origins::Any,
        Some(list) => Origins::Listed(list.iter().map(|origin| Origin::new(origin)).collect()),
    };
    let value = |text: Option<&str>| text.and_then(|text| HeaderValue::from_str(text).ok());
    Some(Cors {
        origins,
        credentials: a.cors_allow_credentials.unwrap_or(true),
        methods: value(a.cors_allow_methods.as_ref().map(|m| m.as_str())).unwrap_or(METHODS),
        headers: value(a.cors_allow_headers.as_ref().map(|h| h.as_str())).unwrap_or(HEADERS),
        expose: value(a.cors_expose_headers.as_ref().map(|h| h.as_str())).filter(|v| !v.is_empty()),
        max_age: HeaderValue::from(a.cors_max_age.map_or(1_728_000, |seconds| seconds.0)),
    })
}

/// All of the ConfigMap, or the reason why none of it is set.
fn custom_headers(input: Input<'_>, named: &str, allowed: &[String]) -> Result<Arc<[HeaderText]>, String> {
    let named = ObjectKey::from_annotation(named)?;
    let map = input.snapshot.config_maps.get(&named).ok_or_else(|| format!("ConfigMap {named} does not exist"))?;
    let headers = map.data.iter().map(|(name, text)| {
        let said = |reason: String| format!("ConfigMap {named}: {reason}");
        if !is_header_name(name) {
            return Err(said(format!("{name:?} is no header name")));
        }
        if text.is_empty() || !text.chars().all(is_value) {
            return Err(said(format!("the value of {name} has characters that no header may have")));
        }
        if !allowed.contains(name) {
            return Err(said(format!("{name} is not in global-allowed-response-headers")));
        }
        HeaderText::literal(header_name(name).map_err(said)?, text).map_err(said)
    });
    headers.collect::<Result<Vec<_>, _>>().map(Arc::from)
}

/// The characters that ingress-nginx allows in the values of custom headers.
fn is_value(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_ :;.,\\/\"'?!(){}[]@<>=-+*#$&`|~^%".contains(c)
}

/// gRPC's answers are left alone, as `grpc_pass` leaves them.
fn rewrites(
    a: &Annotations,
    settings: &Settings,
    regexes: &mut Regexes,
) -> (Option<Arc<AnswerRewrites>>, Vec<(&'static str, String)>) {
    if matches!(a.backend_protocol, Some(BackendProtocol::Grpc | BackendProtocol::Grpcs)) {
        return (None, Vec::new());
    }
    let own = &settings.headers;
    let mut problems = Vec::new();
    let mut take = |key, rule: ReplacementResult| {
        rule.unwrap_or_else(|reason| {
            problems.push((key, reason));
            None
        })
    };
    let domain = a.proxy_cookie_domain.as_ref().map(|d| d.as_str()).or(own.cookie_domain.as_deref());
    let path = a.proxy_cookie_path.as_ref().map(|p| p.as_str()).or(own.cookie_path.as_deref());
    let from = a.proxy_redirect_from.as_ref().map(|f| f.as_str()).or(own.redirect_from.as_deref());
    let to = a.proxy_redirect_to.as_ref().map(|t| t.as_str()).or(own.redirect_to.as_deref());
    let mut read = |key, text: Option<&str>, make: fn(&str) -> ReplacementResult| {
        text.map_or(Ok(None), |text| regexes.replacement(key, text, make))
    };
    let rewrites = AnswerRewrites {
        cookie_domain: take("proxy-cookie-domain", read("proxy-cookie-domain", domain, Replacement::domain)),
        cookie_path: take("proxy-cookie-path", read("proxy-cookie-path", path, Replacement::path)),
        redirect: take("proxy-redirect-from", proxy_redirect(from, to, a.backend_protocol, regexes)),
    };
    ((!rewrites.is_empty()).then(|| Arc::new(rewrites)), problems)
}

/// `proxy_redirect`, as the template of ingress-nginx writes it: `off`, nginx's default, or one rule. A rule without its
/// second part is not written, which means nginx's default, too.
fn proxy_redirect(
    from: Option<&str>,
    to: Option<&str>,
    protocol: Option<BackendProtocol>,
    regexes: &mut Regexes,
) -> ReplacementResult {
    match (from.unwrap_or("off"), to.unwrap_or("off")) {
        ("off", _) => Ok(None),
        // Where the scheme of proxy_pass is a variable there is no default.
        ("default", _) | (_, "off") if protocol == Some(BackendProtocol::AutoHttp) => Ok(None),
        ("default", _) | (_, "off") => {
            let scheme = if protocol == Some(BackendProtocol::Https) { "https" } else { "http" };
            Replacement::prefix(&format!("{scheme}://upstream_balancer/"), "/").map(Some)
        }
        (from, to) => {
            let both = format!("{from} {to}");
            regexes.replacement("proxy-redirect-from", &both, |_| Replacement::prefix(from, to).map(Some))
        }
    }
}

/// nginx limits buffered answers only.
fn rate(a: &Annotations, settings: &Settings) -> Option<ResponseRate> {
    let own = &settings.headers;
    let buffered = a.proxy_buffering.map_or(own.buffering, |b| b.is_on());
    let bytes = |kilobytes: i64| u64::try_from(kilobytes).unwrap_or(0).saturating_mul(1024);
    let rate = bytes(a.limit_rate.map_or(own.limit_rate, |n| n.0));
    let after = bytes(a.limit_rate_after.map_or(own.limit_rate_after, |n| n.0));
    (buffered && rate > 0).then_some(ResponseRate { rate, after })
}
