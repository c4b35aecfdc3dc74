//! FIND_CONFIG: what a host makes of a connection's client certificate, before anything else of the host is done
//! (contract §6 steps 1 to 3, §10, §12).

use std::sync::Arc;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Response, StatusCode, Version};

use super::body::ProxyBody;
use super::exchange::Exchange;
use super::respond::{self, Answer};
use super::tls::session::Session;
use super::worker::LocalLive;
use crate::policy::client_certificate::shown::Shown;
use crate::policy::client_certificate::{ClientAuth, Decision, ErrorPage, Verdict};
use crate::policy::headers;
use crate::table::VirtualHost;

const VERIFY: HeaderName = HeaderName::from_static("ssl-client-verify");
const SUBJECT: HeaderName = HeaderName::from_static("ssl-client-subject-dn");
const ISSUER: HeaderName = HeaderName::from_static("ssl-client-issuer-dn");
const CERTIFICATE: HeaderName = HeaderName::from_static("ssl-client-cert");

/// What a request may say of its client's certificate, once its host has judged it.
#[derive(Clone, Copy, Debug)]
pub struct Checked {
    pub verdict: Verdict,
    /// `ssl-client-cert` is sent, too.
    pub pass: bool,
}

/// Judges a request's client certificate. `Some`: the path that is served in place of the requested one.
pub fn check(exchange: &mut Exchange, live: &LocalLive, host: &VirtualHost) -> Result<Option<Arc<str>>, Box<Answer>> {
    let client = std::rc::Rc::clone(&exchange.client);
    let (mut verdict, mut instead) = (Verdict::Absent, None);
    // nginx asks nothing of plain connections here; `ssl-redirect` and `auth-tls-match-cn` are what stop them.
    if let (Some(auth), Some(session)) = (&host.client_auth, &client.session) {
        verdict = judge(exchange, live, host, auth, session)?;
        exchange.certificate = Some(Checked { verdict, pass: auth.pass });
        instead = decide(auth, verdict, exchange.version)?;
    }
    exchange.has_server = true;
    if let Some(auth) = &host.client_auth {
        let shown = client.session.as_deref().and_then(Session::shown);
        if !auth.matches(verdict, shown.map(|shown| shown.subject.as_str())) {
            return Err(Box::new(unauthorised()));
        }
    }
    if host.forbidden.is_some() {
        return Err(Box::new(respond::page(StatusCode::FORBIDDEN)));
    }
    Ok(instead)
}

/// The verdict, if the connection was made for this host. 421 sends the client to a connection of its own.
fn judge(
    exchange: &Exchange,
    live: &LocalLive,
    host: &VirtualHost,
    auth: &Arc<ClientAuth>,
    session: &Session,
) -> Result<Verdict, Box<Answer>> {
    if !auth.asks() {
        return Ok(Verdict::Absent);
    }
    let hosts = &live.table().hosts;
    let is_default = live.table().virtual_host("").is_some_and(|default| std::ptr::eq(default, host));
    let was_for_this = match &session.server_name {
        Some(name) if *name == exchange.host => true,
        Some(name) if !hosts.is_default(name) => return Err(Box::new(respond::page(StatusCode::MISDIRECTED_REQUEST))),
        // No name, or nobody's: the handshake was the default server's.
        _ => is_default,
    };
    if !was_for_this {
        return Ok(Verdict::Absent);
    }
    if !session.asked {
        // The host asks since the connection was made.
        return Err(Box::new(closing(respond::page(StatusCode::MISDIRECTED_REQUEST), exchange.version)));
    }
    Ok(session.verdict(auth))
}

fn decide(auth: &ClientAuth, verdict: Verdict, version: Version) -> Result<Option<Arc<str>>, Box<Answer>> {
    let detail = match auth.decide(verdict) {
        Decision::Pass => return Ok(None),
        Decision::Missing => "No required SSL certificate was sent",
        Decision::Bad => "The SSL certificate error",
    };
    let answer = match &auth.error_page {
        None => respond::detailed_page(StatusCode::BAD_REQUEST, detail),
        Some(ErrorPage::Redirect(to)) => respond::redirect(StatusCode::FOUND, to),
        Some(ErrorPage::Path(path)) => return Ok(Some(Arc::clone(path))),
        Some(ErrorPage::Nowhere) => respond::page(StatusCode::INTERNAL_SERVER_ERROR),
    };
    Err(Box::new(respond::as_it_is(closing(answer, version))))
}

/// A certificate is a connection's: the next request may bring a better one only on another.
fn closing(mut answer: Answer, version: Version) -> Answer {
    if version < Version::HTTP_2 {
        answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    answer
}

fn unauthorised() -> Answer {
    let mut answer = Response::new(ProxyBody::full(Bytes::from_static(b"client certificate unauthorized")));
    *answer.status_mut() = StatusCode::FORBIDDEN;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html"));
    respond::as_it_is(answer)
}

/// The certificate that counts for the request.
pub fn shown(exchange: &Exchange) -> Option<&Shown> {
    exchange.certificate.filter(|checked| checked.verdict != Verdict::Absent)?;
    exchange.client.session.as_ref()?.shown()
}

/// What a client says of itself under these names never passes, with hyphens or with underscores, which many programs
/// do not tell apart.
pub fn strip(headers: &mut HeaderMap) {
    let ours = [VERIFY, SUBJECT, ISSUER, CERTIFICATE];
    let same = |a: &str, b: &str| {
        a.len() == b.len() && a.bytes().zip(b.bytes()).all(|(a, b)| a == b || (a, b) == (b'_', b'-'))
    };
    headers::remove(headers, |name| {
        name.as_str().starts_with("ssl") && ours.iter().any(|own| same(name.as_str(), own.as_str()))
    });
}

/// Tells an upstream, or a service that is asked about the request (contract §10).
pub fn tell(exchange: &Exchange, headers: &mut HeaderMap) {
    strip(headers);
    let Some(checked) = exchange.certificate else { return };
    let mut put = |name, text: &str| {
        if let Ok(value) = HeaderValue::from_str(text) {
            headers.insert(name, value);
        }
    };
    put(VERIFY, &checked.verdict.text());
    if let Some(shown) = shown(exchange) {
        put(SUBJECT, &shown.subject);
        put(ISSUER, &shown.issuer);
        if checked.pass {
            put(CERTIFICATE, &shown.escaped);
        }
    }
}
