//! Snippets of Ingresses and of the ConfigMap, brought together for each host and location.

use std::sync::Arc;

use super::servers::Server;
use super::{Input, Owned};
use crate::base::diagnostic::{Reason, Severity};
use crate::compile::report::Report;
use crate::compile::snippet::{self, Level};
use crate::policy::RoutePolicy;
use crate::policy::snippet::ServerSnippet;

/// The server level of a host: the snippet of its first Ingress that has one, then the ConfigMap's.
pub fn host_level(
    input: Input<'_>,
    host: &str,
    server: &Server<'_>,
    owned: &[Owned],
    report: &mut Report,
) -> Option<Level> {
    let owners = server.owners.iter().filter_map(|index| owned.get(*index));
    let mut own = owners.filter_map(|item| Some((item, item.parsed.snippets.as_ref()?.server.as_ref()?)));
    let first = own.next();
    for (item, _) in own {
        let holder = first.map(|(item, _)| item.key.to_string()).unwrap_or_default();
        let message = format!("host {host} has the server-snippet of ingress {holder} already; this one is left out");
        let (severity, reason) = (Severity::Warning, Reason::AnnotationParsingFailed);
        report.ingress(severity, reason, &item.ingress, Some("server-snippet".to_owned()), message);
    }
    let common = input.settings.main.snippets.as_deref();
    match (first, common) {
        (None, None) => None,
        (Some((_, own)), None) => Some(own.clone()),
        (first, Some(common)) => {
            let own = first.map_or_else(Level::default, |(_, own)| own.clone());
            Some(own.then(&common.server))
        }
    }
}

/// What a host does with a request before a location is found, and with one that none has.
pub fn of_host(input: Input<'_>, server: &Server<'_>) -> Option<Arc<ServerSnippet>> {
    let nothing = Level::default();
    let http = input.settings.main.snippets.as_deref().map_or(&nothing, |common| &common.http);
    snippet::server(http, server.snippet.as_ref()?)
}

/// Puts the snippets that reach a location into its policy.
pub fn apply(policy: &mut RoutePolicy, input: Input<'_>, owner: Option<&Owned>, server: &Server<'_>) {
    let own = owner.and_then(|item| item.parsed.snippets.as_ref()?.location.as_ref());
    let common = input.settings.main.snippets.as_deref();
    if own.is_none() && common.is_none() && server.snippet.is_none() {
        return;
    }
    let nothing = Level::default();
    let mut level = own.cloned().unwrap_or_default();
    if let Some(common) = common {
        level = level.then(&common.location);
    }
    let http = common.map_or(&nothing, |common| &common.http);
    policy.snippet = snippet::location(&[http, server.snippet.as_ref().unwrap_or(&nothing)], &level);
    if let Some(bytes) = level.body_limit {
        policy.body_limit = Some(bytes).filter(|bytes| *bytes != 0);
    }
    let timeouts = &mut policy.upstream.timeouts;
    timeouts.connect = level.timeouts.connect.unwrap_or(timeouts.connect);
    timeouts.send = level.timeouts.send.unwrap_or(timeouts.send);
    timeouts.read = level.timeouts.read.unwrap_or(timeouts.read);
}
