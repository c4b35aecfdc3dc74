//! Events on objects, so that `kubectl describe ingress` tells a person what became of it and what to mend.
//!
//! An event's name derives from its object and its text: what was said before, by this replica or another one, gets a new
//! date and is not said anew. The leader speaks for all.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::hash::BuildHasher as _;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Event;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::json;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::world::World;
use crate::base::diagnostic::{Diagnostic, ObjectRef, Reason, Severity};
use crate::compile::Options;
use crate::compile::ingress::is_owned;
use crate::snapshot::{Ingress, ObjectKey, Snapshot};
use crate::source::cluster::{answered, attempts};

/// Who says it: what ingress-nginx's events are found by.
const COMPONENT: &str = "nginx-ingress-controller";
/// Events that wait to be written; then news of versions are dropped, and warnings wait.
const QUEUE: usize = 4096;
/// What is wrong for so long is told: an Ingress may be there a moment before its Service.
const SETTLED: Duration = Duration::from_secs(2);
/// Between two events: a thousand Ingresses with a typo must not keep the API server busy.
const PACE: Duration = Duration::from_millis(20);
/// Tries of one event, and the time between two.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_secs(1);
/// Bytes of a text: the API server allows 1024.
const LONGEST: usize = 1000;

/// What is said about one object.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Said {
    object: ObjectRef,
    uid: Option<Arc<str>>,
    is_warning: bool,
    reason: &'static str,
    message: String,
}

/// The writer of events.
pub struct Events {
    client: Client,
    /// The Pod's name.
    instance: String,
    options: Options,
    /// `--disable-sync-events`.
    sync: bool,
    /// The version of each Ingress that was told to be taken. It shares the store's object: equal versions are one.
    synced: BTreeMap<ObjectKey, Arc<Ingress>>,
    /// Warnings that hold, and since when; `None` once they were told.
    holding: HashMap<Said, Option<Instant>>,
    queue: VecDeque<Said>,
}

impl Events {
    pub fn new(client: Client, instance: String, options: Options, sync: bool) -> Self {
        Self {
            client,
            instance,
            options,
            sync,
            synced: BTreeMap::new(),
            holding: HashMap::new(),
            queue: VecDeque::new(),
        }
    }

    /// Follows the world and tells of it while this replica leads. Ends with the world's sender.
    pub async fn run(mut self, mut world: watch::Receiver<World>, mut leads: watch::Receiver<bool>) {
        loop {
            let (now, speaks) = (world.borrow_and_update().clone(), *leads.borrow_and_update());
            let at = Instant::now();
            if now.is_known {
                self.look(&now, at, speaks);
            }
            while let Some(said) = self.queue.pop_front() {
                self.write(&said).await;
                tokio::time::sleep(PACE).await;
                if world.has_changed().unwrap_or(true) || leads.has_changed().unwrap_or(true) {
                    break;
                }
            }
            // Who does not speak has nothing to wait for.
            let due = self.holding.values().flatten().min().filter(|_| speaks).map(|since| *since + SETTLED);
            tokio::select! {
                changed = world.changed() => if changed.is_err() { return },
                changed = leads.changed() => if changed.is_err() { return },
                () = sleep_until(due.unwrap_or(at)), if due.is_some() => {}
                () = std::future::ready(()), if !self.queue.is_empty() => {}
            }
        }
    }

    /// What is new in the world goes to the queue, or, when another replica speaks, counts as told.
    fn look(&mut self, world: &World, now: Instant, speaks: bool) {
        if !speaks {
            self.queue.clear();
        }
        for said in self.taken(&world.snapshot) {
            self.push(said, speaks);
        }
        let holding: BTreeSet<Said> =
            world.diagnostics.iter().filter_map(|diagnostic| warning(diagnostic, &world.snapshot)).collect();
        self.holding.retain(|said, _| holding.contains(said));
        for said in holding {
            let since = self.holding.entry(said.clone()).or_insert(Some(now));
            let due = since.is_some_and(|since| now.saturating_duration_since(since) >= SETTLED);
            // What finds no room is told at the next look.
            if due && speaks && self.queue.len() < QUEUE {
                *since = None;
                self.push(said, true);
            }
        }
    }

    /// Ingresses of ours in a version that was not told of yet.
    fn taken(&mut self, snapshot: &Snapshot) -> Vec<Said> {
        if !self.sync {
            return Vec::new();
        }
        self.synced.retain(|key, _| snapshot.ingresses.contains_key(key));
        let mut taken = Vec::new();
        for (key, ingress) in &snapshot.ingresses {
            let known = self.synced.get(key).is_some_and(|known| Arc::ptr_eq(known, ingress));
            if known || !is_owned(ingress, snapshot, &self.options) {
                continue;
            }
            // One that has an address and was there before us is no news.
            let before = self.synced.insert(key.clone(), Arc::clone(ingress));
            let is_news = before.is_some() || !snapshot.ingress_status.contains_key(key);
            if is_news {
                taken.push(Said {
                    object: ObjectRef { kind: "Ingress", namespace: key.namespace.clone(), name: key.name.clone() },
                    uid: ingress.metadata.uid.clone(),
                    is_warning: false,
                    reason: "Sync",
                    message: "Scheduled for sync".to_owned(),
                });
            }
        }
        taken
    }

    fn push(&mut self, said: Said, speaks: bool) {
        if speaks && self.queue.len() < QUEUE {
            self.queue.push_back(said);
        }
    }

    /// A connection that broke down, or an API server that is busy, is tried again; then the event is lost.
    async fn write(&self, said: &Said) {
        let api: Api<Event> = Api::namespaced(self.client.clone(), namespace(said));
        let written = attempts(TRIES, PAUSE, || answered(self.create_or_renew(&api, said))).await;
        if let Err(error) = written {
            tracing::debug!(error, object = %said.object, "an event cannot be written");
        }
    }

    async fn create_or_renew(&self, api: &Api<Event>, said: &Said) -> kube::Result<()> {
        let now = Timestamp::now();
        let name = name(said);
        let event: Event = serde_json::from_value(self.body(said, &name, now)).map_err(kube::Error::SerdeError)?;
        match api.create(&PostParams::default(), &event).await {
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            Err(kube::Error::Api(status)) if status.code == 404 => return Ok(()),
            other => return other.map(drop),
        }
        // How often others said it is not read: no role has to grant it for a number.
        let counted = json!({ "count": 2, "lastTimestamp": now.to_string() });
        api.patch(&name, &PatchParams::default(), &Patch::Merge(counted)).await.map(drop)
    }

    fn body(&self, said: &Said, name: &str, now: Timestamp) -> serde_json::Value {
        let api_version = match said.object.kind {
            "Ingress" | "IngressClass" => "networking.k8s.io/v1",
            "EndpointSlice" => "discovery.k8s.io/v1",
            _ => "v1",
        };
        json!({
            "metadata": { "name": name, "namespace": namespace(said) },
            "involvedObject": {
                "apiVersion": api_version,
                "kind": said.object.kind,
                "namespace": &*said.object.namespace,
                "name": &*said.object.name,
                "uid": said.uid,
            },
            "type": if said.is_warning { "Warning" } else { "Normal" },
            "reason": said.reason,
            "message": said.message,
            "source": { "component": COMPONENT },
            "reportingComponent": COMPONENT,
            "reportingInstance": self.instance,
            "firstTimestamp": now.to_string(),
            "lastTimestamp": now.to_string(),
            "count": 1,
        })
    }
}

/// Events of objects without a namespace are in `default`, where kubectl looks for them.
fn namespace(said: &Said) -> &str {
    if said.object.namespace.is_empty() { "default" } else { &said.object.namespace }
}

/// `<object>.<hash of what is said>`.
fn name(said: &Said) -> String {
    let hash = foldhash::quality::FixedState::with_seed(0).hash_one(said);
    let object: String = said.object.name.chars().take(230).collect();
    format!("{object}.{hash:016x}")
}

/// What a diagnostic tells about an object of the cluster; notes are none of a person's business.
fn warning(diagnostic: &Diagnostic, snapshot: &Snapshot) -> Option<Said> {
    let object = diagnostic.object.clone().filter(|_| diagnostic.severity > Severity::Note)?;
    // Of a class that is not there nobody knows whose it is: another controller may serve it.
    if diagnostic.reason == Reason::UnknownClass {
        return None;
    }
    let key = ObjectKey { namespace: object.namespace.clone(), name: object.name.clone() };
    let uid = match object.kind {
        "Ingress" => snapshot.ingresses.get(&key).and_then(|ingress| ingress.metadata.uid.clone()),
        _ => None,
    };
    let mut message = match &diagnostic.key {
        Some(key) => format!("{key}: {}", diagnostic.message),
        None => diagnostic.message.clone(),
    };
    if message.len() > LONGEST {
        message = message.chars().take(LONGEST / 4).chain("…".chars()).collect();
    }
    Some(Said { object, uid, is_warning: true, reason: diagnostic.reason.as_str(), message })
}

#[cfg(test)]
mod tests;
