//! `limit-rate`: holds a body back so that it does not outrun its rate.

use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::Frame;
use tokio::time::Instant;

use super::Polled;
use crate::policy::response_rate::ResponseRate;
use crate::proxy::timer::{Deadline, Timers};

/// Looks at the time so often, while there is something to send.
const PAUSE: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub struct Limiter {
    rate: ResponseRate,
    timers: Rc<Timers>,
    began: Instant,
    sent: u64,
    /// What was read and may not be sent yet: one piece.
    held: Option<Bytes>,
    pause: Option<Deadline>,
}

impl Limiter {
    pub fn new(rate: ResponseRate, timers: &Rc<Timers>) -> Self {
        Self { rate, timers: Rc::clone(timers), began: timers.now(), sent: 0, held: None, pause: None }
    }

    pub fn poll(&mut self, cx: &mut Context<'_>, mut source: impl FnMut(&mut Context<'_>) -> Polled) -> Polled {
        loop {
            if let Some(pause) = &self.pause {
                ready!(pause.poll_expired(cx));
                self.pause = None;
            }
            let mut data = match self.held.take() {
                Some(data) => data,
                None => match ready!(source(cx)) {
                    Some(Ok(frame)) => match frame.into_data() {
                        Ok(data) => data,
                        Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                    },
                    end => return Poll::Ready(end),
                },
            };
            let elapsed = self.timers.now().saturating_duration_since(self.began);
            let free = usize::try_from(self.rate.allowed(elapsed).saturating_sub(self.sent)).unwrap_or(usize::MAX);
            if free == 0 && !data.is_empty() {
                self.held = Some(data);
                self.pause = Some(Deadline::after(&self.timers, PAUSE));
                continue;
            }
            let part = data.split_to(free.min(data.len()));
            self.sent += part.len() as u64;
            self.held = Some(data).filter(|rest| !rest.is_empty());
            return Poll::Ready(Some(Ok(Frame::data(part))));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_body_keeps_to_its_rate() {
        let timers = Rc::new(Timers::default());
        let mut limiter = Limiter::new(ResponseRate { rate: 1000, after: 500 }, &timers);
        let mut source = Some(Bytes::from(vec![b'x'; 4000]));
        let mut sent = Vec::new();
        for _ in 0..60 {
            let mut now = 0;
            while let Poll::Ready(Some(Ok(frame))) = limiter.poll(&mut Context::from_waker(Waker::noop()), |_| {
                Poll::Ready(source.take().map(|bytes| Ok(Frame::data(bytes))))
            }) {
                now += frame.into_data().unwrap().len();
            }
            sent.push(now);
            tokio::time::advance(Duration::from_millis(100)).await;
            timers.tick();
        }
        assert_eq!(sent.first(), Some(&1500));
        assert_eq!(sent.iter().sum::<usize>(), 4000);
        let until_the_end = sent.iter().rposition(|n| *n > 0).unwrap();
        assert!((25..=28).contains(&until_the_end), "{until_the_end}: {sent:?}");
    }
}
