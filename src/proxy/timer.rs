//! Deadlines on one coarse tick a worker: a request arms and drops several of them, which must cost next to nothing.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::time::Instant;

/// How late a deadline may fire.
pub const TICK: Duration = Duration::from_millis(100);

#[derive(Debug)]
struct Slot {
    at: Instant,
    waker: Option<Waker>,
}

/// The deadlines of one worker. [`Timers::tick`] drives them.
#[derive(Debug)]
pub struct Timers {
    slots: RefCell<Vec<Option<Slot>>>,
    free: RefCell<Vec<usize>>,
    now: Cell<Instant>,
}

impl Default for Timers {
    fn default() -> Self {
        Self { slots: RefCell::default(), free: RefCell::default(), now: Cell::new(Instant::now()) }
    }
}

impl Timers {
    /// The time of the last tick.
    pub fn now(&self) -> Instant {
        self.now.get()
    }

    /// Moves time on and wakes the tasks whose deadline has passed.
    pub fn tick(&self) {
        let now = Instant::now();
        self.now.set(now);
        self.wake(|slot| slot.at <= now);
    }

    /// Wakes every task that waits for a deadline, so that it can look at the worker's state.
    pub fn wake_all(&self) {
        self.wake(|_| true);
    }

    fn wake(&self, due: impl Fn(&Slot) -> bool) {
        // Wakers may run arbitrary code, which may arm deadlines: none is called while the slots are borrowed.
        let mut wakers = Vec::new();
        for slot in self.slots.borrow_mut().iter_mut().flatten().filter(|slot| due(slot)) {
            wakers.extend(slot.waker.take());
        }
        wakers.into_iter().for_each(Waker::wake);
    }
}

/// A deadline that can be moved. It fires at most [`TICK`] late and never early.
#[derive(Debug)]
pub struct Deadline {
    timers: Rc<Timers>,
    slot: usize,
}

impl Deadline {
    pub fn after(timers: &Rc<Timers>, wait: Duration) -> Self {
        let at = later(timers.now(), wait);
        let slot = Slot { at, waker: None };
        let mut slots = timers.slots.borrow_mut();
        let index = timers.free.borrow_mut().pop().unwrap_or(slots.len());
        match slots.get_mut(index) {
            Some(place) => *place = Some(slot),
            None => slots.push(Some(slot)),
        }
        drop(slots);
        Self { timers: Rc::clone(timers), slot: index }
    }

    /// Starts again from now.
    pub fn reset(&self, wait: Duration) {
        let at = later(self.timers.now(), wait);
        if let Some(Some(slot)) = self.timers.slots.borrow_mut().get_mut(self.slot) {
            slot.at = at;
        }
    }

    pub fn poll_expired(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut slots = self.timers.slots.borrow_mut();
        let Some(Some(slot)) = slots.get_mut(self.slot) else { return Poll::Ready(()) };
        if slot.at <= self.timers.now() {
            return Poll::Ready(());
        }
        if slot.waker.as_ref().is_none_or(|w| !w.will_wake(cx.waker())) {
            slot.waker = Some(cx.waker().clone());
        }
        Poll::Pending
    }

    pub async fn expired(&self) {
        std::future::poll_fn(|cx| self.poll_expired(cx)).await;
    }
}

/// One tick is added because `now` may be a tick old already. Waits of centuries are cut to one.
fn later(now: Instant, wait: Duration) -> Instant {
    const CENTURY: Duration = Duration::from_secs(100 * 365 * 86_400);
    now + wait.min(CENTURY) + TICK
}

impl Drop for Deadline {
    fn drop(&mut self) {
        if let Some(place) = self.timers.slots.borrow_mut().get_mut(self.slot) {
            *place = None;
        }
        self.timers.free.borrow_mut().push(self.slot);
    }
}

/// `future`, or `None` when `wait` passes first.
pub async fn within<F: Future>(timers: &Rc<Timers>, wait: Duration, future: F) -> Option<F::Output> {
    let deadline = Deadline::after(timers, wait);
    let mut future = std::pin::pin!(future);
    std::future::poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => deadline.poll_expired(cx).map(|()| None),
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn fires_once_the_tick_comes() {
        let timers = Rc::new(Timers::default());
        let deadline = Deadline::after(&timers, Duration::from_secs(1));
        let pending = |d: &Deadline| d.poll_expired(&mut Context::from_waker(Waker::noop())).is_pending();
        assert!(pending(&deadline));
        tokio::time::advance(Duration::from_millis(1050)).await;
        timers.tick();
        assert!(pending(&deadline), "never early");
        tokio::time::advance(Duration::from_millis(60)).await;
        timers.tick();
        assert!(!pending(&deadline));
        deadline.reset(Duration::from_secs(5));
        assert!(pending(&deadline));
        drop(deadline);
        assert_eq!(timers.free.borrow().len(), 1);
        let reused = Deadline::after(&timers, Duration::ZERO);
        assert_eq!((reused.slot, timers.slots.borrow().len()), (0, 1));
    }
}
