//! Metric families by name, with help texts and bucket tables: ingress-nginx's own, word for word, so that dashboards
//! and alerts go on, then ours under `portcullis_`.

/// What begins every name of ingress-nginx's families; `--exclude-socket-metrics` accepts names with and without it.
pub const PREFIX: &str = "nginx_ingress_controller_";

/// A metric family: its full name and its help text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Family {
    pub name: &'static str,
    pub help: &'static str,
}

/// `PREFIX` is written out by the macro because constants cannot be concatenated otherwise.
macro_rules! families {
    ($prefix:literal: $($constant:ident = $name:literal, $help:literal;)*) => {
        $(pub const $constant: Family = Family { name: concat!($prefix, $name), help: $help };)*
    };
}

families! { "nginx_ingress_controller_":
    REQUESTS = "requests", "The total number of client requests";
    REQUEST_DURATION = "request_duration_seconds", "The request processing time in milliseconds";
    RESPONSE_DURATION = "response_duration_seconds",
        "The time spent on receiving the response from the upstream server";
    HEADER_DURATION = "header_duration_seconds",
        "The time spent on receiving first header from the upstream server";
    CONNECT_DURATION = "connect_duration_seconds",
        "The time spent on establishing a connection with the upstream server";
    REQUEST_SIZE = "request_size", "The request length (including request line, header, and request body)";
    RESPONSE_SIZE = "response_size", "The response length (including request line, header, and request body)";
    BYTES_SENT = "bytes_sent", "DEPRECATED The number of bytes sent to a client";

    CONNECTIONS = "nginx_process_connections",
        "current number of client connections with state {active, reading, writing, waiting}";
    CONNECTIONS_TOTAL = "nginx_process_connections_total",
        "total number of connections with state {accepted, handled}";
    REQUESTS_TOTAL = "nginx_process_requests_total", "total number of client requests";
    CPU_SECONDS = "nginx_process_cpu_seconds_total", "Cpu usage in seconds";
    RESIDENT_MEMORY = "nginx_process_resident_memory_bytes", "number of bytes of memory in use";
    VIRTUAL_MEMORY = "nginx_process_virtual_memory_bytes", "number of bytes of memory in use";
    NUM_PROCS = "nginx_process_num_procs", "number of processes";
    OLDEST_START_TIME = "nginx_process_oldest_start_time_seconds", "start time in seconds since 1970/01/01";
    READ_BYTES = "nginx_process_read_bytes_total", "number of bytes read";
    WRITE_BYTES = "nginx_process_write_bytes_total", "number of bytes written";

    CONFIG_HASH = "config_hash", "Running configuration hash actually running";
    CONFIG_SUCCESSFUL = "config_last_reload_successful",
        "Whether the last configuration reload attempt was successful";
    CONFIG_SUCCESSFUL_TIMESTAMP = "config_last_reload_successful_timestamp_seconds",
        "Timestamp of the last successful configuration reload.";
    SUCCESS = "success", "Cumulative number of Ingress controller reload operations";
    SSL_EXPIRE_TIME = "ssl_expire_time_seconds", "Number of seconds since 1970 to the SSL Certificate expire.";
    SSL_CERTIFICATE_INFO = "ssl_certificate_info", "Hold all labels associated to a certificate";
    LEADER_ELECTION = "leader_election_status",
        "Gauge reporting status of the leader election, 0 indicates follower, 1 indicates leader. 'name' is the string used to identify the lease";
    ORPHAN_INGRESS = "orphan_ingress", "Gauge reporting status of ingress orphanity, 1 indicates orphaned ingress.";
    BUILD_INFO = "build_info", "A metric with a constant '1' labeled with information about the build.";
}

families! { "portcullis_":
    FILES_BROKEN = "files_broken", "Configuration files that could not be read at the last look.";
    DIAGNOSTICS = "diagnostics", "Problems of the running configuration, by severity and reason.";
    CONFIG_APPLY = "config_apply_seconds", "Time from a snapshot to its installed routing table.";
    ENDPOINTS_SWAPS = "endpoints_swaps_total", "Endpoint sets exchanged without a new routing table.";
    ACCESS_LOG_DROPPED = "access_log_dropped_total", "Access log lines dropped because the output was too slow or failed.";
    MIRRORS_DROPPED = "mirror_copies_dropped_total",
        "Requests that were not mirrored because a worker had too many copies under way.";
    SERIES_DROPPED = "series_dropped_total",
        "Requests left out of the request metrics because a worker's bound of series was reached.";
}

/// Seconds; the default of `--time-buckets`, which is Prometheus' own default.
pub const TIME_BUCKETS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// Bytes; the default of `--length-buckets`, for `request_size` and `response_size`.
pub const LENGTH_BUCKETS: [f64; 10] = [10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 90.0, 100.0];
/// Bytes; the default of `--size-buckets`, for `bytes_sent`.
pub const SIZE_BUCKETS: [f64; 7] = [10.0, 100.0, 1e3, 1e4, 1e5, 1e6, 1e7];
/// Seconds; for `portcullis_config_apply_seconds`, whose goal is far below a second.
pub const APPLY_BUCKETS: [f64; 12] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];
