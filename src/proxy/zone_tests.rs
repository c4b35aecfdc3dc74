//! Zones: what counts together, how they are bounded, and that nothing is lost when workers meet.

use http::StatusCode;

use super::*;
use crate::policy::limits::ZoneKey;

fn limits(per_second: Option<Rate>, per_minute: Option<Rate>, connections: Option<u32>) -> Limits {
    let zone = ZoneKey { namespace: "default".into(), ingress: "web".into(), client: None };
    let status = StatusCode::SERVICE_UNAVAILABLE;
    Limits { zone, per_second, per_minute, connections, exempt: None, rate_status: status, connection_status: status }
}

fn zone(pieces: usize) -> Arc<Zone> {
    Arc::new(Zone::new(&Arc::new(Memory::of(pieces))))
}

#[test]
fn clients_are_counted_apart() {
    let (zone, limits) = (zone(PIECES), limits(Some(Rate { rate: 1000, burst: 1000 }), None, None));
    for client in 0..1000 {
        let passed = (0..5).filter(|_| zone.enter(&limits, client, 7).is_ok()).count();
        assert_eq!(passed, 2, "{client}");
    }
    assert!(zone.enter(&limits, 3, 1008).is_ok(), "a second later");
}

#[test]
fn both_rates_must_let_a_request_pass() {
    let (second, minute) = (Rate { rate: 1000, burst: 3000 }, Rate { rate: 16, burst: 5000 });
    let (zone, limits) = (zone(PIECES), limits(Some(second), Some(minute), None));
    let passed = |now| (0..10).filter(|_| zone.enter(&limits, "a", now).is_ok()).count();
    assert_eq!((passed(1), passed(1001), passed(2001)), (4, 1, 1));
    assert_eq!(passed(3001), 0, "what the minute refuses");
    let slot =
        zone.place(zone.memory.hasher.hash_one((zone.number, "a")), 1).and_then(|place| zone.slot(place)).unwrap();
    let excess = |word: &AtomicU64| unpack(word.load(Ordering::Relaxed)).unwrap().excess;
    assert_eq!(excess(&slot.second), 3000, "is not charged to the second");
}

#[test]
fn connections_end() {
    let (zone, limits) = (zone(PIECES), limits(None, None, Some(2)));
    let held: Vec<_> = (0..2).map(|_| zone.enter(&limits, "a", 1).unwrap()).collect();
    assert_eq!(zone.enter(&limits, "a", 1).err(), Some(Beyond::Connections));
    assert!(zone.enter(&limits, "b", 1).is_ok());
    drop(held);
    assert!(zone.enter(&limits, "a", 1).is_ok());
}

#[test]
fn memory_has_a_bound() {
    let memory = Arc::new(Memory::of(3));
    let limits = limits(Some(Rate { rate: 1000, burst: 0 }), None, Some(1));
    let zones: Vec<_> = (0..4).map(|_| Arc::new(Zone::new(&memory))).collect();
    for (number, zone) in zones.iter().enumerate() {
        for client in 0..10_000_u32 {
            // Nothing is under way, so there is always room.
            assert!(zone.enter(&limits, client, client).is_ok(), "{number} {client}");
        }
    }
    let made = |zone: &Arc<Zone>| zone.pieces.iter().filter(|piece| piece.get().is_some()).count();
    assert_eq!((zones.iter().map(made).sum::<usize>(), memory.left.load(Ordering::Relaxed)), (3, 0));
    drop(zones);
    assert_eq!(memory.left.load(Ordering::Relaxed), 3, "a zone that is gone gives its memory back");
    let zone = Arc::new(Zone::new(&Arc::new(Memory::of(0))));
    let held: Vec<_> = (0..1000).map(|client| zone.enter(&limits, client, 1)).collect();
    assert_eq!(held.iter().filter(|held| held.is_ok()).count(), WAYS * GROUPS, "what is under way is never given away");
    drop(held);
    assert!(zone.memory.spare.iter().all(|slot| slot.open.load(Ordering::Relaxed) == 0));
}

#[test]
fn what_was_idle_longest_makes_room() {
    let (zone, limits) = (zone(0), limits(Some(Rate { rate: 1, burst: 0 }), None, None));
    assert!(zone.enter(&limits, "first", 1).is_ok());
    assert!(zone.enter(&limits, "first", 2).is_err());
    for client in 0..1000_u32 {
        let _ = zone.enter(&limits, client, 10 + client);
    }
    assert!(zone.enter(&limits, "first", 2000).is_ok(), "it was forgotten");
}

#[test]
fn threads_lose_nothing() {
    let (zone, limits) = (zone(PIECES), limits(Some(Rate { rate: 0, burst: 999_000 }), None, Some(1_000_000)));
    let passed = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..1000 {
                    if zone.enter(&limits, "a", 1).is_ok() {
                        passed.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    // Each of four that met the new client at once may have passed once for free.
    assert!((1000..=1004).contains(&passed.load(Ordering::Relaxed)), "{passed:?}");
    let open = |slot: &Slot| slot.open.load(Ordering::Relaxed);
    assert!(zone.pieces.iter().filter_map(OnceLock::get).flatten().all(|slot| open(slot) == 0));
}
