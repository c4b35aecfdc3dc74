//! Who sets what: argument before environment before file before default, for each flag by itself.

use std::ffi::OsString;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use super::arguments::Arguments;
use super::error::{ConfigError, Origin};
use super::file;
use super::flags::{Config, ROWS};
use super::row::{Row, Support};

/// A config, and what is to be said about it.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub config: Config,
    /// Lines for the log, one per flag that is not acted on and per argument that is no flag.
    pub warnings: Vec<String>,
    /// `--print-config`: print [`Loaded::effective`] and exit with 0.
    pub print_config: bool,
    /// Every flag in the order of the table, with the text that applies.
    pub settings: Vec<Setting>,
}

/// A flag's text and who wrote it.
#[derive(Clone, Debug)]
pub struct Setting {
    pub row: &'static Row,
    pub text: String,
    pub origin: Origin,
}

impl Config {
    /// `args` are those after the program's name and the sub-command; `env` looks up an environment variable.
    pub fn load(
        args: impl Iterator<Item = OsString>,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Loaded, ConfigError> {
        let arguments = Arguments::parse(args)?;
        let mut loaded = Self::from_arguments(&arguments, env, &[])?;
        loaded.warn_of_positional(&arguments.positional);
        Ok(loaded)
    }

    /// As [`Config::load`], with other defaults for some flags; what is not a flag is the caller's to judge.
    pub fn from_arguments(
        arguments: &Arguments,
        env: &dyn Fn(&str) -> Option<String>,
        defaults: &[(&str, &str)],
    ) -> Result<Loaded, ConfigError> {
        let mut warnings = Vec::new();
        let settings = settings(arguments, env, defaults, &mut warnings)?;
        for setting in &settings {
            if !(setting.row.accepts)(&setting.text) {
                return Err(bad_value(setting));
            }
        }
        warnings.extend(settings.iter().filter_map(not_acted_on));
        let setting = |name: &str| settings.iter().find(|setting| setting.row.name == name);
        let text = |name: &'static str| setting(name).map_or("", |setting| setting.text.as_str());
        let pod = |variable: &str| env(variable).filter(|text| !text.is_empty());
        let config = Self::read(text, pod("POD_NAME"), pod("POD_NAMESPACE")).map_err(|name| match setting(name) {
            Some(setting) => bad_value(setting),
            None => ConfigError::BadValue { flag: name, value: String::new(), shape: "set", origin: Origin::Default },
        })?;
        config.validate(text)?;
        let print_config = setting("print-config").is_some_and(Setting::is_on);
        Ok(Loaded { config, warnings, print_config, settings })
    }
}

impl Loaded {
    /// Arguments that are no flags, which ingress-nginx reads over in silence, get a warning each.
    pub fn warn_of_positional(&mut self, positional: &[String]) {
        self.warnings.extend(positional.iter().map(|argument| {
            format!("argument {argument:?} is ignored: it is no flag (the value of a switch stands after \"=\")")
        }));
    }

    /// The settings that have an effect as YAML that `--config` reads, each with its origin in a comment.
    pub fn effective(&self) -> String {
        let mut text = String::new();
        for (variable, value) in [("POD_NAME", &self.config.pod_name), ("POD_NAMESPACE", &self.config.pod_namespace)] {
            if let Some(value) = value {
                let _ = writeln!(text, "# {variable}={value:?} in the environment");
            }
        }
        for setting in self.settings.iter().filter(|setting| setting.row.has_field) {
            let _ = writeln!(text, "{}: {} # {}", setting.row.name, scalar(&setting.text), setting.origin);
        }
        text
    }
}

impl Setting {
    fn is_on(&self) -> bool {
        crate::base::parse::go_bool(&self.text) == Some(true)
    }
}

/// The text of every row.
fn settings(
    arguments: &Arguments,
    env: &dyn Fn(&str) -> Option<String>,
    defaults: &[(&str, &str)],
    warnings: &mut Vec<String>,
) -> Result<Vec<Setting>, ConfigError> {
    let variable = |row: &Row, warnings: &mut Vec<String>| variable(row, env, warnings);
    let path = find_file(arguments, env);
    let mut file = path.as_deref().map(file::read).transpose()?.unwrap_or_default();
    let mut settings = Vec::with_capacity(ROWS.len());
    for row in ROWS {
        let (text, origin) = if let Some(text) = arguments.get(row.name) {
            (text.to_owned(), Origin::Argument)
        } else if let Some((name, text)) = variable(row, warnings) {
            (text, Origin::Environment(name))
        } else if let (Some(text), Some(path)) = (file.remove(row.name), &path) {
            (text, Origin::File(path.clone()))
        } else {
            let other = defaults.iter().find(|(name, _)| *name == row.name);
            (other.map_or(row.default, |(_, text)| text).to_owned(), Origin::Default)
        };
        settings.push(Setting { row, text, origin });
    }
    Ok(settings)
}

/// The path of `--config`, or of its variable; neither has another source.
fn find_file(arguments: &Arguments, env: &dyn Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let given = arguments.get("config").map(str::to_owned).or_else(|| env("PORTCULLIS_CONFIG"));
    given.filter(|path| !path.is_empty()).map(|path| Path::new(&path).to_owned())
}

/// The row's variable, if it has a text. An empty variable is not set.
///
/// Kubernetes gives pods variables for each Service beside them: one named `portcullis-http` brings
/// `PORTCULLIS_HTTP_PORT=tcp://10.0.0.1:80`, which nobody meant as our flag.
fn variable(row: &Row, env: &dyn Fn(&str) -> Option<String>, warnings: &mut Vec<String>) -> Option<(String, String)> {
    if row.only_argument {
        return None;
    }
    let name = row.variable();
    let text = env(&name).filter(|text| !text.is_empty())?;
    if name.ends_with("_PORT") && text.contains("://") {
        warnings.push(format!("environment {name} is ignored: {text:?} is Kubernetes' link to a Service, not a port"));
        return None;
    }
    Some((name, text))
}

fn bad_value(setting: &Setting) -> ConfigError {
    ConfigError::BadValue {
        flag: setting.row.name,
        value: setting.text.clone(),
        shape: setting.row.shape,
        origin: setting.origin.clone(),
    }
}

fn not_acted_on(setting: &Setting) -> Option<String> {
    let Support::Ignored(why) = setting.row.support else { return None };
    (setting.origin != Origin::Default)
        .then(|| format!("flag --{} is ignored ({}): {why}", setting.row.name, setting.origin))
}

/// A YAML scalar that reads back as the same text.
fn scalar(text: &str) -> String {
    let is_plain =
        matches!(text, "true" | "false") || text.parse::<i64>().is_ok_and(|number| number.to_string() == text);
    if is_plain { text.to_owned() } else { serde_json::Value::from(text).to_string() }
}
