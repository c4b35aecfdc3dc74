//! What is believed of which connection and which headers, as rows.

use super::*;

const NEAR: &str = "10.0.0.1:1000";

type Pair<'a> = (&'a str, &'a str);
type Sent<'a> = &'a [Pair<'a>];

fn headers(sent: &[(&str, &str)]) -> HeaderMap {
    let pair = |(name, value): &(&str, &str)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
    sent.iter().map(pair).collect()
}

fn all() -> TrustPolicy {
    TrustPolicy { forwarded_headers: true, ..TrustPolicy::default() }
}

fn only(networks: &[&str]) -> TrustPolicy {
    TrustPolicy { proxies: networks.iter().map(|n| n.parse().unwrap()).collect(), ..all() }
}

fn believe(policy: &TrustPolicy, peer: &str, proxied: Option<(&str, &str)>, sent: &[(&str, &str)]) -> Forwarded {
    let port = HeaderValue::from_static("80");
    let connection = Connection {
        peer: peer.parse().unwrap(),
        scheme: "http",
        port: &port,
        proxied: proxied.map(|(from, to)| (from.parse().unwrap(), to.parse().unwrap())),
        https_port: 8443,
    };
    *policy.believe(connection, &headers(sent)).unwrap()
}

#[test]
fn addresses() {
    let lb = only(&["10.0.0.0/8"]);
    let rows: &[(&TrustPolicy, &str, &[&str], &str)] = &[
        (&all(), NEAR, &["203.0.113.7, 198.51.100.9"], "203.0.113.7:0"),
        (&all(), NEAR, &["203.0.113.7", "198.51.100.9"], "203.0.113.7:0"),
        (&all(), NEAR, &["203.0.113.7:5555"], "203.0.113.7:5555"),
        (&all(), NEAR, &["2001:db8::1"], "[2001:db8::1]:0"),
        (&all(), NEAR, &["1.2.3.4, [2001:db8::1]:9"], "1.2.3.4:0"),
        (&all(), NEAR, &["[2001:db8::1]"], "[2001:db8::1]:0"),
        (&all(), "[2001:db8::2]:9", &["1.2.3.4"], "1.2.3.4:0"),
        (&all(), NEAR, &["::ffff:1.2.3.4"], "1.2.3.4:0"),
        (&all(), NEAR, &["not-an-ip"], NEAR),
        (&all(), NEAR, &["1.2.3.4, unknown, 5.6.7.8"], "5.6.7.8:0"),
        (&all(), NEAR, &["[1.2.3.4]"], NEAR),
        (&all(), NEAR, &[" ,, 1.2.3.4 , "], "1.2.3.4:0"),
        (&all(), NEAR, &[""], NEAR),
        (&all(), NEAR, &[], NEAR),
        (&lb, NEAR, &["203.0.113.7, 198.51.100.9"], "198.51.100.9:0"),
        (&lb, NEAR, &["203.0.113.7, 198.51.100.9, 10.1.1.1"], "198.51.100.9:0"),
        (&lb, NEAR, &["203.0.113.7", "10.1.1.1"], "203.0.113.7:0"),
        (&lb, NEAR, &["10.9.9.9, 10.1.1.1"], "10.9.9.9:0"),
        (&lb, "192.0.2.1:1", &["203.0.113.7"], "192.0.2.1:1"),
        (&only(&[]), NEAR, &["203.0.113.7"], NEAR),
    ];
    for (policy, peer, lines, expected) in rows {
        let sent: Vec<_> = lines.iter().map(|line| ("x-forwarded-for", *line)).collect();
        let got = believe(policy, peer, None, &sent);
        assert_eq!(got.address.to_string(), *expected, "{peer} {lines:?}");
        assert_eq!(got.address_value, got.address.ip().to_string(), "{lines:?}");
    }
}

#[test]
fn schemes_hosts_and_ports() {
    let real_ip = TrustPolicy { real_ip: true, ..TrustPolicy::default() };
    let (near, far) = (only(&["10.0.0.0/8"]), only(&["192.0.2.0/24"]));
    let named = TrustPolicy { forwarded_host: HeaderName::from_static("x-host"), ..all() };
    let [proto, host, port] = ["x-forwarded-proto", "x-forwarded-host", "x-forwarded-port"];
    /// Headers sent; scheme, host and port believed.
    type Row<'a> = (&'a TrustPolicy, Sent<'a>, &'a str, Option<&'a str>, &'a str);
    let rows: &[Row<'_>] = &[
        (&all(), &[], "http", None, "80"),
        (&all(), &[(proto, "https"), (host, "p.test, i.test"), (port, "444")], "https", Some("p.test"), "444"),
        (&all(), &[(proto, "HTTP")], "HTTP", None, "80"),
        (&all(), &[(proto, "https"), (proto, "http")], "https, http", None, "80"),
        (&all(), &[(proto, ""), (port, "")], "", None, ""),
        (&all(), &[(host, "p.test:99"), (port, "8443")], "http", Some("p.test:99"), "443"),
        (&all(), &[(host, "p.test , i.test")], "http", Some("p.test "), "80"),
        (&all(), &[(host, "")], "http", None, "80"),
        (&all(), &[(host, "p.test/x")], "http", None, "80"),
        (&all(), &[(host, "u@p.test")], "http", None, "80"),
        (&named, &[(host, "no.test"), ("x-host", "yes.test")], "http", Some("yes.test"), "80"),
        (&real_ip, &[(proto, "https"), (host, "p.test"), (port, "444")], "http", None, "80"),
        (&near, &[(proto, "https"), (host, "p.test"), (port, "444")], "https", Some("p.test"), "444"),
        (&far, &[(proto, "https"), (host, "p.test"), (port, "444")], "https", Some("p.test"), "444"),
    ];
    for (policy, sent, scheme, host, port) in rows {
        let got = believe(policy, NEAR, None, sent);
        let got_host = got.host.as_ref().map(|h| h.to_str().unwrap());
        assert_eq!((&*got.scheme, got_host, got.port.to_str().unwrap()), (*scheme, *host, *port), "{sent:?}");
    }
}

#[test]
fn proxy_headers() {
    const FROM: &str = "203.0.113.7:56324";
    let on = |policy: TrustPolicy| TrustPolicy { proxy_protocol: true, ..policy };
    let alone = on(TrustPolicy::default());
    let narrow = on(TrustPolicy { forwarded_headers: false, ..only(&["10.0.0.0/8"]) });
    let both = on(only(&["10.0.0.0/8", "203.0.113.0/24"]));
    let for_header = [("x-forwarded-for", "9.9.9.9")];
    let says = [("x-forwarded-proto", "https"), ("x-forwarded-port", "444")];
    /// Peer, PROXY header and headers; address, scheme and port, and where the address is from.
    type Row<'a> = (&'a TrustPolicy, &'a str, Pair<'a>, Sent<'a>, &'a str, Pair<'a>, Option<&'a str>);
    let rows: &[Row<'_>] = &[
        (&alone, NEAR, (FROM, "10.0.0.9:80"), &[], FROM, ("http", "80"), None),
        (&alone, NEAR, (FROM, "10.0.0.9:443"), &for_header, FROM, ("https", "443"), None),
        (&alone, NEAR, (FROM, "10.0.0.9:8443"), &[], FROM, ("http", "443"), None),
        (&narrow, NEAR, (FROM, "10.0.0.9:81"), &[], FROM, ("http", "81"), None),
        (&narrow, "192.0.2.1:1", (FROM, "10.0.0.9:443"), &[], "192.0.2.1:1", ("http", "80"), None),
        (&both, NEAR, (FROM, "10.0.0.9:443"), &for_header, "9.9.9.9:0", ("https", "443"), Some("9.9.9.9")),
        (&both, NEAR, ("8.8.8.8:5", "10.0.0.9:80"), &for_header, "8.8.8.8:5", ("http", "80"), Some("8.8.8.8")),
        (&both, NEAR, (FROM, "10.0.0.9:80"), &says, FROM, ("https", "444"), Some("")),
        (&both, NEAR, ("8.8.8.8:5", "10.0.0.9:80"), &says, "8.8.8.8:5", ("http", "80"), Some("8.8.8.8")),
        (&both, "192.0.2.1:1", (FROM, "1.1.1.1:443"), &says, "192.0.2.1:1", ("http", "80"), Some("192.0.2.1")),
        (&both, NEAR, (FROM, "10.0.0.9:80"), &[], FROM, ("http", "80"), Some("")),
        (&both, "192.0.2.1:1", (FROM, "1.1.1.1:80"), &for_header, "192.0.2.1:1", ("http", "80"), Some("192.0.2.1")),
    ];
    for (policy, peer, proxied, sent, address, (scheme, port), origin) in rows {
        let got = believe(policy, peer, Some(*proxied), sent);
        let seen = (got.address.to_string(), &*got.scheme, got.port.to_str().unwrap());
        assert_eq!(seen, ((*address).to_owned(), *scheme, *port), "{peer} {proxied:?} {sent:?}");
        assert_eq!(got.origin.as_ref().map(|o| o.to_str().unwrap()), *origin, "{peer} {proxied:?} {sent:?}");
    }
    let said = [("x-forwarded-proto", "http"), ("x-forwarded-port", "99")];
    let got = believe(&on(all()), NEAR, Some((FROM, "10.0.0.9:443")), &said);
    assert_eq!((&*got.scheme, got.port.to_str().unwrap()), ("https", "99"));
}

#[test]
fn chains() {
    let full = TrustPolicy { full_forwarded_for: true, ..all() };
    let rows = [
        (&full, &["203.0.113.7, 198.51.100.9"][..], Some("203.0.113.7, 198.51.100.9, 10.0.0.1")),
        (&full, &["1.1.1.1", "2.2.2.2"], Some("1.1.1.1, 2.2.2.2, 10.0.0.1")),
        (&full, &[""], Some("10.0.0.1")),
        (&full, &[], Some("10.0.0.1")),
        (&all(), &["203.0.113.7"], None),
    ];
    for (policy, lines, expected) in rows {
        let sent: Vec<_> = lines.iter().map(|line| ("x-forwarded-for", *line)).collect();
        let got = believe(policy, NEAR, None, &sent);
        assert_eq!(got.chain.as_ref().map(|c| c.to_str().unwrap()), expected, "{lines:?}");
    }
    assert!(TrustPolicy::default().believe(own(), &headers(&[("x-forwarded-for", "1.1.1.1")])).is_none());
}

fn own() -> Connection<'static> {
    static PORT: HeaderValue = HeaderValue::from_static("80");
    Connection { peer: NEAR.parse().unwrap(), scheme: "http", port: &PORT, proxied: None, https_port: 443 }
}
