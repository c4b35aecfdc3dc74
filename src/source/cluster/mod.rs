//! A cluster as a source: watches feed one store, which hands on the world and what changed in it.
//!
//! Nothing that the API server does (be away, be slow, answer nonsense, lose a watch) changes what is known; only what
//! it says of an object does. Secrets and ConfigMaps are listed after Ingresses are, when it is known which of them are
//! referred to; one that is referred to later is asked for by name, and routes wait a moment for the answer, so that a
//! new Ingress is not served with the wrong certificate first.

mod client;
mod kind;
mod scope;
mod store;
mod watch;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use backon::BackoffBuilder as _;
use kube::Client;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep_until, timeout};

pub use client::{ANSWER, Access, AccessError, answered, attempts, causes, connect, find};
pub use scope::{Scope, SecretScope};

use super::Update;
use crate::snapshot::{ClassSource, ConfigMap, Kind, ObjectKey, References, Secret, Snapshot};
use kind::{Item, Watch};
use store::{Seen, Store, WatchId, Watching};
use watch::Part;

/// What watches said and the store has not taken yet; then they wait.
const QUEUE: usize = 1024;
/// Taken in before somebody else has a turn.
const BATCH: usize = 8 * QUEUE;
/// How long routes wait for objects that were asked for by name.
const PATIENCE: Duration = Duration::from_secs(2);
/// Objects asked for by name at once.
const QUESTIONS: usize = 16;
/// Before asking again for what is forbidden: a role may be mended.
const FORBIDDEN_PAUSE: Duration = Duration::from_secs(30);

/// What became of a question.
#[derive(Debug)]
enum Answer {
    /// `None`: there is no such object.
    Item(Kind, ObjectKey, Option<Item>),
    /// It is asked again, but nobody need wait for it.
    Forbidden(Kind, ObjectKey),
}

type Asked = (Kind, ObjectKey);
type Refer = Box<dyn Fn(&Snapshot) -> References + Send>;

/// The watches and what they led to.
pub struct Cluster {
    client: Client,
    scope: Scope,
    refer: Refer,
    store: Store,
    sender: mpsc::Sender<(WatchId, Seen)>,
    receiver: mpsc::Receiver<(WatchId, Seen)>,
    watches: JoinSet<()>,
    questions: JoinSet<()>,
    open: HashMap<Asked, AbortHandle>,
    answers: mpsc::Receiver<Answer>,
    answer: mpsc::Sender<Answer>,
    free: Arc<Semaphore>,
    /// A change since references were looked for.
    unreferred: bool,
    /// Until when routes wait, and for which answers.
    patience: Option<Instant>,
    awaited: HashSet<Asked>,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// What refers to others is listed.
    Referring,
    /// What is referred to is listed.
    Referred,
    /// The first update is out.
    Following,
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster").field("stage", &self.stage).field("watches", &self.watches.len()).finish()
    }
}

impl Cluster {
    /// Begins to watch. `refer` tells which Secrets and ConfigMaps a snapshot refers to. Must run inside a tokio
    /// runtime; the watches end when this is dropped.
    pub fn start(client: Client, scope: Scope, refer: Refer) -> Self {
        let namespaces = scope.namespace_selector.is_some().then(Default::default);
        let world = Snapshot { class_source: ClassSource::Cluster, namespaces, ..Snapshot::default() };
        let (sender, receiver) = mpsc::channel(QUEUE);
        let (answer, answers) = mpsc::channel(QUEUE);
        let mut cluster = Self {
            client,
            scope,
            refer,
            store: Store::new(world),
            sender,
            receiver,
            watches: JoinSet::new(),
            questions: JoinSet::new(),
            open: HashMap::new(),
            answers,
            answer,
            free: Arc::new(Semaphore::new(QUESTIONS)),
            unreferred: true,
            patience: None,
            awaited: HashSet::new(),
            stage: Stage::Referring,
        };
        cluster.watch_referring();
        cluster
    }

    fn watch<T: Watch>(&mut self, of: Watching, part: Part) {
        let id = self.store.add_watch(of, part.clone());
        self.watches.spawn(watch::follow::<T>(self.client.clone(), part, id, self.sender.clone()));
    }

    fn watch_referring(&mut self) {
        use crate::snapshot::{EndpointSlice, Ingress, IngressClass, Service};
        for part in self.scope.everything() {
            self.watch::<Ingress>(Watching::Kind(Kind::Ingress), part.clone());
            self.watch::<Service>(Watching::Kind(Kind::Service), part.clone());
            self.watch::<EndpointSlice>(Watching::Kind(Kind::EndpointSlice), part);
        }
        self.watch::<IngressClass>(Watching::Kind(Kind::IngressClass), Part::default());
        for part in self.scope.services_elsewhere() {
            self.watch::<Service>(Watching::Kind(Kind::Service), part);
        }
        for part in self.scope.slices_elsewhere() {
            self.watch::<EndpointSlice>(Watching::Kind(Kind::EndpointSlice), part);
        }
        if let Some(selector) = self.scope.namespace_selector.clone() {
            self.watch::<kind::Namespace>(Watching::Namespaces, Part::labelled(None, selector));
        }
    }

    fn watch_referred(&mut self) {
        for part in self.scope.config_maps() {
            self.watch::<ConfigMap>(Watching::Kind(Kind::ConfigMap), part);
        }
        for part in self.scope.secrets() {
            self.watch::<Secret>(Watching::Kind(Kind::Secret), part);
        }
    }

    /// The next update: the first one when everything was listed once, then whenever something changed; what routes
    /// are compiled from not before `routes_from`. `None`: a watch has broken down, and what is known will grow old.
    /// Dropping the future loses nothing.
    pub async fn next(&mut self, routes_from: Option<Instant>) -> Option<Update> {
        loop {
            self.take_what_is_there();
            let too_early = routes_from.filter(|at| *at > Instant::now());
            if let Some(update) = self.ready(too_early.is_some()) {
                return Some(update);
            }
            let patience = self.patience;
            let too_early = too_early.filter(|_| self.store.change().compiles());
            tokio::select! {
                // The receiver never ends: a sender is kept here.
                Some((id, seen)) = self.receiver.recv() => self.take(id, seen),
                Some(answer) = self.answers.recv() => self.take_answer(answer),
                // Questions end with their answers; watches never end.
                Some(_) = self.questions.join_next() => {}
                Some(ended) = self.watches.join_next() => {
                    tracing::error!(?ended, "a watch has broken down");
                    return None;
                }
                () = sleep_until(too_early.unwrap_or_else(Instant::now)), if too_early.is_some() => {}
                () = sleep_until(patience.unwrap_or_else(Instant::now)), if patience.is_some() => {
                    self.patience = None;
                    let unanswered = std::mem::take(&mut self.awaited).len();
                    tracing::warn!(unanswered, "referred objects are late: routes are compiled without them");
                }
            }
        }
    }

    fn take(&mut self, id: WatchId, seen: Seen) {
        self.unreferred |= self.store.take(id, seen);
    }

    fn take_what_is_there(&mut self) {
        for _ in 0..BATCH {
            let Ok((id, seen)) = self.receiver.try_recv() else { break };
            self.take(id, seen);
        }
        while let Ok(answer) = self.answers.try_recv() {
            self.take_answer(answer);
        }
    }

    /// What there is to hand on now, if anything.
    fn ready(&mut self, too_early: bool) -> Option<Update> {
        if !self.store.is_complete() {
            return None;
        }
        match self.stage {
            Stage::Referring => {
                let references = (self.refer)(self.store.snapshot());
                self.store.refer(references);
                self.watch_referred();
                self.stage = Stage::Referred;
                return None;
            }
            Stage::Referred => {
                // A ConfigMap may refer to others: its own references are asked for.
                self.ask();
                if self.waits() {
                    return None;
                }
                self.stage = Stage::Following;
                let (ingresses, secrets) = (self.store.snapshot().ingresses.len(), self.store.snapshot().secrets.len());
                tracing::info!(ingresses, secrets, "the cluster is listed");
                return Some(self.store.update());
            }
            Stage::Following => {}
        }
        if self.store.change().compiles() {
            self.ask();
            if self.waits() || too_early {
                let change = self.store.change();
                let others = !change.endpoints.is_empty() || change.status;
                return others.then(|| self.store.update_but_routes());
            }
        }
        (!self.store.change().is_empty()).then(|| self.store.update())
    }

    fn waits(&self) -> bool {
        self.patience.is_some()
    }

    /// Asks for what is referred to since the last call.
    fn ask(&mut self) {
        if !std::mem::take(&mut self.unreferred) {
            return;
        }
        let references = (self.refer)(self.store.snapshot());
        let unknown = self.store.refer(references);
        self.open.retain(|asked, question| {
            let stays = self.store.is_asked(asked);
            if !stays {
                question.abort();
                self.awaited.remove(asked);
            }
            stays
        });
        for (kind, key) in unknown {
            if !self.scope.covers(kind, &key) {
                self.store.answer(kind, &key, None);
                tracing::warn!("{} {key} is referred to, but the flags do not let it be read", kind.as_str());
                continue;
            }
            let question =
                question(self.client.clone(), kind, key.clone(), Arc::clone(&self.free), self.answer.clone());
            self.open.insert((kind, key.clone()), self.questions.spawn(question));
            self.awaited.insert((kind, key));
            self.patience.get_or_insert_with(|| Instant::now() + PATIENCE);
        }
        self.wait_no_longer();
    }

    fn take_answer(&mut self, answer: Answer) {
        let asked = match answer {
            Answer::Item(kind, key, item) => {
                self.unreferred |= self.store.answer(kind, &key, item);
                self.open.remove(&(kind, key.clone()));
                (kind, key)
            }
            Answer::Forbidden(kind, key) => (kind, key),
        };
        self.awaited.remove(&asked);
        self.wait_no_longer();
    }

    fn wait_no_longer(&mut self) {
        if self.awaited.is_empty() {
            self.patience = None;
        }
    }
}

/// Asks for one object until there is an answer; "there is none" is one, "forbidden" is not for good.
async fn question(client: Client, kind: Kind, key: ObjectKey, free: Arc<Semaphore>, answers: mpsc::Sender<Answer>) {
    let mut delays = backon::ExponentialBuilder::new().with_jitter().without_max_times().build();
    loop {
        // The semaphore is never closed.
        let permit = free.acquire().await;
        let asked = match kind {
            Kind::Secret => timeout(ANSWER, get::<Secret>(&client, &key)).await,
            _ => timeout(ANSWER, get::<ConfigMap>(&client, &key)).await,
        };
        drop(permit);
        let pause = match asked {
            Ok(Ok(item)) => {
                let _ = answers.send(Answer::Item(kind, key, item)).await;
                return;
            }
            Ok(Err(kube::Error::Api(status))) if status.code == 403 => {
                tracing::error!("{} {key}: the role does not let it be read", kind.as_str());
                let _ = answers.send(Answer::Forbidden(kind, key.clone())).await;
                FORBIDDEN_PAUSE
            }
            Ok(Err(error)) => {
                tracing::debug!(error = causes(error), "{} {key} cannot be read now", kind.as_str());
                delays.next().unwrap_or(ANSWER)
            }
            Err(_) => {
                tracing::debug!("{} {key}: no answer", kind.as_str());
                delays.next().unwrap_or(ANSWER)
            }
        };
        tokio::time::sleep(pause).await;
    }
}

async fn get<T: Watch>(client: &Client, key: &ObjectKey) -> kube::Result<Option<Item>> {
    let api = watch::api::<T>(client.clone(), Some(&key.namespace));
    Ok(find(&api, &key.name).await?.map(|object| object.item))
}
