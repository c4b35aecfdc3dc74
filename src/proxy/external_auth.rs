//! ACCESS: asks the authentication service about a request, and does what it says (contract §13, §6 step 8).

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Instant;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode, Version};

use super::access::Verdict;
use super::access_log::Asked;
use super::attempt::status_of;
use super::body::RequestBody;
use super::client_certificate;
use super::exchange::Exchange;
use super::facts::Facts;
use super::progress::Progress;
use super::question::answers::Said;
use super::question::{self, Question};
use super::respond::{self, Answer};
use super::snippets;
use super::tried::Tried;
use super::upstream::Failure;
use crate::policy::RoutePolicy;
use crate::policy::external_auth::{Cache, ExternalAuth, Granted, Outcome};
use crate::policy::headers::{self, NameRules, X_FORWARDED_FOR, X_FORWARDED_PROTO, X_REAL_IP, X_REQUEST_ID, X_SCHEME};
use crate::policy::snippet::State;
use crate::policy::template::Template;
use crate::policy::upstream::Timeouts;
use crate::table::Route;

const X_ORIGINAL_URL: HeaderName = HeaderName::from_static("x-original-url");
const X_ORIGINAL_URI: HeaderName = HeaderName::from_static("x-original-uri");
const X_ORIGINAL_METHOD: HeaderName = HeaderName::from_static("x-original-method");
const X_SENT_FROM: HeaderName = HeaderName::from_static("x-sent-from");
const X_AUTH_REQUEST_REDIRECT: HeaderName = HeaderName::from_static("x-auth-request-redirect");

/// What speaks of the representation that one client has, or wants a part of (RFC 9110 §13.1, §14.2).
const CONDITIONS: [HeaderName; 6] = [
    header::IF_MATCH,
    header::IF_MODIFIED_SINCE,
    header::IF_NONE_MATCH,
    header::IF_RANGE,
    header::IF_UNMODIFIED_SINCE,
    header::RANGE,
];

/// What the service says of a request, now or a while ago.
/// What it gives a request that passes is put into [`Exchange::granted`].
pub async fn verdict(exchange: &mut Exchange, auth: &ExternalAuth, headers: &HeaderMap) -> Verdict {
    let live = Rc::clone(&exchange.live);
    let Some(route) = exchange.route.and_then(|index| live.table().route(index)) else {
        return Verdict::Refused(respond::page(StatusCode::INTERNAL_SERVER_ERROR));
    };
    let facts = Facts { exchange, headers };
    let began = Instant::now();
    let log = |status, tried: &[Tried], answer: Option<&HeaderMap>| {
        exchange.asked(&Asked { exchange, began, status, tried, headers: answer });
    };
    let state = match auth.snippet.as_ref().map(|snippet| snippets::question(exchange, snippet, headers)) {
        None => State::default(),
        Some(Ok(state)) => state,
        Some(Err(status)) => {
            log(status, &[], None);
            let said = Said { outcome: Outcome::of(status), ..Said::nothing(auth, status) };
            return decided(exchange, auth, route, headers, said);
        }
    };
    let cached = auth.cache.as_ref().map(|cache| (cache, key(cache, route, &facts)));
    let (answers, now) = (&exchange.worker.questions.answers, exchange.worker.timers.now());
    let tried = RefCell::default();
    let known = cached.as_ref().and_then(|(_, key)| answers.borrow().get(key, now));
    let said = match known {
        Some(said) => {
            log(said.status, &[], None);
            said
        }
        None => match ask(exchange, auth, headers, (route, &state), &tried).await {
            Ok(head) => {
                log(head.status, &tried.borrow(), Some(&head.headers));
                if Outcome::of(head.status) == Outcome::Failed {
                    tell(exchange, auth, format_args!("it answered {}", head.status));
                }
                let said = Said {
                    status: head.status,
                    outcome: Outcome::of(head.status),
                    granted: Granted::of(auth, &head.headers),
                    challenges: head.headers.get_all(header::WWW_AUTHENTICATE).iter().cloned().collect(),
                };
                if let Some((cache, key)) = &cached {
                    let lasts = cache.keeping.of(head.status, &head.headers);
                    let now = exchange.worker.timers.now();
                    answers.borrow_mut().put(key, said.clone(), now, lasts);
                }
                said
            }
            Err(failure) => {
                log(status_of(failure), &tried.borrow(), None);
                tell(exchange, auth, format_args!("{failure}"));
                Said::nothing(auth, status_of(failure))
            }
        },
    };
    decided(exchange, auth, route, headers, said)
}

fn decided(exchange: &mut Exchange, auth: &ExternalAuth, route: &Route, headers: &HeaderMap, said: Said) -> Verdict {
    match said.outcome {
        Outcome::Pass => {
            exchange.granted = Some(Box::new(said.granted));
            Verdict::Granted
        }
        _ => Verdict::Refused(refusal(auth, route, &Facts { exchange, headers }, said)),
    }
}

/// Says, now and then, why requests are answered 500.
fn tell(exchange: &Exchange, auth: &ExternalAuth, what: std::fmt::Arguments<'_>) {
    let worker = &exchange.worker;
    if worker.questions.may_tell(worker.timers.now()) {
        tracing::warn!(url = %auth.url, "the authentication service lets nobody pass: {what}");
    }
}

/// What a cached answer is found by: the question, the location that asks it, and who is asked about.
fn key(cache: &Cache, route: &Route, facts: &Facts<'_>) -> Vec<u8> {
    let labels = &route.labels;
    let mut key = Vec::new();
    for part in [&cache.question, &labels.namespace, &labels.ingress, &labels.host, &labels.path] {
        key.extend_from_slice(part.as_bytes());
        key.push(0);
    }
    key.extend_from_slice(&cache.key.fill(facts));
    key
}

async fn ask(
    exchange: &Exchange,
    auth: &ExternalAuth,
    headers: &HeaderMap,
    (route, state): (&Route, &State),
    tried: &RefCell<Vec<Tried>>,
) -> Result<http::response::Parts, Failure> {
    let facts = Facts { exchange, headers };
    let target = question::target(&auth.target.fill(&facts)).ok_or(Failure::Invalid)?;
    let headers = question_headers(exchange, auth, &facts, state).ok_or(Failure::Invalid)?;
    let method = auth.method.as_ref().unwrap_or(&Method::GET);
    let progress = Progress::new(&exchange.worker.timers);
    let upstream = &route.policy.upstream;
    let question = Question {
        worker: &exchange.worker,
        live: &exchange.live,
        destination: auth.destination,
        // Only how long to wait for a connection is the Ingress's: nginx's own limits hold for the rest, so that long
        // ones for WebSockets do not let a service that hangs hold every request.
        timeouts: Timeouts { connect: upstream.timeouts.connect, ..Timeouts::default() },
        head_limit: upstream.response_head_limit,
        keep: auth.keep,
        tried: exchange.live.table().global.access_log.questions.then_some(tried),
    };
    let build = || {
        let body = RequestBody::new(VecDeque::new(), None, Some(0), Rc::clone(&progress));
        let mut request = question::request(method, target.clone(), body);
        headers.clone_into(request.headers_mut());
        Some(request)
    };
    let answered = question.ask(&progress, build).await?;
    Ok(answered.into_head(&exchange.worker, &progress))
}

/// The client's headers, with what the service is told of the request (the row of `auth-url`). `None`: one of them
/// cannot be sent.
fn question_headers(exchange: &Exchange, auth: &ExternalAuth, facts: &Facts<'_>, state: &State) -> Option<HeaderMap> {
    let global = &exchange.live.table().global;
    let mut headers = facts.headers.clone();
    if exchange.version == Version::HTTP_2 {
        headers::join_cookies(&mut headers);
    }
    let rules = NameRules { drop_invalid: global.drop_invalid_headers, underscores: global.underscores_in_headers };
    headers::strip(&mut headers, rules);
    client_certificate::tell(exchange, &mut headers);
    headers.remove(X_FORWARDED_PROTO);
    let target = HeaderValue::from_bytes(exchange.target().as_bytes()).ok()?;
    if auth.method.is_some() {
        headers.insert(X_ORIGINAL_URI, target.clone());
        headers.insert(X_SCHEME, headers::scheme_value(exchange.scheme()));
    }
    let host = exchange.sent_host.as_ref().map_or(&b""[..], |host| host.as_bytes());
    let url = [exchange.client.scheme().as_bytes(), b"://", host, target.as_bytes()].concat();
    headers.insert(header::HOST, auth.host.clone());
    headers.insert(X_ORIGINAL_URL, HeaderValue::from_bytes(&url).ok()?);
    headers.insert(X_ORIGINAL_METHOD, HeaderValue::from_str(exchange.method.as_str()).ok()?);
    headers.insert(X_SENT_FROM, HeaderValue::from_static("nginx-ingress-controller"));
    headers.insert(X_REAL_IP, exchange.remote_value().clone());
    headers.insert(X_FORWARDED_FOR, exchange.forwarded_for().clone());
    headers::put(&mut headers, X_REQUEST_ID, exchange.request_id.clone());
    let redirect = match &auth.request_redirect {
        Some(template) => HeaderValue::from_bytes(&template.fill(facts)).ok()?,
        None => target,
    };
    headers.insert(X_AUTH_REQUEST_REDIRECT, redirect);
    if auth.cache.is_some() {
        // The answer may be another request's, too, so nothing of this one's own cache is asked (nginx's proxy_cache).
        CONDITIONS.iter().for_each(|name| drop(headers.remove(name)));
    }
    for (name, template) in &auth.set_headers {
        let value = HeaderValue::from_bytes(&template.fill(facts)).ok()?;
        headers::put(&mut headers, name.clone(), value);
    }
    if let Some(snippet) = &auth.snippet {
        snippets::question_head(facts, snippet, state, &mut headers);
    }
    Some(headers)
}

/// The answer to a request that may not pass.
fn refusal(auth: &ExternalAuth, route: &Route, facts: &Facts<'_>, said: Said) -> Answer {
    let mut answer = respond::page(said.outcome.status());
    if said.outcome == Outcome::Unauthorized {
        for challenge in said.challenges {
            answer.headers_mut().append(header::WWW_AUTHENTICATE, challenge);
        }
    }
    let mut answer = instead_of_401(auth, &route.policy, facts, answer);
    for cookie in said.granted.cookies_for(answer.status()) {
        answer.headers_mut().append(header::SET_COOKIE, cookie.clone());
    }
    answer
}

/// A 401 of the location, whoever gave it, leads to the sign-in page where there is one (nginx's `error_page`). It keeps
/// its challenges, as in nginx; RFC 9110 §11.6.1 allows that.
pub fn instead_of_401(auth: &ExternalAuth, policy: &RoutePolicy, facts: &Facts<'_>, answer: Answer) -> Answer {
    let Some(signin) = auth.signin.as_ref().filter(|_| answer.status() == StatusCode::UNAUTHORIZED) else {
        return answer;
    };
    let mut redirect = respond::redirect(StatusCode::FOUND, &sign_in(signin, policy, facts));
    for challenge in answer.headers().get_all(header::WWW_AUTHENTICATE) {
        redirect.headers_mut().append(header::WWW_AUTHENTICATE, challenge.clone());
    }
    redirect
}

/// Where to sign in. A path is one of the host that was asked for, as in nginx's redirects.
fn sign_in(signin: &Template, policy: &RoutePolicy, facts: &Facts<'_>) -> String {
    let filled = String::from_utf8_lossy(&signin.fill(facts)).into_owned();
    if !filled.starts_with('/') || policy.relative_redirects {
        return filled;
    }
    let (client, host) = (&facts.exchange.client, &facts.exchange.host);
    let standard = if client.tls { 443 } else { 80 };
    let port = match policy.port_in_redirect && client.port != standard {
        true => format!(":{}", client.port),
        false => String::new(),
    };
    format!("{}://{host}{port}{filled}", client.scheme())
}
