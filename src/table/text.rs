//! The text form of a table: a few lines a route, defaults left out. Tests, the admin page and people read it.

mod answers;
mod balance;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use http::HeaderName;

use super::{Alternative, DnsName, EndpointSet, Route, RoutingTable, Target, Upstream, UpstreamKey, VirtualHost};
use crate::policy::RoutePolicy;
use crate::policy::access::Satisfy;
use crate::policy::canary::{Canary, Wanted};
use crate::policy::client_certificate::{ClientAuth, ErrorPage, Verify};
use crate::policy::https_redirect::Mode;
use crate::policy::limits::Rate;
use crate::policy::login::Scheme;
use crate::policy::retry::RetryPolicy;
use crate::policy::server_tls::{ServerTls, cipher};
use crate::policy::upstream::{Protocol, UpstreamPolicy};

/// Writes the table with the endpoints that belong to it, in the order of hosts and routes.
pub fn render(table: &RoutingTable, endpoints: &BTreeMap<UpstreamKey, EndpointSet>) -> String {
    let mut out = String::new();
    for host in &table.virtual_hosts {
        virtual_host(&mut out, table, host);
    }
    for (host, certificate) in table.certificates.entries() {
        let from = if certificate.secret.is_empty() { "generated" } else { &*certificate.secret };
        let _ = writeln!(out, "certificate {host}: {from}");
    }
    for stream in &table.streams {
        let _ = write!(out, "{} {}", stream.protocol.lower(), stream.port);
        if stream.accept_proxy {
            out.push_str(" accept-proxy");
        }
        if let Some(upstream) = table.upstream(stream.upstream) {
            let _ = write!(out, " -> {}", name(upstream));
        }
        out.push_str(if stream.send_proxy { " send-proxy\n" } else { "\n" });
    }
    for (host, upstream) in &table.passthrough {
        let _ = writeln!(out, "passthrough {host} -> {}", table.upstream(*upstream).map(name).unwrap_or_default());
    }
    for upstream in &table.upstreams {
        let key = &upstream.key;
        let _ = write!(out, "upstream {}", name(upstream));
        match endpoints.get(key) {
            Some(EndpointSet::Fixed(list)) if !list.is_empty() => {
                for endpoint in list.iter() {
                    let _ = write!(out, " {}", endpoint.address);
                }
            }
            Some(EndpointSet::Dns(DnsName { name, port, .. })) => {
                let _ = write!(out, " dns {name}:{port}");
            }
            _ => out.push_str(" (no endpoints)"),
        }
        if let Some(balance) = &upstream.balance {
            self::balance::balance(&mut out, balance);
        }
        out.push('\n');
        if let Some(alternative) = &upstream.alternative {
            canary(&mut out, table, alternative);
        }
    }
    out
}

fn name(Upstream { key, .. }: &Upstream) -> String {
    format!("{}/{}:{}", key.namespace, key.service, key.port)
}

fn canary(out: &mut String, table: &RoutingTable, alternative: &Alternative) {
    let Canary { header, cookie, weight } = &*alternative.canary;
    let _ = write!(out, "  canary {}", table.upstream(alternative.upstream).map(name).unwrap_or_default());
    if let Some(rule) = header {
        let names: Vec<&str> = rule.names.iter().map(HeaderName::as_str).collect();
        let _ = write!(out, " header={}", names.join("|"));
        let _ = match &rule.wanted {
            Wanted::Word => Ok(()),
            Wanted::Value(value) => write!(out, "={value:?}"),
            Wanted::Pattern(pattern) => write!(out, "~{:?}", pattern.text()),
            Wanted::Unusable => write!(out, " (main)"),
        };
    }
    if let Some(cookie) = cookie {
        let _ = write!(out, " cookie={cookie}");
    }
    let (share, total) = weight.parts();
    let _ = writeln!(out, " weight={share}/{total}");
}

fn virtual_host(out: &mut String, table: &RoutingTable, host: &VirtualHost) {
    let _ = write!(out, "host {}", host.name);
    for alias in host.aliases.iter().flat_map(|aliases| &aliases.names) {
        let _ = write!(out, " alias={alias}");
    }
    if host.has_certificate {
        out.push_str(" tls");
    }
    if let Some(reason) = &host.forbidden {
        let _ = write!(out, " forbidden={reason:?}");
    }
    if let Some(auth) = &host.client_auth {
        client_auth(out, auth);
    }
    if let Some(tls) = &host.tls {
        server_tls(out, tls, &table.global.tls.common);
    }
    if let Some(root) = &host.app_root {
        let _ = write!(out, " app-root={}", root.location);
    }
    if let Some(target) = &host.redirect_to {
        let _ = write!(out, " redirect-to={target}");
    }
    if let Some(snippet) = &host.snippet {
        let _ = write!(out, " snippet={:?}", snippet.own.source);
    }
    if host.paths.is_regex() {
        out.push_str(" regex");
    }
    out.push('\n');
    for (pattern, route) in host.paths.routes() {
        if let Some(route) = table.route(route) {
            line(out, table, pattern, route);
        }
    }
}

fn server_tls(out: &mut String, tls: &ServerTls, common: &ServerTls) {
    if tls.ciphers != common.ciphers {
        let names: Vec<&str> = tls.ciphers.iter().filter_map(|number| cipher::name(*number)).collect();
        let _ = write!(out, " ciphers={}", names.join(":"));
    }
    if tls.prefer_server != common.prefer_server {
        let _ = write!(out, " prefer-server-ciphers={}", tls.prefer_server);
    }
}

fn client_auth(out: &mut String, auth: &ClientAuth) {
    out.push_str(match auth.verify {
        Verify::Required => " client-certificate=required",
        Verify::Optional => " client-certificate=optional",
        Verify::OptionalNoCa => " client-certificate=optional-no-ca",
        Verify::Off => " client-certificate=off",
    });
    if auth.depth != 1 {
        let _ = write!(out, " depth={}", auth.depth);
    }
    if let Some(subject) = &auth.subject {
        let _ = write!(out, " subject={:?}", subject.text());
    }
    let _ = match &auth.error_page {
        Some(ErrorPage::Redirect(to) | ErrorPage::Path(to)) => write!(out, " error-page={to}"),
        Some(ErrorPage::Nowhere) => write!(out, " error-page=@"),
        None => Ok(()),
    };
    if auth.pass {
        out.push_str(" pass-certificate");
    }
}

fn line(out: &mut String, table: &RoutingTable, pattern: &str, route: &Route) {
    let target = match route.target {
        Target::NotFound => "404".to_owned(),
        Target::Upstream(index) => table.upstream(index).map_or_else(String::new, name),
    };
    let labels = &route.labels;
    let _ = write!(out, "  {pattern} -> {target}");
    if !labels.ingress.is_empty() {
        let _ = write!(out, " ({}/{})", labels.namespace, labels.ingress);
    }
    out.push('\n');
    let mut details = String::new();
    policy(&mut details, &route.policy);
    answers::render(&mut details, &route.policy);
    upstream(&mut details, &route.policy.upstream);
    if let Some(tls) = route.tls.and_then(|i| table.upstream_tls.get(i as usize)) {
        let verify = if tls.verify.is_some() { " verify" } else { "" };
        let client = if tls.client.is_some() { " client-certificate" } else { "" };
        let name = tls.name.as_deref().map(|n| format!(" name={n}")).unwrap_or_default();
        let send = if tls.send_name { " send-name" } else { "" };
        let versions = match (tls.tls12, tls.tls13) {
            (true, true) => "",
            (true, false) => " TLSv1.2",
            (false, true) => " TLSv1.3",
            (false, false) => " no-version",
        };
        let depth = if tls.depth > 1 { format!(" depth={}", tls.depth) } else { String::new() };
        let ciphers = if tls.ciphers.is_some() { " ciphers" } else { "" };
        let _ = write!(details, " tls[{verify}{depth}{client}{name}{send}{versions}{ciphers} ]");
    }
    if let Some(upstream) = route.default_backend.and_then(|index| table.upstream(index)) {
        let _ = write!(details, " default-backend={}", name(upstream));
    }
    if !details.is_empty() {
        let _ = writeln!(out, "   {details}");
    }
}

fn policy(out: &mut String, policy: &RoutePolicy) {
    if let Some(reason) = &policy.denied {
        let _ = write!(out, " denied={reason:?}");
    }
    access(out, policy);
    match policy.https_redirect.mode {
        Mode::Never => out.push_str(" ssl-redirect=off"),
        Mode::WithCertificate => {}
        Mode::Always => out.push_str(" ssl-redirect=force"),
    }
    if policy.https_redirect.preserve_trailing_slash {
        out.push_str(" preserve-trailing-slash");
    }
    if let Some(rewrite) = &policy.rewrite {
        let _ = write!(out, " rewrite={:?}", rewrite.target());
    }
    if let Some(auth) = &policy.external_auth {
        let _ = write!(out, " auth={}", auth.url);
        if let Some(method) = &auth.method {
            let _ = write!(out, " auth-method={method}");
        }
        if auth.signin.is_some() {
            out.push_str(" auth-signin");
        }
        for (name, _) in &auth.set_headers {
            let _ = write!(out, " auth-set={name}");
        }
        for name in auth.response_headers.iter() {
            let _ = write!(out, " auth-header={name}");
        }
        if auth.cache.is_some() {
            out.push_str(" auth-cache");
        }
        for line in auth.snippet.iter().flat_map(|snippet| &snippet.source) {
            let _ = write!(out, " auth-snippet={line:?}");
        }
    }
    if let Some(mirror) = &policy.mirror {
        let body = if mirror.with_body { "" } else { " mirror-body=off" };
        let _ = write!(out, " mirror={}{body}", mirror.url);
    }
    if policy.forwarded_prefix.is_some() {
        out.push_str(" x-forwarded-prefix");
    }
    match policy.body_limit {
        Some(1_048_576) => {}
        Some(bytes) => drop(write!(out, " body={bytes}")),
        None => out.push_str(" body=unlimited"),
    }
    if policy.port_in_redirect {
        out.push_str(" port-in-redirects");
    }
    if policy.relative_redirects {
        out.push_str(" relative-redirects");
    }
    if policy.session_cookie {
        out.push_str(" session-cookie");
    }
    if let Some(pages) = &policy.error_pages {
        balance::errors(out, pages);
    }
    if let Some(snippet) = &policy.snippet {
        let _ = write!(out, " snippet={:?}", snippet.source);
    }
    if !policy.access_log {
        out.push_str(" access-log=off");
    }
}

fn access(out: &mut String, policy: &RoutePolicy) {
    let Some(access) = &policy.access else { return };
    if let Some(limits) = &access.limits {
        for (name, rate) in [("rps", limits.per_second), ("rpm", limits.per_minute)] {
            if let Some(Rate { rate, burst }) = rate {
                let _ = write!(out, " {name}[rate={rate}m burst={burst}m]");
            }
        }
        if let Some(connections) = limits.connections {
            let _ = write!(out, " connections={connections}");
        }
        if let Some(exempt) = &limits.exempt {
            let _ = write!(out, " unlimited=[{exempt}]");
        }
    }
    for (name, list) in [("deny", &access.networks.deny), ("allow", &access.networks.allow)] {
        if let Some(list) = list {
            let _ = write!(out, " {name}=[{list}]");
        }
    }
    if let Some(login) = &access.login {
        let _ = match &login.scheme {
            Scheme::Basic(users) => write!(out, " basic=[{users:?}]"),
            Scheme::Digest(users) => write!(out, " digest=[{users:?}]"),
        };
        if !login.realm.is_empty() {
            let _ = write!(out, " realm={:?}", login.realm);
        }
    }
    if access.satisfy == Satisfy::Any {
        out.push_str(" satisfy=any");
    }
}

fn retry(out: &mut String, policy: &RetryPolicy, default: &RetryPolicy) {
    if policy.on != default.on {
        let names: Vec<&str> = policy.on.names().collect();
        let _ = write!(out, " retry={}", if names.is_empty() { "off".to_owned() } else { names.join(",") });
    }
    if policy.tries != default.tries {
        let _ = write!(out, " tries={}", policy.tries);
    }
    if policy.within != default.within {
        let _ = write!(out, " within={}s", policy.within.as_secs());
    }
}

fn upstream(out: &mut String, policy: &UpstreamPolicy) {
    let default = UpstreamPolicy::default();
    match policy.protocol {
        Protocol::Http => {}
        Protocol::Https => out.push_str(" protocol=https"),
        Protocol::AutoHttp => out.push_str(" protocol=auto"),
        Protocol::Grpc => out.push_str(" protocol=grpc"),
        Protocol::Grpcs => out.push_str(" protocol=grpcs"),
        Protocol::Fcgi => out.push_str(" protocol=fcgi"),
    }
    if let Some(fastcgi) = &policy.fastcgi {
        balance::fastcgi(out, fastcgi);
    }
    if policy.http10 {
        out.push_str(" http=1.0");
    }
    if policy.vhost.is_some() {
        out.push_str(" vhost");
    }
    if let Some(connection) = policy.connection {
        let _ = write!(out, " connection={connection:?}");
    }
    let (t, d) = (policy.timeouts, default.timeouts);
    for (name, value, usual) in [("connect", t.connect, d.connect), ("send", t.send, d.send), ("read", t.read, d.read)]
    {
        if value != usual {
            let _ = write!(out, " {name}={}s", value.as_secs());
        }
    }
    retry(out, &policy.retry, &default.retry);
    if !policy.request_buffering {
        out.push_str(" request-buffering=off");
    }
    if policy.response_head_limit != default.response_head_limit {
        let _ = write!(out, " response-head={}", policy.response_head_limit);
    }
}
