//! What holds for every TCP and UDP service: the `proxy-stream-*` keys (contract §18).

use std::time::Duration;

use super::logs::LogTarget;
use super::stream_log::StreamFormat;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamPolicy {
    /// A connection or session that carries nothing for this long ends (`proxy-stream-timeout`).
    pub idle: Duration,
    /// Whether another endpoint is tried when one cannot be connected to.
    pub next_upstream: bool,
    /// Attempts in all, the first included; 0 is as many as there are endpoints.
    pub tries: u32,
    /// No further attempt starts after this; zero is no limit.
    pub within: Duration,
    /// UDP: answers that each of the client's datagrams has; a session ends with the last one. 0 expects none.
    pub responses: u32,
    pub access_log: bool,
    pub log_format: StreamFormat,
    pub log_target: LogTarget,
}

impl Default for StreamPolicy {
    fn default() -> Self {
        Self {
            idle: Duration::from_secs(600),
            next_upstream: true,
            tries: 3,
            within: Duration::from_secs(600),
            responses: 1,
            access_log: true,
            log_format: StreamFormat::default(),
            log_target: LogTarget::default(),
        }
    }
}

/// Attempts of one connection, whatever the settings and the number of endpoints say.
const MAX_TRIES: u32 = 32;

impl StreamPolicy {
    /// Whether another endpoint may be tried after `attempts` attempts that took `elapsed`.
    pub fn again(&self, attempts: u32, elapsed: Duration, endpoints: usize) -> bool {
        let all = u32::try_from(endpoints).unwrap_or(u32::MAX).max(1);
        let tries = if self.tries == 0 { all } else { self.tries };
        self.next_upstream && attempts < tries.min(MAX_TRIES) && (self.within.is_zero() || elapsed < self.within)
    }

    /// Whether a UDP session has all the answers that it waits for.
    pub fn answered(&self, requests: u64, responses: u64) -> bool {
        responses >= requests.saturating_mul(self.responses.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decisions() {
        let default = StreamPolicy::default;
        let (second, hour) = (Duration::from_secs(1), Duration::from_secs(3600));
        let rows = [
            (default(), 1, second, 1, true),
            (default(), 3, second, 9, false),
            (default(), 1, hour, 9, false),
            (StreamPolicy { within: Duration::ZERO, ..default() }, 1, hour, 9, true),
            (StreamPolicy { next_upstream: false, ..default() }, 1, second, 9, false),
            (StreamPolicy { tries: 0, ..default() }, 8, second, 9, true),
            (StreamPolicy { tries: 0, ..default() }, 9, second, 9, false),
            (StreamPolicy { tries: 0, ..default() }, 32, second, 900, false),
        ];
        for (policy, attempts, elapsed, endpoints, expected) in rows {
            assert_eq!(policy.again(attempts, elapsed, endpoints), expected, "{policy:?} {attempts} {elapsed:?}");
        }
        let rows = [(1, 1, 0, false), (1, 1, 1, true), (1, 2, 1, false), (2, 1, 1, false), (0, 1, 0, true)];
        for (responses, requests, got, expected) in rows {
            let policy = StreamPolicy { responses, ..default() };
            assert_eq!(policy.answered(requests, got), expected, "{responses} {requests} {got}");
        }
    }
}
