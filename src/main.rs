//! temporary
use portcullis::compile::Options;
use portcullis::controller::run::*;
use portcullis::snapshot::ObjectKey;
use std::collections::HashMap;
#[global_allocator]
static A: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;
fn main() {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let mut f: HashMap<String, String> = HashMap::new();
    let mut a = std::env::args().skip(2).peekable();
    while let Some(x) = a.next() {
        let x = x.trim_start_matches('-').to_string();
        if let Some((k, v)) = x.split_once('=') {
            f.insert(k.into(), v.into());
        } else if a.peek().is_some_and(|n| !n.starts_with("--")) {
            let v = a.next().unwrap();
            f.insert(x, v);
        } else {
            f.insert(x, "true".into());
        }
    }
    let port = |k: &str, d: u16| f.get(k).and_then(|v| v.parse().ok()).unwrap_or(d);
    let key = |k: &str| f.get(k).and_then(|v| ObjectKey::parse(v, ""));
    let b = |k: &str| f.get(k).is_some_and(|v| v == "true");
    let mut o = Options {
        config_map: key("configmap"),
        default_certificate: key("default-ssl-certificate"),
        default_backend: key("default-backend-service"),
        ..Options::default()
    };
    o.watch_without_class = b("watch-ingress-without-class");
    o.ingress_class_by_name = b("ingress-class-by-name");
    if let Some(c) = f.get("ingress-class") {
        o.ingress_class = c.clone();
    }
    let s = Settings {
        manifests: f["manifests"].clone().into(),
        listen: portcullis::proxy::ListenAddresses {
            http: f.get("http-address").and_then(|a| a.parse().ok()).into_iter().collect(),
            https: f.get("https-address").and_then(|a| a.parse().ok()).into_iter().collect(),
            http_port: port("http-port", 80),
            https_port: port("https-port", 443),
        },
        health: ([127, 0, 0, 1], port("healthz-port", 10254)).into(),
        workers: 2,
        ready_file: f.get("ready-file").map(Into::into),
        options: o,
        identity: portcullis::telemetry::Identity {
            namespace: "n".into(),
            class: "k8s.io/ingress-nginx".into(),
            pod: "p".into(),
        },
        requests: Default::default(),
        per_undefined_host: false,
        shutdown_grace: std::time::Duration::from_secs(
            f.get("shutdown-grace-period").and_then(|v| v.parse().ok()).unwrap_or(0),
        ),
        post_shutdown_grace: std::time::Duration::from_secs(
            f.get("shutdown-grace-period").and_then(|v| v.parse().ok()).unwrap_or(0),
        ),
    };
    if let Err(e) = run(s, |a| eprintln!("{}", a.to_json())) {
        eprintln!("{e}");
        std::process::exit(1);
    }
}
