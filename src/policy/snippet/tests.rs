//! Directives run on values, without a request.

use super::*;
use crate::policy::template::Values;
use crate::policy::variable::Variable;

/// Values by name.
pub struct Given(pub Vec<(&'static str, &'static str)>);

impl Values for Given {
    fn variable(&self, variable: &Variable, out: &mut Vec<u8>) -> bool {
        let found = self.0.iter().find(|(name, _)| Variable::parse(name).as_ref() == Some(variable));
        out.extend(found.iter().flat_map(|(_, value)| value.bytes()));
        found.is_some()
    }
}

#[test]
fn networks() {
    let rows = [
        ("192.0.2.0/24", "192.0.2.9", true),
        ("192.0.2.0/24", "192.0.3.9", false),
        ("0.0.0.0/0", "192.0.3.9", true),
        ("0.0.0.0/0", "2001:db8::1", false),
        ("2001:db8::/32", "2001:db8:1::1", true),
        ("::/0", "2001:db8:1::1", true),
        ("192.0.2.1", "192.0.2.1", true),
        ("192.0.2.1", "192.0.2.2", false),
    ];
    for (net, client, expected) in rows {
        let rules = vec![Rule { allows: true, net: Net::parse(net) }, Rule { allows: false, net: None }];
        let access = Access { rules, limit_except: None };
        assert_eq!(access.allows(client.parse().unwrap(), &http::Method::GET), expected, "{net} {client}");
    }
    assert!(Net::parse("192.0.2.0/33").is_none() && Net::parse("all").is_none());
}

#[test]
fn limited_methods() {
    let deny = vec![Rule { allows: false, net: None }];
    let limit = LimitExcept { methods: vec![http::Method::GET], rules: deny };
    let access = Access { rules: vec![], limit_except: Some(limit) };
    let client = "192.0.2.1".parse().unwrap();
    let rows = [(http::Method::GET, true), (http::Method::HEAD, true), (http::Method::POST, false)];
    for (method, expected) in rows {
        assert_eq!(access.allows(client, &method), expected, "{method}");
    }
}

#[test]
fn locations_of_servers() {
    let location = |path| OwnLocation { path, snippet: Arc::default() };
    let server = ServerSnippet {
        locations: vec![
            location(OwnPath::Exact("/exact".into())),
            location(OwnPath::Prefix("/a".into(), false)),
            location(OwnPath::Prefix("/a/long".into(), false)),
            location(OwnPath::Prefix("/first".into(), true)),
            location(OwnPath::Regex(Pattern::new(r"\.php$", false).unwrap())),
        ],
        ..ServerSnippet::default()
    };
    let rows = [
        ("/exact", Found::Prefix("/"), Some(0)),
        ("/exact", Found::Exact, Some(0)),
        ("/a/x", Found::Prefix("/"), Some(1)),
        ("/a/x", Found::Prefix("/a/x"), None),
        ("/a/longer", Found::Prefix("/a"), Some(2)),
        ("/a/longer", Found::Regex, None),
        ("/a/long/x.php", Found::Prefix("/"), Some(4)),
        ("/a/long/x.php", Found::Regex, Some(4)),
        ("/a/long/x.php", Found::Exact, None),
        ("/first/x.php", Found::Prefix("/"), Some(3)),
        ("/other", Found::Nothing, None),
    ];
    for (path, found, expected) in rows {
        let at = server.location(path.as_bytes(), found);
        let at = at.and_then(|at| server.locations.iter().position(|l| std::ptr::eq(l, at)));
        assert_eq!(at, expected, "{path} {found:?}");
    }
}
