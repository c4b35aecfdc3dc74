//! `limit-rps`, `limit-rpm` and `limit-connections`: nginx's leaky bucket in its integer arithmetic, and how many
//! requests of one client may be under way (contract §15).

use std::sync::Arc;

use http::StatusCode;

use super::template::Template;
use crate::base::networks::Networks;

/// What one Ingress asks of each of its clients.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Limits {
    /// What counts together.
    pub zone: ZoneKey,
    pub per_second: Option<Rate>,
    pub per_minute: Option<Rate>,
    pub connections: Option<u32>,
    /// Clients that are not limited.
    pub exempt: Option<Arc<Networks>>,
    /// What is answered beyond a rate, and beyond the number of connections.
    pub rate_status: StatusCode,
    pub connection_status: StatusCode,
}

/// The name of a table of clients. State is kept across tables under it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ZoneKey {
    pub namespace: Arc<str>,
    pub ingress: Arc<str>,
    /// What tells clients apart; `None` is their address.
    pub client: Option<Arc<Template>>,
}

/// A rate in thousandths of requests a second, and how many thousandths of requests may come early.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rate {
    pub rate: u32,
    pub burst: u32,
}

/// One client's bucket: thousandths of requests that are ahead of the rate, at a time in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    pub excess: u32,
    pub last: u32,
}

impl Rate {
    pub fn per_second(limit: u32, multiplier: u32) -> Self {
        Self { rate: limit.saturating_mul(1000), burst: burst(limit, multiplier) }
    }

    /// `r/m` is cut to whole thousandths a second, as in nginx.
    pub fn per_minute(limit: u32, multiplier: u32) -> Self {
        let rate = u64::from(limit) * 1000 / 60;
        Self { rate: u32::try_from(rate).unwrap_or(u32::MAX), burst: burst(limit, multiplier) }
    }

    /// The bucket after one more request at `now`, or `None` when that is too many. Times count milliseconds and wrap.
    pub fn charge(self, bucket: Option<Bucket>, now: u32) -> Option<Bucket> {
        let charged = self.account(bucket, now);
        (charged.excess <= self.burst || bucket.is_none()).then_some(charged)
    }

    /// The same where it was decided already that the request may pass.
    pub fn account(self, bucket: Option<Bucket>, now: u32) -> Bucket {
        const FRESH: fn(u32) -> Bucket = |now| Bucket { excess: 0, last: now };
        let Some(bucket) = bucket else { return FRESH(now) };
        let passed = i64::from(now.wrapping_sub(bucket.last).cast_signed());
        // Another thread's clock may be a little ahead. A time far ahead is one of weeks ago.
        let passed = match passed {
            ..-60_000 => return FRESH(now),
            _ => passed.max(0),
        };
        let excess = i64::from(bucket.excess) - i64::from(self.rate) * passed / 1000 + 1000;
        Bucket {
            excess: u32::try_from(excess.max(0)).unwrap_or(u32::MAX),
            last: if passed == 0 { bucket.last } else { now },
        }
    }
}

fn burst(limit: u32, multiplier: u32) -> u32 {
    limit.saturating_mul(multiplier).saturating_mul(1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates() {
        assert_eq!(Rate::per_second(1, 5), Rate { rate: 1000, burst: 5000 });
        assert_eq!(Rate::per_minute(100, 5), Rate { rate: 1666, burst: 500_000 });
        assert_eq!(Rate::per_second(u32::MAX, 5).burst, u32::MAX);
        assert_eq!(Rate::per_minute(u32::MAX, 1).rate, u32::MAX);
    }

    #[test]
    fn buckets() {
        let rate = Rate::per_second(1, 1);
        let bucket = |excess, last| Some(Bucket { excess, last });
        let rows = [
            (None, 5, bucket(0, 5)),
            (bucket(0, 5), 5, bucket(1000, 5)),
            (bucket(1000, 5), 5, None),
            (bucket(1000, 5), 504, None),
            (bucket(1000, 5), 1005, bucket(1000, 1005)),
            (bucket(1000, 5), 1006, bucket(999, 1006)),
            (bucket(1000, 5), 9000, bucket(0, 9000)),
            (bucket(0, 100), 50, bucket(1000, 100)),
            (bucket(0, u32::MAX), 0, bucket(999, 0)),
            (bucket(1000, 0x9000_0000), 5, bucket(0, 5)),
        ];
        for (before, now, expected) in rows {
            assert_eq!(rate.charge(before, now), expected, "{before:?} {now}");
        }
    }

    /// `ngx_http_limit_req_lookup` with `account`, line by line, in the types of a 64-bit machine.
    fn nginx(rate: u64, burst: u64, node: &mut Option<(i64, u64)>, now: u64) -> bool {
        let Some((excess, last)) = node else {
            *node = Some((0, now));
            return true;
        };
        let mut ms = now.wrapping_sub(*last) as i64;
        if ms < -60_000 {
            ms = 1;
        } else if ms < 0 {
            ms = 0;
        }
        let mut next = *excess - (rate * ms as u64 / 1000) as i64 + 1000;
        if next < 0 {
            next = 0;
        }
        if next as u64 > burst {
            return false;
        }
        *excess = next;
        if ms != 0 {
            *last = now;
        }
        true
    }

    proptest::proptest! {
        #[test]
        fn the_arithmetic_is_nginx_s(
            limit in 1_u32..2000,
            multiplier in 1_u32..6,
            by_minute in proptest::bool::ANY,
            steps in proptest::collection::vec(0_u32..3000, 1..200),
        ) {
            let rate = if by_minute { Rate::per_minute(limit, multiplier) } else { Rate::per_second(limit, multiplier) };
            let (mut own, mut theirs, mut now) = (None, None, 1);
            for step in steps {
                // Many at once, some later.
                now += step.saturating_sub(2000);
                let charged = rate.charge(own, now);
                own = charged.or(own);
                let passed = nginx(rate.rate.into(), rate.burst.into(), &mut theirs, now.into());
                proptest::prop_assert_eq!(charged.is_some(), passed);
                let (excess, last) = theirs.unwrap();
                proptest::prop_assert_eq!(own.map(|b| (i64::from(b.excess), u64::from(b.last))), Some((excess, last)));
            }
        }
    }
}
