//! Where access logs go (`access-log-path` and the like, `enable-syslog`), and what the controller's own says.

use std::sync::Arc;

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum LogTarget {
    #[default]
    Stdout,
    Stderr,
    /// Appended to, and created where it does not exist.
    File(Arc<str>),
    /// RFC 3164 over UDP, one datagram a line.
    Syslog(Arc<str>, u16),
}

impl LogTarget {
    /// Reads a path. What ingress-nginx's image links to its standard streams is them here. Errors for a path that is
    /// not absolute: there is no directory of nginx it could start from.
    pub fn of_path(text: &str) -> Result<Self, String> {
        match text.trim() {
            "/dev/stdout" | "/proc/self/fd/1" | "/var/log/nginx/access.log" => Ok(Self::Stdout),
            "/dev/stderr" | "/proc/self/fd/2" | "/var/log/nginx/error.log" => Ok(Self::Stderr),
            path if path.starts_with('/') && !path.chars().any(char::is_control) => Ok(Self::File(path.into())),
            other => Err(format!("{other:?} is no absolute path")),
        }
    }
}

/// `error-log-level`, as far as the controller's log tells its levels apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorLogLevel {
    Debug,
    Info,
    Warn,
    Error,
}

impl ErrorLogLevel {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::LogTarget::{self, File, Stderr, Stdout};

    #[test]
    fn paths() {
        let rows = [
            ("/dev/stdout", Ok(Stdout)),
            ("/var/log/nginx/access.log", Ok(Stdout)),
            ("/var/log/nginx/error.log", Ok(Stderr)),
            ("/var/log/nginx/other.log", Ok(File("/var/log/nginx/other.log".into()))),
            ("logs/access.log", Err(())),
            ("", Err(())),
        ];
        for (text, expected) in rows {
            assert_eq!(LogTarget::of_path(text).map_err(|_| ()), expected, "{text:?}");
        }
    }
}
