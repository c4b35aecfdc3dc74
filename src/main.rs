//! The binary: a command line to a command, and its exit code.

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;

use portcullis::cli::{self, Command, Input};
use portcullis::config::{Loaded, LogFormat};
use portcullis::controller::log_level::{LogLevels, SetLevel};
use portcullis::controller::{run, settings, validate, wait_shutdown};
use portcullis::policy::logs::ErrorLogLevel;
use portcullis::{demo, source};
use tracing_subscriber::EnvFilter;

/// Memory goes back to the system after a burst of connections, which the system's allocator does not do.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Exit codes: 0 done, 1 findings of `validate`, 2 errors.
fn main() -> ExitCode {
    let env = |name: &str| std::env::var(name).ok();
    match cli::parse(std::env::args_os(), &env).map_err(anyhow::Error::from).and_then(execute) {
        Ok(code) => code,
        Err(error) => {
            // {:#} has the causes; standard error may be closed, which is nobody's business here.
            let _ = writeln!(std::io::stderr(), "portcullis: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn execute(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Version => say(&format!("{}\n", cli::VERSION)),
        Command::Help(text) => say(&text),
        Command::WaitShutdown => {
            wait_shutdown::wait_shutdown()?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Run(loaded) if loaded.print_config => say(&loaded.effective()),
        Command::Demo(loaded) if loaded.print_config => say(&loaded.effective()),
        Command::Run(loaded) => {
            let log_level = start_log(&loaded);
            let settings = match loaded.config.manifests.clone() {
                Some(manifests) => settings::for_directory(&loaded.config, manifests),
                None => settings::for_cluster(&loaded.config),
            };
            run::run(run::Settings { log_level, ..settings }, |_| {})?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Demo(loaded) => {
            let log_level = start_log(&loaded);
            demo::start_backends()?;
            let manifests = demo::manifests()?;
            let shown = manifests.clone();
            let settings = run::Settings { log_level, ..settings::for_directory(&loaded.config, manifests) };
            run::run(settings, |addresses| {
                let _ = writeln!(std::io::stderr(), "{}", demo::invitation(addresses, &shown));
            })?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Validate { loaded, input } => {
            let scan = match &input {
                Input::Stdin => source::load_once(source::Input::Stdin),
                Input::Path(path) => source::load_once(source::Input::Path(path)),
            };
            let report = validate::validate(scan, &settings::options(&loaded.config));
            say(&report.text())?;
            Ok(ExitCode::from(report.exit_code()))
        }
    }
}

fn say(text: &str) -> anyhow::Result<ExitCode> {
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// The log goes to standard error: standard output is the access log's. The level can be changed by the ConfigMap's
/// `error-log-level` unless the environment or `--log-level` set it.
fn start_log(loaded: &Loaded) -> LogLevels {
    // What the client library has to say of single requests is said by who made them.
    let filter = |level: &str| EnvFilter::new(format!("{level},kube_client=off"));
    let level = loaded.config.effective_log_level().as_str();
    let environment = EnvFilter::try_from_default_env();
    let is_fixed = environment.is_ok() || loaded.config.log_level.is_some();
    let terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let log = tracing_subscriber::fmt()
        .with_env_filter(environment.unwrap_or_else(|_| filter(level)))
        .with_writer(std::io::stderr)
        .with_ansi(terminal);
    // A handle that fails belongs to a log that has ended.
    let set: Arc<SetLevel> = match loaded.config.log_format {
        LogFormat::Text => {
            let log = log.with_filter_reloading();
            let handle = log.reload_handle();
            log.init();
            Arc::new(move |wanted| drop(handle.reload(filter(wanted.map_or(level, ErrorLogLevel::as_str)))))
        }
        LogFormat::Json => {
            let log = log.json().with_filter_reloading();
            let handle = log.reload_handle();
            log.init();
            Arc::new(move |wanted| drop(handle.reload(filter(wanted.map_or(level, ErrorLogLevel::as_str)))))
        }
    };
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    if is_fixed { LogLevels::default() } else { LogLevels::new(set) }
}
