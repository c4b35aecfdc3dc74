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

/// How long the API server lets a watch run. A peer that died without a word is noticed after this time and a bit.
const WATCH_SECONDS: u32 = 60;
/// Objects of one page of a list.
const PAGE: u32 = 500;
/// Between two tries, growing, with jitter so that replicas do not come in step.
const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);

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
        Self { namespace: Some(namespace.into()), fields: Some(format!("metadata.name={name}")), labels: None }
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
    let tries = backon::ExponentialBuilder::new()
        .with_min_delay(SHORTEST)
        .with_max_delay(LONGEST)
        .with_jitter()
        .without_max_times();
    let mut delays = tries.build();
    let mut failing = false;
    let mut events = pin!(watcher(api::<T>(client, part.namespace.as_deref()), config));
    while let Some(event) = events.next().await {
        let seen = match event {
            // Announced before anything was asked for: no sign of life.
            Ok(Event::Init) => Seen::Begin,
            Ok(event) => {
                if std::mem::take(&mut failing) {
                    tracing::info!(kind = T::KIND, "the API server answers again");
                }
                delays = tries.build();
                match event {
                    Event::Apply(object) | Event::InitApply(object) => Seen::Put(object.key(), object.item),
                    Event::Delete(object) => Seen::Gone(object.key()),
                    Event::Init | Event::InitDone => Seen::Complete,
                }
            }
            Err(error) => {
                let forbidden = is_forbidden(&error);
                tell::<T>(&error, forbidden, std::mem::replace(&mut failing, true));
                if forbidden && sender.send((id, Seen::Forbidden)).await.is_err() {
                    return;
                }
                tokio::time::sleep(delays.next().unwrap_or(LONGEST)).await;
                continue;
            }
        };
        if sender.send((id, seen)).await.is_err() {
            return;
        }
    }
}

fn tell<T: Watch>(error: &watcher::Error, forbidden: bool, known: bool) {
    let kind = T::KIND;
    let error: &dyn std::error::Error = error;
    match (known, forbidden) {
        (true, _) => tracing::debug!(kind, error, "still no answer from the API server"),
        (false, true) => tracing::error!(kind, error, "the role lacks list or watch"),
        (false, false) if is_expired(error) => tracing::info!(kind, "the version is too old: listing again"),
        (false, false) => {
            tracing::warn!(kind, error, "no answer from the API server: what is known stays in service");
        }
    }
}

fn is_expired(error: &(dyn std::error::Error + 'static)) -> bool {
    matches!(error.downcast_ref(), Some(watcher::Error::WatchError(status)) if status.code == 410)
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
