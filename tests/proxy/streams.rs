//! TCP and UDP services: bytes both ways, and ports that come and go with their ConfigMap and their endpoints.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use socket2::{Domain, SockRef, Socket, Type};

use crate::kit::stream::{
    Deaf, TCP_MAP, TcpBackend, UDP_MAP, UdpClient, connect, exchange, free_port, line, ports, service, udp_backend,
    wait_closed,
};
use crate::kit::{DEADLINE, Ingress, Manifests, Proxy, Upstream, eventually};

/// A TCP service on a port, with these backends and what follows the port in its ConfigMap.
fn tcp(backends: &[&TcpBackend], suffix: &str, args: &[&str]) -> (u16, Manifests, Proxy) {
    let (port, manifests) = (free_port(), Manifests::new());
    let addrs: Vec<_> = backends.iter().map(|backend| backend.addr()).collect();
    service(&manifests, "echo", "TCP", &addrs);
    ports(&manifests, "tcp", &[(port, &format!("default/echo:7{suffix}"))]);
    let proxy = Proxy::start(&manifests, &[&[TCP_MAP], args].concat());
    (port, manifests, proxy)
}

#[test]
fn bytes_go_both_ways_and_each_way_ends_alone() {
    let backend = TcpBackend::start("one");
    let (port, _manifests, proxy) = tcp(&[&backend], "", &[]);
    let mut client = connect(port);
    assert_eq!(line(&mut client), "one", "the backend may speak first");
    client.write_all(b"hello").unwrap();
    let mut five = [0; 5];
    client.read_exact(&mut five).unwrap();
    assert_eq!(&five, b"hello");
    assert_eq!(exchange(client, b"bye"), b"bye", "the end is passed on, and answers still come");
    let logged = proxy.wait_for_stdout("] TCP 200 12 8 ").expect("a line of the access log");
    assert!(logged.starts_with("[127.0.0.1] ["), "{logged}");
}

#[test]
fn large_transfers_arrive_whole() {
    const BYTES: usize = 24 << 20;
    let backend = TcpBackend::start("one");
    let (port, _manifests, _proxy) = tcp(&[&backend], "", &["--workers=1"]);
    let mut client = connect(port);
    line(&mut client);
    let sent: Vec<u8> = (0..BYTES).map(|i| (i ^ (i >> 8) ^ (i >> 16)) as u8).collect();
    let mut writing = client.try_clone().unwrap();
    let to_send = sent.clone();
    let writer = std::thread::spawn(move || {
        writing.write_all(&to_send).unwrap();
        writing.shutdown(Shutdown::Write).unwrap();
    });
    let mut got = Vec::new();
    client.read_to_end(&mut got).unwrap();
    writer.join().unwrap();
    assert!(got == sent, "{} of {BYTES} bytes", got.len());
}

#[test]
fn endpoints_take_turns() {
    let (one, two) = (TcpBackend::start("one"), TcpBackend::start("two"));
    let (port, _manifests, _proxy) = tcp(&[&one, &two], "", &["--workers=1"]);
    let names: Vec<String> = (0..6).map(|_| line(&mut connect(port))).collect();
    assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "{names:?}");
}

#[test]
fn an_endpoint_that_refuses_is_passed_over() {
    let one = TcpBackend::start("one");
    let (port, manifests) = (free_port(), Manifests::new());
    service(&manifests, "echo", "TCP", &[one.addr(), Upstream::refused()]);
    ports(&manifests, "tcp", &[(port, "default/echo:seven")]);
    let args = |map: &'static str| [TCP_MAP, "--workers=1", map];
    let proxy = Proxy::start(&manifests, &args("--configmap=default/settings"));
    for _ in 0..4 {
        assert_eq!(line(&mut connect(port)), "one");
    }
    manifests.config_map("default", "settings", &[("proxy-stream-next-upstream", "false")]);
    let ended = eventually(DEADLINE, || (connect(port).read(&mut [0]).ok() == Some(0)).then_some(()));
    assert!(ended.is_some(), "without a next endpoint the connection ends");
    assert!(proxy.wait_for_stdout("] TCP 502 0 0 ").is_some());
}

#[test]
fn tries_are_limited() {
    let one = TcpBackend::start("one");
    let (port, manifests) = (free_port(), Manifests::new());
    let away: Vec<_> = (0..4).map(|_| Upstream::refused()).chain([one.addr()]).collect();
    service(&manifests, "echo", "TCP", &away);
    ports(&manifests, "tcp", &[(port, "default/echo:seven")]);
    manifests.config_map("default", "settings", &[("proxy-stream-next-upstream-tries", "0")]);
    let _proxy = Proxy::start(&manifests, &[TCP_MAP, "--workers=1", "--configmap=default/settings"]);
    for _ in 0..5 {
        assert_eq!(line(&mut connect(port)), "one");
    }
    manifests.config_map("default", "settings", &[("proxy-stream-next-upstream-tries", "1")]);
    let ended = eventually(DEADLINE, || (connect(port).read(&mut [0]).ok() == Some(0)).then_some(()));
    assert!(ended.is_some(), "one try meets an endpoint that refuses");
}

#[test]
fn the_time_for_tries_is_limited() {
    // An endpoint whose queue is full answers nothing; the one that is good comes after it at every other connection.
    let one = TcpBackend::start("one");
    let deaf = Deaf::listen();
    let (port, manifests) = (free_port(), Manifests::new());
    service(&manifests, "echo", "TCP", &[one.addr(), deaf.addr]);
    ports(&manifests, "tcp", &[(port, "default/echo:seven")]);
    manifests.config_map("default", "settings", &[("proxy-stream-next-upstream-timeout", "1s")]);
    let _proxy = Proxy::start(&manifests, &[TCP_MAP, "--workers=1", "--configmap=default/settings"]);
    let mut got: Vec<String> = Vec::new();
    for mut client in [connect(port), connect(port)] {
        let mut text = vec![0; 3];
        let read = client.read(&mut text).unwrap();
        got.push(String::from_utf8_lossy(&text[..read]).into_owned());
    }
    got.sort();
    assert_eq!(got, ["", "one"], "five seconds of trying to connect are too many for another try");
}

#[test]
fn ports_follow_the_config_map() {
    let (one, two) = (TcpBackend::start("one"), TcpBackend::start("two"));
    let (first, second) = (free_port(), free_port());
    let manifests = Manifests::new();
    service(&manifests, "one", "TCP", &[one.addr()]);
    service(&manifests, "two", "TCP", &[two.addr()]);
    let proxy = Proxy::start(&manifests, &[TCP_MAP]);
    wait_closed(first);
    ports(&manifests, "tcp", &[(first, "default/one:7")]);
    let mut open = connect(first);
    assert_eq!(line(&mut open), "one");
    ports(&manifests, "tcp", &[(first, "default/two:7"), (second, "default/one:7")]);
    assert_eq!(line(&mut connect(second)), "one");
    assert!(eventually(DEADLINE, || (line(&mut connect(first)) == "two").then_some(())).is_some());
    ports(&manifests, "tcp", &[(second, "default/one:7")]);
    wait_closed(first);
    ports(&manifests, "tcp", &[(first, "default/two:7"), (second, "default/one:7")]);
    assert_eq!(line(&mut connect(first)), "two", "a port can be opened again while a connection of it is open");
    manifests.remove("configmap-default-tcp.yaml");
    wait_closed(first);
    wait_closed(second);
    assert_eq!(exchange(open, b"still here"), b"still here", "what is open outlives its port");
    assert!(proxy.stderr().iter().all(|line| !line.contains("cannot be opened")));
}

#[test]
fn ports_are_open_while_there_are_endpoints() {
    let backend = TcpBackend::start("one");
    let (port, manifests, proxy) = tcp(&[], "", &[]);
    assert!(proxy.wait_for_stderr("the Service has no ready endpoint; the port stays closed").is_some());
    wait_closed(port);
    for _ in 0..3 {
        service(&manifests, "echo", "TCP", &[backend.addr()]);
        let mut open = connect(port);
        assert_eq!(line(&mut open), "one");
        service(&manifests, "echo", "TCP", &[]);
        wait_closed(port);
        assert_eq!(exchange(open, b"on"), b"on");
    }
    let tables = proxy.stderr().iter().filter(|line| line.contains("table in force")).count();
    assert_eq!(tables, 1, "endpoints alone are no new table");
}

#[test]
fn proxy_headers_are_taken_and_sent() {
    let backend = TcpBackend::start("one");
    let (port, manifests, proxy) = tcp(&[&backend], ":PROXY:PROXY", &[]);
    let ask = |text: &[u8]| String::from_utf8(exchange(connect(port), text)).unwrap();
    let line = "PROXY TCP4 192.0.2.7 198.51.100.1 4711 25\r\n";
    assert_eq!(ask(format!("{line}hello").as_bytes()), format!("one\n{line}hello"));
    assert!(proxy.wait_for_stdout("[192.0.2.7] [").is_some());
    let six = [&b"\r\n\r\n\0\r\nQUIT\n\x21\x21\0\x24"[..], &[0xfd; 16], &[0xfe; 16], &[0, 80, 1, 187], b"hi"].concat();
    let (from, to) = ("fdfd:fdfd:fdfd:fdfd:fdfd:fdfd:fdfd:fdfd", "fefe:fefe:fefe:fefe:fefe:fefe:fefe:fefe");
    assert_eq!(ask(&six), format!("one\nPROXY TCP6 {from} {to} 80 443\r\nhi"));
    let local = |text: String| text.starts_with("one\nPROXY TCP4 127.0.0.1 127.0.0.1 ") && text.ends_with("\r\nhi");
    assert!(local(ask(b"PROXY UNKNOWN\r\nhi")), "the connection's own addresses");
    assert!(local(ask(b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0hi")));

    let mut bad = connect(port);
    bad.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    assert!(!matches!(bad.read(&mut [0]), Ok(1)), "nothing comes back");
    assert!(proxy.wait_for_stdout("] TCP 400 0 0 ").is_some());

    ports(&manifests, "tcp", &[(port, "default/echo:7::PROXY")]);
    let own = eventually(DEADLINE, || {
        let client = connect(port);
        let from = client.local_addr().unwrap().port();
        let got = String::from_utf8(exchange(client, b"hi")).unwrap();
        (got == format!("one\nPROXY TCP4 127.0.0.1 127.0.0.1 {from} {port}\r\nhi")).then_some(())
    });
    assert!(own.is_some(), "without one of its own, a connection's addresses are sent");
}

#[test]
fn proxy_headers_of_who_is_not_trusted_are_not_believed() {
    let backend = TcpBackend::start("one");
    let (port, manifests) = (free_port(), Manifests::new());
    service(&manifests, "echo", "TCP", &[backend.addr()]);
    ports(&manifests, "tcp", &[(port, "default/echo:7:PROXY:PROXY")]);
    manifests.config_map("default", "settings", &[("proxy-real-ip-cidr", "10.0.0.0/8")]);
    let proxy = Proxy::start(&manifests, &[TCP_MAP, "--configmap=default/settings"]);
    let got = String::from_utf8(exchange(connect(port), b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 25\r\nhi")).unwrap();
    assert!(got.starts_with("one\nPROXY TCP4 127.0.0.1 127.0.0.1 ") && got.ends_with("\r\nhi"), "{got}");
    assert!(proxy.wait_for_stdout("[127.0.0.1] [").is_some());
}

#[test]
fn a_reset_is_passed_on() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let (port, manifests) = (free_port(), Manifests::new());
    service(&manifests, "echo", "TCP", &[listener.local_addr().unwrap()]);
    ports(&manifests, "tcp", &[(port, "default/echo:7")]);
    let _proxy = Proxy::start(&manifests, &[TCP_MAP]);
    let reset = |stream: TcpStream| SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    // A connection that is reset at once may count as one that never was.
    let joined = || {
        let mut client = connect(port);
        let mut backend = listener.accept().unwrap().0;
        backend.set_read_timeout(Some(DEADLINE)).unwrap();
        backend.write_all(b"!").unwrap();
        client.read_exact(&mut [0]).unwrap();
        (client, backend)
    };
    let (mut client, backend) = joined();
    reset(backend);
    assert_eq!(client.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset, "to the client");
    let (client, mut backend) = joined();
    reset(client);
    assert_eq!(backend.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset, "to the backend");
}

#[test]
fn a_backend_that_hangs_up_is_heard_to_the_end() {
    // What fits into the proxy at once, and not into the client.
    const BYTES: usize = 60_000;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let (port, manifests) = (free_port(), Manifests::new());
    service(&manifests, "rude", "TCP", &[listener.local_addr().unwrap()]);
    ports(&manifests, "tcp", &[(port, "default/rude:7")]);
    let _proxy = Proxy::start(&manifests, &[TCP_MAP]);
    drop(connect(port));
    drop(listener.accept().unwrap());
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.connect(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into()).unwrap();
    let mut client = TcpStream::from(socket);
    client.set_read_timeout(Some(DEADLINE)).unwrap();
    client.write_all(b"more than is read").unwrap();
    let mut backend = listener.accept().unwrap().0;
    backend.read_exact(&mut [0]).unwrap();
    backend.write_all(&[b'x'; BYTES]).unwrap();
    // Closed with bytes that were not read, which its system makes a reset of.
    drop(backend);
    // Time for the proxy to go wrong.
    eventually(Duration::from_millis(300), || None::<()>);
    let (mut got, mut buffer) = (0, vec![0; 4096]);
    let end = loop {
        match client.read(&mut buffer) {
            Ok(read @ 1..) => got += read,
            end => break end.map_err(|error| error.kind()),
        }
    };
    assert_eq!((got, end), (BYTES, Err(ErrorKind::ConnectionReset)));
}

#[test]
fn silence_ends_a_connection() {
    let backend = TcpBackend::start("one");
    let (port, manifests) = (free_port(), Manifests::new());
    service(&manifests, "echo", "TCP", &[backend.addr()]);
    ports(&manifests, "tcp", &[(port, "default/echo:7")]);
    manifests.config_map("default", "settings", &[("proxy-stream-timeout", "500ms")]);
    let _proxy = Proxy::start(&manifests, &[TCP_MAP, "--configmap=default/settings"]);
    let mut client = connect(port);
    line(&mut client);
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).unwrap();
    assert_eq!(rest, b"");
}

#[test]
fn the_log_has_the_format_that_was_asked_for() {
    let backend = TcpBackend::start("one");
    let (port, manifests) = (free_port(), Manifests::new());
    service(&manifests, "echo", "TCP", &[backend.addr()]);
    ports(&manifests, "tcp", &[(port, "default/echo:7")]);
    let format = "$protocol|${remote_addr}|$server_port|$upstream_addr|$proxy_upstream_name|$status|";
    manifests.config_map("default", "settings", &[("log-format-stream", format)]);
    let proxy = Proxy::start(&manifests, &[TCP_MAP, "--configmap=default/settings"]);
    exchange(connect(port), b"");
    let expected = format!("TCP|127.0.0.1|{port}|{}|tcp-default-echo-7|200|", backend.addr());
    assert!(proxy.wait_for_stdout(&expected).is_some(), "{:?}", proxy.stdout());
    manifests.config_map("default", "settings", &[("disable-stream-access-log", "true")]);
    let silent = eventually(DEADLINE, || {
        let before = proxy.stdout().len();
        exchange(connect(port), b"");
        eventually(Duration::from_millis(300), || (proxy.stdout().len() > before).then_some(())).is_none().then_some(())
    });
    assert!(silent.is_some(), "no line any more");
}

#[test]
fn udp_questions_are_answered() {
    let (port, named, manifests) = (free_port(), free_port(), Manifests::new());
    service(&manifests, "dns", "UDP", &[udp_backend("one")]);
    ports(&manifests, "udp", &[(port, "default/dns:7"), (named, "default/dns:seven")]);
    let proxy = Proxy::start(&manifests, &[UDP_MAP]);
    let client = UdpClient::connect(port);
    assert_eq!(client.ask("a"), "one:a");
    for round in 0..50 {
        let text = format!("question {round}");
        assert_eq!(client.ask(&text), format!("one:{text}"));
    }
    assert_eq!(UdpClient::connect(named).ask("by name"), "one:by name");
    let large = "x".repeat(60_000);
    assert_eq!(client.ask(&large), format!("one:{large}"));
    client.send("silent");
    client.send("after");
    assert_eq!(client.receive().as_deref(), Some("one:after"), "a session waits for all its answers");
    assert!(proxy.wait_for_stdout("] UDP 200 14 10 ").is_some(), "question 0 and its answer");
}

#[test]
fn udp_ports_follow_their_endpoints() {
    let (one, two) = (udp_backend("one"), udp_backend("two"));
    let (port, manifests) = (free_port(), Manifests::new());
    service(&manifests, "dns", "UDP", &[one]);
    ports(&manifests, "udp", &[(port, "default/dns:7")]);
    manifests.config_map("default", "settings", &[("proxy-stream-responses", "1000")]);
    let proxy = Proxy::start(&manifests, &[UDP_MAP, "--configmap=default/settings"]);
    let client = UdpClient::connect(port);
    assert_eq!(client.ask("a"), "one:a");
    service(&manifests, "dns", "UDP", &[two]);
    let moved = eventually(DEADLINE, || (client.ask("b") == "two:b").then_some(()));
    assert!(moved.is_some(), "a session whose endpoint is gone goes to another");
    service(&manifests, "dns", "UDP", &[]);
    assert!(proxy.wait_for_stderr("port closed").is_some());
    service(&manifests, "dns", "UDP", &[one]);
    assert_eq!(client.ask("c"), "one:c");
    assert_eq!((client.ask("twice"), client.receive().as_deref()), ("one:twice".to_owned(), Some("one:twice")));
}

#[test]
fn one_service_may_have_a_port_of_both_protocols() {
    let backend = TcpBackend::start("tcp");
    let (port, manifests) = (free_port(), Manifests::new());
    let udp = udp_backend("udp");
    manifests.write(
        "dns.yaml",
        &format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: dns}}\nspec: {{ports: [{{name: t, port: 53, protocol: TCP}}, \
             {{name: u, port: 53, protocol: UDP}}]}}\n---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n\
             metadata: {{name: dns, labels: {{kubernetes.io/service-name: dns}}}}\naddressType: IPv4\n\
             endpoints: [{{addresses: [127.0.0.1]}}]\nports: [{{name: t, port: {}}}, {{name: u, port: {}, protocol: UDP}}]\n",
            backend.addr().port(),
            udp.port()
        ),
    );
    ports(&manifests, "tcp", &[(port, "default/dns:53")]);
    ports(&manifests, "udp", &[(port, "default/dns:53")]);
    let _proxy = Proxy::start(&manifests, &[TCP_MAP, UDP_MAP]);
    assert_eq!(line(&mut connect(port)), "tcp");
    assert_eq!(UdpClient::connect(port).ask("a"), "udp:a");
}

#[test]
fn a_port_that_cannot_be_had_is_told_and_tried_again() {
    let (backend, upstream) = (TcpBackend::start("one"), Upstream::start("web"));
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let manifests = Manifests::new();
    manifests.upstream(&upstream).ingress(&Ingress::new("web").rule("a.test", "/", "web"));
    service(&manifests, "echo", "TCP", &[backend.addr()]);
    ports(&manifests, "tcp", &[(443, "default/echo:7"), (port, "default/echo:7")]);
    let proxy = Proxy::start(&manifests, &[TCP_MAP]);
    assert!(proxy.wait_for_stderr("443: the port is reserved for the controller").is_some());
    let address = format!("127.0.0.1:{port}");
    let line_of = proxy.wait_for_stderr("a port cannot be opened").expect("an error");
    assert!(line_of.contains(&address), "{line_of}");
    assert_eq!(proxy.get("a.test", "/").status, 200, "nothing else is hurt");
    drop(taken);
    assert_eq!(line(&mut connect(port)), "one");
}

#[test]
fn the_end_waits_for_what_is_open() {
    let backend = TcpBackend::start("one");
    let (port, manifests, mut proxy) = tcp(&[&backend], "", &[UDP_MAP]);
    service(&manifests, "dns", "UDP", &[udp_backend("one")]);
    ports(&manifests, "udp", &[(port, "default/dns:7")]);
    let client = UdpClient::connect(port);
    assert_eq!(client.ask("a"), "one:a");
    client.send("silent at the end");
    let mut open = connect(port);
    assert_eq!(line(&mut open), "one");
    proxy.terminate();
    wait_closed(port);
    assert!(proxy.wait(Duration::from_millis(300)).is_none(), "it waits");
    assert_eq!(exchange(open, b"to the end"), b"to the end");
    assert!(proxy.wait(DEADLINE).expect("the proxy ends").success());
    assert!(proxy.wait_for_stdout("] UDP 200 0 17 ").is_some(), "nobody waits for ever for an answer");
}

/// The page's objects, at ports that are free.
#[test]
fn the_documented_example_works() {
    let page = include_str!("../../docs/tcp-udp.md");
    let yaml = page.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("an example");
    let (backend, udp) = (TcpBackend::start("one"), udp_backend("one"));
    let (plain, proxied, dns) = (free_port(), free_port(), free_port());
    let replaced = [
        ("15432", backend.addr().port()),
        ("15353", udp.port()),
        ("\"5432\"", plain),
        ("\"5433\"", proxied),
        ("\"5300\"", dns),
    ];
    let yaml = replaced.iter().fold(yaml.to_owned(), |yaml, (old, new)| {
        assert!(yaml.contains(old), "{old}");
        let quote = if old.starts_with('"') { "\"" } else { "" };
        yaml.replace(old, &format!("{quote}{new}{quote}"))
    });
    let manifests = Manifests::new();
    manifests.write("example.yaml", &yaml);
    let proxy = Proxy::start(&manifests, &[TCP_MAP, UDP_MAP]);
    assert_eq!(exchange(connect(plain), b"hi"), b"one\nhi");
    let header = b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n";
    assert_eq!(exchange(connect(proxied), header), [b"one\n", header.as_slice()].concat());
    assert_eq!(UdpClient::connect(dns).ask("hi"), "one:hi");
    assert!(proxy.stderr().iter().all(|line| line.contains(" INFO ")), "{:?}", proxy.stderr());
}
