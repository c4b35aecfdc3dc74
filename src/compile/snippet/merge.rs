//! Levels of snippets merged as nginx merges its own: http, then the server, then the location.

use std::sync::Arc;

use super::Level;
use crate::policy::edits::Edits;
use crate::policy::snippet::{Access, OwnLocation, ServerSnippet, Snippet, Step};

impl Level {
    /// What another snippet of the same level adds after this one.
    pub fn then(mut self, other: &Self) -> Self {
        let before = self.ifs.len();
        self.source.extend(other.source.iter().cloned());
        self.steps.extend(other.steps.iter().cloned().map(|step| moved(step, before)));
        self.ifs.extend(other.ifs.iter().cloned());
        self.locations.extend(other.locations.iter().cloned());
        self.access.rules.extend(other.access.rules.iter().copied());
        self.access.limit_except = self.access.limit_except.or_else(|| other.access.limit_except.clone());
        let Edits { input, set, hide, more, add, expires } = other.edits.clone();
        self.edits.input.extend(input);
        self.edits.set.extend(set);
        self.edits.hide.extend(hide);
        self.edits.more.extend(more);
        self.edits.add.extend(add);
        self.edits.expires = expires.or(self.edits.expires);
        self.body_limit = other.body_limit.or(self.body_limit);
        self.timeouts.connect = other.timeouts.connect.or(self.timeouts.connect);
        self.timeouts.send = other.timeouts.send.or(self.timeouts.send);
        self.timeouts.read = other.timeouts.read.or(self.timeouts.read);
        self
    }
}

/// A step whose `if` has another number.
fn moved(step: Step, by: usize) -> Step {
    match step {
        Step::If { condition, steps, block } => Step::If { condition, steps, block: block.map(|block| block + by) },
        other => other,
    }
}

/// A location's snippet under the levels around it, outermost first. `None`: nothing is left to do.
pub fn location(outer: &[&Level], own: &Level) -> Option<Arc<Snippet>> {
    let outer_edits = outer.iter().fold(Edits::default(), |edits, level| inherited(&edits, &level.edits));
    let edits = inherited(&outer_edits, &own.edits);
    let blocks = own.ifs.iter().map(|block| inherited(&edits, block)).collect();
    let rules = outer.iter().chain(&[own]).rev().map(|level| &level.access.rules).find(|rules| !rules.is_empty());
    let source = outer.iter().chain(&[own]).flat_map(|level| level.source.iter().cloned()).collect();
    let access = Access { rules: rules.cloned().unwrap_or_default(), limit_except: own.access.limit_except.clone() };
    let snippet = Snippet { source, steps: own.steps.clone(), edits, blocks, access };
    let is_needed =
        !snippet.steps.is_empty() || snippet.edits != Edits::default() || snippet.access != Access::default();
    is_needed.then(|| Arc::new(snippet))
}

/// A server's share.
pub fn server(http: &Level, own: &Level) -> Option<Arc<ServerSnippet>> {
    let nothing = Level::default();
    let own_location = |(path, level): &(_, Level)| OwnLocation {
        path: Clone::clone(path),
        snippet: location(&[http, own], level).unwrap_or_default(),
    };
    let server = ServerSnippet {
        steps: own.steps.clone(),
        own: location(&[http, own], &nothing).unwrap_or_default(),
        locations: own.locations.iter().map(own_location).collect(),
    };
    (server != ServerSnippet::default()).then(|| Arc::new(server))
}

/// nginx's rules: `add_header`, `proxy_set_header` and `expires` of an outer level count where the inner has none;
/// those of headers-more all count, and so do hidden headers.
fn inherited(outer: &Edits, inner: &Edits) -> Edits {
    let both = |a: &[_], b: &[_]| [a, b].concat();
    Edits {
        input: both(&outer.input, &inner.input),
        more: both(&outer.more, &inner.more),
        hide: [outer.hide.as_slice(), inner.hide.as_slice()].concat(),
        set: if inner.set.is_empty() { outer.set.clone() } else { inner.set.clone() },
        add: if inner.add.is_empty() { outer.add.clone() } else { inner.add.clone() },
        expires: inner.expires.or(outer.expires),
    }
}
