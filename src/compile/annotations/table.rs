//! Every annotation of ingress-nginx 1.15, once. What a row says is in [`super::row`].
//!
//! The class of a broken value is the one that ingress-nginx was seen to apply, but for settings it would drop with
//! the authentication they belong to (`auth-request-redirect`, `auth-always-set-cookie`): those deny.

use super::row::Support::{self, Full, Ignored, Partial};
use super::row::settings;
use super::value::{
    AppRoot, BackendProtocol, BoolElseFalse, BufferSize, ConnectionHeader, CookieName, ForwardedPrefix, HeaderPattern,
    HeaderText, HeaderToken, HttpVersion, Limit, NextUpstream, OnOff, RewriteTarget, Seconds, ServerAliases,
    ServerName, Size, TlsVersions,
};
use super::values_access::{AuthType, NetworkList, SecretName, SecretType};
use super::values_balance::{
    AffinityMode, CanaryBehavior, CookieAffinity, CookieDomain, CookiePath, ErrorCodes, FileName, HashText,
    LoadBalance, OwnConfigMap, ServiceName, SignedSeconds,
};
use super::values_headers::{
    CookieDomain as ProxyCookieDomain, CookiePath as ProxyCookiePath, CorsExposed, CorsHeaders, CorsMethods,
    CorsOrigins, HeadersConfigMap, Int, ProxyRedirect, RedirectUrl,
};
use super::values_question::{
    AuthMethod, CacheDurations, CacheKey, HeaderNames, MirrorTarget, UrlText, UrlWithVariables,
};
use super::values_tls::{AuthoritySecret, Ciphers, MatchSubject};
use crate::policy::access::Satisfy;
use crate::policy::affinity::SameSite;
use crate::policy::client_certificate::{ErrorPage, Verify};
use crate::snapshot::ObjectKey;

const LATER: &str = "not in this version yet";
const SNIPPETS: Support = Partial("a list of directives, see docs/snippets.md; another refuses the Ingress");

settings! {
    /// The annotations of one Ingress as written, `None` for those that are absent or cannot be used.
    Annotations

    "Redirects and rewrites" {
        /// Answers plain http with a redirect to https, when the host has TLS.
        "ssl-redirect" { ssl_redirect: bool } [Location Low Default] = "true" Full;
        /// The same without asking whether the host has TLS (TLS ends in front of the controller).
        "force-ssl-redirect" { force_ssl_redirect: bool } [Location Medium Default] = "false" Full;
        /// Keeps a final `/` in the Location of an https or www redirect.
        "preserve-trailing-slash" { preserve_trailing_slash: bool } [Location Medium Default] = "false" Full;
        /// Names the port in generated redirects.
        "use-port-in-redirects" { use_port_in_redirects: bool } [Location Low Default] = "false" Full;
        /// Generates redirects with a relative Location.
        "relative-redirects" { relative_redirects: bool } [Location Low Reject] = "false" Full;
        /// Answers `/` with a 302 to this path.
        "app-root" { app_root: AppRoot } [Server Medium Default] = "" Full;
        /// Replaces the request path; turns all paths of the host into regexes.
        "rewrite-target" { rewrite_target: RewriteTarget } [Location Medium Default] = "" Full;
        /// Treats the paths of the host as case-insensitive regexes, anchored at their start.
        "use-regex" { use_regex: bool } [Server Low Default] = "false" Full;
        /// Sends X-Forwarded-Prefix upstream, when the path is rewritten.
        "x-forwarded-prefix" { x_forwarded_prefix: ForwardedPrefix } [Location Medium Reject] = "" Full;
        /// Redirects `www.host` to `host`, or the other way round.
        "from-to-www-redirect" { from_to_www_redirect: bool } [Server Low Reject] = "false" Full;
        /// Answers every request with a redirect to this URL.
        "permanent-redirect" { permanent_redirect: RedirectUrl } [Location Medium Reject] = "" Full;
        /// The status of permanent-redirect.
        "permanent-redirect-code" { permanent_redirect_code: Int } [Location Low Reject] = "301" Full;
        /// Answers every request with a temporary redirect to this URL; wins over permanent-redirect.
        "temporal-redirect" { temporal_redirect: RedirectUrl } [Location Medium Reject] = "" Full;
        /// The status of temporal-redirect.
        "temporal-redirect-code" { temporal_redirect_code: Int } [Location Low Reject] = "302" Full;
    }
    "Hosts and errors" {
        /// More names for the hosts of the Ingress.
        "server-alias" { server_alias: ServerAliases } [Server High Reject] = "" Full;
        /// Service that answers custom-http-errors, and stands in for a Service without endpoints.
        "default-backend" { default_backend: ServiceName } [Location Low Reject] = "" Full;
        /// Replaces upstream responses of these statuses by the answer of the error backend.
        "custom-http-errors" { custom_http_errors: ErrorCodes } [Location Low Reject] = "" Full;
        /// Lets upstream errors through although custom-http-errors is set.
        "disable-proxy-intercept-errors" { disable_proxy_intercept_errors: bool } [Location Low Default] = "false" Full;
        /// ConfigMap with headers for every response.
        "custom-headers" { custom_headers: HeadersConfigMap } [Location Medium Default] = "" Full;
    }
    "Upstream" {
        /// What the endpoints speak.
        "backend-protocol" { backend_protocol: BackendProtocol } [Location Low Default] = "HTTP" Full;
        /// Sends to the cluster IP of the Service rather than to its endpoints.
        "service-upstream" { service_upstream: BoolElseFalse } [Upstream Low Default] = "false" Full;
        /// The Host header sent upstream.
        "upstream-vhost" { upstream_vhost: ServerName } [Location Low Reject] = "client host" Full;
        /// The literal Connection header sent upstream; ends upgrades.
        "connection-proxy-header" { connection_proxy_header: ConnectionHeader } [Location Low Reject] = "" Full;
        /// The HTTP version spoken upstream.
        "proxy-http-version" { proxy_http_version: HttpVersion } [Location Low Default] = "1.1" Full;
        /// Time to connect to an endpoint, per attempt.
        "proxy-connect-timeout" { proxy_connect_timeout: Seconds } [Location Low Default] = "5" Full;
        /// Longest gap between two writes to the upstream.
        "proxy-send-timeout" { proxy_send_timeout: Seconds } [Location Low Default] = "60" Full;
        /// Longest gap between two reads from the upstream; also ends idle upgraded connections.
        "proxy-read-timeout" { proxy_read_timeout: Seconds } [Location Low Default] = "60" Full;
        /// When to try the next endpoint.
        "proxy-next-upstream" { proxy_next_upstream: NextUpstream } [Location Medium Default] = "error timeout" Full;
        /// Time limit for all attempts together; 0 is none.
        "proxy-next-upstream-timeout" { proxy_next_upstream_timeout: Seconds } [Location Low Default] = "0" Full;
        /// Limit of attempts, the first included; 0 is none.
        "proxy-next-upstream-tries" { proxy_next_upstream_tries: u32 } [Location Low Default] = "3" Full;
        /// How endpoints are chosen.
        "load-balance" { load_balance: LoadBalance } [Upstream Low Reject] = "round_robin" Full;
        /// Chooses the endpoint by a consistent hash of this text.
        "upstream-hash-by" { upstream_hash_by: HashText } [Upstream High Reject] = "" Full;
        /// Hashes to a subset of endpoints.
        "upstream-hash-by-subset" { upstream_hash_by_subset: bool } [Upstream Low Reject] = "false" Full;
        /// Size of the subset.
        "upstream-hash-by-subset-size" { upstream_hash_by_subset_size: u32 } [Upstream Low Reject] = "3" Full;
    }
    "Bodies, buffers and upstream responses" {
        /// Largest request body; 0 is no limit.
        "proxy-body-size" { proxy_body_size: Size } [Location Medium Default] = "1m" Full;
        /// Memory for a request body before it is held elsewhere.
        "client-body-buffer-size" { client_body_buffer_size: BufferSize } [Location Low Reject] = "8k"
            Partial("a bad value is refused; up to 1m of a body is held in memory and the rest streamed, without files");
        /// Reads the whole request body before an endpoint is asked.
        "proxy-request-buffering" { proxy_request_buffering: OnOff } [Location Low Default] = "on" Full;
        /// Buffers responses.
        "proxy-buffering" { proxy_buffering: OnOff }
            [Location Low Default] = "off" Partial("responses are streamed with back-pressure either way; limit-rate asks for it");
        /// Largest response head.
        "proxy-buffer-size" { proxy_buffer_size: Size } [Location Low Default] = "4k" Full;
        /// Number of response buffers.
        "proxy-buffers-number" { "a whole number" }
            [Location Low Default] = "4" Ignored("there are no such buffers here");
        /// Size of busy response buffers.
        "proxy-busy-buffers-size" { "a size" } [Location Low Default] = "" Ignored("there are no such buffers here");
        /// Largest temporary file of a buffered response.
        "proxy-max-temp-file-size" { "a size" }
            [Location Low Default] = "1024m" Ignored("there are no temporary files here");
        /// Rewrites the Domain of cookies from the upstream.
        "proxy-cookie-domain" { proxy_cookie_domain: ProxyCookieDomain } [Location Medium Default] = "off" Full;
        /// Rewrites the Path of cookies from the upstream.
        "proxy-cookie-path" { proxy_cookie_path: ProxyCookiePath } [Location Medium Default] = "off" Full;
        /// What to replace in Location and Refresh of upstream responses.
        "proxy-redirect-from" { proxy_redirect_from: ProxyRedirect } [Location Medium Default] = "off" Full;
        /// What to put in place of proxy-redirect-from.
        "proxy-redirect-to" { proxy_redirect_to: ProxyRedirect } [Location Medium Default] = "off" Full;
    }
    "TLS to the upstream" {
        /// Secret with the client certificate, key and CA for TLS to the upstream; the other proxy-ssl keys need it.
        "proxy-ssl-secret" { proxy_ssl_secret: ObjectKey } [Location Medium Deny] = "" Full;
        /// Name to verify, and to send as SNI.
        "proxy-ssl-name" { proxy_ssl_name: ServerName } [Location High Default] = "" Full;
        /// Sends SNI to the upstream.
        "proxy-ssl-server-name" { proxy_ssl_server_name: OnOff } [Location Low Default] = "off" Full;
        /// Verifies the certificate of the upstream against `ca.crt` of the Secret.
        "proxy-ssl-verify" { proxy_ssl_verify: OnOff } [Location Low Default] = "off" Full;
        /// Longest chain; 0 counts as 1.
        "proxy-ssl-verify-depth" { proxy_ssl_verify_depth: u32 } [Location Low Default] = "1" Full;
        /// TLS versions offered to the upstream.
        "proxy-ssl-protocols" { proxy_ssl_protocols: TlsVersions } [Location Low Default] = "TLSv1.2" Full;
        /// Ciphers offered to the upstream.
        "proxy-ssl-ciphers" { proxy_ssl_ciphers: Ciphers } [Location Medium Default] = "DEFAULT"
            Partial("what OpenSSL has besides ECDHE with AES-GCM or ChaCha20 is left out; TLS 1.3 has its own");
    }
    "Networks" {
        /// Only these client addresses pass.
        access "allowlist-source-range" | "whitelist-source-range" { allowlist_source_range: NetworkList }
            [Location Medium Deny] = "" Full;
        /// These client addresses are kept out.
        access "denylist-source-range" { denylist_source_range: NetworkList } [Location Medium Deny] = "" Full;
        /// Whether addresses and authentication must all pass, or any.
        access "satisfy" { satisfy: Satisfy } [Location Low Default] = "all" Full;
    }
    "Basic and digest authentication" {
        /// Asks for a user and password.
        access "auth-type" { auth_type: AuthType } [Location Low Reject] = "" Full;
        /// Secret with the users.
        access "auth-secret" { auth_secret: SecretName } [Location Medium Deny] = "" Full;
        /// How the Secret holds its users.
        access "auth-secret-type" { auth_secret_type: SecretType } [Location Low Reject] = "auth-file" Full;
        /// The realm of the question.
        access "auth-realm" { auth_realm: HeaderText } [Location Medium Reject] = "" Full;
    }
    "External authentication" {
        /// Asks this URL whether a request may pass.
        access "auth-url" { auth_url: UrlWithVariables } [Location High Reject] = "" Full;
        /// Method of the question.
        access "auth-method" { auth_method: AuthMethod } [Location Low Deny] = "GET" Full;
        /// Where a 401 is sent to sign in.
        access "auth-signin" { auth_signin: UrlWithVariables } [Location High Default] = "" Full;
        /// Query parameter of auth-signin that holds the URL to come back to.
        access "auth-signin-redirect-param" { auth_signin_redirect_param: UrlText } [Location Medium Default] = "rd" Full;
        /// Headers of the answer that are copied to the upstream request.
        access "auth-response-headers" { auth_response_headers: HeaderNames } [Location Medium Deny] = "" Full;
        /// X-Auth-Request-Redirect of the question.
        access "auth-request-redirect" { auth_request_redirect: UrlWithVariables }
            [Location Medium Deny] = "$request_uri" Full;
        /// ConfigMap with headers of the question.
        access "auth-proxy-set-headers" { auth_proxy_set_headers: ObjectKey } [Location Medium Deny] = "" Full;
        /// Passes cookies of the answer to the client whatever the status.
        access "auth-always-set-cookie" { auth_always_set_cookie: bool } [Location Low Deny] = "false" Full;
        /// Caches answers under this text.
        access "auth-cache-key" { auth_cache_key: CacheKey } [Location Medium Default] = "" Full;
        /// How long answers of which status are kept.
        access "auth-cache-duration" { auth_cache_duration: CacheDurations }
            [Location Medium Deny] = "200 202 401 5m" Full;
        /// Idle connections kept to the host that is asked; without any each question has its own.
        "auth-keepalive" { auth_keepalive: u32 }
            [Location Low Default] = "0" Partial("how many, and for how long, is said by upstream-keepalive-*");
        /// Requests per kept connection.
        "auth-keepalive-requests" { auth_keepalive_requests: u32 }
            [Location Low Default] = "1000" Partial("0 keeps none; how many is said by upstream-keepalive-requests");
        /// How long an idle connection is kept.
        "auth-keepalive-timeout" { auth_keepalive_timeout: u32 }
            [Location Low Default] = "60" Partial("0 keeps none; how long is said by upstream-keepalive-timeout");
        /// Shares nginx variables with the question.
        "auth-keepalive-share-vars" { "true or false" }
            [Location Low Default] = "false" Ignored("questions have the variables of their request anyway");
        /// nginx configuration for the question.
        "auth-snippet" { auth_snippet: String } [Location Critical Reject] = "" SNIPPETS;
        /// Whether the global external authentication applies.
        "enable-global-auth" { enable_global_auth: bool } [Location Low Default] = "true" Full;
    }
    "Client certificates" {
        /// Secret with the CA that client certificates are verified against.
        access "auth-tls-secret" { auth_tls_secret: AuthoritySecret } [Server Medium Deny] = "" Full;
        /// Whether a client certificate is required.
        access "auth-tls-verify-client" { auth_tls_verify_client: Verify } [Server Medium Default] = "on" Full;
        /// Longest client chain; 0 counts as 1.
        access "auth-tls-verify-depth" { auth_tls_verify_depth: u32 } [Server Low Default] = "1" Full;
        /// Refuses client certificates whose subject does not match.
        access "auth-tls-match-cn" { auth_tls_match_cn: MatchSubject } [Server High Reject] = "" Full;
        /// Where a client without a good certificate is sent.
        access "auth-tls-error-page" { auth_tls_error_page: ErrorPage } [Server High Reject] = "" Full;
        /// Sends the client certificate upstream as ssl-client-cert.
        access "auth-tls-pass-certificate-to-upstream" { auth_tls_pass_certificate_to_upstream: bool }
            [Server Low Reject] = "false" Full;
    }
    "Limits" {
        /// Concurrent requests of one client.
        access "limit-connections" { limit_connections: Limit } [Location Low Reject] = "0" Full;
        /// Requests of one client per second.
        access "limit-rps" { limit_rps: Limit } [Location Low Reject] = "0" Full;
        /// Requests of one client per minute.
        access "limit-rpm" { limit_rpm: Limit } [Location Low Reject] = "0" Full;
        /// Burst of limit-rps and limit-rpm, in multiples of the limit.
        "limit-burst-multiplier" { limit_burst_multiplier: u32 } [Location Low Default] = "5" Full;
        /// Clients that are not limited.
        "limit-allowlist" | "limit-whitelist" { limit_allowlist: NetworkList } [Location Low Reject] = "" Full;
        /// Response bytes per second and request, in KB; where proxy-buffering is on.
        "limit-rate" { limit_rate: Int } [Location Low Default] = "0" Full;
        /// How many KB of a response are not throttled.
        "limit-rate-after" { limit_rate_after: Int } [Location Low Default] = "0" Full;
    }
    "CORS" {
        /// Adds CORS headers and answers preflight requests.
        "enable-cors" { enable_cors: bool } [Location Low Default] = "false" Full;
        /// Origins that are let in.
        "cors-allow-origin" { cors_allow_origin: CorsOrigins } [Location Medium Default] = "*" Full;
        /// Access-Control-Allow-Methods.
        "cors-allow-methods" { cors_allow_methods: CorsMethods }
            [Location Medium Default] = "GET, PUT, POST, DELETE, PATCH, OPTIONS" Full;
        /// Access-Control-Allow-Headers.
        "cors-allow-headers" { cors_allow_headers: CorsHeaders }
            [Location Medium Default] = "DNT,Keep-Alive,User-Agent,\
            X-Requested-With,If-Modified-Since,Cache-Control,Content-Type,Range,Authorization" Full;
        /// Access-Control-Expose-Headers.
        "cors-expose-headers" { cors_expose_headers: CorsExposed } [Location Medium Default] = "" Full;
        /// Sends Access-Control-Allow-Credentials.
        "cors-allow-credentials" { cors_allow_credentials: bool } [Location Low Default] = "true" Full;
        /// Access-Control-Max-Age.
        "cors-max-age" { cors_max_age: Int } [Location Low Default] = "1728000" Full;
    }
    "Canary" {
        /// Marks the Ingress as the canary of the one with the same hosts and paths.
        "canary" { canary: bool } [Ingress Low Default] = "false" Full;
        /// Share of requests for the canary.
        "canary-weight" { canary_weight: u32 } [Ingress Low Default] = "0" Full;
        /// What canary-weight is a share of; 100 or less is 100.
        "canary-weight-total" { canary_weight_total: u32 } [Ingress Low Default] = "100" Full;
        /// Header whose value `always` or `never` decides.
        "canary-by-header" { canary_by_header: HeaderToken } [Ingress Medium Default] = "" Full;
        /// Value of the header that chooses the canary, in place of `always` and `never`.
        "canary-by-header-value" { canary_by_header_value: HeaderText } [Ingress Medium Default] = "" Full;
        /// Regex for the value of the header that chooses the canary; canary-by-header-value wins over it.
        "canary-by-header-pattern" { canary_by_header_pattern: HeaderPattern } [Ingress Medium Default] = "" Full;
        /// Cookie whose value `always` or `never` decides, after the header and before the weight.
        "canary-by-cookie" { canary_by_cookie: CookieName } [Ingress Medium Default] = "" Full;
    }
    "Session affinity" {
        /// Keeps a client on one endpoint.
        "affinity" { affinity: CookieAffinity } [Upstream Low Default] = "" Full;
        /// What the cookie names: a place on the hash ring, or an endpoint.
        "affinity-mode" { affinity_mode: AffinityMode } [Upstream Medium Default] = "balanced" Full;
        /// Whether the cookie also keeps a client on its side of a canary.
        "affinity-canary-behavior" { affinity_canary_behavior: CanaryBehavior } [Upstream Low Default] = "sticky" Full;
        /// Name of the cookie.
        "session-cookie-name" { session_cookie_name: CookieName } [Upstream Medium Default] = "INGRESSCOOKIE" Full;
        /// Path of the cookie.
        "session-cookie-path" { session_cookie_path: CookiePath } [Upstream Medium Default] = "the Ingress path" Full;
        /// Domain of the cookie.
        "session-cookie-domain" { session_cookie_domain: CookieDomain } [Upstream Medium Default] = "" Full;
        /// Expires of the cookie.
        "session-cookie-expires" { session_cookie_expires: SignedSeconds } [Upstream Medium Default] = "" Full;
        /// Max-Age of the cookie.
        "session-cookie-max-age" { session_cookie_max_age: SignedSeconds } [Upstream Medium Default] = "" Full;
        /// SameSite of the cookie.
        "session-cookie-samesite" { session_cookie_samesite: SameSite } [Upstream Low Default] = "" Full;
        /// Adds Secure to the cookie on plain http too.
        "session-cookie-secure" { session_cookie_secure: bool } [Upstream Low Default] = "" Full;
        /// Sends a new cookie when another endpoint answered.
        "session-cookie-change-on-failure" { session_cookie_change_on_failure: bool }
            [Upstream Low Default] = "false" Full;
        /// Leaves SameSite=None out for browsers of 2019 and before.
        "session-cookie-conditional-samesite-none" { session_cookie_conditional_samesite_none: bool }
            [Upstream Low Default] = "false" Full;
    }
    "TLS from the client" {
        /// Forwards TLS connections for the host unopened.
        "ssl-passthrough" { ssl_passthrough: bool } [Server Low Reject] = "false" Full;
        /// Ciphers for TLS 1.2 and before.
        "ssl-ciphers" { ssl_ciphers: Ciphers } [Server Low Reject] = ""
            Partial("what OpenSSL has besides ECDHE with AES-GCM or ChaCha20 is left out; TLS 1.3 has its own");
        /// Prefers the order of the server.
        "ssl-prefer-server-ciphers" { ssl_prefer_server_ciphers: bool } [Server Low Default] = "true" Full;
    }
    "Mirror" {
        /// Copies each request to this URL.
        "mirror-target" { mirror_target: MirrorTarget } [Ingress High Default] = "" Full;
        /// Host header of the copies.
        "mirror-host" { mirror_host: ServerName } [Ingress High Default] = "host part of mirror-target" Full;
        /// Whether copies have the body.
        "mirror-request-body" { mirror_request_body: OnOff } [Ingress Low Default] = "on" Full;
    }
    "Logs and traces" {
        /// Writes the access log.
        "enable-access-log" { enable_access_log: bool } [Location Low Default] = "true" Full;
        /// Writes nginx's log of rewrites.
        "enable-rewrite-log" { "true or false" }
            [Location Low Default] = "false" Ignored("a debug log of nginx internals");
        /// Traces requests.
        "enable-opentelemetry" { "true or false" } [Location Low Default] = "" Ignored(LATER);
        /// Name of the spans.
        "opentelemetry-operation-name" { "letters, digits, - and _" } [Location Medium Reject] = "" Ignored(LATER);
        /// Continues the trace of the client.
        "opentelemetry-trust-incoming-span" { "true or false" } [Location Low Default] = "true" Ignored(LATER);
    }
    "ModSecurity" {
        /// Switches ModSecurity on.
        "enable-modsecurity" { "true or false" }
            [Location Low Default] = "false" Ignored("there is no web application firewall here");
        /// Loads the OWASP rules.
        "enable-owasp-core-rules" { "true or false" }
            [Location Low Default] = "false" Ignored("there is no web application firewall here");
        /// ModSecurity rules.
        "modsecurity-snippet" { "ModSecurity rules" }
            [Location Critical Default] = "" Ignored("there is no web application firewall here");
        /// Transaction id of ModSecurity.
        "modsecurity-transaction-id" { "text, with nginx variables" }
            [Location High Default] = "" Ignored("there is no web application firewall here");
    }
    "Snippets" {
        /// nginx configuration for the locations.
        "configuration-snippet" { configuration_snippet: String } [Location Critical Reject] = "" SNIPPETS;
        /// nginx configuration for the server.
        "server-snippet" { server_snippet: String } [Server Critical Reject] = "" SNIPPETS;
        /// nginx configuration for TCP and UDP.
        "stream-snippet" { "nginx configuration" } [Ingress Critical Default] = ""
            Ignored("what it could say of TCP and UDP has no counterpart here");
    }
    "Others" {
        /// Index file of FastCGI.
        "fastcgi-index" { fastcgi_index: FileName } [Location Medium Reject] = "" Full;
        /// ConfigMap with FastCGI parameters.
        "fastcgi-params-configmap" { fastcgi_params_configmap: OwnConfigMap } [Location Medium Deny] = "" Full;
        /// HTTP/2 push.
        "http2-push-preload" { "true or false" }
            [Location Low Reject] = "false" Ignored("browsers and nginx have dropped HTTP/2 push");
    }
}
