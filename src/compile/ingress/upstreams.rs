//! Backends to upstreams. One upstream is shared by all that name its Service and port; what is its own comes from
//! the first Ingress that names it (contract §2.4).

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::balance::Draft;
use super::servers::DEFAULT_SERVER;
use super::{Input, Owned};
use crate::compile::endpoints::{Endpoints, Owner, Plan, PortLookup, SliceIndex, Source};
use crate::compile::intern::Interner;
use crate::snapshot::{IngressServiceBackend, ObjectKey, ServiceBackendPort};
use crate::table::{Alternative, Index, Target, Upstream, UpstreamKey};

/// Where a location's requests go, with the Service and port as text.
#[derive(Clone, Debug)]
pub struct Backend {
    pub target: Target,
    pub service: Arc<str>,
    pub port: Arc<str>,
}

/// What the default backend's upstream is called in place of its Service. No Service can have this name, so that no
/// rule's upstream is the same one.
pub fn default_upstream(service: &str) -> Arc<str> {
    format!("{DEFAULT_SERVER}{service}").into()
}

/// What the upstream of a URL that names a Service is called in place of it. Its settings are nobody's but the URL's.
pub fn url_upstream(service: &str) -> Arc<str> {
    format!("url:{service}").into()
}

#[derive(Debug)]
pub struct Upstreams<'a> {
    input: Input<'a>,
    /// Port numbers as text.
    ports: Interner<str>,
    list: Vec<Upstream>,
    index: HashMap<UpstreamKey, Index>,
    /// In step with `list`.
    sources: Vec<Source>,
    /// In step with `list`.
    drafts: Vec<Draft>,
    default: Target,
}

impl<'a> Upstreams<'a> {
    pub fn new(input: Input<'a>) -> Self {
        let mut upstreams = Self {
            input,
            ports: Interner::default(),
            list: Vec::new(),
            index: HashMap::default(),
            sources: Vec::new(),
            drafts: Vec::new(),
            default: Target::NotFound,
        };
        if let Some(key) = &input.options.default_backend {
            upstreams.default = upstreams.add_default(key);
        }
        upstreams
    }

    /// Where requests go that no rule has: `--default-backend-service`, else the built-in 404.
    pub fn default_target(&self) -> Target {
        self.default
    }

    pub fn default_index(&self) -> Option<Index> {
        match self.default {
            Target::Upstream(index) => Some(index),
            Target::NotFound => None,
        }
    }

    /// The upstream of an Ingress's `default-backend`: the first port of the Service, if there is one.
    pub fn stand_in(&mut self, owner: usize, owned: &[Owned]) -> Option<Index> {
        let item = owned.get(owner)?;
        let name: Arc<str> = item.annotations().default_backend.as_ref()?.0.as_str().into();
        let service = ObjectKey { namespace: item.key.namespace.clone(), name: name.clone() };
        let port = self.input.snapshot.services.get(&service)?.spec.ports.first()?.port;
        let backend = IngressServiceBackend { name, port: ServiceBackendPort { number: Some(port), name: None } };
        let key = self.key(&backend, item.key.namespace.clone());
        let known = self.index.contains_key(&key);
        let Target::Upstream(index) = self.add(&backend, owner, owned).target else { return None };
        if let (false, Some(source)) = (known, self.sources.get_mut(index as usize)) {
            source.owner = Some(Owner::StandIn(Arc::clone(&item.ingress)));
        }
        Some(index)
    }

    /// A rule of this Ingress leads there.
    pub fn meet(&mut self, target: Target, item: &Owned) {
        let a = item.annotations();
        if let (Target::Upstream(index), true) = (target, a.affinity.is_some() || a.affinity_mode.is_some())
            && let Some(draft) = self.drafts.get_mut(index as usize)
        {
            draft.meet(a);
        }
    }

    /// Makes an alternative keep clients as its main upstream does.
    pub fn follow(&mut self, alternative: Index, main: Index) {
        if let Some(main) = self.drafts.get(main as usize).cloned()
            && let Some(draft) = self.drafts.get_mut(alternative as usize)
        {
            draft.follow(&main);
        }
    }

    /// The first port of the default backend's Service. It has an upstream of its own, marked as such.
    fn add_default(&mut self, service: &ObjectKey) -> Target {
        let known = self.input.snapshot.services.get(service);
        let Some(port) = known.and_then(|s| s.spec.ports.first()) else { return Target::NotFound };
        let port: Arc<str> = port.port.to_string().into();
        let key = UpstreamKey {
            namespace: service.namespace.clone(),
            service: default_upstream(&service.name),
            port: port.clone(),
        };
        let plan = Plan {
            service: service.clone(),
            port,
            lookup: PortLookup::Backend,
            cluster_ip: false,
            external_name: self.input.options.external_names,
            otherwise: None,
        };
        self.push(key, "upstream-default-backend".into(), plan, Draft::default(), None)
    }

    /// What a backend's upstream is called.
    pub fn key(&mut self, backend: &IngressServiceBackend, namespace: Arc<str>) -> UpstreamKey {
        let port: Arc<str> = match (&backend.port.name, backend.port.number) {
            (Some(name), _) if !name.is_empty() => name.clone(),
            (_, Some(number)) => self.ports.text(itoa::Buffer::new().format(number)),
            _ => self.ports.text("0"),
        };
        UpstreamKey { namespace, service: backend.name.clone(), port }
    }

    /// The upstream of a backend, with its Service and port as text.
    pub fn add(&mut self, backend: &IngressServiceBackend, owner: usize, owned: &[Owned]) -> Backend {
        let item = owned.get(owner);
        let namespace = item.map_or_else(|| Arc::from(""), |i| i.key.namespace.clone());
        let key = self.key(backend, namespace.clone());
        let port = key.port.clone();
        if let Some((known, &index)) = self.index.get_key_value(&key) {
            let (service, port) = (Arc::clone(&known.service), Arc::clone(&known.port));
            return Backend { target: Target::Upstream(index), service, port };
        }
        let default = item.map_or(&self.input.settings.main, |item| self.input.settings.of(&item.ingress));
        let annotations = item.map(|i| i.annotations());
        let cluster_ip = annotations.and_then(|a| a.service_upstream).map_or(default.service_upstream, |b| b.0);
        let plan = Plan {
            service: ObjectKey { namespace, name: backend.name.clone() },
            port: port.clone(),
            lookup: PortLookup::Backend,
            cluster_ip,
            external_name: self.input.options.external_names,
            otherwise: None,
        };
        let name = format!("{}-{}-{}", key.namespace, key.service, key.port).into();
        let first = item.map(|item| match item.is_canary() {
            true => Owner::Canary(Arc::clone(&item.ingress)),
            false => Owner::Ingress(Arc::clone(&item.ingress)),
        });
        let draft = annotations.map(|a| Draft::new(a, default)).unwrap_or_default();
        Backend { target: self.push(key, name, plan, draft, first), service: backend.name.clone(), port }
    }

    /// The upstream of a URL's host and port.
    pub fn add_host(&mut self, host: &str, port: u16, source: Source) -> Index {
        let of = &source.plan.service;
        let (namespace, service) = match &*of.namespace {
            // No namespace has this name, so that no rule's upstream is the same one.
            "" => (DEFAULT_SERVER.into(), host.into()),
            _ => (Arc::clone(&of.namespace), url_upstream(&of.name)),
        };
        let port = self.ports.text(itoa::Buffer::new().format(port));
        let key = UpstreamKey { namespace, service, port };
        if let Some(index) = self.index.get(&key) {
            return *index;
        }
        let name = format!("{host}:{}", key.port).into();
        match self.push(key, name, source.plan, Draft::default(), source.owner) {
            Target::Upstream(index) => index,
            Target::NotFound => Index::MAX,
        }
    }

    fn push(&mut self, key: UpstreamKey, name: Arc<str>, plan: Plan, draft: Draft, first: Option<Owner>) -> Target {
        let index = Index::try_from(self.list.len()).unwrap_or(Index::MAX);
        self.index.insert(key.clone(), index);
        let is_default_backend = first.is_none();
        self.sources.push(Source { plan, owner: first });
        self.drafts.push(draft);
        self.list.push(Upstream { key, name, is_default_backend, alternative: None, balance: None });
        Target::Upstream(index)
    }

    pub fn get(&self, index: Index) -> Option<&Upstream> {
        self.list.get(index as usize)
    }

    /// Gives an upstream the alternative that it has not had.
    pub fn set_alternative(&mut self, index: Index, alternative: Alternative) {
        if let Some(upstream) = self.list.get_mut(index as usize) {
            upstream.alternative = Some(alternative);
        }
    }

    /// Resolves every upstream's endpoints.
    pub fn finish(mut self) -> (Vec<Upstream>, BTreeMap<UpstreamKey, Source>, Endpoints) {
        for (upstream, draft) in self.list.iter_mut().zip(self.drafts) {
            upstream.balance = draft.build(&upstream.key);
        }
        let slices = SliceIndex::new(self.input.snapshot);
        let mut problems = BTreeMap::new();
        // Sorted once: a map that is built entry by entry compares ten times as many keys.
        let (mut sets, mut sources) = (Vec::with_capacity(self.list.len()), Vec::with_capacity(self.list.len()));
        for (Upstream { key, .. }, source) in self.list.iter().zip(self.sources) {
            let of = slices.of(&source.plan.service).iter().copied();
            let (set, problem) = source.resolve(self.input.snapshot, of);
            sets.push((key.clone(), set));
            problems.extend(problem.map(|problem| (key.clone(), problem)));
            sources.push((key.clone(), source));
        }
        (self.list, sources.into_iter().collect(), Endpoints { sets: sets.into_iter().collect(), problems })
    }
}
