//! One case: its objects, the flags and questions of its first lines, and the text of what compile makes of it.
//!
//! `# flags:` takes the controller's flags without their dashes, `# ask:` hosts with paths to look up in the table, and
//! `# services:` makes `namespace/name:port` with one endpoint each.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use portcullis::base::diagnostic::Diagnostic;
use portcullis::compile::endpoints::ExternalNames;
use portcullis::compile::{Compiled, Memo, Options, compile};
use portcullis::policy::global::GlobalPolicy;
use portcullis::snapshot::{ObjectKey, Snapshot};
use portcullis::source::manifest::{self, Format};
use portcullis::table::{Found, RoutingTable, text};

use crate::pki;

pub struct Case {
    name: String,
    documents: Vec<String>,
    options: Options,
    asked: Vec<String>,
}

impl Case {
    pub fn read(path: &Path) -> Self {
        let raw = std::fs::read_to_string(path).unwrap();
        let said = |what: &str| {
            let lines = raw.lines().filter_map(|line| line.strip_prefix(what));
            lines.flat_map(|line| line.split_whitespace()).map(str::to_owned).collect::<Vec<_>>()
        };
        let mut documents: Vec<String> = pki::fill(&raw).split("\n---\n").map(str::to_owned).collect();
        documents.extend(said("# services: ").iter().enumerate().map(|(number, service)| ready(service, number + 1)));
        Self {
            name: path.file_stem().unwrap().to_str().unwrap().to_owned(),
            documents,
            options: options(&said("# flags: ")),
            asked: said("# ask: "),
        }
    }

    /// The objects, in the written order or in another one.
    pub fn snapshot(&self, seed: Option<u64>) -> Snapshot {
        let mut documents = self.documents.clone();
        if let Some(seed) = seed {
            shuffle(&mut documents, seed);
        }
        let read = manifest::parse(documents.join("\n---\n").as_bytes(), Format::Yaml, &"case".into());
        let read = read.unwrap_or_else(|error| panic!("{}: {error}", self.name));
        assert!(read.ignored.is_empty(), "{}: {:?}", self.name, read.ignored);
        let mut snapshot = Snapshot::default();
        for object in read.objects {
            let twice = snapshot.insert(object).map(|object| object.reference());
            assert!(twice.is_none(), "{}: {twice:?} is there twice", self.name);
        }
        snapshot
    }

    /// What requests meet, and what is told.
    pub fn compile(&self, snapshot: &Snapshot, memo: &mut Memo) -> String {
        let (mut out, diagnostics) = self.compile_apart(snapshot, memo);
        for diagnostic in diagnostics {
            // Lines change with the order of documents.
            let _ = writeln!(out, "{}", Diagnostic { origin: None, ..diagnostic });
        }
        out
    }

    /// What requests meet, to the last detail that has an order.
    pub fn details(&self, snapshot: &Snapshot) -> String {
        let compiled = compile(snapshot, &self.options, &mut Memo::default());
        let RoutingTable { routes, virtual_hosts, upstreams, upstream_tls, global, passthrough, .. } = &compiled.table;
        let mut out = format!("{routes:?} {upstreams:?} {upstream_tls:?} {global:?} {passthrough:?}");
        for host in virtual_hosts {
            let _ = write!(out, "{:?}", (&host.client_auth, &host.forbidden, &host.tls, &host.app_root, &host.snippet));
        }
        out + &self.compile_apart(snapshot, &mut Memo::default()).0
    }

    /// The same in two parts.
    pub fn compile_apart(&self, snapshot: &Snapshot, memo: &mut Memo) -> (String, Vec<Diagnostic>) {
        let compiled = compile(snapshot, &self.options, memo);
        let Compiled { table, endpoints, sources, .. } = &compiled;
        assert!(endpoints.sets.keys().eq(sources.keys()), "{}: endpoints without a source", self.name);
        let mut out = text::render(table, &endpoints.sets);
        global(&mut out, &table.global);
        for question in &self.asked {
            let _ = writeln!(out, "ask {question} -> {}", answer(table, question));
        }
        (out, compiled.all_diagnostics())
    }
}

fn options(flags: &[String]) -> Options {
    let mut options = Options { fallback_certificate: Some(pki::generated()), ..Options::default() };
    let object = |value: &str| Some(ObjectKey::parse(value, "").unwrap());
    for flag in flags.iter().map(|flag| flag.trim_end_matches(',')) {
        let (name, value) = flag.split_once('=').unwrap_or((flag, ""));
        match name {
            "watch-ingress-without-class" => options.watch_without_class = true,
            "ingress-class-by-name" => options.ingress_class_by_name = true,
            "ingress-class" => value.clone_into(&mut options.ingress_class),
            "controller-class" => value.clone_into(&mut options.controller_class),
            "watch-namespace" => value.clone_into(&mut options.watch_namespace),
            "disable-catch-all" => options.disable_catch_all = true,
            "disable-svc-external-name" => options.external_names = ExternalNames::Off,
            "enable-ssl-passthrough" => options.ssl_passthrough = true,
            "annotations-prefix" => value.clone_into(&mut options.annotations.prefix),
            "enable-annotation-validation" => options.annotations.validate = value != "false",
            "deep-inspect" => options.deep_inspect = value != "false",
            "configmap" => options.config_map = object(value),
            "tcp-services-configmap" => options.tcp_services = object(value),
            "udp-services-configmap" => options.udp_services = object(value),
            "default-ssl-certificate" => options.default_certificate = object(value),
            "default-backend-service" => options.default_backend = object(value),
            _ => panic!("no flag: {flag}"),
        }
    }
    options
}

/// A Service with a port and one ready endpoint, `10.0.0.<number>:8080`.
fn ready(service: &str, number: usize) -> String {
    let (name, port) = service.split_once(':').unwrap();
    let (namespace, name) = name.split_once('/').unwrap();
    let meta = format!("namespace: {namespace}, name: {name}");
    format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{{meta}}}\nspec: {{ports: [{{port: {port}, targetPort: 8080}}]}}\n---\n\
         apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\naddressType: IPv4\n\
         metadata: {{{meta}, labels: {{kubernetes.io/service-name: {name}}}}}\n\
         endpoints: [{{addresses: [10.0.0.{number}]}}]\nports: [{{name: \"\", port: 8080}}]"
    )
}

/// Fisher and Yates, with Knuth's generator of numbers.
fn shuffle(list: &mut [String], seed: u64) {
    let mut state = seed;
    for end in (1..list.len()).rev() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        list.swap(end, (state >> 33) as usize % (end + 1));
    }
}

/// What the ConfigMap changed for all hosts.
fn global(out: &mut String, policy: &GlobalPolicy) {
    let default = format!("{:#?}", GlobalPolicy::default());
    let usual: BTreeSet<&str> = default.lines().collect();
    for line in format!("{policy:#?}").lines().filter(|line| !usual.contains(line)) {
        let _ = writeln!(out, "global {}", line.trim().trim_end_matches(','));
    }
}

/// Where `host/path` leads.
fn answer(table: &RoutingTable, question: &str) -> String {
    let (host, path) = question.split_once('/').unwrap();
    let host = table.virtual_host(host).unwrap();
    let (index, how) = match host.paths.find(format!("/{path}").as_bytes()) {
        Found::Nothing => return format!("{} nothing", host.name),
        Found::Route(index) => (index, ""),
        Found::AddSlash(index) => (index, " with a slash"),
    };
    let labels = &table.route(index).unwrap().labels;
    let pattern = host.paths.routes().find(|(_, i)| *i == index).unwrap().0;
    format!("{} {pattern} ({}/{}){how}", host.name, labels.namespace, labels.ingress)
}
