//! Client certificates: who is let in, what the upstream is told, and that no connection carries more than it was made for.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use rustls::client::ResolvesClientCert;
use rustls::crypto::aws_lc_rs;
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, ClientConnection, SignatureScheme, SupportedProtocolVersion};

use crate::kit::certs::{TakeAny, provider};
use crate::kit::raw::Tls;
use crate::kit::{Authority, DEADLINE, H2, Identity, Ingress, Manifests, Proxy, Raw, Response, Upstream, eventually};

/// Authorities, clients of theirs, and a proxy with hosts of every kind.
struct Site {
    ca: Authority,
    good: Identity,
    foreign: Identity,
    manifests: Manifests,
    proxy: Proxy,
    _upstream: Upstream,
}

const HOSTS: &[(&str, &[(&str, &str)])] = &[
    ("plain.test", &[]),
    ("on.test", &[("auth-tls-secret", "default/ca"), ("auth-tls-pass-certificate-to-upstream", "true")]),
    ("opt.test", &[("auth-tls-secret", "default/ca"), ("auth-tls-verify-client", "optional")]),
    ("optno.test", &[("auth-tls-secret", "default/ca"), ("auth-tls-verify-client", "optional_no_ca")]),
    ("off.test", &[("auth-tls-secret", "default/ca"), ("auth-tls-verify-client", "off")]),
    ("cn.test", &[("auth-tls-secret", "default/ca"), ("auth-tls-match-cn", "CN=(alice|carol)")]),
    (
        "cnno.test",
        &[
            ("auth-tls-secret", "default/ca"),
            ("auth-tls-verify-client", "optional_no_ca"),
            ("auth-tls-match-cn", "CN=alice"),
        ],
    ),
    ("page.test", &[("auth-tls-secret", "default/ca"), ("auth-tls-error-page", "https://errors.test/cert")]),
    ("path.test", &[("auth-tls-secret", "default/ca"), ("auth-tls-error-page", "/no-certificate")]),
    ("name.test", &[("auth-tls-secret", "default/ca"), ("auth-tls-error-page", "@nowhere")]),
    ("gone.test", &[("auth-tls-secret", "default/gone"), ("app-root", "/app")]),
    ("root.test", &[("auth-tls-secret", "default/ca"), ("app-root", "/app"), ("proxy-body-size", "1")]),
    ("other.test", &[("auth-tls-secret", "default/other-ca")]),
];

fn site() -> Site {
    let (ca, other) = (Authority::new("Ours"), Authority::new("Theirs"));
    let (good, foreign) = (ca.issue_member("alice", "Org"), other.issue("alice", &[]));
    let upstream = Upstream::start("one");
    let manifests = Manifests::new();
    manifests.upstream(&upstream).secret("ca", &[("ca.crt", &ca.pem())]);
    manifests.secret("other-ca", &[("ca.crt", &other.pem())]);
    for (host, annotations) in HOSTS {
        let ingress = Ingress::new(&host.replace('.', "-")).rule(host, "/", "one").tls(&[host], None);
        manifests.ingress(&annotations.iter().fold(ingress, |i, (key, value)| i.nginx(key, value)));
    }
    let proxy = Proxy::start(&manifests, &[]);
    Site { ca, good, foreign, manifests, proxy, _upstream: upstream }
}

impl Site {
    fn tls<'a>(sni: &'a str, identity: Option<&'a Identity>) -> Tls<'a> {
        Tls { sni, identity, alpn: &["http/1.1"], ..Tls::default() }
    }

    fn open(&self, sni: &str, identity: Option<&Identity>) -> Raw {
        Raw::try_connect_tls(self.proxy.https(), Self::tls(sni, identity)).expect("the handshake succeeds")
    }

    fn get(&self, host: &str, identity: Option<&Identity>) -> Response {
        self.open(host, identity).get(host, "/")
    }
}

#[test]
fn who_is_let_in() {
    let site = site();
    let (good, foreign) = (Some(&site.good), Some(&site.foreign));
    let (missing, bad) = ("No required SSL certificate was sent", "The SSL certificate error");
    let rows = [
        ("plain.test", None, 200, ""),
        ("plain.test", good, 200, ""),
        ("on.test", None, 400, missing),
        ("on.test", foreign, 400, bad),
        ("on.test", good, 200, ""),
        ("opt.test", None, 200, ""),
        ("opt.test", foreign, 400, bad),
        ("opt.test", good, 200, ""),
        ("optno.test", None, 200, ""),
        ("optno.test", foreign, 200, ""),
        ("off.test", None, 200, ""),
        ("off.test", foreign, 200, ""),
        ("cn.test", good, 200, ""),
        ("cn.test", foreign, 400, bad),
        ("cnno.test", good, 200, ""),
        ("cnno.test", foreign, 403, "client certificate unauthorized"),
        ("cnno.test", None, 403, "client certificate unauthorized"),
        ("page.test", None, 302, ""),
        ("page.test", foreign, 302, ""),
        ("page.test", good, 200, ""),
        ("name.test", None, 500, ""),
        ("gone.test", None, 403, "403 Forbidden"),
        ("gone.test", good, 403, "403 Forbidden"),
        ("root.test", None, 400, missing),
        ("root.test", good, 302, ""),
        ("other.test", good, 400, bad),
        ("other.test", foreign, 200, ""),
    ];
    for (host, identity, status, text) in rows {
        for only_tls12 in [false, true] {
            let tls = Tls { only_tls12, ..Site::tls(host, identity) };
            let mut client = Raw::try_connect_tls(site.proxy.https(), tls).expect("the handshake succeeds");
            let answer = client.get(host, "/");
            let who = identity.map_or("nobody", |i| if std::ptr::eq(i, &site.good) { "good" } else { "foreign" });
            assert_eq!(answer.status, status, "{host} {who} {only_tls12}: {}", answer.text());
            assert!(answer.text().contains(text), "{host} {who}: {}", answer.text());
            if matches!(status, 400 | 403) {
                assert_eq!(answer.header("strict-transport-security"), None, "{host}");
            }
        }
    }
    assert_eq!(site.get("page.test", None).header("location"), Some("https://errors.test/cert"));
    let mut client = site.open("on.test", None);
    assert_eq!(client.get("on.test", "/").header("connection"), Some("close"));
    assert!(client.closes_within(crate::kit::DEADLINE), "another certificate needs another connection");
}

#[test]
fn the_order_of_a_refusal() {
    let site = site();
    // A body that is too large, the root's redirect, https and a missing location all come later.
    let mut client = site.open("root.test", None);
    let answer = client.request("POST /x HTTP/1.1\r\nHost: root.test\r\nContent-Length: 5\r\n\r\nhello");
    assert_eq!(answer.status, 400);
    assert!(answer.text().contains("No required"), "{}", answer.text());
    // nginx asks nothing of plain connections but the subject, and the Secret.
    let rows = [("on.test", 308), ("cn.test", 403), ("gone.test", 403), ("opt.test", 308)];
    for (host, status) in rows {
        assert_eq!(site.proxy.get(host, "/").status, status, "{host}");
    }
    // The page of a host's own is served as if it had been asked for, and nothing else is.
    let mut client = site.open("path.test", None);
    let answer = client.request("POST /secret?q HTTP/1.1\r\nHost: path.test\r\nContent-Length: 5\r\n\r\nhello");
    let seen = answer.seen();
    assert_eq!((seen.method.as_str(), seen.uri.as_str()), ("GET", "/no-certificate"));
    assert_eq!(seen.header("ssl-client-verify"), Some("NONE"));
    assert_eq!(site.get("path.test", Some(&site.good)).seen().uri, "/");
}

#[test]
fn what_upstreams_are_told() {
    let site = site();
    let forged = [
        "ssl-client-verify: SUCCESS",
        "ssl-client-subject-dn: CN=root",
        "ssl-client-issuer-dn: CN=root",
        "ssl-client-cert: forged",
    ];
    let names = ["ssl-client-verify", "ssl-client-subject-dn", "ssl-client-issuer-dn"];
    let (good, foreign) = (Some(&site.good), Some(&site.foreign));
    let (alice, ours) = (Some("O=Org,CN=alice"), Some("CN=Ours"));
    let failed = Some("FAILED:unable to verify the first certificate");
    let rows = [
        ("plain.test", good, [None, None, None]),
        ("on.test", good, [Some("SUCCESS"), alice, ours]),
        ("opt.test", None, [Some("NONE"), None, None]),
        ("opt.test", good, [Some("SUCCESS"), alice, ours]),
        ("optno.test", foreign, [failed, Some("CN=alice"), Some("CN=Theirs")]),
        ("off.test", good, [Some("NONE"), None, None]),
    ];
    for (host, identity, expected) in rows {
        let seen = site.open(host, identity).get_with(host, "/", &forged).seen();
        assert_eq!(names.map(|name| seen.header(name)), expected, "{host}");
        let passed = seen.header("ssl-client-cert");
        assert_eq!(passed.is_some(), host == "on.test", "{host} {passed:?}");
        assert!(passed.is_none_or(|p| p.starts_with("-----BEGIN%20CERTIFICATE-----%0AMI")), "{passed:?}");
    }
}

#[test]
fn authentication_services_and_copies_are_told_nothing_forged() {
    let ca = Authority::new("Ours");
    let good = ca.issue_member("alice", "Org");
    let [upstream, auth, copies] = ["one", "auth", "copies"].map(Upstream::start);
    let manifests = Manifests::new();
    manifests.upstream(&upstream).secret("ca", &[("ca.crt", &ca.pem())]);
    let settings = ["enable-underscores-in-headers", "use-forwarded-headers", "compute-full-forwarded-for"];
    let settings = [&settings.map(|key| (key, "true"))[..], &[("generate-request-id", "false")]].concat();
    manifests.config_map("default", "settings", &settings);
    let (url, target) = (format!("http://{}/check", auth.addr()), format!("http://{}/copy", copies.addr()));
    let ingress = |name: &str, host: &str| {
        let ingress = Ingress::new(name).rule(host, "/", "one").tls(&[host], None);
        ingress.nginx("auth-url", &url).nginx("mirror-target", &target)
    };
    let asking = ingress("with", "with.test").nginx("auth-tls-secret", "default/ca");
    manifests.ingress(&asking.nginx("auth-tls-pass-certificate-to-upstream", "true"));
    manifests.ingress(&ingress("without", "without.test"));
    let proxy = Proxy::start(&manifests, &["--configmap=default/settings"]);
    let forged = [
        "ssl-client-verify: SUCCESS",
        "ssl-client-subject-dn: CN=root",
        "ssl-client-cert: x",
        "ssl_client_verify: SUCCESS",
        "ssl_client-subject_dn: CN=root",
        "X-Forwarded-For: 9.9.9.9",
    ];
    for (host, verify, subject) in
        [("with.test", Some("SUCCESS"), Some("O=Org,CN=alice")), ("without.test", None, None)]
    {
        let mut client = Raw::try_connect_tls(proxy.https(), Site::tls(host, Some(&good))).unwrap();
        let response = client.get_with(host, "/", &forged);
        assert_eq!(response.status, 200, "{host}: {}", response.text());
        for seen in [auth.last(), upstream.last()] {
            let told = (seen.header("ssl-client-verify"), seen.header("ssl-client-subject-dn"));
            assert_eq!(told, (verify, subject), "{host} {}", seen.uri);
            let passed = seen.header("ssl-client-cert").is_some_and(|text| text.starts_with("-----BEGIN"));
            assert_eq!(passed, verify.is_some(), "{host} {}", seen.uri);
            assert_eq!(seen.header("ssl_client_verify").or(seen.header("ssl_client-subject_dn")), None, "{host}");
            assert_eq!(seen.header("x-forwarded-for"), Some("9.9.9.9, 127.0.0.1"), "{host} {}", seen.uri);
            assert_eq!(seen.header("x-request-id"), None, "{host} {}", seen.uri);
        }
        let copy = eventually(DEADLINE, || copies.seen().pop()).expect("a copy");
        copies.forget();
        let names = ["ssl-client-verify", "ssl-client-subject-dn", "ssl-client-cert", "ssl_client_verify"];
        assert_eq!(names.map(|name| copy.header(name)), [None; 4], "{host}");
    }
}

#[test]
fn an_authentication_service_is_told_as_an_upstream_is() {
    let (site, auth) = (site(), Upstream::start("auth"));
    let url = format!("http://{}/", auth.addr());
    let ingress = Ingress::new("asks").rule("asks.test", "/", "one").tls(&["asks.test"], None).nginx("auth-url", &url);
    let ingress = ingress.nginx("auth-tls-secret", "default/ca").nginx("auth-tls-verify-client", "optional");
    site.manifests.ingress(&ingress.nginx("auth-tls-pass-certificate-to-upstream", "true"));
    site.proxy.wait_until("asks.test", "/", |r| r.status == 308);
    let forged = ["ssl-client-verify: SUCCESS", "ssl-client-subject-dn: CN=root", "ssl-client-cert: forged"];
    for (identity, verify, subject) in [(Some(&site.good), "SUCCESS", Some("O=Org,CN=alice")), (None, "NONE", None)] {
        assert_eq!(site.open("asks.test", identity).get_with("asks.test", "/", &forged).status, 200, "{verify}");
        let asked = auth.last();
        assert_eq!((asked.header("ssl-client-verify"), asked.header("ssl-client-subject-dn")), (Some(verify), subject));
        let passed = asked.header("ssl-client-cert");
        assert_eq!(passed.is_some_and(|text| text.starts_with("-----BEGIN")), identity.is_some(), "{passed:?}");
    }
}

#[test]
fn variables() {
    let site = site();
    let ingress = Ingress::new("vars").rule("vars.test", "/", "one").tls(&["vars.test"], None);
    let ingress = ingress.nginx("auth-tls-secret", "default/ca").nginx("auth-tls-verify-client", "optional");
    let text = "$ssl_protocol|$ssl_cipher|$ssl_client_verify|$ssl_server_name|$ssl_session_reused|$ssl_client_s_dn|$ssl_client_i_dn";
    site.manifests.ingress(&ingress.nginx("upstream-vhost", text).nginx("ssl-redirect", "false"));
    assert_eq!(site.proxy.wait_until("vars.test", "/", |r| r.status == 200).seen().host(), Some("||||||"));
    let cipher = "TLSv1.3|TLS_AES_128_GCM_SHA256";
    let rows = [
        (Some(&site.good), format!("{cipher}|SUCCESS|vars.test|.|O=Org,CN=alice|CN=Ours")),
        (None, format!("{cipher}|NONE|vars.test|.||")),
    ];
    for (identity, expected) in rows {
        let seen = site.get("vars.test", identity).seen();
        assert_eq!(seen.host(), Some(expected.as_str()));
    }
}

#[test]
fn a_connection_is_good_for_its_own_host_only() {
    let site = site();
    let good = Some(&site.good);
    let rows = [
        ("opt.test", good, "on.test", 421),
        ("plain.test", good, "on.test", 421),
        ("on.test", good, "opt.test", 421),
        ("on.test", good, "other.test", 421),
        ("on.test", good, "plain.test", 200),
        ("on.test", good, "off.test", 200),
        ("on.test", good, "gone.test", 403),
        ("on.test", good, "unknown.test", 404),
        ("unknown.test", good, "on.test", 400),
        ("", good, "on.test", 400),
        ("unknown.test", good, "opt.test", 200),
        ("ON.test", good, "on.TEST:443", 200),
    ];
    for (sni, identity, host, status) in rows {
        let mut client = site.open(sni, identity);
        let answer = client.get(host, "/");
        assert_eq!(answer.status, status, "{sni} {host}: {}", answer.text());
        if status == 421 {
            assert!(answer.text().contains("421 Misdirected Request"), "{}", answer.text());
        }
    }
    // Every stream of a connection is asked, not its first one.
    let client =
        H2::try_connect_tls(site.proxy.https(), Tls { alpn: &["h2"], ..Site::tls("plain.test", good) }).unwrap();
    let hosts = [("plain.test", 200), ("on.test", 421), ("plain.test", 200), ("cn.test", 421), ("gone.test", 403)];
    for (host, status) in hosts {
        assert_eq!(client.get(host, "/").status, status, "{host}");
    }
    let client = H2::try_connect_tls(site.proxy.https(), Tls { alpn: &["h2"], ..Site::tls("on.test", None) }).unwrap();
    for _ in 0..3 {
        assert_eq!(client.get("on.test", "/").status, 400);
    }
    assert_eq!(client.get("plain.test", "/").status, 200);
}

#[test]
fn the_default_server_asks_for_itself_only() {
    let site = site();
    let any = Ingress::new("any").rule("", "/", "one").nginx("auth-tls-secret", "default/ca");
    site.manifests.ingress(&any);
    assert_eq!(site.proxy.wait_until("unknown.test", "/", |r| r.status == 200).status, 200, "plain connections pass");
    let good = Some(&site.good);
    let rows = [
        ("unknown.test", None, "unknown.test", 400, None),
        ("unknown.test", good, "unknown.test", 200, Some("SUCCESS")),
        ("unknown.test", good, "another.test", 200, Some("SUCCESS")),
        ("", good, "unknown.test", 200, Some("SUCCESS")),
        ("plain.test", good, "unknown.test", 421, None),
        ("on.test", good, "unknown.test", 421, None),
        // What was shown to the default server counts for no other host, whoever its authorities are.
        ("unknown.test", good, "on.test", 400, None),
        ("", good, "on.test", 400, None),
        ("", good, "opt.test", 200, Some("NONE")),
        ("unknown.test", good, "plain.test", 200, None),
    ];
    for (sni, identity, host, status, verify) in rows {
        let answer = site.open(sni, identity).get(host, "/");
        assert_eq!(answer.status, status, "{sni:?} {host}: {}", answer.text());
        if status == 200 {
            assert_eq!(answer.seen().header("ssl-client-verify"), verify, "{sni:?} {host}");
        }
    }
}

#[test]
fn authorities_change_live() {
    let site = site();
    let mut open = site.open("on.test", Some(&site.good));
    assert_eq!(open.get("on.test", "/").status, 200);
    let mut plain = site.open("plain.test", Some(&site.good));
    assert_eq!(plain.get("plain.test", "/").status, 200);
    // Another authority of the same name: the connection that was good is not any more.
    let other = Authority::new("Ours");
    site.manifests.secret("ca", &[("ca.crt", &other.pem())]);
    let refused =
        eventually(crate::kit::DEADLINE, || (site.get("on.test", Some(&site.good)).status == 400).then_some(()));
    assert!(refused.is_some(), "the old authority's clients are refused");
    assert_eq!(open.get("on.test", "/").status, 400, "an open connection's certificate is judged again");
    let new = other.issue("alice", &[]);
    assert_eq!(site.get("on.test", Some(&new)).status, 200);
    // A host that begins to ask: connections that were not asked are sent to make another.
    site.manifests.secret("ca", &[("ca.crt", &site.ca.pem())]);
    let ingress = Ingress::new("plain-test").rule("plain.test", "/", "one").tls(&["plain.test"], None);
    site.manifests.ingress(&ingress.nginx("auth-tls-secret", "default/ca"));
    let asked = eventually(crate::kit::DEADLINE, || (site.get("plain.test", None).status == 400).then_some(()));
    assert!(asked.is_some());
    let answer = plain.get("plain.test", "/");
    assert_eq!((answer.status, answer.header("connection")), (421, Some("close")));
    // A Secret that breaks closes the host.
    site.manifests.secret("ca", &[("ca.crt", "garbage")]);
    let closed =
        eventually(crate::kit::DEADLINE, || (site.get("on.test", Some(&site.good)).status == 403).then_some(()));
    assert!(closed.is_some() && site.proxy.wait_for_stderr("ca.crt").is_some());
}

/// A client's certificate without extensions, which is one of version 1 up to OpenSSL 3.3.
fn version_1(folder: &Path, ca: &Authority, name: &str) -> Identity {
    let openssl = |args: &str| {
        let done = Command::new("openssl").current_dir(folder).args(args.split(' ')).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    };
    std::fs::write(folder.join("ca.crt"), ca.pem()).unwrap();
    std::fs::write(folder.join("ca.key"), ca.key_pem()).unwrap();
    std::fs::write(folder.join("none"), "").unwrap();
    openssl(&format!("req -newkey rsa:2048 -nodes -keyout {name}.key -out {name}.csr -subj /CN={name}"));
    openssl(&format!("x509 -req -in {name}.csr -CA ca.crt -CAkey ca.key -set_serial 7 -out {name}.crt -extfile none"));
    let read = |file: String| std::fs::read_to_string(folder.join(file)).unwrap();
    Identity { cert_pem: read(format!("{name}.crt")), key_pem: read(format!("{name}.key")) }
}

#[test]
fn certificates_of_version_1() {
    if !has("openssl") {
        return;
    }
    let site = site();
    let folder = tempfile::tempdir().unwrap();
    let good = version_1(folder.path(), &site.ca, "alice");
    // Another authority that only has the name.
    let forged = version_1(folder.path(), &Authority::new("Ours"), "carol");
    let foreign = version_1(folder.path(), &Authority::new("Elsewhere"), "mallory");
    let rows = [
        ("on.test", &good, 200, ""),
        ("cn.test", &good, 200, ""),
        ("on.test", &forged, 400, "The SSL certificate error"),
        ("cn.test", &forged, 400, "The SSL certificate error"),
        ("optno.test", &forged, 400, "The SSL certificate error"),
        ("on.test", &foreign, 400, "The SSL certificate error"),
        ("optno.test", &foreign, 200, ""),
        ("other.test", &good, 400, "The SSL certificate error"),
    ];
    let port = site.proxy.https().port();
    for (host, identity, status, text) in rows {
        let (cert, key) = files(folder.path(), identity);
        for version in ["1.2", "1.3"] {
            let mut command = Command::new("curl");
            command
                .args(["-sk", "-w", "%{http_code}", "--tls-max", version, "--cert"])
                .arg(&cert)
                .arg("--key")
                .arg(&key);
            command.args(["--resolve", &format!("{host}:{port}:127.0.0.1"), &format!("https://{host}:{port}/")]);
            let said = String::from_utf8(command.output().unwrap().stdout).unwrap();
            assert!(said.ends_with(&status.to_string()) && said.contains(text), "{host} {version} {status}: {said}");
        }
    }
    // Whoever shows a certificate holds its key.
    for identity in [&good, &site.good] {
        for version in rustls::ALL_VERSIONS {
            assert_eq!(stolen(site.proxy.https(), version, identity, &foreign), "", "{version:?}");
            assert!(stolen(site.proxy.https(), version, identity, identity).starts_with("HTTP/1.1 200"), "{version:?}");
        }
    }
}

/// Shows one's certificate with another's key.
#[derive(Debug)]
struct Stolen(Arc<CertifiedKey>);

impl ResolvesClientCert for Stolen {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// The answer to a request that is sent with this certificate and that key.
fn stolen(addr: SocketAddr, version: &'static SupportedProtocolVersion, of: &Identity, with: &Identity) -> String {
    let key = aws_lc_rs::sign::any_supported_type(&with.key()).unwrap();
    let resolver = Stolen(Arc::new(CertifiedKey::new(of.chain(), key)));
    let config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[version])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(TakeAny(provider())))
        .with_client_cert_resolver(Arc::new(resolver));
    let mut tls = ClientConnection::new(Arc::new(config), "on.test".try_into().unwrap()).unwrap();
    let mut tcp = TcpStream::connect(addr).unwrap();
    let mut stream = rustls::Stream::new(&mut tls, &mut tcp);
    let mut answer = Vec::new();
    // A refusal ends either of them.
    let _ = stream.write_all(b"GET / HTTP/1.1\r\nHost: on.test\r\nConnection: close\r\n\r\n");
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

/// Files that other programs read.
fn files(folder: &Path, identity: &Identity) -> (PathBuf, PathBuf) {
    let (cert, key) = (folder.join("client.crt"), folder.join("client.key"));
    std::fs::write(&cert, &identity.cert_pem).unwrap();
    std::fs::write(&key, &identity.key_pem).unwrap();
    (cert, key)
}

/// Whether a program is there; without it there is nothing to compare with.
fn has(program: &str) -> bool {
    let found = Command::new(program).arg("version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if !found {
        assert!(std::env::var_os("CI").is_none(), "{program} is missing");
        eprintln!("{program} is missing: not compared with it");
    }
    found
}

#[test]
fn other_programs_agree() {
    if !has("openssl") || !has("curl") {
        return;
    }
    let site = site();
    let folder = tempfile::tempdir().unwrap();
    let (cert, key) = files(folder.path(), &site.good);
    let port = site.proxy.https().port();
    let curl = |host: &str, http: &str, certified: bool| {
        let mut command = Command::new("curl");
        command.args(["-sk", "-o", "/dev/null", "-w", "%{http_code} %{http_version}", http]);
        if certified {
            command.arg("--cert").arg(&cert).arg("--key").arg(&key);
        }
        command.args(["--resolve", &format!("{host}:{port}:127.0.0.1"), &format!("https://{host}:{port}/")]);
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    };
    for (host, certified, status) in
        [("on.test", true, "200"), ("on.test", false, "400"), ("other.test", true, "400"), ("plain.test", true, "200")]
    {
        assert_eq!(curl(host, "--http1.1", certified), format!("{status} 1.1"), "{host}");
        assert_eq!(curl(host, "--http2", certified), format!("{status} 2"), "{host}");
    }
    let s_client = |host: &str, more: &[&str], say: &str| {
        let mut command = Command::new("openssl");
        command.args(["s_client", "-connect", &format!("127.0.0.1:{port}"), "-servername", host]).args(more);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("openssl");
        child.stdin.as_mut().unwrap().write_all(say.as_bytes()).unwrap();
        String::from_utf8_lossy(&child.wait_with_output().unwrap().stdout).into_owned()
    };
    let get = |host: &str| format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    let (cert, key) = (cert.to_str().unwrap(), key.to_str().unwrap());
    let shown = s_client("on.test", &["-cert", cert, "-key", key, "-ign_eof"], &get("on.test"));
    assert!(shown.contains("Acceptable client certificate CA names") && shown.contains("CN = Ours"), "{shown}");
    assert!(shown.contains("HTTP/1.1 200"), "{shown}");
    // A session of one host is none of another's, and none with a certificate is resumed at all.
    for version in ["-tls1_2", "-tls1_3"] {
        let session = folder.path().join(format!("session{version}"));
        let session = session.to_str().unwrap();
        let first = s_client("plain.test", &[version, "-sess_out", session, "-ign_eof"], &get("plain.test"));
        assert!(first.contains("HTTP/1.1 200"), "{first}");
        let again = s_client("plain.test", &[version, "-sess_in", session, "-ign_eof"], &get("plain.test"));
        assert!(again.contains("Reused, TLS"), "{version}: {again}");
        for host in ["on.test", "opt.test"] {
            let other = s_client(host, &[version, "-sess_in", session, "-ign_eof"], &get(host));
            assert!(!other.contains("Reused, TLS"), "{version} {host}: {other}");
        }
        let own = folder.path().join(format!("own{version}"));
        let own = own.to_str().unwrap();
        s_client("on.test", &[version, "-cert", cert, "-key", key, "-sess_out", own, "-ign_eof"], &get("on.test"));
        if Path::new(own).exists() {
            let without = s_client("on.test", &[version, "-sess_in", own, "-ign_eof"], &get("on.test"));
            assert!(!without.contains("Reused, TLS") && without.contains("HTTP/1.1 400"), "{version}: {without}");
        }
    }
}
