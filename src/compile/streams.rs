//! The ConfigMaps of TCP and UDP services to listeners and their upstreams (contract §18).
//!
//! Each key is a port, each value `namespace/service:port[:PROXY[:PROXY]]`. A bad entry costs itself alone.

use std::collections::btree_map::{BTreeMap, Entry};
use std::sync::Arc;

use super::Options;
use super::annotations::value::FromAnnotation;
use super::endpoints::{Owner, Plan, PortLookup, SliceIndex, Source};
use super::ingress::Output;
use super::report::Report;
use crate::base::diagnostic::{Reason, Severity};
use crate::policy::stream_log::StreamFormat;
use crate::snapshot::{ConfigMap, Meta, ObjectKey, Snapshot};
use crate::table::{Index, Protocol, StreamListener, Upstream, UpstreamKey};

/// A value of the ConfigMap.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Reference {
    service: ObjectKey,
    /// A number or a name.
    port: Arc<str>,
    accept_proxy: bool,
    send_proxy: bool,
}

/// An entry that can be served.
struct Entered<'a> {
    map: &'a Arc<ConfigMap>,
    key: &'a str,
    protocol: Protocol,
    port: u16,
    reference: Reference,
}

/// Adds the listeners of both ConfigMaps to the table, with their upstreams.
pub fn compile(snapshot: &Snapshot, options: &Options, output: &mut Output, report: &mut Report) {
    let mut entered = Vec::new();
    for (name, protocol) in [(&options.tcp_services, Protocol::Tcp), (&options.udp_services, Protocol::Udp)] {
        let Some(name) = name else { continue };
        match snapshot.config_maps.get(name) {
            Some(map) => entered.extend(entries(map, protocol, options, report)),
            None => tell_missing(name, protocol, report),
        }
    }
    if entered.is_empty() {
        return;
    }
    let slices = SliceIndex::new(snapshot);
    let mut known = BTreeMap::new();
    for entry in &entered {
        let add = || add_upstream(entry, snapshot, &slices, options, output);
        let upstream = *known.entry(upstream_key(entry)).or_insert_with(add);
        output.table.streams.push(StreamListener {
            protocol: entry.protocol,
            port: entry.port,
            upstream,
            accept_proxy: entry.reference.accept_proxy,
            send_proxy: entry.reference.send_proxy,
        });
    }
    output.table.streams.sort_by_key(|stream| (stream.protocol, stream.port));
}

/// The port has the protocol behind a slash, which no port of an Ingress backend can have: an upstream of streams is
/// never one of requests. Ports that lead to the same Service port share it.
fn upstream_key(entry: &Entered<'_>) -> UpstreamKey {
    let Reference { service, port, .. } = &entry.reference;
    UpstreamKey {
        namespace: Arc::clone(&service.namespace),
        service: Arc::clone(&service.name),
        port: format!("{port}/{}", entry.protocol.lower()).into(),
    }
}

/// The upstream of an entry that is the first to name it.
fn add_upstream(
    entry: &Entered<'_>,
    snapshot: &Snapshot,
    slices: &SliceIndex<'_>,
    options: &Options,
    output: &mut Output,
) -> Index {
    let (key, Reference { service, port, .. }) = (upstream_key(entry), &entry.reference);
    let name = format!("{}-{}-{}-{port}", entry.protocol.lower(), service.namespace, service.name);
    let plan = Plan {
        service: service.clone(),
        port: Arc::clone(port),
        lookup: PortLookup::Stream(entry.protocol),
        cluster_ip: false,
        external_name: options.external_names,
        otherwise: None,
    };
    let source = Source { plan, owner: Some(Owner::Stream(Arc::clone(entry.map), entry.key.into())) };
    let (set, problem) = source.resolve(snapshot, slices.of(service).iter().copied());
    output.endpoints.sets.insert(key.clone(), set);
    output.endpoints.problems.extend(problem.map(|problem| (key.clone(), problem)));
    output.sources.insert(key.clone(), source);
    let index = Index::try_from(output.table.upstreams.len()).unwrap_or(Index::MAX);
    output.table.upstreams.push(Upstream {
        key,
        name: name.into(),
        is_default_backend: false,
        alternative: None,
        balance: None,
    });
    index
}

/// The entries of one ConfigMap, in the order of their ports.
fn entries<'a>(
    map: &'a Arc<ConfigMap>,
    protocol: Protocol,
    options: &Options,
    report: &mut Report,
) -> Vec<Entered<'a>> {
    let mut ports = BTreeMap::new();
    for (key, value) in &map.data {
        let mut tell = |severity, message: String| {
            let reason = Reason::ConfigMapParsingFailed;
            report.object(severity, reason, "ConfigMap", &map.metadata, Some(key.clone()), message);
        };
        let port = match port(key, protocol, options) {
            Ok(port) => port,
            Err(message) => {
                tell(Severity::Error, message);
                continue;
            }
        };
        let (reference, odd) = match Reference::parse(value, protocol) {
            Ok(read) => read,
            Err(message) => {
                tell(Severity::Error, message);
                continue;
            }
        };
        if let Some(odd) = odd {
            tell(Severity::Warning, odd);
        }
        match ports.entry(port) {
            Entry::Vacant(entry) => drop(entry.insert(Entered { map, key, protocol, port, reference })),
            Entry::Occupied(first) => {
                tell(Severity::Error, format!("the key {:?} has the same port and is served", first.get().key));
            }
        }
    }
    ports.into_values().collect()
}

/// A port as Go's `Atoi` takes it, that may be opened.
fn port(key: &str, protocol: Protocol, options: &Options) -> Result<u16, String> {
    let port = key.parse::<u16>().ok().filter(|port| *port != 0);
    let port = port.ok_or_else(|| format!("it is not a {protocol} port: 1 to 65535"))?;
    if options.reserved_ports.contains(&port) {
        return Err(format!("the port is reserved for the controller: no {protocol} service can have it"));
    }
    Ok(port)
}

impl Reference {
    /// Reads a value; beside it what of it has no effect. Errors say what is wrong.
    fn parse(text: &str, protocol: Protocol) -> Result<(Self, Option<String>), String> {
        let text = text.trim();
        let mut parts = text.split(':');
        let service = parts.next().and_then(|name| ObjectKey::parse(name, ""));
        let port = parts.next().filter(|port| !port.is_empty());
        let (Some(service), Some(port)) = (service, port) else {
            return Err(format!("{text:?} is not namespace/service:port"));
        };
        let rest: Vec<&str> = parts.collect();
        let is_proxy = |at: usize| rest.get(at).is_some_and(|word| word.eq_ignore_ascii_case("PROXY"));
        let odd = if protocol == Protocol::Udp && rest.iter().any(|word| !word.is_empty()) {
            Some("the PROXY protocol is for TCP: nothing behind the port has an effect".to_owned())
        } else if rest.len() > 2 || rest.iter().any(|word| !word.is_empty() && !word.eq_ignore_ascii_case("PROXY")) {
            Some(format!("{:?} is not [:PROXY[:PROXY]]: only PROXY in its place has an effect", rest.join(":")))
        } else {
            None
        };
        let tcp = protocol == Protocol::Tcp;
        let reference = Self {
            service,
            port: port.into(),
            accept_proxy: tcp && is_proxy(0),
            send_proxy: tcp && rest.len() == 2 && is_proxy(1),
        };
        Ok((reference, odd))
    }
}

impl FromAnnotation for StreamFormat {
    const SHAPE: &'static str = "text with nginx's variables of streams";

    fn from_annotation(text: &str) -> Result<Self, String> {
        Self::parse(text)
    }
}

fn tell_missing(name: &ObjectKey, protocol: Protocol, report: &mut Report) {
    let meta = Meta::of(name);
    let message = format!("it does not exist: no {protocol} service is served");
    report.object(Severity::Warning, Reason::MissingReference, "ConfigMap", &meta, None, message);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references() {
        let tcp = Protocol::Tcp;
        let rows = [
            (tcp, "a/b:80", Some(("80", false, false, false))),
            (tcp, " a/b:http\n", Some(("http", false, false, false))),
            (tcp, "a/b:80:PROXY", Some(("80", true, false, false))),
            (tcp, "a/b:80:proxy:Proxy", Some(("80", true, true, false))),
            (tcp, "a/b:80::PROXY", Some(("80", false, true, false))),
            (tcp, "a/b:80:PROXY:PROXY:x", Some(("80", true, false, true))),
            (tcp, "a/b:80:tls", Some(("80", false, false, true))),
            (Protocol::Udp, "a/b:53", Some(("53", false, false, false))),
            (Protocol::Udp, "a/b:53:PROXY", Some(("53", false, false, true))),
            (tcp, "a/b", None),
            (tcp, "a/b:", None),
            (tcp, "b:80", None),
            (tcp, "a/b/c:80", None),
            (tcp, "", None),
        ];
        for (protocol, text, expected) in rows {
            let read = Reference::parse(text, protocol).ok();
            let got = read.as_ref().map(|(r, odd)| (&*r.port, r.accept_proxy, r.send_proxy, odd.is_some()));
            assert_eq!(got, expected, "{text:?}");
        }
    }

    #[test]
    fn ports() {
        let options = Options::default();
        let rows = [("9000", Some(9000)), ("+9000", Some(9000)), ("0", None), ("65536", None), ("443", None)];
        for (key, expected) in rows {
            assert_eq!(port(key, Protocol::Tcp, &options).ok(), expected, "{key}");
        }
    }
}
