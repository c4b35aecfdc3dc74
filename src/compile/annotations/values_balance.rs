//! The types of settings for balancing, affinity, error pages and FastCGI.

use super::text::{is_basic, is_url};
use super::value::{FromAnnotation, or_shape};
use crate::base::parse;
use crate::policy::affinity::SameSite;

/// `load-balance`. `least_connections` is ours; ingress-nginx knows the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LoadBalance {
    RoundRobin,
    Ewma,
    LeastConnections,
    Chash,
    ChashSubset,
    /// `sticky_balanced` and `sticky_persistent`.
    Sticky,
}

impl FromAnnotation for LoadBalance {
    const SHAPE: &'static str =
        "round_robin, ewma, least_connections, chash, chashsubset, sticky_balanced or sticky_persistent";

    fn from_annotation(text: &str) -> Result<Self, String> {
        let value = match text.trim() {
            "round_robin" => Some(Self::RoundRobin),
            "ewma" => Some(Self::Ewma),
            "least_connections" => Some(Self::LeastConnections),
            "chash" => Some(Self::Chash),
            "chashsubset" => Some(Self::ChashSubset),
            "sticky_balanced" | "sticky_persistent" => Some(Self::Sticky),
            _ => None,
        };
        or_shape(value, text)
    }
}

/// `upstream-hash-by`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HashText(pub String);

impl FromAnnotation for HashText {
    const SHAPE: &'static str = "text of letters, digits and -_ with $variables";

    fn from_annotation(text: &str) -> Result<Self, String> {
        let valid = text.trim().chars().all(|c| c.is_ascii_alphanumeric() || "-_${} ".contains(c));
        if valid { Self::unchecked(text) } else { or_shape(None, text) }
    }

    fn unchecked(text: &str) -> Result<Self, String> {
        Ok(Self(text.trim().to_owned()))
    }
}

/// `affinity`: there is one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CookieAffinity;

impl FromAnnotation for CookieAffinity {
    const SHAPE: &'static str = "cookie";

    fn from_annotation(text: &str) -> Result<Self, String> {
        or_shape((text.trim() == "cookie").then_some(Self), text)
    }
}

/// Two words: whether it is the second.
macro_rules! either {
    ($($(#[$doc:meta])* $name:ident($first:literal, $second:literal, $shape:literal);)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub struct $name(pub bool);

        impl FromAnnotation for $name {
            const SHAPE: &'static str = $shape;

            fn from_annotation(text: &str) -> Result<Self, String> {
                let value = match text.trim() {
                    $first => Some(Self(false)),
                    $second => Some(Self(true)),
                    _ => None,
                };
                or_shape(value, text)
            }
        }
    )*};
}

either! {
    /// `affinity-mode`: whether it is persistent.
    AffinityMode("balanced", "persistent", "balanced or persistent");
    /// `affinity-canary-behavior`: whether it is legacy.
    CanaryBehavior("sticky", "legacy", "sticky or legacy");
}

/// Seconds that may be negative: a cookie that has expired already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SignedSeconds(pub i64);

impl FromAnnotation for SignedSeconds {
    const SHAPE: &'static str = "a whole number of seconds, without a unit";

    fn from_annotation(text: &str) -> Result<Self, String> {
        or_shape(parse::int(text.trim()).map(Self), text)
    }
}

/// Spelled as in the attribute: ingress-nginx admits other cases, and then leaves the attribute out.
impl FromAnnotation for SameSite {
    const SHAPE: &'static str = "None, Lax or Strict, spelled so";

    fn from_annotation(text: &str) -> Result<Self, String> {
        let all = [Self::None, Self::Lax, Self::Strict];
        or_shape(all.into_iter().find(|site| site.as_str() == text.trim()), text)
    }
}

/// Checked texts without blanks at their ends.
macro_rules! texts {
    ($($(#[$doc:meta])* $name:ident($shape:literal, $valid:expr);)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub struct $name(pub String);

        impl FromAnnotation for $name {
            const SHAPE: &'static str = $shape;

            fn from_annotation(text: &str) -> Result<Self, String> {
                let valid: fn(&str) -> bool = $valid;
                let text = text.trim();
                or_shape((!text.is_empty() && valid(text)).then(|| Self(text.to_owned())), text)
            }
        }
    )*};
}

texts! {
    /// `session-cookie-path`. What would end the attribute is refused.
    CookiePath("a path of letters, digits and -._~/:,?&=", |text| text.chars().all(is_url));
    /// `session-cookie-domain`.
    CookieDomain("a domain", |text| text.chars().all(is_basic));
    /// `default-backend`: the name of a Service of the same namespace.
    ServiceName("the name of a Service", |text| {
        text.len() <= 63
            && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && !text.ends_with('-')
    });
    /// A ConfigMap of the Ingress's own namespace.
    OwnConfigMap("[namespace/]name of a ConfigMap", |text| text.chars().all(is_basic));
    /// `fastcgi-index`.
    FileName("a file name of letters, digits and -._", |text| {
        text.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c))
    });
}

/// `custom-http-errors`: statuses from 400 to 599.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ErrorCodes(pub Vec<u16>);

impl FromAnnotation for ErrorCodes {
    const SHAPE: &'static str = "a comma list of statuses from 400 to 599";
    const EMPTY: Option<Self> = Some(Self(Vec::new()));

    fn from_annotation(text: &str) -> Result<Self, String> {
        let codes = parse::comma_list(text).map(|item| item.parse().ok().filter(|code| (400..=599).contains(code)));
        or_shape(codes.collect::<Option<Vec<u16>>>().map(Self), text)
    }
}

/// `custom-http-errors` of the ConfigMap: statuses from 300 to 599. What is none is left out, and the rest holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct GlobalErrorCodes {
    pub codes: Vec<u16>,
    pub refused: Vec<String>,
}

impl FromAnnotation for GlobalErrorCodes {
    const SHAPE: &'static str = "a comma list of statuses from 300 to 599";

    fn from_annotation(text: &str) -> Result<Self, String> {
        let mut all = Self::default();
        for item in parse::comma_list(text) {
            match item.parse().ok().filter(|code| (300..=599).contains(code)) {
                Some(code) => all.codes.push(code),
                None => all.refused.push(item.to_owned()),
            }
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_are_taken() {
        fn check<T: FromAnnotation + PartialEq + std::fmt::Debug>(rows: &[(&str, Option<T>)]) {
            for (text, expected) in rows {
                assert_eq!(&T::from_annotation(text).ok(), expected, "{text:?}");
            }
        }
        check(&[("ewma", Some(LoadBalance::Ewma)), ("ip_hash", None), ("EWMA", None)]);
        check(&[("sticky_persistent", Some(LoadBalance::Sticky)), (" chash ", Some(LoadBalance::Chash))]);
        check(&[("$request_uri-${host}", Some(HashText("$request_uri-${host}".into()))), ("$a;b", None)]);
        check(&[("cookie", Some(CookieAffinity)), ("ip", None), ("Cookie", None)]);
        check(&[("persistent", Some(AffinityMode(true))), ("balanced", Some(AffinityMode(false))), ("x", None)]);
        check(&[("-1", Some(SignedSeconds(-1))), ("3600", Some(SignedSeconds(3600))), ("1h", None)]);
        check(&[("Lax", Some(SameSite::Lax)), ("lax", None), ("Wrong", None)]);
        check(&[("/a?b=c", Some(CookiePath("/a?b=c".into()))), ("/a;b", None)]);
        check(&[("web-1", Some(ServiceName("web-1".into()))), ("1web", None), ("a/b", None), ("Web", None)]);
        check(&[("404,503", Some(ErrorCodes(vec![404, 503]))), ("404, 500,", Some(ErrorCodes(vec![404, 500])))]);
        check::<ErrorCodes>(&[("200", None), ("4xx", None), ("600", None)]);
        let some = GlobalErrorCodes { codes: vec![301, 503], refused: vec!["x".into(), "200".into()] };
        check(&[("301, x,200,503", Some(some))]);
        check(&[("index.php", Some(FileName("index.php".into()))), ("a/b", None)]);
    }
}
