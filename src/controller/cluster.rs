//! What a replica has to do with the cluster besides watching it: it speaks for all replicas while it leads.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::admission;
use super::events::Events;
use super::leader::Election;
use super::status::{self, Own, Publish, Writer};
use super::world::World;
use crate::compile::{Options, refs};
use crate::source::Cluster;
use crate::source::cluster::{Access, Scope};
use crate::telemetry::Telemetry;

/// For taking the status of all Ingresses away; ten thousand take half a minute.
const CLEARING: Duration = Duration::from_secs(60);

/// How the cluster is watched and spoken to.
#[derive(Clone, Debug)]
pub struct ClusterSettings {
    pub access: Access,
    pub scope: Scope,
    /// `None` outside a Pod.
    pub own: Option<Own>,
    /// `None` with `--disable-leader-election`, or outside a Pod: then this replica speaks as if it led.
    pub election: Option<Election>,
    /// `None` with `--update-status=false`.
    pub publish: Option<Publish>,
    pub status_interval: Duration,
    pub clear_at_end: bool,
    /// `false` with `--disable-sync-events`.
    pub sync_events: bool,
    /// `--validating-webhook`.
    pub admission: Option<admission::Settings>,
    /// `false` with `--update-status=false`: a replica that only looks on says nothing at all.
    pub speaks: bool,
}

impl ClusterSettings {
    pub fn watch(&self, client: Client, options: Options) -> Cluster {
        let refer = move |snapshot: &_| refs::references(snapshot, &options);
        Cluster::start(client, self.scope.clone(), Box::new(refer))
    }
}

/// The tasks that speak.
pub struct Speaker {
    client: Client,
    world: watch::Sender<World>,
    leads: Arc<watch::Sender<bool>>,
    election_ends: CancellationToken,
    election: Option<JoinHandle<()>>,
    status: Option<(status::Settings, JoinHandle<()>)>,
    admission_ends: CancellationToken,
}

impl Speaker {
    /// Errors if the admission server cannot listen.
    pub fn start(
        client: &Client,
        settings: &ClusterSettings,
        options: &Options,
        telemetry: &Arc<Telemetry>,
    ) -> io::Result<Self> {
        let world = watch::Sender::new(World::default());
        let leads = Arc::new(watch::Sender::new(settings.election.is_none()));
        let election_ends = CancellationToken::new();
        let election = settings.election.clone().map(|election| {
            tokio::spawn(measure(leads.subscribe(), election.name.clone(), Arc::clone(telemetry)));
            tokio::spawn(election.run(client.clone(), Arc::clone(&leads), election_ends.clone()))
        });
        if settings.speaks {
            let instance = settings.own.as_ref().map_or_else(String::new, |own| own.name.clone());
            let events = Events::new(client.clone(), instance, options.clone(), settings.sync_events);
            tokio::spawn(events.run(world.subscribe(), leads.subscribe()));
        }
        let status = settings.publish.clone().map(|publish| {
            let settings = status::Settings {
                publish,
                own: settings.own.clone(),
                interval: settings.status_interval,
                clear_at_end: settings.clear_at_end,
                options: options.clone(),
            };
            let writer = Writer::new(client.clone(), settings.clone());
            (settings, tokio::spawn(writer.run(world.subscribe(), leads.subscribe())))
        });
        let admission_ends = CancellationToken::new();
        if let Some(admission) = settings.admission.clone() {
            let ends = admission_ends.clone();
            admission::start(admission, client.clone(), world.subscribe(), leads.subscribe(), ends)?;
        }
        Ok(Self { client: client.clone(), world, leads, election_ends, election, status, admission_ends })
    }

    /// Where the newest world is put.
    pub fn world(&self) -> watch::Sender<World> {
        self.world.clone()
    }

    /// Ends the admission server. It is called for as long as this Pod is an endpoint of its Service.
    pub fn admission_ends(&self) -> CancellationToken {
        self.admission_ends.clone()
    }

    /// The end of the process: the last one that leads takes the status away, then the lease is given back.
    pub async fn end(self) {
        if let Some((settings, writer)) = self.status {
            writer.abort();
            let _ = writer.await;
            let world = self.world.borrow().clone();
            if *self.leads.borrow() && world.is_known {
                let clear = Writer::new(self.client, settings).clear(&world);
                if tokio::time::timeout(CLEARING, clear).await.is_err() {
                    tracing::warn!("the API server is too slow: some status stays");
                }
            }
        }
        self.election_ends.cancel();
        if let Some(election) = self.election {
            let _ = election.await;
        }
    }
}

/// Keeps the metric of the election in step.
async fn measure(mut leads: watch::Receiver<bool>, name: String, telemetry: Arc<Telemetry>) {
    loop {
        let now = *leads.borrow_and_update();
        telemetry.controller.set_leader(&name, now);
        if leads.changed().await.is_err() {
            return;
        }
    }
}
