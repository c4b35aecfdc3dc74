//! The interpreter of the rewrite module's directives: a pure function of the request's values, in bounded steps.

use super::text::{Env, Place, State};
use super::{Condition, Return, Rewrite, Step, Then};
use crate::base::path::{escape_argument, escape_path};
use crate::policy::template::Values;

/// What becomes of the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Flow {
    /// It goes on where it is, with the URI as it is by now.
    Next,
    /// It goes on where it is, past all directives that would follow: the location's own redirect and rewrite, too.
    Break,
    /// The location of the new URI is looked for.
    Again,
    Return(Returned),
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Returned {
    /// nginx's page of it.
    Page(u16),
    Text(u16, Vec<u8>),
    /// The location as written: it may have no scheme and host.
    Redirect(u16, Vec<u8>),
}

/// Runs the directives once. Each runs at most once, so the time is bounded by their number.
pub fn run<V: Values>(steps: &[Step], values: &V, state: &mut State, place: &mut Place) -> Flow {
    let mut moved = false;
    match list(steps, values, state, place, &mut moved) {
        Some(flow) => flow,
        None if moved => Flow::Again,
        None => Flow::Next,
    }
}

fn list<V: Values>(steps: &[Step], values: &V, state: &mut State, place: &mut Place, moved: &mut bool) -> Option<Flow> {
    for step in steps {
        match step {
            Step::Set(name, text) => {
                let value = text.fill(&Env { values, state, place }, None);
                state.set(name, value);
            }
            Step::If { condition, steps, block } => {
                if holds(condition, values, state, place) {
                    state.block = block.or(state.block);
                    let flow = list(steps, values, state, place, moved);
                    if flow.is_some() {
                        return flow;
                    }
                }
            }
            Step::Return(Return { status, text }) => {
                return Some(Flow::Return(returned(*status, text.as_ref(), &Env { values, state, place })));
            }
            Step::Rewrite(rewrite) => {
                let flow = rewritten(rewrite, values, state, place, moved);
                if flow.is_some() {
                    return flow;
                }
            }
            Step::Break => return Some(Flow::Break),
        }
    }
    None
}

fn holds<V: Values>(condition: &Condition, values: &V, state: &mut State, place: &Place) -> bool {
    let fill = |text: &super::Text, state: &State| text.fill(&Env { values, state, place }, None);
    match condition {
        Condition::IsTrue(value) => !matches!(fill(value, state).as_slice(), b"" | b"0"),
        Condition::Equals { value, other, negated } => (fill(value, state) == fill(other, state)) != *negated,
        Condition::Matches { value, pattern, negated } => {
            let groups = pattern.groups(&fill(value, state));
            let matched = groups.is_some();
            if let Some(groups) = groups {
                state.set_groups(groups);
            }
            matched != *negated
        }
    }
}

fn returned<V: Values>(status: u16, text: Option<&super::Text>, env: &Env<'_, V>) -> Returned {
    match (status, text) {
        (301..=303 | 307 | 308, Some(text)) => Returned::Redirect(status, text.fill(env, None)),
        (_, Some(text)) => Returned::Text(status, text.fill(env, None)),
        (_, None) => Returned::Page(status),
    }
}

fn rewritten<V: Values>(
    rewrite: &Rewrite,
    values: &V,
    state: &mut State,
    place: &mut Place,
    moved: &mut bool,
) -> Option<Flow> {
    state.set_groups(rewrite.pattern.groups(&place.path)?);
    let env = Env { values, state, place };
    let is_redirect = matches!(rewrite.then, Then::Redirect(_));
    let path = rewrite.path.fill(&env, is_redirect.then_some(escape_path));
    let own = rewrite.query.as_ref().map(|query| query.fill(&env, Some(escape_argument)));
    let mut query = own.map(|own| String::from_utf8_lossy(&own).into_owned());
    if let Some(sent) = place.query.as_ref().filter(|sent| !rewrite.drops_query && !sent.is_empty()) {
        query = Some(match query {
            Some(own) if !own.is_empty() => format!("{own}&{sent}"),
            _ => sent.clone(),
        });
    }
    let query = query.filter(|query| !query.is_empty());
    if let Then::Redirect(status) = rewrite.then {
        let mut location = path;
        if let Some(query) = query {
            location.push(b'?');
            location.extend_from_slice(query.as_bytes());
        }
        return Some(Flow::Return(Returned::Redirect(status, location)));
    }
    // The new path is as it is: what the pieces of a decoded path were put together to is not decoded again.
    if path.first() != Some(&b'/') || path.split(|b| *b == b'/').any(|segment| segment == b"..") {
        return Some(Flow::Return(Returned::Page(500)));
    }
    *place = Place { path, query };
    match rewrite.then {
        Then::Break => Some(Flow::Break),
        Then::Last => Some(Flow::Again),
        Then::Continue | Then::Redirect(_) => {
            *moved = true;
            None
        }
    }
}
