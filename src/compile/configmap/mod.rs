//! The controller's ConfigMap, raw: what each key holds, and what is wrong with it. Defaults are the resolving
//! stage's.

mod table;

use std::collections::BTreeMap;

use super::annotations::row::{self, Reading, SettingProblem};
pub use table::{ConfigMapSettings, ROWS};

impl ConfigMapSettings {
    /// Reads the `data` of the ConfigMap. A broken value counts as absent. An empty flag is false and an empty list is
    /// a list, as Go's decoder has it; an empty number or text is "not set".
    pub fn parse(data: &BTreeMap<String, String>) -> (Self, Vec<SettingProblem>) {
        row::read(data, Reading { prefix: "", validate: true, empty_is_value: true })
    }
}

#[cfg(test)]
mod tests {
    use super::super::annotations::row::{Effect, Support};
    use super::super::annotations::value::{CommaList, NginxTime, RedirectCode, Seconds, Size};
    use super::*;

    fn parse(rows: &[(&str, &str)]) -> (ConfigMapSettings, Vec<(String, Effect)>) {
        let data = rows.iter().map(|(key, text)| (key.to_string(), text.to_string())).collect();
        let (settings, problems) = ConfigMapSettings::parse(&data);
        (settings, problems.into_iter().map(|problem| (problem.key, problem.effect)).collect())
    }

    #[test]
    fn values() {
        let (settings, problems) = parse(&[
            ("hsts", "False"),
            ("hsts-max-age", "63072000"),
            ("http-redirect-code", "301"),
            ("no-tls-redirect-locations", ""),
            ("hide-headers", "X-A, X-B"),
            ("proxy-body-size", "8m"),
            ("proxy-read-timeout", "90"),
            ("ssl-redirect", ""),
            ("worker-shutdown-timeout", "4m"),
        ]);
        let expected = ConfigMapSettings {
            hsts: Some(false),
            hsts_max_age: Some(63_072_000),
            http_redirect_code: Some(RedirectCode::MovedPermanently),
            no_tls_redirect_locations: Some(CommaList(vec![])),
            hide_headers: Some(CommaList(vec!["X-A".into(), "X-B".into()])),
            proxy_body_size: Some(Size(8 << 20)),
            proxy_read_timeout: Some(Seconds(90)),
            ssl_redirect: Some(false),
            worker_shutdown_timeout: Some(NginxTime(std::time::Duration::from_secs(240))),
            ..Default::default()
        };
        assert_eq!(settings, expected);
        assert_eq!(problems, []);
    }

    #[test]
    fn problems() {
        let rows = [
            ("proxy-read-timeout", "90s", Some(Effect::Default)),
            ("http-redirect-code", "303", Some(Effect::Default)),
            ("hsts", "yes", Some(Effect::Default)),
            ("gzip-level", "10", Some(Effect::Default)),
            ("add-headers", "name", Some(Effect::Default)),
            ("proxy-read-timeout", "", None),
            ("enable-modsecurity", "true", Some(Effect::Ignored)),
            ("enable-modsecurity", "false", None),
            ("whitelist-source-range", "zzz", Some(Effect::Deny)),
            ("block-user-agents", "~(?=a)", Some(Effect::Deny)),
            ("whitelist-source-range", "", None),
            ("block-cidrs", "10.0.0.0/8", Some(Effect::Deny)),
            ("global-auth-method", "FETCH", Some(Effect::Default)),
            ("ssl-ciphers", "", None),
            ("ssl-redirects", "true", Some(Effect::Unknown)),
        ];
        for (key, text, expected) in rows {
            let (settings, problems) = parse(&[(key, text)]);
            let expected: Vec<_> = expected.map(|effect| (key.to_owned(), effect)).into_iter().collect();
            assert_eq!(problems, expected, "{key}={text:?}");
            assert_eq!(settings, ConfigMapSettings::default(), "{key}={text:?}");
        }
    }

    #[test]
    fn table() {
        // Of ingress-nginx, and zstd.
        assert_eq!(ROWS.len(), 208 + 4);
        super::super::annotations::tests::check_rows(ROWS);
        assert!(ROWS.iter().all(|row| !matches!(row.support, Support::Refused(_)) || row.access));
    }
}
