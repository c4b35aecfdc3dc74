//! The machinery behind the table of flags: what a row says, and what is derived from all rows.
//!
//! It knows neither which flags there are nor where their texts come from.

/// How far a flag is acted on; the text says why not fully.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Support {
    Full,
    Partial(&'static str),
    /// Accepted, with a warning.
    Ignored(&'static str),
}

/// One flag: static facts, no value.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Without dashes.
    pub name: &'static str,
    pub group: &'static str,
    pub doc: &'static str,
    /// The accepted values, for people.
    pub shape: &'static str,
    /// The text that applies when nobody sets the flag; empty is a text, too.
    pub default: &'static str,
    /// What the flag means on its own; `None` when it needs a value.
    pub bare: Option<&'static str>,
    /// Whether repeated arguments add up to a comma list.
    pub adds_up: bool,
    /// Whether the environment and the file cannot set it.
    pub only_argument: bool,
    pub support: Support,
    /// Whether [`super::Config`] has a field for it.
    pub has_field: bool,
    /// Whether a text has the shape.
    pub accepts: fn(&str) -> bool,
}

impl Row {
    /// The environment variable that sets it: `PORTCULLIS_HTTP_PORT`.
    pub fn variable(&self) -> String {
        format!("PORTCULLIS_{}", self.name.replace('-', "_").to_ascii_uppercase())
    }
}

/// Declares the table of flags and derives from it the config, the rows and the reader.
///
/// One row: `[only_argument] "name" [field]: Shape = "default" Support;`, under its doc line. A row without a field is
/// checked, and otherwise left to whoever asks for its text.
macro_rules! flags {
    (
        $(#[$outer:meta])* $struct:ident { $($(#[$own_doc:meta])* $own:ident: $own_ty:ty,)* }
        $($group:literal {$(
            #[doc = $doc:literal]
            $($only:ident)? $name:literal $($field:ident)? : $shape:ident = $default:literal $support:expr;
        )*})*
    ) => {
        $(#[$outer])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $struct {
            $($(#[$own_doc])* pub $own: $own_ty,)*
            $($($(
                #[doc = concat!("`--", $name, "`:", $doc)]
                pub $field: <$crate::config::shape::$shape as $crate::config::shape::Shape>::Value,
            )?)*)*
        }

        /// Every flag, in the order of the table.
        pub static ROWS: &[$crate::config::row::Row] = {
            use $crate::config::shape::{self, Shape};
            &[$($($crate::config::row::Row {
                name: $name,
                group: $group,
                doc: $doc,
                shape: <shape::$shape as Shape>::NAME,
                default: $default,
                bare: <shape::$shape as Shape>::BARE,
                adds_up: <shape::$shape as Shape>::ADDS_UP,
                only_argument: $crate::config::row::is_there!($($only)?),
                support: $support,
                has_field: $crate::config::row::is_there!($($field)?),
                accepts: |text| <shape::$shape as Shape>::read(text).is_some(),
            },)*)*]
        };

        impl $struct {
            /// Reads the text of each flag that has a field. The error is the name of the first that has not its shape.
            pub(super) fn read<'a>(
                text: impl Fn(&'static str) -> &'a str,
                $($own: $own_ty,)*
            ) -> Result<Self, &'static str> {
                use $crate::config::shape::{self, Shape};
                Ok(Self {
                    $($own,)*
                    $($($($field: <shape::$shape as Shape>::read(text($name)).ok_or($name)?,)?)*)*
                })
            }
        }
    };
}

macro_rules! is_there {
    () => {
        false
    };
    ($name:ident) => {
        true
    };
}

pub(crate) use {flags, is_there};
