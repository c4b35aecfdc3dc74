//! The shapes that flags' values have: one marker type each, with its reader and its name for people.

use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use crate::base::parse;

/// Threads that `--workers` may ask for.
const MAX_WORKERS: usize = 1024;

/// How a flag's text becomes a value.
pub trait Shape {
    type Value;
    /// What completes "is not …": `a port: 0 to 65535`.
    const NAME: &'static str;
    /// What a flag without a value means; `None` when it must have one. As pflag's `NoOptDefVal`.
    const BARE: Option<&'static str> = None;
    /// Whether repeated flags add up, as pflag's slices do, rather than the last one winning.
    const ADDS_UP: bool = false;

    fn read(text: &str) -> Option<Self::Value>;
}

/// `namespace/name`, of an object of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamespacedName {
    pub namespace: String,
    pub name: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl LogLevel {
    /// The lower-case name, which tracing's filters read.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

macro_rules! shapes {
    ($(
        $(#[$doc:meta])* $marker:ident -> $value:ty, $name:literal $(, $constant:ident = $of:expr)*;
        |$text:ident| $read:expr;
    )*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $marker;

        impl Shape for $marker {
            type Value = $value;
            const NAME: &'static str = $name;
            $(shape_constant!($constant = $of);)*

            fn read($text: &str) -> Option<$value> {
                $read
            }
        }
    )*};
}

macro_rules! shape_constant {
    (BARE = $of:expr) => {
        const BARE: Option<&'static str> = Some($of);
    };
    (ADDS_UP = $of:expr) => {
        const ADDS_UP: bool = $of;
    };
}

shapes! {
    Bool -> bool, "true or false", BARE = "true";
    |text| parse::go_bool(text);

    /// `None` until somebody says which.
    MaybeBool -> Option<bool>, "true or false", BARE = "true";
    |text| or_none(text, parse::go_bool);

    Int -> i64, "a whole number";
    |text| go_int(text);

    UInt -> u32, "a whole number, 0 or more";
    |text| u32::try_from(go_int(text)?).ok();

    Float -> f64, "a number";
    |text| text.parse().ok();

    /// 0 lets the system choose.
    Port -> u16, "a port: 0 to 65535";
    |text| u16::try_from(go_int(text)?).ok();

    Seconds -> Duration, "a whole number of seconds, 0 or more";
    |text| u32::try_from(go_int(text)?).ok().map(|seconds| Duration::from_secs(seconds.into()));

    GoDuration -> Duration, "a duration such as 30s, 1m30s or 1.5h";
    |text| parse::go_duration(text);

    Text -> String, "a text";
    |text| Some(text.to_owned());

    /// `None` when empty.
    MaybeText -> Option<String>, "a text";
    |text| or_none(text, |text| Some(text.to_owned()));

    /// A text that must not be empty, or somebody's objects would be matched by nothing.
    Name -> String, "a text without blanks, not empty";
    |text| (!text.is_empty() && !text.contains(char::is_whitespace)).then(|| text.to_owned());

    AnnotationPrefix -> String, "the part of an annotation before its slash, such as nginx.ingress.kubernetes.io";
    |text| annotation_prefix(text);

    UrlPath -> String, "a path that begins with a slash";
    |text| (text.starts_with('/') && !text.contains(char::is_whitespace)).then(|| text.to_owned());

    MaybePath -> Option<PathBuf>, "a path";
    |text| or_none(text, |text| Some(PathBuf::from(text)));

    MaybeNamespacedName -> Option<NamespacedName>, "namespace/name";
    |text| or_none(text, namespaced_name);

    NamespacedNames -> Vec<NamespacedName>, "namespace/name, several separated by commas", ADDS_UP = true;
    |text| parse::comma_list(text).map(namespaced_name).collect();

    /// An address to listen on; no host is every address.
    MaybeSocket -> Option<(Option<IpAddr>, u16)>, "host:port or :port";
    |text| or_none(text, socket);

    MaybeLogLevel -> Option<LogLevel>, "error, warn, info, debug or trace";
    |text| or_none(text, log_level);

    LogFormatName -> LogFormat, "text or json";
    |text| match text {
        "text" => Some(LogFormat::Text),
        "json" => Some(LogFormat::Json),
        _ => None,
    };

    /// `None`, written 0, is one per core.
    Workers -> Option<NonZeroUsize>, "a number of threads: 0 to 1024, 0 for one per core";
    |text| usize::try_from(go_int(text)?).ok().filter(|count| *count <= MAX_WORKERS).map(NonZeroUsize::new);

    /// Empty is every address.
    Addresses -> Vec<IpAddr>, "IP addresses, separated by commas", ADDS_UP = true;
    |text| parse::comma_list(text).map(address).collect();

    Words -> Vec<String>, "texts, separated by commas", ADDS_UP = true;
    |text| Some(parse::comma_list(text).map(str::to_owned).collect());

    Buckets -> Vec<f64>, "ascending numbers, separated by commas", ADDS_UP = true;
    |text| buckets(text);
}

fn or_none<T>(text: &str, read: impl Fn(&str) -> Option<T>) -> Option<Option<T>> {
    if text.is_empty() { Some(None) } else { read(text).map(Some) }
}

/// What Go's `strconv.ParseInt` takes with base 0: decimal, `0x`, `0o` or just `0`, `0b`, underscores between digits.
fn go_int(text: &str) -> Option<i64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let prefixed = |prefix: [&str; 2]| prefix.iter().find_map(|prefix| digits.strip_prefix(*prefix));
    let (radix, digits) = if let Some(rest) = prefixed(["0x", "0X"]) {
        (16, rest)
    } else if let Some(rest) = prefixed(["0o", "0O"]) {
        (8, rest)
    } else if let Some(rest) = prefixed(["0b", "0B"]) {
        (2, rest)
    } else if digits.len() > 1 && digits.starts_with('0') {
        (8, digits.trim_start_matches('0'))
    } else {
        (10, digits)
    };
    let digits = if radix == 8 && digits.is_empty() && text.ends_with('0') { "0" } else { digits };
    let underscored = digits.split('_').all(|group| !group.is_empty());
    let is_plain = digits.starts_with(|c: char| c.is_ascii_alphanumeric());
    // Go allows underscores only where a prefix names the base.
    if !is_plain || !underscored || (radix == 10 && digits.contains('_')) {
        return None;
    }
    i64::from_str_radix(&format!("{sign}{}", digits.replace('_', "")), radix).ok()
}

/// Exactly one slash with something on both sides. What stands there is the cluster's to judge.
fn namespaced_name(text: &str) -> Option<NamespacedName> {
    let (namespace, name) = text.split_once('/')?;
    if namespace.is_empty() || name.is_empty() || name.contains('/') {
        return None;
    }
    Some(NamespacedName { namespace: namespace.to_owned(), name: name.to_owned() })
}

fn socket(text: &str) -> Option<(Option<IpAddr>, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let host = if host.is_empty() { None } else { Some(address(host)?) };
    Some((host, port.parse().ok()?))
}

fn annotation_prefix(text: &str) -> Option<String> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
    (!text.is_empty() && text.bytes().all(fits)).then(|| text.to_owned())
}

fn log_level(text: &str) -> Option<LogLevel> {
    use LogLevel::{Debug, Error, Info, Trace, Warn};
    [Error, Warn, Info, Debug, Trace].into_iter().find(|level| level.as_str().eq_ignore_ascii_case(text))
}

/// An address, an IPv6 one also in brackets. `localhost` is what ingress-nginx's `--healthz-host` is often given.
fn address(text: &str) -> Option<IpAddr> {
    if text == "localhost" {
        return Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    bare.parse().ok()
}

/// Upper bounds of a histogram. An infinite last one is left out: every histogram has it anyway.
fn buckets(text: &str) -> Option<Vec<f64>> {
    let mut bounds = text.split(',').map(|item| item.trim().parse().ok()).collect::<Option<Vec<f64>>>()?;
    if bounds.last() == Some(&f64::INFINITY) {
        bounds.pop();
    }
    let finite = bounds.iter().all(|bound| bound.is_finite());
    let ascending = bounds.is_sorted_by(|below, above| below < above);
    (finite && ascending && !bounds.is_empty()).then_some(bounds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ints_as_go_reads_them() {
        let rows = [
            ("0", Some(0)),
            ("80", Some(80)),
            ("+80", Some(80)),
            ("-5", Some(-5)),
            ("0x50", Some(80)),
            ("0o17", Some(15)),
            ("017", Some(15)),
            ("00", Some(0)),
            ("0b11", Some(3)),
            ("0x5_0", Some(80)),
            ("-0x1", Some(-1)),
            ("8_0", None),
            ("08", None),
            ("", None),
            ("-", None),
            ("--5", None),
            ("+-5", None),
            ("0x", None),
            ("0x-5", None),
            ("8 ", None),
            ("eighty", None),
            ("80.0", None),
        ];
        for (text, expected) in rows {
            assert_eq!(go_int(text), expected, "{text:?}");
        }
    }

    #[test]
    fn addresses() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let rows = [
            ("", Some(vec![])),
            ("127.0.0.1", Some(vec![ip("127.0.0.1")])),
            ("0.0.0.0, ::", Some(vec![ip("0.0.0.0"), ip("::")])),
            ("[::1]", Some(vec![ip("::1")])),
            ("localhost", Some(vec![ip("127.0.0.1")])),
            ("example.com", None),
            ("127.0.0.1:80", None),
            ("[::1", None),
        ];
        for (text, expected) in rows {
            assert_eq!(Addresses::read(text), expected, "{text:?}");
        }
    }

    #[test]
    fn sockets() {
        let rows = [
            ("", Some(None)),
            (":8443", Some(Some((None, 8443)))),
            ("127.0.0.1:8443", Some(Some((Some(Ipv4Addr::LOCALHOST.into()), 8443)))),
            ("[::1]:0", Some(Some((Some(std::net::Ipv6Addr::LOCALHOST.into()), 0)))),
            ("8443", None),
            ("host:8443", None),
            (":", None),
        ];
        for (text, expected) in rows {
            assert_eq!(MaybeSocket::read(text), expected, "{text:?}");
        }
    }

    #[test]
    fn bucket_bounds() {
        let rows = [
            ("1,2.5, 10", Some(vec![1.0, 2.5, 10.0])),
            ("1e-3,1e+06", Some(vec![0.001, 1_000_000.0])),
            ("1,+Inf", Some(vec![1.0])),
            ("", None),
            ("+Inf", None),
            ("1,1", None),
            ("2,1", None),
            ("1,NaN", None),
            ("1,,2", None),
        ];
        for (text, expected) in rows {
            assert_eq!(Buckets::read(text), expected, "{text:?}");
        }
    }

    #[test]
    fn names_of_objects() {
        for text in ["a", "/a", "a/", "a/b/c", "/"] {
            assert_eq!(MaybeNamespacedName::read(text), None, "{text:?}");
        }
        let expected = NamespacedName { namespace: "a".into(), name: "b".into() };
        assert_eq!(MaybeNamespacedName::read("a/b"), Some(Some(expected)));
        assert_eq!(MaybeNamespacedName::read(""), Some(None));
    }

    #[test]
    fn what_does_not_fit() {
        assert_eq!(Port::read("65536"), None);
        assert_eq!(Port::read("-1"), None);
        assert_eq!(Port::read("0"), Some(0));
        assert_eq!(Seconds::read("-1"), None);
        assert_eq!(Seconds::read("10s"), None);
        assert_eq!(Workers::read("1025"), None);
        assert_eq!(Workers::read("0"), Some(None));
        assert_eq!(UrlPath::read("healthz"), None);
        assert_eq!(AnnotationPrefix::read("example.com/"), None);
        assert_eq!(Name::read(""), None);
    }
}
