//! `limit-rate`: how fast an answer's body goes to its client.

use std::time::Duration;

/// A rate, and what of a body goes before it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ResponseRate {
    /// Bytes per second, above 0.
    pub rate: u64,
    /// Bytes that are not limited.
    pub after: u64,
}

impl ResponseRate {
    /// Bytes that may have been sent after that time: nginx gives each answer its first second in advance.
    pub fn allowed(&self, elapsed: Duration) -> u64 {
        let earned = u128::from(self.rate) * (elapsed.as_millis() + 1000) / 1000;
        self.after.saturating_add(u64::try_from(earned).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allowances() {
        let limit = ResponseRate { rate: 1024, after: 100 };
        for (millis, expected) in [(0, 1124), (500, 1636), (1000, 2148), (u64::MAX, u64::MAX)] {
            assert_eq!(limit.allowed(Duration::from_millis(millis)), expected, "{millis}");
        }
    }
}
