//! The way of oauth2-proxy: signed out, a browser is sent to sign in, gets a cookie, comes back, and passes as somebody.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};

use crate::kit::{H2, Ingress, Manifests, Proxy, Raw, Response, Upstream, websocket};

/// What a sign-in service does: `/oauth2/auth` says who has a session, `/oauth2/start` makes one and leads back.
fn sign_in_service() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // It ends with the process.
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || serve(stream));
        }
    });
    address
}

fn serve(mut stream: TcpStream) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
    let request = lines.next().unwrap_or_default();
    let fields: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
    let target = request.split(' ').nth(1).unwrap_or_default();
    let has_session = fields.iter().any(|f| f.to_lowercase().starts_with("cookie:") && f.contains("_session=secret"));
    let head = match target.split_once("?rd=") {
        Some(("/oauth2/start", back)) => format!(
            "302 Found\r\nSet-Cookie: _session=secret; Path=/; HttpOnly\r\nLocation: {}",
            back.replace("%2F", "/").replace("%3F", "?").replace("%3D", "=")
        ),
        _ if target != "/oauth2/auth" => "404 Not Found".to_owned(),
        _ if has_session => "202 Accepted\r\nX-Auth-Request-User: alice".to_owned(),
        _ => "401 Unauthorized".to_owned(),
    };
    let _ = write!(stream, "HTTP/1.1 {head}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
}

fn world(protocol: &str) -> (Upstream, Manifests, Proxy) {
    let (upstream, service) = (Upstream::start("app"), sign_in_service());
    let manifests = Manifests::new();
    manifests.upstream(&upstream).service("oauth", &[service]);
    manifests.ingress(&Ingress::new("oauth").rule("app.test", "/oauth2", "oauth"));
    manifests.ingress(
        &Ingress::new("app")
            .rule("app.test", "/", "app")
            .nginx("backend-protocol", protocol)
            .nginx("auth-url", "http://oauth.default.svc.cluster.local/oauth2/auth")
            .nginx("auth-signin", "http://$host/oauth2/start?rd=$scheme://$host$escaped_request_uri")
            .nginx("auth-response-headers", "X-Auth-Request-User"),
    );
    let proxy = Proxy::start(&manifests, &[]);
    (upstream, manifests, proxy)
}

fn location(response: &Response, status: u16) -> String {
    assert_eq!(response.status, status, "{:?}", response.headers);
    response.header("location").unwrap().to_owned()
}

#[test]
fn a_browser_signs_in_and_comes_back() {
    let (upstream, _manifests, proxy) = world("HTTP");
    let forged = proxy.get_with("app.test", "/page?a=b", &["X-Auth-Request-User: root"]);
    let start = location(&forged, 302);
    assert_eq!(start, "http://app.test/oauth2/start?rd=http://app.test%2Fpage%3Fa%3Db");
    let signed_in = proxy.get("app.test", start.strip_prefix("http://app.test").unwrap());
    let back = location(&signed_in, 302);
    assert_eq!(back, "http://app.test/page?a=b");
    let cookie = signed_in.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    assert_eq!(upstream.requests(), 0, "nobody passed so far");
    let field = format!("Cookie: {cookie}");
    let page = proxy.get_with("app.test", "/page?a=b", &[&field, "X-Auth-Request-User: root"]);
    assert_eq!((page.status, page.seen().header("x-auth-request-user")), (200, Some("alice")));
}

#[test]
fn websockets_and_grpc_are_behind_it() {
    let (upstream, _manifests, proxy) = world("HTTP");
    let upgrade = |cookie: &str| {
        let mut client = Raw::connect(proxy.http());
        let response = client.request(format!(
            "GET /ws HTTP/1.1\r\nHost: app.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n{cookie}\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        ));
        (client, response.status)
    };
    assert_eq!(upgrade("").1, 302);
    let (mut socket, status) = upgrade("Cookie: _session=secret\r\n");
    assert_eq!((status, upstream.last().header("x-auth-request-user")), (101, Some("alice")));
    socket.send_frame(websocket::TEXT, b"hello");
    assert_eq!(socket.read_frame().unwrap(), (websocket::TEXT, b"hello".to_vec()));

    let (upstream, _manifests, proxy) = world("GRPC");
    let client = H2::connect_tls(proxy.https(), "app.test");
    assert_eq!(client.grpc("app.test", "/pkg.Service/Method", &[], b"ping").status, 302);
    let answer = client.grpc("app.test", "/pkg.Service/Method", &[("cookie", "_session=secret")], b"ping");
    assert_eq!((answer.status, answer.trailer("grpc-status")), (200, Some("0")));
    assert_eq!(upstream.last().header("x-auth-request-user"), Some("alice"));
}
