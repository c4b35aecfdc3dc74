//! Who may enter a location, resolved: annotation, else ConfigMap.

use std::sync::Arc;

use crate::compile::annotations::Annotations;
use crate::compile::settings::AccessSettings;
use crate::policy::access::{Access, NetworkRules};

/// `None`: everybody may.
pub fn access(a: &Annotations, settings: &AccessSettings) -> Option<Arc<Access>> {
    let access = Access { networks: networks(a, settings), satisfy: a.satisfy.unwrap_or_default() };
    (!access.networks.is_empty()).then(|| Arc::new(access))
}

/// What the default server's own location asks: only the lists of the whole controller are about it.
pub fn of_default_server(settings: &AccessSettings) -> Option<Arc<Access>> {
    let networks = NetworkRules { deny: settings.block.clone(), allow: None };
    (!networks.is_empty()).then(|| Arc::new(Access { networks, ..Access::default() }))
}

/// Lists of a location replace those of the server, as nginx inherits `allow` and `deny` (contract §21).
fn networks(a: &Annotations, settings: &AccessSettings) -> NetworkRules {
    let own = |list: &Option<crate::compile::annotations::values_access::NetworkList>| {
        list.as_ref().map(|list| Arc::new(list.0.clone()))
    };
    let rules = NetworkRules {
        deny: own(&a.denylist_source_range).or_else(|| settings.deny.clone()),
        allow: own(&a.allowlist_source_range).or_else(|| settings.allow.clone()),
    };
    if rules.is_empty() { NetworkRules { deny: settings.block.clone(), allow: None } } else { rules }
}
