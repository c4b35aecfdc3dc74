//! The line of a question to an authentication service (`enable-auth-access-log`), as nginx has them for sub-requests
//! (`log_subrequest`): the client's request line, with the status, time and endpoint of the question.

use std::io::Write as _;
use std::time::Instant;

use http::StatusCode;
use http::header::HeaderMap;

use super::values::{LogValues, number, of_tries, put, seconds};
use crate::policy::headers::joined;
use crate::policy::template::Values;
use crate::policy::variable::{Named, Variable};
use crate::proxy::exchange::Exchange;
use crate::proxy::tried::Tried;

/// A question that is over.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    pub exchange: &'a Exchange,
    pub began: Instant,
    pub status: StatusCode,
    /// None for an answer that was known.
    pub tried: &'a [Tried],
    /// Of the service's answer, if it was asked.
    pub headers: Option<&'a HeaderMap>,
}

impl Values for Asked<'_> {
    fn variable(&self, variable: &Variable, out: &mut Vec<u8>) -> bool {
        match variable {
            Variable::Named(named) if let Some(is_there) = self.named(*named, out) => is_there,
            Variable::SentHeader(name) | Variable::UpstreamHeader(name) => {
                put(self.headers.and_then(|headers| joined(headers, name)).as_ref(), out)
            }
            other => LogValues(self.exchange).variable(other, out),
        }
    }
}

impl Asked<'_> {
    fn named(&self, named: Named, out: &mut Vec<u8>) -> Option<bool> {
        let is_there = match named {
            // Writing to a Vec cannot fail.
            Named::Status => write!(out, "{:03}", self.status.as_u16()).is_ok(),
            // Nothing of it went to the client, whose bytes are counted with the request itself.
            Named::BodyBytesSent | Named::BytesSent | Named::RequestLength => number(0, out),
            Named::RequestTime => seconds(Some(self.began.elapsed()), out),
            // The question has no body, and its answer's is read by nobody.
            other => return of_tries(other, self.tried, (0, 0), out),
        };
        Some(is_there)
    }
}
