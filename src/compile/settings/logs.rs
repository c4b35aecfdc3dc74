//! The ConfigMap's settings of access logs.

use std::sync::Arc;

use crate::compile::configmap::ConfigMapSettings;
use crate::policy::access_log::{Escape, LogFormat};
use crate::policy::global::{AccessLogPolicy, UrlPattern};
use crate::policy::logs::LogTarget;

/// The access log of http.
pub fn http(raw: &ConfigMapSettings) -> AccessLogPolicy {
    let default = AccessLogPolicy::default();
    AccessLogPolicy {
        off: [raw.disable_access_log, raw.disable_http_access_log].contains(&Some(true)),
        format: Arc::new(format(raw)),
        target: target(raw, raw.http_access_log_path.as_ref()),
        default_backend: raw.enable_access_log_for_default_backend.unwrap_or(default.default_backend),
        questions: raw.enable_auth_access_log.unwrap_or(default.questions),
        skip_urls: raw
            .skip_access_log_urls
            .as_ref()
            .map_or(default.skip_urls, |list| list.0.iter().filter_map(|url| UrlPattern::parse(url).ok()).collect()),
    }
}

/// Where the access log of streams goes.
pub fn stream_target(raw: &ConfigMapSettings) -> LogTarget {
    target(raw, raw.stream_access_log_path.as_ref())
}

/// `escape=none` wins over `escape=json`, as ingress-nginx writes them.
fn format(raw: &ConfigMapSettings) -> LogFormat {
    let escape = match (raw.log_format_escape_none, raw.log_format_escape_json) {
        (Some(true), _) => Escape::None,
        (_, Some(true)) => Escape::Json,
        _ => Escape::Default,
    };
    let own = raw.log_format_upstream.as_ref().and_then(|text| LogFormat::parse(&text.0, escape).ok());
    own.unwrap_or_else(|| LogFormat::standard(escape))
}

/// syslog takes the place of files (ingress-nginx's template).
fn target(raw: &ConfigMapSettings, own: Option<&LogTarget>) -> LogTarget {
    if let (Some(true), Some(host)) = (raw.enable_syslog, &raw.syslog_host) {
        return LogTarget::Syslog(host.0.as_str().into(), raw.syslog_port.map_or(514, |port| port.0));
    }
    own.or(raw.access_log_path.as_ref()).cloned().unwrap_or_default()
}
