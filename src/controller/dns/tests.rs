//! Names followed against a DNS server on loopback that changes its mind.

use std::net::Ipv4Addr;
use std::sync::Mutex;

use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use tokio::net::UdpSocket;
use tokio::sync::Notify;

use super::*;
use crate::proxy::access_log::AccessLog;
use crate::proxy::{Live, ProxyOptions};
use crate::table::{RoutingTable, Upstream};
use crate::telemetry::{Identity, RequestOptions, Telemetry};

/// Answers every A question with the addresses that `answer` holds, for one second; none is "no such name".
/// `refused` is told of each of those.
async fn dns_server(answer: Arc<Mutex<Vec<Ipv4Addr>>>, refused: Arc<Notify>) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut buffer = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            let asked = &buffer[..length];
            let question_end = 12 + asked[12..].iter().position(|b| *b == 0).unwrap() + 5;
            let is_a = asked[question_end - 4..question_end - 2] == [0, 1];
            let list = if is_a { answer.lock().unwrap().clone() } else { Vec::new() };
            let failed = u8::from(answer.lock().unwrap().is_empty()) * 3;
            let mut reply = vec![asked[0], asked[1], 0x81, 0x80 | failed, 0, 1, 0, list.len() as u8, 0, 0, 0, 0];
            reply.extend_from_slice(&asked[12..question_end]);
            for ip in list {
                reply.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4]);
                reply.extend_from_slice(&ip.octets());
            }
            socket.send_to(&reply, from).await.unwrap();
            if failed != 0 {
                refused.notify_one();
            }
        }
    });
    address
}

fn resolver(server: SocketAddr) -> Arc<TokioResolver> {
    let mut connection = ConnectionConfig::udp();
    connection.port = server.port();
    let servers = vec![NameServerConfig::new(server.ip(), true, vec![connection])];
    let config = ResolverConfig::from_parts(None, Vec::new(), servers);
    Arc::new(TokioResolver::builder_with_config(config, TokioRuntimeProvider::default()).build().unwrap())
}

fn key() -> UpstreamKey {
    UpstreamKey { namespace: "ns".into(), service: "outside".into(), port: "80".into() }
}

fn handle() -> Arc<Handle> {
    let telemetry = Arc::new(Telemetry::new(Identity::default(), RequestOptions::default()).unwrap());
    let log = AccessLog::start(Box::new(std::io::sink()), telemetry.controller.access_log_dropped()).unwrap();
    let options = ProxyOptions { metrics_per_undefined_host: false };
    Handle::new(options, telemetry, log.ends())
}

fn addresses(live: &Live) -> Vec<IpAddr> {
    live.upstreams[0].endpoints.load().iter().map(|e| e.address.ip()).collect()
}

async fn until(handle: &Handle, expected: &[IpAddr]) {
    let waiting = async {
        while addresses(&handle.live()) != expected {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let met = tokio::time::timeout(Duration::from_secs(10), waiting).await;
    assert!(met.is_ok(), "{:?} is not {expected:?}", addresses(&handle.live()));
}

#[tokio::test]
async fn names_are_resolved_again_and_failures_keep_what_was_known() {
    let answer = Arc::new(Mutex::new(vec![Ipv4Addr::new(192, 0, 2, 1)]));
    let (handle, refused) = (handle(), Arc::new(Notify::new()));
    let upstream = Upstream {
        key: key(),
        name: "ns-outside-80".into(),
        is_default_backend: false,
        alternative: None,
        balance: None,
    };
    let table = || RoutingTable { upstreams: vec![upstream.clone()], ..RoutingTable::default() };
    let endpoints =
        BTreeMap::from([(key(), EndpointSet::Dns(DnsName { name: "outside.test".into(), port: 80, loopback: false }))]);
    let mut names = Names::new(Arc::clone(&handle));
    names.resolver = Some(resolver(dns_server(Arc::clone(&answer), Arc::clone(&refused)).await));
    handle.install(table(), &endpoints);
    names.follow(&endpoints);
    until(&handle, &[[192, 0, 2, 1].into()]).await;

    *answer.lock().unwrap() = vec![Ipv4Addr::new(192, 0, 2, 3), Ipv4Addr::new(192, 0, 2, 2)];
    until(&handle, &[[192, 0, 2, 2].into(), [192, 0, 2, 3].into()]).await;

    // Addresses of this host are left out.
    *answer.lock().unwrap() = vec![Ipv4Addr::LOCALHOST, Ipv4Addr::new(192, 0, 2, 4), Ipv4Addr::new(192, 0, 2, 5)];
    until(&handle, &[[192, 0, 2, 4].into(), [192, 0, 2, 5].into()]).await;

    // A new table and a failing server change nothing.
    answer.lock().unwrap().clear();
    handle.install(table(), &endpoints);
    names.follow(&endpoints);
    refused.notified().await;
    refused.notified().await;
    assert_eq!(addresses(&handle.live()).len(), 2);
    assert_eq!(names.tasks.len(), 1);
    // Another source's addresses do not outlive it.
    handle.install(table(), &BTreeMap::from([(key(), EndpointSet::default())]));
    names.follow(&BTreeMap::new());
    assert!(names.tasks.is_empty() && addresses(&handle.live()).is_empty());
    handle.set_resolved(&key(), &DnsName { name: "outside.test".into(), port: 80, loopback: false }, vec![]);
}

#[test]
fn addresses_that_are_used() {
    let rows = [
        ("192.0.2.1", false, true, true),
        ("127.0.0.1", false, true, false),
        ("::", false, true, false),
        ("::ffff:127.0.0.1", false, true, false),
        ("127.0.0.1", true, true, true),
        ("2001:db8::1", false, true, true),
        ("2001:db8::1", false, false, false),
        ("192.0.2.1", false, false, true),
    ];
    for (ip, loopback, ipv6, expected) in rows {
        assert_eq!(is_usable(ip.parse().unwrap(), loopback, ipv6), expected, "{ip} {loopback} {ipv6}");
    }
}
