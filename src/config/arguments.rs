//! Arguments as Go's pflag reads them: syntax only, values stay texts.
//!
//! `--flag=value`, `--flag value`, `--switch`, `-v=2`, `-v 2`, `-v2`, `-h`; what follows `--`, and what does not begin
//! with a dash, is positional. A switch takes a value only after `=`.

use std::collections::BTreeMap;
use std::ffi::OsString;

use super::error::{ConfigError, Origin};
use super::flags::ROWS;
use super::row::Row;
use crate::base::nearest::nearest;

/// The flags that have a letter, which may stand after a single dash.
const LETTERS: [(char, &str); 2] = [('v', "v"), ('h', "help")];

/// What the command line says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Arguments {
    values: BTreeMap<&'static str, String>,
    pub positional: Vec<String>,
}

impl Arguments {
    /// `args` are those after the program's name and the sub-command.
    pub fn parse(args: impl Iterator<Item = OsString>) -> Result<Self, ConfigError> {
        let mut args =
            args.map(|arg| arg.into_string().map_err(|arg| ConfigError::NotUtf8(arg.to_string_lossy().into_owned())));
        let mut parsed = Self::default();
        while let Some(arg) = args.next().transpose()? {
            let Some((row, value)) = flag(&arg)? else {
                if arg != "--" {
                    parsed.positional.push(arg);
                    continue;
                }
                parsed.positional.extend(args.collect::<Result<Vec<_>, _>>()?);
                break;
            };
            let value = match (value, row.bare) {
                (Some(value), _) => value.to_owned(),
                (None, Some(bare)) => bare.to_owned(),
                (None, None) => {
                    args.next().transpose()?.ok_or(ConfigError::NoValue { flag: row.name, shape: row.shape })?
                }
            };
            parsed.add(row, value);
        }
        Ok(parsed)
    }

    /// The text of a flag, if it was given. Lists that were given repeatedly are joined; of others, the last counts.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    fn add(&mut self, row: &'static Row, value: String) {
        match self.values.get_mut(row.name) {
            Some(values) if row.adds_up => {
                values.push(',');
                values.push_str(&value);
            }
            _ => {
                self.values.insert(row.name, value);
            }
        }
    }
}

/// The row of a flag's name, without dashes.
pub(super) fn find(name: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.name == name)
}

pub(super) fn unknown(flag: &str, origin: Origin) -> ConfigError {
    let name = flag.trim_start_matches('-');
    ConfigError::Unknown { flag: flag.to_owned(), nearest: nearest(name, ROWS.iter().map(|row| row.name)), origin }
}

/// The flag that an argument names, and the value it carries itself; `None` for positional ones and `--`.
fn flag(arg: &str) -> Result<Option<(&'static Row, Option<&str>)>, ConfigError> {
    let (row, value) = if arg == "--" || arg == "-" {
        return Ok(None);
    } else if let Some(long) = arg.strip_prefix("--") {
        let (name, value) = split(long);
        if name.is_empty() || name.starts_with('-') {
            return Err(ConfigError::BadSyntax(arg.to_owned()));
        }
        (find(name), value)
    } else if let Some(short) = arg.strip_prefix('-') {
        letter(short)
    } else {
        return Ok(None);
    };
    let spelled = split(arg).0;
    row.map(|row| Some((row, value))).ok_or_else(|| unknown(spelled, Origin::Argument))
}

/// `v=2`, `v2`, `v`, `h`.
fn letter(short: &str) -> (Option<&'static Row>, Option<&str>) {
    let mut rest = short.chars();
    let first = rest.next();
    let row = LETTERS.iter().find(|(letter, _)| Some(*letter) == first).and_then(|(_, name)| find(name));
    let rest = rest.as_str();
    let value = rest.strip_prefix('=').or((!rest.is_empty()).then_some(rest));
    // A word after one dash is a flag with a dash too few, not a letter with a value.
    let is_word = rest.starts_with(|c: char| c.is_ascii_alphabetic());
    (row.filter(|_| !is_word), value)
}

fn split(flag: &str) -> (&str, Option<&str>) {
    flag.split_once('=').map_or((flag, None), |(name, value)| (name, Some(value)))
}
