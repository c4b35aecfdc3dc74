//! The ConfigMap's settings, resolved: each key, else its built-in default (contract §11).

mod access;
mod balance;
pub mod headers;
mod identity;
mod logs;
pub mod questions;
mod snippets;
pub mod tls;

use std::collections::BTreeMap;
use std::sync::Arc;

use http::{HeaderName, HeaderValue, StatusCode};

pub use self::access::AccessSettings;
use self::questions::QuestionSettings;
use super::Options;
use super::annotations::Effect;
use super::annotations::value::{HttpVersion, NextUpstream, RetryCondition};
use super::configmap::ConfigMapSettings;
use super::report::Report;
use crate::base::diagnostic::{Reason, Severity};
use crate::compile::ingress::is_ours;
use crate::policy::global::{GlobalPolicy, UpstreamKeepAlive, UrlPattern};
use crate::policy::retry::{Conditions, RetryPolicy};
use crate::policy::stream::StreamPolicy;
use crate::policy::upstream::Timeouts;
use crate::snapshot::{ConfigMap, Ingress, IngressClass, Meta, Snapshot};

pub use balance::{BalanceSettings, ErrorSettings};

/// Defaults of what annotations may override, and the global policy.
#[derive(Clone, Debug)]
pub struct Settings {
    pub global: GlobalPolicy,
    pub ssl_redirect: bool,
    pub force_ssl_redirect: bool,
    pub preserve_trailing_slash: bool,
    pub use_port_in_redirects: bool,
    pub relative_redirects: bool,
    pub no_tls_redirect_locations: Vec<String>,
    pub body_limit: Option<u64>,
    pub timeouts: Timeouts,
    pub retry: RetryPolicy,
    pub retry_non_idempotent: bool,
    pub request_buffering: bool,
    pub response_head_limit: u32,
    /// The same for gRPC, where it is larger; bytes.
    pub grpc_head_limit: u32,
    pub http10: bool,
    pub service_upstream: bool,
    pub balance: BalanceSettings,
    pub errors: ErrorSettings,
    pub cross_namespace: bool,
    pub headers: headers::HeaderSettings,
    pub access: AccessSettings,
    /// Who is asked about requests.
    pub questions: QuestionSettings,
    pub proxy_ssl_location_only: bool,
    pub snippets: Option<Box<snippets::Snippets>>,
    /// Why every location answers 503: an access setting of the ConfigMap that cannot be acted on.
    pub denied: Option<Arc<str>>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            global: GlobalPolicy::default(),
            ssl_redirect: true,
            force_ssl_redirect: false,
            preserve_trailing_slash: false,
            use_port_in_redirects: false,
            relative_redirects: false,
            no_tls_redirect_locations: vec!["/.well-known/acme-challenge".to_owned()],
            body_limit: Some(1 << 20),
            timeouts: Timeouts::default(),
            retry: RetryPolicy::default(),
            retry_non_idempotent: false,
            request_buffering: true,
            response_head_limit: 4096,
            grpc_head_limit: 0,
            http10: false,
            service_upstream: false,
            balance: BalanceSettings::default(),
            errors: ErrorSettings::default(),
            cross_namespace: false,
            headers: headers::HeaderSettings::default(),
            access: AccessSettings::default(),
            questions: QuestionSettings::default(),
            proxy_ssl_location_only: false,
            snippets: None,
            denied: None,
        }
    }
}

/// The settings of the controller, and those of classes that have their own.
#[derive(Clone, Debug, Default)]
pub struct AllSettings {
    pub main: Settings,
    /// By the class's name: what its `spec.parameters` name goes before the controller's ConfigMap, for routes.
    pub classes: BTreeMap<Arc<str>, Settings>,
}

impl AllSettings {
    pub fn of(&self, ingress: &Ingress) -> &Settings {
        let class = ingress.spec.ingress_class_name.as_ref().filter(|_| !self.classes.is_empty());
        class.and_then(|name| self.classes.get(name)).unwrap_or(&self.main)
    }
}

/// ConfigMap keys that a class may set for its Ingresses: those that an annotation overrides, and the like. All others
/// are the whole controller's.
const OF_CLASSES: &[&str] = &[
    "custom-http-errors",
    "disable-proxy-intercept-errors",
    "load-balance",
    "app-root",
    "denylist-source-range",
    "force-ssl-redirect",
    "limit-rate",
    "limit-rate-after",
    "global-auth-always-set-cookie",
    "global-auth-cache-duration",
    "global-auth-cache-key",
    "global-auth-method",
    "global-auth-request-redirect",
    "global-auth-response-headers",
    "global-auth-signin",
    "global-auth-signin-redirect-param",
    "global-auth-url",
    "no-auth-locations",
    "no-tls-redirect-locations",
    "no-auth-locations",
    "preserve-trailing-slash",
    "proxy-body-size",
    "proxy-buffer-size",
    "proxy-buffering",
    "proxy-connect-timeout",
    "proxy-cookie-domain",
    "proxy-cookie-path",
    "proxy-http-version",
    "proxy-next-upstream",
    "proxy-next-upstream-timeout",
    "proxy-next-upstream-tries",
    "proxy-read-timeout",
    "proxy-redirect-from",
    "proxy-redirect-to",
    "proxy-request-buffering",
    "proxy-send-timeout",
    "relative-redirects",
    "retry-non-idempotent",
    "service-upstream",
    "ssl-redirect",
    "upstream-hash-by",
    "upstream-hash-by-subset",
    "upstream-hash-by-subset-size",
    "use-port-in-redirects",
    "whitelist-source-range",
];

/// Reads the ConfigMap that `--configmap` names, and those of classes.
pub fn resolve(snapshot: &Snapshot, options: &Options, report: &mut Report) -> AllSettings {
    let none = Arc::new(ConfigMap::default());
    let map = options.config_map.as_ref().and_then(|key| snapshot.config_maps.get(key)).unwrap_or(&none);
    if let Some(key) = options.config_map.as_ref().filter(|key| !snapshot.config_maps.contains_key(key)) {
        let message = "it does not exist: every setting has its default";
        report.object(Severity::Warning, Reason::MissingReference, "ConfigMap", &Meta::of(key), None, message);
    }
    let main = read(map, snapshot, report);
    let ours = snapshot.ingress_classes.values().filter(|class| is_ours(class, options));
    let classes =
        ours.filter_map(|class| Some((Arc::clone(&class.metadata.name), of_class(class, map, snapshot, report)?)));
    AllSettings { classes: classes.collect(), main }
}

/// The settings of a class that has parameters that can be read.
fn of_class(class: &IngressClass, main: &ConfigMap, snapshot: &Snapshot, report: &mut Report) -> Option<Settings> {
    class.spec.parameters.as_ref()?;
    let mut tell = |reason, message: String| {
        let key = Some("spec.parameters".to_owned());
        report.object(Severity::Warning, reason, "IngressClass", &class.metadata, key, message);
    };
    let Some(key) = class.config_map() else {
        tell(Reason::InvalidRule, "they are not read: only a ConfigMap of a namespace is".to_owned());
        return None;
    };
    let Some(map) = snapshot.config_maps.get(&key) else {
        tell(Reason::MissingReference, format!("ConfigMap {key} does not exist: the controller's settings apply"));
        return None;
    };
    let mut merged = ConfigMap { metadata: map.metadata.clone(), data: main.data.clone() };
    let (own, others): (Vec<_>, Vec<_>) = map.data.iter().partition(|(key, _)| OF_CLASSES.contains(&key.as_str()));
    for (key, _) in others {
        let message = "it is the whole controller's: a class cannot set it";
        let key = Some(key.clone());
        report.object(Severity::Warning, Reason::ConfigMapParsingFailed, "ConfigMap", &map.metadata, key, message);
    }
    merged.data.extend(own.iter().map(|(key, value)| ((*key).clone(), (*value).clone())));
    // What is wrong with the controller's own keys was told already.
    let mut again = Report::default();
    let settings = read(&merged, snapshot, &mut again);
    for diagnostic in again.into_sorted() {
        if diagnostic.key.as_ref().is_some_and(|key| own.iter().any(|(own, _)| *own == key)) {
            report.add(diagnostic);
        }
    }
    Some(settings)
}

fn read(map: &ConfigMap, snapshot: &Snapshot, report: &mut Report) -> Settings {
    let (raw, problems) = ConfigMapSettings::parse(&map.data);
    let key = map.metadata.key();
    let denial = problems.iter().find(|problem| problem.effect == Effect::Deny);
    let mut denied = denial.map(|problem| Arc::from(format!("ConfigMap {key}: {}: {}", problem.key, problem.message)));
    for problem in problems {
        let severity = if problem.effect == Effect::Deny { Severity::Error } else { Severity::Warning };
        let reason = Reason::ConfigMapParsingFailed;
        report.object(severity, reason, "ConfigMap", &map.metadata, Some(problem.key), problem.message);
    }
    let urls = raw.skip_access_log_urls.iter().flat_map(|list| &list.0);
    for (url, error) in urls.filter_map(|url| Some((url, UrlPattern::parse(url).err()?))) {
        let message = format!("{url:?} is no regex that can be used: {error}; it is left out");
        let key = Some("skip-access-log-urls".to_owned());
        report.object(Severity::Warning, Reason::ConfigMapParsingFailed, "ConfigMap", &map.metadata, key, message);
    }
    for code in raw.custom_http_errors.iter().flat_map(|errors| &errors.refused) {
        let message = format!("{code:?} is not a status from 300 to 599; it is left out");
        let key = Some("custom-http-errors".to_owned());
        report.object(Severity::Warning, Reason::ConfigMapParsingFailed, "ConfigMap", &map.metadata, key, message);
    }
    for (key, message) in identity::problems(&raw).into_iter().chain(tls::warnings(&raw)) {
        let reason = Reason::ConfigMapParsingFailed;
        report.object(Severity::Warning, reason, "ConfigMap", &map.metadata, Some(key.to_owned()), message);
    }
    let (snippets, unusable) = snippets::resolve(&raw);
    for snippets::Unusable { key, message, denies } in unusable {
        let severity = if denies { Severity::Error } else { Severity::Warning };
        denied =
            denied.or_else(|| denies.then(|| Arc::from(format!("ConfigMap {}: {key}: {message}", map.metadata.key()))));
        let key = Some(key.to_owned());
        report.object(severity, Reason::ConfigMapParsingFailed, "ConfigMap", &map.metadata, key, message);
    }
    let mut settings = Settings { denied, snippets, ..from_raw(&raw) };
    headers::refer(&mut settings.global, &raw, map, snapshot, report);
    settings
}

/// Fills in the defaults.
fn from_raw(raw: &ConfigMapSettings) -> Settings {
    let default = Settings::default();
    let non_idempotent = raw.retry_non_idempotent.unwrap_or(false);
    let seconds = |value: Option<super::annotations::value::Seconds>, default| value.map_or(default, |s| s.duration());
    let list = |value: &Option<super::annotations::value::CommaList>| value.as_ref().map(|l| l.0.clone());
    Settings {
        global: global(raw),
        ssl_redirect: raw.ssl_redirect.unwrap_or(default.ssl_redirect),
        force_ssl_redirect: raw.force_ssl_redirect.unwrap_or(default.force_ssl_redirect),
        preserve_trailing_slash: raw.preserve_trailing_slash.unwrap_or(default.preserve_trailing_slash),
        use_port_in_redirects: raw.use_port_in_redirects.unwrap_or(default.use_port_in_redirects),
        relative_redirects: raw.relative_redirects.unwrap_or(default.relative_redirects),
        no_tls_redirect_locations: list(&raw.no_tls_redirect_locations).unwrap_or(default.no_tls_redirect_locations),
        body_limit: raw.proxy_body_size.map_or(default.body_limit, |size| size.limit()),
        timeouts: Timeouts {
            connect: seconds(raw.proxy_connect_timeout, default.timeouts.connect),
            send: seconds(raw.proxy_send_timeout, default.timeouts.send),
            read: seconds(raw.proxy_read_timeout, default.timeouts.read),
        },
        retry: RetryPolicy {
            on: raw.proxy_next_upstream.as_ref().map_or_else(
                || with_non_idempotent(default.retry.on, non_idempotent),
                |set| conditions(set, non_idempotent),
            ),
            tries: raw.proxy_next_upstream_tries.unwrap_or(default.retry.tries),
            within: seconds(raw.proxy_next_upstream_timeout, default.retry.within),
        },
        retry_non_idempotent: non_idempotent,
        request_buffering: raw.proxy_request_buffering.map_or(default.request_buffering, |b| b.is_on()),
        grpc_head_limit: raw.grpc_buffer_size_kb.unwrap_or(0).saturating_mul(1024),
        response_head_limit: raw.proxy_buffer_size.map_or(default.response_head_limit, |size| size.clamped()),
        http10: raw.proxy_http_version == Some(HttpVersion::Http10),
        service_upstream: raw.service_upstream.unwrap_or(false),
        balance: BalanceSettings::from_raw(raw),
        errors: ErrorSettings::from_raw(raw),
        cross_namespace: raw.allow_cross_namespace_resources.unwrap_or(false),
        headers: headers::defaults(raw),
        access: AccessSettings::of(raw),
        questions: QuestionSettings::from_raw(raw),
        proxy_ssl_location_only: raw.proxy_ssl_location_only.unwrap_or(false),
        snippets: None,
        denied: None,
    }
}

fn global(raw: &ConfigMapSettings) -> GlobalPolicy {
    let default = GlobalPolicy::default();
    let keep_alive = default.upstream_keep_alive;
    GlobalPolicy {
        hsts: raw.hsts.unwrap_or(true).then(|| hsts(raw)).flatten(),
        https_redirect_code: raw
            .http_redirect_code
            .and_then(|code| StatusCode::from_u16(code.as_u16()).ok())
            .unwrap_or(default.https_redirect_code),
        drop_invalid_headers: raw.ignore_invalid_headers.unwrap_or(default.drop_invalid_headers),
        underscores_in_headers: raw.enable_underscores_in_headers.unwrap_or(default.underscores_in_headers),
        hide_headers: raw.hide_headers.as_ref().map_or(default.hide_headers, |list| {
            list.0.iter().filter_map(|name| HeaderName::from_bytes(name.as_bytes()).ok()).collect()
        }),
        keep_alive: raw.keep_alive.map_or(default.keep_alive, |s| s.duration()),
        keep_alive_requests: raw.keep_alive_requests.unwrap_or(default.keep_alive_requests),
        header_timeout: raw.client_header_timeout.map_or(default.header_timeout, |s| s.duration()),
        body_timeout: raw.client_body_timeout.map_or(default.body_timeout, |s| s.duration()),
        http2: raw.use_http2.unwrap_or(default.http2),
        http2_max_streams: raw.http2_max_concurrent_streams.unwrap_or(default.http2_max_streams),
        shutdown_timeout: raw.worker_shutdown_timeout.map_or(default.shutdown_timeout, |t| t.0),
        upstream_keep_alive: UpstreamKeepAlive {
            idle: raw.upstream_keepalive_connections.map_or(keep_alive.idle, |n| n as usize),
            idle_timeout: raw.upstream_keepalive_timeout.map_or(keep_alive.idle_timeout, |s| s.duration()),
            requests: raw.upstream_keepalive_requests.unwrap_or(keep_alive.requests),
            lifetime: raw.upstream_keepalive_time.map_or(keep_alive.lifetime, |t| t.0),
        },
        access_log: logs::http(raw),
        error_log: raw.error_log_level,
        streams: streams(raw),
        trust: identity::trust(raw),
        head: identity::head(raw),
        ipv6_names: !raw.disable_ipv6_dns.unwrap_or(!default.ipv6_names),
        tls: tls::resolve(raw),
        headers: headers::global(raw),
        compression: headers::compression(raw),
        blocks: access::blocks(raw),
        error_pages: ErrorSettings::from_raw(raw).of_servers(),
    }
}

fn streams(raw: &ConfigMapSettings) -> StreamPolicy {
    let default = StreamPolicy::default();
    let off = [raw.disable_access_log, raw.disable_stream_access_log].contains(&Some(true));
    StreamPolicy {
        idle: raw.proxy_stream_timeout.map_or(default.idle, |t| t.0),
        next_upstream: raw.proxy_stream_next_upstream.unwrap_or(default.next_upstream),
        tries: raw.proxy_stream_next_upstream_tries.unwrap_or(default.tries),
        within: raw.proxy_stream_next_upstream_timeout.map_or(default.within, |t| t.0),
        responses: raw.proxy_stream_responses.unwrap_or(default.responses),
        access_log: !off,
        log_target: logs::stream_target(raw),
        log_format: raw.log_format_stream.clone().unwrap_or(default.log_format),
    }
}

fn hsts(raw: &ConfigMapSettings) -> Option<HeaderValue> {
    let mut value = format!("max-age={}", raw.hsts_max_age.unwrap_or(31_536_000));
    if raw.hsts_include_subdomains.unwrap_or(true) {
        value.push_str("; includeSubDomains");
    }
    if raw.hsts_preload.unwrap_or(false) {
        value.push_str("; preload");
    }
    HeaderValue::from_str(&value).ok()
}

/// `proxy-next-upstream` as conditions; `retry-non-idempotent` adds its own.
pub fn conditions(set: &NextUpstream, non_idempotent: bool) -> Conditions {
    let mut on = Conditions::NONE;
    for condition in &set.0 {
        on = on.with(match condition {
            RetryCondition::Error => Conditions::ERROR,
            RetryCondition::Timeout => Conditions::TIMEOUT,
            RetryCondition::InvalidHeader => Conditions::INVALID_HEADER,
            RetryCondition::Http500 => Conditions::HTTP_500,
            RetryCondition::Http502 => Conditions::HTTP_502,
            RetryCondition::Http503 => Conditions::HTTP_503,
            RetryCondition::Http504 => Conditions::HTTP_504,
            RetryCondition::Http403 => Conditions::HTTP_403,
            RetryCondition::Http404 => Conditions::HTTP_404,
            RetryCondition::Http429 => Conditions::HTTP_429,
            RetryCondition::NonIdempotent => Conditions::NON_IDEMPOTENT,
            RetryCondition::Off => Conditions::NONE,
        });
    }
    with_non_idempotent(on, non_idempotent)
}

fn with_non_idempotent(on: Conditions, non_idempotent: bool) -> Conditions {
    if non_idempotent { on.with(Conditions::NON_IDEMPOTENT) } else { on }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_classes_are_keys() {
        for key in OF_CLASSES {
            assert!(super::super::configmap::ROWS.iter().any(|row| row.key == *key), "{key}");
        }
    }
}
