//! Every flag, once: those of ingress-nginx 1.15, those that klog adds to it, and ours.

use super::row::Support::{Full, Ignored};
use super::row::flags;

const CHAINS: &str = "not in this version yet: chains are served as they are written";
const HISTOGRAMS: &str = "not in this version yet: histograms have fixed buckets";
const GEOIP: &str = "not in this version yet: there is no GeoIP here";
const NGINX: &str = "nginx's own, there is no nginx here";
const GO: &str = "Go's own, there is no Go runtime here";
const KLOG: &str = "klog's own: logs go to standard error; --log-level and --log-format shape them";

flags! {
    /// What the process was told, every value read and checked. A field carries its flag's default when nobody set it.
    Config {
        /// `POD_NAME` of the environment, as the Deployment passes it.
        pod_name: Option<String>,
        /// `POD_NAMESPACE` of the environment.
        pod_namespace: Option<String>,
    }

    "Objects" {
        /// Directory of manifests that are served, and followed as they change.
        "manifests" manifests: MaybePath = "" Full;
        /// ConfigMap with the global settings; followed as it changes.
        "configmap" configmap: MaybeNamespacedName = "" Full;
        /// The spec.controller of the IngressClass objects that are ours.
        "controller-class" controller_class: Name = "k8s.io/ingress-nginx" Full;
        /// Class that the annotation kubernetes.io/ingress.class has to name.
        "ingress-class" ingress_class: Name = "nginx" Full;
        /// Also owns the IngressClass that is named as --ingress-class says.
        "ingress-class-by-name" ingress_class_by_name: Bool = "false" Full;
        /// Also owns Ingresses with neither a class nor the annotation.
        "watch-ingress-without-class" watch_ingress_without_class: Bool = "false" Full;
        /// The one namespace that is looked at; empty is all of them. Excludes --watch-namespace-selector.
        "watch-namespace" watch_namespace: MaybeText = "" Full;
        /// Label selector of the namespaces that are looked at. Needs a cluster; excludes --watch-namespace.
        "watch-namespace-selector" watch_namespace_selector: MaybeText = "" Full;
        /// Namespaces whose Secrets are read, where the role allows no others; empty is those that are looked at.
        "secrets-namespaces" secrets_namespaces: Words = "" Full;
        /// Secrets that are read, as namespace/name, where the role allows no others. Excludes --secrets-namespaces.
        "secrets" secrets: NamespacedNames = "" Full;
        /// Leaves out Ingresses that have a default backend.
        "disable-catch-all" disable_catch_all: Bool = "false" Full;
        /// Leaves out Services of type ExternalName.
        "disable-svc-external-name" disable_svc_external_name: Bool = "false" Full;
        /// Service whose first port answers what nothing else matches.
        "default-backend-service" default_backend_service: MaybeNamespacedName = "" Full;
        /// Secret with the certificate for hosts that have none of their own.
        "default-ssl-certificate" default_ssl_certificate: MaybeNamespacedName = "" Full;
        /// What the annotations of Ingresses begin with, before the slash.
        "annotations-prefix" annotations_prefix: AnnotationPrefix = "nginx.ingress.kubernetes.io" Full;
        /// Refuses Ingresses whose annotations have values that are not allowed.
        "enable-annotation-validation" enable_annotation_validation: Bool = "true" Full;
        /// Refuses hosts and paths that look like nginx configuration.
        "deep-inspect": Bool = "true" Ignored("no text of an Ingress becomes configuration here");
        /// ConfigMap of TCP ports and the Services behind them.
        "tcp-services-configmap" tcp_services_configmap: MaybeNamespacedName = "" Full;
        /// ConfigMap of UDP ports and the Services behind them.
        "udp-services-configmap" udp_services_configmap: MaybeNamespacedName = "" Full;
        /// Passes TLS of some hosts through to their Services.
        "enable-ssl-passthrough" enable_ssl_passthrough: Bool = "false" Full;
        /// Fetches the intermediate certificates that Secrets lack.
        "enable-ssl-chain-completion": Bool = "false" Ignored(CHAINS);
        /// Prefers endpoints of the own zone.
        "enable-topology-aware-routing": Bool = "false" Ignored("not in this version yet: all endpoints are used");
    }
    "Listening" {
        /// Port of HTTP; 0 lets the system choose.
        "http-port" http_port: Port = "80" Full;
        /// Port of HTTPS; 0 lets the system choose.
        "https-port" https_port: Port = "443" Full;
        /// Addresses of HTTP; empty is all of them.
        "http-address" http_address: Addresses = "" Full;
        /// Addresses of HTTPS; empty is all of them.
        "https-address" https_address: Addresses = "" Full;
        /// Port of health checks and metrics; 0 lets the system choose.
        "healthz-port" healthz_port: Port = "10254" Full;
        /// Addresses of health checks and metrics; empty is all of them.
        "healthz-host" healthz_host: Addresses = "" Full;
        /// Path of the health check.
        "health-check-path" health_check_path: UrlPath = "/healthz" Full;
        /// Seconds that the health check waits for nginx.
        "health-check-timeout": Int = "10" Ignored(NGINX);
        /// Port of the default server.
        "default-server-port": Int = "8181" Ignored("the default server needs no port of its own here");
        /// Port between the TLS splitter and nginx.
        "ssl-passthrough-proxy-port": Int = "442" Ignored("there is no second process that needs one");
    }
    "Process" {
        /// File of flags: a YAML or JSON mapping of their names, without dashes, to values.
        "config": MaybePath = "" Full;
        /// Prints every setting with its origin, as YAML that --config reads, and exits.
        only_argument "print-config": Bool = "false" Full;
        /// Prints the version and exits.
        only_argument "version": Bool = "false" Full;
        /// Prints this text and exits.
        only_argument "help": Bool = "false" Full;
        /// Threads that serve requests; 0 is one per core that the process may use.
        "workers" workers: Workers = "0" Full;
        /// File that is written once the listeners are open, with their addresses.
        "ready-file" ready_file: MaybePath = "" Full;
        /// Seconds between the signal to end and the closing of the listeners; the health check already fails.
        "shutdown-grace-period" shutdown_grace_period: Seconds = "0" Full;
        /// Seconds between the last request and the end of the process.
        "post-shutdown-grace-period" post_shutdown_grace_period: Seconds = "0" Full;
    }
    "Logs" {
        /// Form of the log.
        "log-format" log_format: LogFormatName = "text" Full;
        /// What is logged; when empty, --v decides.
        "log-level" log_level: MaybeLogLevel = "" Full;
        /// klog's verbosity, also -v: below 5 is info, from 5 debug, from 9 trace.
        "v" v: Int = "0" Full;
        /// Logs to standard error rather than to files.
        "logtostderr": Bool = "true" Ignored(KLOG);
        /// Logs to standard error as well as to files.
        "alsologtostderr": Bool = "false" Ignored(KLOG);
        /// Severity from which on logs go to standard error.
        "stderrthreshold": Text = "2" Ignored(KLOG);
        /// The same, together with alsologtostderr.
        "alsologtostderrthreshold": Text = "0" Ignored(KLOG);
        /// Whether stderrthreshold has no effect with logtostderr.
        "legacy_stderr_threshold_behavior": Bool = "true" Ignored(KLOG);
        /// Verbosity by file.
        "vmodule": Text = "" Ignored(KLOG);
        /// Line of code that logs a stack trace.
        "log_backtrace_at": Text = "" Ignored(KLOG);
        /// Directory of log files.
        "log_dir": Text = "" Ignored(KLOG);
        /// The log file.
        "log_file": Text = "" Ignored(KLOG);
        /// Megabytes of a log file.
        "log_file_max_size": UInt = "1800" Ignored(KLOG);
        /// Leaves out the headers of log lines.
        "skip_headers": Bool = "false" Ignored(KLOG);
        /// Leaves out the headers of log files.
        "skip_log_headers": Bool = "false" Ignored(KLOG);
        /// Adds the directory to the headers of log lines.
        "add_dir_header": Bool = "false" Ignored(KLOG);
        /// Writes a line to the log of its own severity only.
        "one_output": Bool = "false" Ignored(KLOG);
    }
    "Metrics" {
        /// Counts requests; not set, the mode decides: off as in ingress-nginx, on with --manifests.
        "enable-metrics" enable_metrics: MaybeBool = "" Full;
        /// Gives request metrics the label host.
        "metrics-per-host" metrics_per_host: Bool = "true" Full;
        /// Also counts requests for hosts that no Ingress names. Needs --metrics-per-host.
        "metrics-per-undefined-host" metrics_per_undefined_host: Bool = "false" Full;
        /// Counts 2xx in place of 200.
        "report-status-classes" report_status_classes: Bool = "false" Full;
        /// Request metrics that are left out, with or without nginx_ingress_controller_.
        "exclude-socket-metrics" exclude_socket_metrics: Words = "" Full;
        /// Upper bounds of the histograms of times, in seconds.
        "time-buckets" time_buckets: Buckets = "0.005,0.01,0.025,0.05,0.1,0.25,0.5,1,2.5,5,10" Full;
        /// Upper bounds of the histograms of request and response lengths, in bytes.
        "length-buckets" length_buckets: Buckets = "10,20,30,40,50,60,70,80,90,100" Full;
        /// Upper bounds of the histogram of bytes sent, in bytes.
        "size-buckets" size_buckets: Buckets = "10,100,1000,10000,100000,1000000,10000000" Full;
        /// Growth of the buckets of native histograms.
        "bucket-factor": Float = "0" Ignored(HISTOGRAMS);
        /// Most buckets of a native histogram.
        "max-buckets": UInt = "100" Ignored(HISTOGRAMS);
        /// Most metrics that nginx sends at once.
        "monitor-max-batch-size": Int = "10000" Ignored(NGINX);
    }
    "Cluster" {
        /// Address of the API server, as protocol://address:port; in a Pod and with --kubeconfig it is known.
        "apiserver-host" apiserver_host: MaybeText = "" Full;
        /// Certificate authority of the API server, a PEM file.
        "certificate-authority" certificate_authority: MaybePath = "" Full;
        /// How to reach the API server; in a Pod it is known.
        "kubeconfig" kubeconfig: MaybePath = "" Full;
        /// Time after which all objects are read again.
        "sync-period": GoDuration = "0s" Ignored("a watch that is lost is taken up where it was: nothing has to be read again");
        /// Most configuration changes per second.
        "sync-rate-limit": Float = "0.3" Ignored("a change needs no reload here: it is served at once");
        /// Leaves out the Sync events of Ingresses.
        "disable-sync-events" disable_sync_events: Bool = "false" Full;
        /// Writes the status of Ingresses; without it two controllers can be run side by side over the same Ingresses.
        "update-status" update_status: Bool = "true" Full;
        /// Clears the status of Ingresses when the last replica ends.
        "update-status-on-shutdown" update_status_on_shutdown: Bool = "true" Full;
        /// Seconds after which the status is looked at again without a change.
        "status-update-interval" status_update_interval: Seconds = "60" Full;
        /// Service whose addresses are the status. Excludes --publish-status-address.
        "publish-service" publish_service: MaybeNamespacedName = "" Full;
        /// Addresses that are the status, separated by commas.
        "publish-status-address" publish_status_address: Words = "" Full;
        /// Takes the internal addresses of nodes as the status.
        "report-node-internal-ip-address" report_node_internal_ip_address: Bool = "false" Full;
        /// Name of the Lease.
        "election-id" election_id: Name = "ingress-controller-leader" Full;
        /// How long the Lease is held without being renewed: so long may nobody write the status after the leader is lost.
        "election-ttl" election_ttl: GoDuration = "30s" Full;
        /// Writes the status without being the leader.
        "disable-leader-election" disable_leader_election: Bool = "false" Full;
        /// Address of the admission server, as host:port or :port; empty is none.
        "validating-webhook" validating_webhook: MaybeSocket = "" Full;
        /// Its certificate, a PEM file, read again when it changes; without it the certificate is made here.
        "validating-webhook-certificate" validating_webhook_certificate: MaybePath = "" Full;
        /// Its key, a PEM file.
        "validating-webhook-key" validating_webhook_key: MaybePath = "" Full;
        /// ValidatingWebhookConfiguration whose caBundle is kept in step with the certificate that is made here.
        "validating-webhook-configuration" validating_webhook_configuration: MaybeText = "" Full;
        /// Secret in which that certificate is kept, so that all replicas show the same one.
        "validating-webhook-secret" validating_webhook_secret: MaybeNamespacedName = "" Full;
        /// Name of the Service that the admission server is called by; for the certificate that is made here.
        "validating-webhook-service" validating_webhook_service: MaybeNamespacedName = "" Full;
        /// Checks an Ingress alone rather than with all others.
        "disable-full-test": Bool = "false" Ignored("the check looks at the Ingress and at those that share its hosts");
    }
    "nginx and Go" {
        /// Tries of a configuration change.
        "dynamic-configuration-retries": Int = "15" Ignored(NGINX);
        /// Address that nginx logs to.
        "internal-logger-address": Text = "127.0.0.1:11514" Ignored(NGINX);
        /// Port of nginx's Lua.
        "status-port": Int = "10246" Ignored(NGINX);
        /// Port of nginx's Lua for TCP and UDP.
        "stream-port": Int = "10247" Ignored(NGINX);
        /// Serves Go's profiles.
        "profiling": Bool = "true" Ignored(GO);
        /// Address of Go's profiles.
        "profiler-address": Text = "127.0.0.1" Ignored(GO);
        /// Port of Go's profiles.
        "profiler-port": Int = "10245" Ignored(GO);
        /// GeoIP databases to download.
        "maxmind-edition-ids": Text = "GeoLite2-City,GeoLite2-ASN" Ignored(GEOIP);
        /// Key for the download.
        "maxmind-license-key": Text = "" Ignored(GEOIP);
        /// Where to download them.
        "maxmind-mirror": Text = "" Ignored(GEOIP);
        /// Tries of the download.
        "maxmind-retries-count": Int = "1" Ignored(GEOIP);
        /// Time between two tries.
        "maxmind-retries-timeout": GoDuration = "0s" Ignored(GEOIP);
    }
}
