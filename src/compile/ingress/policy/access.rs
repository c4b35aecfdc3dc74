//! Who may enter a location, resolved: annotation, else ConfigMap.

use std::sync::Arc;

use super::super::Owned;
use super::super::servers::Location;
use crate::compile::annotations::Annotations;
use crate::compile::annotations::values_access::NetworkList;
use crate::compile::settings::AccessSettings;
use crate::policy::access::{Access, NetworkRules};
use crate::policy::limits::{Limits, Rate, ZoneKey};

/// `None`: everybody may.
pub fn access(location: &Location<'_>, owner: &Owned, settings: &AccessSettings) -> Option<Arc<Access>> {
    let a = owner.annotations();
    let login = owner.login.as_ref().and_then(|login| login.as_ref().ok());
    let access = Access {
        limits: limits(owner, settings),
        networks: networks(a, settings),
        satisfy: a.satisfy.unwrap_or_default(),
        login: login.filter(|_| !settings.needs_no_auth(location.path)).cloned(),
    };
    (!access.asks_nothing()).then(|| Arc::new(access))
}

/// What the default server's own location asks: only the lists of the whole controller are about it.
pub fn of_default_server(settings: &AccessSettings) -> Option<Arc<Access>> {
    let networks = NetworkRules { deny: settings.block.clone(), allow: None };
    let access = Access { networks, ..Access::default() };
    (!access.asks_nothing()).then(|| Arc::new(access))
}

/// The limits of an Ingress; 0 is none.
fn limits(owner: &Owned, settings: &AccessSettings) -> Option<Limits> {
    /// `limit-burst-multiplier` where there is none, or 0.
    const MULTIPLIER: u32 = 5;
    let a = owner.annotations();
    let limit = |limit: Option<u32>| limit.filter(|limit| *limit > 0);
    let multiplier = limit(a.limit_burst_multiplier).unwrap_or(MULTIPLIER);
    let limits = Limits {
        zone: ZoneKey {
            namespace: owner.key.namespace.clone(),
            ingress: owner.key.name.clone(),
            client: settings.limit_client.clone(),
        },
        per_second: limit(a.limit_rps.map(|n| n.0)).map(|limit| Rate::per_second(limit, multiplier)),
        per_minute: limit(a.limit_rpm.map(|n| n.0)).map(|limit| Rate::per_minute(limit, multiplier)),
        connections: limit(a.limit_connections.map(|n| n.0)),
        exempt: a.limit_allowlist.as_ref().map(|list| Arc::clone(&list.0)),
        rate_status: settings.limit_rate_status,
        connection_status: settings.limit_connection_status,
    };
    let limited = limits.per_second.or(limits.per_minute).is_some() || limits.connections.is_some();
    limited.then_some(limits)
}

/// Lists of a location replace those of the server, as nginx inherits `allow` and `deny` (contract §21).
fn networks(a: &Annotations, settings: &AccessSettings) -> NetworkRules {
    let own = |list: &Option<NetworkList>| list.as_ref().map(|list| Arc::clone(&list.0));
    let rules = NetworkRules {
        deny: own(&a.denylist_source_range).or_else(|| settings.deny.clone()),
        allow: own(&a.allowlist_source_range).or_else(|| settings.allow.clone()),
    };
    if rules.is_empty() { NetworkRules { deny: settings.block.clone(), allow: None } } else { rules }
}
