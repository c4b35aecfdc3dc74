//! The loop: a scan comes, what cannot be taken is held back, the rest is compiled and put in force.
//!
//! It joins `source`, `compile` and `proxy`; nothing imports it but the commands.

mod dns;
mod last_good;
pub mod run;
pub mod settings;
mod tell;
pub mod validate;

use std::hash::{BuildHasher as _, Hash as _, Hasher as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Instant, SystemTime};

use crate::admin::Inspect;
use crate::base::diagnostic::Diagnostic;
use crate::compile::{self, Memo, Options};
use crate::proxy::{Handle, Live};
use crate::source::Scan;
use crate::table::RoutingTable;
use crate::telemetry::Telemetry;
use crate::telemetry::controller::CertificateLabels;

/// What the health port shows.
#[derive(Debug)]
pub struct Status {
    handle: Arc<Handle>,
    telemetry: Arc<Telemetry>,
    compiled: AtomicBool,
    stopping: AtomicBool,
    diagnostics: RwLock<Arc<[Diagnostic]>>,
}

impl Status {
    pub fn new(handle: Arc<Handle>, telemetry: Arc<Telemetry>) -> Arc<Self> {
        let diagnostics = RwLock::new(Arc::from([]));
        Arc::new(Self {
            handle,
            telemetry,
            compiled: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            diagnostics,
        })
    }

    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }
}

impl Inspect for Status {
    fn ready(&self) -> Result<(), String> {
        match () {
            () if self.stopping.load(Ordering::Relaxed) => Err("shutting down".to_owned()),
            () if !self.compiled.load(Ordering::Relaxed) => Err("the first table is not compiled yet".to_owned()),
            () => Ok(()),
        }
    }

    fn shutting_down(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
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

/// Turns scans into tables in force. One at a time: it owns what compile remembers.
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
        }
    }

    /// Compiles a scan and puts its table in force. Must run inside a tokio runtime, which resolves external names.
    pub fn apply(&mut self, scan: &Scan) -> Arc<Live> {
        let began = Instant::now();
        let mut diagnostics = scan.diagnostics.clone();
        let admitted = self.last_good.admit(&scan.snapshot, &self.options, &mut self.memo, &mut diagnostics);
        let compiled = compile::compile(&admitted, &self.options, &mut self.memo);
        diagnostics.extend(compiled.diagnostics);
        diagnostics.sort();
        diagnostics.dedup();
        let live = self.handle.install(compiled.table, &compiled.endpoints);
        self.dns.follow(&compiled.endpoints);
        self.status.compiled.store(true, Ordering::Relaxed);
        self.publish(&live, scan, diagnostics, began);
        live
    }

    fn publish(&mut self, live: &Live, scan: &Scan, diagnostics: Vec<Diagnostic>, began: Instant) {
        let metrics = &self.telemetry.controller;
        metrics.config_applied(hash(&live.table), began.elapsed(), SystemTime::now());
        metrics.set_files_broken(scan.broken_files);
        metrics.set_diagnostics(&diagnostics);
        metrics.set_certificates(&certificates(live), true);
        self.told.tell(&diagnostics);
        tracing::info!(
            routes = live.table.routes.len(),
            hosts = live.table.virtual_hosts.len(),
            upstreams = live.table.upstreams.len(),
            generation = live.generation,
            took = ?began.elapsed(),
            "table in force"
        );
        *self.status.diagnostics.write().unwrap_or_else(PoisonError::into_inner) = diagnostics.into();
    }
}

/// A number for what requests meet, endpoints apart: the same table gives the same number in every process.
fn hash(table: &RoutingTable) -> u64 {
    let mut hasher = foldhash::quality::FixedState::default().build_hasher();
    for route in &table.routes {
        (&route.labels, &route.policy, route.target, route.tls).hash(&mut hasher);
    }
    for host in &table.virtual_hosts {
        (&host.name, &host.app_root, host.has_certificate).hash(&mut hasher);
        host.aliases.iter().for_each(|aliases| aliases.names.hash(&mut hasher));
    }
    for (host, certificate) in table.certificates.entries() {
        (host, &certificate.secret, &certificate.serial).hash(&mut hasher);
    }
    table.upstream_tls.hash(&mut hasher);
    hasher.write(format!("{:?}", table.global).as_bytes());
    hasher.finish()
}

fn certificates(live: &Live) -> Vec<CertificateLabels> {
    let entries = live.table.certificates.entries();
    let own = entries.iter().filter(|(_, c)| !c.secret.is_empty());
    own.map(|(host, certificate)| {
        let (namespace, name) = certificate.secret.split_once('/').unwrap_or(("", &certificate.secret));
        CertificateLabels {
            namespace: namespace.to_owned(),
            host: host.clone(),
            secret_name: name.to_owned(),
            serial_number: certificate.serial.clone(),
            not_after: certificate.not_after,
            ..CertificateLabels::default()
        }
    })
    .collect()
}
