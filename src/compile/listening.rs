//! What the ConfigMap says of sockets and threads. It counts when the process starts: open sockets stay as they are.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroUsize;

use super::Options;
use super::configmap::ConfigMapSettings;
use crate::snapshot::Snapshot;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listening {
    /// `bind-address`, less what `disable-ipv6` takes away; empty is every address.
    pub addresses: Vec<IpAddr>,
    /// `worker-processes`; `None` is one per core.
    pub workers: Option<NonZeroUsize>,
}

/// Reads it of the ConfigMap that `--configmap` names. What cannot be read has its default, and is told with the table.
pub fn listening(snapshot: &Snapshot, options: &Options) -> Listening {
    let map = options.config_map.as_ref().and_then(|key| snapshot.config_maps.get(key));
    map.map_or_else(Listening::default, |map| of(&ConfigMapSettings::parse(&map.data).0))
}

fn of(raw: &ConfigMapSettings) -> Listening {
    const ANY: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];
    let mut addresses = raw.bind_address.as_ref().map(|list| list.valid.clone()).unwrap_or_default();
    if raw.disable_ipv6 == Some(true) {
        addresses.retain(IpAddr::is_ipv4);
        if addresses.is_empty() {
            addresses.push(Ipv4Addr::UNSPECIFIED.into());
        }
    } else if ANY.iter().all(|any| addresses.contains(any)) {
        // One socket takes both families.
        addresses.clear();
    }
    addresses.sort_unstable();
    addresses.dedup();
    Listening { addresses, workers: raw.worker_processes.and_then(|processes| processes.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let rows = [
            (&[][..], ""),
            (&[("bind-address", "10.0.0.1, 2001:db8::1,lo")], "10.0.0.1 2001:db8::1"),
            (&[("bind-address", "")], ""),
            (&[("bind-address", "::, 0.0.0.0,10.0.0.1")], ""),
            (&[("bind-address", "10.0.0.2,10.0.0.1,10.0.0.2")], "10.0.0.1 10.0.0.2"),
            (&[("disable-ipv6", "true")], "0.0.0.0"),
            (&[("disable-ipv6", "true"), ("bind-address", "10.0.0.1,::1")], "10.0.0.1"),
            (&[("disable-ipv6", "true"), ("bind-address", "::1")], "0.0.0.0"),
        ];
        for (data, expected) in rows {
            let data = data.iter().map(|(key, text)| (key.to_string(), text.to_string())).collect();
            let read = of(&ConfigMapSettings::parse(&data).0);
            let shown: Vec<String> = read.addresses.iter().map(ToString::to_string).collect();
            assert_eq!(shown.join(" "), expected, "{data:?}");
        }
    }

    #[test]
    fn workers() {
        for (text, expected) in [("4", Some(4)), ("auto", None), ("0", None), ("", None), ("1025", None), ("x", None)] {
            let data = [("worker-processes".to_owned(), text.to_owned())].into();
            let read = of(&ConfigMapSettings::parse(&data).0);
            assert_eq!(read.workers.map(NonZeroUsize::get), expected, "{text}");
        }
    }
}
