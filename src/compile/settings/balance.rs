//! The ConfigMap's part in balancing and error pages.

use std::sync::Arc;

use crate::compile::annotations::values_balance::{HashText, LoadBalance};
use crate::compile::configmap::ConfigMapSettings;
use crate::policy::error_pages::ErrorPages;

/// Defaults of `load-balance` and `upstream-hash-by*`.
#[derive(Clone, Debug, Default)]
pub struct BalanceSettings {
    pub load_balance: Option<LoadBalance>,
    pub hash_by: Option<HashText>,
    pub subset: bool,
    /// 0 is the built-in size.
    pub subset_size: u32,
}

impl BalanceSettings {
    pub fn from_raw(raw: &ConfigMapSettings) -> Self {
        Self {
            load_balance: raw.load_balance,
            hash_by: raw.upstream_hash_by.clone(),
            subset: raw.upstream_hash_by_subset.unwrap_or(false),
            subset_size: raw.upstream_hash_by_subset_size.unwrap_or(0),
        }
    }
}

/// `custom-http-errors` of locations that have none of their own.
#[derive(Clone, Debug, Default)]
pub struct ErrorSettings {
    pub codes: Vec<u16>,
    /// `disable-proxy-intercept-errors`: upstreams' answers pass.
    pub keep_upstreams: bool,
}

impl ErrorSettings {
    pub fn from_raw(raw: &ConfigMapSettings) -> Self {
        Self {
            codes: raw.custom_http_errors.as_ref().map_or_else(Vec::new, |errors| errors.codes.clone()),
            keep_upstreams: raw.disable_proxy_intercept_errors.unwrap_or(false),
        }
    }

    /// What holds for answers that no location made, if anything does.
    pub fn of_servers(self) -> Option<Arc<ErrorPages>> {
        (!self.codes.is_empty()).then(|| Arc::new(ErrorPages::new(self.codes, false, false)))
    }
}
