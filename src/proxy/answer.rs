//! An upstream's answer on its way to the client: what of its head passes, how its body is framed, a switch of protocols.

use std::rc::Rc;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, Response, StatusCode};
use http_body::Body as _;
use tokio::task::spawn_local;

use super::body::ProxyBody;
use super::exchange::Exchange;
use super::facts::Facts;
use super::forward::Plan;
use super::outgoing;
use super::progress::Progress;
use super::respond::Answer;
use super::snippets;
use super::upstream::body::ResponseBody;
use super::upstream::pool::Lease;
use crate::policy::header_text::ServerHeader;
use crate::policy::headers;

/// The upstream's answer as the client gets it.
pub fn answer(
    exchange: &mut Exchange,
    plan: Plan<'_>,
    mut response: Response<ResponseBody>,
    lease: Lease,
    (asked, progress): (&http::request::Parts, &Rc<Progress>),
) -> Answer {
    let read = plan.route.policy.upstream.timeouts.read;
    if let Some(kept) = &mut exchange.kept {
        kept.upstream(&plan.live.table().global.access_log.format.keep, response.headers());
    }
    let granted = response.headers().get(header::UPGRADE).cloned();
    let global = &plan.live.table().global;
    let keep_server = global.headers.server == ServerHeader::Upstream;
    headers::to_client(response.headers_mut(), &global.hide_headers, keep_server);
    snippets::hide(exchange, response.headers_mut());
    if let Some(rules) = &plan.route.policy.answer {
        let facts = Facts { exchange, headers: &asked.headers };
        outgoing::rewrite(&facts, &plan.route.policy, rules, response.headers_mut());
    }
    if response.status() == StatusCode::SWITCHING_PROTOCOLS
        && let Some(upgrade) = plan.upgrade
    {
        let tunnel = exchange.tunnel();
        if let Some(upstream) = lease.into_stream() {
            spawn_local(upgrade.tunnel(Rc::clone(&exchange.worker), upstream, read, tunnel));
        }
        let mut switched = Response::new(ProxyBody::full(Bytes::new()));
        *switched.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        *switched.headers_mut() = std::mem::take(response.headers_mut());
        restore_upgrade(switched.headers_mut(), granted);
        return switched;
    }
    let (mut head, incoming) = response.into_parts();
    set_length(&mut head.headers, head.status, &asked.method, &incoming);
    let timers = &exchange.worker.timers;
    let body = ProxyBody::upstream(incoming, lease, Rc::clone(progress), read, timers);
    let mut answer = Response::new(body);
    *answer.status_mut() = head.status;
    *answer.headers_mut() = head.headers;
    answer
}

/// A body is framed as it was read, whatever the upstream's headers say besides. Where there is no body,
/// `Content-Length` says what there would be (RFC 9110 §8.6), if it is one number.
fn set_length(headers: &mut HeaderMap, status: StatusCode, method: &Method, body: &ResponseBody) {
    if method == Method::HEAD || status == StatusCode::NOT_MODIFIED {
        let mut lines = headers.get_all(header::CONTENT_LENGTH).iter();
        let one = lines.next().is_some_and(|value| value.to_str().is_ok_and(|v| v.parse::<u64>().is_ok()));
        if !one || lines.next().is_some() {
            headers.remove(header::CONTENT_LENGTH);
        }
        return;
    }
    match body.size_hint().exact() {
        Some(length) if status != StatusCode::NO_CONTENT => {
            // What the upstream said is nearly always the same, and need not be written once more.
            let said = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
            if said != Some(length) {
                headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
            }
        }
        _ => drop(headers.remove(header::CONTENT_LENGTH)),
    }
}

fn restore_upgrade(headers: &mut HeaderMap, granted: Option<HeaderValue>) {
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    if let Some(protocol) = granted {
        headers.insert(header::UPGRADE, protocol);
    }
}
