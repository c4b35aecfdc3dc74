//! The exposition, seen as Prometheus sees it.

use super::controller::{CertificateLabels, Certificates, Orphan};
use super::*;
use http::Method;
use std::time::{Duration, UNIX_EPOCH};

fn telemetry(options: RequestOptions) -> Telemetry {
    let identity =
        Identity { namespace: "ingress-nginx".into(), class: "k8s.io/ingress-nginx".into(), pod: "p-0".into() };
    Telemetry::new(identity, options).unwrap()
}

fn labels(host: &str) -> Arc<RouteLabels> {
    Arc::new(RouteLabels {
        namespace: "shop".into(),
        ingress: "web".into(),
        service: "web-svc".into(),
        path: "/api".into(),
        host: host.into(),
    })
}

const ONE: UpstreamTimes = UpstreamTimes { connect: Some(0.0), header: Some(0.02), response: 0.03 };

fn seen(method: &Method, status: u16, upstream: Option<UpstreamTimes>) -> Observation<'_> {
    Observation {
        method,
        status,
        canary: None,
        request_seconds: 0.25,
        upstream,
        request_bytes: 100,
        response_bytes: 2_000_000,
    }
}

fn text(telemetry: &Telemetry) -> String {
    String::from_utf8(telemetry.render()).unwrap()
}

/// The lines of one family's samples, without the part of the labels that every one of these tests shares.
fn lines(telemetry: &Telemetry, name: &str) -> Vec<String> {
    let name = format!("nginx_ingress_controller_{name}");
    let shared =
        "controller_class=\"k8s.io/ingress-nginx\",controller_namespace=\"ingress-nginx\",controller_pod=\"p-0\"";
    let text = text(telemetry);
    let own = |line: &&str| line.strip_prefix(name.as_str()).is_some_and(|rest| rest.starts_with('{'));
    text.lines().filter(own).map(|line| line.replace(shared, "*")).collect()
}

/// All request families with their labels exact; the golden text has `*` for all eleven of them.
#[test]
fn one_request_as_text() {
    let telemetry = telemetry(RequestOptions::default());
    let id = telemetry.requests.route(labels("shop.example"));
    telemetry.requests.worker().record(id, &seen(&Method::GET, 200, Some(ONE)));
    let all = "canary=\"\",controller_class=\"k8s.io/ingress-nginx\",controller_namespace=\"ingress-nginx\",\
               controller_pod=\"p-0\",host=\"shop.example\",ingress=\"web\",method=\"GET\",namespace=\"shop\",\
               path=\"/api\",service=\"web-svc\",status=\"200\"";
    let families = ["requests", "bytes_sent", "_duration_seconds", "request_size", "response_size"];
    let own = |line: &&str| !line.contains("_process_") && families.iter().any(|family| line.contains(family));
    let got: String = text(&telemetry).lines().filter(own).map(|line| line.replace(all, "*") + "\n").collect();
    assert_eq!(got, include_str!("testdata/one_request.prom"));
}

#[test]
fn series_of_two_workers_are_one() {
    let telemetry = telemetry(RequestOptions::default());
    let id = telemetry.requests.route(labels("a"));
    let workers = [telemetry.requests.worker(), telemetry.requests.worker()];
    for worker in &workers {
        worker.record(id, &seen(&Method::GET, 200, None));
        worker.record(id, &seen(&Method::GET, 200, Some(ONE)));
        worker.record(id, &seen(&Method::POST, 999, None));
    }
    let start = "nginx_ingress_controller_requests{canary=\"\",*,host=\"a\",ingress=\"web\"";
    let end = "namespace=\"shop\",path=\"/api\",service=\"web-svc\"";
    assert_eq!(
        lines(&telemetry, "requests"),
        [
            format!("{start},method=\"GET\",{end},status=\"200\"}} 4"),
            format!("{start},method=\"POST\",{end},status=\"500\"}} 2"),
        ]
    );
    let sum = &lines(&telemetry, "request_duration_seconds_sum")[0];
    assert!(sum.ends_with(" 1"), "{sum}");
    let upstream = &lines(&telemetry, "response_duration_seconds_count")[0];
    assert!(upstream.ends_with(" 2"), "{upstream}");
}

#[test]
fn retried_and_failed_attempts_leave_histograms_out() {
    let telemetry = telemetry(RequestOptions::default());
    let id = telemetry.requests.route(labels("a"));
    let worker = telemetry.requests.worker();
    worker.record(id, &seen(&Method::GET, 200, None));
    for family in ["connect", "header", "response"] {
        assert!(lines(&telemetry, &format!("{family}_duration_seconds_count")).is_empty());
    }
    let failed = UpstreamTimes { connect: None, header: None, response: 5.0 };
    worker.record(id, &seen(&Method::GET, 502, Some(failed)));
    assert!(lines(&telemetry, "header_duration_seconds_count").is_empty());
    assert_eq!(lines(&telemetry, "response_duration_seconds_count").len(), 1);
    assert_eq!(lines(&telemetry, "request_duration_seconds_count").len(), 2);
}

#[test]
fn bounds_are_inclusive_and_cumulative() {
    let options = RequestOptions { time_buckets: vec![0.25, 0.5], ..Default::default() };
    let telemetry = telemetry(options);
    let id = telemetry.requests.route(labels("a"));
    let worker = telemetry.requests.worker();
    for seconds in [0.25, 0.26, 3.0] {
        worker.record(id, &Observation { request_seconds: seconds, ..seen(&Method::GET, 200, None) });
    }
    let ends: Vec<String> = lines(&telemetry, "request_duration_seconds_bucket")
        .iter()
        .map(|line| line.split_once(",le=").unwrap().1.to_owned())
        .collect();
    assert_eq!(ends, ["\"0.25\"} 1", "\"0.5\"} 2", "\"+Inf\"} 3"]);
}

#[test]
fn retired_routes_vanish_and_their_places_are_used_again() {
    let telemetry = telemetry(RequestOptions::default());
    let [kept, gone] = ["kept", "gone"].map(|host| telemetry.requests.route(labels(host)));
    let worker = telemetry.requests.worker();
    worker.record(kept, &seen(&Method::GET, 200, None));
    worker.record(gone, &seen(&Method::GET, 200, None));
    assert_eq!(lines(&telemetry, "requests").len(), 2);

    telemetry.requests.retain([kept]);
    worker.record(gone, &seen(&Method::PUT, 200, None));
    assert!(lines(&telemetry, "requests").iter().all(|line| line.contains("host=\"kept\"")));
    assert_eq!(telemetry.requests.route(labels("kept")), kept);

    let new = telemetry.requests.route(labels("new"));
    assert_eq!((new.index, new == gone), (gone.index, false));
    worker.record(new, &seen(&Method::GET, 200, None));
    worker.record(gone, &seen(&Method::GET, 200, None));
    let new = lines(&telemetry, "requests").into_iter().find(|line| line.contains("host=\"new\"")).unwrap();
    assert!(new.ends_with(" 1"), "{new}");
}

#[test]
fn options_shape_the_labels() {
    let options = RequestOptions {
        per_host: false,
        status_classes: true,
        excluded: vec!["nginx_ingress_controller_bytes_sent".into(), "request_size".into()],
        ..Default::default()
    };
    let telemetry = telemetry(options);
    let id = telemetry.requests.route(labels("a"));
    assert_eq!(telemetry.requests.route(labels("b")), id);
    let canary: Arc<str> = "shop-next-80".into();
    let odd = Method::from_bytes(b"BREW").unwrap();
    let observation = Observation { canary: Some(&canary), ..seen(&odd, 404, None) };
    telemetry.requests.worker().record(id, &observation);
    assert_eq!(
        lines(&telemetry, "requests"),
        ["nginx_ingress_controller_requests{canary=\"shop-next-80\",*,ingress=\"web\",method=\"OTHER\",\
          namespace=\"shop\",path=\"/api\",service=\"web-svc\",status=\"4xx\"} 1"]
    );
    assert!(lines(&telemetry, "bytes_sent_count").is_empty() && lines(&telemetry, "request_size_count").is_empty());
    assert_eq!(lines(&telemetry, "response_size_count").len(), 1);
}

#[test]
fn series_are_bounded() {
    let telemetry = telemetry(RequestOptions { max_series_per_worker: 1, ..Default::default() });
    let id = telemetry.requests.route(labels("a"));
    let worker = telemetry.requests.worker();
    for status in [200, 201, 202, 200] {
        worker.record(id, &seen(&Method::GET, status, None));
    }
    assert_eq!(lines(&telemetry, "requests").len(), 1);
    let text = text(&telemetry);
    assert!(text.lines().any(|line| line.starts_with("portcullis_series_dropped_total{") && line.ends_with(" 2")));
}

#[test]
fn controller_and_process_families() {
    let telemetry = telemetry(RequestOptions::default());
    let controller = &telemetry.controller;
    controller.config_applied(7, Duration::from_millis(3), UNIX_EPOCH + Duration::from_secs(1000));
    controller.set_leader("ingress-nginx-leader", true);
    controller.set_build_info("v1", "abc", "repo");
    let orphan = |holds| ("shop".into(), "web".into(), Orphan::NoService, holds);
    controller.set_orphans(Arc::new(move || vec![orphan(false), orphan(true), orphan(false)]));
    let certificate = CertificateLabels {
        namespace: "shop".into(),
        host: "shop.example".into(),
        secret_name: "tls".into(),
        serial_number: "42".into(),
        not_after: 1234,
        ..Default::default()
    };
    let certificates: Certificates = Arc::new(move || vec![certificate.clone(), certificate.clone()]);
    controller.set_certificates(Arc::clone(&certificates), true);
    telemetry.process.worker().request();
    let one = |name: &str| lines(&telemetry, name).concat();
    assert_eq!(one("config_hash"), "nginx_ingress_controller_config_hash{*} 7");
    assert_eq!(one("success"), "nginx_ingress_controller_success{*} 1");
    assert_eq!(one("errors"), "");
    assert_eq!(
        one("leader_election_status"),
        "nginx_ingress_controller_leader_election_status{*,name=\"ingress-nginx-leader\"} 1"
    );
    assert_eq!(
        one("orphan_ingress"),
        "nginx_ingress_controller_orphan_ingress{*,ingress=\"web\",namespace=\"shop\",type=\"no-service\"} 1"
    );
    assert_eq!(
        one("ssl_expire_time_seconds"),
        "nginx_ingress_controller_ssl_expire_time_seconds{class=\"k8s.io/ingress-nginx\",host=\"shop.example\",\
         identifier=\"-42\",namespace=\"shop\",secret_name=\"tls\"} 1234"
    );
    assert_eq!(one("nginx_process_requests_total"), "nginx_ingress_controller_nginx_process_requests_total{*} 1");
    assert_eq!(lines(&telemetry, "nginx_process_connections").len(), 4);
    assert_eq!(lines(&telemetry, "nginx_process_resident_memory_bytes").len(), 1);
    assert_eq!(lines(&telemetry, "ssl_certificate_info").len(), 1);

    controller.set_certificates(certificates, false);
    assert!(lines(&telemetry, "ssl_expire_time_seconds").is_empty());
}
