//! The process's config as the proxy's and compile's own settings.

use std::path::PathBuf;

use super::run::Settings;
use crate::compile::Options;
use crate::compile::annotations::ParseOptions;
use crate::compile::endpoints::ExternalNames;
use crate::config::{Config, NamespacedName};
use crate::proxy::ListenAddresses;
use crate::snapshot::ObjectKey;
use crate::telemetry::{Identity, RequestOptions};

/// What compile reads of the flags.
pub fn options(config: &Config) -> Options {
    let key =
        |name: &Option<NamespacedName>| name.as_ref().map(|n| ObjectKey::new(n.namespace.as_str(), n.name.as_str()));
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
        config_map: key(&config.configmap),
        default_certificate: key(&config.default_ssl_certificate),
        default_backend: key(&config.default_backend_service),
        health_path: config.health_check_path.as_str().into(),
        fallback_certificate: None,
    }
}

/// How a proxy on a directory of manifests runs.
pub fn for_directory(config: &Config, manifests: PathBuf) -> Settings {
    Settings {
        manifests,
        listen: ListenAddresses {
            http: config.http_address.clone(),
            https: config.https_address.clone(),
            http_port: config.http_port,
            https_port: config.https_port,
        },
        health_addresses: config.healthz_host.clone(),
        health_port: config.healthz_port,
        workers: config.worker_count().get(),
        ready_file: config.ready_file.clone(),
        options: options(config),
        identity: Identity {
            namespace: config.pod_namespace.clone().unwrap_or_default(),
            class: config.controller_class.clone(),
            pod: config.pod_name.clone().unwrap_or_default(),
        },
        requests: requests(config),
        per_undefined_host: config.metrics_per_undefined_host,
        shutdown_grace: config.shutdown_grace_period,
        post_shutdown_grace: config.post_shutdown_grace_period,
    }
}

fn requests(config: &Config) -> RequestOptions {
    RequestOptions {
        // Off by default in a cluster, as ingress-nginx; a directory's user has no chart that switches it on.
        enabled: config.enable_metrics.unwrap_or(true),
        per_host: config.metrics_per_host,
        status_classes: config.report_status_classes,
        time_buckets: config.time_buckets.clone(),
        length_buckets: config.length_buckets.clone(),
        size_buckets: config.size_buckets.clone(),
        excluded: config.exclude_socket_metrics.clone(),
        ..RequestOptions::default()
    }
}
