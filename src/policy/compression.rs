//! Which answers are compressed, and how: the conditions of nginx's gzip and brotli filters.

use std::collections::BTreeSet;

use http::header::{self, HeaderMap, HeaderValue};
use http::{StatusCode, Version};

use super::global::UrlPattern;

/// A content coding (RFC 9110 §8.4.1, RFC 7932, RFC 8878).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    Gzip,
    Brotli,
    Zstd,
}

impl Coding {
    /// The better ones come first; a client's preferences among those that it takes do not count, as in nginx.
    pub const ALL: [Self; 3] = [Self::Zstd, Self::Brotli, Self::Gzip];

    pub fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Brotli => "br",
            Self::Zstd => "zstd",
        }
    }
}

/// When a coding is used, and with what effort.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Format {
    pub level: u32,
    /// Bytes below which an answer of known length stays as it is.
    pub min_length: u64,
    pub types: Types,
}

/// MIME types without parameters, lower-case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Types {
    Any,
    Listed(BTreeSet<String>),
}

impl Types {
    /// A list with blanks; `text/html` is always one of them.
    pub fn parse(text: &str) -> Self {
        let mut list: BTreeSet<String> = text.split_ascii_whitespace().map(str::to_ascii_lowercase).collect();
        if list.contains("*") {
            return Self::Any;
        }
        list.insert("text/html".to_owned());
        Self::Listed(list)
    }

    fn contains(&self, content_type: Option<&HeaderValue>) -> bool {
        let Self::Listed(list) = self else { return true };
        let Some(text) = content_type.and_then(|value| value.to_str().ok()) else { return false };
        let text = text.split_once(';').map_or(text, |(before, _)| before).trim();
        list.contains(text) || list.contains(&text.to_ascii_lowercase())
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Compression {
    pub gzip: Option<Format>,
    pub brotli: Option<Format>,
    pub zstd: Option<Format>,
    /// User agents that get no gzip.
    pub no_gzip: Option<UrlPattern>,
}

/// The codings that a client takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Accepted {
    gzip: bool,
    brotli: bool,
    zstd: bool,
}

/// What is to be done with an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// Caches must tell clients apart, also when this one takes nothing (RFC 9110 §12.5.5).
    pub vary: bool,
    pub coding: Option<(Coding, u32)>,
}

impl Compression {
    fn format(&self, coding: Coding) -> Option<&Format> {
        match coding {
            Coding::Gzip => self.gzip.as_ref(),
            Coding::Brotli => self.brotli.as_ref(),
            Coding::Zstd => self.zstd.as_ref(),
        }
    }

    /// What a client takes. HTTP/1.0 gets no gzip (`gzip_http_version 1.1`).
    pub fn accepted(&self, headers: &HeaderMap, version: Version) -> Accepted {
        let takes = |coding| self.format(coding).is_some() && accepts(headers, coding);
        let agent = headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok());
        let excluded = || agent.is_some_and(|agent| self.no_gzip.as_ref().is_some_and(|none| none.matches(agent)));
        Accepted {
            gzip: version >= Version::HTTP_11 && takes(Coding::Gzip) && !excluded(),
            brotli: takes(Coding::Brotli),
            zstd: takes(Coding::Zstd),
        }
    }

    /// The choice for an answer with that head. `length` is its body's, where it is known.
    pub fn choose(&self, accepted: Accepted, status: StatusCode, head: &HeaderMap, length: Option<u64>) -> Choice {
        let plain = head.get(header::CONTENT_ENCODING).is_none_or(HeaderValue::is_empty);
        let mut choice = Choice::default();
        if !matches!(status, StatusCode::OK | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND) || !plain {
            return choice;
        }
        for coding in Coding::ALL {
            let Some(format) = self.format(coding) else { continue };
            let short = length.is_some_and(|length| length < format.min_length);
            if short || !format.types.contains(head.get(header::CONTENT_TYPE)) {
                continue;
            }
            choice.vary = true;
            let taken = match coding {
                Coding::Gzip => accepted.gzip,
                Coding::Brotli => accepted.brotli,
                Coding::Zstd => accepted.zstd,
            };
            if taken && choice.coding.is_none() {
                choice.coding = Some((coding, format.level));
            }
        }
        choice
    }
}

/// Whether `Accept-Encoding` names a coding, with a weight above 0. `*` counts for nothing, as in nginx.
fn accepts(headers: &HeaderMap, coding: Coding) -> bool {
    let lines = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    lines.flat_map(|line| line.split(',')).any(|item| {
        let (name, parameters) = item.split_once(';').unwrap_or((item, ""));
        name.trim().eq_ignore_ascii_case(coding.name()) && weighs(parameters)
    })
}

/// Whether the weight, if there is one, is above 0 (RFC 9110 §12.4.2).
fn weighs(parameters: &str) -> bool {
    let weight = parameters.split(';').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("q").then(|| value.trim())
    });
    weight.is_none_or(|weight| weight.parse::<f32>().is_ok_and(|weight| weight > 0.0))
}

/// The head of an answer that gets compressed: its length is not known any more, no part of it can be asked for, and a
/// strong `ETag` becomes a weak one.
pub fn announce(coding: Coding, head: &mut HeaderMap) {
    head.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding.name()));
    head.remove(header::CONTENT_LENGTH);
    head.remove(header::ACCEPT_RANGES);
    let Some(etag) = head.get(header::ETAG).map(|etag| etag.as_bytes().to_vec()) else { return };
    if etag.starts_with(b"W/") {
        return;
    }
    match HeaderValue::from_bytes(&[b"W/", etag.as_slice()].concat()) {
        Ok(weak) if etag.starts_with(b"\"") => head.insert(header::ETAG, weak),
        _ => head.remove(header::ETAG),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(min_length: u64, types: &str) -> Option<Format> {
        Some(Format { level: 1, min_length, types: Types::parse(types) })
    }

    fn map(fields: &[(&'static str, &str)]) -> HeaderMap {
        fields.iter().map(|(k, v)| (http::HeaderName::from_static(k), v.parse().unwrap())).collect()
    }

    #[test]
    fn clients() {
        let all = Compression {
            gzip: format(0, ""),
            brotli: format(0, ""),
            zstd: format(0, ""),
            no_gzip: Some(UrlPattern::parse("~*msie").unwrap()),
        };
        let rows = [
            ("gzip", "", Version::HTTP_11, (true, false, false)),
            ("gzip, br;q=0.5, zstd;q=0", "", Version::HTTP_2, (true, true, false)),
            ("GZIP;Q=0.0 , BR", "", Version::HTTP_11, (false, true, false)),
            ("*", "", Version::HTTP_11, (false, false, false)),
            ("gzip, br", "", Version::HTTP_10, (false, true, false)),
            ("gzip, br", "Old MSIE 6", Version::HTTP_11, (false, true, false)),
            ("xgzip, gzipx", "", Version::HTTP_11, (false, false, false)),
        ];
        for (accept, agent, version, (gzip, brotli, zstd)) in rows {
            let headers = map(&[("accept-encoding", accept), ("user-agent", agent)]);
            assert_eq!(all.accepted(&headers, version), Accepted { gzip, brotli, zstd }, "{accept} {agent}");
        }
    }

    #[test]
    fn answers() {
        let both = Compression { gzip: format(100, "text/plain"), brotli: format(20, "*"), ..Compression::default() };
        let gzip = Accepted { gzip: true, ..Accepted::default() };
        let any = Accepted { gzip: true, brotli: true, zstd: true };
        let text = ("content-type", "Text/Plain; charset=utf-8");
        let html = ("content-type", "text/html");
        let rows = [
            (any, 200, &[text][..], None, true, Some(Coding::Brotli)),
            (gzip, 200, &[text], Some(100), true, Some(Coding::Gzip)),
            (gzip, 200, &[text], Some(99), true, None),
            (gzip, 200, &[text], Some(19), false, None),
            (gzip, 404, &[html], None, true, Some(Coding::Gzip)),
            (gzip, 500, &[html], None, false, None),
            (gzip, 206, &[html], None, false, None),
            (gzip, 200, &[("content-type", "image/png")], None, true, None),
            (gzip, 200, &[html, ("content-encoding", "gzip")], None, false, None),
            (gzip, 200, &[], None, true, None),
            (any, 200, &[], None, true, Some(Coding::Brotli)),
            (Accepted::default(), 200, &[html], None, true, None),
        ];
        for (accepted, status, head, length, vary, coding) in rows {
            let choice = both.choose(accepted, StatusCode::from_u16(status).unwrap(), &map(head), length);
            assert_eq!(
                (choice.vary, choice.coding.map(|c| c.0)),
                (vary, coding),
                "{accepted:?} {status} {head:?} {length:?}"
            );
        }
    }

    #[test]
    fn heads() {
        for (etag, expected) in [("\"a\"", Some("W/\"a\"")), ("W/\"a\"", Some("W/\"a\"")), ("odd", None)] {
            let mut head = map(&[("etag", etag), ("content-length", "5"), ("accept-ranges", "bytes")]);
            announce(Coding::Gzip, &mut head);
            assert_eq!(head.get("etag").map(|v| v.to_str().unwrap()), expected);
            assert_eq!(
                (head.len() - usize::from(expected.is_some()), &head["content-encoding"]),
                (1, &"gzip".parse::<HeaderValue>().unwrap())
            );
        }
    }
}
