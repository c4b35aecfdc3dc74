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
use crate::source::cluster::{ANSWER, answered, attempts, causes};

/// Patches at once.
const WRITES: usize = 8;
/// How long a status that was written is taken for written though the watch has not said so yet.
const SETTLED: Duration = Duration::from_secs(5);
/// Before writing again what could not be written; it doubles up to the interval.
const RETRY: Duration = Duration::from_secs(2);

/// Attempts of the last words, and the time between two.
const LAST_ATTEMPTS: u32 = 4;
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
        let written = |write: Write| {
            self.written.insert(write.key, (write.addresses, Instant::now()));
            *leads.borrow()
        };
        patch_all(&self.client, writes, written).await
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
        let asked = answered(own.nodes(&self.client, internal)).await;
        let asked = asked.map_err(|error| format!("the addresses of the nodes cannot be read: {error}"))?;
        let list = asked.ok_or_else(|| format!("there is no Pod {}/{}", own.namespace, own.name))?;
        let list = addresses::sorted(list);
        self.nodes = Some((list.clone(), Instant::now()));
        Ok(list)
    }

    /// At the end of the process: takes the addresses away, if this replica leads and is the last one.
    pub async fn clear(mut self, world: &World) {
        if !self.settings.clear_at_end {
            return;
        }
        if let Some(own) = &self.settings.own {
            match attempts(LAST_ATTEMPTS, PAUSE, || answered(own.has_others(&self.client))).await {
                Ok(Some(false)) => {}
                Ok(Some(true)) => return tracing::info!("the status stays: other replicas run"),
                Ok(None) => return tracing::info!("the status stays: this is no Pod, other replicas may run"),
                Err(error) => return tracing::warn!(error, "the status stays: nothing is known of other replicas"),
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
        let patched = attempts(LAST_ATTEMPTS, PAUSE, || patch_all(&self.client, writes.clone(), |_| true)).await;
        if let Err(error) = patched {
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

/// Ends at the first patch that fails, or when `written` says that this replica is not to write any more.
async fn patch_all(client: &Client, writes: Vec<Write>, mut written: impl FnMut(Write) -> bool) -> Result<(), String> {
    let patches = futures_util::stream::iter(writes).map(async |write| (patch(client, &write).await, write));
    let mut patches = std::pin::pin!(patches.buffer_unordered(WRITES));
    while let Some((result, write)) = patches.next().await {
        result.map_err(|error| format!("Ingress {}: {error}", write.key))?;
        tracing::debug!(ingress = %write.key, addresses = ?write.addresses, "status written");
        if !written(write) {
            break;
        }
    }
    Ok(())
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
        Ok(Err(error)) => Err(causes(error)),
        Err(_) => Err("no answer".to_owned()),
    }
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
