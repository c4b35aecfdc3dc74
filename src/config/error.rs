//! Where a setting came from, and what can be wrong with it. Every text names the flag and the reason.

use std::fmt;
use std::path::PathBuf;

use thiserror::Error;

/// Who set a flag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    Argument,
    /// The environment variable of this name.
    Environment(String),
    /// The file of `--config`.
    File(PathBuf),
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Argument => f.write_str("argument"),
            Self::Environment(variable) => write!(f, "environment {variable}"),
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Default => f.write_str("default"),
        }
    }
}

/// Why there is no config.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ConfigError {
    /// `flag` has its dashes when it came as an argument.
    #[error("unknown flag {flag} ({origin}){}", did_you_mean(*nearest))]
    Unknown { flag: String, nearest: Option<&'static str>, origin: Origin },
    #[error("argument {0:?} has not the form of a flag: --name or --name=value")]
    BadSyntax(String),
    #[error("argument {0:?} is not UTF-8")]
    NotUtf8(String),
    #[error("flag --{flag} needs a value: {shape}")]
    NoValue { flag: &'static str, shape: &'static str },
    #[error("flag --{flag}: {value:?} is not {shape} ({origin})")]
    BadValue { flag: &'static str, value: String, shape: &'static str, origin: Origin },
    #[error("flag --{flag} can only be given as an argument, not in the file {}", file.display())]
    OnlyArgument { flag: &'static str, file: PathBuf },
    #[error("flag --config can only be given as an argument or in the environment, not in the file {}", .0.display())]
    NestedFile(PathBuf),
    #[error("flags --{one} and --{other} exclude each other")]
    Exclusive { one: &'static str, other: &'static str },
    #[error("flag --{flag} needs --{needs}")]
    Needs { flag: &'static str, needs: &'static str },
    #[error("flags --{one} and --{other} cannot both be port {port} of one address")]
    SamePort { one: &'static str, other: &'static str, port: u16 },
    #[error("flag --config: {path}: {reason}")]
    File { path: String, reason: String },
}

fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |name| format!("; did you mean --{name}?"))
}
