//! rustls' configurations for the hosts of a table, one for each distinct setting, kept from table to table.
//!
//! Resumption belongs to a configuration: no session begins under one setting and goes on under another. Hosts that ask
//! for client certificates resume none at all, so that every connection shows what it has.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::ask::Ask;
use super::cache::SessionCache;
use super::session::host_name;
use super::tickets;
use crate::policy::client_certificate::Verify;
use crate::policy::client_certificate::verify::Authorities;
use crate::policy::server_tls::ServerTls;
use crate::policy::server_tls::cipher::CIPHERS;
use crate::proxy::live::Live;
use crate::table::{Index, RoutingTable, VirtualHost};

/// What handshakes of a host are made with.
#[derive(Clone, Debug)]
pub struct Handshake {
    pub config: Arc<ServerConfig>,
    /// The client is asked for a certificate.
    pub asks: bool,
}

/// The configurations of one table.
#[derive(Debug, Default)]
pub struct Handshakes {
    /// Of hosts without settings of their own, and of names that are no host. None before the first table.
    common: Option<Handshake>,
    hosts: HashMap<Index, Handshake, foldhash::fast::RandomState>,
}

impl Handshakes {
    pub fn of(&self, host: Index) -> Option<&Handshake> {
        self.hosts.get(&host).or(self.common.as_ref())
    }
}

/// All that tells one configuration from another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Setting {
    http2: bool,
    tls: ServerTls,
    ask: Option<(Arc<Authorities>, Verify, u32)>,
}

/// Configurations by their settings.
#[derive(Debug)]
pub struct Configs {
    resolver: Arc<Resolver>,
    known: HashMap<Setting, Handshake>,
}

impl Configs {
    pub fn new(live: &Arc<ArcSwap<Live>>) -> Self {
        Self { resolver: Arc::new(Resolver { live: Arc::clone(live) }), known: HashMap::new() }
    }

    /// The configurations of a table; those that only earlier ones had are forgotten.
    pub fn of_table(&mut self, table: &RoutingTable) -> Handshakes {
        let common = Setting { http2: table.global.http2, tls: table.global.tls.common.clone(), ask: None };
        let own = |host: &VirtualHost| {
            let ask = host.client_auth.as_ref().filter(|auth| auth.asks());
            let ask = ask.map(|auth| (Arc::clone(&auth.authorities), auth.verify, auth.depth));
            let tls = host.tls.as_deref();
            (ask.is_some() || tls.is_some()).then(|| Setting {
                ask,
                tls: tls.unwrap_or(&common.tls).clone(),
                http2: common.http2,
            })
        };
        let hosts: Vec<(Index, Setting)> =
            (0..).zip(&table.virtual_hosts).filter_map(|(index, host)| Some((index, own(host)?))).collect();
        self.known.retain(|setting, _| *setting == common || hosts.iter().any(|(_, used)| used == setting));
        Handshakes {
            hosts: hosts.into_iter().filter_map(|(index, setting)| Some((index, self.of(setting)?))).collect(),
            common: self.of(common),
        }
    }

    fn of(&mut self, setting: Setting) -> Option<Handshake> {
        if let Some(known) = self.known.get(&setting) {
            return Some(known.clone());
        }
        let config = match build(&setting, &self.resolver) {
            Ok(config) => Arc::new(config),
            Err(error) => {
                tracing::error!(%error, "TLS cannot be set up: its handshakes fail");
                return None;
            }
        };
        let handshake = Handshake { config, asks: setting.ask.is_some() };
        self.known.insert(setting, handshake.clone());
        Some(handshake)
    }
}

fn build(setting: &Setting, resolver: &Arc<Resolver>) -> Result<ServerConfig, rustls::Error> {
    let tls = &setting.tls;
    let mut versions = Vec::new();
    versions.extend(tls.tls13.then_some(&rustls::version::TLS13));
    versions.extend(tls.tls12.then_some(&rustls::version::TLS12));
    let builder = ServerConfig::builder_with_provider(Arc::new(provider(tls))).with_protocol_versions(&versions)?;
    let builder = match &setting.ask {
        Some((authorities, ..)) => builder.with_client_cert_verifier(Arc::new(Ask::new(authorities.subjects()))),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_cert_resolver(Arc::clone(resolver) as Arc<dyn ResolvesServerCert>);
    let protocols: &[&[u8]] = if setting.http2 { &[b"h2", b"http/1.1"] } else { &[b"http/1.1"] };
    config.alpn_protocols = protocols.iter().map(|p| p.to_vec()).collect();
    config.ignore_client_order = tls.prefer_server;
    resumption(&mut config, setting);
    Ok(config)
}

fn resumption(config: &mut ServerConfig, setting: &Setting) {
    let sessions = &setting.tls.sessions;
    let resumes = setting.ask.is_none();
    config.session_storage = match sessions.cache.filter(|_| resumes) {
        Some(bytes) => Arc::new(SessionCache::new(bytes, sessions.lifetime)),
        None => Arc::new(NoServerSessionStorage {}),
    };
    let lifetime = u32::try_from(sessions.lifetime.as_secs()).unwrap_or(u32::MAX);
    if let Some(tickets) = sessions.tickets.as_ref().filter(|_| resumes) {
        match tickets::producer(tickets, lifetime) {
            Ok(producer) => config.ticketer = producer.into(),
            Err(error) => tracing::warn!(%error, "no session tickets"),
        }
    }
    if !resumes || (sessions.cache.is_none() && sessions.tickets.is_none()) {
        config.send_tls13_tickets = 0;
    }
}

/// The provider with what the settings allow, in their order.
fn provider(tls: &ServerTls) -> CryptoProvider {
    let mut provider = aws_lc_rs::default_provider();
    let tls13 = CIPHERS.iter().filter(|cipher| cipher.tls13).map(|cipher| cipher.number);
    let order: Vec<u16> = tls13.chain(tls.ciphers.iter().copied()).collect();
    provider.cipher_suites = order
        .iter()
        .filter_map(|n| provider.cipher_suites.iter().find(|s| u16::from(s.suite()) == *n).copied())
        .collect();
    if let Some(groups) = &tls.groups {
        let known = aws_lc_rs::ALL_KX_GROUPS;
        provider.kx_groups =
            groups.iter().filter_map(|n| known.iter().find(|g| u16::from(g.name()) == *n).copied()).collect();
    }
    provider
}

/// The certificate of the table in force, for each handshake.
#[derive(Debug)]
struct Resolver {
    live: Arc<ArcSwap<Live>>,
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let live = self.live.load();
        let certificates = &live.table.certificates;
        let certificate = match hello.server_name().and_then(host_name) {
            Some(name) => certificates.find(&name),
            None => certificates.default.as_ref(),
        };
        certificate.map(|c| Arc::clone(&c.key))
    }
}
