//! The values of the ConfigMap's settings of logs and of what Ingresses may do.

use super::row::Risk;
use super::value::{FromAnnotation, or_shape};
use crate::policy::access_log::{Escape, LogFormat};
use crate::policy::logs::{ErrorLogLevel, LogTarget};

/// `log-format-upstream`, checked; how it escapes is another key's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogText(pub String);

impl FromAnnotation for LogText {
    const SHAPE: &'static str = "text with nginx variables";

    fn from_annotation(text: &str) -> Result<Self, String> {
        LogFormat::parse(text, Escape::Default).map(|_| Self(text.to_owned()))
    }
}

impl FromAnnotation for LogTarget {
    const SHAPE: &'static str = "an absolute path";

    fn from_annotation(text: &str) -> Result<Self, String> {
        Self::of_path(text)
    }
}

/// `syslog-host`: a name or an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyslogHost(pub String);

impl FromAnnotation for SyslogHost {
    const SHAPE: &'static str = "a host name or an address";

    fn from_annotation(text: &str) -> Result<Self, String> {
        let host = text.trim();
        let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
        let is_host = !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_:".contains(&b));
        or_shape(is_host.then(|| Self(host.to_owned())), text)
    }
}

/// A port that can be sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Port(pub u16);

impl FromAnnotation for Port {
    const SHAPE: &'static str = "a port from 1 to 65535";

    fn from_annotation(text: &str) -> Result<Self, String> {
        or_shape(text.trim().parse().ok().filter(|port| *port != 0).map(Self), text)
    }
}

/// Case does not matter. Anything else is the strictest, as in ingress-nginx.
impl FromAnnotation for Risk {
    const SHAPE: &'static str = "Low, Medium, High or Critical, so it counts as Low";
    const FALLBACK: Option<Self> = Some(Self::Low);

    fn from_annotation(text: &str) -> Result<Self, String> {
        let risks = [("low", Self::Low), ("medium", Self::Medium), ("high", Self::High), ("critical", Self::Critical)];
        let found = risks.iter().find(|(name, _)| text.eq_ignore_ascii_case(name));
        or_shape(found.map(|(_, risk)| *risk), text)
    }
}

impl FromAnnotation for ErrorLogLevel {
    const SHAPE: &'static str = "debug, info, notice, warn, error, crit, alert or emerg";

    fn from_annotation(text: &str) -> Result<Self, String> {
        let level = match text.trim() {
            "debug" => Some(Self::Debug),
            "info" | "notice" => Some(Self::Info),
            "warn" => Some(Self::Warn),
            "error" | "crit" | "alert" | "emerg" => Some(Self::Error),
            _ => None,
        };
        or_shape(level, text)
    }
}
