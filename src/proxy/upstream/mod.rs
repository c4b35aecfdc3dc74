//! The upstream side: connections, their pools, the choice of an endpoint.

pub mod balance;
pub mod body;
pub mod connect;
pub mod h1;
pub mod load;
pub mod pool;
pub mod tls;
mod trusting;

/// Why an attempt failed before an answer came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Nobody listens there, or the network says no. Nothing was sent.
    #[error("the connection was refused")]
    Connect,
    #[error("connecting took too long")]
    ConnectTimeout,
    #[error("the TLS handshake failed")]
    Tls,
    /// A connection from the pool that had ended before anything was sent on it.
    #[error("the idle connection had ended")]
    Stale,
    /// The connection broke after something was sent.
    #[error("the connection broke off")]
    Broken,
    /// No answer, or no progress, in time.
    #[error("the upstream did not answer in time")]
    Timeout,
    /// What came is no HTTP response.
    #[error("the answer is not HTTP")]
    Invalid,
    #[error("the answer's head is too large")]
    HeadTooLarge,
    #[error("the upstream switched protocols unasked")]
    Unasked101,
}
