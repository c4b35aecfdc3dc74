//! What was read ahead of a request's body.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

/// A body read ahead, in pieces worth their bookkeeping: a client may send it byte by byte.
#[derive(Debug, Default)]
pub struct Pieces {
    list: VecDeque<Bytes>,
    tail: BytesMut,
    pub size: usize,
}

/// Smaller pieces are put together.
const SMALL: usize = 4096;

impl Pieces {
    pub fn push(&mut self, data: Bytes) {
        self.size += data.len();
        if data.len() >= SMALL {
            self.close_tail();
            self.list.push_back(data);
            return;
        }
        if self.tail.len() + data.len() > 4 * SMALL {
            self.close_tail();
        }
        self.tail.extend_from_slice(&data);
    }

    fn close_tail(&mut self) {
        if !self.tail.is_empty() {
            self.list.push_back(self.tail.split().freeze());
        }
    }

    pub fn finish(mut self) -> VecDeque<Bytes> {
        self.close_tail();
        self.list
    }
}
