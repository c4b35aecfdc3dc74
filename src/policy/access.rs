//! Who may enter a location: its networks, what a user must know, how often a client may ask, and how these combine
//! (contract §6 steps 3, 7 and 8, §9, §21).

use std::net::IpAddr;
use std::sync::Arc;

use http::header::{self, HeaderMap, HeaderName};

use super::global::UrlPattern;
use super::limits::Limits;
use super::login::Login;
use crate::base::networks::Networks;

/// What a location asks of everybody who comes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Access {
    pub limits: Option<Limits>,
    pub networks: NetworkRules,
    pub satisfy: Satisfy,
    pub login: Option<Arc<Login>>,
}

impl Access {
    /// Whether everybody may enter, and nothing is done to a request. How rules combine counts for those of snippets, too.
    pub fn asks_nothing(&self) -> bool {
        let is_usual = self.satisfy == Satisfy::All;
        self.limits.is_none() && self.networks.is_empty() && self.login.is_none() && is_usual
    }
}

/// Whether networks and authentication must all let a request in, or any of them (nginx's `satisfy`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Satisfy {
    #[default]
    All,
    Any,
}

/// `deny` lines before `allow` lines, and whoever is not allowed is denied where there is an allow list (contract §9).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct NetworkRules {
    pub deny: Option<Arc<Networks>>,
    pub allow: Option<Arc<Networks>>,
}

/// What one rule says of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    Granted,
    Refused,
    /// The rule is not about this request.
    Nothing,
}

impl NetworkRules {
    pub fn is_empty(&self) -> bool {
        self.deny.is_none() && self.allow.is_none()
    }

    pub fn decide(&self, client: IpAddr) -> Said {
        let in_list = |list: &Option<Arc<Networks>>| list.as_ref().map(|list| list.contains(client));
        match (in_list(&self.deny), in_list(&self.allow)) {
            (Some(true), _) | (_, Some(false)) => Said::Refused,
            (_, Some(true)) => Said::Granted,
            (_, None) => Said::Nothing,
        }
    }
}

/// `block-user-agents` and `block-referers`: requests that no server answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Blocks {
    pub user_agents: Vec<UrlPattern>,
    pub referers: Vec<UrlPattern>,
}

impl Blocks {
    pub fn blocks(&self, headers: &HeaderMap) -> bool {
        let matches = |patterns: &[UrlPattern], name: HeaderName| {
            let value = headers.get(name).map_or(&b""[..], |value| value.as_bytes());
            patterns.iter().any(|pattern| pattern.matches_as_map(value))
        };
        matches(&self.user_agents, header::USER_AGENT) || matches(&self.referers, header::REFERER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::networks::Network;

    #[test]
    fn networks() {
        let list = |text: &str| {
            (!text.is_empty()).then(|| Arc::new(text.split(',').map(|t| t.parse::<Network>().unwrap()).collect()))
        };
        let rows = [
            ("", "", "10.0.0.1", Said::Nothing),
            ("10.0.0.1", "", "10.0.0.1", Said::Refused),
            ("10.0.0.1", "", "10.0.0.2", Said::Nothing),
            ("", "10.0.0.0/8", "10.0.0.1", Said::Granted),
            ("", "10.0.0.0/8", "11.0.0.1", Said::Refused),
            ("10.0.0.1", "10.0.0.0/8", "10.0.0.1", Said::Refused),
            ("10.0.0.1", "10.0.0.0/8", "10.0.0.2", Said::Granted),
            ("10.0.0.1", "10.0.0.0/8", "11.0.0.2", Said::Refused),
            ("", "10.0.0.0/8", "::1", Said::Refused),
        ];
        for (deny, allow, client, expected) in rows {
            let rules = NetworkRules { deny: list(deny), allow: list(allow) };
            assert_eq!(rules.decide(client.parse().unwrap()), expected, "{deny:?} {allow:?} {client}");
        }
    }

    #[test]
    fn blocks() {
        let pattern = |text: &str| UrlPattern::parse(text).unwrap();
        let blocks = Blocks {
            user_agents: vec![pattern("~*badbot"), pattern("Exact-Bot")],
            referers: vec![pattern("~evil\\.test")],
        };
        let rows = [
            (Some("My BadBot 1"), None, true),
            (Some("exact-bot"), None, true),
            (Some("exact-bot 2"), None, false),
            (None, Some("http://evil.test/x"), true),
            (None, Some("http://EVIL.test/x"), false),
            (None, None, false),
        ];
        for (agent, referer, expected) in rows {
            let mut headers = HeaderMap::new();
            for (name, value) in [(header::USER_AGENT, agent), (header::REFERER, referer)] {
                headers.extend(value.map(|value: &str| (name, value.parse::<http::HeaderValue>().unwrap())));
            }
            assert_eq!(blocks.blocks(&headers), expected, "{agent:?} {referer:?}");
        }
        let empty = Blocks { user_agents: vec![pattern("~^$")], ..Blocks::default() };
        assert!(empty.blocks(&HeaderMap::new()), "a header that is absent is an empty text, as in nginx");
    }
}
