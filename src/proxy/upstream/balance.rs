//! The choice of an endpoint: round robin, never one that failed for this request while another is left.

use std::net::SocketAddr;

use crate::table::Endpoint;

/// The endpoint at `position`, or the next one that was not tried; when all were, tried ones come again (contract §11:
/// a single-endpoint Service is asked again).
pub fn pick(endpoints: &[Endpoint], position: u32, tried: impl Fn(SocketAddr) -> bool) -> Option<SocketAddr> {
    let start = (position as usize).checked_rem(endpoints.len())?;
    let (before, from) = endpoints.split_at_checked(start)?;
    let mut ring = from.iter().chain(before).map(|endpoint| endpoint.address);
    let first = ring.clone().next();
    ring.find(|address| !tried(*address)).or(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goes_round_and_skips_what_failed() {
        let list: Vec<Endpoint> =
            (1..=3).map(|port| Endpoint { address: SocketAddr::from(([127, 0, 0, 1], port)) }).collect();
        let port = |position, tried: &[u16]| pick(&list, position, |a| tried.contains(&a.port())).map(|a| a.port());
        let rows = [
            (0, &[][..], Some(1)),
            (1, &[], Some(2)),
            (3, &[], Some(1)),
            (1, &[2], Some(3)),
            (2, &[3], Some(1)),
            (0, &[1, 2, 3], Some(1)),
        ];
        for (position, tried, expected) in rows {
            assert_eq!(port(position, tried), expected, "{position} {tried:?}");
        }
        assert_eq!(pick(&[], 0, |_| false), None);
    }
}
