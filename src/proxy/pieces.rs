//! What was read ahead of a request's body, and how much all requests of a worker hold so.

use std::cell::Cell;
use std::collections::VecDeque;
use std::rc::Rc;

use bytes::{Bytes, BytesMut};

/// Bytes that the requests of one worker hold together; beyond them bodies stream. A connection may have many streams,
/// and each of them a body of which the last byte never comes.
const MAX_HELD: usize = 64 << 20;

/// Bytes held by the requests of one worker.
#[derive(Debug, Default)]
pub struct Ahead(Rc<Cell<usize>>);

/// One request's part of them, given back when it is dropped.
#[derive(Debug)]
pub struct Share {
    all: Rc<Cell<usize>>,
    bytes: usize,
}

impl Share {
    fn add(&mut self, bytes: usize) {
        self.bytes += bytes;
        self.all.set(self.all.get() + bytes);
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.all.set(self.all.get().saturating_sub(self.bytes));
    }
}

/// A body read ahead, in pieces worth their bookkeeping: a client may send it byte by byte.
#[derive(Debug)]
pub struct Pieces {
    list: VecDeque<Bytes>,
    tail: BytesMut,
    share: Share,
    pub size: usize,
}

/// Smaller pieces are put together.
const SMALL: usize = 4096;

impl Pieces {
    pub fn new(ahead: &Ahead) -> Self {
        let share = Share { all: Rc::clone(&ahead.0), bytes: 0 };
        Self { list: VecDeque::new(), tail: BytesMut::new(), share, size: 0 }
    }

    /// The worker holds as much as it may.
    pub fn are_too_many(&self) -> bool {
        self.share.all.get() >= MAX_HELD
    }

    pub fn push(&mut self, data: Bytes) {
        self.size += data.len();
        self.share.add(data.len());
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

    pub fn finish(mut self) -> (VecDeque<Bytes>, Share) {
        self.close_tail();
        (self.list, self.share)
    }
}
