//! The machinery behind every table of settings: what a row says, and how a map of texts is read against the rows.
//!
//! A table is written once, with [`settings!`]; the struct, the reader, the documents and the checks derive from it.
//! It knows neither which settings there are nor what they do.

use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

use super::value::FromAnnotation;
use super::values_access::NetworkList;
use crate::base::nearest::nearest;

/// What a setting applies to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The virtual host: the oldest Ingress of the host that sets it decides, for all of its paths.
    Server,
    /// The paths of the Ingress that carries it.
    Location,
    /// The pool of endpoints behind a Service port.
    Upstream,
    /// The Ingress as an object.
    Ingress,
    /// The whole controller: every ConfigMap key.
    Controller,
}

/// The risk that ingress-nginx gives a setting; `annotations-risk-level` is compared with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Risk {
    Low,
    Medium,
    High,
    Critical,
}

/// What a value that cannot be used costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnInvalid {
    /// The Ingress is not accepted: its last good version stays, a new one is not served.
    Reject,
    /// The paths of the Ingress answer 503.
    Deny,
    /// As if the setting were absent.
    Default,
}

/// How far a setting is acted on; the text says why not fully.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Support {
    Full,
    Partial(&'static str),
    /// Read over without harm.
    Ignored(&'static str),
    /// Acting as if it were absent would do harm; see [`Row::access`].
    Refused(&'static str),
}

/// One setting: static facts, no value.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Without the prefix.
    pub key: &'static str,
    /// Other spellings, which count when those before them are absent or empty.
    pub aliases: &'static [&'static str],
    pub group: &'static str,
    pub doc: &'static str,
    /// The accepted values, for people.
    pub values: &'static str,
    /// The value that has no effect, or a description of it; empty for none.
    pub default: &'static str,
    pub scope: Scope,
    pub risk: Risk,
    pub on_invalid: OnInvalid,
    /// Whether it keeps somebody out. Such a setting, when refused, denies its paths.
    pub access: bool,
    pub support: Support,
    /// The field that holds its value; `None` for rows that are not read.
    pub field: Option<&'static str>,
}

impl Row {
    /// What rows without a bracket of their own have: a ConfigMap key, which can only fall back to its default.
    pub const CONTROLLER: Row = Row {
        key: "",
        aliases: &[],
        group: "",
        doc: "",
        values: "",
        default: "",
        scope: Scope::Controller,
        risk: Risk::Low,
        on_invalid: OnInvalid::Default,
        access: false,
        support: Support::Full,
        field: None,
    };

    /// The key, then its aliases: the first that is set wins.
    pub fn spellings(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.key).chain(self.aliases.iter().copied())
    }
}

/// What became of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Effect {
    /// The whole object is not accepted in this version.
    Reject,
    /// The object's paths answer 503.
    Deny,
    /// The value cannot be used; the setting counts as absent.
    Default,
    /// A known setting that is not acted on.
    Ignored,
    /// Not a setting at all.
    Unknown,
}

/// One key that was not taken as written. `key` is as the object spells it, prefix included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingProblem {
    pub key: String,
    pub effect: Effect,
    pub message: String,
}

/// Rows with an index over all spellings.
pub struct Table {
    rows: &'static [Row],
    index: LazyLock<HashMap<&'static str, &'static Row>>,
}

impl Table {
    /// `index` builds what [`Table::index`] returns; a `static` cannot capture its own rows.
    pub const fn new(rows: &'static [Row], index: fn() -> HashMap<&'static str, &'static Row>) -> Self {
        Self { rows, index: LazyLock::new(index) }
    }

    pub fn index(rows: &'static [Row]) -> HashMap<&'static str, &'static Row> {
        rows.iter().flat_map(|row| row.spellings().map(move |key| (key, row))).collect()
    }

    pub fn rows(&self) -> &'static [Row] {
        self.rows
    }

    /// The row of a key or alias, without the prefix.
    pub fn find(&self, key: &str) -> Option<&'static Row> {
        self.index.get(key).copied()
    }

    /// The known spelling that is nearest to `key`; the first in table order of equals.
    fn nearest(&self, key: &str) -> Option<&'static str> {
        nearest(key, self.rows.iter().flat_map(Row::spellings))
    }
}

/// How a map of texts is to be read.
#[derive(Clone, Copy, Debug)]
pub struct Reading<'a> {
    /// What keys start with; others are not ours.
    pub prefix: &'a str,
    /// Off: texts are taken as they are, and what still cannot be read falls back to its default.
    pub validate: bool,
    /// Whether an empty text may be a value (an empty list) rather than "not set".
    pub empty_is_value: bool,
}

/// A struct made by [`settings!`].
pub trait Settings: Default + 'static {
    fn table() -> &'static Table;

    /// Reads `text` into the field of `row`; rows without a field take anything. The error says what is wrong with it.
    fn set(&mut self, row: &Row, text: &str, reading: Reading<'_>) -> Result<(), String>;
}

/// Reads all keys with the prefix. Problems are in key order.
pub fn read<S: Settings>(values: &BTreeMap<String, String>, reading: Reading<'_>) -> (S, Vec<SettingProblem>) {
    let mut settings = S::default();
    let mut problems = Vec::new();
    for (full, text) in values {
        let Some(key) = full.strip_prefix(reading.prefix) else { continue };
        let problem = match S::table().find(key) {
            None => Some((Effect::Unknown, unknown(S::table(), key))),
            Some(row) if is_overridden(row, key, values, reading) => None,
            Some(row) if is_refused_empty(row, key, text, values, reading) => {
                Some((Effect::Deny, format!("{text:?} is not {}; its paths answer 503", row.values)))
            }
            Some(row) => read_row(&mut settings, row, text, reading),
        };
        problems.extend(problem.map(|(effect, message)| SettingProblem { key: full.clone(), effect, message }));
    }
    (settings, problems)
}

/// Whether an earlier spelling of the same setting has a value.
fn is_overridden(row: &Row, key: &str, values: &BTreeMap<String, String>, reading: Reading<'_>) -> bool {
    let is_set =
        |spelling| values.get(&format!("{}{spelling}", reading.prefix)).is_some_and(|text| !text.trim().is_empty());
    row.spellings().take_while(|spelling| *spelling != key).any(is_set)
}

/// Whether an annotation without text keeps everybody out: a list of networks that is there and names none is a broken
/// one to ingress-nginx. A wholly empty alias is not there, nor a wholly empty key beside an alias with a value.
fn is_refused_empty(row: &Row, key: &str, text: &str, values: &BTreeMap<String, String>, reading: Reading<'_>) -> bool {
    let is_list = row.access && row.on_invalid == OnInvalid::Deny && row.values == NetworkList::SHAPE;
    let is_set = |alias: &&str| values.get(&format!("{}{alias}", reading.prefix)).is_some_and(|text| !text.is_empty());
    let is_there = !text.is_empty() || (key == row.key && !row.aliases.iter().any(is_set));
    is_list && !reading.empty_is_value && text.trim().is_empty() && is_there
}

fn read_row<S: Settings>(settings: &mut S, row: &Row, text: &str, reading: Reading<'_>) -> Option<(Effect, String)> {
    if text.trim().is_empty() && !reading.empty_is_value {
        return None;
    }
    match row.support {
        Support::Full | Support::Partial(_) => {
            let error = settings.set(row, text, reading).err()?;
            Some(match row.on_invalid {
                OnInvalid::Reject if reading.validate => {
                    (Effect::Reject, format!("{error}; the object is not accepted"))
                }
                // What keeps somebody out is not left out, validated or not.
                OnInvalid::Reject | OnInvalid::Deny if row.access || row.on_invalid == OnInvalid::Deny => {
                    (Effect::Deny, format!("{error}; its paths answer 503"))
                }
                // A type with a value of its own for what cannot be used says so.
                _ if error.contains("counts as") => (Effect::Default, error),
                OnInvalid::Reject | OnInvalid::Deny | OnInvalid::Default => {
                    (Effect::Default, format!("{error}; its default applies"))
                }
            })
        }
        // What ingress-nginx does not admit is not admitted, acted on or not.
        Support::Ignored(_)
            if row.on_invalid == OnInvalid::Reject
                && reading.validate
                && row.values == <bool as FromAnnotation>::SHAPE
                && bool::from_annotation(text).is_err() =>
        {
            Some((Effect::Reject, format!("{text:.100?} is not {}; the object is not accepted", row.values)))
        }
        // A setting that is not acted on and is empty or spells out what happens anyway is nothing to talk about.
        Support::Ignored(_) | Support::Refused(_)
            if text.trim().is_empty() || text.trim().eq_ignore_ascii_case(row.default) =>
        {
            None
        }
        Support::Refused(why) if row.access => {
            Some((Effect::Deny, format!("{why}: access control cannot be left out, so its paths answer 503")))
        }
        Support::Ignored(why) | Support::Refused(why) => Some((Effect::Ignored, format!("{why}: ignored"))),
    }
}

fn unknown(table: &Table, key: &str) -> String {
    match table.nearest(key) {
        Some(known) => format!("not a known setting; did you mean {known}?"),
        None => "not a known setting".to_owned(),
    }
}

/// What a field's reader does with a text; [`settings!`] calls it for each row that has a field.
pub fn put<T: FromAnnotation>(field: &mut Option<T>, text: &str, reading: Reading<'_>) -> Result<(), String> {
    if text.trim().is_empty() {
        *field = T::EMPTY;
        return Ok(());
    }
    let value = if reading.validate { T::from_annotation(text) } else { T::unchecked(text) };
    let (value, result) = match value {
        Ok(value) => (Some(value), Ok(())),
        Err(error) => (T::FALLBACK, Err(error)),
    };
    *field = value;
    result
}

/// Declares a table of settings and derives from it the struct of raw values, its rows and its reader.
///
/// One row: `[access] "key" | "alias" { field: Type } [Scope Risk OnInvalid] = "default" Support;`, under its doc line.
/// A row that is not read has a description of its values in place of the field. ConfigMap keys have no bracket.
macro_rules! settings {
    (
        $(#[$outer:meta])* $struct:ident
        $($group:literal {$(
            #[doc = $doc:literal]
            $($access:ident)? $key:literal $(| $alias:literal)*
            { $($values:literal)? $($field:ident: $ty:ty)? }
            $([$scope:ident $risk:ident $on_invalid:ident])? = $default:literal $support:expr;
        )*})*
    ) => {
        $(#[$outer])*
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct $struct { $($($(#[doc = $doc] pub $field: Option<$ty>,)?)*)* }

        /// Every row, in the order of the table.
        #[allow(clippy::needless_update, reason = "rows without a bracket take the rest of the base")]
        pub static ROWS: &[$crate::compile::annotations::row::Row] = {
            use $crate::compile::annotations::row::Row;
            use $crate::compile::annotations::value::FromAnnotation;
            &[$($(Row {
                key: $key,
                aliases: &[$($alias),*],
                group: $group,
                doc: $doc,
                values: $(<$ty as FromAnnotation>::SHAPE)? $($values)?,
                default: $default,
                access: $crate::compile::annotations::row::flag!($($access)?),
                support: $support,
                field: $crate::compile::annotations::row::maybe!($($field)?),
                $(
                    scope: $crate::compile::annotations::row::Scope::$scope,
                    risk: $crate::compile::annotations::row::Risk::$risk,
                    on_invalid: $crate::compile::annotations::row::OnInvalid::$on_invalid,
                )?
                ..Row::CONTROLLER
            },)*)*]
        };

        impl $crate::compile::annotations::row::Settings for $struct {
            fn table() -> &'static $crate::compile::annotations::row::Table {
                use $crate::compile::annotations::row::Table;
                static TABLE: Table = Table::new(ROWS, || Table::index(ROWS));
                &TABLE
            }

            fn set(
                &mut self,
                row: &$crate::compile::annotations::row::Row,
                text: &str,
                reading: $crate::compile::annotations::row::Reading<'_>,
            ) -> Result<(), String> {
                match row.key {
                    $($($($key => $crate::compile::annotations::row::put(&mut self.$field, text, reading),)?)*)*
                    _ => Ok(()),
                }
            }
        }
    };
}

macro_rules! flag {
    () => {
        false
    };
    (access) => {
        true
    };
}

macro_rules! maybe {
    () => {
        None
    };
    ($name:ident) => {
        Some(stringify!($name))
    };
}

pub(crate) use {flag, maybe, settings};
