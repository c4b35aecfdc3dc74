//! The table read against maps of annotations.

use std::collections::HashSet;

use super::Effect::{Default as Fallback, Deny, Ignored, Reject, Unknown};
use super::value::{AppRoot, BoolElseFalse, FromAnnotation, Seconds, ServerAliases, Size};
use super::*;

fn parse(rows: &[(&str, &str)], options: &ParseOptions) -> (Annotations, Vec<AnnotationProblem>) {
    let key = |key: &str| if key.contains('/') { key.to_owned() } else { format!("{}/{key}", options.prefix) };
    Annotations::parse(&rows.iter().map(|(name, text)| (key(name), text.to_string())).collect(), options)
}

#[test]
fn values() {
    let rows = [
        ("app-root", "/app"),
        ("canary", "true"),
        ("client-body-buffer-size", ""),
        ("kubectl.kubernetes.io/ssl-redirect", "not ours"),
        ("proxy-body-size", "8m"),
        ("proxy-read-timeout", "3600"),
        ("server-alias", "b.test,a.test"),
        ("ssl-redirect", "  "),
    ];
    let expected = Annotations {
        app_root: AppRoot::from_annotation("/app").ok(),
        canary: Some(true),
        proxy_body_size: Some(Size(8 << 20)),
        proxy_read_timeout: Some(Seconds(3600)),
        server_alias: Some(ServerAliases(vec!["a.test".into(), "b.test".into()])),
        ..Default::default()
    };
    for prefix in [DEFAULT_PREFIX, "other.test"] {
        let options = ParseOptions { prefix: prefix.to_owned(), ..Default::default() };
        assert_eq!(parse(&rows, &options), (expected.clone(), vec![]), "{prefix}");
    }
    let elsewhere = ParseOptions { prefix: "x.test".to_owned(), ..Default::default() };
    let data = BTreeMap::from([("nginx.ingress.kubernetes.io/canary".to_owned(), "true".to_owned())]);
    assert_eq!(Annotations::parse(&data, &elsewhere), (Annotations::default(), vec![]));
}

#[test]
fn problems() {
    // key, text, with validation, without
    let rows = [
        ("ssl-redirect", "yes", Some(Fallback), Some(Fallback)),
        ("proxy-read-timeout", "60s", Some(Fallback), Some(Fallback)),
        ("proxy-body-size", "8mb", Some(Fallback), Some(Fallback)),
        ("rewrite-target", "/a b", Some(Fallback), None),
        ("app-root", "app", Some(Fallback), Some(Fallback)),
        ("app-root", "/a b", Some(Fallback), None),
        ("backend-protocol", "h2c", Some(Fallback), Some(Fallback)),
        ("relative-redirects", "maybe", Some(Reject), Some(Fallback)),
        ("server-alias", "a;b", Some(Reject), None),
        ("upstream-vhost", "a b", Some(Reject), None),
        ("x-forwarded-prefix", "/a;", Some(Reject), None),
        ("connection-proxy-header", "upgrade", Some(Reject), Some(Fallback)),
        ("client-body-buffer-size", "8kb", Some(Reject), Some(Fallback)),
        ("proxy-ssl-secret", "tls", Some(Deny), Some(Deny)),
        ("auth-type", "basic", None, None),
        ("auth-type", "Basic", Some(Reject), Some(Deny)),
        ("auth-secret", "a b", Some(Deny), Some(Deny)),
        ("auth-secret", "a/b/c", Some(Deny), Some(Deny)),
        ("auth-secret-type", "file", Some(Reject), Some(Deny)),
        ("auth-realm", "with, comma", Some(Reject), None),
        ("allowlist-source-range", "10.0.0.0/8,", Some(Deny), Some(Deny)),
        ("whitelist-source-range", "everybody", Some(Deny), Some(Deny)),
        ("whitelist-source-range", "10.0.0.0/8, ::1", None, None),
        ("denylist-source-range", "10.0.0.0/33", Some(Deny), Some(Deny)),
        ("auth-url", "http://auth.test/{x}", Some(Reject), None),
        ("auth-method", "FETCH", Some(Deny), Some(Deny)),
        ("auth-signin", "https://auth.test/{x}", Some(Fallback), None),
        ("auth-response-headers", "bad header!", Some(Deny), Some(Deny)),
        ("auth-request-redirect", "bad {}", Some(Deny), None),
        ("auth-proxy-set-headers", "name", Some(Deny), Some(Deny)),
        ("auth-always-set-cookie", "maybe", Some(Deny), Some(Deny)),
        ("auth-cache-key", "$a;b", Some(Fallback), None),
        ("auth-cache-duration", "200", Some(Deny), Some(Deny)),
        ("mirror-target", "http://auth.test/;", Some(Fallback), None),
        ("whitelist-source-range", "", None, None),
        ("whitelist-source-range", " ", Some(Deny), Some(Deny)),
        ("allowlist-source-range", "", Some(Deny), Some(Deny)),
        ("allowlist-source-range", " ", Some(Deny), Some(Deny)),
        ("denylist-source-range", "", Some(Deny), Some(Deny)),
        ("denylist-source-range", " ", Some(Deny), Some(Deny)),
        ("limit-allowlist", "", None, None),
        ("limit-rps", "5", None, None),
        ("limit-rps", "5/s", Some(Reject), Some(Deny)),
        ("limit-allowlist", "zzz", Some(Reject), Some(Fallback)),
        ("limit-burst-multiplier", "x", Some(Fallback), Some(Fallback)),
        ("limit-rps", "0", None, None),
        ("satisfy", "any", None, None),
        ("satisfy", "either", Some(Fallback), Some(Fallback)),
        ("satisfy", "all", None, None),
        ("canary", "yes", Some(Fallback), Some(Fallback)),
        ("canary-weight", "10%", Some(Fallback), Some(Fallback)),
        ("canary-weight-total", "-1", Some(Fallback), Some(Fallback)),
        ("canary-by-header", "X-A;", Some(Fallback), Some(Fallback)),
        ("canary-by-header-value", "a;b", Some(Fallback), None),
        ("canary-by-header-pattern", "a;b", Some(Fallback), None),
        ("canary-by-cookie", "a;b", Some(Fallback), None),
        ("http2-push-preload", "true", Some(Ignored), Some(Ignored)),
        ("http2-push-preload", "False", None, None),
        ("http2-push-preload", "on", Some(Reject), Some(Ignored)),
        ("limit-rps", "-1", None, None),
        ("enable-cors", "yes", Some(Fallback), Some(Fallback)),
        ("cors-allow-origin", "a.test/", Some(Fallback), None),
        ("cors-max-age", "10s", Some(Fallback), Some(Fallback)),
        ("permanent-redirect", "https://a.test/%20", Some(Reject), None),
        ("permanent-redirect-code", "3o1", Some(Reject), Some(Fallback)),
        ("from-to-www-redirect", "yes", Some(Reject), Some(Fallback)),
        ("custom-headers", "a,b", Some(Fallback), None),
        ("custom-headers", "name", None, None),
        ("proxy-cookie-domain", "one", Some(Fallback), None),
        ("proxy-redirect-from", "~^a", Some(Fallback), None),
        ("limit-rate", "1k", Some(Fallback), Some(Fallback)),
        ("proxy-ssl-ciphers", "HIGH", None, None),
        ("proxy-ssl-ciphers", "a;b", Some(Fallback), None),
        ("ssl-ciphers", "a;b", Some(Reject), None),
        ("ssl-prefer-server-ciphers", "on", Some(Fallback), Some(Fallback)),
        ("auth-tls-secret", "ca", None, None),
        ("auth-tls-verify-client", "yes", Some(Fallback), Some(Fallback)),
        ("auth-tls-verify-depth", "one", Some(Fallback), Some(Fallback)),
        ("auth-tls-match-cn", "alice", Some(Reject), None),
        ("auth-tls-match-cn", "CN=(", Some(Reject), None),
        ("auth-tls-error-page", "/a;", Some(Reject), None),
        ("auth-tls-pass-certificate-to-upstream", "on", Some(Reject), Some(Deny)),
        ("stream-snippet", "return 403;", Some(Ignored), Some(Ignored)),
        ("sslredirect", "true", Some(Unknown), Some(Unknown)),
    ];
    for (key, text, checked, unchecked) in rows {
        for (validate, expected) in [(true, checked), (false, unchecked)] {
            let (_, problems) = parse(&[(key, text)], &ParseOptions { validate, ..Default::default() });
            let effects: Vec<_> = problems.iter().map(|problem| (problem.key.as_str(), problem.effect)).collect();
            let full = format!("{DEFAULT_PREFIX}/{key}");
            let expected: Vec<_> = expected.map(|effect| (full.as_str(), effect)).into_iter().collect();
            assert_eq!(effects, expected, "{key}={text:?}, validate: {validate}");
        }
    }
}

#[test]
fn messages() {
    let rows = [
        ("proxy-read-timeout", "60s", r#""60s" is not a whole number of seconds, without a unit; its default applies"#),
        (
            "server-alias",
            "a;b",
            r#""a;b" is not a comma list of host names, *.host or ~regex; the object is not accepted"#,
        ),
        ("proxy-buffers-number", "8", "there are no such buffers here: ignored"),
        ("sslredirect", "true", "not a known setting; did you mean ssl-redirect?"),
        ("whitelist-source-rang", "x", "not a known setting; did you mean whitelist-source-range?"),
        ("something-else", "true", "not a known setting"),
    ];
    for (key, text, expected) in rows {
        let (_, problems) = parse(&[(key, text)], &ParseOptions::default());
        assert_eq!(problems[0].message, expected, "{key}={text:?}");
    }
}

#[test]
fn a_broken_service_upstream_is_false() {
    let (settings, problems) = parse(&[("service-upstream", "yes")], &ParseOptions::default());
    assert_eq!(settings.service_upstream, Some(BoolElseFalse(false)));
    assert_eq!(problems.len(), 1);
}

#[test]
fn the_first_spelling_wins() {
    let rows: [(&[(&str, &str)], &str); 4] = [
        (&[("allowlist-source-range", ""), ("whitelist-source-range", "")], "allowlist-source-range"),
        (&[("allowlist-source-range", "one"), ("whitelist-source-range", "two")], "allowlist-source-range"),
        (&[("allowlist-source-range", ""), ("whitelist-source-range", "two")], "whitelist-source-range"),
        (&[("whitelist-source-range", "two")], "whitelist-source-range"),
    ];
    for (input, expected) in rows {
        let (_, problems) = parse(input, &ParseOptions::default());
        let keys: Vec<_> = problems.iter().map(|problem| problem.key.as_str()).collect();
        assert_eq!(keys, [format!("{DEFAULT_PREFIX}/{expected}")], "{input:?}");
    }
}

#[test]
fn table() {
    assert_eq!(ROWS.len(), 136);
    assert_eq!(ROWS.iter().flat_map(Row::spellings).count(), 138);
    check_rows(ROWS);
}

/// What holds for every table.
pub(crate) fn check_rows(rows: &[Row]) {
    let mut seen = HashSet::new();
    for row in rows {
        assert!(row.spellings().all(|key| seen.insert(key)), "{}: twice", row.key);
        assert!(!row.doc.trim().is_empty() && !row.values.is_empty(), "{}: undescribed", row.key);
        let acted_on = matches!(row.support, Support::Full | Support::Partial(_));
        assert_eq!(row.field.is_some(), acted_on, "{}: a field without support, or the other way round", row.key);
        assert!(!row.access || acted_on || matches!(row.support, Support::Refused(_)), "{}: left open", row.key);
        if let Some(field) = row.field {
            assert_eq!(field.replace('_', "-"), row.key);
        }
    }
}
