//! Formats and targets of the access log, and the level of the controller's own.

use std::net::UdpSocket;
use std::time::Duration;

use crate::kit::{DEADLINE, Ingress, Manifests, Proxy, Raw, Upstream, eventually};

const FLAG: &[&str] = &["--configmap=ingress-nginx/controller"];

/// The template of ingress-nginx's documentation, as most have it.
const JSON: &str = r#"{"time":"$time_iso8601","remote_addr":"$remote_addr","x_forwarded_for":"$proxy_add_x_forwarded_for","request_id":"$req_id","remote_user":"$remote_user","bytes_sent":$bytes_sent,"request_time":$request_time,"status":$status,"vhost":"$host","request_proto":"$server_protocol","path":"$uri","request_query":"$args","request_length":$request_length,"duration":$request_time,"method":"$request_method","http_referrer":"$http_referer","http_user_agent":"$http_user_agent","upstream":"$upstream_addr","namespace":"$namespace"}"#;

fn start(settings: &[(&str, &str)]) -> (Upstream, Manifests, Proxy) {
    let upstream = Upstream::start("one");
    let manifests = Manifests::new();
    manifests.upstream(&upstream).ingress(&Ingress::new("web").rule("a.test", "/shop", "one"));
    manifests.config_map("ingress-nginx", "controller", settings);
    let proxy = Proxy::start(&manifests, FLAG);
    (upstream, manifests, proxy)
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    assert!(eventually(DEADLINE, || holds().then_some(())).is_some(), "{what} did not come");
}

#[test]
fn the_documented_json_template() {
    let (upstream, _manifests, proxy) = start(&[("log-format-escape-json", "true"), ("log-format-upstream", JSON)]);
    let fields = ["X-Request-ID: id-json", "User-Agent: a\"b\\c", "Authorization: Basic YW5uOng="];
    proxy.get_with("a.test", "/shop/%22?q=%20", &fields);
    let line = proxy.wait_for_stdout("id-json").expect("a log line");
    let json: serde_json::Value = serde_json::from_str(&line).expect("one JSON object a line");
    let rows = [
        ("status", serde_json::json!(200)),
        ("vhost", "a.test".into()),
        ("path", "/shop/\"".into()),
        ("request_query", "q=%20".into()),
        ("http_user_agent", "a\"b\\c".into()),
        ("http_referrer", "".into()),
        ("remote_user", "ann".into()),
        ("x_forwarded_for", "127.0.0.1".into()),
        ("upstream", upstream.addr().to_string().into()),
        ("namespace", "default".into()),
    ];
    for (key, expected) in rows {
        assert_eq!(json[key], expected, "{key} of {line}");
    }
}

#[test]
fn formats_with_what_a_request_has() {
    let rows = [
        ("$http_x_a|$http_x_b", "one, two|-"),
        ("$cookie_session|$cookie_none", "s1|-"),
        ("$arg_page|$is_args|$query_string", "7|?|page=7"),
        (
            "$sent_http_content_type|$upstream_http_content_type|$sent_http_nothing",
            "application/json|application/json|-",
        ),
        ("$request_uri|$uri|$http_host", "/shop/%61?page=7|/shop/a|a.test"),
        ("$namespace/$ingress_name/$service_name:$service_port $location_path", "default/web/one:80 /shop"),
        ("$https|$scheme|$pipe|$request_body|$connection_requests", "|http|.|-|1"),
        ("$content_length|$server_name|$server_protocol", "-|a.test|HTTP/1.1"),
    ];
    for (format, expected) in rows {
        let (_upstream, _manifests, proxy) = start(&[("log-format-upstream", &format!("$req_id {format}"))]);
        let fields = ["X-Request-ID: id-f", "X-A: one", "X-A: two", "Cookie: a=1; session=s1"];
        proxy.get_with("a.test", "/shop/%61?page=7", &fields);
        let line = proxy.wait_for_stdout("id-f").expect("a log line");
        assert_eq!(line, format!("id-f {expected}"), "{format}");
    }
}

#[test]
fn the_path_is_the_rewritten_one() {
    let upstream = Upstream::start("one");
    let manifests = Manifests::new();
    let ingress = Ingress::new("web").rule_of("ImplementationSpecific", "a.test", "/shop/(.*)", "one");
    manifests.upstream(&upstream).ingress(&ingress.nginx("rewrite-target", "/new/$1"));
    manifests.config_map("ingress-nginx", "controller", &[("log-format-upstream", "$req_id $uri $request_uri")]);
    let proxy = Proxy::start(&manifests, FLAG);
    proxy.get_with("a.test", "/shop/a%20b?x=1", &["X-Request-ID: id-r"]);
    assert_eq!(proxy.wait_for_stdout("id-r").expect("a log line"), "id-r /new/a b /shop/a%20b?x=1");
}

#[test]
fn a_format_changes_while_it_is_used() {
    let (_upstream, manifests, proxy) = start(&[("log-format-upstream", "first $req_id")]);
    let say = |id: &str| {
        proxy.get_with("a.test", "/shop", &[&format!("X-Request-ID: {id}")]);
        proxy.wait_for_stdout(id).expect("a log line")
    };
    assert_eq!(say("c-0"), "first c-0");
    manifests.config_map("ingress-nginx", "controller", &[("log-format-upstream", "then $req_id $http_x")]);
    let mut number = 0;
    until("the other format", || {
        number += 1;
        let id = format!("c-{number}-");
        say(&id) == format!("then {id} -")
    });
    // What cannot be read leaves the default, and is named.
    manifests.config_map("ingress-nginx", "controller", &[("log-format-upstream", "$req_id $nonsense")]);
    until("the default format", || {
        number += 1;
        say(&format!("c-{number}-")).starts_with("127.0.0.1 - - [")
    });
    assert!(proxy.stderr().iter().any(|line| line.contains("$nonsense is not known")), "{:?}", proxy.stderr());
}

#[test]
fn targets() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("http.log");
    let (_upstream, manifests, proxy) = start(&[("http-access-log-path", path.to_str().unwrap())]);
    proxy.get_with("a.test", "/shop", &["X-Request-ID: id-file"]);
    until("a line in the file", || std::fs::read_to_string(&path).is_ok_and(|text| text.contains(" id-file\n")));

    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    server.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let port = server.local_addr().unwrap().port().to_string();
    let syslog = [("enable-syslog", "true"), ("syslog-host", "127.0.0.1"), ("syslog-port", port.as_str())];
    manifests.config_map("ingress-nginx", "controller", &syslog);
    let mut datagram = [0; 2048];
    until("a datagram", || {
        proxy.get_with("a.test", "/shop", &["X-Request-ID: id-syslog"]);
        let Ok(length) = server.recv(&mut datagram) else { return false };
        let text = String::from_utf8_lossy(&datagram[..length]).into_owned();
        text.starts_with("<190>") && text.contains(" nginx: 127.0.0.1 - - [") && text.ends_with(" id-syslog")
    });

    manifests.config_map("ingress-nginx", "controller", &[("access-log-path", "/var/log/nginx/access.log")]);
    let mut number = 0;
    until("a line on standard output", || {
        number += 1;
        let id = format!("id-out-{number}");
        proxy.get_with("a.test", "/shop", &[&format!("X-Request-ID: {id}")]);
        std::thread::sleep(Duration::from_millis(150));
        proxy.stdout().iter().any(|line| line.ends_with(&id))
    });
}

#[test]
fn the_level_of_the_log_changes() {
    let (_upstream, manifests, proxy) = start(&[("error-log-level", "error")]);
    let count = |text: &str| proxy.stderr().iter().filter(|line| line.contains(text)).count();
    manifests.config_map("ingress-nginx", "controller", &[("error-log-level", "notice")]);
    until("lines of level info", || count("table in force") > 0);
    manifests.config_map("ingress-nginx", "controller", &[("error-log-level", "debug")]);
    until("lines of level debug", || count("DEBUG") > 0);
}

#[test]
fn questions_have_lines_where_it_is_asked_for() {
    let (upstream, auth) = (Upstream::start("one"), Upstream::start("auth"));
    let ingress = |name: &str, annotations: &[(&str, &str)]| {
        let url = format!("http://{}/check", auth.addr());
        let ingress = Ingress::new(name).rule(&format!("{name}.test"), "/", "one").nginx("auth-url", &url);
        annotations.iter().fold(ingress, |ingress, (key, value)| ingress.nginx(key, value))
    };
    let manifests = Manifests::new();
    manifests.upstream(&upstream).ingress(&ingress("plain", &[]));
    manifests.ingress(&ingress("silent", &[("enable-access-log", "false")]));
    manifests.ingress(&ingress("cached", &[("auth-cache-key", "$http_x_key")]));
    let format = "$req_id $request $status $bytes_sent+$body_bytes_sent $request_length [$proxy_upstream_name] \
                  [$proxy_alternative_upstream_name] $upstream_addr $upstream_response_length $upstream_status \
                  $upstream_http_x_user";
    // One worker, so that lines have an order.
    let settings = |on| {
        let rest = [("worker-processes", "1"), ("log-format-upstream", format), ("skip-access-log-urls", "/no")];
        [&rest[..], &[("enable-auth-access-log", on)]].concat()
    };
    manifests.config_map("ingress-nginx", "controller", &settings("true"));
    let proxy = Proxy::start(&manifests, FLAG);
    let mut number = 0;
    // The lines of a request, once one that came after it has its own.
    let mut lines = |host: &str, path: &str, fields: &[&str]| {
        number += 1;
        let (id, next) = (format!("id-{number}-"), format!("next-{number}-"));
        let id_field = format!("X-Request-ID: {id}");
        proxy.get_with(host, path, &[fields, &[id_field.as_str(), "x-test-only: auth"]].concat());
        proxy.get_with("plain.test", "/", &[&format!("X-Request-ID: {next}")]);
        until("a line", || proxy.stdout().iter().any(|line| line.starts_with(&next) && !line.contains(" 0+0 ")));
        let all = proxy.stdout().into_iter().filter_map(|line| line.strip_prefix(&id).map(str::to_owned));
        all.collect::<Vec<_>>()
    };
    let addr = auth.addr();
    let line = |path: &str, status: &str, rest: &str| {
        format!(" GET {path} HTTP/1.1 {status} 0+0 0 [default-one-80] [] {rest}")
    };
    let user = "x-test-header: X-User: ann";
    let got = lines("plain.test", "/p?x=1", &["x-test-status: 202", user]);
    assert_eq!(got.len(), 2, "{got:?}");
    assert_eq!(got[0], line("/p?x=1", "202", &format!("{addr} 0 202 ann")));
    assert!(got[1].starts_with(" GET /p?x=1 HTTP/1.1 200 "), "{got:?}");

    let rows: [(&str, &str, &[&str], &str, &str); 4] = [
        ("silent.test", "/", &["x-test-status: 403"], "403", "A 0 403 -"),
        ("silent.test", "/", &["x-test-close: 1"], "502", "A 0 502 -"),
        (
            "cached.test",
            "/",
            &["X-Key: 1", "x-test-status: 204", "x-test-header: Cache-Control: max-age=60"],
            "204",
            "A 0 204 -",
        ),
        ("cached.test", "/", &["X-Key: 1"], "204", "- - - -"),
    ];
    for (host, path, fields, status, rest) in rows {
        let got = lines(host, path, fields);
        assert_eq!(got.first(), Some(&line(path, status, &rest.replace('A', &addr.to_string()))), "{host} {fields:?}");
        assert_eq!(got.len(), if host == "silent.test" { 1 } else { 2 }, "{got:?}");
    }
    assert_eq!(lines("plain.test", "/no", &[]), Vec::<String>::new());

    manifests.config_map("ingress-nginx", "controller", &settings("false"));
    until("no more lines of questions", || lines("plain.test", "/", &[]).len() == 1);
}

#[test]
fn a_request_that_no_server_saw_has_no_upstreams_name() {
    let format = "$req_id $status [$proxy_upstream_name] [$proxy_alternative_upstream_name]";
    let (_upstream, _manifests, proxy) = start(&[("log-format-upstream", format), ("block-user-agents", "bad")]);
    let rows = [
        ("id-host", "GET /shop HTTP/1.1\r\n", "400 [] []"),
        ("id-trace", "TRACE /shop HTTP/1.1\r\nHost: a.test\r\n", "405 [] []"),
        ("id-path", "GET /../x HTTP/1.1\r\nHost: a.test\r\n", "400 [] []"),
        ("id-blocked", "GET /shop HTTP/1.1\r\nHost: a.test\r\nUser-Agent: bad\r\n", "403 [-] []"),
        ("id-served", "GET /shop HTTP/1.1\r\nHost: a.test\r\n", "200 [default-one-80] []"),
    ];
    for (id, head, expected) in rows {
        Raw::connect(proxy.http()).request(format!("{head}X-Request-ID: {id}\r\n\r\n"));
        assert_eq!(proxy.wait_for_stdout(id), Some(format!("{id} {expected}")));
    }
}
