//! ExternalName Services: their names are resolved again and again, each in a task of its own.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hickory_resolver::TokioResolver;
use tokio::task::JoinHandle;

use crate::proxy::Handle;
use crate::table::{DnsName, Endpoint, EndpointSet, UpstreamKey};

/// An answer is used for its time to live, within these bounds; a failure is tried again after the shorter one.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30);
/// Addresses of one name; what comes after is left out.
const MAX_ADDRESSES: usize = 256;

/// The names that are followed.
#[derive(Debug)]
pub struct Names {
    handle: Arc<Handle>,
    tasks: HashMap<(UpstreamKey, DnsName), JoinHandle<()>>,
    resolver: Option<Arc<TokioResolver>>,
}

impl Names {
    pub fn new(handle: Arc<Handle>) -> Self {
        Self { handle, tasks: HashMap::new(), resolver: None }
    }

    /// Follows exactly the DNS names of `endpoints`. Must run inside a tokio runtime.
    pub fn follow(&mut self, endpoints: &BTreeMap<UpstreamKey, EndpointSet>) {
        let wanted: Vec<_> = endpoints
            .iter()
            .filter_map(|(key, set)| match set {
                EndpointSet::Dns(name) => Some((key.clone(), name.clone())),
                EndpointSet::Fixed(_) => None,
            })
            .collect();
        self.tasks.retain(|key, task| {
            let keep = wanted.contains(key);
            if !keep {
                task.abort();
            }
            keep
        });
        for key in wanted {
            if self.tasks.contains_key(&key) {
                continue;
            }
            let Some(resolver) = self.resolver() else { return };
            let task = tokio::spawn(follow(resolver, Arc::clone(&self.handle), key.clone()));
            self.tasks.insert(key, task);
        }
    }

    /// Made for the first name: most directories have none.
    fn resolver(&mut self) -> Option<Arc<TokioResolver>> {
        if self.resolver.is_none() {
            match TokioResolver::builder_tokio().and_then(|builder| builder.build()) {
                Ok(resolver) => self.resolver = Some(Arc::new(resolver)),
                Err(error) => tracing::error!(%error, "no DNS: ExternalName Services have no endpoints"),
            }
        }
        self.resolver.clone()
    }
}

impl Drop for Names {
    fn drop(&mut self) {
        self.tasks.values().for_each(JoinHandle::abort);
    }
}

/// Through such an address the proxy's own ports could be reached (contract §11).
fn is_this_host(ip: IpAddr) -> bool {
    let ip = ip.to_canonical();
    ip.is_loopback() || ip.is_unspecified()
}

/// Whether requests may go there: to this host if its name may lead to it, to IPv6 unless `disable-ipv6-dns` is set.
fn is_usable(ip: IpAddr, loopback: bool, ipv6: bool) -> bool {
    (ipv6 || ip.is_ipv4()) && (loopback || !is_this_host(ip))
}

/// A name that cannot be resolved now keeps the addresses it had.
async fn follow(resolver: Arc<TokioResolver>, handle: Arc<Handle>, (key, name): (UpstreamKey, DnsName)) {
    // A final dot keeps the search list out: an external name is absolute.
    let absolute = format!("{}.", name.name);
    let mut failing = false;
    loop {
        let wait = match resolver.lookup_ip(absolute.as_str()).await {
            Ok(answer) => {
                failing = false;
                let ipv6 = handle.live().table.global.ipv6_names;
                let mut list: Vec<Endpoint> = answer
                    .iter()
                    .filter(|ip| is_usable(*ip, name.loopback, ipv6))
                    .take(MAX_ADDRESSES)
                    .map(|ip| Endpoint { address: SocketAddr::new(ip, name.port) })
                    .collect();
                list.sort_unstable();
                list.dedup();
                handle.set_resolved(&key, &name, list);
                answer.valid_until().saturating_duration_since(Instant::now()).clamp(SHORTEST, LONGEST)
            }
            Err(error) => {
                if !std::mem::replace(&mut failing, true) {
                    tracing::warn!(name = %name.name, %error, "an external name cannot be resolved");
                }
                SHORTEST
            }
        };
        tokio::time::sleep(wait).await;
    }
}

#[cfg(test)]
mod tests;
