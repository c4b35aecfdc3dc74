//! The API server's client: objects are written as fast as it takes them, single changes with the times that matter.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use futures_util::{StreamExt as _, TryStreamExt as _};
use http::{Method, Request};
use kube::Client;
use kube::core::WatchEvent;
use portcullis::source::cluster::{Access, connect};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Writes at once.
const WRITES: usize = 32;
/// The longest that an event takes from its write to a watch, here.
const LATE: Duration = Duration::from_secs(10);

/// One write.
#[derive(Clone, Debug)]
pub struct Write {
    pub method: Method,
    pub path: String,
    pub body: Value,
}

impl Write {
    pub fn post(path: impl Into<String>, body: Value) -> Self {
        Self { method: Method::POST, path: path.into(), body }
    }

    /// A JSON merge patch (RFC 7396).
    pub fn patch(path: impl Into<String>, body: Value) -> Self {
        Self { method: Method::PATCH, path: path.into(), body }
    }
}

/// What a watch beside the controller's saw: the version of an object, and when.
type SeenAt = Arc<Mutex<HashMap<String, Instant>>>;

#[derive(Clone)]
pub struct Api {
    client: Client,
    seen: SeenAt,
}

/// A change's way: before it was sent, when it was answered, when a watch of the bench's own had it.
#[derive(Clone, Copy, Debug)]
pub struct Written {
    pub sent: Instant,
    pub answered: Instant,
    pub seen: Instant,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Meta {
    resource_version: String,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
struct Object {
    metadata: Meta,
}

impl Api {
    pub async fn new(kubeconfig: &Path) -> anyhow::Result<Self> {
        let access = Access { kubeconfig: Some(kubeconfig.to_owned()), ..Access::default() };
        Ok(Self { client: connect(&access).await?, seen: SeenAt::default() })
    }

    async fn send(&self, write: &Write) -> anyhow::Result<Object> {
        let kind = if write.method == Method::PATCH { "application/merge-patch+json" } else { "application/json" };
        let request = Request::builder().method(&write.method).uri(&write.path).header("content-type", kind);
        let request = request.body(write.body.to_string().into_bytes())?;
        self.client.request(request).await.with_context(|| format!("{} {}", write.method, write.path))
    }

    pub async fn write(&self, write: &Write) -> anyhow::Result<()> {
        self.send(write).await.map(drop)
    }

    /// All of them, in no order.
    pub async fn write_all(&self, writes: impl Iterator<Item = Write>) -> anyhow::Result<()> {
        let sent = futures_util::stream::iter(writes).map(|write| async move { self.write(&write).await });
        sent.buffer_unordered(WRITES).try_collect().await
    }

    /// Begins to watch a collection, for [`Self::write_watched`].
    pub async fn watch(&self, collection: &str) -> anyhow::Result<()> {
        let request = Request::get(format!("{collection}?watch=true")).body(Vec::new())?;
        let events = self.client.request_events::<Object>(request).await?;
        let seen = Arc::clone(&self.seen);
        tokio::spawn(async move {
            let mut events = std::pin::pin!(events);
            while let Some(Ok(event)) = events.next().await {
                if let WatchEvent::Added(object) | WatchEvent::Modified(object) = event {
                    let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
                    seen.insert(object.metadata.resource_version, Instant::now());
                }
            }
        });
        Ok(())
    }

    /// Writes an object of a collection that is watched.
    pub async fn write_watched(&self, write: &Write) -> anyhow::Result<Written> {
        let sent = Instant::now();
        let object = self.send(write).await?;
        let answered = Instant::now();
        let taken =
            || self.seen.lock().unwrap_or_else(PoisonError::into_inner).remove(&object.metadata.resource_version);
        while sent.elapsed() < LATE {
            if let Some(seen) = taken() {
                return Ok(Written { sent, answered, seen });
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        anyhow::bail!("{}: no watch saw the change in {LATE:?}", write.path)
    }
}
