//! The parameters of a FastCGI request: those of nginx's `fastcgi_params`, the location's own, and the headers.

use std::borrow::Cow;

use http::header::{self, HeaderMap, HeaderName};

use crate::base::path;
use crate::policy::fastcgi::FastCgi;
use crate::policy::template::{Template, Values};
use crate::policy::variable::{Named, Variable};
use crate::proxy::exchange::Exchange;
use crate::proxy::facts::Facts;

/// Where nginx has its files when nobody says otherwise; responders read it as a prefix at most.
const DOCUMENT_ROOT: &str = "/usr/local/nginx/html";

type Pair = (Cow<'static, [u8]>, Vec<u8>);

/// What is known of a request before its headers are made ready for the upstream.
#[derive(Clone, Debug, Default)]
pub struct Params {
    pairs: Vec<Pair>,
}

/// nginx's `fastcgi_params`, in its order; `HTTPS` is there only on https, `CONTENT_LENGTH` comes with the headers.
const USUAL: &[(&str, &str)] = &[
    ("QUERY_STRING", "$query_string"),
    ("REQUEST_METHOD", "$request_method"),
    ("CONTENT_TYPE", "$content_type"),
    ("SCRIPT_NAME", "$fastcgi_script_name"),
    ("REQUEST_URI", "$request_uri"),
    ("DOCUMENT_URI", "$document_uri"),
    ("DOCUMENT_ROOT", "$document_root"),
    ("SERVER_PROTOCOL", "$server_protocol"),
    ("REQUEST_SCHEME", "$scheme"),
    ("HTTPS", "$https"),
    ("GATEWAY_INTERFACE", "CGI/1.1"),
    ("SERVER_SOFTWARE", "portcullis"),
    ("REMOTE_ADDR", "$remote_addr"),
    ("REMOTE_PORT", "$remote_port"),
    ("SERVER_PORT", "$server_port"),
    ("SERVER_NAME", "$server_name"),
    // PHP refuses to work without it.
    ("REDIRECT_STATUS", "200"),
];

/// A request as its responder sees it: after a rewrite, with the index file.
struct Seen<'a> {
    facts: Facts<'a>,
    path: Cow<'a, [u8]>,
    query: &'a str,
    index: &'a str,
}

impl Values for Seen<'_> {
    fn variable(&self, variable: &Variable, out: &mut Vec<u8>) -> bool {
        let Variable::Named(named) = variable else { return self.facts.variable(variable, out) };
        match named {
            Named::FastcgiScriptName => {
                out.extend_from_slice(&self.path);
                if self.path.ends_with(b"/") {
                    out.extend_from_slice(self.index.as_bytes());
                }
            }
            Named::Uri => out.extend_from_slice(&self.path),
            Named::Args => out.extend_from_slice(self.query.as_bytes()),
            Named::DocumentRoot => out.extend_from_slice(DOCUMENT_ROOT.as_bytes()),
            _ => return self.facts.variable(variable, out),
        }
        true
    }
}

impl Params {
    /// `target` is path and query after a rewrite; `headers` are as the client sent them.
    pub fn new(exchange: &Exchange, settings: &FastCgi, target: Option<&str>, headers: &HeaderMap) -> Self {
        let (path, query) = match target.map(|target| target.split_once('?').unwrap_or((target, ""))) {
            Some((path, query)) => (path::normalise(path).unwrap_or(Cow::Borrowed(b"/")), query),
            None => (Cow::Borrowed(exchange.path.as_slice()), exchange.uri.query().unwrap_or_default()),
        };
        let facts = Facts { exchange, headers };
        let seen = Seen { facts, path, query, index: settings.index.as_deref().unwrap_or_default() };
        let is_own = |name: &str| settings.params.iter().any(|(own, _)| **own == *name);
        let usual = USUAL.iter().filter(|(name, _)| !is_own(name)).filter_map(|(name, text)| {
            let value = Template::parse(text).ok()?.fill(&seen);
            let left_out = *name == "HTTPS" && value.is_empty();
            (!left_out).then_some((Cow::Borrowed(name.as_bytes()), value))
        });
        let own = settings.params.iter().map(|(name, text)| (Cow::Owned(name.as_bytes().to_vec()), text.fill(&seen)));
        Self { pairs: usual.chain(own).collect() }
    }

    /// With the headers as the upstream gets them: `HTTP_X_NAME`, unless there is a parameter of that name.
    pub fn with_headers(&self, headers: &HeaderMap) -> Vec<Pair> {
        let mut all = self.pairs.clone();
        let has = |name: &[u8]| self.pairs.iter().any(|(known, _)| **known == *name);
        let length = headers.get(header::CONTENT_LENGTH).map_or_else(Vec::new, |value| value.as_bytes().to_vec());
        if !has(b"CONTENT_LENGTH") {
            all.push((Cow::Borrowed(b"CONTENT_LENGTH"), length));
        }
        let framing = [header::CONTENT_LENGTH, header::CONTENT_TYPE, header::TRANSFER_ENCODING, header::CONNECTION];
        // A name with underscores is another spelling, which never stands for the one that we set.
        let again =
            |name: &HeaderName| name.as_str().contains('_') && headers.contains_key(name.as_str().replace('_', "-"));
        for name in headers.keys().filter(|name| !framing.contains(name) && !again(name)) {
            let upper = name.as_str().bytes().map(|b| if b == b'-' { b'_' } else { b.to_ascii_uppercase() });
            let key: Vec<u8> = b"HTTP_".iter().copied().chain(upper).collect();
            // What FastCGI programs take for the address of a proxy (httpoxy).
            if has(&key) || key == b"HTTP_PROXY" {
                continue;
            }
            let lines: Vec<&[u8]> = headers.get_all(name).iter().map(|value| value.as_bytes()).collect();
            let between: &[u8] = if *name == header::COOKIE { b"; " } else { b", " };
            all.push((Cow::Owned(key), lines.join(between)));
        }
        all
    }
}
