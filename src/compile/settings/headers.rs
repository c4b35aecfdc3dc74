//! The ConfigMap's settings of redirects, headers, compression and the rate of answers.

use std::sync::Arc;

use http::{HeaderName, HeaderValue};

use crate::base::diagnostic::{Reason, Severity};
use crate::compile::configmap::ConfigMapSettings;
use crate::compile::report::Report;
use crate::policy::compression::{Compression, Format, Types};
use crate::policy::global::{GlobalPolicy, UrlPattern};
use crate::policy::header_text::{GlobalHeaders, HeaderText, ServerHeader};
use crate::snapshot::{ConfigMap, Meta, ObjectKey, Snapshot};

/// Defaults of what annotations may override, and the names that `custom-headers` may set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderSettings {
    pub app_root: Option<Arc<str>>,
    /// As written; `None` is `off`.
    pub cookie_domain: Option<String>,
    pub cookie_path: Option<String>,
    pub redirect_from: Option<String>,
    pub redirect_to: Option<String>,
    /// As written: ingress-nginx compares them letter by letter.
    pub allowed_response_headers: Vec<String>,
    /// KB per second, and KB.
    pub limit_rate: i64,
    pub limit_rate_after: i64,
    pub buffering: bool,
}

/// MIME types of gzip and, in this order of preference, of the others unless they say otherwise.
const TYPES: &str = "application/atom+xml application/javascript application/x-javascript application/json \
    application/rss+xml application/vnd.ms-fontobject application/x-font-ttf application/x-web-app-manifest+json \
    application/xhtml+xml application/xml font/opentype image/svg+xml image/x-icon text/css text/javascript text/plain \
    text/x-component";

pub fn defaults(raw: &ConfigMapSettings) -> HeaderSettings {
    let allowed = raw.global_allowed_response_headers.as_ref().map(|list| list.0.clone()).unwrap_or_default();
    HeaderSettings {
        app_root: raw.app_root.as_ref().map(|root| root.as_str().into()),
        cookie_domain: raw.proxy_cookie_domain.clone(),
        cookie_path: raw.proxy_cookie_path.clone(),
        redirect_from: raw.proxy_redirect_from.clone(),
        redirect_to: raw.proxy_redirect_to.clone(),
        allowed_response_headers: allowed.into_iter().filter(|name| is_header_name(name)).collect(),
        limit_rate: raw.limit_rate.map_or(0, |n| n.0),
        limit_rate_after: raw.limit_rate_after.map_or(0, |n| n.0),
        buffering: raw.proxy_buffering.is_some_and(|b| b.is_on()),
    }
}

/// The characters that ingress-nginx allows in the names of headers.
pub fn is_header_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// What the whole controller does with headers, but for those that another ConfigMap lists.
pub fn global(raw: &ConfigMapSettings) -> GlobalHeaders {
    let default = GlobalHeaders::default();
    let tokens = raw.server_tokens.unwrap_or(false);
    let default_type = raw.default_type.as_ref().and_then(|text| HeaderValue::from_str(text.trim()).ok());
    GlobalHeaders {
        server: match raw.allow_backend_server_header.unwrap_or(false) {
            // Hiding wins: nginx clears the header whoever set it.
            _ if !tokens => ServerHeader::Hidden,
            true => ServerHeader::Upstream,
            false => ServerHeader::Own,
        },
        original_uri: raw.proxy_add_original_uri_header.unwrap_or(default.original_uri),
        request_id: raw.generate_request_id.unwrap_or(default.request_id),
        default_type: default_type.unwrap_or(default.default_type.clone()),
        ..default
    }
}

pub fn compression(raw: &ConfigMapSettings) -> Option<Arc<Compression>> {
    let format = |on: Option<bool>, level: u32, min_length: u64, types: &Option<String>| {
        let types = Types::parse(types.as_deref().unwrap_or(TYPES));
        on.unwrap_or(false).then_some(Format { level, min_length, types })
    };
    let gzip_level = raw.gzip_level.map_or(1, |level| level.0);
    let brotli_level = raw.brotli_level.map_or(4, |level| level.0);
    let zstd_level = raw.zstd_level.map_or(3, |level| level.0);
    let compression = Compression {
        gzip: format(raw.use_gzip, gzip_level, raw.gzip_min_length.unwrap_or(256), &raw.gzip_types),
        brotli: format(raw.enable_brotli, brotli_level, raw.brotli_min_length.unwrap_or(20), &raw.brotli_types),
        zstd: format(raw.enable_zstd, zstd_level, raw.zstd_min_length.unwrap_or(256), &raw.zstd_types),
        no_gzip: raw.gzip_disable.as_deref().and_then(|text| no_gzip(text).ok()),
    };
    (compression != Compression { no_gzip: compression.no_gzip.clone(), ..Compression::default() })
        .then(|| Arc::new(compression))
}

/// `gzip_disable`: a regex whatever the case, or nginx's word for old browsers.
fn no_gzip(text: &str) -> Result<UrlPattern, String> {
    let pattern = if text == "msie6" { r"MSIE [4-6]\." } else { text };
    UrlPattern::parse(&format!("~*{pattern}"))
}

/// Reads the ConfigMaps that the controller's names, and tells what of its header settings cannot be used.
pub fn refer(
    global: &mut GlobalPolicy,
    raw: &ConfigMapSettings,
    map: &ConfigMap,
    snapshot: &Snapshot,
    report: &mut Report,
) {
    let mut say = |reason, meta: &Meta, key: &str, message: String| {
        report.object(Severity::Warning, reason, "ConfigMap", meta, Some(key.to_owned()), message);
    };
    if let Some(error) = raw.gzip_disable.as_deref().and_then(|text| no_gzip(text).err()) {
        say(
            Reason::ConfigMapParsingFailed,
            &map.metadata,
            "gzip-disable",
            format!("it is no regex that can be used: {error}; it is left out"),
        );
    }
    for name in raw.global_allowed_response_headers.iter().flat_map(|list| &list.0).filter(|n| !is_header_name(n)) {
        say(
            Reason::ConfigMapParsingFailed,
            &map.metadata,
            "global-allowed-response-headers",
            format!("{name:?} is no header name; it is left out"),
        );
    }
    let mut list = |key: &'static str, named: &Option<ObjectKey>, to_upstream: bool| -> Arc<[HeaderText]> {
        let Some(named) = named else { return Arc::from([]) };
        let Some(referred) = snapshot.config_maps.get(named) else {
            say(
                Reason::MissingReference,
                &map.metadata,
                key,
                format!("ConfigMap {named} does not exist: no header is set"),
            );
            return Arc::from([]);
        };
        let mut headers = Vec::new();
        for (name, text) in &referred.data {
            match header(name, text.trim(), to_upstream) {
                Ok(header) => headers.push(header),
                Err(error) => say(
                    Reason::ConfigMapParsingFailed,
                    &referred.metadata,
                    name,
                    format!("{error}; it is left out of {key}"),
                ),
            }
        }
        headers.into()
    };
    global.headers.add = list("add-headers", &raw.add_headers, false);
    global.headers.set = list("proxy-set-headers", &raw.proxy_set_headers, true);
}

/// Headers that say how a message is framed, or are about one connection only: nobody sets them but the proxy.
const FRAMING: [&str; 9] = [
    "connection",
    "content-length",
    "expect",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

fn header(name: &str, text: &str, to_upstream: bool) -> Result<HeaderText, String> {
    let name = header_name(name)?;
    if name == http::header::HOST && !to_upstream {
        return Err("an answer has no Host".to_owned());
    }
    HeaderText::template(name, text)
}

/// A name that may be set by configuration.
pub fn header_name(name: &str) -> Result<HeaderName, String> {
    let parsed = HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("{name:?} is no header name"))?;
    match FRAMING.contains(&parsed.as_str()) {
        true => Err(format!("{name} is the proxy's own to set")),
        false => Ok(parsed),
    }
}
