//! The types of settings about connections and who is behind them.

use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::time::Duration;

use ipnet::IpNet;

use super::value::{FromAnnotation, or_shape};
use crate::base::parse;

/// A comma list whose items stand alone: what cannot be read is kept apart, because nobody must be trusted, or left out,
/// for a neighbour that is misspelt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed<T> {
    pub valid: Vec<T>,
    pub invalid: Vec<String>,
}

/// Networks in CIDR notation, and single addresses.
pub type Networks = Listed<IpNet>;
pub type Addresses = Listed<IpAddr>;

impl<T> Listed<T> {
    const NOTHING: Self = Self { valid: Vec::new(), invalid: Vec::new() };

    fn read(text: &str, item: impl Fn(&str) -> Option<T>) -> Self {
        let mut list = Self::NOTHING;
        for text in parse::comma_list(text) {
            match item(text) {
                Some(item) => list.valid.push(item),
                None => list.invalid.push(text.to_owned()),
            }
        }
        list
    }
}

impl FromAnnotation for Networks {
    const SHAPE: &'static str = "a comma list of networks and addresses";
    const EMPTY: Option<Self> = Some(Self::NOTHING);

    fn from_annotation(text: &str) -> Result<Self, String> {
        Ok(Self::read(text, network))
    }
}

impl FromAnnotation for Addresses {
    const SHAPE: &'static str = "a comma list of addresses";
    const EMPTY: Option<Self> = Some(Self::NOTHING);

    fn from_annotation(text: &str) -> Result<Self, String> {
        Ok(Self::read(text, |item| item.parse().ok()))
    }
}

/// A network, its host bits ignored, or an address as the network of itself.
fn network(text: &str) -> Option<IpNet> {
    let address = || text.parse::<IpAddr>().ok().map(IpNet::from);
    text.parse::<IpNet>().ok().map(|network| network.trunc()).or_else(address)
}

/// A time with Go's units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GoTime(pub Duration);

impl FromAnnotation for GoTime {
    const SHAPE: &'static str = "a duration such as 5s, 1m30s or 500ms";

    fn from_annotation(text: &str) -> Result<Self, String> {
        or_shape(parse::go_duration(text.trim()).map(Self), text)
    }
}

/// nginx's `worker_processes`; `None` is one per core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Processes(pub Option<NonZeroUsize>);

impl FromAnnotation for Processes {
    const SHAPE: &'static str = "auto, or a number from 1 to 1024";

    fn from_annotation(text: &str) -> Result<Self, String> {
        let number = || text.trim().parse().ok().filter(|number: &NonZeroUsize| number.get() <= 1024);
        let value = if text.trim() == "auto" { Some(None) } else { number().map(Some) };
        or_shape(value.map(Self), text)
    }
}

/// nginx's `large_client_header_buffers`: how many, and the bytes of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeaderBuffers {
    pub number: u32,
    pub size: u64,
}

impl FromAnnotation for HeaderBuffers {
    const SHAPE: &'static str = "a number and a size, like 4 8k";

    fn from_annotation(text: &str) -> Result<Self, String> {
        let mut words = text.split_ascii_whitespace();
        let read = || {
            let number = words.next()?.parse().ok().filter(|number| *number > 0)?;
            let size = match parse::size(words.next()?)? {
                parse::Size::Bytes(size) if size > 0 => size,
                _ => return None,
            };
            words.next().is_none().then_some(Self { number, size })
        };
        let mut read = read;
        or_shape(read(), text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks() {
        let rows = [
            ("10.0.0.0/8, 192.0.2.1,::/0", "10.0.0.0/8 192.0.2.1/32 ::/0", ""),
            ("10.1.2.3/8", "10.0.0.0/8", ""),
            ("10.0.0.0/33,lb.test, 2001:db8::1", "2001:db8::1/128", "10.0.0.0/33 lb.test"),
            (" , ", "", ""),
        ];
        for (text, valid, invalid) in rows {
            let read = Networks::from_annotation(text).unwrap();
            let shown: Vec<String> = read.valid.iter().map(ToString::to_string).collect();
            assert_eq!((shown.join(" "), read.invalid.join(" ")), (valid.to_owned(), invalid.to_owned()), "{text}");
        }
    }

    #[test]
    fn header_buffers() {
        let rows = [
            ("4 8k", Some((4, 8192))),
            ("  2   1000", Some((2, 1000))),
            ("4", None),
            ("0 8k", None),
            ("4 0", None),
            ("4 8k 1", None),
            ("8k 4", None),
        ];
        for (text, expected) in rows {
            let read = HeaderBuffers::from_annotation(text).ok().map(|b| (b.number, b.size));
            assert_eq!(read, expected, "{text}");
        }
        assert_eq!(GoTime::from_annotation("500ms"), Ok(GoTime(Duration::from_millis(500))));
        assert!(GoTime::from_annotation("5").is_err());
    }
}
