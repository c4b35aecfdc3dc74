//! rustls' configurations for the hosts of a table, one for each distinct setting, kept from table to table.
//!
//! Hosts that ask for client certificates resume no sessions at all, so that every connection shows what it has. All others
//! share one store, so that the bound on it is one of the process; rustls resumes only under the name a session began with.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::{ClientHello, NoServerSessionStorage, ProducesTickets, ResolvesServerCert, StoresServerSessions};
use rustls::sign::CertifiedKey;

use super::ask::Ask;
use super::cache::SessionCache;
use super::session::host_name;
use super::tickets;
use crate::policy::client_certificate::Verify;
use crate::policy::client_certificate::verify::Authorities;
use crate::policy::server_tls::cipher::CIPHERS;
use crate::policy::server_tls::{ServerTls, Sessions};
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
    resumption: Option<Resumption>,
}

/// Where sessions wait to be resumed.
#[derive(Debug)]
struct Resumption {
    settings: Sessions,
    storage: Arc<dyn StoresServerSessions>,
    tickets: Option<Arc<dyn ProducesTickets>>,
}

impl Resumption {
    fn new(settings: &Sessions) -> Self {
        let storage: Arc<dyn StoresServerSessions> = match settings.cache {
            Some(bytes) => Arc::new(SessionCache::new(bytes, settings.lifetime)),
            None => Arc::new(NoServerSessionStorage {}),
        };
        let lifetime = whole_seconds(settings.lifetime);
        let tickets = settings.tickets.as_ref().and_then(|tickets| {
            let producer = tickets::producer(tickets, lifetime);
            producer.inspect_err(|error| tracing::warn!(%error, "no session tickets")).ok()
        });
        Self { settings: settings.clone(), storage, tickets: tickets.map(Arc::from) }
    }

    fn apply(&self, config: &mut ServerConfig) {
        config.session_storage = Arc::clone(&self.storage);
        match &self.tickets {
            Some(tickets) => config.ticketer = Arc::clone(tickets),
            None if self.settings.cache.is_none() => config.send_tls13_tickets = 0,
            None => {}
        }
    }
}

/// Tickets count in seconds: less than one is one, which is the least they can last.
fn whole_seconds(time: Duration) -> u32 {
    let more = u64::from(time.subsec_nanos() > 0);
    u32::try_from(time.as_secs().saturating_add(more)).unwrap_or(u32::MAX).max(1)
}

impl Configs {
    pub fn new(live: &Arc<ArcSwap<Live>>) -> Self {
        Self { resolver: Arc::new(Resolver { live: Arc::clone(live) }), known: HashMap::new(), resumption: None }
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
        let used: HashSet<&Setting> = hosts.iter().map(|(_, setting)| setting).chain([&common]).collect();
        self.known.retain(|setting, _| used.contains(setting));
        if self.resumption.as_ref().is_none_or(|known| known.settings != common.tls.sessions) {
            self.resumption = Some(Resumption::new(&common.tls.sessions));
        }
        Handshakes {
            hosts: hosts.into_iter().filter_map(|(index, setting)| Some((index, self.of(setting)?))).collect(),
            common: self.of(common),
        }
    }

    fn of(&mut self, setting: Setting) -> Option<Handshake> {
        if let Some(known) = self.known.get(&setting) {
            return Some(known.clone());
        }
        let config = match build(&setting, &self.resolver, self.resumption.as_ref()) {
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

fn build(
    setting: &Setting,
    resolver: &Arc<Resolver>,
    resumption: Option<&Resumption>,
) -> Result<ServerConfig, rustls::Error> {
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
    match resumption.filter(|_| setting.ask.is_none()) {
        Some(resumption) => resumption.apply(&mut config),
        None => {
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
    }
    Ok(config)
}

/// The provider with what the settings allow, in their order.
fn provider(tls: &ServerTls) -> CryptoProvider {
    let mut provider = aws_lc_rs::default_provider();
    limit(&mut provider, &tls.ciphers);
    if let Some(groups) = &tls.groups {
        let known = aws_lc_rs::ALL_KX_GROUPS;
        provider.kx_groups =
            groups.iter().filter_map(|n| known.iter().find(|g| u16::from(g.name()) == *n).copied()).collect();
    }
    provider
}

/// Leaves a provider these suites of TLS 1.2, in this order, after all of TLS 1.3.
pub fn limit(provider: &mut CryptoProvider, ciphers: &[u16]) {
    let tls13 = CIPHERS.iter().filter(|cipher| cipher.tls13).map(|cipher| cipher.number);
    let order = tls13.chain(ciphers.iter().copied());
    let find = |n: u16| provider.cipher_suites.iter().find(|s| u16::from(s.suite()) == n).copied();
    provider.cipher_suites = order.filter_map(find).collect();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tickets_last_at_least_a_second() {
        for (millis, seconds) in [(0, 1), (1, 1), (500, 1), (1000, 1), (1500, 2), (600_000, 600)] {
            assert_eq!(whole_seconds(Duration::from_millis(millis)), seconds, "{millis} ms");
        }
    }
}
