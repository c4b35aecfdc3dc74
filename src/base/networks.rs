//! Sets of IP networks, compiled to sorted ranges: a look-up is one binary search, however long the list was.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// One address or CIDR, as its first and last address. An IPv4-mapped IPv6 network is the IPv4 network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    V4(u32, u32),
    V6(u128, u128),
}

/// A text that is neither an IP address nor a CIDR.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an IP address or CIDR")]
pub struct BadNetwork;

impl FromStr for Network {
    type Err = BadNetwork;

    /// Reads `10.0.0.0/8`, `10.1.2.3`, `2001:db8::/32`; bits past the prefix are dropped, as Go's `ParseCIDR` does.
    fn from_str(text: &str) -> Result<Self, BadNetwork> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) if length.bytes().all(|b| b.is_ascii_digit()) => (address, Some(length)),
            Some(_) => return Err(BadNetwork),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| BadNetwork)?;
        let whole: u8 = if address.is_ipv4() { 32 } else { 128 };
        let length = length.map_or(Ok(whole), str::parse).ok().filter(|l| *l <= whole).ok_or(BadNetwork)?;
        Ok(match address {
            IpAddr::V4(address) => Self::v4(address, length),
            IpAddr::V6(address) => match address.to_ipv4_mapped() {
                Some(mapped) if length >= 96 => Self::v4(mapped, length - 96),
                _ => Self::v6(address, length),
            },
        })
    }
}

impl Network {
    fn v4(address: Ipv4Addr, length: u8) -> Self {
        let host = u32::MAX.checked_shr(length.into()).unwrap_or(0);
        Self::V4(u32::from(address) & !host, u32::from(address) | host)
    }

    fn v6(address: Ipv6Addr, length: u8) -> Self {
        let host = u128::MAX.checked_shr(length.into()).unwrap_or(0);
        Self::V6(u128::from(address) & !host, u128::from(address) | host)
    }
}

/// Any number of networks. Equal sets are equal however they were written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Networks {
    v4: Box<[(u32, u32)]>,
    v6: Box<[(u128, u128)]>,
}

impl FromIterator<Network> for Networks {
    fn from_iter<I: IntoIterator<Item = Network>>(list: I) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for network in list {
            match network {
                Network::V4(first, last) => v4.push((first, last)),
                Network::V6(first, last) => v6.push((first, last)),
            }
        }
        Self { v4: merged(v4, |last| last.checked_add(1)), v6: merged(v6, |last| last.checked_add(1)) }
    }
}

impl Networks {
    pub fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }

    /// Whether an address is in one of the networks; an IPv4-mapped one counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        match address.to_canonical() {
            IpAddr::V4(address) => within(&self.v4, u32::from(address)),
            IpAddr::V6(address) => within(&self.v6, u128::from(address)),
        }
    }
}

/// Sorted, without overlaps; neighbours are one range.
fn merged<T: Ord + Copy>(mut ranges: Vec<(T, T)>, next: impl Fn(T) -> Option<T>) -> Box<[(T, T)]> {
    ranges.sort_unstable();
    let mut merged: Vec<(T, T)> = Vec::with_capacity(ranges.len());
    for (first, last) in ranges {
        match merged.last_mut() {
            Some((_, end)) if next(*end).is_none_or(|next| first <= next) => *end = last.max(*end),
            _ => merged.push((first, last)),
        }
    }
    merged.into()
}

fn within<T: Ord + Copy>(ranges: &[(T, T)], value: T) -> bool {
    let after = ranges.partition_point(|(first, _)| *first <= value);
    after.checked_sub(1).and_then(|at| ranges.get(at)).is_some_and(|(_, last)| value <= *last)
}

/// The ranges, the first ones of a long list, joined by commas.
impl fmt::Display for Networks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 16;
        let v4 = self.v4.iter().map(|(a, b)| (IpAddr::V4((*a).into()), IpAddr::V4((*b).into())));
        let v6 = self.v6.iter().map(|(a, b)| (IpAddr::V6((*a).into()), IpAddr::V6((*b).into())));
        for (number, (first, last)) in v4.chain(v6).take(SHOWN).enumerate() {
            f.write_str(if number == 0 { "" } else { "," })?;
            if first == last { write!(f, "{first}")? } else { write!(f, "{first}-{last}")? }
        }
        match (self.v4.len() + self.v6.len()).saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, ",+{more}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(texts: &[&str]) -> Networks {
        texts.iter().map(|text| text.parse::<Network>().unwrap()).collect()
    }

    #[test]
    fn networks() {
        let rows: [(&str, Option<&str>); 18] = [
            ("10.0.0.0/8", Some("10.0.0.0-10.255.255.255")),
            ("10.1.2.3/8", Some("10.0.0.0-10.255.255.255")),
            ("10.1.2.3", Some("10.1.2.3")),
            ("0.0.0.0/0", Some("0.0.0.0-255.255.255.255")),
            ("::/0", Some("::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")),
            ("2001:db8::1", Some("2001:db8::1")),
            ("2001:DB8::/127", Some("2001:db8::-2001:db8::1")),
            ("::ffff:10.0.0.0/104", Some("10.0.0.0-10.255.255.255")),
            ("::ffff:10.0.0.1", Some("10.0.0.1")),
            ("", None),
            ("10.0.0.0/33", None),
            ("10.0.0.0/-1", None),
            ("10.0.0.0/", None),
            ("10.0.0/8", None),
            ("010.0.0.1", None),
            ("::/129", None),
            (" 10.0.0.1", None),
            ("all", None),
        ];
        for (text, expected) in rows {
            let network = text.parse::<Network>().ok().map(|network| Networks::from_iter([network]).to_string());
            assert_eq!(network.as_deref(), expected, "{text:?}");
        }
    }

    #[test]
    fn sets_are_merged() {
        assert_eq!(set(&["10.0.0.0/9", "10.128.0.0/9"]), set(&["10.0.0.0/8"]));
        assert_eq!(set(&["10.2.0.0/16", "10.0.0.0/8", "10.1.0.0/16"]), set(&["10.0.0.0/8"]));
        assert_eq!(set(&["255.255.255.255", "255.255.255.254"]), set(&["255.255.255.254/31"]));
        assert_ne!(set(&["10.0.0.1", "10.0.0.3"]), set(&["10.0.0.0/30"]));
    }

    #[test]
    fn mapped_addresses_are_ipv4() {
        let set = set(&["10.0.0.0/8", "2001:db8::/32"]);
        let rows = [
            ("10.9.9.9", true),
            ("11.0.0.0", false),
            ("9.255.255.255", false),
            ("::ffff:10.0.0.1", true),
            ("2001:db8:ffff::", true),
            ("2001:db9::", false),
            ("::", false),
        ];
        for (address, expected) in rows {
            assert_eq!(set.contains(address.parse().unwrap()), expected, "{address}");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_set_contains_what_one_of_its_networks_contains(
            networks in proptest::collection::vec((proptest::num::u32::ANY, 24_u8..=32), 0..24),
            near in proptest::collection::vec((0_usize..24, -300_i64..300), 0..24),
        ) {
            let texts: Vec<String> =
                networks.iter().map(|(base, length)| format!("{}/{length}", Ipv4Addr::from(*base))).collect();
            let set: Networks = texts.iter().map(|text| text.parse::<Network>().unwrap()).collect();
            for (which, offset) in near {
                let Some((base, _)) = networks.get(which) else { continue };
                let address = base.wrapping_add_signed(offset as i32);
                let naive = networks.iter().any(|(base, length)| {
                    let shift = 32 - u32::from(*length);
                    (base.checked_shr(shift).unwrap_or(0)) == (address.checked_shr(shift).unwrap_or(0))
                });
                proptest::prop_assert_eq!(set.contains(IpAddr::V4(address.into())), naive);
            }
        }
    }
}
