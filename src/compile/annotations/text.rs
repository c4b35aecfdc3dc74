//! Settings that are text of certain characters: those that ingress-nginx lets through.

use http::HeaderName;

use super::value::{FromAnnotation, or_shape};

/// Checked texts, trimmed per line. With validation switched off any text passes for which `always` holds.
macro_rules! texts {
    ($($(#[$doc:meta])* $name:ident($shape:literal, $valid:expr $(, always $always:expr)?);)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub struct $name(String);

        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromAnnotation for $name {
            const SHAPE: &'static str = $shape;

            fn from_annotation(text: &str) -> Result<Self, String> {
                let valid: fn(&str) -> bool = $valid;
                if valid(text) { Self::unchecked(text) } else { or_shape(None, text) }
            }

            fn unchecked(text: &str) -> Result<Self, String> {
                let always: &[fn(&str) -> bool] = &[$($always)?];
                or_shape(always.iter().all(|holds| holds(text)).then(|| Self(trim_lines(text))), text)
            }
        }
    )*};
}

pub(super) use texts;

texts! {
    /// A host, possibly with nginx variables; the characters of a server name, regexes included.
    ServerName("a host name", |text| text.trim().chars().all(is_server_name));
    /// The new path, with `$1`..`$n` of the path's groups; or an http(s) URL.
    RewriteTarget("a path of letters, digits and -._~/:$", |text| text.chars().all(is_path_with_capture));
    /// `X-Forwarded-Prefix`; may hold `$1`..`$n`.
    ForwardedPrefix(
        "a path of letters, digits and -._~/:$",
        |text| text.chars().all(|c| c == ' ' || is_path_with_capture(c))
    );
    /// An absolute path, without a scheme.
    AppRoot(
        "an absolute path of letters, digits and -._~/:$",
        |text| text.chars().all(is_path_with_capture),
        always |text| text.starts_with('/')
    );
    /// A header's name. Characters that no header has are refused even where ingress-nginx would never find them.
    HeaderToken(
        "a header name",
        |text| text.chars().all(is_basic_or_blank),
        always |text| HeaderName::from_bytes(text.trim().as_bytes()).is_ok()
    );
    /// A header's value.
    HeaderText("text of letters, digits, blanks and -._~/:", |text| text.chars().all(is_basic_or_blank));
    /// A regex for a header's value.
    HeaderPattern("a regex of letters, digits and -._~/:^$[](){}*+?|&=\\", |text| text.chars().all(is_server_name));
    CookieName("a cookie name", |text| text.chars().all(is_basic_or_blank));
}

pub(super) fn is_basic(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-._~/:".contains(c)
}

fn is_basic_or_blank(c: char) -> bool {
    is_basic(c) || c == ' '
}

/// The characters of a URL with a query.
pub(super) fn is_url(c: char) -> bool {
    is_basic(c) || ",?&=".contains(c)
}

fn is_path_with_capture(c: char) -> bool {
    is_basic(c) || c == '$'
}

pub(super) fn is_server_name(c: char) -> bool {
    is_basic(c) || r"^$[](){}*+?|&=\".contains(c)
}

/// Also drops empty lines at both ends: no text that is taken here may end in a line break.
pub(super) fn trim_lines(text: &str) -> String {
    text.trim().split('\n').map(str::trim).collect::<Vec<_>>().join("\n")
}
