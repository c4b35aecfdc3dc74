//! Snippets while a request is served: what runs when, and on which values.

use std::sync::Arc;
use std::time::SystemTime;

use http::header::HeaderMap;
use http::{Response, StatusCode};

use super::access_log::LogValues;
use super::body::ProxyBody;
use super::exchange::Exchange;
use super::facts::Facts;
use super::phases::Request;
use super::redirects;
use super::respond::{self, Answer};
use crate::base::path::escape_path;
use crate::policy::RoutePolicy;
use crate::policy::access::Said;
use crate::policy::edits::Edits;
use crate::policy::headers::joined;
use crate::policy::snippet::{self, Env, Flow, Found, Place, Returned, ServerSnippet, Snippet, State, Step, Text};
use crate::policy::template::Values;
use crate::policy::variable::Variable;
use crate::table::{self, Index, VirtualHost};

/// Looks for a location, before a request that is sent around is given up (nginx's limit).
pub const MAX_ROUNDS: u32 = 10;

/// What a request carries along where there are snippets.
#[derive(Debug)]
pub struct Run {
    snippet: Arc<Snippet>,
    state: State,
    place: Place,
    /// The URI is another by now.
    moved: bool,
    /// The request's head: answers may still ask for it.
    headers: HeaderMap,
    /// The answer's, as the upstream gave it.
    upstream: HeaderMap,
}

impl Run {
    /// A rewrite-target comes after all directives; what they say of answers sees it.
    pub fn set_path(&mut self, path: &[u8]) {
        path.clone_into(&mut self.place.path);
    }

    pub fn query(&self) -> Option<&str> {
        self.place.query.as_deref()
    }
}

/// From now on these edits are in force.
fn enter(exchange: &mut Exchange, snippet: Option<&Arc<Snippet>>, headers: &HeaderMap) {
    match (snippet, &mut exchange.snippet) {
        (None, None) => {}
        (Some(snippet), None) => {
            let place = place(exchange);
            let (snippet, headers) = (Arc::clone(snippet), headers.clone());
            let (state, upstream) = (State::default(), HeaderMap::new());
            exchange.snippet = Some(Box::new(Run { snippet, state, place, moved: false, headers, upstream }));
        }
        (snippet, Some(run)) => {
            run.snippet = snippet.cloned().unwrap_or_default();
            run.state.block = None;
        }
    }
}

fn steps(exchange: &mut Exchange, steps: &[Step]) -> Flow {
    if steps.is_empty() {
        return Flow::Next;
    }
    let Some(mut run) = exchange.snippet.take() else { return Flow::Next };
    let Run { state, place, headers, .. } = &mut *run;
    let before = place.clone();
    let flow = snippet::run(steps, &Facts { exchange, headers }, state, place);
    run.moved |= before != run.place;
    exchange.path.clone_from(&run.place.path);
    exchange.snippet = Some(run);
    flow
}

/// SERVER_REWRITE: the host's own directives, once a request.
pub fn server(exchange: &mut Exchange, server: &VirtualHost, request: &Request) -> Result<(), Box<Answer>> {
    let Some(snippet) = &server.snippet else { return Ok(()) };
    enter(exchange, Some(&snippet.own), request.headers());
    match steps(exchange, &snippet.steps) {
        Flow::Next | Flow::Break | Flow::Again => Ok(()),
        Flow::Return(returned) => Err(Box::new(answer_of(exchange, returned))),
    }
}

/// FIND_CONFIG: a location of the host's snippet that wins over what its Ingresses have. It has no upstream. `Ok(true)`:
/// the URI is another, and its location is to be looked for.
pub fn location(
    exchange: &mut Exchange,
    server: &VirtualHost,
    found: table::Found,
    request: &Request,
) -> Result<bool, Box<Answer>> {
    let Some(own) = &server.snippet else { return Ok(false) };
    let Some(location) = own_location(exchange, own, server, found) else { return Ok(false) };
    let snippet = Arc::clone(&location.snippet);
    enter(exchange, Some(&snippet), request.headers());
    match steps(exchange, &snippet.steps) {
        Flow::Again => Ok(true),
        Flow::Return(returned) => Err(Box::new(answer_of(exchange, returned))),
        Flow::Next | Flow::Break if !allows(exchange) => Err(Box::new(respond::page(StatusCode::FORBIDDEN))),
        Flow::Next | Flow::Break => Err(Box::new(respond::page(StatusCode::NOT_FOUND))),
    }
}

fn own_location<'s>(
    exchange: &Exchange,
    own: &'s ServerSnippet,
    server: &VirtualHost,
    found: table::Found,
) -> Option<&'s snippet::OwnLocation> {
    if own.locations.is_empty() {
        return None;
    }
    let table = exchange.live.table();
    let route = |index: Index| table.route(index).map(|route| &*route.labels.path);
    let found = match found {
        table::Found::Nothing => Found::Nothing,
        _ if server.paths.is_regex() => Found::Regex,
        table::Found::Route(index) | table::Found::AddSlash(index) => {
            route(index).map_or(Found::Nothing, Found::Prefix)
        }
    };
    own.location(&exchange.path, found)
}

/// A location was found: what it does to answers holds from now on, whatever becomes of the request.
pub fn found(exchange: &mut Exchange, policy: &RoutePolicy, request: &Request) {
    enter(exchange, policy.snippet.as_ref(), request.headers());
}

/// The location is left for one of the server's own: what http and the server do to answers is what holds.
pub fn leave_location(exchange: &mut Exchange, server: Option<&VirtualHost>) {
    if let Some(run) = &mut exchange.snippet {
        run.snippet = server.and_then(|server| server.snippet.as_ref()).map(|s| Arc::clone(&s.own)).unwrap_or_default();
        run.state.block = None;
    }
}

/// What comes after a location's directives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// Its own redirect and rewrite.
    Rest,
    /// Neither of them.
    Upstream,
    /// The location of another URI.
    Again,
}

/// REWRITE: the location's directives, then the edits of the request.
pub fn rewrite(exchange: &mut Exchange, policy: &RoutePolicy, request: &mut Request) -> Result<After, Box<Answer>> {
    let Some(snippet) = &policy.snippet else { return Ok(After::Rest) };
    let after = match steps(exchange, &snippet.steps) {
        Flow::Again => return Ok(After::Again),
        Flow::Return(returned) => return Err(Box::new(answer_of(exchange, returned))),
        Flow::Next => After::Rest,
        Flow::Break => After::Upstream,
    };
    if let Some(mut run) = exchange.snippet.take() {
        let edits = run.edits();
        if !edits.input.is_empty() {
            edits.request(request.headers_mut(), |text| run.fill(text, exchange));
            run.headers.clone_from(request.headers());
        }
        exchange.snippet = Some(run);
    }
    Ok(after)
}

/// ACCESS: `allow`, `deny`, `limit_except`.
fn allows(exchange: &Exchange) -> bool {
    said(exchange) != Said::Refused
}

/// What these say of a request.
pub fn said(exchange: &Exchange) -> Said {
    let Some(run) = &exchange.snippet else { return Said::Nothing };
    match run.snippet.access.decide(exchange.remote().ip(), &exchange.method) {
        Some(true) => Said::Granted,
        Some(false) => Said::Refused,
        None => Said::Nothing,
    }
}

/// The directives of a question: what they leave behind, or the status that they answer in its place.
pub fn question(exchange: &Exchange, snippet: &Snippet, headers: &HeaderMap) -> Result<State, StatusCode> {
    let (mut state, mut place) = match &exchange.snippet {
        Some(run) => (run.state.clone(), run.place.clone()),
        None => (State::default(), place(exchange)),
    };
    let returned = match snippet::run(&snippet.steps, &Facts { exchange, headers }, &mut state, &mut place) {
        Flow::Next | Flow::Break | Flow::Again => return Ok(state),
        Flow::Return(returned) => returned,
    };
    let (Returned::Page(code) | Returned::Text(code, _) | Returned::Redirect(code, _)) = returned;
    Err(StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR))
}

/// The head of a question. `values` are those of the request.
pub fn question_head(values: &Facts<'_>, snippet: &Snippet, state: &State, headers: &mut HeaderMap) {
    let place = values.exchange.snippet.as_ref().map_or_else(|| place(values.exchange), |run| run.place.clone());
    let env = Env { values, state, place: &place };
    snippet.edits.upstream(headers, |text| text.fill(&env, None));
}

fn place(exchange: &Exchange) -> Place {
    Place { path: exchange.path.clone(), query: exchange.uri.query().map(str::to_owned) }
}

/// Path and query as directives have left them, escaped; `None` when they are the client's.
pub fn target(exchange: &Exchange) -> Option<String> {
    let run = exchange.snippet.as_ref().filter(|run| run.moved)?;
    let mut target = String::new();
    escape_path(&run.place.path, &mut target);
    if let Some(query) = &run.place.query {
        target.push('?');
        target.push_str(query);
    }
    Some(target)
}

/// The head that an upstream gets.
pub fn upstream(exchange: &Exchange, headers: &mut HeaderMap) {
    if let Some(run) = &exchange.snippet {
        run.edits().upstream(headers, |text| run.fill(text, exchange));
    }
}

/// What an upstream's answer keeps to itself; directives may still ask for it.
pub fn hide(exchange: &mut Exchange, headers: &mut HeaderMap) {
    if let Some(run) = &mut exchange.snippet {
        run.upstream.clone_from(headers);
        for name in &run.edits().hide {
            headers.remove(name);
        }
    }
}

/// Every answer, whoever made it.
pub fn answer(exchange: &mut Exchange, answer: &mut Answer) {
    let status = answer.status().as_u16();
    exchange.status = status;
    let exchange = &*exchange;
    let Some(run) = exchange.snippet.as_deref().filter(|run| run.edits().changes_answers() && status != 101) else {
        return;
    };
    let sent = &answer.headers().clone();
    let values = &AnswerValues { exchange, run, sent };
    let env = Env { values, state: &run.state, place: &run.place };
    run.edits().answer(status, answer.headers_mut(), SystemTime::now(), |text| text.fill(&env, None));
}

/// The values of an answer that is about to be sent.
struct AnswerValues<'a> {
    exchange: &'a Exchange,
    run: &'a Run,
    sent: &'a HeaderMap,
}

impl Values for AnswerValues<'_> {
    fn variable(&self, variable: &Variable, out: &mut Vec<u8>) -> bool {
        let (headers, name) = match variable {
            Variable::SentHeader(name) => (self.sent, name),
            Variable::UpstreamHeader(name) => (&self.run.upstream, name),
            Variable::Named(named) if let Some(is_there) = LogValues(self.exchange).named(*named, out) => {
                return is_there;
            }
            other => return Facts { exchange: self.exchange, headers: &self.run.headers }.variable(other, out),
        };
        let value = joined(headers, name);
        out.extend_from_slice(value.as_ref().map_or(b"", |value| value.as_bytes()));
        value.is_some()
    }
}

impl Run {
    fn edits(&self) -> &Edits {
        self.snippet.edits(Some(&self.state))
    }

    fn fill(&self, text: &Text, exchange: &Exchange) -> Vec<u8> {
        let values = &Facts { exchange, headers: &self.headers };
        text.fill(&Env { values, state: &self.state, place: &self.place }, None)
    }
}

fn answer_of(exchange: &Exchange, returned: Returned) -> Answer {
    let status = |code| StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    match returned {
        Returned::Page(code) if code >= 300 => respond::page(status(code)),
        Returned::Page(code) => {
            let mut answer = Response::new(ProxyBody::full(bytes::Bytes::new()));
            *answer.status_mut() = status(code);
            answer
        }
        Returned::Text(code, text) => {
            let mut answer = respond::page(StatusCode::OK);
            *answer.status_mut() = status(code);
            *answer.body_mut() = ProxyBody::full(text.into());
            respond::as_it_is(answer)
        }
        Returned::Redirect(code, location) => {
            let text = String::from_utf8_lossy(&location);
            let route = exchange.route.and_then(|index| exchange.live.table().route(index));
            let origin = || match route {
                Some(route) => redirects::origin(exchange, &route.policy),
                None => redirects::origin(exchange, &RoutePolicy::default()),
            };
            let location = if text.starts_with('/') { origin() + &text } else { text.into_owned() };
            respond::redirect(status(code), &location)
        }
    }
}
