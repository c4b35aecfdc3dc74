//! `status.loadBalancer` of the Ingresses that are ours: written by the leader, only where it differs, and taken away
//! by the last replica (contract §19).

mod addresses;
mod replicas;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

pub use addresses::{Publish, address};
pub use replicas::Own;

use super::world::World;
use crate::compile::Options;
use crate::compile::ingress::is_owned;
use crate::snapshot::{LoadBalancerIngress, ObjectKey, Snapshot};
use crate::source::cluster::ANSWER;

/// Patches at once.
const WRITES: usize = 8;
/// How long a status that was written is taken for written though the watch has not said so yet.
const SETTLED: Duration = Duration::from_secs(5);
/// Before writing again what could not be written; it doubles up to the interval.
const RETRY: Duration = Duration::from_secs(2);

/// More tries of the last words, and the time between two.
const LAST_TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_millis(300);

/// How the status is kept.
#[derive(Clone, Debug)]
pub struct Settings {
    pub publish: Publish,
    /// `None` outside a Pod: then nothing is known of replicas.
    pub own: Option<Own>,
    /// `--status-update-interval`.
    pub interval: Duration,
    /// `--update-status-on-shutdown`.
    pub clear_at_end: bool,
    /// Which Ingresses are ours.
    pub options: Options,
}

/// The writer.
pub struct Writer {
    client: Client,
    settings: Settings,
    written: HashMap<ObjectKey, (Vec<LoadBalancerIngress>, Instant)>,
    /// Addresses of nodes, which are asked for again at every interval.
    nodes: Option<(Vec<LoadBalancerIngress>, Instant)>,
}

/// One Ingress whose status is to be written.
#[derive(Clone, Debug, PartialEq)]
struct Write {
    key: ObjectKey,
    /// Makes the write fail if the Ingress was replaced by another of its name.
    uid: Option<Arc<str>>,
    addresses: Vec<LoadBalancerIngress>,
}

impl Writer {
    pub fn new(client: Client, settings: Settings) -> Self {
        Self { client, settings, written: HashMap::new(), nodes: None }
    }

    /// Keeps the status while this replica leads. Ends with the world's sender.
    pub async fn run(mut self, mut world: watch::Receiver<World>, mut leads: watch::Receiver<bool>) {
        let mut retry = RETRY;
        loop {
            let mut written = Ok(());
            if *leads.borrow_and_update() {
                let now = world.borrow_and_update().clone();
                if now.is_known {
                    written = self.write(&now, &leads).await;
                }
            }
            let interval = self.settings.interval.max(Duration::from_secs(1));
            if let Err(error) = written {
                tracing::warn!(error, again_in = ?retry, "the status cannot be written");
                // Changes of the world do not shorten this: what refuses one patch refuses ten thousand.
                tokio::select! {
                    changed = leads.changed() => if changed.is_err() { return },
                    () = sleep(retry) => {}
                }
                retry = (retry * 2).min(interval.max(RETRY));
                continue;
            }
            retry = RETRY;
            tokio::select! {
                changed = world.changed() => if changed.is_err() { return },
                changed = leads.changed() => if changed.is_err() { return },
                () = sleep(interval) => {}
            }
        }
    }

    /// Writes what differs, while this replica leads.
    async fn write(&mut self, world: &World, leads: &watch::Receiver<bool>) -> Result<(), String> {
        let addresses = self.addresses(&world.snapshot).await?;
        self.written.retain(|_, (_, at)| at.elapsed() < SETTLED);
        let writes: Vec<Write> = differing(&world.snapshot, &self.settings.options, &addresses)
            .filter(|write| self.written.get(&write.key).is_none_or(|(written, _)| *written != write.addresses))
            .collect();
        self.patch(writes, || *leads.borrow()).await
    }

    /// Ends at the first patch that fails, and when this replica is not to write any more.
    async fn patch(&mut self, writes: Vec<Write>, may: impl Fn() -> bool) -> Result<(), String> {
        let client = &self.client;
        let patches = futures_util::stream::iter(writes).map(async |write| (patch(client, &write).await, write));
        let mut patches = std::pin::pin!(patches.buffer_unordered(WRITES));
        while let Some((result, Write { key, addresses, .. })) = patches.next().await {
            result.map_err(|error| format!("Ingress {key}: {error}"))?;
            tracing::debug!(ingress = %key, ?addresses, "status written");
            self.written.insert(key, (addresses, Instant::now()));
            if !may() {
                break;
            }
        }
        Ok(())
    }

    /// The addresses that every Ingress is to have, or why they cannot be found out now.
    async fn addresses(&mut self, snapshot: &Snapshot) -> Result<Vec<LoadBalancerIngress>, String> {
        match &self.settings.publish {
            Publish::Addresses(list) => Ok(addresses::sorted(list.iter().map(|text| address(text)).collect())),
            Publish::Service(key) => {
                let service = snapshot.services.get(key);
                let service = service.ok_or_else(|| format!("--publish-service: there is no Service {key}"))?;
                Ok(addresses::of_service(service))
            }
            Publish::Nodes { internal } => self.nodes(*internal).await,
        }
    }

    /// The addresses of the nodes, at most an interval old.
    async fn nodes(&mut self, internal: bool) -> Result<Vec<LoadBalancerIngress>, String> {
        let fresh = |at: &Instant| at.elapsed() < self.settings.interval;
        if let Some((known, _)) = self.nodes.as_ref().filter(|(_, at)| fresh(at)) {
            return Ok(known.clone());
        }
        let own = self.settings.own.as_ref().ok_or("this is no Pod: nothing is known of nodes")?;
        let list = match timeout(ANSWER, own.nodes(&self.client, internal)).await {
            Ok(Ok(Some(list))) => addresses::sorted(list),
            Ok(Ok(None)) => return Err(format!("there is no Pod {}/{}", own.namespace, own.name)),
            Ok(Err(error)) => return Err(format!("the addresses of the nodes cannot be read: {error}")),
            Err(_) => return Err("no answer about Pods and nodes".to_owned()),
        };
        self.nodes = Some((list.clone(), Instant::now()));
        Ok(list)
    }

    /// At the end of the process: takes the addresses away, if this replica leads and is the last one.
    pub async fn clear(mut self, world: &World) {
        if !self.settings.clear_at_end {
            return;
        }
        if let Some(own) = &self.settings.own {
            let mut asked = timeout(ANSWER, own.has_others(&self.client)).await;
            // A kept connection may have been closed meanwhile: a new one is made for the next try.
            for _ in 0..LAST_TRIES {
                if matches!(asked, Ok(Ok(_))) {
                    break;
                }
                sleep(PAUSE).await;
                asked = timeout(ANSWER, own.has_others(&self.client)).await;
            }
            match asked {
                Ok(Ok(Some(false))) => {}
                Ok(Ok(Some(true))) => return tracing::info!("the status stays: other replicas run"),
                Ok(Ok(None)) => return tracing::info!("the status stays: this is no Pod, other replicas may run"),
                Ok(Err(error)) => return tracing::warn!(%error, "the status stays: nothing is known of other replicas"),
                Err(_) => return tracing::warn!("the status stays: no answer about other replicas"),
            }
        }
        let ours = match self.addresses(&world.snapshot).await {
            Ok(ours) => ours,
            Err(error) => return tracing::warn!(error, "the status stays"),
        };
        let writes: Vec<Write> = differing(&world.snapshot, &self.settings.options, &[])
            // What another controller wrote is its own.
            .filter(|write| world.snapshot.ingress_status.get(&write.key) == Some(&ours))
            .collect();
        tracing::info!(ingresses = writes.len(), "taking the status away");
        let mut written = self.patch(writes.clone(), || true).await;
        for _ in 0..LAST_TRIES {
            if written.is_ok() {
                break;
            }
            sleep(PAUSE).await;
            written = self.patch(writes.clone(), || true).await;
        }
        if let Err(error) = written {
            tracing::warn!(error, "the status stays");
        }
    }
}

/// The Ingresses that are ours and have another status.
fn differing<'a>(
    snapshot: &'a Snapshot,
    options: &'a Options,
    addresses: &'a [LoadBalancerIngress],
) -> impl Iterator<Item = Write> + 'a {
    let status = |key| snapshot.ingress_status.get(key).map_or(&[][..], Vec::as_slice);
    snapshot
        .ingresses
        .iter()
        .filter(move |(key, ingress)| status(*key) != addresses && is_owned(ingress, snapshot, options))
        .map(move |(key, ingress)| Write {
            key: key.clone(),
            uid: ingress.metadata.uid.clone(),
            addresses: addresses.to_vec(),
        })
}

/// An Ingress that is gone meanwhile is no error.
async fn patch(client: &Client, write: &Write) -> Result<(), String> {
    let api: Api<k8s_openapi::api::networking::v1::Ingress> = Api::namespaced(client.clone(), &write.key.namespace);
    let body = serde_json::json!({
        "metadata": { "uid": write.uid },
        "status": { "loadBalancer": { "ingress": write.addresses } },
    });
    match timeout(ANSWER, api.patch_status(&write.key.name, &PatchParams::default(), &Patch::Merge(body))).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(kube::Error::Api(status))) if matches!(status.code, 404 | 409) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("no answer".to_owned()),
    }
}

/// Whether an Ingress has addresses already, so that it is not new to us.
pub fn has_status(key: &ObjectKey, snapshot: &Snapshot) -> bool {
    snapshot.ingress_status.contains_key(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Ingress;

    #[test]
    fn only_ours_and_only_what_differs_is_written() {
        let wanted = vec![address("192.0.2.1")];
        let mut snapshot = Snapshot::default();
        for (name, class, status) in [
            ("new", "nginx", None),
            ("same", "nginx", Some("192.0.2.1")),
            ("old", "nginx", Some("192.0.2.7")),
            ("other", "another", None),
        ] {
            let mut ingress = Ingress::default();
            (ingress.metadata.namespace, ingress.metadata.name) = ("shop".into(), name.into());
            ingress.spec.ingress_class_name = Some(class.into());
            let key = ingress.metadata.key();
            snapshot.ingress_status.extend(status.map(|text| (key.clone(), vec![address(text)])));
            snapshot.ingresses.insert(key, Arc::new(ingress));
        }
        let options = Options::default();
        let names = |addresses: &[LoadBalancerIngress]| {
            differing(&snapshot, &options, addresses).map(|write| write.key.name.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(names(&wanted), ["new", "old"]);
        assert_eq!(names(&[]), ["old", "same"]);
    }
}
