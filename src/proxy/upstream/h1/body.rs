//! The body of an answer, read from its connection as it is asked for.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::Shared;
use super::chunked::Piece;
use crate::proxy::progress::BodyFault;

#[derive(Debug)]
pub struct Body {
    /// `None` once the body is over.
    connection: Option<Shared>,
    /// Bytes left, where that is known.
    left: Option<u64>,
}

impl Body {
    pub(super) fn new(connection: Option<Shared>, left: Option<u64>) -> Self {
        Self { connection, left }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BodyFault;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyFault>>> {
        let Some(connection) = &self.connection else { return Poll::Ready(None) };
        let piece = ready!(connection.borrow_mut().poll_piece(cx));
        Poll::Ready(match piece {
            Some(Piece::Data(data)) => {
                self.left = self.left.map(|left| left.saturating_sub(data.len() as u64));
                if self.left == Some(0) {
                    self.connection = None;
                }
                Some(Ok(Frame::data(data)))
            }
            Some(Piece::End(trailers)) => {
                self.connection = None;
                trailers.map(|trailers| Ok(Frame::trailers(trailers)))
            }
            None => {
                self.connection = None;
                Some(Err(BodyFault::Upstream))
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.connection.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match self.left {
            Some(left) => SizeHint::with_exact(left),
            None => SizeHint::default(),
        }
    }
}
