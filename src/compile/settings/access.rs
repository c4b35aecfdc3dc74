//! The ConfigMap's settings of who may enter: defaults of the annotations, and what holds for every server.

use std::sync::Arc;

use http::StatusCode;

use crate::base::networks::Networks;
use crate::compile::annotations::values_access::ClientKey;
use crate::compile::configmap::ConfigMapSettings;
use crate::policy::access::Blocks;
use crate::policy::template::{Part, Template};
use crate::policy::variable::{Named, Variable};

#[derive(Clone, Debug)]
pub struct AccessSettings {
    /// Defaults of the annotations of the same meaning, which replace them.
    pub deny: Option<Arc<Networks>>,
    pub allow: Option<Arc<Networks>>,
    /// `block-cidrs`: what locations without lists of their own inherit (contract §21).
    pub block: Option<Arc<Networks>>,
    /// What Ingress paths begin with that need no authentication (contract §13).
    pub no_auth_locations: Vec<String>,
    /// What is answered beyond a rate, and beyond a number of connections.
    pub limit_rate_status: StatusCode,
    pub limit_connection_status: StatusCode,
    /// What tells clients apart for limits; `None` is their address.
    pub limit_client: Option<Arc<Template>>,
}

impl Default for AccessSettings {
    fn default() -> Self {
        Self {
            deny: None,
            allow: None,
            block: None,
            no_auth_locations: vec!["/.well-known/acme-challenge".to_owned()],
            limit_rate_status: StatusCode::SERVICE_UNAVAILABLE,
            limit_connection_status: StatusCode::SERVICE_UNAVAILABLE,
            limit_client: None,
        }
    }
}

impl AccessSettings {
    pub fn of(raw: &ConfigMapSettings) -> Self {
        let default = Self::default();
        let list = |list: &Option<Networks>| list.as_ref().filter(|list| !list.is_empty()).cloned().map(Arc::new);
        Self {
            deny: list(&raw.denylist_source_range),
            allow: list(&raw.whitelist_source_range),
            block: list(&raw.block_cidrs),
            limit_rate_status: raw.limit_req_status_code.map_or(default.limit_rate_status, |code| code.0),
            limit_connection_status: raw.limit_conn_status_code.map_or(default.limit_connection_status, |code| code.0),
            limit_client: raw.limit_conn_zone_variable.as_ref().and_then(client),
            no_auth_locations: raw.no_auth_locations.as_ref().map_or(default.no_auth_locations, |list| list.0.clone()),
        }
    }

    /// Whether the locations of an Ingress path need no authentication.
    pub fn needs_no_auth(&self, path: &str) -> bool {
        self.no_auth_locations.iter().any(|prefix| path.starts_with(prefix.as_str()))
    }
}

/// `None` where the text is the client's address, which needs no text.
fn client(key: &ClientKey) -> Option<Arc<Template>> {
    let address = [Named::BinaryRemoteAddr, Named::RemoteAddr].map(|name| Part::Variable(Variable::Named(name)));
    let is_address = matches!(key.0.parts(), [part] if address.contains(part));
    (!is_address).then(|| Arc::new(key.0.clone()))
}

/// Requests that no server answers.
pub fn blocks(raw: &ConfigMapSettings) -> Option<Arc<Blocks>> {
    let blocks = Blocks {
        user_agents: raw.block_user_agents.as_ref().map(|list| list.0.clone()).unwrap_or_default(),
        referers: raw.block_referers.as_ref().map(|list| list.0.clone()).unwrap_or_default(),
    };
    (blocks != Blocks::default()).then(|| Arc::new(blocks))
}
