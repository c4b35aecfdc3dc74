//! The URL of a question: who is asked is known when the table is made, what for may depend on the request.

use std::net::IpAddr;

use crate::base::hostname::Authority;
use crate::compile::endpoints::{ExternalNames, Plan, PortLookup, is_dns_name};
use crate::snapshot::ObjectKey;
use crate::table::{DnsName, Endpoint, EndpointSet, Protocol};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    pub https: bool,
    /// Lower-case; an IPv6 address in brackets.
    pub host: String,
    pub port: u16,
    /// Path and query, with variables; empty when the URL has neither.
    pub target: String,
}

impl Url {
    /// Reads a URL. The error says why it names nobody to ask.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (scheme, rest) = text.split_once("://").ok_or("it has no scheme")?;
        let https = match scheme.to_ascii_lowercase().as_str() {
            "http" => false,
            "https" => true,
            other => return Err(format!("its scheme {other:?} is not http or https")),
        };
        let at = rest.find(['/', '?', '$']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at_checked(at).unwrap_or((rest, ""));
        if target.strip_prefix('$').is_some_and(|variable| !begins_with_path(variable)) {
            return Err("its host has variables: whom to ask must be known before a request comes".to_owned());
        }
        let parsed =
            Authority::parse(authority).map_err(|_| format!("{authority:?} is no host with an optional port"))?;
        if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err("it has blanks".to_owned());
        }
        let port = parsed.port.unwrap_or(if https { 443 } else { 80 });
        let slash = if target.starts_with('?') { "/" } else { "" };
        Ok(Self { https, host: parsed.host.into_owned(), port, target: format!("{slash}{target}") })
    }

    /// How its endpoints are found: a Service's are known; others' names are resolved again and again.
    pub fn plan(&self, allowed: ExternalNames) -> Result<Plan, String> {
        let literal = self.host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().ok();
        let here = allowed == ExternalNames::Loopback;
        let (service, otherwise) = match (literal, service(&self.host)) {
            (Some(address), _) => (None, self.fixed(address, allowed)?),
            (None, _) if self.host == "localhost" => (None, self.fixed(std::net::Ipv4Addr::LOCALHOST.into(), allowed)?),
            (None, service) if is_dns_name(&self.host) => {
                // Names of Services are short for those of the cluster's domain.
                let suffix = if self.host.ends_with(".svc") { ".cluster.local" } else { "" };
                let name = format!("{}{suffix}", self.host).into();
                (service, EndpointSet::Dns(DnsName { name, port: self.port, loopback: here }))
            }
            _ => return Err(format!("{:?} is no DNS name", self.host)),
        };
        Ok(Plan {
            service: service.unwrap_or_else(|| ObjectKey::new("", self.host.as_str())),
            port: self.port.to_string().into(),
            lookup: PortLookup::Stream(Protocol::Tcp),
            cluster_ip: false,
            external_name: allowed,
            otherwise: Some(otherwise),
        })
    }

    fn fixed(&self, address: IpAddr, allowed: ExternalNames) -> Result<EndpointSet, String> {
        if !allowed.allow_asking(address) {
            return Err(format!("{} is the controller itself", self.host));
        }
        Ok(EndpointSet::Fixed([Endpoint { address: (address, self.port).into() }].into()))
    }
}

/// Whether a variable without its `$` is one that begins with a slash.
fn begins_with_path(text: &str) -> bool {
    let name = text.trim_start_matches('{');
    let end = name.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(name.len());
    name.split_at_checked(end).is_some_and(|(name, _)| ["request_uri", "uri", "document_uri"].contains(&name))
}

/// The Service of `name.namespace.svc` and `name.namespace.svc.cluster.local`.
fn service(host: &str) -> Option<ObjectKey> {
    let short = host.strip_suffix(".cluster.local").unwrap_or(host).strip_suffix(".svc")?;
    let (name, namespace) = short.split_once('.')?;
    (!namespace.contains('.')).then(|| ObjectKey::new(namespace, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        let url = |https, host: &str, port, target: &str| Some((https, host.to_owned(), port, target.to_owned()));
        let rows = [
            ("http://auth.test", url(false, "auth.test", 80, "")),
            ("https://Auth.test/a?b=$arg_c", url(true, "auth.test", 443, "/a?b=$arg_c")),
            ("http://10.0.0.1:8080?x", url(false, "10.0.0.1", 8080, "/?x")),
            ("http://[::1]:81/", url(false, "[::1]", 81, "/")),
            ("http://a.test/$request_uri", url(false, "a.test", 80, "/$request_uri")),
            ("http://a.test$request_uri", url(false, "a.test", 80, "$request_uri")),
            ("http://a.test${uri}x", url(false, "a.test", 80, "${uri}x")),
            ("http://a.$request_uri_x/", None),
            ("http://a-$host/", None),
            ("not-a-url", None),
            ("ftp://a.test/", None),
            ("http:///x", None),
            ("http://$host/x", None),
            ("http://a..test/", None),
            ("http://user@a.test/", None),
            ("http://a.test/a b", None),
        ];
        for (text, expected) in rows {
            let parsed = Url::parse(text).ok().map(|u| (u.https, u.host, u.port, u.target));
            assert_eq!(parsed, expected, "{text}");
        }
    }

    #[test]
    fn hosts() {
        let plan = |text: &str, allowed| Url::parse(text).unwrap().plan(allowed);
        let (cluster, directory) = (ExternalNames::Elsewhere, ExternalNames::Loopback);
        let service = |text: &str| plan(text, cluster).unwrap().service.to_string();
        assert_eq!(service("http://auth.ns.svc:8080"), "ns/auth");
        assert_eq!(service("http://auth.ns.svc.cluster.local"), "ns/auth");
        assert_eq!(service("http://a.auth.ns.svc"), "/a.auth.ns.svc");
        let Some(EndpointSet::Dns(name)) = plan("http://auth.ns.svc:8080", cluster).unwrap().otherwise else {
            panic!("a name")
        };
        assert_eq!((&*name.name, name.port, name.loopback), ("auth.ns.svc.cluster.local", 8080, false));
        for (host, in_cluster, in_directory) in [
            ("10.0.0.1", true, true),
            ("127.0.0.1", false, true),
            ("[::1]", false, true),
            ("localhost", false, true),
            ("0.0.0.0", false, false),
            ("a_b.test", false, false),
        ] {
            let text = format!("http://{host}/");
            assert_eq!(
                (plan(&text, cluster).is_ok(), plan(&text, directory).is_ok()),
                (in_cluster, in_directory),
                "{host}"
            );
        }
    }
}
