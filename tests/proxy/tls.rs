//! TLS towards clients: which certificate, its replacement, redirects, HSTS.

use crate::kit::certs::{dns_names, subject};
use crate::kit::{Identity, Ingress, Manifests, Proxy, Raw, Upstream};

fn names(proxy: &Proxy, sni: &str) -> Vec<String> {
    let client = Raw::connect_tls(proxy.https(), sni, &["h2", "http/1.1"]);
    dns_names(client.peer().chain.first().expect("a certificate"))
}

#[test]
fn certificates_by_name_and_replaced_live() {
    let upstream = Upstream::start("one");
    let manifests = Manifests::new();
    let ingress = Ingress::new("web").rule("a.test", "/", "one").rule("*.w.test", "/", "one");
    let ingress = ingress.tls(&["a.test"], Some("exact")).tls(&["*.w.test"], Some("wild"));
    manifests.upstream(&upstream).tls_secret("exact", &Identity::self_signed(&["a.test"]));
    manifests.tls_secret("wild", &Identity::self_signed(&["*.w.test"])).ingress(&ingress);
    let proxy = Proxy::start(&manifests, &[]);
    assert_eq!(names(&proxy, "a.test"), ["a.test"]);
    assert_eq!(names(&proxy, "x.w.test"), ["*.w.test"]);
    assert_eq!(names(&proxy, "y.x.w.test"), ["ingress.local"]);
    assert_eq!(names(&proxy, "unknown.test"), ["ingress.local"]);
    let fake = Raw::connect_tls(proxy.https(), "", &[]);
    let dn = subject(fake.peer().chain.first().unwrap()).unwrap();
    assert!(dn.contains("Kubernetes Ingress Controller Fake Certificate") && dn.contains("Acme Co"), "{dn}");

    let mut open = Raw::connect_tls(proxy.https(), "a.test", &["http/1.1"]);
    manifests.tls_secret("exact", &Identity::self_signed(&["a.test", "new.test"]));
    let replaced = crate::kit::eventually(crate::kit::DEADLINE, || (names(&proxy, "a.test").len() == 2).then_some(()));
    assert!(replaced.is_some(), "the new certificate was not served");
    assert_eq!(open.get("a.test", "/").status, 200, "an open connection lives on");

    manifests.secret("exact", &[("tls.crt", "garbage"), ("tls.key", "garbage")]);
    assert!(proxy.wait_for_stderr("tls.crt").is_some(), "a broken Secret is told");
    assert_eq!(names(&proxy, "a.test"), ["a.test", "new.test"], "the last good certificate stays");
    assert_eq!(names(&proxy, "x.w.test"), ["*.w.test"]);
}

#[test]
fn tls_hosts_redirect_and_say_hsts() {
    let upstream = Upstream::start("one");
    let manifests = Manifests::new();
    let ingress = Ingress::new("web").rule("a.test", "/", "one").tls(&["a.test"], None);
    manifests.upstream(&upstream).ingress(&ingress);
    let proxy = Proxy::start(&manifests, &[]);
    let redirect = proxy.get("a.test", "/x/?q=1");
    assert_eq!((redirect.status, redirect.header("location")), (308, Some("https://a.test/x/?q=1")));
    assert_eq!(redirect.header("strict-transport-security"), None);
    let hsts = Some("max-age=31536000; includeSubDomains");
    assert_eq!(proxy.get_tls("a.test", "/").header("strict-transport-security"), hsts);
    assert_eq!(proxy.get_tls("unknown.test", "/").header("strict-transport-security"), hsts);
}

#[test]
fn plain_http_on_the_tls_port_is_told_so() {
    let manifests = Manifests::new();
    let proxy = Proxy::start(&manifests, &[]);
    let response = Raw::connect(proxy.https()).get("a.test", "/");
    assert_eq!(response.status, 400);
    assert!(response.text().contains("The plain HTTP request was sent to HTTPS port"));
}

/// What `openssl s_client` says of a handshake, and of a request to `/` after it; `None` without the program.
fn s_client(port: u16, host: &str, more: &[&str]) -> Option<String> {
    use std::process::{Command, Stdio};
    let mut command = Command::new("openssl");
    command.args(["s_client", "-connect", &format!("127.0.0.1:{port}"), "-ign_eof"]);
    if host.is_empty() {
        command.arg("-noservername");
    } else {
        command.args(["-servername", host]);
    }
    let child = command.args(more).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let Ok(mut child) = child else {
        assert!(std::env::var_os("CI").is_none(), "openssl is missing");
        return None;
    };
    let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    // It may have ended already, after an alert.
    let _ = std::io::Write::write_all(child.stdin.as_mut().unwrap(), request.as_bytes());
    let output = child.wait_with_output().unwrap();
    Some(String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

/// Two hosts, the first with these annotations, and a ConfigMap.
fn with_settings(annotations: &[(&str, &str)], map: &[(&str, &str)]) -> (Upstream, Manifests, Proxy) {
    let upstream = Upstream::start("one");
    let manifests = Manifests::new();
    let own = Ingress::new("own").rule("own.test", "/", "one").tls(&["own.test"], None);
    manifests.ingress(&annotations.iter().fold(own, |ingress, (key, value)| ingress.nginx(key, value)));
    manifests.ingress(&Ingress::new("web").rule("a.test", "/", "one").tls(&["a.test"], None));
    manifests.upstream(&upstream).config_map("ns", "config", map);
    let proxy = Proxy::start(&manifests, &["--configmap=ns/config"]);
    (upstream, manifests, proxy)
}

#[test]
fn versions_and_ciphers() {
    let (e128, e256, chacha) =
        ("ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305");
    let client = &["-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256"][..];
    let list = "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256";
    let narrow = &["-tls1_2", "-cipher", e128][..];
    type Rows<'a> = &'a [(&'a str, &'a str)];
    let rows: &[(Rows<'_>, Rows<'_>, &str, &[&str], Option<&str>)] = &[
        (&[], &[], "a.test", client, Some(e128)),
        (&[], &[("ssl-ciphers", list)], "a.test", client, Some(e256)),
        (&[], &[("ssl-ciphers", e256)], "a.test", narrow, None),
        (&[("ssl-ciphers", chacha)], &[], "own.test", &["-tls1_2"], Some(chacha)),
        (&[("ssl-ciphers", chacha)], &[], "own.test", client, None),
        (&[("ssl-ciphers", chacha)], &[], "a.test", client, Some(e128)),
        (&[("ssl-prefer-server-ciphers", "false")], &[], "own.test", client, Some(e256)),
        (&[("ssl-ciphers", chacha)], &[], "own.test", &["-tls1_3"], Some("TLS_AES_128_GCM_SHA256")),
        (&[], &[("ssl-protocols", "TLSv1.3")], "a.test", &["-tls1_2"], None),
        (&[], &[("ssl-protocols", "TLSv1.3")], "a.test", &[], Some("TLSv1.3, Cipher is TLS_AES_128_GCM_SHA256")),
        (&[], &[("ssl-protocols", "TLSv1.1 TLSv1.2")], "a.test", &["-tls1_3"], None),
        (&[], &[("ssl-protocols", "TLSv1.1 TLSv1.2")], "a.test", &[], Some(e128)),
        (&[], &[("ssl-ecdh-curve", "secp384r1")], "a.test", &[], Some("ECDH, secp384r1")),
        (&[], &[("ssl-ecdh-curve", "secp384r1")], "a.test", &["-groups", "X25519"], None),
    ];
    for (annotations, map, host, more, expected) in rows {
        let (_upstream, _manifests, proxy) = with_settings(annotations, map);
        let Some(said) = s_client(proxy.https().port(), host, more) else { return };
        match expected {
            Some(text) => assert!(
                said.contains(text) && said.contains("HTTP/1.1 200"),
                "{annotations:?} {map:?} {host} {more:?}: {said}"
            ),
            None => assert!(said.contains("Cipher is (NONE)"), "{annotations:?} {map:?} {host} {more:?}: {said}"),
        }
    }
}

#[test]
fn unknown_names_are_refused_where_asked() {
    let (_upstream, _manifests, proxy) = with_settings(&[], &[("ssl-reject-handshake", "true")]);
    let port = proxy.https().port();
    for host in ["unknown.test", ""] {
        let Some(said) = s_client(port, host, &[]) else { return };
        assert!(said.contains("unrecognized name"), "{host:?}: {said}");
    }
    assert_eq!(proxy.get_tls("a.test", "/").status, 200);
    assert_eq!(proxy.get("unknown.test", "/").status, 404, "plain connections have no names");
}

#[test]
fn sessions() {
    let folder = tempfile::tempdir().unwrap();
    let key = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3";
    let shared: &[(&str, &str)] =
        &[("ssl-session-cache", "false"), ("ssl-session-tickets", "true"), ("ssl-session-ticket-key", key)];
    type Rows<'a> = &'a [(&'a str, &'a str)];
    // Whether a session goes on at the proxy that began it, and at another one.
    let rows: &[(Rows<'_>, bool, bool)] = &[
        (&[], true, false),
        (&[("ssl-session-cache", "false")], false, false),
        (&[("ssl-session-cache", "false"), ("ssl-session-tickets", "true")], true, false),
        (&[("ssl-session-cache-size", "100")], false, false),
        (shared, true, true),
    ];
    for (number, (map, own, other)) in rows.iter().enumerate() {
        let (_one, _manifests, proxy) = with_settings(&[], map);
        let (_another, _others, replica) = with_settings(&[], map);
        for version in ["-tls1_2", "-tls1_3"] {
            let file = folder.path().join(format!("{number}{version}"));
            let file = file.to_str().unwrap();
            let Some(first) = s_client(proxy.https().port(), "a.test", &[version, "-sess_out", file]) else { return };
            assert!(first.contains("HTTP/1.1 200"), "{first}");
            if !std::path::Path::new(file).exists() {
                assert!(!own, "{map:?} {version} gave no session");
                continue;
            }
            // A session of TLS 1.3 is used once, so each proxy gets it by itself.
            let at = |proxy: &Proxy| s_client(proxy.https().port(), "a.test", &[version, "-sess_in", file]).unwrap();
            let (there, here) = (at(&replica), at(&proxy));
            assert_eq!(there.contains("Reused, TLS"), *other, "{map:?} {version} elsewhere: {there}");
            assert_eq!(here.contains("Reused, TLS"), *own, "{map:?} {version}: {here}");
        }
    }
}
