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
const GUARDS: [&str; 7] = ["deny", "allow", "satisfy", "limit_except", "return", "internal", "ssl_verify_client"];

/// How the names of others begin: modules that ask for passwords or tokens, and programs that end requests.
const GUARD_FAMILIES: [&str; 3] = ["auth_", "access_by_lua", "rewrite_by_lua"];

fn is_guard(word: &str) -> bool {
    GUARDS.contains(&word) || GUARD_FAMILIES.iter().any(|family| word.starts_with(family))
}

/// Reads all three; `None` when there are none.
pub fn resolve(raw: &ConfigMapSettings) -> (Option<Box<Snippets>>, Vec<Unusable>) {
    let mut unusable = Vec::new();
    let mut level = |key, text: &Option<String>, context| {
        let text = text.as_deref().filter(|text| !text.trim().is_empty())?;
        let error = match read(text, context) {
            Ok(level) => return Some(level),
            Err(error) => error,
        };
        let denies = text.split(|c: char| c != '_' && !c.is_ascii_alphanumeric()).any(is_guard);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_keep_somebody_out() {
        let raw =
            |text: &str| ConfigMapSettings { server_snippet: Some(text.to_owned()), ..ConfigMapSettings::default() };
        let rows = [
            ("auth_digest x;", true),
            ("location /a { auth_jwt on; }", true),
            ("access_by_lua_block { ngx.exit(403) }", true),
            ("rewrite_by_lua_file /x.lua;", true),
            ("log_by_lua_block { x }", false),
            ("sub_filter author writer;", false),
        ];
        for (text, expected) in rows {
            assert_eq!(resolve(&raw(text)).1.iter().map(|one| one.denies).collect::<Vec<_>>(), [expected], "{text}");
        }
    }
}
