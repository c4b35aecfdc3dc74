//! What the process was told: arguments, environment and file become one validated [`Config`].
//!
//! The flags exist once, in [`flags`]; struct, reader, help and docs/flags.md derive from there. Per flag, an argument
//! comes before the environment, that before the file of `--config`, that before the default. Reading that file is the
//! only I/O. It knows nothing of what the settings do.

mod arguments;
pub mod docs;
mod error;
mod file;
pub mod flags;
mod load;
pub mod row;
pub mod shape;

use std::net::IpAddr;

pub use arguments::Arguments;
pub use error::{ConfigError, Origin};
pub use flags::Config;
pub use load::{Loaded, Setting};
pub use shape::{LogFormat, LogLevel, NamespacedName};

impl Config {
    /// What is to be logged: `--log-level`, else what `--v` amounts to.
    pub fn effective_log_level(&self) -> LogLevel {
        self.log_level.unwrap_or(match self.v {
            ..5 => LogLevel::Info,
            5..9 => LogLevel::Debug,
            9.. => LogLevel::Trace,
        })
    }

    /// The rules between flags. `text` has those that are no fields.
    fn validate<'a>(&self, text: impl Fn(&'static str) -> &'a str) -> Result<(), ConfigError> {
        for (one, other) in [
            ("publish-service", "publish-status-address"),
            ("watch-namespace", "watch-namespace-selector"),
            ("secrets", "secrets-namespaces"),
            ("manifests", "kubeconfig"),
            ("manifests", "apiserver-host"),
        ] {
            if !text(one).is_empty() && !text(other).is_empty() {
                return Err(ConfigError::Exclusive { one, other });
            }
        }
        // Without the namespaces' labels more would be served than was asked for.
        if self.manifests.is_some() && self.watch_namespace_selector.is_some() {
            return Err(ConfigError::Exclusive { one: "manifests", other: "watch-namespace-selector" });
        }
        if self.validating_webhook_certificate.is_some() != self.validating_webhook_key.is_some() {
            let (flag, needs) = ("validating-webhook-certificate", "validating-webhook-key");
            return Err(ConfigError::Needs { flag, needs });
        }
        if self.validating_webhook_configuration.is_some() && self.validating_webhook_secret.is_none() {
            // Each replica would announce a certificate of its own.
            let (flag, needs) = ("validating-webhook-configuration", "validating-webhook-secret");
            return Err(ConfigError::Needs { flag, needs });
        }
        if self.validating_webhook_secret.is_some() && self.validating_webhook_service.is_none() {
            let (flag, needs) = ("validating-webhook-secret", "validating-webhook-service");
            return Err(ConfigError::Needs { flag, needs });
        }
        if self.metrics_per_undefined_host && !self.metrics_per_host {
            return Err(ConfigError::Needs { flag: "metrics-per-undefined-host", needs: "metrics-per-host" });
        }
        self.validate_ports()
    }

    fn validate_ports(&self) -> Result<(), ConfigError> {
        let http = ("http-port", self.http_port, self.http_address.as_slice());
        let https = ("https-port", self.https_port, self.https_address.as_slice());
        let healthz = ("healthz-port", self.healthz_port, self.healthz_host.as_slice());
        for ((one, port, here), (other, other_port, there)) in [(http, https), (http, healthz), (https, healthz)] {
            if port != 0 && port == other_port && overlap(here, there) {
                return Err(ConfigError::SamePort { one, other, port });
            }
        }
        Ok(())
    }
}

/// Whether two lists of addresses, of which an empty one is every address, cannot both be listened on.
fn overlap(here: &[IpAddr], there: &[IpAddr]) -> bool {
    let meet =
        |a: &IpAddr, b: &IpAddr| a == b || (a.is_ipv4() == b.is_ipv4() && (a.is_unspecified() || b.is_unspecified()));
    here.is_empty() || there.is_empty() || here.iter().any(|a| there.iter().any(|b| meet(a, b)))
}

#[cfg(test)]
mod tests;
