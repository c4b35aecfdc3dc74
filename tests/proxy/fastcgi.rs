//! Endpoints that speak FastCGI, played by a responder of our own.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};

use crate::kit::upstream::sha1_hex;
use crate::kit::{Ingress, Manifests, Proxy, Raw, Response};

/// Starts a responder; it lives as long as the process.
fn responder() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || serve(stream));
        }
    });
    address
}

/// Reads one request and answers it as its path says: `/echo` tells parameters and body.
fn serve(mut stream: TcpStream) -> io::Result<()> {
    let (params, body) = request(&mut stream)?;
    let path = params.get("DOCUMENT_URI").map_or("", |path| path.rsplit('/').next().unwrap_or_default());
    match path {
        "status" => answer(&mut stream, b"Status: 404 Gone Fishing\r\nX-A: 1\r\nX-A: 2\r\n\r\nnothing here"),
        "redirect" => answer(&mut stream, b"Location: /there\n\n"),
        "length" => answer(&mut stream, b"Content-Length: 2\r\n\r\nok"),
        "headless" => answer(&mut stream, b"no head at all"),
        "close" => Ok(()),
        "cut" => stdout(&mut stream, b"\r\npart"),
        "huge" => {
            stdout(&mut stream, b"Content-Type: text/plain\r\n\r\n")?;
            (0..100).try_for_each(|_| stdout(&mut stream, &[b'x'; 50_000]))?;
            end(&mut stream)
        }
        _ => {
            let sum = sha1_hex(&body);
            let text = serde_json::to_string(&(params, body.len(), sum)).unwrap();
            answer(&mut stream, format!("Content-Type: application/json\r\n\r\n{text}").as_bytes())
        }
    }
}

fn request(stream: &mut TcpStream) -> io::Result<(BTreeMap<String, String>, Vec<u8>)> {
    let (mut params, mut body) = (Vec::new(), Vec::new());
    loop {
        let mut header = [0; 8];
        stream.read_exact(&mut header)?;
        let [_, kind, _, _, high, low, padding, _] = header;
        let length = usize::from(u16::from_be_bytes([high, low]));
        let mut content = vec![0; length + usize::from(padding)];
        stream.read_exact(&mut content)?;
        content.truncate(length);
        match (kind, length) {
            (5, 0) => break,
            (4, _) => params.extend(content),
            (5, _) => body.extend(content),
            _ => {}
        }
    }
    Ok((pairs(&params), body))
}

fn pairs(mut bytes: &[u8]) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    while !bytes.is_empty() {
        let mut lengths = [0; 2];
        for length in &mut lengths {
            let (first, rest) = bytes.split_first().unwrap();
            bytes = rest;
            *length = usize::from(*first);
            if *first >= 128 {
                let (more, rest) = bytes.split_first_chunk::<3>().unwrap();
                bytes = rest;
                *length = more.iter().fold(*length & 127, |sum, byte| sum << 8 | usize::from(*byte));
            }
        }
        let (name, rest) = bytes.split_at(lengths[0]);
        let (value, rest) = rest.split_at(lengths[1]);
        bytes = rest;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert_eq!(all.insert(text(name), text(value)), None, "{} is there twice", text(name));
    }
    all
}

fn record(stream: &mut TcpStream, kind: u8, content: &[u8]) -> io::Result<()> {
    let [high, low] = u16::try_from(content.len()).unwrap().to_be_bytes();
    stream.write_all(&[1, kind, 0, 1, high, low, 3, 0])?;
    stream.write_all(content)?;
    stream.write_all(&[0; 3])
}

fn stdout(stream: &mut TcpStream, content: &[u8]) -> io::Result<()> {
    record(stream, 6, content)
}

fn end(stream: &mut TcpStream) -> io::Result<()> {
    record(stream, 7, b"a word on stderr")?;
    record(stream, 6, b"")?;
    record(stream, 3, &[0; 8])
}

fn answer(stream: &mut TcpStream, content: &[u8]) -> io::Result<()> {
    // In small pieces, so that a head comes in several records.
    content.chunks(7).try_for_each(|piece| stdout(stream, piece))?;
    end(stream)
}

fn start(annotations: &[(&str, &str)], params: &[(&str, &str)]) -> (Manifests, Proxy) {
    let manifests = Manifests::new();
    let ingress = Ingress::new("php").rule("a.test", "/", "php").nginx("backend-protocol", "FCGI");
    let ingress = annotations.iter().fold(ingress, |ingress, (key, value)| ingress.nginx(key, value));
    manifests.service("php", &[responder()]).ingress(&ingress).config_map("default", "params", params);
    let proxy = Proxy::start(&manifests, &[]);
    (manifests, proxy)
}

/// What the responder saw: its parameters, the length and digest of the body.
type Told = (BTreeMap<String, String>, usize, String);

fn told(response: &Response) -> Told {
    assert_eq!(response.status, 200, "{}", response.text());
    serde_json::from_slice(&response.body).unwrap()
}

#[test]
fn responders_are_told_what_nginx_tells() {
    let annotations = [("fastcgi-index", "index.php"), ("fastcgi-params-configmap", "params")];
    let own = [("SCRIPT_FILENAME", "/srv$fastcgi_script_name"), ("SERVER_SOFTWARE", "mine"), ("HTTP_X_FIXED", "ours")];
    let (_manifests, proxy) = start(&annotations, &own);
    let port = proxy.http().port().to_string();
    let fields = ["X-Fixed: theirs", "Proxy: http://evil.test", "Cookie: a=b", "Content-Type: text/x", "X-Long: y"];
    let (params, length, _) = told(&proxy.get_with("a.test", "/shop/%61/?q=1&r", &fields));
    assert_eq!(length, 0);
    let expected = [
        ("QUERY_STRING", Some("q=1&r")),
        ("REQUEST_METHOD", Some("GET")),
        ("CONTENT_TYPE", Some("text/x")),
        ("CONTENT_LENGTH", Some("")),
        ("SCRIPT_NAME", Some("/shop/a/index.php")),
        ("SCRIPT_FILENAME", Some("/srv/shop/a/index.php")),
        ("REQUEST_URI", Some("/shop/%61/?q=1&r")),
        ("DOCUMENT_URI", Some("/shop/a/")),
        ("SERVER_PROTOCOL", Some("HTTP/1.1")),
        ("REQUEST_SCHEME", Some("http")),
        ("HTTPS", None),
        ("GATEWAY_INTERFACE", Some("CGI/1.1")),
        ("SERVER_SOFTWARE", Some("mine")),
        ("REMOTE_ADDR", Some("127.0.0.1")),
        ("SERVER_PORT", Some(port.as_str())),
        ("SERVER_NAME", Some("a.test")),
        ("REDIRECT_STATUS", Some("200")),
        ("HTTP_HOST", Some("a.test")),
        ("HTTP_COOKIE", Some("a=b")),
        ("HTTP_X_FORWARDED_FOR", Some("127.0.0.1")),
        ("HTTP_X_FIXED", Some("ours")),
        ("HTTP_PROXY", None),
        ("HTTP_CONNECTION", None),
        ("HTTP_CONTENT_TYPE", None),
    ];
    for (name, value) in expected {
        assert_eq!(params.get(name).map(String::as_str), value, "{name}");
    }
}

#[test]
fn answers_become_http() {
    let (_manifests, proxy) = start(&[], &[]);
    let response = proxy.get("a.test", "/status");
    assert_eq!((response.status, response.text().as_str()), (404, "nothing here"));
    assert_eq!(response.header_all("x-a"), ["1", "2"]);
    assert_eq!(response.header("status"), None);
    let response = proxy.get("a.test", "/redirect");
    assert_eq!((response.status, response.header("location")), (302, Some("/there")));
    let mut connection = Raw::connect(proxy.http());
    for _ in 0..3 {
        let response = connection.get("a.test", "/length");
        assert_eq!((response.status, response.header("content-length")), (200, Some("2")));
    }
    let response = connection.request("HEAD /length HTTP/1.1\r\nHost: a.test\r\n\r\n");
    assert!(response.status == 200 && response.body.is_empty());
    for path in ["/headless", "/close"] {
        assert_eq!(proxy.get("a.test", path).status, 502, "{path}");
    }
    let response = proxy.get("a.test", "/cut");
    assert!(response.status == 502 || !response.complete, "what broke off must not look whole: {}", response.text());
}

#[test]
fn bodies_stream_both_ways() {
    for buffering in ["on", "off"] {
        let (_manifests, proxy) = start(&[("proxy-body-size", "0"), ("proxy-request-buffering", buffering)], &[]);
        let body: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
        let mut request =
            format!("POST /echo HTTP/1.1\r\nHost: a.test\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
        request.extend_from_slice(&body);
        let (params, length, sum) = told(&Raw::connect(proxy.http()).request(&request));
        assert_eq!((length, sum), (body.len(), sha1_hex(&body)), "{buffering}");
        assert_eq!(params.get("CONTENT_LENGTH"), Some(&body.len().to_string()));
        let response = proxy.get("a.test", "/huge");
        assert!(response.complete && response.body.len() == 5_000_000);
    }
}

/// FastCGI programs read as many bytes as they are told, and none when they are told nothing.
#[test]
fn bodies_of_unknown_length_are_counted_first() {
    for buffering in ["on", "off"] {
        let (_manifests, proxy) = start(&[("proxy-body-size", "0"), ("proxy-request-buffering", buffering)], &[]);
        let chunked = |size: usize| {
            let head = "POST /echo HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n";
            let body = [format!("{head}{size:x}\r\n").into_bytes(), vec![b'x'; size], b"\r\n0\r\n\r\n".to_vec()];
            Raw::connect(proxy.http()).request(body.concat())
        };
        let (params, length, _) = told(&chunked(70_000));
        assert_eq!((length, params["CONTENT_LENGTH"].as_str()), (70_000, "70000"), "{buffering}");
        assert_eq!(chunked((1 << 20) + 70_000).status, 413, "{buffering}: more than can be held");
    }
}

#[test]
fn a_rewrite_is_what_the_script_sees() {
    let manifests = Manifests::new();
    let ingress = Ingress::new("php").nginx("backend-protocol", "FCGI").nginx("rewrite-target", "/app/$1");
    manifests.service("php", &[responder()]);
    manifests.ingress(&ingress.rule_of("ImplementationSpecific", "a.test", "/old/(.*)", "php"));
    let proxy = Proxy::start(&manifests, &[]);
    let (params, ..) = told(&proxy.get("a.test", "/old/x.php?q"));
    let get = |name: &str| params.get(name).map(String::as_str);
    assert_eq!(get("SCRIPT_NAME"), Some("/app/x.php"));
    assert_eq!((get("QUERY_STRING"), get("REQUEST_URI")), (Some("q"), Some("/old/x.php?q")));
}

#[test]
fn parameters_that_cannot_be_used_deny() {
    type Pairs = &'static [(&'static str, &'static str)];
    let rows: [(Pairs, Pairs); 4] = [
        (&[("fastcgi-params-configmap", "nobody")], &[]),
        (&[("fastcgi-params-configmap", "other/params")], &[]),
        (&[("fastcgi-params-configmap", "params")], &[("SCRIPT_FILENAME", "/a b")]),
        (&[("fastcgi-params-configmap", "params")], &[("SCRIPT_FILENAME", "$no_such_thing")]),
    ];
    for (annotations, params) in rows {
        let (_manifests, proxy) = start(annotations, params);
        assert_eq!(proxy.get("a.test", "/echo").status, 503, "{annotations:?} {params:?}");
    }
}
