//! Values of the settings that keep somebody out: networks, patterns, `satisfy`.

use std::str::FromStr as _;
use std::sync::Arc;

use http::StatusCode;

use super::text::is_basic;
use super::value::{FromAnnotation, or_shape};
use crate::base::networks::{Network, Networks};
use crate::base::parse::comma_list;
use crate::policy::access::Satisfy;
use crate::policy::global::UrlPattern;
use crate::policy::template::Template;
use crate::snapshot::ObjectKey;

/// The networks of an annotation: every item must be one, so an empty item is an error, too.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NetworkList(pub Networks);

impl FromAnnotation for NetworkList {
    const SHAPE: &'static str = "a comma list of IP addresses and CIDRs";

    fn from_annotation(text: &str) -> Result<Self, String> {
        networks(text.split(',').map(str::trim)).map(Self)
    }
}

/// The networks of a ConfigMap key, where empty items are nothing and an empty text is no list.
impl FromAnnotation for Networks {
    const SHAPE: &'static str = NetworkList::SHAPE;
    const EMPTY: Option<Self> = None;

    fn from_annotation(text: &str) -> Result<Self, String> {
        networks(comma_list(text))
    }
}

fn networks<'a>(items: impl Iterator<Item = &'a str>) -> Result<Networks, String> {
    let read = |item: &str| Network::from_str(item).map_err(|error| format!("{:.100?} is {error}", item));
    items.map(read).collect()
}

impl FromAnnotation for Satisfy {
    const SHAPE: &'static str = "all or any";

    fn from_annotation(text: &str) -> Result<Self, String> {
        or_shape(
            match text.trim() {
                "all" => Some(Self::All),
                "any" => Some(Self::Any),
                _ => None,
            },
            text,
        )
    }
}

/// Texts and regexes that a header is compared with, each an entry of nginx's `map`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patterns(pub Vec<UrlPattern>);

impl FromAnnotation for Patterns {
    const SHAPE: &'static str = "a comma list of texts and ~regexes";

    fn from_annotation(text: &str) -> Result<Self, String> {
        let read = |item| UrlPattern::parse(item).map_err(|error| format!("{item:.100?} cannot be used: {error}"));
        comma_list(text).map(read).collect::<Result<_, _>>().map(Self)
    }
}

/// The status of what is beyond a limit, as nginx allows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefusalCode(pub StatusCode);

impl FromAnnotation for RefusalCode {
    const SHAPE: &'static str = "a status from 400 to 599";

    fn from_annotation(text: &str) -> Result<Self, String> {
        let code = text.trim().parse().ok().filter(|code| (400..600).contains(code));
        or_shape(code.and_then(|code: u16| StatusCode::from_u16(code).ok()).map(Self), text)
    }
}

/// What tells clients apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientKey(pub Template);

impl FromAnnotation for ClientKey {
    const SHAPE: &'static str = "text with nginx variables";

    fn from_annotation(text: &str) -> Result<Self, String> {
        Template::parse(text.trim()).map(Self).map_err(|error| format!("{text:.100?} cannot be used: {error}"))
    }
}

/// `auth-type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AuthType {
    Basic,
    Digest,
}

impl FromAnnotation for AuthType {
    const SHAPE: &'static str = "basic or digest";

    fn from_annotation(text: &str) -> Result<Self, String> {
        or_shape(
            match text.trim() {
                "basic" => Some(Self::Basic),
                "digest" => Some(Self::Digest),
                _ => None,
            },
            text,
        )
    }
}

/// `auth-secret-type`: one key with a file of users, or a key for each user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SecretType {
    #[default]
    File,
    Map,
}

impl FromAnnotation for SecretType {
    const SHAPE: &'static str = "auth-file or auth-map";

    fn from_annotation(text: &str) -> Result<Self, String> {
        or_shape(
            match text.trim() {
                "auth-file" => Some(Self::File),
                "auth-map" => Some(Self::Map),
                _ => None,
            },
            text,
        )
    }
}

/// A Secret, of the Ingress's own namespace if it names none.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SecretName(String);

impl SecretName {
    pub fn key(&self, namespace: &Arc<str>) -> Option<ObjectKey> {
        ObjectKey::parse(&self.0, namespace)
    }
}

impl FromAnnotation for SecretName {
    const SHAPE: &'static str = "[namespace/]name";

    fn from_annotation(text: &str) -> Result<Self, String> {
        let name = text.trim();
        let valid = name.chars().all(is_basic) && ObjectKey::parse(name, "default").is_some();
        or_shape(valid.then(|| Self(name.to_owned())), text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_networks() {
        let rows = [
            ("10.0.0.0/8", true, true),
            (" 10.0.0.0/8 ,\n ::1 ", true, true),
            ("10.0.0.0/8,", false, true),
            ("10.0.0.0/8 10.1.0.0/16", false, false),
            ("zzz", false, false),
            ("10.0.0.0/8,zzz", false, false),
        ];
        for (text, annotation, config_map) in rows {
            assert_eq!(NetworkList::from_annotation(text).is_ok(), annotation, "{text:?}");
            assert_eq!(Networks::from_annotation(text).is_ok(), config_map, "{text:?}");
        }
        assert_eq!(NetworkList::from_annotation("1.1.1.1,zzz"), Err("\"zzz\" is not an IP address or CIDR".to_owned()));
    }

    #[test]
    fn patterns_and_words() {
        assert!(Patterns::from_annotation("~*bad,exact").is_ok());
        assert!(Patterns::from_annotation("~(?=a)").unwrap_err().contains("(?=a)"));
        for (text, expected) in [(" any ", Some(Satisfy::Any)), ("all", Some(Satisfy::All)), ("ANY", None)] {
            assert_eq!(Satisfy::from_annotation(text).ok(), expected, "{text:?}");
        }
    }
}
