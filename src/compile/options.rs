//! The controller's flags, as far as they decide what a snapshot means.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::annotations::ParseOptions;
use super::endpoints::ExternalNames;
use crate::snapshot::ObjectKey;
use crate::table::Certificate;

/// What ingress-nginx keeps for itself, whether or not it is used here: HTTP, HTTPS, health checks, the default server,
/// the TLS splitter, and three ports of nginx and Go (contract §18).
pub const RESERVED_PORTS: [u16; 8] = [80, 443, 10254, 8181, 442, 10245, 10246, 10247];

#[derive(Clone, Debug)]
pub struct Options {
    /// `--ingress-class`, `--controller-class`, `--ingress-class-by-name`, `--watch-ingress-without-class` (contract §1).
    pub ingress_class: String,
    pub controller_class: String,
    pub ingress_class_by_name: bool,
    pub watch_without_class: bool,
    /// `--watch-namespace`; empty is every namespace.
    pub watch_namespace: String,
    pub disable_catch_all: bool,
    pub external_names: ExternalNames,
    pub annotations: ParseOptions,
    pub config_map: Option<ObjectKey>,
    /// `--tcp-services-configmap`, `--udp-services-configmap` (contract §18).
    pub tcp_services: Option<ObjectKey>,
    pub udp_services: Option<ObjectKey>,
    /// `--enable-ssl-passthrough`.
    pub ssl_passthrough: bool,
    /// Ports that no TCP or UDP service may have.
    pub reserved_ports: BTreeSet<u16>,
    pub default_certificate: Option<ObjectKey>,
    pub default_backend: Option<ObjectKey>,
    /// `--health-check-path`, answered by the default server too (contract §8.3).
    pub health_path: Arc<str>,
    /// The certificate for hosts without one; made once at start.
    pub fallback_certificate: Option<Arc<Certificate>>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            ingress_class: "nginx".to_owned(),
            controller_class: "k8s.io/ingress-nginx".to_owned(),
            ingress_class_by_name: false,
            watch_without_class: false,
            watch_namespace: String::new(),
            disable_catch_all: false,
            external_names: ExternalNames::default(),
            annotations: ParseOptions::default(),
            config_map: None,
            tcp_services: None,
            udp_services: None,
            ssl_passthrough: false,
            reserved_ports: RESERVED_PORTS.into(),
            default_certificate: None,
            default_backend: None,
            health_path: Arc::from("/healthz"),
            fallback_certificate: None,
        }
    }
}
