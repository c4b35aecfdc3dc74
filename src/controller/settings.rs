//! The process's config as the proxy's and compile's own settings.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::admission;
use super::cluster::ClusterSettings;
use super::leader::Election;
use super::log_level::LogLevels;
use super::run::{Objects, Settings};
use super::status::{Own, Publish};
use crate::compile::Options;
use crate::compile::annotations::ParseOptions;
use crate::compile::endpoints::ExternalNames;
use crate::compile::options::RESERVED_PORTS;
use crate::config::{Config, NamespacedName};
use crate::proxy::ListenAddresses;
use crate::snapshot::{Kind, ObjectKey};
use crate::source::cluster::{Access, Scope, SecretScope};
use crate::telemetry::{Identity, RequestOptions};

/// What compile reads of the flags.
pub fn options(config: &Config) -> Options {
    Options {
        ingress_class: config.ingress_class.clone(),
        controller_class: config.controller_class.clone(),
        ingress_class_by_name: config.ingress_class_by_name,
        watch_without_class: config.watch_ingress_without_class,
        watch_namespace: config.watch_namespace.clone().unwrap_or_default(),
        disable_catch_all: config.disable_catch_all,
        external_names: match config.disable_svc_external_name {
            true => ExternalNames::Off,
            false if config.manifests.is_some() => ExternalNames::Loopback,
            false => ExternalNames::Elsewhere,
        },
        annotations: ParseOptions {
            prefix: config.annotations_prefix.clone(),
            validate: config.enable_annotation_validation,
        },
        deep_inspect: config.deep_inspect,
        config_map: key(config.configmap.as_ref()),
        tcp_services: key(config.tcp_services_configmap.as_ref()),
        udp_services: key(config.udp_services_configmap.as_ref()),
        ssl_passthrough: config.enable_ssl_passthrough,
        reserved_ports: reserved_ports(config),
        default_certificate: key(config.default_ssl_certificate.as_ref()),
        default_backend: key(config.default_backend_service.as_ref()),
        health_path: config.health_check_path.as_str().into(),
        fallback_certificate: None,
    }
}

fn key(name: Option<&NamespacedName>) -> Option<ObjectKey> {
    name.map(|name| ObjectKey::new(name.namespace.as_str(), name.name.as_str()))
}

/// The ports that ingress-nginx keeps, and those that are listened on here.
fn reserved_ports(config: &Config) -> BTreeSet<u16> {
    let own = [config.http_port, config.https_port, config.healthz_port].into_iter();
    let own = own.chain(config.validating_webhook.map(|(_, port)| port));
    own.filter(|port| *port != 0).chain(RESERVED_PORTS).collect()
}

/// How a proxy on a directory of manifests runs.
pub fn for_directory(config: &Config, manifests: PathBuf) -> Settings {
    settings(config, Objects::Directory(manifests))
}

/// How a proxy on a cluster runs.
pub fn for_cluster(config: &Config) -> Settings {
    settings(config, Objects::Cluster(Box::new(cluster(config))))
}

fn cluster(config: &Config) -> ClusterSettings {
    let own = match (&config.pod_namespace, &config.pod_name) {
        (Some(namespace), Some(name)) => Some(Own { namespace: namespace.clone(), name: name.clone() }),
        _ => None,
    };
    let election = own.as_ref().filter(|_| !config.disable_leader_election).map(|own| Election {
        namespace: own.namespace.clone(),
        name: config.election_id.clone(),
        identity: own.name.clone(),
        ttl: config.election_ttl,
    });
    ClusterSettings {
        access: Access {
            kubeconfig: config.kubeconfig.clone(),
            server: config.apiserver_host.clone(),
            authority: config.certificate_authority.clone(),
        },
        scope: scope(config),
        election,
        publish: config.update_status.then(|| publish(config)).filter(|publish| match publish {
            Publish::Nodes { .. } => own.is_some(),
            Publish::Addresses(_) | Publish::Service(_) => true,
        }),
        own,
        status_interval: config.status_update_interval,
        clear_at_end: config.update_status_on_shutdown,
        admission: admission(config),
        sync_events: !config.disable_sync_events,
        speaks: config.update_status,
    }
}

fn admission(config: &Config) -> Option<admission::Settings> {
    let (address, port) = config.validating_webhook?;
    let files = config.validating_webhook_certificate.clone().zip(config.validating_webhook_key.clone());
    let origin = match files {
        Some((certificate, key)) => admission::Origin::Files { certificate, key },
        None => admission::Origin::Own(admission::Own {
            names: config.validating_webhook_service.as_ref().map_or_else(Vec::new, service_names),
            secret: key(config.validating_webhook_secret.as_ref()),
            configuration: config.validating_webhook_configuration.clone(),
        }),
    };
    Some(admission::Settings { address, port, origin, options: options(config) })
}

/// The names that a Service is called by.
fn service_names(service: &NamespacedName) -> Vec<String> {
    let name = format!("{}.{}.svc", service.name, service.namespace);
    vec![format!("{name}.cluster.local"), name]
}

fn publish(config: &Config) -> Publish {
    match key(config.publish_service.as_ref()) {
        _ if !config.publish_status_address.is_empty() => Publish::Addresses(config.publish_status_address.clone()),
        Some(service) => Publish::Service(service),
        None => Publish::Nodes { internal: config.report_node_internal_ip_address },
    }
}

fn scope(config: &Config) -> Scope {
    let secrets = match (config.secrets.as_slice(), config.secrets_namespaces.as_slice()) {
        ([], []) => SecretScope::Watched,
        ([], namespaces) => SecretScope::Namespaces(namespaces.iter().cloned().collect()),
        (names, _) => SecretScope::Named(names.iter().filter_map(|name| key(Some(name))).collect()),
    };
    let named = [
        (Kind::ConfigMap, &config.configmap),
        (Kind::ConfigMap, &config.tcp_services_configmap),
        (Kind::ConfigMap, &config.udp_services_configmap),
        (Kind::Secret, &config.default_ssl_certificate),
        (Kind::Service, &config.default_backend_service),
        (Kind::EndpointSlice, &config.default_backend_service),
        (Kind::Service, &config.publish_service),
    ];
    Scope {
        namespace: config.watch_namespace.clone(),
        namespace_selector: config.watch_namespace_selector.clone(),
        secrets,
        named: named.into_iter().filter_map(|(kind, name)| Some((kind, key(name.as_ref())?))).collect(),
    }
}

fn settings(config: &Config, objects: Objects) -> Settings {
    Settings {
        listen: ListenAddresses {
            http: config.http_address.clone(),
            https: config.https_address.clone(),
            http_port: config.http_port,
            https_port: config.https_port,
        },
        health_addresses: config.healthz_host.clone(),
        health_port: config.healthz_port,
        workers: config.workers,
        ready_file: config.ready_file.clone(),
        options: options(config),
        log_level: LogLevels::default(),
        identity: Identity {
            namespace: config.pod_namespace.clone().unwrap_or_default(),
            class: config.controller_class.clone(),
            pod: config.pod_name.clone().unwrap_or_default(),
        },
        requests: requests(config, matches!(objects, Objects::Directory(_))),
        per_undefined_host: config.metrics_per_undefined_host,
        election: config.election_id.clone(),
        shutdown_grace: config.shutdown_grace_period,
        post_shutdown_grace: config.post_shutdown_grace_period,
        objects,
    }
}

fn requests(config: &Config, is_directory: bool) -> RequestOptions {
    RequestOptions {
        // Off by default in a cluster, as ingress-nginx; a directory's user has no chart that switches it on.
        enabled: config.enable_metrics.unwrap_or(is_directory),
        per_host: config.metrics_per_host,
        status_classes: config.report_status_classes,
        time_buckets: config.time_buckets.clone(),
        length_buckets: config.length_buckets.clone(),
        size_buckets: config.size_buckets.clone(),
        excluded: config.exclude_socket_metrics.clone(),
        ..RequestOptions::default()
    }
}
