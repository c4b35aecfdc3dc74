//! Every key of the controller's ConfigMap that ingress-nginx 1.15 reads or documents, and a few of our own, once.
//!
//! Only keys that keep somebody out by themselves are access settings: the other `global-auth-*` keys have no effect
//! without `global-auth-url`, and refusing them would deny every path for nothing.

use crate::base::networks::Networks;
use crate::compile::annotations::row::Support::{Full, Ignored, Partial};
use crate::compile::annotations::row::{Risk, Support, settings};
use crate::compile::annotations::value::{
    AppRoot, CommaList, HeaderToken, HttpVersion, NextUpstream, NginxTime, OnOff, RedirectCode, Seconds, Size,
};
use crate::compile::annotations::values_access::{ClientKey, Patterns, RefusalCode};
use crate::compile::annotations::values_balance::{GlobalErrorCodes, HashText, LoadBalance};
use crate::compile::annotations::values_headers::{BrotliLevel, GzipLevel, Int, ZstdLevel};
use crate::compile::annotations::values_identity::{
    Addresses, GoTime, HeaderBuffers, Networks as TrustedNetworks, Processes,
};
use crate::compile::annotations::values_logs::{LogText, Port, SyslogHost};
use crate::compile::annotations::values_question::{AuthMethod, CacheDurations};
use crate::compile::annotations::values_tls::{AnyCiphers, Groups, ServerProtocols, SharedTicketKey};
use crate::policy::logs::{ErrorLogLevel, LogTarget};
use crate::policy::stream_log::StreamFormat;
use crate::snapshot::ObjectKey;

const LATER: &str = "not in this version yet";
const AT_START: &str = "read when the process starts; flags go before it";
const SNIPPETS: Support = Partial("a list of directives, see docs/snippets.md; with another it is left out");
const NGINX: &str = "there is no nginx here to tune";

settings! {
    /// The controller's ConfigMap as written, `None` for keys that are absent or cannot be used.
    ConfigMapSettings

    "Redirects" {
        /// Default of ssl-redirect.
        "ssl-redirect" { ssl_redirect: bool } = "true" Full;
        /// Default of force-ssl-redirect.
        "force-ssl-redirect" { force_ssl_redirect: bool } = "false" Full;
        /// Status of the https and www redirects.
        "http-redirect-code" { http_redirect_code: RedirectCode } = "308" Full;
        /// Prefixes of Ingress paths that are not redirected to https.
        "no-tls-redirect-locations" { no_tls_redirect_locations: CommaList } = "/.well-known/acme-challenge" Full;
        /// Default of preserve-trailing-slash.
        "preserve-trailing-slash" { preserve_trailing_slash: bool } = "false" Full;
        /// Default of use-port-in-redirects.
        "use-port-in-redirects" { use_port_in_redirects: bool } = "false" Full;
        /// Default of relative-redirects.
        "relative-redirects" { relative_redirects: bool } = "false" Full;
        /// Default of app-root.
        "app-root" { app_root: AppRoot } = "" Full;
    }
    "HSTS and TLS" {
        /// Staples OCSP responses.
        "enable-ocsp" { "true or false" } = "false"
            Ignored("nothing is asked of OCSP responders here; authorities are giving OCSP up");
        /// Sends Strict-Transport-Security on https.
        "hsts" { hsts: bool } = "true" Full;
        /// Adds includeSubDomains to it.
        "hsts-include-subdomains" { hsts_include_subdomains: bool } = "true" Full;
        /// Its max-age, in seconds.
        "hsts-max-age" { hsts_max_age: u64 } = "31536000" Full;
        /// Adds preload to it.
        "hsts-preload" { hsts_preload: bool } = "false" Full;
        /// Size of TLS records.
        "ssl-buffer-size" { "text" } = "4k" Ignored("there are no such buffers here");
        /// OpenSSL cipher list.
        "ssl-ciphers" { ssl_ciphers: AnyCiphers } = "\
            ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:\
            ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:\
            DHE-RSA-AES256-GCM-SHA384:DHE-RSA-AES128-GCM-SHA256"
            Partial("what OpenSSL has besides ECDHE with AES-GCM or ChaCha20 is left out; TLS 1.3 has its own");
        /// Secret, as namespace/name, with `dhparam.pem`.
        "ssl-dh-param" { "text" } = "" Ignored("there is no key exchange by DHE here, only by ECDHE");
        /// Early data of TLS 1.3.
        "ssl-early-data" { "true or false" } = "false"
            Ignored("whoever records early data can send it again, and no upstream here is told of that");
        /// Key exchange curves.
        "ssl-ecdh-curve" { ssl_ecdh_curve: Groups } = "auto"
            Partial("X25519MLKEM768, X25519, P-256 and P-384 are there");
        /// TLS versions.
        "ssl-protocols" { ssl_protocols: ServerProtocols } = "TLSv1.2 TLSv1.3"
            Partial("versions before TLS 1.2 are left out");
        /// Refuses the handshake for an unknown SNI.
        "ssl-reject-handshake" { ssl_reject_handshake: bool } = "false" Full;
        /// Resumes TLS sessions from a cache.
        "ssl-session-cache" { ssl_session_cache: bool } = "true" Full;
        /// Size of that cache.
        "ssl-session-cache-size" { ssl_session_cache_size: Size } = "10m" Full;
        /// Key of session tickets.
        "ssl-session-ticket-key" { ssl_session_ticket_key: SharedTicketKey } = ""
            Partial("tickets are shared with replicas of Portcullis, not with nginx");
        /// Resumes TLS sessions with tickets.
        "ssl-session-tickets" { ssl_session_tickets: bool } = "false" Full;
        /// How long a TLS session can be resumed.
        "ssl-session-timeout" { ssl_session_timeout: NginxTime } = "10m" Full;
    }
    "Upstream" {
        /// Default of proxy-connect-timeout.
        "proxy-connect-timeout" { proxy_connect_timeout: Seconds } = "5" Full;
        /// Default of proxy-send-timeout.
        "proxy-send-timeout" { proxy_send_timeout: Seconds } = "60" Full;
        /// Default of proxy-read-timeout.
        "proxy-read-timeout" { proxy_read_timeout: Seconds } = "60" Full;
        /// Default of proxy-next-upstream.
        "proxy-next-upstream" { proxy_next_upstream: NextUpstream } = "error timeout" Full;
        /// Default of proxy-next-upstream-timeout.
        "proxy-next-upstream-timeout" { proxy_next_upstream_timeout: Seconds } = "0" Full;
        /// Default of proxy-next-upstream-tries.
        "proxy-next-upstream-tries" { proxy_next_upstream_tries: u32 } = "3" Full;
        /// Retries POST, LOCK and PATCH too.
        "retry-non-idempotent" { retry_non_idempotent: bool } = "false" Full;
        /// Default of proxy-http-version.
        "proxy-http-version" { proxy_http_version: HttpVersion } = "1.1" Full;
        /// Keeps proxy-ssl annotations to their own paths.
        "proxy-ssl-location-only" { proxy_ssl_location_only: bool } = "false" Full;
        /// Idle connections kept per upstream.
        "upstream-keepalive-connections" { upstream_keepalive_connections: u32 } = "320" Full;
        /// How long an idle upstream connection is kept.
        "upstream-keepalive-timeout" { upstream_keepalive_timeout: Seconds } = "60" Full;
        /// Requests per upstream connection.
        "upstream-keepalive-requests" { upstream_keepalive_requests: u32 } = "10000" Full;
        /// Longest life of an upstream connection.
        "upstream-keepalive-time" { upstream_keepalive_time: NginxTime } = "1h" Full;
        /// Default of service-upstream.
        "service-upstream" { service_upstream: bool } = "false" Full;
        /// Default of load-balance.
        "load-balance" { load_balance: LoadBalance } = "round_robin" Full;
        /// Default of upstream-hash-by.
        "upstream-hash-by" { upstream_hash_by: HashText } = "" Full;
        /// Default of upstream-hash-by-subset.
        "upstream-hash-by-subset" { upstream_hash_by_subset: bool } = "false" Full;
        /// Default of upstream-hash-by-subset-size.
        "upstream-hash-by-subset-size" { upstream_hash_by_subset_size: u32 } = "0" Full;
        /// Largest head of a gRPC response, in KB, where it is larger than proxy-buffer-size.
        "grpc-buffer-size-kb" { grpc_buffer_size_kb: u32 } = "0" Full;
    }
    "Bodies and buffers" {
        /// Largest request body; 0 is no limit.
        "proxy-body-size" { proxy_body_size: Size } = "1m" Full;
        /// Default of client-body-buffer-size.
        "client-body-buffer-size" { "a size" } = "8k"
            Ignored("up to 1m of a body is held in memory and the rest streamed, without files");
        /// Reads the whole request body before an endpoint is asked.
        "proxy-request-buffering" { proxy_request_buffering: OnOff } = "on" Full;
        /// Default of proxy-buffering.
        "proxy-buffering" { proxy_buffering: OnOff } = "off"
            Partial("responses are streamed with back-pressure either way; limit-rate asks for it");
        /// Largest response head.
        "proxy-buffer-size" { proxy_buffer_size: Size } = "4k" Full;
        /// Default of proxy-buffers-number.
        "proxy-buffers-number" { "a whole number" } = "4" Ignored("there are no such buffers here");
        /// Default of proxy-busy-buffers-size.
        "proxy-busy-buffers-size" { "text" } = "" Ignored("there are no such buffers here");
        /// Default of proxy-max-temp-file-size.
        "proxy-max-temp-file-size" { "text" } = "1024m" Ignored("there are no temporary files here");
        /// Default of proxy-cookie-domain.
        "proxy-cookie-domain" { proxy_cookie_domain: String } = "off" Full;
        /// Default of proxy-cookie-path.
        "proxy-cookie-path" { proxy_cookie_path: String } = "off" Full;
        /// Default of proxy-redirect-from.
        "proxy-redirect-from" { proxy_redirect_from: String } = "off" Full;
        /// Default of proxy-redirect-to.
        "proxy-redirect-to" { proxy_redirect_to: String } = "off" Full;
    }
    "Connections from clients" {
        /// How long an idle client connection is kept; 0 is not at all.
        "keep-alive" { keep_alive: Seconds } = "75" Full;
        /// Requests per client connection.
        "keep-alive-requests" { keep_alive_requests: u32 } = "1000" Full;
        /// Time for a request head; then 408.
        "client-header-timeout" { client_header_timeout: Seconds } = "60" Full;
        /// Longest gap between two reads of a request body; then 408.
        "client-body-timeout" { client_body_timeout: Seconds } = "60" Full;
        /// Buffer of a request head.
        "client-header-buffer-size" { client_header_buffer_size: Size } = "1k" Full;
        /// Buffers of a large request head; more is answered 414 or 400.
        "large-client-header-buffers" { large_client_header_buffers: HeaderBuffers } = "4 8k" Full;
        /// HTTP/2 over TLS.
        "use-http2" { use_http2: bool } = "true" Full;
        /// Concurrent streams of one HTTP/2 connection.
        "http2-max-concurrent-streams" { http2_max_concurrent_streams: u32 } = "128" Full;
        /// Gone from nginx.
        "http2-max-field-size" { "text" } = "" Ignored(NGINX);
        /// Gone from nginx.
        "http2-max-header-size" { "text" } = "" Ignored(NGINX);
        /// Gone from nginx.
        "http2-max-requests" { "a whole number" } = "0" Ignored(NGINX);
        /// Listen addresses.
        "bind-address" { bind_address: Addresses } = "" Partial(AT_START);
        /// Does not listen on IPv6.
        "disable-ipv6" { disable_ipv6: bool } = "false" Partial(AT_START);
        /// Does not resolve IPv6 addresses.
        "disable-ipv6-dns" { disable_ipv6_dns: bool } = "false" Full;
        /// How long connections of an old configuration may drain.
        "worker-shutdown-timeout" { worker_shutdown_timeout: NginxTime } = "240s" Full;
        /// Number of worker processes.
        "worker-processes" { worker_processes: Processes } = "auto" Partial(AT_START);
        /// Connections per worker.
        "max-worker-connections" { "a whole number" } = "16384" Ignored(NGINX);
        /// Open files per worker.
        "max-worker-open-files" { "a whole number" } = "0" Ignored(NGINX);
    }
    "Headers" {
        /// Drops request headers with invalid names; off answers 400.
        "ignore-invalid-headers" { ignore_invalid_headers: bool } = "true" Full;
        /// Accepts request headers with `_` in their name.
        "enable-underscores-in-headers" { enable_underscores_in_headers: bool } = "false" Full;
        /// Response headers of upstreams to remove.
        "hide-headers" { hide_headers: CommaList } = "" Full;
        /// ConfigMap with headers for every response.
        "add-headers" { add_headers: ObjectKey } = "" Full;
        /// ConfigMap with headers for every request to an upstream.
        "proxy-set-headers" { proxy_set_headers: ObjectKey } = "" Full;
        /// Headers that custom-headers may set.
        "global-allowed-response-headers" { global_allowed_response_headers: CommaList } = "" Full;
        /// Keeps the Server header of the upstream.
        "allow-backend-server-header" { allow_backend_server_header: bool } = "false" Full;
        /// Shows the Server header.
        "server-tokens" { server_tokens: bool } = "false" Full;
        /// Makes an X-Request-ID when the client sends none.
        "generate-request-id" { generate_request_id: bool } = "true" Full;
        /// Sends X-Original-URI upstream.
        "proxy-add-original-uri-header" { proxy_add_original_uri_header: bool } = "false" Full;
        /// Default MIME type.
        "default-type" { default_type: String } = "text/html" Full;
    }
    "Client address" {
        /// Trusts X-Forwarded-For, -Proto, -Host and -Port of the client.
        "use-forwarded-headers" { use_forwarded_headers: bool } = "false" Full;
        /// Appends to X-Forwarded-For rather than replacing it; with use-forwarded-headers.
        "compute-full-forwarded-for" { compute_full_forwarded_for: bool } = "false" Full;
        /// Takes the client address from forwarded-for-header, and nothing else from the client.
        "enable-real-ip" { enable_real_ip: bool } = "false" Full;
        /// Header with the client address.
        "forwarded-for-header" { forwarded_for_header: HeaderToken } = "X-Forwarded-For" Full;
        /// Header for the address that the PROXY protocol gave.
        "forwarded-for-proxy-protocol-header" { forwarded_for_proxy_protocol_header: HeaderToken } =
            "X-Forwarded-For-Proxy-Protocol" Full;
        /// Header that is trusted as X-Forwarded-Host.
        "forwarded-host-header" { forwarded_host_header: HeaderToken } = "X-Forwarded-Host" Full;
        /// Trusted proxies.
        "proxy-real-ip-cidr" { proxy_real_ip_cidr: TrustedNetworks } = "0.0.0.0/0,::/0" Full;
        /// Expects the PROXY protocol on the http and https ports.
        "use-proxy-protocol" { use_proxy_protocol: bool } = "false" Full;
        /// Time for the PROXY header.
        "proxy-protocol-header-timeout" { proxy_protocol_header_timeout: GoTime } = "5s" Full;
    }
    "Access" {
        /// Client networks that are answered 403.
        access "block-cidrs" { block_cidrs: Networks } [Controller Low Deny] = "" Full;
        /// Referers that are answered 403, exact or ~regex.
        access "block-referers" { block_referers: Patterns } [Controller Low Deny] = "" Full;
        /// User agents that are answered 403, exact or ~regex.
        access "block-user-agents" { block_user_agents: Patterns } [Controller Low Deny] = "" Full;
        /// Default of denylist-source-range.
        access "denylist-source-range" { denylist_source_range: Networks } [Controller Low Deny] = "" Full;
        /// As auth-always-set-cookie, for every location without its own.
        "global-auth-always-set-cookie" { global_auth_always_set_cookie: bool } = "false" Full;
        /// As auth-cache-duration, for every location without its own.
        "global-auth-cache-duration" { global_auth_cache_duration: CacheDurations } = "200 202 401 5m" Full;
        /// As auth-cache-key, for every location without its own.
        "global-auth-cache-key" { global_auth_cache_key: String } = "" Full;
        /// As auth-method, for every location without its own.
        "global-auth-method" { global_auth_method: AuthMethod } = "" Full;
        /// As auth-request-redirect, for every location without its own.
        "global-auth-request-redirect" { global_auth_request_redirect: String } = "" Full;
        /// As auth-response-headers, for every location without its own.
        "global-auth-response-headers" { global_auth_response_headers: String } = "" Full;
        /// As auth-signin, for every location without its own.
        "global-auth-signin" { global_auth_signin: String } = "" Full;
        /// As auth-signin-redirect-param, for every location without its own.
        "global-auth-signin-redirect-param" { global_auth_signin_redirect_param: String } = "rd" Full;
        /// As auth-snippet, for every location without its own.
        "global-auth-snippet" { global_auth_snippet: String }
            = "" Partial("a list of directives, see docs/snippets.md; with another every path that asks answers 503");
        /// As auth-url, for every location without its own.
        access "global-auth-url" { global_auth_url: String } = "" Full;
        /// Who may read `/nginx_status`.
        "nginx-status-ipv4-whitelist" { "a comma list" } = "127.0.0.1" Ignored(NGINX);
        /// Who may read `/nginx_status`.
        "nginx-status-ipv6-whitelist" { "a comma list" } = "::1" Ignored(NGINX);
        /// Prefixes of Ingress paths without basic and external authentication.
        "no-auth-locations" { no_auth_locations: CommaList } = "/.well-known/acme-challenge" Full;
        /// Default of whitelist-source-range.
        access "whitelist-source-range" { whitelist_source_range: Networks } [Controller Low Deny] = "" Full;
    }
    "Limits" {
        /// Status when limit-connections is exceeded.
        "limit-conn-status-code" { limit_conn_status_code: RefusalCode } = "503" Full;
        /// nginx variable that names the client for limits.
        "limit-conn-zone-variable" { limit_conn_zone_variable: ClientKey } = "$binary_remote_addr" Full;
        /// Default of limit-rate.
        "limit-rate" { limit_rate: Int } = "0" Full;
        /// Default of limit-rate-after.
        "limit-rate-after" { limit_rate_after: Int } = "0" Full;
        /// Status when limit-rps or limit-rpm is exceeded.
        "limit-req-status-code" { limit_req_status_code: RefusalCode } = "503" Full;
    }
    "Errors" {
        /// Default of custom-http-errors.
        "custom-http-errors" { custom_http_errors: GlobalErrorCodes } = "" Full;
        /// Default of disable-proxy-intercept-errors.
        "disable-proxy-intercept-errors" { disable_proxy_intercept_errors: bool } = "false" Full;
    }
    "What Ingresses may do" {
        /// Admits only plain paths for Exact and Prefix: `^/[A-Za-z0-9._/-]*$`.
        "strict-validate-path-type" { strict_validate_path_type: bool } = "true" Full;
        /// Lets Ingresses carry nginx configuration.
        "allow-snippet-annotations" { allow_snippet_annotations: bool } = "false" Full;
        /// Lets annotations name Secrets and ConfigMaps of other namespaces.
        "allow-cross-namespace-resources" { allow_cross_namespace_resources: bool } = "false" Full;
        /// Highest accepted risk of an annotation.
        "annotations-risk-level" { annotations_risk_level: Risk } = "High" Full;
        /// Words that no annotation may hold.
        "annotation-value-word-blocklist" { annotation_value_word_blocklist: CommaList } = "" Full;
    }
    "Logs" {
        /// Buffering of the access log.
        "access-log-params" { "text" } = ""
            Ignored("lines are handed on every 100 ms or 64 KiB, and never wait");
        /// File of the access log.
        "access-log-path" { access_log_path: LogTarget } = "/var/log/nginx/access.log" Full;
        /// Switches all access logs off.
        "disable-access-log" { disable_access_log: bool } = "false" Full;
        /// Switches the access log of http off.
        "disable-http-access-log" { disable_http_access_log: bool } = "false" Full;
        /// Switches the access log of TCP and UDP off.
        "disable-stream-access-log" { disable_stream_access_log: bool } = "false" Full;
        /// Logs requests that no Ingress matched.
        "enable-access-log-for-default-backend" { enable_access_log_for_default_backend: bool } = "false" Full;
        /// Logs the questions of external authentication.
        "enable-auth-access-log" { enable_auth_access_log: bool } = "false" Full;
        /// Sends logs to syslog.
        "enable-syslog" { enable_syslog: bool } = "false"
            Partial("the access logs; the controller's own log stays on standard error");
        /// Level of the error log.
        "error-log-level" { error_log_level: ErrorLogLevel } = "notice" Full;
        /// File of the error log.
        "error-log-path" { "text" } = "/var/log/nginx/error.log"
            Ignored("the controller's log goes to standard error, as in ingress-nginx's image");
        /// File of the access log of http.
        "http-access-log-path" { http_access_log_path: LogTarget } = "" Full;
        /// Escapes variables in the access log as JSON.
        "log-format-escape-json" { log_format_escape_json: bool } = "false" Full;
        /// Does not escape variables in the access log.
        "log-format-escape-none" { log_format_escape_none: bool } = "false" Full;
        /// Format of the access log of TCP and UDP.
        "log-format-stream" { log_format_stream: StreamFormat } = "\
            [$remote_addr] [$time_local] $protocol $status $bytes_sent $bytes_received $session_time" Full;
        /// Format of the access log, with nginx variables.
        "log-format-upstream" { log_format_upstream: LogText } = "\
            $remote_addr - $remote_user [$time_local] \"$request\" $status $body_bytes_sent \"$http_referer\" \
            \"$http_user_agent\" $request_length $request_time [$proxy_upstream_name] \
            [$proxy_alternative_upstream_name] $upstream_addr $upstream_response_length \
            $upstream_response_time $upstream_status $req_id"
            Full;
        /// Regexes of request URIs that are not logged.
        "skip-access-log-urls" { skip_access_log_urls: CommaList } = "" Full;
        /// File of the access log of TCP and UDP.
        "stream-access-log-path" { stream_access_log_path: LogTarget } = "" Full;
        /// Host of syslog.
        "syslog-host" { syslog_host: SyslogHost } = "" Full;
        /// Port of syslog.
        "syslog-port" { syslog_port: Port } = "514" Full;
    }
    "Traces" {
        /// Traces requests.
        "enable-opentelemetry" { "true or false" } = "false" Ignored(LATER);
        /// OpenTracing, which is gone.
        "jaeger-baggage-header" { "text" } = "jaeger-baggage" Ignored("ingress-nginx 1.15 does not read it either");
        /// OpenTracing, which is gone.
        "jaeger-collector-host" { "text" } = "" Ignored("ingress-nginx 1.15 does not read it either");
        /// OpenTracing, which is gone.
        "jaeger-collector-port" { "a whole number" } = "6831" Ignored("ingress-nginx 1.15 does not read it either");
        /// OpenTracing, which is gone.
        "jaeger-debug-header" { "text" } = "uber-debug-id" Ignored("ingress-nginx 1.15 does not read it either");
        /// OpenTracing, which is gone.
        "jaeger-endpoint" { "text" } = "" Ignored("ingress-nginx 1.15 does not read it either");
        /// OpenTracing, which is gone.
        "jaeger-propagation-format" { "text" } = "jaeger" Ignored("ingress-nginx 1.15 does not read it either");
        /// OpenTracing, which is gone.
        "jaeger-sampler-host" { "text" } = "http://127.0.0.1" Ignored("ingress-nginx 1.15 does not read it either");
        /// OpenTracing, which is gone.
        "jaeger-sampler-param" { "text" } = "1" Ignored("ingress-nginx 1.15 does not read it either");
        /// OpenTracing, which is gone.
        "jaeger-sampler-port" { "a whole number" } = "5778" Ignored("ingress-nginx 1.15 does not read it either");
        /// OpenTracing, which is gone.
        "jaeger-sampler-type" { "text" } = "const" Ignored("ingress-nginx 1.15 does not read it either");
        /// OpenTracing, which is gone.
        "jaeger-service-name" { "text" } = "nginx" Ignored("ingress-nginx 1.15 does not read it either");
        /// OpenTracing, which is gone.
        "jaeger-trace-baggage-header-prefix" { "text" } = "uberctx-"
            Ignored("ingress-nginx 1.15 does not read it either");
        /// OpenTracing, which is gone.
        "jaeger-trace-context-header-name" { "text" } = "uber-trace-id"
            Ignored("ingress-nginx 1.15 does not read it either");
        /// File with the settings of the tracer.
        "opentelemetry-config" { "text" } = "/etc/ingress-controller/telemetry/opentelemetry.toml" Ignored(LATER);
        /// Name of the spans.
        "opentelemetry-operation-name" { "text" } = "" Ignored(LATER);
        /// Continues the trace of the client.
        "opentelemetry-trust-incoming-span" { "true or false" } = "true" Ignored(LATER);
        /// Spans of one export.
        "otel-max-export-batch-size" { "a whole number" } = "512" Ignored(LATER);
        /// Spans that wait for an export.
        "otel-max-queuesize" { "a whole number" } = "2048" Ignored(LATER);
        /// Which requests are traced.
        "otel-sampler" { "text" } = "AlwaysOn" Ignored(LATER);
        /// Whether the trace of the client decides that.
        "otel-sampler-parent-based" { "true or false" } = "true" Ignored(LATER);
        /// Share of traced requests.
        "otel-sampler-ratio" { "a number" } = "0.01" Ignored(LATER);
        /// Time between two exports.
        "otel-schedule-delay-millis" { "a whole number" } = "5000" Ignored(LATER);
        /// Name of the service in traces.
        "otel-service-name" { "text" } = "nginx" Ignored(LATER);
        /// Host that takes the spans.
        "otlp-collector-host" { "text" } = "" Ignored(LATER);
        /// Port that takes the spans.
        "otlp-collector-port" { "a whole number" } = "4317" Ignored(LATER);
    }
    "Compression" {
        /// Effort of brotli.
        "brotli-level" { brotli_level: BrotliLevel } = "4" Full;
        /// Shortest response that brotli compresses, where its length is known.
        "brotli-min-length" { brotli_min_length: u64 } = "20" Full;
        /// MIME types that brotli compresses, text/html besides; `*` is all.
        "brotli-types" { brotli_types: String } = "\
            application/xml+rss application/atom+xml application/javascript application/x-javascript \
            application/json application/rss+xml application/vnd.ms-fontobject application/x-font-ttf \
            application/x-web-app-manifest+json application/xhtml+xml application/xml font/opentype \
            image/svg+xml image/x-icon text/css text/javascript text/plain text/x-component" Full;
        /// Compresses responses with brotli.
        "enable-brotli" { enable_brotli: bool } = "false" Full;
        /// Regex of user agents that get no gzip.
        "gzip-disable" { gzip_disable: String } = "" Full;
        /// Effort of gzip.
        "gzip-level" { gzip_level: GzipLevel } = "1" Full;
        /// Shortest response that gzip compresses, where its length is known.
        "gzip-min-length" { gzip_min_length: u64 } = "256" Full;
        /// MIME types that gzip compresses, text/html besides; `*` is all.
        "gzip-types" { gzip_types: String } = "\
            application/atom+xml application/javascript application/x-javascript application/json \
            application/rss+xml application/vnd.ms-fontobject application/x-font-ttf \
            application/x-web-app-manifest+json application/xhtml+xml application/xml font/opentype \
            image/svg+xml image/x-icon text/css text/javascript text/plain text/x-component" Full;
        /// Compresses responses with gzip.
        "use-gzip" { use_gzip: bool } = "false" Full;
        /// Compresses responses with Zstandard, before any other coding that the client takes. Not of ingress-nginx.
        "enable-zstd" { enable_zstd: bool } = "false" Full;
        /// Effort of Zstandard. Not of ingress-nginx.
        "zstd-level" { zstd_level: ZstdLevel } = "3" Full;
        /// Shortest response that Zstandard compresses, where its length is known. Not of ingress-nginx.
        "zstd-min-length" { zstd_min_length: u64 } = "256" Full;
        /// MIME types that Zstandard compresses, text/html besides; `*` is all. Not of ingress-nginx.
        "zstd-types" { zstd_types: String } = "the types of gzip-types" Full;
    }
    "TCP and UDP" {
        /// Tries the next endpoint of a TCP or UDP service.
        "proxy-stream-next-upstream" { proxy_stream_next_upstream: bool } = "true" Full;
        /// Time limit for that.
        "proxy-stream-next-upstream-timeout" { proxy_stream_next_upstream_timeout: NginxTime } = "600s" Full;
        /// Limit of attempts.
        "proxy-stream-next-upstream-tries" { proxy_stream_next_upstream_tries: u32 } = "3" Full;
        /// Datagrams that answer one.
        "proxy-stream-responses" { proxy_stream_responses: u32 } = "1" Full;
        /// Longest silence of a TCP or UDP session.
        "proxy-stream-timeout" { proxy_stream_timeout: NginxTime } = "600s" Full;
    }
    "ModSecurity" {
        /// Switches ModSecurity on.
        "enable-modsecurity" { "true or false" } = "false" Ignored("there is no web application firewall here");
        /// Loads the OWASP rules.
        "enable-owasp-modsecurity-crs" { "true or false" } = "false"
            Ignored("there is no web application firewall here");
        /// ModSecurity rules.
        "modsecurity-snippet" { "text" } = "" Ignored("there is no web application firewall here");
    }
    "Snippets" {
        /// nginx configuration for http.
        "http-snippet" { http_snippet: String } = "" SNIPPETS;
        /// nginx configuration for all locations.
        "location-snippet" { location_snippet: String } = "" SNIPPETS;
        /// nginx configuration at the top.
        "main-snippet" { "text" } = "" Ignored("there is no nginx configuration to put it into");
        /// nginx configuration for all servers.
        "server-snippet" { server_snippet: String } = "" SNIPPETS;
        /// nginx configuration for TCP and UDP.
        "stream-snippet" { "text" } = "" Ignored("there is no nginx configuration to put it into");
    }
    "nginx internals" {
        /// Client networks that are logged in detail.
        "debug-connections" { "a comma list" } = "" Ignored(NGINX);
        /// Tuning of nginx.
        "enable-aio-write" { "true or false" } = "true" Ignored(NGINX);
        /// Tuning of nginx.
        "enable-multi-accept" { "true or false" } = "true" Ignored(NGINX);
        /// Tuning of nginx.
        "enable-serial-reloads" { "true or false" } = "false" Ignored(NGINX);
        /// How often the GeoIP database is read again.
        "geoip2-autoreload-in-minutes" { "a whole number" } = "0" Ignored(LATER);
        /// Tuning of nginx.
        "lua-shared-dicts" { "text" } = "" Ignored(NGINX);
        /// Tuning of nginx.
        "map-hash-bucket-size" { "a whole number" } = "64" Ignored(NGINX);
        /// Tuning of nginx.
        "proxy-headers-hash-bucket-size" { "a whole number" } = "64" Ignored(NGINX);
        /// Tuning of nginx.
        "proxy-headers-hash-max-size" { "a whole number" } = "512" Ignored(NGINX);
        /// Tuning of nginx.
        "reuse-port" { "true or false" } = "true" Ignored(NGINX);
        /// Tuning of nginx.
        "server-name-hash-bucket-size" { "a whole number" } = "" Ignored(NGINX);
        /// Tuning of nginx.
        "server-name-hash-max-size" { "a whole number" } = "1024" Ignored(NGINX);
        /// GeoIP variables of the first kind.
        "use-geoip" { "true or false" } = "true" Ignored("ingress-nginx 1.15 does not read it either");
        /// GeoIP variables.
        "use-geoip2" { "true or false" } = "false" Ignored(LATER);
        /// Tuning of nginx.
        "variables-hash-bucket-size" { "a whole number" } = "256" Ignored(NGINX);
        /// Tuning of nginx.
        "variables-hash-max-size" { "a whole number" } = "2048" Ignored(NGINX);
        /// Tuning of nginx.
        "worker-cpu-affinity" { "text" } = "" Ignored(NGINX);
    }
}
