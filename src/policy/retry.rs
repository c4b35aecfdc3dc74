//! `proxy-next-upstream`: which failures are tried again on another endpoint (contract §11).

use std::time::Duration;

use http::{Method, StatusCode};

/// Conditions of `proxy_next_upstream`, one bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Conditions(u16);

macro_rules! conditions {
    ($($name:ident = $bit:literal, $text:literal;)*) => {
        impl Conditions {
            $(pub const $name: Self = Self(1 << $bit);)*
            /// The condition that nginx writes as `text`.
            pub fn named(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$name),)* _ => None }
            }

            /// What nginx writes, in the order of its documentation.
            pub fn names(self) -> impl Iterator<Item = &'static str> {
                [$((Self::$name, $text)),*].into_iter().filter(move |(c, _)| self.contains(*c)).map(|(_, text)| text)
            }
        }
    };
}

conditions! {
    ERROR = 0, "error";
    TIMEOUT = 1, "timeout";
    INVALID_HEADER = 2, "invalid_header";
    HTTP_500 = 3, "http_500";
    HTTP_502 = 4, "http_502";
    HTTP_503 = 5, "http_503";
    HTTP_504 = 6, "http_504";
    HTTP_403 = 7, "http_403";
    HTTP_404 = 8, "http_404";
    HTTP_429 = 9, "http_429";
    NON_IDEMPOTENT = 10, "non_idempotent";
}

impl Conditions {
    pub const NONE: Self = Self(0);
    pub const DEFAULT: Self = Self(0b11);

    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RetryPolicy {
    pub on: Conditions,
    /// Attempts in all, the first included; 0 is as many as there are endpoints.
    pub tries: u32,
    /// No further attempt starts after this; zero is no limit.
    pub within: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { on: Conditions::DEFAULT, tries: 3, within: Duration::ZERO }
    }
}

/// One failed attempt, as the retry decision sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failed {
    pub condition: Conditions,
    /// Whether the upstream may have seen any of the request.
    pub sent: bool,
    /// Whether the whole request, body included, can be sent once more.
    pub replayable: bool,
}

impl RetryPolicy {
    /// ingress-nginx says `proxy_next_upstream` alone, which nginx's gRPC does not read: it has its own default.
    pub const OF_GRPC: Self = Self { on: Conditions::DEFAULT, tries: 0, within: Duration::ZERO };

    /// With a number of tries that is one: at most `max`.
    #[must_use]
    pub fn bounded(self, endpoints: usize, max: u32) -> Self {
        let all = u32::try_from(endpoints).unwrap_or(u32::MAX).max(1);
        let tries = if self.tries == 0 { all } else { self.tries };
        Self { tries: tries.min(max), ..self }
    }

    /// Whether another endpoint may be asked, after `attempts` attempts that took `elapsed`.
    pub fn again(&self, failed: Failed, method: &Method, attempts: u32, elapsed: Duration) -> bool {
        let safe = !failed.sent || self.on.contains(Conditions::NON_IDEMPOTENT) || !is_non_idempotent(method);
        self.on.contains(failed.condition)
            && safe
            && failed.replayable
            && attempts < self.tries
            && (self.within.is_zero() || elapsed < self.within)
    }

    /// The condition a status is, if it is one that may be asked for.
    pub fn status_condition(status: StatusCode) -> Option<Conditions> {
        Some(match status.as_u16() {
            500 => Conditions::HTTP_500,
            502 => Conditions::HTTP_502,
            503 => Conditions::HTTP_503,
            504 => Conditions::HTTP_504,
            403 => Conditions::HTTP_403,
            404 => Conditions::HTTP_404,
            429 => Conditions::HTTP_429,
            _ => return None,
        })
    }
}

/// nginx's list: POST, LOCK and PATCH.
fn is_non_idempotent(method: &Method) -> bool {
    method == Method::POST || method == Method::PATCH || method.as_str() == "LOCK"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decisions() {
        let default = RetryPolicy::default();
        let all = RetryPolicy { on: Conditions::DEFAULT.with(Conditions::NON_IDEMPOTENT), ..default };
        let error = Failed { condition: Conditions::ERROR, sent: true, replayable: true };
        let rows = [
            (default, error, Method::GET, 1, true),
            (default, error, Method::GET, 3, false),
            (default, error, Method::POST, 1, false),
            (default, Failed { sent: false, ..error }, Method::POST, 1, true),
            (all, error, Method::POST, 1, true),
            (default, Failed { replayable: false, ..error }, Method::PUT, 1, false),
            (default, Failed { condition: Conditions::HTTP_502, ..error }, Method::GET, 1, false),
            (RetryPolicy { on: Conditions::NONE, ..default }, error, Method::GET, 1, false),
            (RetryPolicy { tries: 0, ..default }.bounded(5, 32), error, Method::GET, 4, true),
            (RetryPolicy { tries: 0, ..default }.bounded(5, 32), error, Method::GET, 5, false),
            (RetryPolicy { tries: 0, ..default }.bounded(0, 32), error, Method::GET, 1, false),
            (RetryPolicy { tries: 99, ..default }.bounded(500, 32), error, Method::GET, 32, false),
        ];
        for (policy, failed, method, attempts, expected) in rows {
            assert_eq!(
                policy.again(failed, &method, attempts, Duration::ZERO),
                expected,
                "{policy:?} {failed:?} {method}"
            );
        }
        let timed = RetryPolicy { within: Duration::from_secs(1), ..default };
        assert!(!timed.again(error, &Method::GET, 1, Duration::from_secs(1)));
    }
}
