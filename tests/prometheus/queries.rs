//! Queries of ingress-nginx's dashboards, of its chart's alerts and of rollout tools, with what stands for the variables of
//! a dashboard; and the families with their labels (metrics contract §2 to §4).

/// Each must have a result. Alerts are asked without the threshold that keeps them quiet.
pub const QUERIES: &[&str] = &[
    // nginx.json
    r#"nginx_ingress_controller_config_hash{controller_namespace=~".*",controller_class=~".+",controller_pod=~".*"}"#,
    r#"round(sum(irate(nginx_ingress_controller_requests{controller_pod=~".*",controller_class=~".*",controller_namespace=~".*",ingress=~".*"}[2m])), 0.001)"#,
    r#"sum(avg_over_time(nginx_ingress_controller_nginx_process_connections{controller_pod=~".*",controller_class=~".*",controller_namespace=~".*",state="active"}[2m]))"#,
    r#"sum(rate(nginx_ingress_controller_requests{controller_pod=~".*",controller_class=~".*",controller_namespace=~".*",exported_namespace=~".*",ingress=~".*",status!~"[4-5].*"}[2m])) / sum(rate(nginx_ingress_controller_requests{controller_pod=~".*",controller_class=~".*",controller_namespace=~".*",exported_namespace=~".*",ingress=~".*"}[2m]))"#,
    r#"avg(irate(nginx_ingress_controller_success{controller_pod=~".*",controller_class=~".*",controller_namespace=~".*"}[1m])) * 60"#,
    r#"count(nginx_ingress_controller_config_last_reload_successful{controller_pod=~".*",controller_namespace=~".*"} == 1)"#,
    r#"round(sum(irate(nginx_ingress_controller_requests{controller_pod=~".*",controller_class=~".*",controller_namespace=~".*",ingress=~".*"}[2m])) by (ingress), 0.001)"#,
    r#"sum(rate(nginx_ingress_controller_requests{ingress=~"web",status!~"[4-5].*"}[2m])) by (ingress) / sum(rate(nginx_ingress_controller_requests{ingress=~"web"}[2m])) by (ingress)"#,
    r#"sum (irate (nginx_ingress_controller_request_size_sum{controller_pod=~".*",controller_class=~".*",controller_namespace=~".*"}[2m]))"#,
    r#"- sum (irate (nginx_ingress_controller_response_size_sum{controller_pod=~".*",controller_class=~".*",controller_namespace=~".*"}[2m]))"#,
    r#"avg(nginx_ingress_controller_nginx_process_resident_memory_bytes{controller_pod=~".*",controller_class=~".*",controller_namespace=~".*"})"#,
    r#"avg (rate (nginx_ingress_controller_nginx_process_cpu_seconds_total{controller_pod=~".*",controller_class=~".*",controller_namespace=~".*"}[2m]))"#,
    r#"histogram_quantile(0.50, sum(rate(nginx_ingress_controller_request_duration_seconds_bucket{ingress!="",controller_pod=~".*",ingress=~".*"}[2m])) by (le, ingress))"#,
    r#"histogram_quantile(0.99, sum(rate(nginx_ingress_controller_request_duration_seconds_bucket{ingress!="",exported_namespace=~"default",ingress=~"web"}[2m])) by (le, ingress, exported_namespace))"#,
    r#"sum(increase(nginx_ingress_controller_request_duration_seconds_bucket{ingress!="",controller_pod=~".*"}[2m])) by (le)"#,
    r#"sum(irate(nginx_ingress_controller_request_size_sum{ingress!="",ingress=~".*"}[2m])) by (ingress)"#,
    r#"avg(nginx_ingress_controller_ssl_expire_time_seconds{job="default",host="a.test",secret_name="web-tls"}) by (host) - time()"#,
    // request-handling-performance.json
    r#"histogram_quantile(0.8, sum by (le, host, method, path)(rate(nginx_ingress_controller_response_duration_seconds_bucket{ingress=~"web"}[5m])))"#,
    r#"sum by (method, host, path)(rate(nginx_ingress_controller_request_duration_seconds_count{ingress=~"web"}[5m]))"#,
    r#"sum by (method, host, path, status)(increase(nginx_ingress_controller_request_duration_seconds_count{ingress=~"web",status=~"[24].*"}[5m]))"#,
    r#"sum by (method, host, path)(rate(nginx_ingress_controller_response_duration_seconds_sum{ingress=~"web"}[5m])) / sum by (method, host, path)(rate(nginx_ingress_controller_response_duration_seconds_count{ingress=~"web"}[5m]))"#,
    r#"sum by (method, host, path)(rate(nginx_ingress_controller_response_size_sum{ingress=~"web"}[5m])) / sum by (method, host, path)(rate(nginx_ingress_controller_response_size_count{ingress=~"web"}[5m]))"#,
    r#"sum by (le)(increase(nginx_ingress_controller_response_size_bucket{ingress=~"web"}[5m]))"#,
    // The chart's alerts
    r#"count(nginx_ingress_controller_config_last_reload_successful == 0) >= 0 or vector(1)"#,
    r#"(avg by (host) (nginx_ingress_controller_ssl_expire_time_seconds{host!="_"}) - time()) > 0"#,
    r#"100 * (sum(nginx_ingress_controller_requests{status=~"5.+"}) / sum(nginx_ingress_controller_requests)) > 1"#,
    r#"100 * (sum(nginx_ingress_controller_requests{status=~"4.+"}) / sum(nginx_ingress_controller_requests)) > 1"#,
    r#"nginx_ingress_controller_orphan_ingress{type="no-service",ingress="gone"} == 1"#,
    r#"nginx_ingress_controller_orphan_ingress{type="no-endpoint",ingress="web"} == 0"#,
    // Flagger's request-success-rate; KEDA and Argo Rollouts, by either spelling of the namespace
    r#"sum(rate(nginx_ingress_controller_requests{job="honor",namespace="default",ingress="web",canary!="",status!~"5.*"}[1m])) / sum(rate(nginx_ingress_controller_requests{job="honor",namespace="default",ingress="web",canary!=""}[1m])) * 100"#,
    r#"sum(rate(nginx_ingress_controller_requests{exported_namespace="default",ingress="web"}[2m]))"#,
    r#"sum(rate(nginx_ingress_controller_requests{namespace="ingress-nginx",controller_namespace=~".*"}[2m]))"#,
    r#"histogram_quantile(0.99, sum(rate(nginx_ingress_controller_request_duration_seconds_bucket{ingress="web"}[1m])) by (le))"#,
    r#"rate(nginx_ingress_controller_nginx_process_requests_total[1m])"#,
];

/// What every family of a process has.
macro_rules! of {
    ($labels:literal) => {
        concat!("controller_class controller_namespace controller_pod ", $labels)
    };
    () => {
        "controller_class controller_namespace controller_pod"
    };
}

const REQUEST: &str = of!("canary host ingress method namespace path service status");
const BUCKET: &str = of!("canary host ingress le method namespace path service status");

/// Names without their prefix, with all labels as the page has them.
pub const FAMILIES: &[(&str, &str)] = &[
    ("requests", REQUEST),
    ("request_duration_seconds_bucket", BUCKET),
    ("request_duration_seconds_sum", REQUEST),
    ("response_duration_seconds_bucket", BUCKET),
    ("header_duration_seconds_bucket", BUCKET),
    ("connect_duration_seconds_bucket", BUCKET),
    ("request_size_bucket", BUCKET),
    ("response_size_bucket", BUCKET),
    ("bytes_sent_bucket", BUCKET),
    ("nginx_process_connections", of!("state")),
    ("nginx_process_connections_total", of!("state")),
    ("nginx_process_requests_total", of!()),
    ("nginx_process_cpu_seconds_total", of!()),
    ("nginx_process_resident_memory_bytes", of!()),
    ("nginx_process_virtual_memory_bytes", of!()),
    ("nginx_process_num_procs", of!()),
    ("nginx_process_oldest_start_time_seconds", of!()),
    ("nginx_process_read_bytes_total", of!()),
    ("nginx_process_write_bytes_total", of!()),
    ("config_hash", of!()),
    ("config_last_reload_successful", of!()),
    ("config_last_reload_successful_timestamp_seconds", of!()),
    ("success", of!()),
    ("orphan_ingress", of!("ingress namespace type")),
    ("build_info", of!("build release repository")),
    ("ssl_expire_time_seconds", "class host identifier namespace secret_name"),
    (
        "ssl_certificate_info",
        "class host identifier issuer_common_name issuer_organization namespace \
         public_key_algorithm secret_name serial_number",
    ),
];
