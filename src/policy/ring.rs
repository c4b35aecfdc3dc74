//! Consistent hashing: which endpoint a key belongs to, and where it goes when that one is not there.
//!
//! A ring as in ketama: every endpoint has a fixed number of points, so that one that comes or goes moves only the keys
//! of its own points, about one of n. Replicas that have the same endpoints agree.

use std::net::SocketAddr;

/// Points of one endpoint: its share of the keys is then within a few percent of the others'.
const POINTS: u32 = 160;

/// The points of all endpoints, by hash.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ring {
    points: Box<[Point]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Point {
    hash: u32,
    /// An index into the list of endpoints.
    endpoint: u32,
}

impl Ring {
    /// The ring of a list of endpoints. The order of the list does not matter for who has a key.
    pub fn new(endpoints: impl IntoIterator<Item = SocketAddr>) -> Self {
        let mut points = Vec::new();
        for (address, endpoint) in endpoints.into_iter().zip(0_u32..) {
            let name = address.to_string();
            let seed = fnv(name.as_bytes());
            points.extend((0..POINTS).map(|number| {
                let hash = fold(mix(seed.wrapping_add(u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15))));
                (hash, address, endpoint)
            }));
        }
        // Two points with one hash have an order of their own, too.
        points.sort_unstable();
        Self { points: points.into_iter().map(|(hash, _, endpoint)| Point { hash, endpoint }).collect() }
    }

    /// The endpoints from the key's point on, each as often as it has points: the first is the key's, the others follow
    /// where that one is gone.
    pub fn walk(&self, key: u32) -> impl Iterator<Item = usize> {
        let start = self.points.partition_point(|point| point.hash < key);
        let (before, from) = self.points.split_at_checked(start).unwrap_or((&[], &[]));
        from.iter().chain(before).map(|point| point.endpoint as usize)
    }

    /// The endpoint that a key belongs to.
    pub fn find(&self, key: u32) -> Option<usize> {
        self.walk(key).next()
    }

    /// The first `size` different endpoints from the key's point on.
    pub fn subset(&self, key: u32, size: usize) -> Vec<usize> {
        let mut members = Vec::with_capacity(size);
        for endpoint in self.walk(key) {
            if members.len() >= size {
                break;
            }
            if !members.contains(&endpoint) {
                members.push(endpoint);
            }
        }
        members
    }
}

/// Where a key is on a ring; the same in every process and version.
pub fn hash(key: &[u8]) -> u32 {
    fold(mix(fnv(key)))
}

/// FNV-1a of 64 bits.
fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The finaliser of splitmix64: FNV alone leaves similar texts near each other.
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

fn fold(x: u64) -> u32 {
    (x >> 32) as u32
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    const KEYS: u32 = 4000;

    fn address(number: u16) -> SocketAddr {
        SocketAddr::from(([10, 0, (number >> 8) as u8, number as u8], 8080))
    }

    fn owners(numbers: &[u16]) -> Vec<u16> {
        let ring = Ring::new(numbers.iter().map(|n| address(*n)));
        (0..KEYS).map(|key| numbers[ring.find(hash(&key.to_be_bytes())).expect("somebody has it")]).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn who_leaves_takes_only_its_own_keys(count in 2_u16..40, gone in 0_u16..40, turn in 0_usize..40) {
            let mut all: Vec<u16> = (0..count).collect();
            let gone = gone % count;
            let before = owners(&all);
            all.retain(|n| *n != gone);
            let at = turn % all.len();
            all.rotate_left(at);
            let after = owners(&all);
            let mut moved = 0;
            for (old, new) in before.iter().zip(&after) {
                prop_assert!(old == new || *old == gone, "{old} lost a key to {new} though only {gone} left");
                moved += u32::from(old != new);
            }
            prop_assert!(f64::from(moved) < 1.6 * f64::from(KEYS) / f64::from(count), "{moved} of {count} endpoints");
        }
    }

    #[test]
    fn shares_are_about_equal() {
        let mut shares = BTreeMap::<u16, u32>::new();
        for owner in owners(&[1, 2, 3, 4, 5]) {
            *shares.entry(owner).or_default() += 1;
        }
        assert_eq!(shares.len(), 5);
        assert!(shares.values().all(|share| (640..=960).contains(share)), "{shares:?}");
    }

    #[test]
    fn subsets_are_different_endpoints_that_begin_with_the_keys_own() {
        let ring = Ring::new((0..6).map(address));
        for key in (0..100_u32).map(|n| hash(&n.to_be_bytes())) {
            let members = ring.subset(key, 3);
            assert_eq!(members.first().copied(), ring.find(key));
            assert_eq!(members.iter().collect::<std::collections::BTreeSet<_>>().len(), 3);
            assert_eq!(ring.subset(key, 9).len(), 6);
        }
        assert_eq!(Ring::default().find(7), None);
    }
}
