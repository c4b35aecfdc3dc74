//! The store fed by hand: lists, watches, references.

use std::collections::BTreeSet;

use super::*;
use crate::snapshot::{EndpointSlice, Ingress, IngressClass, LoadBalancerIngress, Secret};

fn key(text: &str) -> ObjectKey {
    ObjectKey::parse(text, "").unwrap()
}

fn ingress(text: &str, class: &str) -> Seen {
    let mut ingress = Ingress::default();
    (ingress.metadata.namespace, ingress.metadata.name) = (key(text).namespace, key(text).name);
    ingress.spec.ingress_class_name = Some(class.into());
    Seen::Put(key(text), Item::Object(Object::Ingress(Arc::new(ingress)), Vec::new()))
}

fn secret(text: &str, value: &str) -> Item {
    let mut secret = Secret::default();
    (secret.metadata.namespace, secret.metadata.name) = (key(text).namespace, key(text).name);
    secret.data.insert("k".into(), value.into());
    Item::Object(Object::Secret(Arc::new(secret)), Vec::new())
}

fn slice(text: &str, service: &str, kind: &str) -> Seen {
    let mut slice = EndpointSlice { address_type: kind.into(), ..EndpointSlice::default() };
    (slice.metadata.namespace, slice.metadata.name) = (key(text).namespace, key(text).name);
    slice.metadata.labels.insert("kubernetes.io/service-name".into(), service.into());
    Seen::Put(key(text), Item::Object(Object::EndpointSlice(Arc::new(slice)), Vec::new()))
}

fn store(kinds: &[Kind]) -> Store {
    let mut store = Store::new(Snapshot { class_source: ClassSource::Cluster, ..Snapshot::default() });
    for kind in kinds {
        store.add_watch(Watching::Kind(*kind), Part::default());
    }
    store
}

fn take(store: &mut Store, id: WatchId, all: impl IntoIterator<Item = Seen>) -> Change {
    for seen in all {
        store.take(id, seen);
    }
    store.update().change
}

fn names(store: &Store) -> Vec<String> {
    store.snapshot().ingresses.keys().map(ToString::to_string).collect()
}

#[test]
fn it_is_complete_once_every_list_was() {
    let mut store = store(&[Kind::Ingress, Kind::Service]);
    take(&mut store, 0, [Seen::Begin, ingress("ns/a", "nginx"), Seen::Complete]);
    assert!(!store.is_complete());
    take(&mut store, 1, [Seen::Begin, Seen::Complete]);
    assert!(store.is_complete());
    // A later list of which only half has come takes nothing back.
    take(&mut store, 0, [Seen::Begin]);
    assert!(store.is_complete());
}

#[test]
fn a_list_that_begins_anew_removes_what_it_does_not_name_and_only_at_its_end() {
    let mut store = store(&[Kind::Ingress]);
    take(&mut store, 0, [Seen::Begin, ingress("ns/a", "nginx"), ingress("ns/b", "nginx"), Seen::Complete]);
    let change = take(&mut store, 0, [Seen::Begin, ingress("ns/b", "nginx")]);
    assert!(change.is_empty());
    // Broken off and begun again: what the first half named counts for nothing.
    let change = take(&mut store, 0, [Seen::Begin, ingress("ns/a", "nginx")]);
    assert!(change.is_empty());
    assert_eq!(names(&store), ["ns/a", "ns/b"]);
    let change = take(&mut store, 0, [Seen::Complete]);
    assert!(change.routes);
    assert_eq!(names(&store), ["ns/a"]);
}

#[test]
fn a_list_removes_nothing_that_another_watch_names() {
    let mut store = store(&[Kind::Ingress, Kind::Ingress]);
    take(&mut store, 0, [Seen::Begin, ingress("one/a", "nginx"), Seen::Complete]);
    take(&mut store, 1, [Seen::Begin, ingress("two/a", "nginx"), Seen::Complete]);
    take(&mut store, 0, [Seen::Begin, Seen::Complete]);
    assert_eq!(names(&store), ["two/a"]);
}

#[test]
fn an_equal_version_is_no_change() {
    let mut store = store(&[Kind::Ingress]);
    assert!(take(&mut store, 0, [ingress("ns/a", "nginx")]).routes);
    assert!(take(&mut store, 0, [ingress("ns/a", "nginx")]).is_empty());
    assert!(take(&mut store, 0, [ingress("ns/a", "other")]).routes);
    assert!(take(&mut store, 0, [Seen::Gone(key("ns/a"))]).routes);
    assert!(take(&mut store, 0, [Seen::Gone(key("ns/a"))]).is_empty());
}

#[test]
fn a_slice_touches_its_service_and_the_one_it_leaves() {
    let mut store = store(&[Kind::EndpointSlice]);
    let touched = |change: Change| {
        assert!(!change.routes);
        change.endpoints.iter().map(|service| service.name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(touched(take(&mut store, 0, [slice("ns/s", "web", "IPv4")])), ["web"]);
    assert_eq!(touched(take(&mut store, 0, [slice("ns/s", "api", "IPv4")])), ["api", "web"]);
    assert_eq!(touched(take(&mut store, 0, [Seen::Gone(key("ns/s"))])), ["api"]);
}

#[test]
fn a_status_compiles_nothing() {
    let mut store = store(&[Kind::Ingress]);
    take(&mut store, 0, [ingress("ns/a", "nginx")]);
    let Seen::Put(key, Item::Object(object, _)) = ingress("ns/a", "nginx") else { panic!() };
    let address = LoadBalancerIngress { ip: Some("192.0.2.1".into()), hostname: None };
    let change = take(&mut store, 0, [Seen::Put(key.clone(), Item::Object(object, vec![address]))]);
    assert_eq!(change, Change { status: true, ..Change::default() });
    assert!(store.snapshot().ingress_status.contains_key(&key));
    take(&mut store, 0, [Seen::Gone(key)]);
    assert!(store.snapshot().ingress_status.is_empty());
}

#[test]
fn an_object_that_cannot_be_read_keeps_the_version_before_it() {
    let mut store = store(&[Kind::Ingress]);
    take(&mut store, 0, [ingress("ns/a", "nginx")]);
    store.take(0, Seen::Put(key("ns/a"), Item::Broken("no such path type".into())));
    let update = store.update();
    assert!(update.change.routes);
    assert_eq!(names(&store), ["ns/a"]);
    assert_eq!(
        update.diagnostics[0].to_string(),
        "error: Ingress ns/a: cannot be read: no such path type; the version before it stays in service [BrokenFile]"
    );
    store.take(0, ingress("ns/a", "nginx"));
    assert!(store.update().diagnostics.is_empty());
}

#[test]
fn classes_that_may_not_be_read_are_known_as_such() {
    let mut store = store(&[Kind::IngressClass]);
    assert!(take(&mut store, 0, [Seen::Begin, Seen::Forbidden]).routes);
    assert!(store.is_complete());
    assert_eq!(store.snapshot().class_source, ClassSource::Unreadable);
    let mut store = self::store(&[Kind::IngressClass]);
    take(&mut store, 0, [Seen::Begin, Seen::Complete, Seen::Forbidden]);
    assert_eq!(store.snapshot().class_source, ClassSource::Cluster, "a role that is replaced takes nothing back");
    let mut store = self::store(&[Kind::IngressClass]);
    take(&mut store, 0, [Seen::Begin, Seen::Forbidden]);
    let mut class = IngressClass::default();
    class.metadata.name = "nginx".into();
    let class = Seen::Put(ObjectKey::new("", "nginx"), Item::Object(Object::IngressClass(Arc::new(class)), Vec::new()));
    take(&mut store, 0, [Seen::Begin, class, Seen::Complete]);
    assert_eq!(store.snapshot().class_source, ClassSource::Cluster);
}

fn secrets(names: &[&str]) -> References {
    References { secrets: names.iter().map(|name| key(name)).collect(), config_maps: BTreeSet::new() }
}

#[test]
fn only_secrets_that_are_referred_to_are_kept() {
    let mut store = store(&[Kind::Secret]);
    store.refer(secrets(&["ns/a"]));
    let list = [("ns/a", "1"), ("ns/b", "1")].map(|(name, value)| Seen::Put(key(name), secret(name, value)));
    take(&mut store, 0, [Seen::Begin].into_iter().chain(list).chain([Seen::Complete]));
    assert!(store.snapshot().secrets.keys().eq([&key("ns/a")]));
    // One that is not referred to any more goes, one that is now has to be asked for.
    assert_eq!(store.refer(secrets(&["ns/b"])), [(Kind::Secret, key("ns/b"))]);
    assert!(store.snapshot().secrets.is_empty());
    assert!(store.answer(Kind::Secret, &key("ns/b"), Some(secret("ns/b", "1"))));
    assert!(store.snapshot().secrets.contains_key(&key("ns/b")));
    // From then on the watch has it.
    take(&mut store, 0, [Seen::Begin, Seen::Complete]);
    assert!(store.snapshot().secrets.is_empty());
}

#[test]
fn what_a_watch_said_is_newer_than_an_answer() {
    let mut store = store(&[Kind::Secret]);
    store.refer(secrets(&["ns/a"]));
    store.take(0, Seen::Put(key("ns/a"), secret("ns/a", "new")));
    assert!(!store.answer(Kind::Secret, &key("ns/a"), Some(secret("ns/a", "old"))));
    let Item::Object(Object::Secret(new), _) = secret("ns/a", "new") else { panic!() };
    assert_eq!(store.snapshot().secrets[&key("ns/a")], new);
}

#[test]
fn an_answer_is_held_by_the_watch_that_covers_it() {
    let mut store = Store::new(Snapshot::default());
    for namespace in ["one", "two"] {
        store.add_watch(Watching::Kind(Kind::Secret), Part::namespace(namespace));
    }
    for id in [0, 1] {
        take(&mut store, id, [Seen::Begin, Seen::Complete]);
    }
    assert_eq!(store.refer(secrets(&["two/a"])), [(Kind::Secret, key("two/a"))]);
    store.answer(Kind::Secret, &key("two/a"), Some(secret("two/a", "1")));
    take(&mut store, 0, [Seen::Begin, Seen::Complete]);
    assert!(store.snapshot().secrets.contains_key(&key("two/a")));
    take(&mut store, 1, [Seen::Begin, Seen::Complete]);
    assert!(store.snapshot().secrets.is_empty());
}
