//! The ConfigMap's snippets. They are the administrator's, so no permission is asked for.

use crate::compile::configmap::ConfigMapSettings;
use crate::compile::snippet::{Context, Level, read};

/// `http-snippet`, `server-snippet`, `location-snippet`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snippets {
    pub http: Level,
    pub server: Level,
    pub location: Level,
}

/// One that cannot be used: its key, what is wrong, and whether it would have kept somebody out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unusable {
    pub key: &'static str,
    pub message: String,
    pub denies: bool,
}

/// Directives that keep somebody out: without them everybody would be let in.
const GUARDS: [&str; 9] = [
    "deny",
    "allow",
    "satisfy",
    "limit_except",
    "auth_basic",
    "auth_request",
    "return",
    "internal",
    "ssl_verify_client",
];

/// Reads all three; `None` when there are none.
pub fn resolve(raw: &ConfigMapSettings) -> (Option<Box<Snippets>>, Vec<Unusable>) {
    let mut unusable = Vec::new();
    let mut level = |key, text: &Option<String>, context| {
        let text = text.as_deref().filter(|text| !text.trim().is_empty())?;
        let error = match read(text, context) {
            Ok(level) => return Some(level),
            Err(error) => error,
        };
        let denies = text.split(|c: char| c != '_' && !c.is_ascii_alphanumeric()).any(|word| GUARDS.contains(&word));
        let so = if denies { "it may keep somebody out, so every path answers 503" } else { "it is left out" };
        unusable.push(Unusable { key, message: format!("{error}; {so}"), denies });
        None
    };
    let http = level("http-snippet", &raw.http_snippet, Context::Http);
    let server = level("server-snippet", &raw.server_snippet, Context::Server);
    let location = level("location-snippet", &raw.location_snippet, Context::Location);
    let snippets = (http.is_some() || server.is_some() || location.is_some()).then(|| {
        Box::new(Snippets {
            http: http.unwrap_or_default(),
            server: server.unwrap_or_default(),
            location: location.unwrap_or_default(),
        })
    });
    (snippets, unusable)
}
