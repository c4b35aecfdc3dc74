//! The types of raw settings: the type is the parser. Accepted texts are those that ingress-nginx validates.
//!
//! Texts arrive as the object has them. Go checks flags and numbers as they are, blanks included, and trims each line
//! only of what it takes as text; so do these.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use super::text::{is_basic, is_server_name};
use crate::base::parse;
use crate::snapshot::ObjectKey;

pub use super::text::{
    AppRoot, CookieName, ForwardedPrefix, HeaderPattern, HeaderText, HeaderToken, RewriteTarget, ServerName,
};

/// A type of setting.
pub trait FromAnnotation: Sized {
    /// The accepted values, as a person would say after "is not".
    const SHAPE: &'static str;
    /// What stands in for a text that cannot be used; `None` leaves the setting unset.
    const FALLBACK: Option<Self> = None;
    /// What an empty text means where that is not "not set" (ConfigMaps).
    const EMPTY: Option<Self> = None;

    /// Reads a non-empty text; the error says what is wrong with it, without its consequences.
    fn from_annotation(text: &str) -> Result<Self, String>;

    /// The same with validation switched off; types that hold any text take any.
    fn unchecked(text: &str) -> Result<Self, String> {
        Self::from_annotation(text)
    }
}

pub(super) fn or_shape<T: FromAnnotation>(value: Option<T>, text: &str) -> Result<T, String> {
    /// Longer texts are cut in messages: an annotation may have 256 KiB.
    const QUOTED: usize = 100;
    value.ok_or_else(|| {
        let cut: String = text.chars().take(QUOTED).collect();
        let more = if cut.len() < text.len() { "…" } else { "" };
        format!("{cut:?}{more} is not {}", T::SHAPE)
    })
}

impl FromAnnotation for bool {
    const SHAPE: &'static str = "true or false";
    const EMPTY: Option<Self> = Some(false);

    fn from_annotation(text: &str) -> Result<Self, String> {
        or_shape(parse::go_bool(text), text)
    }
}

/// A flag that a broken text switches off, where others fall back to the ConfigMap (`service-upstream`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BoolElseFalse(pub bool);

impl FromAnnotation for BoolElseFalse {
    const SHAPE: &'static str = bool::SHAPE;
    const FALLBACK: Option<Self> = Some(Self(false));

    fn from_annotation(text: &str) -> Result<Self, String> {
        or_shape(parse::go_bool(text).map(Self), text)
    }
}

/// Negative numbers pass Go's check and then break the nginx configuration, so they are refused here.
fn natural(text: &str) -> Option<u64> {
    parse::int(text).and_then(|n| u64::try_from(n).ok())
}

impl FromAnnotation for u64 {
    const SHAPE: &'static str = "a whole number";

    fn from_annotation(text: &str) -> Result<Self, String> {
        or_shape(natural(text), text)
    }
}

/// Larger numbers count as the largest.
impl FromAnnotation for u32 {
    const SHAPE: &'static str = u64::SHAPE;

    fn from_annotation(text: &str) -> Result<Self, String> {
        or_shape(natural(text).map(|n| n.try_into().unwrap_or(u32::MAX)), text)
    }
}

/// A number of requests or connections; what is below 0 is no limit, as 0 is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit(pub u32);

impl FromAnnotation for Limit {
    const SHAPE: &'static str = u64::SHAPE;

    fn from_annotation(text: &str) -> Result<Self, String> {
        or_shape(parse::int(text).map(|n| Self(n.max(0).try_into().unwrap_or(u32::MAX))), text)
    }
}

/// Whole seconds, written without a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seconds(pub u32);

impl Seconds {
    pub fn duration(self) -> Duration {
        Duration::from_secs(self.0.into())
    }
}

impl FromAnnotation for Seconds {
    const SHAPE: &'static str = "a whole number of seconds, without a unit";

    fn from_annotation(text: &str) -> Result<Self, String> {
        or_shape(u32::from_annotation(text).ok().map(Self), text)
    }
}

/// A time with nginx's units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NginxTime(pub Duration);

impl FromAnnotation for NginxTime {
    const SHAPE: &'static str = "a time like 90, 90s, 1h or 1h30m";

    fn from_annotation(text: &str) -> Result<Self, String> {
        or_shape(parse::nginx_time(text.trim()).map(Self), text)
    }
}

/// Bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size(pub u64);

impl Size {
    /// Bytes as a limit: 0 is none (contract §11).
    pub fn limit(self) -> Option<u64> {
        Some(self.0).filter(|bytes| *bytes != 0)
    }

    /// Larger sizes count as the largest.
    pub fn clamped(self) -> u32 {
        u32::try_from(self.0).unwrap_or(u32::MAX)
    }
}

impl FromAnnotation for Size {
    const SHAPE: &'static str = "a size like 1000, 8k, 1m or 1g";

    fn from_annotation(text: &str) -> Result<Self, String> {
        let bytes = match parse::size(text) {
            Some(parse::Size::Bytes(bytes)) => Some(Self(bytes)),
            Some(parse::Size::NoEffect) | None => None,
        };
        or_shape(bytes, text)
    }
}

/// Bytes of a buffer. `None`: the text is accepted (an Ingress is not rejected for it) and without effect, as the
/// suffixes `b` and `g` are for `client_body_buffer_size`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BufferSize(pub Option<u64>);

impl FromAnnotation for BufferSize {
    const SHAPE: &'static str = "a size like 1000, 8k or 1m";

    fn from_annotation(text: &str) -> Result<Self, String> {
        let value = parse::size(text).map(|size| match size {
            parse::Size::Bytes(bytes) if !text.trim().ends_with(['g', 'G']) => Self(Some(bytes)),
            parse::Size::Bytes(_) | parse::Size::NoEffect => Self(None),
        });
        or_shape(value, text)
    }
}

/// Enums of words: each variant with its spelling. Blanks around the word are dropped.
macro_rules! words {
    ($($(#[$doc:meta])* $name:ident($shape:literal, $fold:expr) { $($variant:ident = $word:literal,)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($variant,)* }

        impl FromAnnotation for $name {
            const SHAPE: &'static str = $shape;

            fn from_annotation(text: &str) -> Result<Self, String> {
                let fold: fn(&str) -> String = $fold;
                let value = match fold(text.trim()).as_str() {
                    $($word => Some(Self::$variant),)*
                    _ => None,
                };
                or_shape(value, text)
            }
        }
    )*};
}

words! {
    OnOff("on or off", str::to_owned) {
        On = "on",
        Off = "off",
    }
    /// Case does not matter. ingress-nginx takes lower-case `grpc` for validation but not for its header set; here
    /// both spellings are the same.
    BackendProtocol("HTTP, HTTPS, AUTO_HTTP, GRPC, GRPCS or FCGI", str::to_ascii_uppercase) {
        Http = "HTTP",
        Https = "HTTPS",
        AutoHttp = "AUTO_HTTP",
        Grpc = "GRPC",
        Grpcs = "GRPCS",
        Fcgi = "FCGI",
    }
    HttpVersion("1.0 or 1.1", str::to_owned) {
        Http10 = "1.0",
        Http11 = "1.1",
    }
    /// The literal `Connection` header sent upstream.
    ConnectionHeader("close or keep-alive", str::to_owned) {
        Close = "close",
        KeepAlive = "keep-alive",
    }
    /// The status of generated redirects.
    RedirectCode("301, 302, 307 or 308", str::to_owned) {
        MovedPermanently = "301",
        Found = "302",
        TemporaryRedirect = "307",
        PermanentRedirect = "308",
    }
    /// One word of `proxy-next-upstream`.
    RetryCondition("a condition of proxy_next_upstream", str::to_owned) {
        Error = "error",
        Timeout = "timeout",
        InvalidHeader = "invalid_header",
        Http500 = "http_500",
        Http502 = "http_502",
        Http503 = "http_503",
        Http504 = "http_504",
        Http403 = "http_403",
        Http404 = "http_404",
        Http429 = "http_429",
        NonIdempotent = "non_idempotent",
        Off = "off",
    }
    /// One word of `proxy-ssl-protocols`.
    TlsVersion("TLSv1.2 or TLSv1.3", str::to_owned) {
        Tls12 = "TLSv1.2",
        Tls13 = "TLSv1.3",
    }
}

impl OnOff {
    pub fn is_on(self) -> bool {
        self == Self::On
    }
}

impl RedirectCode {
    pub fn as_u16(self) -> u16 {
        match self {
            Self::MovedPermanently => 301,
            Self::Found => 302,
            Self::TemporaryRedirect => 307,
            Self::PermanentRedirect => 308,
        }
    }
}

/// When to try the next endpoint. `off` anywhere empties the set, as it does in nginx.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NextUpstream(pub BTreeSet<RetryCondition>);

impl FromAnnotation for NextUpstream {
    const SHAPE: &'static str = "a list, with single blanks, of error, timeout, invalid_header, http_500, http_502, \
         http_503, http_504, http_403, http_404, http_429, non_idempotent, off";

    fn from_annotation(text: &str) -> Result<Self, String> {
        let words = text.strip_suffix([' ', '\t']).unwrap_or(text).split([' ', '\t']);
        // `RetryCondition` trims, which must not let line breaks in.
        let words = words.map(|word| RetryCondition::from_annotation(word).ok().filter(|_| word == word.trim()));
        let set: Option<BTreeSet<_>> = words.collect();
        let value = set.map(|set| Self(if set.contains(&RetryCondition::Off) { BTreeSet::new() } else { set }));
        or_shape(value, text)
    }
}

/// The TLS versions offered to an upstream; never empty.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TlsVersions(pub BTreeSet<TlsVersion>);

impl FromAnnotation for TlsVersions {
    const SHAPE: &'static str = "a list, with blanks, of TLSv1.2 and TLSv1.3";

    fn from_annotation(text: &str) -> Result<Self, String> {
        let words = text.split(' ').filter(|word| !word.is_empty());
        let set: Option<BTreeSet<_>> = words.map(|word| TlsVersion::from_annotation(word).ok()).collect();
        or_shape(set.map(Self), text)
    }
}

/// `namespace/name` of a Secret or ConfigMap. A bare name is refused: ingress-nginx wants both parts.
impl FromAnnotation for ObjectKey {
    const SHAPE: &'static str = "namespace/name";

    fn from_annotation(text: &str) -> Result<Self, String> {
        let name = text.trim();
        let valid = name.chars().all(is_basic) && name.contains('/');
        or_shape(valid.then(|| ObjectKey::parse(name, "")).flatten(), text)
    }
}

/// The items of a comma list, trimmed, in the order written. An empty text is the empty list.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CommaList(pub Vec<String>);

impl FromAnnotation for CommaList {
    const SHAPE: &'static str = "a comma list";
    const EMPTY: Option<Self> = Some(Self(Vec::new()));

    fn from_annotation(text: &str) -> Result<Self, String> {
        Ok(Self(parse::comma_list(text).map(str::to_owned).collect()))
    }
}

/// Text without rules.
impl FromAnnotation for String {
    const SHAPE: &'static str = "text";

    fn from_annotation(text: &str) -> Result<Self, String> {
        Ok(text.to_owned())
    }
}

/// More names of a virtual host, sorted, each once: exact names, `*.x`, or `~regex`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ServerAliases(pub Vec<String>);

impl FromAnnotation for ServerAliases {
    const SHAPE: &'static str = "a comma list of host names, *.host or ~regex";

    fn from_annotation(text: &str) -> Result<Self, String> {
        match text.split(',').map(str::trim).find(|name| !name.chars().all(is_server_name)) {
            Some(_) => or_shape(None, text),
            None => Self::unchecked(text),
        }
    }

    fn unchecked(text: &str) -> Result<Self, String> {
        let names: HashSet<&str> = parse::comma_list(text).collect();
        let mut names: Vec<String> = names.into_iter().map(str::to_owned).collect();
        names.sort_unstable();
        Ok(Self(names))
    }
}

#[cfg(test)]
#[path = "value_tests.rs"]
mod tests;
