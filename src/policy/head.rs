//! How large a request's head may be: nginx's buffers (ngx_http_core_module, `large_client_header_buffers`).

use http::header::HeaderMap;
use http::{Method, StatusCode};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadLimits {
    /// Bytes of the request line or of one header line, its end included: that of one buffer.
    pub line: usize,
    /// Bytes of the whole head: that of all buffers.
    pub total: usize,
}

/// No head is larger, whatever is asked for: who has sent one holds the memory.
const MOST: usize = 1 << 20;
/// What hyper needs to read a head at all.
const LEAST: usize = 8 * 1024;

impl HeadLimits {
    /// `number` buffers of `size` bytes after a first one of `first` bytes, as
    /// `large-client-header-buffers` and `client-header-buffer-size` have it.
    pub fn of_buffers(first: u64, number: u32, size: u64) -> Self {
        let bytes = |n: u64| usize::try_from(n).unwrap_or(MOST).min(MOST);
        Self { line: bytes(size.max(first)), total: bytes(size.saturating_mul(number.into()).max(first)) }
    }

    /// What the connection's buffer must hold, in bytes.
    pub fn buffer(self) -> usize {
        self.total.max(LEAST)
    }

    /// Checks a head of `total` bytes: 414 for the line, 400 for the rest (contract §8).
    pub fn check(self, method: &Method, target: &str, headers: &HeaderMap, total: u64) -> Result<(), StatusCode> {
        /// Two blanks, the version, the end of the line.
        const REST_OF_LINE: usize = " ".len() + " HTTP/1.1\r\n".len();
        if total <= self.line as u64 {
            return Ok(());
        }
        if method.as_str().len() + target.len() + REST_OF_LINE > self.line {
            return Err(StatusCode::URI_TOO_LONG);
        }
        let too_long = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
            name.as_str().len() + value.len() + ": \r\n".len() > self.line
        };
        if total > self.total as u64 || headers.iter().any(too_long) { Err(StatusCode::BAD_REQUEST) } else { Ok(()) }
    }
}

impl Default for HeadLimits {
    fn default() -> Self {
        Self::of_buffers(1024, 4, 8 * 1024)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits() {
        let small = HeadLimits::of_buffers(1024, 2, 2048);
        let rows = [
            (small, 100, &[100][..], None),
            (small, 2033, &[], None),
            (small, 2034, &[], Some(414)),
            (small, 10, &[2043], None),
            (small, 10, &[2044], Some(400)),
            (small, 1500, &[1500, 1500], Some(400)),
            (HeadLimits::of_buffers(4096, 1, 1024), 4000, &[], None),
            (HeadLimits::default(), 8177, &[], None),
            (HeadLimits::default(), 8178, &[], Some(414)),
            (HeadLimits::default(), 8000, &[8000, 8000, 8000, 8000], Some(400)),
        ];
        for (limits, target, values, expected) in rows {
            let target = "/".repeat(target);
            let headers: HeaderMap = values
                .iter()
                .enumerate()
                .map(|(i, size)| {
                    (format!("{i}").parse::<http::HeaderName>().unwrap(), "v".repeat(*size).parse().unwrap())
                })
                .collect();
            let total = target.len() + 15 + values.iter().map(|size| size + 5).sum::<usize>() + 2;
            let got = limits.check(&Method::GET, &target, &headers, total as u64);
            assert_eq!(got.err().map(|s| s.as_u16()), expected, "{limits:?} {} {values:?}", target.len());
        }
        assert_eq!(HeadLimits::of_buffers(0, u32::MAX, u64::MAX).total, MOST);
    }
}
