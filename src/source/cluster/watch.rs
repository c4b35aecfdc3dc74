//! One watch: kube's watcher over a kind, its events to the store, its errors to the log, once each.

use std::pin::pin;
use std::time::Duration;

use backon::BackoffBuilder as _;
use futures_util::StreamExt as _;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client};
use tokio::sync::mpsc;

use super::kind::{Watch, Watched};
use super::store::{Seen, WatchId};
use crate::snapshot::ObjectKey;

/// How long the API server lets a watch run. A peer that died without a word is noticed after this time and a bit.
const WATCH_SECONDS: u32 = 60;
/// Objects of one page of a list.
const PAGE: u32 = 500;
/// Between two tries, growing, with jitter, which doubles it at most, so that replicas do not come in step. An API server
/// that has just started may refuse once more: then it is twice this time until what is served is new again.
const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(2);
/// So often in a row it is forbidden, and it is for good.
const FORBIDDEN: u32 = 4;

const BY_NAME: &str = "metadata.name=";

/// The field selector of one object.
pub fn by_name(name: &str) -> String {
    format!("{BY_NAME}{name}")
}

/// What part of a kind a watch covers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// `None` is every namespace.
    pub namespace: Option<String>,
    /// A label selector, a field selector.
    pub labels: Option<String>,
    pub fields: Option<String>,
}

impl Part {
    pub fn namespace(name: impl Into<String>) -> Self {
        Self { namespace: Some(name.into()), ..Self::default() }
    }

    /// One object: RBAC lets a role name it for `list` and `watch` just so.
    pub fn named(namespace: impl Into<String>, name: &str) -> Self {
        Self { namespace: Some(namespace.into()), fields: Some(by_name(name)), labels: None }
    }

    /// Whether an object is in it, as far as its name says.
    pub fn covers(&self, key: &ObjectKey) -> bool {
        let named = |fields: &String| fields.strip_prefix(BY_NAME) == Some(&*key.name);
        self.namespace.as_ref().is_none_or(|own| **own == *key.namespace) && self.fields.as_ref().is_none_or(named)
    }

    pub fn labelled(namespace: Option<&str>, labels: impl Into<String>) -> Self {
        Self { namespace: namespace.map(str::to_owned), labels: Some(labels.into()), fields: None }
    }
}

pub fn api<T: Watch>(client: Client, namespace: Option<&str>) -> Api<Watched<T>> {
    match namespace {
        Some(namespace) => Api::namespaced_with(client, namespace, &()),
        None => Api::all_with(client, &()),
    }
}

/// Follows until the receiver is gone. Errors change nothing in what is known: the watch goes on where it was.
pub async fn follow<T: Watch>(client: Client, part: Part, id: WatchId, sender: mpsc::Sender<(WatchId, Seen)>) {
    let config = watcher::Config {
        label_selector: part.labels,
        field_selector: part.fields,
        timeout: Some(WATCH_SECONDS),
        page_size: Some(PAGE),
        ..watcher::Config::default()
    };
    let mut trouble = Trouble::default();
    loop {
        let api = api::<T>(client.clone(), part.namespace.as_deref());
        let mut events = pin!(watcher(api, config.clone()));
        while let Some(event) = events.next().await {
            let seen = match event {
                // Neither says that the API server is well: the one comes before anything was asked for, of the other
                // there are hundreds in a page before the next one fails.
                Ok(Event::Init) => Seen::Begin,
                Ok(Event::InitApply(object)) => Seen::Put(object.key(), object.item),
                Ok(event) => {
                    trouble.is_over(T::KIND);
                    match event {
                        Event::Delete(object) => Seen::Gone(object.key()),
                        Event::Apply(object) | Event::InitApply(object) => Seen::Put(object.key(), object.item),
                        Event::Init | Event::InitDone => Seen::Complete,
                    }
                }
                Err(error) => {
                    if trouble.is_forbidden(T::KIND, &error) && sender.send((id, Seen::Forbidden)).await.is_err() {
                        return;
                    }
                    trouble.wait().await;
                    // kube takes such a version up again and again; a list has a newer one.
                    if is_expired(&error) {
                        break;
                    }
                    continue;
                }
            };
            if sender.send((id, seen)).await.is_err() {
                return;
            }
        }
    }
}

/// What went wrong since it last went well.
struct Trouble {
    delays: backon::ExponentialBackoff,
    tries: u32,
    forbidden: u32,
}

impl Default for Trouble {
    fn default() -> Self {
        let delays = backon::ExponentialBuilder::new()
            .with_min_delay(SHORTEST)
            .with_max_delay(LONGEST)
            .with_jitter()
            .without_max_times();
        Self { delays: delays.build(), tries: 0, forbidden: 0 }
    }
}

impl Trouble {
    fn is_over(&mut self, kind: &str) {
        if self.tries > 0 {
            tracing::info!(kind, "the API server answers again");
            *self = Self::default();
        }
    }

    /// Tells of an error, and whether it says for good that the role lacks something: an API server that has just
    /// started, or a role that is being replaced, forbids for a moment.
    fn is_forbidden(&mut self, kind: &str, error: &watcher::Error) -> bool {
        let forbidden = is_forbidden(error);
        tell(kind, error, forbidden, self.tries > 0);
        self.tries += 1;
        self.forbidden = if forbidden { self.forbidden + 1 } else { 0 };
        self.forbidden >= FORBIDDEN
    }

    async fn wait(&mut self) {
        tokio::time::sleep(self.delays.next().unwrap_or(LONGEST)).await;
    }
}

fn tell(kind: &str, error: &watcher::Error, forbidden: bool, known: bool) {
    let expired = is_expired(error);
    let error: &dyn std::error::Error = error;
    match (known, forbidden) {
        (true, _) => tracing::debug!(kind, error, "still no answer from the API server"),
        (false, true) => tracing::error!(kind, error, "the role lacks list or watch"),
        (false, false) if expired => tracing::info!(kind, "the version is too old: listing again"),
        (false, false) => {
            tracing::warn!(kind, error, "no answer from the API server: what is known stays in service");
        }
    }
}

/// The version that a watch was to go on from is forgotten.
fn is_expired(error: &watcher::Error) -> bool {
    match error {
        watcher::Error::WatchError(status) => status.code == 410,
        watcher::Error::WatchStartFailed(kube::Error::Api(status)) => status.code == 410,
        _ => false,
    }
}

fn is_forbidden(error: &watcher::Error) -> bool {
    match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status))
        | watcher::Error::WatchFailed(kube::Error::Api(status)) => status.code == 403,
        watcher::Error::WatchError(status) => status.code == 403,
        _ => false,
    }
}
