//! `custom-http-errors` of one location (contract §8.1, §21).

use std::sync::Arc;

use crate::compile::annotations::Annotations;
use crate::compile::settings::Settings;
use crate::policy::error_pages::ErrorPages;
use crate::policy::upstream::Protocol;

/// The location's own codes, else the ConfigMap's. `disable-proxy-intercept-errors` of an Ingress does not reach the
/// ConfigMap's codes: while there are any, upstreams' answers are replaced. nginx has no such setting for gRPC and
/// FastCGI.
pub fn resolve(a: &Annotations, settings: &Settings, protocol: Protocol) -> Option<Arc<ErrorPages>> {
    let global = &settings.errors;
    let of_map = !global.codes.is_empty() && !global.keep_upstreams;
    let own = a.custom_http_errors.as_ref().map(|codes| &codes.0).filter(|codes| !codes.is_empty());
    let of_own = own.is_some() && a.disable_proxy_intercept_errors != Some(true);
    let codes = own.unwrap_or(&global.codes);
    if codes.is_empty() {
        return None;
    }
    let intercept = (of_own || of_map) && protocol.speaks_http1();
    Some(Arc::new(ErrorPages::new(codes.clone(), own.is_some(), intercept)))
}
