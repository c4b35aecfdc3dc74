//! The command line: which command, with which config. It does nothing itself.
//!
//! Flags alone are `run`, and the path of ingress-nginx's binary before them is skipped: so its Deployments start this
//! one unchanged.

use std::ffi::{OsStr, OsString};
use std::fmt::Write;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::base::nearest::nearest;
use crate::base::parse::go_bool;
use crate::config::row::Row;
use crate::config::{Arguments, Config, ConfigError, Loaded, docs, flags};

/// The program's name and version.
pub const VERSION: &str = concat!("portcullis ", env!("CARGO_PKG_VERSION"));

/// Where ingress-nginx's image has its binary; Deployments pass it as the first argument.
const INGRESS_NGINX: &str = "nginx-ingress-controller";

/// The preStop hook of ingress-nginx's chart is a program of this name; the image has one.
const WAIT_SHUTDOWN: &str = "wait-shutdown";

/// Ports that need no privilege.
const DEMO_DEFAULTS: &[(&str, &str)] = &[("http-port", "8080"), ("https-port", "8443")];

/// What the process is to do.
#[derive(Clone, Debug)]
pub enum Command {
    Run(Box<Loaded>),
    /// Its ports default to 8080 and 8443.
    Demo(Box<Loaded>),
    Validate {
        loaded: Box<Loaded>,
        input: Input,
    },
    /// End the proxy of this container and wait until it has ended.
    WaitShutdown,
    /// Print [`VERSION`].
    Version,
    /// Print this text, which ends with a line feed.
    Help(String),
}

/// What `validate` reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    Stdin,
    /// A file or a directory.
    Path(PathBuf),
}

/// Why the command line is none.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum CliError {
    #[error("unknown command {name:?}{}; see portcullis help", nearest.map_or_else(String::new, |name| format!("; did you mean {name}?")))]
    UnknownCommand { name: String, nearest: Option<&'static str> },
    #[error("{command}: argument {argument:?} is one too many")]
    TooMany { command: &'static str, argument: String },
    #[error("validate: what to read is missing: a directory, a file, or - for standard input")]
    NoInput,
    #[error("demo: flag --{0} has no meaning here, the demo brings its own objects")]
    NotForDemo(&'static str),
    #[error(transparent)]
    Config(#[from] ConfigError),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Run,
    Demo,
    Validate,
    WaitShutdown,
    Version,
    Help,
}

struct Usage {
    kind: Kind,
    name: &'static str,
    arguments: &'static str,
    doc: &'static str,
    /// The flags its help lists.
    flags: fn(&Row) -> bool,
}

static COMMANDS: [Usage; 6] = [
    Usage {
        kind: Kind::Run,
        name: "run",
        arguments: "[FLAGS]",
        doc: "Serve. The default: flags may stand without it.",
        flags: |_| true,
    },
    Usage {
        kind: Kind::Demo,
        name: "demo",
        arguments: "[FLAGS]",
        doc: "Serve an example with its own backends, on ports 8080 and 8443.",
        flags: is_for_demo,
    },
    Usage {
        kind: Kind::Validate,
        name: "validate",
        arguments: "[FLAGS] DIR|FILE|-",
        doc: "Check manifests and say what would become of them.",
        flags: |row| row.group == "Objects",
    },
    Usage {
        kind: Kind::WaitShutdown,
        name: WAIT_SHUTDOWN,
        arguments: "",
        doc: "End the proxy of this container and wait for it: a preStop hook without a shell.",
        flags: |_| false,
    },
    Usage { kind: Kind::Version, name: "version", arguments: "", doc: "Print the version.", flags: |_| false },
    Usage { kind: Kind::Help, name: "help", arguments: "[COMMAND]", doc: "Print this text.", flags: |_| false },
];

/// Reads the command line. `args` begins with the program's name; `env` looks up an environment variable.
pub fn parse(args: impl Iterator<Item = OsString>, env: &dyn Fn(&str) -> Option<String>) -> Result<Command, CliError> {
    let mut args = args.peekable();
    let program = args.next().unwrap_or_default();
    if Path::new(&program).file_name() == Some(OsStr::new(WAIT_SHUTDOWN)) {
        return Ok(Command::WaitShutdown);
    }
    args.next_if(|arg| Path::new(arg).file_name() == Some(OsStr::new(INGRESS_NGINX)));
    let named = args.next_if(|arg| !arg.as_encoded_bytes().starts_with(b"-"));
    let command = named.as_deref().map(|name| find(&name.to_string_lossy())).transpose()?;
    let arguments = Arguments::parse(args)?;
    let is_on = |flag| arguments.get(flag).and_then(go_bool) == Some(true);
    if is_on("help") {
        return Ok(Command::Help(help(command)));
    }
    if is_on("version") {
        return Ok(Command::Version);
    }
    match command.map_or(Kind::Run, |command| command.kind) {
        Kind::Run => run(&arguments, env),
        Kind::Demo => demo(&arguments, env),
        Kind::Validate => validate(&arguments, env),
        Kind::WaitShutdown => Ok(Command::WaitShutdown),
        Kind::Version => Ok(Command::Version),
        Kind::Help => {
            let topic = arguments.positional.first().map(|name| find(name)).transpose()?;
            Ok(Command::Help(help(topic)))
        }
    }
}

fn run(arguments: &Arguments, env: &dyn Fn(&str) -> Option<String>) -> Result<Command, CliError> {
    let mut loaded = Config::from_arguments(arguments, env, &[])?;
    loaded.warn_of_positional(&arguments.positional);
    Ok(Command::Run(Box::new(loaded)))
}

fn demo(arguments: &Arguments, env: &dyn Fn(&str) -> Option<String>) -> Result<Command, CliError> {
    if let Some(argument) = arguments.positional.first() {
        return Err(CliError::TooMany { command: "demo", argument: argument.clone() });
    }
    let foreign = flags::ROWS.iter().find(|row| arguments.get(row.name).is_some() && !is_for_demo(row));
    if let Some(row) = foreign {
        return Err(CliError::NotForDemo(row.name));
    }
    Ok(Command::Demo(Box::new(Config::from_arguments(arguments, env, DEMO_DEFAULTS)?)))
}

fn validate(arguments: &Arguments, env: &dyn Fn(&str) -> Option<String>) -> Result<Command, CliError> {
    let loaded = Box::new(Config::from_arguments(arguments, env, &[])?);
    let input = match arguments.positional.as_slice() {
        [] => Input::Path(loaded.config.manifests.clone().ok_or(CliError::NoInput)?),
        [input] if input == "-" => Input::Stdin,
        [input] => Input::Path(PathBuf::from(input)),
        [_, argument, ..] => return Err(CliError::TooMany { command: "validate", argument: argument.clone() }),
    };
    Ok(Command::Validate { loaded, input })
}

/// The demo's objects are fixed, and there is no cluster.
fn is_for_demo(row: &Row) -> bool {
    !matches!(row.group, "Objects" | "Cluster")
}

fn find(name: &str) -> Result<&'static Usage, CliError> {
    let unknown = || CliError::UnknownCommand {
        name: name.to_owned(),
        nearest: nearest(name, COMMANDS.iter().map(|command| command.name)),
    };
    COMMANDS.iter().find(|command| command.name == name).ok_or_else(unknown)
}

/// The text for one command, or for all of them.
fn help(command: Option<&Usage>) -> String {
    let mut text = String::new();
    match command.filter(|command| command.kind != Kind::Help) {
        Some(Usage { name, arguments, doc, flags, .. }) => {
            let _ = writeln!(text, "{doc}\n\nUsage: portcullis {name} {arguments}");
            text.push_str(&docs::help(flags));
        }
        None => {
            let _ = writeln!(text, "{VERSION}: an ingress controller and reverse proxy\n");
            let _ = writeln!(text, "Usage: portcullis [COMMAND] [FLAGS]\n");
            for command in &COMMANDS {
                let _ = writeln!(text, "  {:<28} {}", format!("{} {}", command.name, command.arguments), command.doc);
            }
            let _ = writeln!(text, "\nportcullis run --help lists the flags.");
        }
    }
    text
}

#[cfg(test)]
mod tests;
