//! What a person does with kubectl, and what becomes of it: traffic, status, events.

use super::kit_self::workload;
use super::site::Site;
use crate::kit::certs::dns_names;
use crate::kit::cluster::{self, Way};
use crate::kit::{DEADLINE, Identity, Raw, eventually};

fn tls_secret(name: &str, host: &str) -> String {
    let identity = Identity::self_signed(&[host]);
    let indented = |text: &str| text.lines().map(|line| format!("    {line}\n")).collect::<String>();
    format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}}}\ntype: kubernetes.io/tls\nstringData:\n  tls.crt: |\n{}  tls.key: |\n{}",
        indented(&identity.cert_pem),
        indented(&identity.key_pem)
    )
}

#[test]
fn a_workload_is_served_and_its_ingress_says_so() {
    let Some(cluster) = cluster::with_pods() else { return };
    let site = Site::new(cluster, "serve");
    let proxy = site.controller(Way::Direct, &["--publish-status-address=192.0.2.10,lb.example.com"]);
    site.apply(&workload("web", 2));
    site.apply(&site.ingress("web", "web.test", "web", "", "  tls: [{hosts: [web.test], secretName: web-tls}]"));
    proxy.wait_until("web.test", "/", |response| response.status == 308);
    site.wait_for_status("web", "192.0.2.10");
    assert!(site.status("web").contains("lb.example.com"));
    site.wait_for_event("web", "Scheduled for sync");
    // Until the Secret is there, the default certificate is shown and the person is told.
    assert_eq!(dns_names(&Raw::connect_tls(proxy.https(), "web.test", &[]).peer().chain[0]), ["ingress.local"]);
    site.wait_for_event("web", "web-tls: the Secret does not exist");
    site.apply(&tls_secret("web-tls", "web.test"));
    eventually(DEADLINE, || {
        let shown = dns_names(&Raw::connect_tls(proxy.https(), "web.test", &[]).peer().chain[0]);
        (shown == ["web.test"]).then_some(())
    })
    .expect("the Secret's certificate");
    assert_eq!(proxy.get_tls("web.test", "/").status, 200);

    // An edit, and the end.
    let annotation = "nginx.ingress.kubernetes.io/ssl-redirect=false";
    site.kubectl(&["annotate", "ingress", "web", annotation]);
    proxy.wait_until("web.test", "/", |response| response.status == 200);
    site.kubectl(&["delete", "ingress", "web"]);
    proxy.wait_until("web.test", "/", |response| response.status == 404);
    assert_eq!(dns_names(&Raw::connect_tls(proxy.https(), "web.test", &[]).peer().chain[0]), ["ingress.local"]);
    assert_eq!(proxy.stop().and_then(|status| status.code()), Some(0));
}

/// Only what is ours: by class, and by the annotation; another controller's is left alone.
#[test]
fn classes_divide_the_cluster() {
    let Some(cluster) = cluster::with_pods() else { return };
    let site = Site::new(cluster, "classes");
    let legacy = format!("--ingress-class={}-legacy", site.namespace);
    let proxy = site.controller(Way::Direct, &[&legacy, "--publish-status-address=192.0.2.11"]);
    site.apply(&workload("web", 1));
    cluster.wait_for_endpoints(&site.namespace, "web", 1);
    let own = site.ingress("own", "own.test", "web", "", "");
    let other = own
        .replace("own", "other")
        .replace(&format!("ingressClassName: {}", site.namespace), "ingressClassName: not-ours");
    let annotated = site
        .ingress("old", "old.test", "web", &format!("kubernetes.io/ingress.class: {}-legacy", site.namespace), "")
        .replace(&format!("  ingressClassName: {}\n", site.namespace), "");
    let none = own.replace("own", "none").replace(&format!("  ingressClassName: {}\n", site.namespace), "");
    for manifest in [own, other, annotated, none] {
        site.apply(&manifest);
    }
    proxy.wait_until("own.test", "/", |response| response.status == 200);
    proxy.wait_until("old.test", "/", |response| response.status == 200);
    site.wait_for_status("own", "192.0.2.11");
    site.wait_for_status("old", "192.0.2.11");
    for host in ["other", "none"] {
        assert_eq!(proxy.get(&format!("{host}.test"), "/").status, 404, "{host}");
        assert_eq!(site.status(host), "");
    }
    // One that goes to another class is gone, and what its status said is the other's to change.
    site.kubectl(&[
        "patch",
        "ingress",
        "own",
        "--type=merge",
        "--patch",
        r#"{"spec":{"ingressClassName":"not-ours"}}"#,
    ]);
    proxy.wait_until("own.test", "/", |response| response.status == 404);
    assert!(site.status("own").contains("192.0.2.11"));
}

/// Namespaces that a selector selects are followed as their labels change.
#[test]
fn a_selector_follows_labels() {
    let Some(cluster) = cluster::with_pods() else { return };
    let site = Site::new(cluster, "selector");
    let selector = format!("--watch-namespace-selector=edge={}", site.namespace);
    let proxy = site.controller(Way::Direct, &[&selector]);
    site.apply(&workload("web", 1));
    cluster.wait_for_endpoints(&site.namespace, "web", 1);
    site.apply(&site.ingress("web", "web.test", "web", "", ""));
    let label = format!("edge={}", site.namespace);
    assert_eq!(proxy.get("web.test", "/").status, 404);
    cluster.kubectl(["label", "namespace", &site.namespace, &label], "").ok();
    proxy.wait_until("web.test", "/", |response| response.status == 200);
    cluster.kubectl(["label", "namespace", &site.namespace, "edge-"], "").ok();
    proxy.wait_until("web.test", "/", |response| response.status == 404);
}

/// cert-manager's solver of an HTTP-01 challenge, as it writes it: a second Ingress of the host, of the exact path, that
/// has to be reached by plain HTTP though the host redirects.
#[test]
fn an_http01_solver_is_reached_beside_the_host() {
    let Some(cluster) = cluster::with_pods() else { return };
    let site = Site::new(cluster, "acme");
    let proxy = site.controller(Way::Direct, &[]);
    site.apply(&workload("web", 1));
    site.apply(&workload("cm-acme-http-solver-x7k2p", 1).replace("port: 80,", "port: 8089,"));
    cluster.wait_for_endpoints(&site.namespace, "web", 1);
    cluster.wait_for_endpoints(&site.namespace, "cm-acme-http-solver-x7k2p", 1);
    site.apply(&tls_secret("shop-tls", "other.test"));
    let forced = "nginx.ingress.kubernetes.io/force-ssl-redirect: 'true', cert-manager.io/cluster-issuer: letsencrypt";
    site.apply(&site.ingress(
        "shop",
        "shop.test",
        "web",
        forced,
        "  tls: [{hosts: [shop.test], secretName: shop-tls}]",
    ));
    let token = "/.well-known/acme-challenge/LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0";
    site.apply(&format!(
        "apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: cm-acme-http-solver-mhj5s
  annotations: {{nginx.ingress.kubernetes.io/whitelist-source-range: '', acme.cert-manager.io/http01-edit-in-place: 'false'}}
  labels: {{acme.cert-manager.io/http-domain: '1234', acme.cert-manager.io/http-token: '5678', acme.cert-manager.io/http01-solver: 'true'}}
spec:
  ingressClassName: {}
  rules:
  - host: shop.test
    http: {{paths: [{{path: {token}, pathType: ImplementationSpecific, backend: {{service: {{name: cm-acme-http-solver-x7k2p, port: {{number: 8089}}}}}}}}]}}
",
        site.namespace
    ));
    let answer = proxy.wait_until("shop.test", token, |response| response.status == 200);
    assert!(answer.text().contains("cm-acme-http-solver"), "{}", answer.text());
    assert_eq!(proxy.get("shop.test", "/").status, 308);
    // The challenge is over: cert-manager takes its Ingress away and writes the Secret.
    site.kubectl(&["delete", "ingress", "cm-acme-http-solver-mhj5s"]);
    site.apply(&tls_secret("shop-tls", "shop.test"));
    proxy.wait_until("shop.test", token, |response| response.status == 308);
    eventually(DEADLINE, || {
        let shown = dns_names(&Raw::connect_tls(proxy.https(), "shop.test", &[]).peer().chain[0]);
        (shown == ["shop.test"]).then_some(())
    })
    .expect("the new certificate");
}

/// A class's ports of TCP services, from the ConfigMap of the cluster.
#[test]
fn tcp_services_follow_their_config_map() {
    let Some(cluster) = cluster::with_pods() else { return };
    let site = Site::new(cluster, "tcp");
    let map = format!("--tcp-services-configmap={}/tcp", site.namespace);
    let proxy = site.controller(Way::Direct, &[&map]);
    site.apply(&workload("web", 1));
    // Below the ports that connections take for themselves.
    let port = 20_000 + u16::try_from(proxy.pid() % 10_000).unwrap();
    site.apply(&format!(
        "{{apiVersion: v1, kind: ConfigMap, metadata: {{name: tcp}}, data: {{'{port}': {}/web:80}}}}",
        site.namespace
    ));
    let address = std::net::SocketAddr::new(proxy.http().ip(), port);
    let answer = eventually(DEADLINE, || Raw::try_connect(address).ok()).expect("the port").get("web.test", "/");
    assert_eq!(answer.status, 200);
    site.kubectl(&["scale", "deployment/web", "--replicas=0"]);
    eventually(DEADLINE, || Raw::try_connect(address).is_err().then_some(()))
        .expect("the port without endpoints closes");
}
