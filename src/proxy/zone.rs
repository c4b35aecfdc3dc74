//! Tables of clients, shared by all workers without a lock: what `limit-rps`, `limit-rpm` and `limit-connections` count.
//!
//! A client's slot is one of sixteen that its keyed hash chooses. All have a bound: what is idle longest makes room, and
//! a zone gets its memory piece by piece out of what all zones together may have. Where that is spent, clients share one
//! more piece. Two workers that meet a new client in the same instant may each let one request pass: no more.

use std::hash::{BuildHasher as _, Hash, RandomState};
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use crate::policy::limits::{Bucket, Limits, Rate};

/// Slots a client may have, in a piece of this many such groups; pieces of a zone: 32,768 clients in all.
const WAYS: usize = 16;
const GROUPS: usize = 8;
const PIECES: usize = 256;
/// Pieces of all zones together, of 4 KiB each: 64 MiB.
const BUDGET: usize = 16 * 1024;

/// A slot's tag while it changes hands, and when nobody has it.
const CLAIMED: u64 = 1;
const FREE: u64 = 0;

#[derive(Debug, Default)]
struct Slot {
    tag: AtomicU64,
    second: AtomicU64,
    minute: AtomicU64,
    open: AtomicU32,
}

type Piece = Box<[Slot]>;

fn piece() -> Piece {
    (0..WAYS * GROUPS).map(|_| Slot::default()).collect()
}

/// What all zones share.
#[derive(Debug)]
pub struct Memory {
    hasher: RandomState,
    began: Instant,
    left: AtomicUsize,
    spare: Piece,
    zones: AtomicU64,
}

impl Default for Memory {
    fn default() -> Self {
        Self::of(BUDGET)
    }
}

impl Memory {
    fn of(pieces: usize) -> Self {
        Self {
            hasher: RandomState::new(),
            began: Instant::now(),
            left: AtomicUsize::new(pieces),
            spare: piece(),
            zones: AtomicU64::new(0),
        }
    }

    /// Milliseconds, which wrap.
    pub fn now(&self) -> u32 {
        self.began.elapsed().as_millis() as u32
    }
}

/// The clients of one Ingress.
#[derive(Debug)]
pub struct Zone {
    memory: Arc<Memory>,
    number: u64,
    pieces: Box<[OnceLock<Piece>]>,
}

/// Where a slot is.
#[derive(Clone, Copy, Debug)]
struct Place {
    piece: Option<usize>,
    slot: usize,
}

/// A request under way, counted until this is dropped.
#[derive(Debug)]
pub struct Held {
    zone: Arc<Zone>,
    place: Place,
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(slot) = self.zone.slot(self.place) {
            slot.open.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

/// Which limit a request is beyond.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beyond {
    Rate,
    Connections,
}

impl Zone {
    pub fn new(memory: &Arc<Memory>) -> Self {
        Self {
            memory: Arc::clone(memory),
            number: memory.zones.fetch_add(1, Ordering::Relaxed),
            pieces: (0..PIECES).map(|_| OnceLock::new()).collect(),
        }
    }

    /// Counts a request of a client at `now`. Rates are charged before connections, and only if both let it pass.
    pub fn enter(self: &Arc<Self>, limits: &Limits, client: impl Hash, now: u32) -> Result<Option<Held>, Beyond> {
        let (second, minute) = (limits.per_second, limits.per_minute);
        let full = if second.or(minute).is_some() { Beyond::Rate } else { Beyond::Connections };
        let hash = self.memory.hasher.hash_one((self.number, client));
        let place = self.place(hash, now).ok_or(full)?;
        let slot = self.slot(place).ok_or(full)?;
        let passes = match (second, minute) {
            (Some(second), Some(minute)) => {
                let first = second.charge(unpack(slot.second.load(Ordering::Relaxed)), now).is_some();
                let passes = first && charge(&slot.minute, minute, now);
                if passes {
                    account(&slot.second, second, now);
                }
                passes
            }
            (Some(second), None) => charge(&slot.second, second, now),
            (None, Some(minute)) => charge(&slot.minute, minute, now),
            (None, None) => true,
        };
        if !passes {
            return Err(Beyond::Rate);
        }
        let Some(most) = limits.connections else { return Ok(None) };
        let one_more = |open: u32| (open < most).then_some(open + 1);
        match slot.open.fetch_update(Ordering::AcqRel, Ordering::Relaxed, one_more) {
            Ok(_) => Ok(Some(Held { zone: Arc::clone(self), place })),
            Err(_) => Err(Beyond::Connections),
        }
    }

    fn piece(&self, at: Option<usize>) -> Option<&[Slot]> {
        match at {
            Some(at) => self.pieces.get(at)?.get().map(|piece| &**piece),
            None => Some(&self.memory.spare),
        }
    }

    fn slot(&self, place: Place) -> Option<&Slot> {
        self.piece(place.piece)?.get(place.slot)
    }

    /// The piece of a hash, made if there is memory left for it.
    fn piece_of(&self, hash: u64) -> Option<usize> {
        let at = hash as usize % PIECES;
        let cell = self.pieces.get(at)?;
        if cell.get().is_none() {
            let take = |left: usize| left.checked_sub(1);
            self.memory.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).ok()?;
            let mut is_new = false;
            cell.get_or_init(|| {
                is_new = true;
                piece()
            });
            if !is_new {
                self.memory.left.fetch_add(1, Ordering::Relaxed);
            }
        }
        Some(at)
    }

    /// A client's slot. `None`: all that could be it have requests under way.
    fn place(&self, hash: u64, now: u32) -> Option<Place> {
        let tag = hash.max(CLAIMED + 1);
        let piece = self.piece_of(hash);
        let first = (hash >> 32) as usize % GROUPS * WAYS;
        let group = self.piece(piece)?.get(first..first + WAYS)?;
        let found = || group.iter().position(|slot| slot.tag.load(Ordering::Acquire) == tag);
        let way = match found() {
            Some(way) => way,
            None => {
                let way = (0..WAYS).find_map(|_| claim(group, tag, now))?;
                // Another worker may have made room for the same client: the first slot is the one.
                match found() {
                    Some(first) if first != way => {
                        group.get(way)?.tag.store(FREE, Ordering::Release);
                        first
                    }
                    _ => way,
                }
            }
        };
        Some(Place { piece, slot: first + way })
    }
}

impl Drop for Zone {
    fn drop(&mut self) {
        let made = self.pieces.iter().filter(|piece| piece.get().is_some()).count();
        self.memory.left.fetch_add(made, Ordering::Relaxed);
    }
}

/// Takes the slot that was idle longest, unless somebody is quicker.
fn claim(group: &[Slot], tag: u64, now: u32) -> Option<usize> {
    let idle = |slot: &Slot| match slot.tag.load(Ordering::Acquire) {
        CLAIMED => None,
        FREE => Some((FREE, u32::MAX)),
        holder if slot.open.load(Ordering::Acquire) == 0 => {
            let age = |bucket: &AtomicU64| {
                unpack(bucket.load(Ordering::Relaxed)).map_or(u32::MAX - 1, |bucket| now.wrapping_sub(bucket.last))
            };
            Some((holder, age(&slot.second).min(age(&slot.minute))))
        }
        _ => None,
    };
    let candidates = group.iter().enumerate().filter_map(|(way, slot)| Some((way, slot, idle(slot)?)));
    let (way, slot, (holder, _)) = candidates.max_by_key(|(way, _, (_, age))| (*age, usize::MAX - way))?;
    slot.tag.compare_exchange(holder, CLAIMED, Ordering::AcqRel, Ordering::Relaxed).ok()?;
    if slot.open.load(Ordering::Acquire) != 0 {
        slot.tag.store(holder, Ordering::Release);
        return None;
    }
    slot.second.store(0, Ordering::Relaxed);
    slot.minute.store(0, Ordering::Relaxed);
    slot.tag.store(tag, Ordering::Release);
    Some(way)
}

/// A bucket as one word; 0 is none. The time's lowest value stands for the next one.
fn pack(bucket: Bucket) -> u64 {
    u64::from(bucket.last.max(1)) << 32 | u64::from(bucket.excess)
}

fn unpack(word: u64) -> Option<Bucket> {
    (word != 0).then_some(Bucket { last: (word >> 32) as u32, excess: word as u32 })
}

fn charge(word: &AtomicU64, rate: Rate, now: u32) -> bool {
    let charged = |word| rate.charge(unpack(word), now).map(pack);
    word.fetch_update(Ordering::Relaxed, Ordering::Relaxed, charged).is_ok()
}

fn account(word: &AtomicU64, rate: Rate, now: u32) {
    let charged = |word| Some(pack(rate.account(unpack(word), now)));
    let _ = word.fetch_update(Ordering::Relaxed, Ordering::Relaxed, charged);
}

#[cfg(test)]
#[path = "zone_tests.rs"]
mod tests;
