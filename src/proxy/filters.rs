//! What an answer's body passes through on its way to the client: its coding, then its rate.
//!
//! Nothing is read ahead: a filter asks for more only when it is asked for more, so that back-pressure reaches the
//! upstream.

pub mod compress;
pub mod limit;

use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::Frame;

use self::compress::Compressor;
use self::limit::Limiter;
use super::progress::BodyFault;

/// What a body gives when it is polled.
pub type Polled = Poll<Option<Result<Frame<Bytes>, BodyFault>>>;

#[derive(Debug)]
pub struct Filters {
    compressor: Option<Compressor>,
    limiter: Option<Limiter>,
}

impl Filters {
    pub fn new(compressor: Option<Compressor>, limiter: Option<Limiter>) -> Self {
        Self { compressor, limiter }
    }

    pub fn poll(&mut self, cx: &mut Context<'_>, mut source: impl FnMut(&mut Context<'_>) -> Polled) -> Polled {
        let Self { compressor, limiter } = self;
        let mut encoded = |cx: &mut Context<'_>| match compressor {
            Some(compressor) => compressor.poll(cx, &mut source),
            None => source(cx),
        };
        match limiter {
            Some(limiter) => limiter.poll(cx, encoded),
            None => encoded(cx),
        }
    }
}
