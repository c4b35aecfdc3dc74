//! Headers that are set by ConfigMaps: `add-headers`, `custom-headers`, `proxy-set-headers`, `server-tokens`.

use std::sync::Arc;

use http::header::{HeaderMap, HeaderName, HeaderValue};

use super::template::{Template, Values};

/// One header with its value; setting it replaces all of its name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HeaderText {
    pub name: HeaderName,
    text: Text,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Text {
    Fixed(HeaderValue),
    Template(Template),
}

impl HeaderText {
    /// A value in which `$` is a plain character.
    pub fn literal(name: HeaderName, text: &str) -> Result<Self, String> {
        let value = HeaderValue::from_str(text).map_err(|_| format!("{text:?} is no value of a header"))?;
        Ok(Self { name, text: Text::Fixed(value) })
    }

    /// A value with nginx's variables. Errors name the variable that is unknown.
    pub fn template(name: HeaderName, text: &str) -> Result<Self, String> {
        let literal = Self::literal(name.clone(), text)?;
        if !text.contains('$') {
            return Ok(literal);
        }
        Ok(Self { name, text: Text::Template(Template::parse(text)?) })
    }

    pub fn has_variables(&self) -> bool {
        matches!(self.text, Text::Template(_))
    }

    /// The value for a request; `None` where it is empty: then no header of that name is sent.
    pub fn value(&self, values: &impl Values) -> Option<HeaderValue> {
        let value = match &self.text {
            Text::Fixed(value) => value.clone(),
            Text::Template(template) => HeaderValue::from_bytes(&template.fill(values)).ok()?,
        };
        Some(value).filter(|value| !value.is_empty())
    }

    pub fn set(&self, values: &impl Values, headers: &mut HeaderMap) {
        match self.value(values) {
            Some(value) => headers.insert(&self.name, value),
            None => headers.remove(&self.name),
        };
    }
}

/// A request of which nothing is known, for values without variables.
#[derive(Clone, Copy, Debug)]
pub struct NoValues;

impl Values for NoValues {
    fn variable(&self, _: &super::variable::Variable, _: &mut Vec<u8>) -> bool {
        false
    }
}

/// What `Server` of an answer says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ServerHeader {
    /// Nothing: the header is removed, the upstream's too.
    #[default]
    Hidden,
    /// This proxy.
    Own,
    /// The upstream, where it says so; this proxy otherwise.
    Upstream,
}

/// The controller's settings of headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GlobalHeaders {
    /// Set on every answer.
    pub add: Arc<[HeaderText]>,
    /// Set on every request to an upstream, after everything else.
    pub set: Arc<[HeaderText]>,
    pub server: ServerHeader,
    /// Send `X-Original-URI` upstream.
    pub original_uri: bool,
    /// Make an `X-Request-ID` where the client sent none.
    pub request_id: bool,
    /// `Content-Type` of texts of the proxy's own that are no page.
    pub default_type: HeaderValue,
}

impl Default for GlobalHeaders {
    fn default() -> Self {
        Self {
            add: Arc::from([]),
            set: Arc::from([]),
            server: ServerHeader::default(),
            original_uri: false,
            request_id: true,
            default_type: HeaderValue::from_static("text/html"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::variable::{Named, Variable};

    struct Host;

    impl Values for Host {
        fn variable(&self, variable: &Variable, out: &mut Vec<u8>) -> bool {
            let known = *variable == Variable::Named(Named::Host);
            out.extend_from_slice(if known { b"a.test" } else { b"" });
            known
        }
    }

    #[test]
    fn values() {
        let rows = [("plain", Some("plain")), ("h=$host", Some("h=a.test")), ("${scheme}", None), ("", None)];
        for (text, expected) in rows {
            let header = HeaderText::template(HeaderName::from_static("x-a"), text).unwrap();
            let value = header.value(&Host);
            assert_eq!(value.as_ref().map(|v| v.to_str().unwrap()), expected, "{text}");
        }
        assert!(HeaderText::template(HeaderName::from_static("x-a"), "$nope").is_err());
        assert!(HeaderText::literal(HeaderName::from_static("x-a"), "a\nb").is_err());
        let literal = HeaderText::literal(HeaderName::from_static("x-a"), "$host").unwrap();
        assert_eq!(literal.value(&Host).unwrap(), "$host");
    }
}
