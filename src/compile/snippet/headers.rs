//! Directives that edit headers.

use http::header::{self, HeaderName};

use super::{Context, Reader};
use crate::policy::edits::{Add, Edit, Edits, What};

/// What frames a message or belongs to one connection: an edit of it would split or smuggle messages.
const FRAMING: [HeaderName; 6] = [
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::TE,
    header::TRAILER,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

impl Reader<'_> {
    pub(super) fn header(self, name: &str, arguments: &[String], edits: &mut Edits) -> Result<(), String> {
        match (name, arguments) {
            ("add_header", [header, value, rest @ ..]) => {
                let always = match rest {
                    [] => false,
                    [word] if word == "always" => true,
                    _ => return Err("after its value it takes always, and nothing else".to_owned()),
                };
                edits.add.push(Add { name: of_answer(header)?, value: self.text(value)?, always });
            }
            // A question has no body, so nothing frames one.
            ("proxy_set_header", [header, value])
                if self.context == Context::Question && value.is_empty() && frames(header) => {}
            ("proxy_set_header", [header, value]) => {
                let name = named(header)?;
                // Both are made for each request, an upgrade's, too; what snippets say of them is what happens anyway.
                if name != header::CONNECTION && name != header::UPGRADE {
                    edits.set.push((name, self.text(value)?));
                }
            }
            ("proxy_hide_header", [header]) => edits.hide.push(of_answer(header)?),
            ("more_set_headers", arguments) => self.more(arguments, Kind::Set, of_answer, &mut edits.more)?,
            ("more_clear_headers", arguments) => self.more(arguments, Kind::Clear, of_answer, &mut edits.more)?,
            ("more_set_input_headers", arguments) => {
                self.more(arguments, Kind::SetInput, of_request, &mut edits.input)?
            }
            ("more_clear_input_headers", arguments) => {
                self.more(arguments, Kind::ClearInput, of_request, &mut edits.input)?;
            }
            _ => return Err("it has too few arguments or too many".to_owned()),
        }
        Ok(())
    }

    /// The directives of the headers-more module: options, then headers.
    fn more(
        self,
        arguments: &[String],
        kind: Kind,
        check: fn(&str) -> Result<HeaderName, String>,
        into: &mut Vec<Edit>,
    ) -> Result<(), String> {
        let (mut statuses, mut types, mut replaces, mut headers) = (Vec::new(), Vec::new(), false, Vec::new());
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            match word.as_str() {
                "-s" if !kind.is_input() => {
                    for status in words.next().map_or("", String::as_str).split([' ', ',']).filter(|s| !s.is_empty()) {
                        statuses.push(status.parse().map_err(|_| format!("{status:?} is no status"))?);
                    }
                }
                "-t" => types.extend(words.next().into_iter().flat_map(|list| list.split_whitespace()).map(Box::from)),
                "-r" if kind == Kind::SetInput => replaces = true,
                option if option.starts_with('-') => return Err(format!("the option {option} is not understood here")),
                header => headers.push(header),
            }
        }
        if headers.is_empty() {
            return Err("it names no header".to_owned());
        }
        for header in headers {
            let what = self.what(header, kind, check)?;
            into.push(Edit { what, statuses: statuses.clone(), types: types.clone(), replaces });
        }
        Ok(())
    }

    fn what(self, header: &str, kind: Kind, check: fn(&str) -> Result<HeaderName, String>) -> Result<What, String> {
        if kind.is_clear() {
            return match header.strip_suffix('*') {
                Some("") => Err("it would remove every header".to_owned()),
                Some(start) => Ok(What::ClearAll(start.to_ascii_lowercase().into())),
                None => check(header).map(What::Clear),
            };
        }
        match header.split_once(':') {
            Some((name, value)) if !value.trim().is_empty() => {
                Ok(What::Set(check(name.trim())?, self.text(value.trim())?))
            }
            Some((name, _)) => check(name.trim()).map(What::Clear),
            None => check(header).map(What::Clear),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Set,
    Clear,
    SetInput,
    ClearInput,
}

impl Kind {
    fn is_input(self) -> bool {
        matches!(self, Self::SetInput | Self::ClearInput)
    }

    fn is_clear(self) -> bool {
        matches!(self, Self::Clear | Self::ClearInput)
    }
}

fn frames(text: &str) -> bool {
    HeaderName::from_bytes(text.as_bytes()).is_ok_and(|name| FRAMING.contains(&name))
}

fn named(text: &str) -> Result<HeaderName, String> {
    let name = HeaderName::from_bytes(text.as_bytes()).map_err(|_| format!("{text:?} is no name of a header"))?;
    match FRAMING.contains(&name) {
        true => Err(format!("{name} frames messages: it is the proxy's own")),
        false => Ok(name),
    }
}

fn of_answer(text: &str) -> Result<HeaderName, String> {
    match named(text)? {
        name if name == header::CONNECTION || name == header::UPGRADE => Err(format!("{name} is the connection's own")),
        name => Ok(name),
    }
}

fn of_request(text: &str) -> Result<HeaderName, String> {
    match of_answer(text)? {
        name if name == header::HOST => Err("use upstream-vhost for the host that the upstream is told".to_owned()),
        name => Ok(name),
    }
}
