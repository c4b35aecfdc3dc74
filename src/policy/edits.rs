//! Headers that are set, added and removed: a list of typed edits with values that have variables.

use std::time::{Duration, SystemTime};

use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use super::snippet::Text;
use crate::base::clock::ClockText;

/// What is done to the headers of a location's requests and answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Edits {
    /// To the request, for directives after the rewrites too (`more_set_input_headers`, `more_clear_input_headers`).
    pub input: Vec<Edit>,
    /// To the request as the upstream gets it (`proxy_set_header`): an empty value removes.
    pub set: Vec<(HeaderName, Text)>,
    /// Removed from the upstream's answer (`proxy_hide_header`).
    pub hide: Vec<HeaderName>,
    /// To the answer, in order (`more_set_headers`, `more_clear_headers`).
    pub more: Vec<Edit>,
    /// Added after those (`add_header`).
    pub add: Vec<Add>,
    pub expires: Option<Expires>,
}

/// One edit of the headers-more module.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Edit {
    pub what: What,
    /// Empty: whatever the status, whatever the type.
    pub statuses: Vec<u16>,
    pub types: Vec<Box<str>>,
    /// `-r`: only where the header is there already.
    pub replaces: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum What {
    Set(HeaderName, Text),
    Clear(HeaderName),
    /// `X-Hidden-*`: all names that begin so, in lower case.
    ClearAll(Box<str>),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Add {
    pub name: HeaderName,
    pub value: Text,
    /// Whatever the status; without it, where nginx has it.
    pub always: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Expires {
    Off,
    Epoch,
    Max,
    /// From now; in the past when `true`.
    After(Duration, bool),
}

impl Edits {
    /// Whether answers are changed.
    pub fn changes_answers(&self) -> bool {
        !self.more.is_empty() || !self.add.is_empty() || self.expires.is_some()
    }

    /// Edits a request before it is looked at any further. `fill` gives values.
    pub fn request(&self, headers: &mut HeaderMap, fill: impl Fn(&Text) -> Vec<u8>) {
        self.input.iter().for_each(|edit| edit.apply(0, headers, &fill));
    }

    /// Edits the head that an upstream gets.
    pub fn upstream(&self, headers: &mut HeaderMap, fill: impl Fn(&Text) -> Vec<u8>) {
        for (name, text) in &self.set {
            put(headers, name, &fill(text));
        }
    }

    /// Edits an answer in the order of nginx's filters.
    pub fn answer(&self, status: u16, headers: &mut HeaderMap, now: SystemTime, fill: impl Fn(&Text) -> Vec<u8>) {
        self.more.iter().for_each(|edit| edit.apply(status, headers, &fill));
        let usual = matches!(status, 200 | 201 | 204 | 206 | 301..=304 | 307 | 308);
        if let Some(expires) = self.expires.filter(|_| usual) {
            expires.apply(headers, now);
        }
        for add in self.add.iter().filter(|add| usual || add.always) {
            let value = fill(&add.value);
            if let Some(value) = HeaderValue::from_bytes(&value).ok().filter(|value| !value.is_empty()) {
                headers.append(add.name.clone(), value);
            }
        }
    }
}

impl Edit {
    fn apply(&self, status: u16, headers: &mut HeaderMap, fill: impl Fn(&Text) -> Vec<u8>) {
        let media = || headers.get(header::CONTENT_TYPE).map(|v| v.as_bytes().split(|b| *b == b';').next());
        let is_type = |media: Option<Option<&[u8]>>| {
            let media = media.flatten().unwrap_or_default().trim_ascii();
            self.types.iter().any(|kind| media.eq_ignore_ascii_case(kind.as_bytes()))
        };
        if (!self.statuses.is_empty() && !self.statuses.contains(&status))
            || (!self.types.is_empty() && !is_type(media()))
        {
            return;
        }
        match &self.what {
            What::Set(name, _) if self.replaces && !headers.contains_key(name) => {}
            What::Set(name, text) => put(headers, name, &fill(text)),
            What::Clear(name) => drop(headers.remove(name)),
            What::ClearAll(start) => {
                let all: Vec<HeaderName> =
                    headers.keys().filter(|name| name.as_str().starts_with(&**start)).cloned().collect();
                for name in all {
                    headers.remove(name);
                }
            }
        }
    }
}

/// Sets one line of a header; an empty value, or one that no header can have, removes it.
fn put(headers: &mut HeaderMap, name: &HeaderName, value: &[u8]) {
    match HeaderValue::from_bytes(value).ok().filter(|value| !value.is_empty()) {
        Some(value) => drop(headers.insert(name.clone(), value)),
        None => drop(headers.remove(name)),
    }
}

impl Expires {
    fn apply(self, headers: &mut HeaderMap, now: SystemTime) {
        let (expires, control) = match self {
            Self::Off => return,
            Self::Epoch => ("Thu, 01 Jan 1970 00:00:01 GMT".to_owned(), "no-cache".to_owned()),
            Self::Max => ("Thu, 31 Dec 2037 23:55:55 GMT".to_owned(), "max-age=315360000".to_owned()),
            Self::After(time, past) => {
                let at = if past { now.checked_sub(time) } else { now.checked_add(time) };
                let date = ClockText::at(at.unwrap_or(now)).http_date().to_owned();
                (date, if past { "no-cache".to_owned() } else { format!("max-age={}", time.as_secs()) })
            }
        };
        put(headers, &header::EXPIRES, expires.as_bytes());
        put(headers, &header::CACHE_CONTROL, control.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::UNIX_EPOCH;

    fn text(text: &str) -> Text {
        Text::parse(text, &|_| false).unwrap()
    }

    fn name(name: &'static str) -> HeaderName {
        HeaderName::from_static(name)
    }

    fn edit(what: What) -> Edit {
        Edit { what, statuses: Vec::new(), types: Vec::new(), replaces: false }
    }

    #[test]
    fn answers() {
        let set = |n, v: &str| edit(What::Set(name(n), text(v)));
        let add = |n, v: &str, always| Add { name: name(n), value: text(v), always };
        let with = |more: Vec<Edit>, add: Vec<Add>, expires| Edits { more, add, expires, ..Edits::default() };
        let sent = "content-type: text/html; charset=utf-8, x-old: 1, x-hid-a: 1, x-hid-b: 2";
        let rows = [
            (
                200,
                with(vec![set("x-old", "2")], vec![], None),
                "content-type: text/html; charset=utf-8, x-hid-a: 1, x-hid-b: 2, x-old: 2",
            ),
            (
                200,
                with(vec![set("x-old", ""), edit(What::ClearAll("x-hid".into()))], vec![], None),
                "content-type: text/html; charset=utf-8",
            ),
            (
                200,
                with(vec![edit(What::Clear(name("x-old")))], vec![add("x-old", "n", false)], None),
                "content-type: text/html; charset=utf-8, x-hid-a: 1, x-hid-b: 2, x-old: n",
            ),
            (
                404,
                with(vec![], vec![add("x-a", "1", false), add("x-b", "2", true)], None),
                "content-type: text/html; charset=utf-8, x-b: 2, x-hid-a: 1, x-hid-b: 2, x-old: 1",
            ),
            (
                404,
                with(vec![Edit { statuses: vec![500], ..set("x-old", "2") }], vec![], Some(Expires::Epoch)),
                "content-type: text/html; charset=utf-8, x-hid-a: 1, x-hid-b: 2, x-old: 1",
            ),
            (
                200,
                with(
                    vec![Edit { types: vec!["text/html".into()], ..edit(What::ClearAll("x-".into())) }],
                    vec![],
                    Some(Expires::After(Duration::from_secs(3600), false)),
                ),
                "cache-control: max-age=3600, content-type: text/html; charset=utf-8, expires: Thu, 01 Jan 1970 01:00:00 GMT",
            ),
            (
                200,
                with(
                    vec![Edit { types: vec!["text/css".into()], ..edit(What::ClearAll("x-".into())) }],
                    vec![],
                    Some(Expires::Off),
                ),
                sent,
            ),
        ];
        for (status, edits, expected) in rows {
            let mut headers = HeaderMap::new();
            for line in sent.split(", ") {
                let (key, value) = line.split_once(": ").unwrap();
                headers.append(HeaderName::from_bytes(key.as_bytes()).unwrap(), value.parse().unwrap());
            }
            let values = super::super::snippet::tests::Given(vec![]);
            let state = Default::default();
            let place = Default::default();
            let env = super::super::snippet::Env { values: &values, state: &state, place: &place };
            edits.answer(status, &mut headers, UNIX_EPOCH, |text| text.fill(&env, None));
            let mut seen: Vec<String> = headers.iter().map(|(k, v)| format!("{k}: {}", v.to_str().unwrap())).collect();
            seen.sort();
            let mut expected: Vec<&str> = expected.split(", ").collect();
            expected.sort_unstable();
            let joined = seen.join(", ");
            let mut seen: Vec<&str> = joined.split(", ").collect();
            seen.sort_unstable();
            assert_eq!(seen, expected, "{edits:?}");
        }
    }
}
