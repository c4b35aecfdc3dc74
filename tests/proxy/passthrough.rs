//! TLS that is left to the Service of a host, beside TLS that is ended here.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use crate::kit::certs::{TakeAny, provider};
use crate::kit::raw::Tls;
use crate::kit::{DEADLINE, Ingress, Manifests, Proxy, Raw, Upstream, eventually};

/// `open.test` is ended here, `vault.test` passed through to an upstream that ends TLS itself.
fn start(settings: &[(&str, &str)], args: &[&str]) -> (Upstream, Upstream, Manifests, Proxy) {
    let (one, vault) = (Upstream::start("one"), Upstream::start("vault"));
    let manifests = Manifests::new();
    manifests.upstream(&one).upstream_tls(&vault).config_map("default", "settings", settings);
    manifests.ingress(&Ingress::new("open").rule("open.test", "/", "one"));
    manifests.ingress(&ingress("true"));
    let proxy = Proxy::start(&manifests, &[&["--configmap=default/settings"], args].concat());
    (one, vault, manifests, proxy)
}

fn ingress(passthrough: &str) -> Ingress {
    Ingress::new("vault").rule("vault.test", "/", "vault").nginx("ssl-passthrough", passthrough)
}

const ON: &[&str] = &["--enable-ssl-passthrough", "--ssl-passthrough-proxy-port=442"];

/// Whether TLS for this name is ended by that upstream.
fn ends(proxy: &Proxy, sni: &str, upstream: &Upstream) -> bool {
    let client = Raw::connect_tls(proxy.https(), sni, &["http/1.1"]);
    client.peer().chain.first() == Some(upstream.certificate())
}

#[test]
fn a_host_is_passed_through_and_others_are_not() {
    let (_one, vault, manifests, proxy) = start(&[], ON);
    let mut client = Raw::connect_tls(proxy.https(), "vault.test", &["http/1.1"]);
    assert_eq!(client.peer().chain.first(), Some(vault.certificate()), "the upstream's own certificate");
    let seen = client.get("anything.test", "/x").seen();
    assert_eq!((seen.backend.as_str(), seen.host(), seen.header("x-real-ip")), ("vault", Some("anything.test"), None));
    assert_eq!(client.get("vault.test", "/again").status, 200, "the connection is the upstream's");
    drop(client);
    let line = proxy.wait_for_stdout("] TCP 200 ").expect("a line of the log of streams");
    assert!(line.starts_with("[127.0.0.1] ["), "{line}");

    for sni in ["open.test", "sub.vault.test", "unknown.test", ""] {
        assert!(!ends(&proxy, sni, &vault), "{sni}");
    }
    let seen = proxy.get_tls("open.test", "/").seen();
    assert_eq!((seen.backend.as_str(), seen.header("x-real-ip")), ("one", Some("127.0.0.1")));
    let plain = Raw::connect(proxy.https()).get("vault.test", "/");
    assert_eq!(plain.status, 400, "plain HTTP on the https port");
    assert_eq!(proxy.get("vault.test", "/plain").seen().backend, "vault", "plain HTTP is served as always, over TLS");

    manifests.ingress(&ingress("false"));
    assert!(eventually(DEADLINE, || (!ends(&proxy, "vault.test", &vault)).then_some(())).is_some());
    manifests.ingress(&ingress("true"));
    assert!(eventually(DEADLINE, || ends(&proxy, "vault.test", &vault).then_some(())).is_some());
    manifests.service("vault", &[]);
    let tls = Tls { sni: "vault.test", ..Tls::default() };
    let closed = eventually(DEADLINE, || Raw::try_connect_tls(proxy.https(), tls).err());
    assert!(closed.is_some(), "without endpoints there is nobody to talk to");
}

#[test]
fn without_the_flag_tls_is_ended_here() {
    let (_one, vault, _manifests, proxy) = start(&[], &[]);
    assert!(!ends(&proxy, "vault.test", &vault));
    assert!(proxy.wait_for_stderr("--enable-ssl-passthrough is off").is_some());
}

#[test]
fn a_proxy_header_comes_before_the_server_name() {
    let (_one, vault, _manifests, proxy) = start(&[("use-proxy-protocol", "true")], ON);
    let line = b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\r\n";
    let tls = |sni| Tls { sni, alpn: &["http/1.1"], ..Tls::default() };
    let mut client = Raw::try_connect_tls_after(proxy.https(), line, tls("vault.test")).unwrap();
    assert_eq!(client.peer().chain.first(), Some(vault.certificate()));
    assert_eq!(client.get("vault.test", "/").seen().header("x-real-ip"), None);
    drop(client);
    assert!(proxy.wait_for_stdout("[192.0.2.7] [").is_some(), "the log has the client");
    let mut client = Raw::try_connect_tls_after(proxy.https(), line, tls("open.test")).unwrap();
    assert_eq!(client.get("open.test", "/").seen().header("x-real-ip"), Some("192.0.2.7"));
}

/// A stream that sends a few bytes at a time.
struct Dribble(TcpStream);

impl Write for Dribble {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.write(bytes.chunks(7).next().unwrap_or_default())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

impl Read for Dribble {
    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(bytes)
    }
}

#[test]
fn a_client_hello_may_come_in_pieces() {
    let (_one, _vault, _manifests, proxy) = start(&[], ON);
    let config = rustls::ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(TakeAny(provider())))
        .with_no_client_auth();
    for (name, backend) in [("vault.test", "vault"), ("open.test", "one")] {
        let stream = TcpStream::connect(proxy.https()).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let connection = rustls::ClientConnection::new(Arc::new(config.clone()), name.try_into().unwrap()).unwrap();
        let mut tls = rustls::StreamOwned::new(connection, Dribble(stream));
        write!(tls, "GET / HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        let _ = tls.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(answer.contains(&format!("\"{backend}\"")), "{name}: {answer}");
    }
}

#[test]
fn what_is_no_client_hello_is_served_as_always() {
    let (_one, _vault, _manifests, proxy) = start(&[], ON);
    for bytes in [&[0x16, 3, 1, 0, 5, 1, 0, 0, 1, 0][..], &[0x16, 3, 1, 0xff, 0xff], &[0; 600], b"\x16\x03\x01"] {
        let mut client = Raw::connect(proxy.https());
        client.send(bytes).finish();
        let ended = client.read_to_end().map_err(|error| error.kind());
        assert_ne!(ended, Err(std::io::ErrorKind::TimedOut), "{bytes:?}");
    }
    assert_eq!(proxy.get_tls("open.test", "/").status, 200);
}
