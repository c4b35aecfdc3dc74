//! The rest of a request's body: from the client, or as a copy of what passes on its way to somebody else.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http_body::{Body as _, Frame};
use hyper::body::Incoming;

use super::progress::BodyFault;
use crate::policy::mirror::MAX_LAG;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Open,
    Ended,
    /// The original broke off, or the copy fell behind too far.
    Broken,
}

#[derive(Debug, Default)]
struct Shared {
    queue: VecDeque<Bytes>,
    size: usize,
    state: State,
    waker: Option<Waker>,
}

/// Where the original's bytes go besides.
#[derive(Debug)]
pub struct Tap(Rc<RefCell<Shared>>);

/// Where they come out, after at most [`MAX_LAG`] bytes of waiting.
#[derive(Debug)]
pub struct Tapped(Rc<RefCell<Shared>>);

pub fn tap() -> (Tap, Tapped) {
    let shared = Rc::new(RefCell::new(Shared::default()));
    (Tap(Rc::clone(&shared)), Tapped(shared))
}

impl Tap {
    /// Notes bytes that passed. The original never waits for its copy.
    pub fn push(&self, data: &Bytes) {
        if Rc::strong_count(&self.0) == 1 {
            return;
        }
        let mut shared = self.0.borrow_mut();
        if shared.state != State::Open || data.is_empty() {
            return;
        }
        shared.size += data.len();
        if shared.size > MAX_LAG {
            shared.queue.clear();
            drop(shared);
            self.close(State::Broken);
            return;
        }
        shared.queue.push_back(data.clone());
        wake(shared);
    }

    /// The original is over.
    pub fn end(&self) {
        self.close(State::Ended);
    }

    fn close(&self, state: State) {
        let mut shared = self.0.borrow_mut();
        if shared.state == State::Open {
            shared.state = state;
            wake(shared);
        }
    }
}

fn wake(mut shared: std::cell::RefMut<'_, Shared>) {
    let waker = shared.waker.take();
    // A waker may run arbitrary code.
    drop(shared);
    if let Some(waker) = waker {
        waker.wake();
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.close(State::Broken);
    }
}

impl Tapped {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyFault>>> {
        let mut shared = self.0.borrow_mut();
        if let Some(data) = shared.queue.pop_front() {
            shared.size -= data.len();
            return Poll::Ready(Some(Ok(data)));
        }
        match shared.state {
            State::Ended => Poll::Ready(None),
            State::Broken => Poll::Ready(Some(Err(BodyFault::Client))),
            State::Open => {
                shared.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        let shared = self.0.borrow();
        shared.state == State::Ended && shared.queue.is_empty()
    }
}

/// What of a request's body was not read ahead.
#[derive(Debug)]
pub enum Rest {
    Client(Incoming),
    Copy(Tapped),
}

impl Rest {
    pub fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyFault>>> {
        match self {
            Self::Client(body) => {
                Pin::new(body).poll_frame(cx).map(|frame| frame.map(|f| f.map_err(|_| BodyFault::Client)))
            }
            Self::Copy(tapped) => tapped.poll(cx).map(|data| data.map(|d| d.map(Frame::data))),
        }
    }

    pub fn is_end_stream(&self) -> bool {
        match self {
            Self::Client(body) => body.is_end_stream(),
            Self::Copy(tapped) => tapped.is_end_stream(),
        }
    }

    /// The client's, to be read on.
    pub fn into_unread(self) -> Option<Incoming> {
        match self {
            Self::Client(body) => Some(body),
            Self::Copy(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(tapped: &mut Tapped) -> Poll<Option<Result<Bytes, BodyFault>>> {
        tapped.poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn copies_what_passes() {
        let (tap, mut tapped) = tap();
        assert!(next(&mut tapped).is_pending());
        tap.push(&Bytes::from_static(b"ab"));
        tap.push(&Bytes::from_static(b"c"));
        tap.end();
        drop(tap);
        assert_eq!(next(&mut tapped), Poll::Ready(Some(Ok(Bytes::from_static(b"ab")))));
        assert!(!tapped.is_end_stream());
        assert_eq!(next(&mut tapped), Poll::Ready(Some(Ok(Bytes::from_static(b"c")))));
        assert_eq!(next(&mut tapped), Poll::Ready(None));
    }

    #[test]
    fn breaks_with_the_original_and_when_it_lags() {
        let (broken, mut copy) = tap();
        drop(broken);
        assert_eq!(next(&mut copy), Poll::Ready(Some(Err(BodyFault::Client))));
        let (slow, mut copy) = tap();
        let piece = Bytes::from(vec![0; MAX_LAG / 2]);
        slow.push(&piece);
        slow.push(&piece);
        assert_eq!(next(&mut copy), Poll::Ready(Some(Ok(piece.clone()))), "within its bound");
        slow.push(&piece);
        slow.push(&piece);
        assert_eq!(next(&mut copy), Poll::Ready(Some(Err(BodyFault::Client))), "nothing is held any more");
        assert!(copy.0.borrow().queue.is_empty());
    }
}
