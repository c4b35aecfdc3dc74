//! The one writer of the cluster's snapshot: what watches say, in the order in which they say it. No I/O.
//!
//! A list that begins anew (after an expired version, a lost watch) replaces nothing until it is complete; then what it
//! did not name is gone. Secrets and ConfigMaps that nothing refers to are not kept.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::kind::Item;
use super::watch::Part;
use crate::base::diagnostic::{Diagnostic, ObjectRef, Reason, Severity};
use crate::snapshot::{ClassSource, Kind, Object, ObjectKey, References, Snapshot};
use crate::source::{Change, Update};

/// What a watch is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Watching {
    Kind(Kind),
    /// Namespaces that a selector selects.
    Namespaces,
}

/// Index of a watch; several may be of one kind, each over its own namespace or name.
pub type WatchId = usize;

/// One thing that a watch says.
#[derive(Clone, Debug)]
pub enum Seen {
    /// A list begins.
    Begin,
    Put(ObjectKey, Item),
    Gone(ObjectKey),
    /// The list is complete.
    Complete,
    /// The API server forbids it.
    Forbidden,
}

#[derive(Debug)]
struct State {
    of: Watching,
    part: Part,
    /// What this watch named and what is kept, to find what a later list does not name any more.
    keys: HashSet<ObjectKey>,
    /// While a list runs: what it named.
    listed: Option<HashSet<ObjectKey>>,
    complete: bool,
}

#[derive(Debug, Default)]
pub struct Store {
    snapshot: Arc<Snapshot>,
    watches: Vec<State>,
    references: References,
    /// Referred to, asked for one by one; `true` once a watch said something about it meanwhile.
    asked: HashMap<(Kind, ObjectKey), bool>,
    broken: BTreeMap<ObjectRef, String>,
    change: Change,
}

impl Store {
    pub fn new(snapshot: Snapshot) -> Self {
        Self { snapshot: Arc::new(snapshot), ..Self::default() }
    }

    pub fn add_watch(&mut self, of: Watching, part: Part) -> WatchId {
        self.watches.push(State { of, part, keys: HashSet::new(), listed: None, complete: false });
        self.watches.len() - 1
    }

    /// Every list was complete once.
    pub fn is_complete(&self) -> bool {
        self.watches.iter().all(|watch| watch.complete)
    }

    pub fn snapshot(&self) -> &Arc<Snapshot> {
        &self.snapshot
    }

    pub fn change(&self) -> &Change {
        &self.change
    }

    /// Takes one thing in; `true` if something that routes are compiled from changed. Unknown watches say nothing.
    pub fn take(&mut self, id: WatchId, seen: Seen) -> bool {
        let before = std::mem::take(&mut self.change.routes);
        self.apply(id, seen);
        let changed = self.change.routes;
        self.change.routes |= before;
        changed
    }

    fn apply(&mut self, id: WatchId, seen: Seen) {
        let Some(watch) = self.watches.get_mut(id) else { return };
        let of = watch.of;
        match seen {
            Seen::Begin => watch.listed = Some(HashSet::new()),
            Seen::Put(key, item) => {
                if let Some(listed) = &mut watch.listed {
                    listed.insert(key.clone());
                }
                self.touch(of, &key);
                if self.wants(of, &key) {
                    if let Some(watch) = self.watches.get_mut(id) {
                        watch.keys.insert(key.clone());
                    }
                    self.put(of, key, item);
                } else {
                    self.drop_object(of, &key);
                }
            }
            Seen::Gone(key) => {
                watch.keys.remove(&key);
                self.touch(of, &key);
                self.drop_object(of, &key);
            }
            Seen::Complete => {
                watch.complete = true;
                if of == Watching::Kind(Kind::IngressClass) {
                    self.classes_come_from(ClassSource::Cluster);
                }
                let Some(watch) = self.watches.get_mut(id) else { return };
                let Some(listed) = watch.listed.take() else { return };
                let mut gone: Vec<ObjectKey> = watch.keys.extract_if(|key| !listed.contains(key)).collect();
                // Another watch of the kind may have it.
                let held = |key: &ObjectKey| self.watches.iter().any(|w| w.of == of && w.keys.contains(key));
                gone.retain(|key| !held(key));
                gone.iter().for_each(|key| self.drop_object(of, key));
            }
            // Only before the first list: what was read once does not become unreadable by a role that is replaced.
            Seen::Forbidden if of == Watching::Kind(Kind::IngressClass) && !watch.complete => {
                watch.complete = true;
                self.classes_come_from(ClassSource::Unreadable);
            }
            Seen::Forbidden => {}
        }
    }

    fn classes_come_from(&mut self, source: ClassSource) {
        if self.snapshot.class_source != source {
            Arc::make_mut(&mut self.snapshot).class_source = source;
            self.change.routes = true;
        }
    }

    fn touch(&mut self, of: Watching, key: &ObjectKey) {
        if let (Watching::Kind(kind), false) = (of, self.asked.is_empty())
            && let Some(touched) = self.asked.get_mut(&(kind, key.clone()))
        {
            *touched = true;
        }
    }

    fn wants(&self, of: Watching, key: &ObjectKey) -> bool {
        match of {
            Watching::Kind(Kind::Secret) => self.references.secrets.contains(key),
            Watching::Kind(Kind::ConfigMap) => self.references.config_maps.contains(key),
            Watching::Kind(_) | Watching::Namespaces => true,
        }
    }

    fn put(&mut self, of: Watching, key: ObjectKey, item: Item) {
        match item {
            Item::Object(object, addresses) => {
                let kind = object.kind();
                self.mend(kind, &key);
                if kind == Kind::Ingress && self.snapshot.ingress_status.get(&key).map_or(&[][..], |a| a) != addresses {
                    let status = &mut Arc::make_mut(&mut self.snapshot).ingress_status;
                    match addresses.is_empty() {
                        true => drop(status.remove(&key)),
                        false => drop(status.insert(key.clone(), addresses)),
                    }
                    self.change.status = true;
                }
                let before = self.snapshot.get(kind, &key);
                if before.as_ref() != Some(&object) {
                    self.changed(before.as_ref());
                    self.changed(Some(&object));
                    Arc::make_mut(&mut self.snapshot).insert(object);
                }
            }
            Item::Namespace => {
                let namespaces = &mut Arc::make_mut(&mut self.snapshot).namespaces;
                self.change.routes |= namespaces.get_or_insert_default().insert(key.name);
            }
            Item::Broken(message) => {
                let Watching::Kind(kind) = of else { return };
                // The version before stays, as that of a broken file does.
                let object = ObjectRef { kind: kind.as_str(), namespace: key.namespace, name: key.name };
                self.change.routes |= self.broken.insert(object, message.clone()).as_ref() != Some(&message);
            }
        }
    }

    fn mend(&mut self, kind: Kind, key: &ObjectKey) {
        if !self.broken.is_empty() {
            let object = ObjectRef { kind: kind.as_str(), namespace: key.namespace.clone(), name: key.name.clone() };
            self.change.routes |= self.broken.remove(&object).is_some();
        }
    }

    fn drop_object(&mut self, of: Watching, key: &ObjectKey) {
        let Watching::Kind(kind) = of else {
            if let Some(namespaces) = &mut Arc::make_mut(&mut self.snapshot).namespaces {
                self.change.routes |= namespaces.remove(&key.name);
            }
            return;
        };
        self.mend(kind, key);
        if self.snapshot.get(kind, key).is_none() {
            return;
        }
        let snapshot = Arc::make_mut(&mut self.snapshot);
        if kind == Kind::Ingress {
            snapshot.ingress_status.remove(key);
        }
        let before = snapshot.remove(kind, key);
        self.changed(before.as_ref());
    }

    fn changed(&mut self, object: Option<&Object>) {
        match object {
            Some(Object::EndpointSlice(slice)) => self.change.endpoints.extend(slice.service_key()),
            Some(Object::Service(service)) => drop(self.change.services.insert(service.metadata.key())),
            Some(_) => self.change.routes = true,
            None => {}
        }
    }

    /// What is referred to now. What is not any more is dropped; the rest has to be asked for, one by one, because the
    /// watches may have passed over it already: those are returned.
    pub fn refer(&mut self, references: References) -> Vec<(Kind, ObjectKey)> {
        if references == self.references {
            return Vec::new();
        }
        let before = std::mem::replace(&mut self.references, references);
        let mut missing = Vec::new();
        for (kind, old, new) in [
            (Kind::Secret, &before.secrets, self.references.secrets.clone()),
            (Kind::ConfigMap, &before.config_maps, self.references.config_maps.clone()),
        ] {
            for key in old.difference(&new) {
                self.asked.remove(&(kind, key.clone()));
                for watch in self.watches.iter_mut().filter(|watch| watch.of == Watching::Kind(kind)) {
                    watch.keys.remove(key);
                }
                self.drop_object(Watching::Kind(kind), key);
            }
            // Before a kind's first list nothing can have been passed over.
            let listed = self.watches.iter().any(|watch| watch.of == Watching::Kind(kind));
            let unknown = new.difference(old).filter(|key| listed && self.snapshot.get(kind, key).is_none());
            missing.extend(unknown.map(|key| (kind, key.clone())));
        }
        self.asked.extend(missing.iter().map(|asked| (asked.clone(), false)));
        missing
    }

    /// Whether an answer is waited for.
    pub fn is_asked(&self, asked: &(Kind, ObjectKey)) -> bool {
        self.asked.contains_key(asked)
    }

    /// The answer to one of [`Self::refer`]'s questions; `None` when there is no such object. What a watch said
    /// meanwhile is newer. `true` if there is a new object now.
    pub fn answer(&mut self, kind: Kind, key: &ObjectKey, item: Option<Item>) -> bool {
        let untouched = self.asked.remove(&(kind, key.clone())) == Some(false);
        let wanted = untouched && self.wants(Watching::Kind(kind), key);
        let Some(item) = item.filter(|_| wanted) else { return false };
        let covers = |watch: &&mut State| watch.of == Watching::Kind(kind) && watch.part.covers(key);
        if let Some(watch) = self.watches.iter_mut().find(covers) {
            watch.keys.insert(key.clone());
        }
        self.put(Watching::Kind(kind), key.clone(), item);
        true
    }

    /// The world as it is, and what changed since the last call.
    pub fn update(&mut self) -> Update {
        Update {
            snapshot: Arc::clone(&self.snapshot),
            diagnostics: self.broken.iter().map(|(object, message)| unreadable(object, message)).collect(),
            broken_files: 0,
            change: std::mem::take(&mut self.change),
        }
    }

    /// As [`Self::update`], but of endpoints and status alone: what routes are compiled from is not told yet.
    pub fn update_but_routes(&mut self) -> Update {
        let Change { routes, services, .. } = &mut self.change;
        let (routes, services) = (std::mem::take(routes), std::mem::take(services));
        let update = self.update();
        (self.change.routes, self.change.services) = (routes, services);
        update
    }
}

fn unreadable(object: &ObjectRef, message: &str) -> Diagnostic {
    Diagnostic {
        severity: Severity::Error,
        reason: Reason::BrokenFile,
        object: Some(object.clone()),
        key: None,
        message: format!("cannot be read: {message}; the version before it stays in service"),
        origin: None,
    }
}

#[cfg(test)]
mod tests;
