//! What a table occupies: an allocator that counts what is live.

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;

use portcullis::compile::{Compiled, Memo, Options, compile};

use crate::world::World;

/// The allocator of the product, counted.
pub struct Counting<A>(pub A);

thread_local! {
    /// Bytes that this thread has allocated and not freed. Negative when it freed another thread's.
    static LIVE: Cell<isize> = const { Cell::new(0) };
}

fn count(bytes: isize) {
    LIVE.set(LIVE.get().wrapping_add(bytes));
}

/// What jemalloc gives for a request: the next of its size classes, four to each doubling.
fn class(size: usize) -> isize {
    let rounded = match size {
        0 => 0,
        1..=8 => 8,
        9..=128 => size.next_multiple_of(16),
        _ => size.next_multiple_of(size.next_power_of_two() / 8),
    };
    isize::try_from(rounded).unwrap_or(isize::MAX)
}

// SAFETY: every call goes to the inner allocator as it came, and its answer is returned as it is. Counting touches
// one thread-local cell that is built at compile time and has no destructor, so it neither allocates nor panics.
unsafe impl<A: GlobalAlloc> GlobalAlloc for Counting<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(class(layout.size()));
        // SAFETY: the caller keeps the contract of `GlobalAlloc::alloc`, which is the inner allocator's.
        unsafe { self.0.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        count(-class(layout.size()));
        // SAFETY: `at` is from the inner allocator, with this layout, as the caller promises.
        unsafe { self.0.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(class(size) - class(layout.size()));
        // SAFETY: `at` is from the inner allocator, with this layout, as the caller promises.
        unsafe { self.0.realloc(at, layout, size) }
    }
}

/// Bytes that the table of `world` keeps for each route: the routes, their policies and every string in them, even
/// those that the snapshot shares with it. Endpoints and certificates are not counted.
pub fn bytes_per_route(world: World) -> usize {
    let snapshot = world.snapshot();
    let Compiled { table, .. } = compile(&snapshot, &Options::default(), &mut Memo::default());
    drop(snapshot);
    let before = LIVE.get();
    drop(table);
    usize::try_from(before - LIVE.get()).unwrap_or_default() / world.routes
}
