//! ConfigMap keys about connections and who is behind them: whom to believe, and how large a head may be.

use std::sync::Arc;

use http::HeaderName;

use crate::compile::annotations::value::HeaderToken;
use crate::compile::configmap::ConfigMapSettings;
use crate::policy::forwarded::TrustPolicy;
use crate::policy::head::HeadLimits;

pub fn trust(raw: &ConfigMapSettings) -> TrustPolicy {
    let default = TrustPolicy::default();
    let name = |token: &Option<HeaderToken>| HeaderName::from_bytes(token.as_ref()?.as_str().trim().as_bytes()).ok();
    TrustPolicy {
        forwarded_headers: raw.use_forwarded_headers.unwrap_or(default.forwarded_headers),
        real_ip: raw.enable_real_ip.unwrap_or(default.real_ip),
        full_forwarded_for: raw.compute_full_forwarded_for.unwrap_or(default.full_forwarded_for),
        forwarded_for: name(&raw.forwarded_for_header).unwrap_or(default.forwarded_for),
        forwarded_host: name(&raw.forwarded_host_header).unwrap_or(default.forwarded_host),
        forwarded_for_proxy_protocol: name(&raw.forwarded_for_proxy_protocol_header)
            .unwrap_or(default.forwarded_for_proxy_protocol),
        proxies: raw.proxy_real_ip_cidr.as_ref().map_or(default.proxies, |list| Arc::from(&*list.valid)),
        proxy_protocol: raw.use_proxy_protocol.unwrap_or(default.proxy_protocol),
        // No time at all would close every connection.
        proxy_header_timeout: raw
            .proxy_protocol_header_timeout
            .map(|time| time.0)
            .filter(|time| !time.is_zero())
            .unwrap_or(default.proxy_header_timeout),
    }
}

pub fn head(raw: &ConfigMapSettings) -> HeadLimits {
    let first = raw.client_header_buffer_size.map_or(1024, |size| size.0);
    let (number, size) = raw.large_client_header_buffers.map_or((4, 8 * 1024), |large| (large.number, large.size));
    HeadLimits::of_buffers(first, number, size)
}

/// What is wrong, or dangerous, with values that can be read: each with its key.
pub fn problems(raw: &ConfigMapSettings) -> Vec<(&'static str, String)> {
    let networks = raw.proxy_real_ip_cidr.iter().flat_map(|list| &list.invalid).map(|item| {
        let message = format!("{item:?} is neither a network nor an address: nobody is trusted for it");
        ("proxy-real-ip-cidr", message)
    });
    let addresses = raw.bind_address.iter().flat_map(|list| &list.invalid);
    let addresses = addresses.map(|item| ("bind-address", format!("{item:?} is no address: it is left out")));
    let mut problems: Vec<_> = networks.chain(addresses).collect();
    let believing = [
        ("use-forwarded-headers", raw.use_forwarded_headers),
        ("enable-real-ip", raw.enable_real_ip),
        ("use-proxy-protocol", raw.use_proxy_protocol),
    ];
    let first = believing.into_iter().find(|(_, flag)| *flag == Some(true));
    if let (Some((key, _)), None) = (first, &raw.proxy_real_ip_cidr) {
        let message = "without proxy-real-ip-cidr every client may claim any address: name the proxies in front";
        problems.push((key, message.to_owned()));
    }
    problems
}
