//! SIGTERM: not ready, accepting for the grace period, what is open is finished, exit 0.

use std::time::Duration;

use crate::kit::{H2, Ingress, Manifests, Proxy, Raw, Upstream};

fn start(args: &[&str]) -> (Upstream, Manifests, Proxy) {
    let upstream = Upstream::start("one");
    let manifests = Manifests::new();
    manifests.upstream(&upstream).ingress(&Ingress::new("web").rule("a.test", "/", "one"));
    let proxy = Proxy::start(&manifests, args);
    (upstream, manifests, proxy)
}

#[test]
fn requests_in_flight_are_finished() {
    let (upstream, _manifests, mut proxy) = start(&[]);
    let mut client = Raw::connect(proxy.http());
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\nx-test-delay-ms: 1500\r\n\r\n");
    let h2 = H2::connect(proxy.http());
    let pending = h2.start("GET", "a.test", "/", &[("x-test-delay-ms", "1500")], b"");
    upstream.wait_for(2);
    proxy.terminate();
    let response = client.response();
    assert_eq!((response.status, response.complete), (200, true));
    assert_eq!(pending.wait().unwrap().status, 200);
    let status = proxy.wait(Duration::from_secs(10)).expect("the proxy ends");
    assert!(status.success(), "{status}");
}

#[test]
fn the_grace_period_still_accepts_and_says_close() {
    let (_upstream, _manifests, mut proxy) = start(&["--shutdown-grace-period=2"]);
    let health = proxy.health();
    assert_eq!(Raw::connect(health).get("h", "/readyz").status, 200);
    proxy.terminate();
    let closing = crate::kit::eventually(Duration::from_secs(2), || {
        let response = proxy.get("a.test", "/");
        assert_eq!(response.status, 200);
        (response.header("connection") == Some("close")).then_some(())
    });
    assert!(closing.is_some(), "new requests are served and told to close");
    assert_eq!(Raw::connect(health).get("h", "/healthz").status, 500);
    assert_eq!(Raw::connect(health).get("h", "/readyz").status, 503);
    assert!(proxy.wait(Duration::from_secs(10)).expect("the proxy ends").success());
}

/// The client's last WINDOW_UPDATEs cross the proxy's end of the connection: it must not answer them with a reset,
/// which would take back what the client has not read yet.
#[test]
fn http2_downloads_arrive_whole() {
    const BYTES: usize = 6 << 20;
    let (upstream, _manifests, mut proxy) = start(&[]);
    let size = BYTES.to_string();
    let clients: Vec<H2> = (0..32).map(|_| H2::connect(proxy.http())).collect();
    let start = |client: &H2| client.start("GET", "a.test", "/", &[("x-test-body-bytes", &size)], b"");
    let pending: Vec<_> = clients.iter().map(start).collect();
    upstream.wait_for(32);
    proxy.terminate();
    for download in pending {
        let response = download.wait().expect("a whole answer");
        assert_eq!((response.status, response.body.len()), (200, BYTES));
    }
    drop(clients);
    assert!(proxy.wait(Duration::from_secs(10)).expect("the proxy ends").success());
}

#[test]
fn what_does_not_end_is_ended() {
    let upstream = Upstream::start("one");
    let manifests = Manifests::new();
    manifests.upstream(&upstream).ingress(&Ingress::new("web").rule("a.test", "/", "one"));
    manifests.config_map("ingress", "settings", &[("worker-shutdown-timeout", "1s")]);
    let mut proxy = Proxy::start(&manifests, &["--configmap=ingress/settings"]);
    let mut socket = Raw::connect(proxy.http());
    assert_eq!(socket.websocket("a.test", "/ws").status, 101);
    proxy.terminate();
    let status = proxy.wait(Duration::from_secs(8)).expect("the proxy ends although a WebSocket idles");
    assert!(status.success(), "{status}");
}
