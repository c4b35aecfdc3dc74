//! What is said of a world, to whom and when; nothing is written.

use super::*;
use crate::base::diagnostic::Origin;
use crate::snapshot::{Ingress, LoadBalancerIngress};

/// No cluster is asked by what is tested here.
fn events() -> Events {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let config = kube::Config::new("http://127.0.0.1:1".parse().unwrap());
    Events::new(Client::try_from(config).unwrap(), "pod".into(), Options::default(), true)
}

fn world(ingresses: &[(&str, i64, bool)], diagnostics: &[Diagnostic]) -> World {
    let mut snapshot = Snapshot::default();
    for (name, generation, has_status) in ingresses {
        let mut ingress = Ingress::default();
        (ingress.metadata.namespace, ingress.metadata.name) = ("ns".into(), (*name).into());
        ingress.metadata.generation = *generation;
        ingress.spec.ingress_class_name = Some("nginx".into());
        let key = ingress.metadata.key();
        if *has_status {
            snapshot.ingress_status.insert(key.clone(), vec![LoadBalancerIngress::default()]);
        }
        snapshot.ingresses.insert(key, Arc::new(ingress));
    }
    World { snapshot: Arc::new(snapshot), diagnostics: diagnostics.into(), is_known: true }
}

fn diagnostic(severity: Severity, reason: Reason, message: &str) -> Diagnostic {
    Diagnostic {
        severity,
        reason,
        object: Some(ObjectRef { kind: "Ingress", namespace: "ns".into(), name: "a".into() }),
        key: Some("spec.tls".into()),
        message: message.into(),
        origin: Some(Arc::new(Origin { file: "f".into(), line: 1 })),
    }
}

fn drained(events: &mut Events) -> Vec<String> {
    let said = events.queue.drain(..);
    said.map(|said| format!("{} {} {}", said.object, said.reason, said.message)).collect()
}

#[tokio::test(start_paused = true)]
async fn a_version_is_told_once() {
    let mut events = events();
    let now = Instant::now();
    let first = world(&[("a", 1, false), ("b", 1, true)], &[]);
    events.look(&first, now, true);
    assert_eq!(drained(&mut events), ["Ingress ns/a Sync Scheduled for sync"]);
    events.look(&first, now, true);
    assert!(drained(&mut events).is_empty());
    // The same object is the same version; a new one is another, be it by its annotations alone.
    let mut second = first.clone();
    let newer = world(&[("b", 1, true)], &[]).snapshot.ingresses.clone();
    Arc::make_mut(&mut second.snapshot).ingresses.extend(newer);
    events.look(&second, now, true);
    assert_eq!(drained(&mut events), ["Ingress ns/b Sync Scheduled for sync"]);
}

#[tokio::test(start_paused = true)]
async fn what_stays_wrong_is_told_once_and_what_is_mended_soon_is_not() {
    let mut events = events();
    let missing = diagnostic(Severity::Warning, Reason::MissingReference, "no Secret");
    let notes = [
        diagnostic(Severity::Note, Reason::IgnoredKind, "a note"),
        diagnostic(Severity::Warning, Reason::UnknownClass, "not ours"),
    ];
    let wrong = world(&[], &[missing, notes[0].clone(), notes[1].clone()]);
    let start = Instant::now();
    events.look(&wrong, start, true);
    events.look(&world(&[], &[]), start + SETTLED / 2, true);
    assert!(drained(&mut events).is_empty());
    events.look(&wrong, start + SETTLED, true);
    assert!(drained(&mut events).is_empty());
    events.look(&wrong, start + SETTLED * 2, true);
    assert_eq!(drained(&mut events), ["Ingress ns/a MissingReference spec.tls: no Secret"]);
    events.look(&wrong, start + SETTLED * 9, true);
    assert!(drained(&mut events).is_empty());
}

#[tokio::test(start_paused = true)]
async fn who_does_not_lead_keeps_what_is_wrong_for_when_it_does() {
    let mut events = events();
    let wrong = world(&[("a", 1, false)], &[diagnostic(Severity::Error, Reason::Conflict, "taken")]);
    let start = Instant::now();
    events.look(&wrong, start, false);
    events.look(&wrong, start + SETTLED * 3, false);
    assert!(drained(&mut events).is_empty());
    events.look(&wrong, start + SETTLED * 4, true);
    assert_eq!(drained(&mut events), ["Ingress ns/a Conflict spec.tls: taken"]);
}

#[test]
fn a_name_derives_from_what_is_said() {
    let said = |message: &str| Said {
        object: ObjectRef { kind: "Ingress", namespace: "ns".into(), name: "web".into() },
        uid: None,
        is_warning: true,
        reason: "Conflict",
        message: message.into(),
    };
    assert_eq!(name(&said("one")), name(&said("one")));
    assert_ne!(name(&said("one")), name(&said("two")));
    assert!(name(&said("one")).starts_with("web."));
}
