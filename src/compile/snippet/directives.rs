//! The list of directives: where each may stand, and what it becomes.

use std::time::Duration;

use http::Method;

use super::lexer::Directive;
use super::{Context, Level, Reader};
use crate::base::parse;
use crate::policy::edits::Expires;
use crate::policy::snippet::{LimitExcept, Net, OwnPath, Pattern, Rule};

impl Reader<'_> {
    pub(super) fn directive(self, directive: &Directive, level: &mut Level) -> Result<(), String> {
        use Context::{Http, If, Location, OwnLocation, Question, QuestionIf, Server, ServerIf};
        let allowed: &[Context] = match directive.name() {
            "set" | "return" | "break" => &[Server, Location, OwnLocation, If, ServerIf, Question, QuestionIf],
            "rewrite" => &[Server, Location, OwnLocation, If, ServerIf],
            "if" => &[Server, Location, OwnLocation, Question],
            "add_header"
            | "more_set_headers"
            | "more_clear_headers"
            | "more_set_input_headers"
            | "more_clear_input_headers"
            | "expires" => &[Http, Server, Location, OwnLocation, If],
            "allow" | "deny" | "satisfy" => &[Http, Server, Location, OwnLocation],
            "limit_except" => &[Location, OwnLocation],
            "proxy_hide_header" => &[Http, Server, Location],
            "proxy_set_header" => &[Location, Question],
            "client_max_body_size" | "proxy_connect_timeout" | "proxy_send_timeout" | "proxy_read_timeout" => {
                &[Location]
            }
            "location" => &[Server],
            _ => return Err("it is not on the list of directives that are understood here".to_owned()),
        };
        if !allowed.contains(&self.context) {
            return Err(format!("it has no place in {}", self.context.name()));
        }
        let has_block = matches!(directive.name(), "if" | "limit_except" | "location");
        if directive.block.is_some() != has_block {
            return Err(if has_block { "it needs a block" } else { "it has no block" }.to_owned());
        }
        self.one(directive, level)
    }

    fn one(self, directive: &Directive, level: &mut Level) -> Result<(), String> {
        let block = directive.block.as_deref().unwrap_or_default();
        match (directive.name(), directive.arguments()) {
            ("set" | "return" | "rewrite" | "break", _) => level.steps.push(self.step(directive)?),
            ("if", arguments) => self.condition(arguments, block, level)?,
            ("expires", [time]) => level.edits.expires = Some(expires(time)?),
            ("allow", [net]) => level.access.rules.push(rule(true, net)?),
            ("deny", [net]) => level.access.rules.push(rule(false, net)?),
            ("satisfy", [all]) if all == "all" => {}
            ("satisfy", [any]) if any == "any" => return Err("use the annotation satisfy".to_owned()),
            ("limit_except", methods) => level.access.limit_except = Some(limit(methods, block)?),
            ("client_max_body_size", [size]) => level.body_limit = Some(bytes(size)?),
            ("proxy_connect_timeout", [time]) => level.timeouts.connect = Some(duration(time)?),
            ("proxy_send_timeout", [time]) => level.timeouts.send = Some(duration(time)?),
            ("proxy_read_timeout", [time]) => level.timeouts.read = Some(duration(time)?),
            ("location", arguments) => {
                let path = location_path(arguments)?;
                let mut own = Level::default();
                self.within(Context::OwnLocation).all(block, &mut own)?;
                level.locations.push((path, own));
            }
            (_, arguments) => return self.header(directive.name(), arguments, &mut level.edits),
        }
        Ok(())
    }
}

fn location_path(arguments: &[String]) -> Result<OwnPath, String> {
    match arguments {
        [path] if path.starts_with('/') => Ok(OwnPath::Prefix(path.as_str().into(), false)),
        [how, path] => match how.as_str() {
            "=" => Ok(OwnPath::Exact(path.as_str().into())),
            "^~" => Ok(OwnPath::Prefix(path.as_str().into(), true)),
            "~" => Pattern::new(path, false).map(OwnPath::Regex),
            "~*" => Pattern::new(path, true).map(OwnPath::Regex),
            _ => Err(format!("{how:?} is none of =, ^~, ~ and ~*")),
        },
        _ => Err("it takes a path, with =, ^~, ~ or ~* before it".to_owned()),
    }
}

fn rule(allows: bool, text: &str) -> Result<Rule, String> {
    match text {
        "all" => Ok(Rule { allows, net: None }),
        text => match Net::parse(text) {
            Some(net) => Ok(Rule { allows, net: Some(net) }),
            None => Err(format!("{text:?} is neither an address, a network nor all")),
        },
    }
}

fn limit(methods: &[String], block: &[Directive]) -> Result<LimitExcept, String> {
    let method = |text: &String| Method::from_bytes(text.to_ascii_uppercase().as_bytes()).map_err(|e| e.to_string());
    let methods: Vec<Method> = methods.iter().map(method).collect::<Result<_, _>>()?;
    let rules = block.iter().map(|directive| match (directive.name(), directive.arguments()) {
        ("allow", [net]) => rule(true, net),
        ("deny", [net]) => rule(false, net),
        (name, _) => Err(format!("{name} has no place in it")),
    });
    let rules: Vec<Rule> = rules.collect::<Result<_, _>>()?;
    match methods.is_empty() || rules.is_empty() {
        true => Err("it takes methods, and allow or deny in its block".to_owned()),
        false => Ok(LimitExcept { methods, rules }),
    }
}

fn expires(text: &str) -> Result<Expires, String> {
    let (past, time) = text.strip_prefix('-').map_or((false, text), |time| (true, time));
    match text {
        "off" => Ok(Expires::Off),
        "epoch" => Ok(Expires::Epoch),
        "max" => Ok(Expires::Max),
        _ => duration(time.strip_prefix('+').unwrap_or(time)).map(|time| Expires::After(time, past)),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    parse::nginx_time(text).ok_or_else(|| format!("{text:?} is no time like 90, 90s, 1h or 1h30m"))
}

fn bytes(text: &str) -> Result<u64, String> {
    match parse::size(text) {
        Some(parse::Size::Bytes(bytes)) => Ok(bytes),
        _ => Err(format!("{text:?} is no size like 1000, 8k or 1m")),
    }
}
