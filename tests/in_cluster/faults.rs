//! The cluster fails as it is told to, and comes back as it was.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::kit_self::{echo, workload};
use crate::kit::cluster::{self, Cluster, Options};
use crate::kit::raw::Tls;
use crate::kit::{Raw, Response};

/// How long nothing has to come, for it to count as nothing.
const NOTHING: Duration = Duration::from_millis(300);

fn one_node() -> Option<Cluster> {
    cluster::own(&Options { nodes: 1, ..Options::default() })
}

/// A client of the front, with a token of the administrator's.
struct Client {
    address: SocketAddr,
    token: String,
}

impl Client {
    fn of(cluster: &Cluster) -> Self {
        let namespace = "default";
        cluster.kubectl(["create", "serviceaccount", "--namespace", namespace, "client"], "").ok();
        let binding = ["create", "clusterrolebinding", "client", "--clusterrole=cluster-admin"];
        cluster.kubectl(binding.into_iter().chain(["--serviceaccount=default:client"]), "").ok();
        let token = cluster.kubectl(["create", "token", "--namespace", namespace, "client"], "").ok();
        let address = cluster.ready().front_url.trim_start_matches("https://").parse().unwrap();
        Self { address, token: token.trim().to_owned() }
    }

    fn connect(&self) -> io::Result<Raw> {
        Raw::try_connect_tls(self.address, Tls { sni: "kubernetes", alpn: &["http/1.1"], ..Tls::default() })
    }

    fn head(&self, target: &str) -> String {
        format!("GET {target} HTTP/1.1\r\nHost: kubernetes\r\nAuthorization: Bearer {}\r\n\r\n", self.token)
    }

    fn get(&self, target: &str) -> Response {
        let mut raw = self.connect().unwrap();
        raw.request(self.head(target))
    }
}

#[test]
fn an_api_server_that_is_killed_comes_back_with_its_data() {
    let Some(cluster) = one_node() else { return };
    cluster.apply("default", &workload("web", 2));
    let addresses = cluster.wait_for_endpoints("default", "web", 2);
    for end in ["kill", "stop"] {
        cluster.command(&format!("apiserver {end}"));
        assert!(!cluster.kubectl(["get", "pods"], "").status.success());
        for address in &addresses {
            echo(address, "/while-it-is-away");
        }
        cluster.command("apiserver start");
        assert_eq!(cluster.endpoints("default", "web"), addresses);
    }
    // Controllers and agent find their way back.
    cluster.kubectl(["scale", "deployment/web", "--replicas=3"], "").ok();
    cluster.wait_for_endpoints("default", "web", 3);
    for address in &addresses {
        echo(address, "/as-before");
    }
    assert!(cluster.try_command("apiserver start").unwrap_err().contains("runs already"));
    assert!(cluster.try_command("apiserver explode").unwrap_err().contains("freeze"));
}

#[test]
fn controllers_and_nodes_come_back() {
    let Some(cluster) = one_node() else { return };
    cluster.apply("default", &workload("web", 2));
    let addresses = cluster.wait_for_endpoints("default", "web", 2);
    cluster.command("controllers kill");
    cluster.kubectl(["scale", "deployment/web", "--replicas=1"], "").ok();
    for address in &addresses {
        echo(address, "/nobody-scales");
    }
    cluster.command("controllers start");
    cluster.wait_for_endpoints("default", "web", 1);
    // Pods are the agent's processes: they end with it, and begin anew.
    cluster.command("agent kill");
    cluster.command("agent start");
    cluster.wait_for("a Pod that answers", || {
        let addresses = cluster.endpoints("default", "web");
        let address = format!("{}:8080", addresses.first()?).parse().ok()?;
        Raw::try_connect(address).ok().map(|mut raw| assert_eq!(raw.get("echo.test", "/").status, 200))
    });
}

#[test]
fn a_frozen_api_server_answers_when_it_is_thawed() {
    let Some(cluster) = one_node() else { return };
    let client = Client::of(&cluster);
    cluster.command("apiserver freeze");
    let mut raw = client.connect().unwrap().deadline(NOTHING);
    raw.send(client.head("/api"));
    assert_eq!(raw.try_response("GET").unwrap_err().kind(), io::ErrorKind::TimedOut);
    cluster.command("apiserver thaw");
    assert_eq!(client.get("/api").status, 200);
}

#[test]
fn the_front_fails_in_every_way_it_is_told_to() {
    let Some(cluster) = one_node() else { return };
    let client = Client::of(&cluster);
    let pods = "/api/v1/pods";
    assert_eq!(client.get(pods).status, 200);

    for status in [429, 500] {
        cluster.command(&format!("front status {status}"));
        let response = client.get(pods);
        assert_eq!((response.status, response.header("retry-after")), (status, Some("1")));
    }
    for garbage in ["garbage", "garbage truncated"] {
        cluster.command(&format!("front {garbage}"));
        for target in [pods, "/api/v1/pods?watch=true"] {
            let response = client.get(target);
            assert_eq!(response.status, 200);
            assert!(serde_json::from_slice::<serde_json::Value>(&response.body).is_err(), "{}", response.text());
        }
    }
    cluster.command("front slow 300ms");
    let begin = Instant::now();
    assert_eq!(client.get(pods).status, 200);
    assert!(begin.elapsed() >= Duration::from_millis(300));

    cluster.command("front pass");
    let mut open = client.connect().unwrap();
    assert_eq!(open.request(client.head("/api")).status, 200);
    cluster.command("front cut");
    assert!(open.closes_within(Duration::from_secs(5)));
    assert!(client.connect().is_err());
    cluster.command("front pass");
    assert_eq!(client.get(pods).status, 200);
    assert!(cluster.try_command("front explode").unwrap_err().contains("stall"));
    assert!(cluster.log("front-requests").contains("GET /api/v1/pods 429"));
}

#[test]
fn a_stalled_watch_goes_on_later() {
    let Some(cluster) = one_node() else { return };
    let client = Client::of(&cluster);
    let mut watch = client.connect().unwrap();
    watch.send(client.head("/api/v1/namespaces/default/configmaps?watch=true&resourceVersion=0"));
    let mut seen = String::new();
    let mut until = |watch: &mut Raw, text: &str| {
        while !seen.contains(text) {
            seen += &String::from_utf8_lossy(&watch.read_some()?);
        }
        io::Result::Ok(())
    };
    until(&mut watch, "kube-root-ca.crt").unwrap();
    cluster.command("front stall");
    cluster.kubectl(["create", "configmap", "news"], "").ok();
    let mut watch = watch.deadline(NOTHING);
    assert_eq!(until(&mut watch, "news").unwrap_err().kind(), io::ErrorKind::TimedOut);
    cluster.command("front pass");
    let mut watch = watch.deadline(Duration::from_secs(15));
    until(&mut watch, "news").unwrap();
}

#[test]
fn an_expired_version_is_gone() {
    let Some(cluster) = one_node() else { return };
    let client = Client::of(&cluster);
    let services = cluster.get("default", &["services"]).unwrap();
    let version = services["items"][0]["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
    let watch = format!("/api/v1/services?watch=true&timeoutSeconds=1&resourceVersion={version}");
    let before = client.get(&watch).text();
    assert!(!before.contains("410"), "{before}");
    cluster.command("expire");
    let response = client.get(&watch);
    let gone = response.status == 410 || response.text().contains("\"code\":410");
    assert!(gone, "{} {}", response.status, response.text());
}
