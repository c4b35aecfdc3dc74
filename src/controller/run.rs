//! The process: sockets, workers, the health port, the loop, the end.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::cluster::{ClusterSettings, Speaker};
use super::log_level::LogLevels;
use super::pace::Pace;
use super::{Controller, Status};
use crate::admin;
use crate::compile::{self, Options};
use crate::proxy::access_log::AccessLog;
use crate::proxy::{Bound, Handle, ListenAddresses, ProxyOptions, bind, generate_certificate};
use crate::snapshot::Snapshot;
use crate::source::cluster::AccessError;
use crate::source::{self, Feed, SourceError};
use crate::table::Certificate;
use crate::telemetry::{Identity, RequestOptions, Telemetry};

/// Where objects come from.
#[derive(Clone, Debug)]
pub enum Objects {
    Directory(PathBuf),
    Cluster(Box<ClusterSettings>),
}

/// How a proxy is to run.
#[derive(Clone, Debug)]
pub struct Settings {
    pub objects: Objects,
    pub listen: ListenAddresses,
    /// Empty is every address.
    pub health_addresses: Vec<IpAddr>,
    pub health_port: u16,
    /// Threads that serve requests; `None`: as many as the ConfigMap says, or as there are cores.
    pub workers: Option<NonZeroUsize>,
    pub ready_file: Option<PathBuf>,
    pub options: Options,
    pub log_level: LogLevels,
    pub identity: Identity,
    pub requests: RequestOptions,
    pub per_undefined_host: bool,
    /// The name of the election, in which a proxy on a directory has no rival.
    pub election: String,
    pub shutdown_grace: Duration,
    pub post_shutdown_grace: Duration,
}

/// What keeps the proxy from running. All of it is the user's to mend.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error("cannot listen on {0}")]
    Listen(#[source] io::Error),
    #[error("cannot listen for health checks on {0}")]
    Health(#[source] io::Error),
    #[error("cannot listen for admission reviews on {0}")]
    Admission(#[source] io::Error),
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    Access(#[from] AccessError),
    #[error("--default-backend-service: there is no Service {0}")]
    DefaultBackend(crate::snapshot::ObjectKey),
    #[error("cannot write --ready-file {0}: {1}")]
    ReadyFile(PathBuf, #[source] io::Error),
    #[error("the system refused: {0}")]
    System(#[from] io::Error),
    #[error("{0}")]
    Internal(String),
}

/// Serves until SIGTERM or SIGINT, then drains. `announce` is told the addresses once the proxy serves.
pub fn run(settings: Settings, announce: impl FnOnce(&Addresses)) -> Result<(), RunError> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).thread_name("control").enable_all().build()?;
    runtime.block_on(serve(settings, announce))
}

/// Where a running proxy listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses {
    pub http: Vec<SocketAddr>,
    pub https: Vec<SocketAddr>,
    pub health: Vec<SocketAddr>,
}

impl Addresses {
    /// `{"http": ["…"], "https": ["…"], "healthz": ["…"]}`.
    pub fn to_json(&self) -> String {
        let list = |list: &[SocketAddr]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
        serde_json::json!({
            "http": list(&self.http),
            "https": list(&self.https),
            "healthz": list(&self.health),
        })
        .to_string()
    }
}

async fn serve(mut settings: Settings, announce: impl FnOnce(&Addresses)) -> Result<(), RunError> {
    let mut term = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let internal = |error: prometheus::Error| RunError::Internal(error.to_string());
    let telemetry = Arc::new(Telemetry::new(settings.identity.clone(), settings.requests.clone()).map_err(internal)?);
    telemetry.controller.set_build_info(env!("CARGO_PKG_VERSION"), "", "");
    let log = AccessLog::start(Box::new(io::stdout()), telemetry.controller.access_log_dropped())?;
    let options = ProxyOptions { metrics_per_undefined_host: settings.per_undefined_host };
    let handle = Handle::new(options, Arc::clone(&telemetry), log.ends());
    let status =
        Status::new(Arc::clone(&handle), Arc::clone(&telemetry), matches!(settings.objects, Objects::Directory(_)));

    let health = bind(&settings.health_addresses, settings.health_port).map_err(RunError::Health)?;
    let health_addresses = health.iter().filter_map(|socket| socket.local_addr().ok()).collect();
    let admin_ends = CancellationToken::new();
    let admin = serve_health(health, &status, &settings.options.health_path, &admin_ends)?;

    let generated = generate_certificate().map_err(RunError::Internal)?;
    settings.options.fallback_certificate = Some(Arc::new(Certificate::generated(generated)));
    let mut controller =
        Controller::new(settings.options.clone(), Arc::clone(&handle), Arc::clone(&telemetry), Arc::clone(&status));
    controller.set_log_levels(settings.log_level.clone());
    let (mut feed, speaker) = match &settings.objects {
        Objects::Directory(root) => {
            telemetry.controller.set_leader(&settings.election, true);
            (follow(root.clone()).await?, None)
        }
        Objects::Cluster(cluster) => {
            let client = source::cluster::connect(&cluster.access).await?;
            let speaker =
                Speaker::start(&client, cluster, &settings.options, &telemetry).map_err(RunError::Admission)?;
            controller.publish_to(speaker.world());
            (Feed::Cluster(Box::new(cluster.watch(client, settings.options.clone()))), Some(speaker))
        }
    };
    let mut ends = std::pin::pin!(async {
        tokio::select! {
            _ = term.recv() => {}
            _ = interrupt.recv() => {}
        }
    });
    let first = tokio::select! {
        first = feed.next(None) => Some(first.ok_or_else(blind)?),
        () = ends.as_mut() => None,
    };
    let mut workers = Vec::new();
    let mut pace = Pace::default();
    let is_known = first.is_some();
    if let Some(first) = first {
        let services = &first.snapshot.services;
        if let Some(key) = settings.options.default_backend.as_ref().filter(|key| !services.contains_key(key)) {
            return Err(RunError::DefaultBackend(key.clone()));
        }
        let bound = bind_proxy(&settings, &first.snapshot).map_err(RunError::Listen)?;
        let addresses = Addresses { http: bound.http.clone(), https: bound.https.clone(), health: health_addresses };
        tokio::task::block_in_place(|| controller.apply(&first));
        drop(first);
        workers = handle.start(bound)?;
        tracing::info!(http = ?addresses.http, https = ?addresses.https, healthz = ?addresses.health, "serving");
        if let Some(path) = &settings.ready_file {
            write_ready(path, &addresses).map_err(|error| RunError::ReadyFile(path.clone(), error))?;
        }
        announce(&addresses);
        keep_up(&mut feed, &mut pace, &mut controller, ends.as_mut()).await?;
    }
    let mut ending = std::pin::pin!(drain(&settings, &handle, speaker, workers));
    // For as long as something is served, endpoints leave and certificates change. A feed that breaks down now is nobody's
    // concern any more.
    let has_ended = is_known && keep_up(&mut feed, &mut pace, &mut controller, ending.as_mut()).await.is_ok();
    if !has_ended {
        ending.await;
    }
    drop(feed);
    admin_ends.cancel();
    admin.join_all().await;
    tokio::task::spawn_blocking(move || log.close()).await.map_err(|e| RunError::Internal(e.to_string()))?;
    Ok(())
}

/// Opens the proxy's ports where the flags say, else where the ConfigMap does. Errors name the address.
fn bind_proxy(settings: &Settings, snapshot: &Snapshot) -> io::Result<Bound> {
    let said = compile::listening(snapshot, &settings.options);
    let mut listen = settings.listen.clone();
    for addresses in [&mut listen.http, &mut listen.https] {
        if addresses.is_empty() {
            addresses.clone_from(&said.addresses);
        }
    }
    let cores = || std::thread::available_parallelism().ok();
    let workers = settings.workers.or(said.workers).or_else(cores).map_or(1, NonZeroUsize::get);
    Bound::bind(&listen, workers)
}

fn blind() -> RunError {
    RunError::Internal("what is watched is not watched any more".to_owned())
}

/// Puts updates in force until `ends`.
async fn keep_up(
    feed: &mut Feed,
    pace: &mut Pace,
    controller: &mut Controller,
    mut ends: Pin<&mut impl Future<Output = ()>>,
) -> Result<(), RunError> {
    loop {
        tokio::select! {
            update = pace.next(feed) => {
                let update = update.ok_or_else(blind)?;
                pace.take(&update, |update| controller.update(update));
            }
            () = ends.as_mut() => return Ok(()),
        }
    }
}

fn serve_health(
    sockets: Vec<std::net::TcpListener>,
    status: &Arc<Status>,
    path: &str,
    ends: &CancellationToken,
) -> io::Result<JoinSet<()>> {
    let mut tasks = JoinSet::new();
    for socket in sockets {
        let inspect: Arc<dyn admin::Inspect> = Arc::<Status>::clone(status);
        let listener = tokio::net::TcpListener::from_std(socket)?;
        tasks.spawn(admin::serve(listener, inspect, path.to_owned(), ends.clone()));
    }
    Ok(tasks)
}

async fn follow(root: PathBuf) -> Result<Feed, RunError> {
    let spawned = tokio::task::spawn_blocking(move || Feed::directory(root)).await;
    Ok(spawned.map_err(|error| RunError::Internal(error.to_string()))??)
}

/// SIGTERM: not ready at once, accepting for the grace period, then only what is open (contract §19).
async fn drain(settings: &Settings, handle: &Handle, speaker: Option<Speaker>, workers: Vec<thread::JoinHandle<()>>) {
    tracing::info!(grace = ?settings.shutdown_grace, "shutting down");
    handle.announce_stop();
    let admission_ends = speaker.as_ref().map(Speaker::admission_ends);
    // Beside the draining: who looks up our address is to look elsewhere while we still answer.
    let silenced = speaker.map(|speaker| tokio::spawn(speaker.end()));
    tokio::time::sleep(settings.shutdown_grace).await;
    handle.drain();
    if let Some(admission_ends) = admission_ends {
        admission_ends.cancel();
    }
    let joined = tokio::task::spawn_blocking(move || {
        workers.into_iter().for_each(|worker| drop(worker.join()));
    });
    let _ = joined.await;
    if let Some(silenced) = silenced {
        let _ = silenced.await;
    }
    tokio::time::sleep(settings.post_shutdown_grace).await;
}

/// Written beside and renamed, so that who waits for the file never reads half of it.
fn write_ready(path: &Path, addresses: &Addresses) -> io::Result<()> {
    let beside = path.with_extension("new");
    std::fs::write(&beside, addresses.to_json())?;
    std::fs::rename(beside, path)
}
