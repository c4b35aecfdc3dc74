//! The loop: an update comes, what cannot be taken is held back, the rest is compiled and put in force. A change of
//! endpoints alone is exchanged beside the table.
//!
//! It joins `source`, `compile` and `proxy`; nothing imports it but the commands.

mod admission;
pub mod cluster;
mod dns;
mod events;
mod last_good;
mod leader;
pub mod log_level;
mod pace;
pub mod run;
pub mod settings;
mod status;
mod tell;
pub mod validate;
pub mod wait_shutdown;
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher as _, Hash as _, Hasher as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Instant, SystemTime};

use tokio::sync::watch;
use x509_parser::oid_registry;
use x509_parser::x509::AttributeTypeAndValue;

use world::World;

use crate::admin::Inspect;
use crate::base::diagnostic::{Diagnostic, Reason};
use crate::compile::endpoints::{Endpoints, Owner, Source};
use crate::compile::{self, Compiled, Memo, Options};
use crate::proxy::{Handle, Live};
use crate::snapshot::{ObjectKey, Snapshot};
use crate::source::{Change, Update};
use crate::table::{Certificate, RoutingTable, UpstreamKey};
use crate::telemetry::Telemetry;
use crate::telemetry::controller::{CertificateLabels, Orphan, Orphans};

/// What the health port shows.
#[derive(Debug)]
pub struct Status {
    handle: Arc<Handle>,
    telemetry: Arc<Telemetry>,
    compiled: AtomicBool,
    /// The health path fails before the first table. In a cluster it does not: while the API server is away, nothing is
    /// gained by a restart.
    waits: bool,
    diagnostics: RwLock<Arc<[Diagnostic]>>,
}

impl Status {
    pub fn new(handle: Arc<Handle>, telemetry: Arc<Telemetry>, waits: bool) -> Arc<Self> {
        let diagnostics = RwLock::new(Arc::from([]));
        Arc::new(Self { handle, telemetry, compiled: AtomicBool::new(false), waits, diagnostics })
    }
}

impl Inspect for Status {
    fn ready(&self) -> Result<(), String> {
        match () {
            () if self.shutting_down() => Err("shutting down".to_owned()),
            () if !self.compiled.load(Ordering::Relaxed) => Err("the first table is not compiled yet".to_owned()),
            () => Ok(()),
        }
    }

    fn starting(&self) -> bool {
        self.waits && !self.compiled.load(Ordering::Relaxed)
    }

    fn shutting_down(&self) -> bool {
        self.handle.is_stopping()
    }

    fn metrics(&self) -> Vec<u8> {
        self.telemetry.render()
    }

    fn table_text(&self) -> String {
        let mut text = self.handle.table_text();
        for diagnostic in self.diagnostics.read().unwrap_or_else(PoisonError::into_inner).iter() {
            text.push_str("# ");
            text.push_str(&diagnostic.to_string());
            text.push('\n');
        }
        text
    }
}

/// What compile makes of an update once refused versions are held back, with all there is to say about it but for
/// endpoints, which `compiled` has. Neither sorted nor each once.
fn judge(
    update: &Update,
    options: &Options,
    memo: &mut Memo,
    last_good: &mut last_good::LastGood,
) -> (Compiled, Vec<Diagnostic>) {
    let mut diagnostics = update.diagnostics.clone();
    let admitted = last_good.admit(&update.snapshot, options, memo, &mut diagnostics);
    let mut compiled = compile::compile(&admitted, options, memo);
    diagnostics.append(&mut compiled.diagnostics);
    (compiled, diagnostics)
}

/// Turns updates into tables in force. One at a time: it owns what compile remembers.
#[derive(Debug)]
pub struct Controller {
    options: Options,
    memo: Memo,
    last_good: last_good::LastGood,
    told: tell::Told,
    dns: dns::Names,
    handle: Arc<Handle>,
    telemetry: Arc<Telemetry>,
    status: Arc<Status>,
    /// Of the table in force: how its endpoints are found, what objects and what endpoints have wrong.
    sources: Arc<BTreeMap<UpstreamKey, Source>>,
    diagnostics: Vec<Diagnostic>,
    problems: BTreeMap<UpstreamKey, Diagnostic>,
    log_level: log_level::LogLevels,
    /// Who else wants to know, in a cluster.
    world: Option<watch::Sender<World>>,
}

impl Controller {
    pub fn new(options: Options, handle: Arc<Handle>, telemetry: Arc<Telemetry>, status: Arc<Status>) -> Self {
        Self {
            options,
            memo: Memo::default(),
            last_good: last_good::LastGood::default(),
            told: tell::Told::default(),
            dns: dns::Names::new(Arc::clone(&handle)),
            handle,
            telemetry,
            status,
            sources: Arc::default(),
            diagnostics: Vec::new(),
            problems: BTreeMap::new(),
            log_level: log_level::LogLevels::default(),
            world: None,
        }
    }

    /// Has the log say what tables want of it.
    pub fn set_log_levels(&mut self, levels: log_level::LogLevels) {
        self.log_level = levels;
    }

    /// Tells what is in force from now on.
    pub fn publish_to(&mut self, world: watch::Sender<World>) {
        self.world = Some(world);
    }

    /// Puts an update in force, by the shortest way. Must run inside a tokio runtime, which resolves external names.
    pub fn update(&mut self, update: &Update) {
        let Change { routes, services, endpoints, status } = &update.change;
        let is_served = |service: &ObjectKey| {
            self.options.default_backend.as_ref() == Some(service)
                || of_service(&self.sources, service).next().is_some()
        };
        if *routes || services.iter().any(is_served) {
            self.apply(update);
            return;
        }
        let news = self.swap(&update.snapshot, endpoints);
        if news {
            self.tell();
        }
        let objects = *status || !services.is_empty();
        if news || objects {
            self.publish(objects.then_some(&*update.snapshot));
        }
    }

    /// Compiles the whole snapshot and puts its table in force.
    pub fn apply(&mut self, update: &Update) -> Arc<Live> {
        let began = Instant::now();
        let (compiled, diagnostics) = judge(update, &self.options, &mut self.memo, &mut self.last_good);
        let Compiled { table, endpoints: Endpoints { sets, problems }, sources, .. } = compiled;
        let judged = began.elapsed();
        let live = self.handle.install(table, &sets);
        let installed = began.elapsed();
        self.dns.follow(&sets);
        self.log_level.follow(live.table.global.error_log);
        self.status.compiled.store(true, Ordering::Relaxed);
        (self.sources, self.diagnostics, self.problems) = (Arc::new(sources), diagnostics, problems);
        let metrics = &self.telemetry.controller;
        metrics.config_applied(hash(&live.table), began.elapsed(), SystemTime::now());
        metrics.set_files_broken(update.broken_files);
        let table = Arc::clone(&live.table);
        metrics.set_certificates(Arc::new(move || certificates(&table)), true);
        tracing::info!(
            routes = live.table.routes.len(),
            hosts = live.table.virtual_hosts.len(),
            upstreams = live.table.upstreams.len(),
            generation = live.generation,
            took = ?began.elapsed(),
            "table in force"
        );
        self.tell();
        self.publish(Some(&update.snapshot));
        tracing::debug!(?judged, ?installed, told = ?began.elapsed(), "since the update");
        live
    }

    /// Exchanges the endpoints of these Services' upstreams; nothing else is touched. Whether there is more or less to say.
    fn swap(&mut self, snapshot: &Snapshot, services: &BTreeSet<ObjectKey>) -> bool {
        let mut problems_changed = false;
        for service in services {
            let slices = || snapshot.slices_of(service).map(|slice| &**slice);
            for (key, source) in of_service(&self.sources, service) {
                let (set, problem) = source.resolve(snapshot, slices());
                self.handle.set_endpoints(key, &set);
                problems_changed |= self.problems.get(key) != problem.as_ref();
                match problem {
                    Some(problem) => drop(self.problems.insert(key.clone(), problem)),
                    None => drop(self.problems.remove(key)),
                }
            }
        }
        problems_changed
    }

    fn tell(&mut self) {
        let all: BTreeSet<Diagnostic> = self.diagnostics.iter().chain(self.problems.values()).cloned().collect();
        let all: Vec<Diagnostic> = all.into_iter().collect();
        self.telemetry.controller.set_diagnostics(&all);
        self.told.tell(&all);
        let reasons = self.problems.iter().map(|(key, problem)| (key.clone(), problem.reason)).collect();
        self.telemetry.controller.set_orphans(orphans(Arc::clone(&self.sources), reasons));
        *self.status.diagnostics.write().unwrap_or_else(PoisonError::into_inner) = all.into();
    }

    /// What was told, and the objects if they are others, for all who follow the world.
    fn publish(&self, snapshot: Option<&Snapshot>) {
        let Some(world) = &self.world else { return };
        let view = snapshot.map(world::view);
        let diagnostics = Arc::clone(&self.status.diagnostics.read().unwrap_or_else(PoisonError::into_inner));
        world.send_modify(|world| {
            world.diagnostics = diagnostics;
            if let Some(view) = view {
                (world.snapshot, world.is_known) = (view, true);
            }
        });
    }
}

/// Which Ingresses have backends without a Service or an endpoint: of each upstream, the first Ingress that names it,
/// as ingress-nginx has it. One whose Service is missing says nothing of endpoints.
fn orphans(sources: Arc<BTreeMap<UpstreamKey, Source>>, problems: BTreeMap<UpstreamKey, Reason>) -> Orphans {
    Arc::new(move || {
        let named = sources.iter().filter_map(|(key, source)| match &source.owner {
            Some(Owner::Ingress(ingress) | Owner::Canary(ingress)) => Some((key, &ingress.metadata)),
            Some(Owner::StandIn(_) | Owner::Url(..) | Owner::Stream(..)) | None => None,
        });
        named
            .flat_map(|(key, meta)| {
                let problem = problems.get(key);
                let of = |orphan, holds| (Arc::clone(&meta.namespace), Arc::clone(&meta.name), orphan, holds);
                let missing = problem == Some(&Reason::MissingReference);
                let endpoints = (!missing).then(|| of(Orphan::NoEndpoint, problem == Some(&Reason::NoEndpoints)));
                std::iter::once(of(Orphan::NoService, missing)).chain(endpoints)
            })
            .collect()
    })
}

/// The upstreams of a Service: keys are in the order of namespace and Service.
fn of_service<'a>(
    sources: &'a BTreeMap<UpstreamKey, Source>,
    service: &'a ObjectKey,
) -> impl Iterator<Item = (&'a UpstreamKey, &'a Source)> {
    // The upstreams of the default backend and of URLs have names that no Service can have.
    let name = &service.name;
    let names = [Arc::clone(name), compile::ingress::default_upstream(name), compile::ingress::url_upstream(name)];
    names.into_iter().flat_map(move |name| {
        let first = UpstreamKey { namespace: Arc::clone(&service.namespace), service: name, port: "".into() };
        let same = {
            let (namespace, name) = (Arc::clone(&first.namespace), Arc::clone(&first.service));
            move |key: &UpstreamKey| key.namespace == namespace && key.service == name
        };
        sources.range(first..).take_while(move |(key, _)| same(key))
    })
}

/// A number for what requests meet, endpoints apart: the same table gives the same number in every process.
fn hash(table: &RoutingTable) -> u64 {
    let mut hasher = foldhash::quality::FixedState::default().build_hasher();
    for route in &table.routes {
        (&route.labels, &route.policy, route.target, route.tls).hash(&mut hasher);
    }
    for host in &table.virtual_hosts {
        (&host.name, &host.app_root, host.has_certificate, &host.snippet).hash(&mut hasher);
        host.aliases.iter().for_each(|aliases| aliases.names.hash(&mut hasher));
    }
    for (host, certificate) in table.certificates.entries() {
        (host, &certificate.secret, &certificate.serial).hash(&mut hasher);
    }
    table.upstream_tls.hash(&mut hasher);
    table.streams.hash(&mut hasher);
    hasher.write(format!("{:?}", table.global).as_bytes());
    hasher.finish()
}

fn certificates(table: &RoutingTable) -> Vec<CertificateLabels> {
    let entries = table.certificates.entries();
    let own =
        entries.iter().filter(|(_, c)| !c.secret.is_empty()).map(|(host, certificate)| (&**host, &***certificate));
    // As ingress-nginx has it, what is shown to everybody else is `_`'s, generated or not.
    let default = table.certificates.default.as_deref().map(|certificate| ("_", certificate));
    own.chain(default)
        .map(|(host, certificate)| {
            let (namespace, name) = certificate.secret.split_once('/').unwrap_or(("", &certificate.secret));
            CertificateLabels {
                namespace: namespace.to_owned(),
                host: host.to_owned(),
                secret_name: name.to_owned(),
                serial_number: certificate.serial.clone(),
                not_after: certificate.not_after,
                ..issuer(certificate)
            }
        })
        .collect()
}

/// Who issued a certificate, and the kind of its key. Read when somebody asks, so that a table holds no more texts.
fn issuer(certificate: &Certificate) -> CertificateLabels {
    let parsed = certificate.key.cert.first().and_then(|leaf| x509_parser::parse_x509_certificate(leaf).ok());
    let Some((_, leaf)) = parsed else { return CertificateLabels::default() };
    let text = |value: Option<&AttributeTypeAndValue<'_>>| {
        value.and_then(|value| value.as_str().ok()).unwrap_or_default().to_owned()
    };
    let issuer = leaf.issuer();
    let algorithm = leaf.public_key().algorithm.oid();
    let known = [
        (oid_registry::OID_PKCS1_RSAENCRYPTION, "RSA"),
        (oid_registry::OID_KEY_TYPE_EC_PUBLIC_KEY, "ECDSA"),
        (oid_registry::OID_SIG_ED25519, "Ed25519"),
    ];
    CertificateLabels {
        issuer_common_name: text(issuer.iter_common_name().last()),
        issuer_organization: text(issuer.iter_organization().next()),
        issuer_serial_number: text(issuer.iter_by_oid(&oid_registry::OID_X509_SERIALNUMBER).last()),
        public_key_algorithm: known.iter().find(|(oid, _)| oid == algorithm).map_or("0", |(_, name)| name).to_owned(),
        ..CertificateLabels::default()
    }
}
