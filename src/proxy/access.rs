//! PREACCESS and ACCESS: limits, networks, passwords, and how they combine (contract §6 steps 7 and 8).

use std::rc::Rc;

use http::{HeaderMap, StatusCode, header};
use hyper::body::Incoming;

use super::exchange::Exchange;
use super::external_auth;
use super::facts::Facts;
use super::login;
use super::phases::Stopped;
use super::respond::{self, Answer};
use super::snippets;
use super::worker::LocalLive;
use super::zone::Beyond;
use crate::policy::RoutePolicy;
use crate::policy::access::{Access, Said, Satisfy};
use crate::policy::external_auth::Granted;
use crate::policy::limits::Limits;

type Request = http::Request<Incoming>;

/// Whether no server answers this request (contract §6 step 3).
pub fn is_blocked(live: &LocalLive, headers: &HeaderMap) -> bool {
    live.table().global.blocks.as_ref().is_some_and(|blocks| blocks.blocks(headers))
}

/// What one rule says of a request, with the answer where it refuses.
pub enum Verdict {
    Granted,
    Refused(Answer),
    /// The rule is not about this request.
    Nothing,
}

/// Lets a request in, or says why not.
pub async fn admit(exchange: &mut Exchange, policy: &RoutePolicy, mut request: Request) -> Result<Request, Stopped> {
    let everybody = Access::default();
    let access = policy.access.as_deref().unwrap_or(&everybody);
    if let Some(limits) = &access.limits
        && let Err(status) = count(exchange, limits, request.headers())
    {
        return Err(Stopped { answer: respond::page(status), unread: Some(request.into_body()) });
    }
    let mut gate = Gate::new(access.satisfy);
    // One module of nginx's has the lists and what snippets add to them.
    gate.hear(match (access.networks.decide(exchange.remote().ip()), snippets::said(exchange)) {
        (Said::Refused, _) | (_, Said::Refused) => Verdict::Refused(respond::page(StatusCode::FORBIDDEN)),
        (Said::Granted, _) | (_, Said::Granted) => Verdict::Granted,
        (Said::Nothing, Said::Nothing) => Verdict::Nothing,
    });
    if let Some(login) = access.login.as_ref().filter(|_| !gate.is_settled) {
        gate.hear(login::ask(exchange, login, request.headers()).await);
    }
    if let Some(auth) = policy.external_auth.as_ref().filter(|_| !gate.is_settled) {
        gate.hear(external_auth::verdict(exchange, auth, request.headers()).await);
    }
    if let Some(answer) = gate.refusal {
        let answer = match &policy.external_auth {
            Some(auth) => {
                let facts = Facts { exchange, headers: request.headers() };
                external_auth::instead_of_401(auth, policy, &facts, answer)
            }
            None => answer,
        };
        return Err(Stopped { answer, unread: Some(request.into_body()) });
    }
    if let (Some(auth), None) = (&policy.external_auth, &exchange.granted) {
        // Nobody was asked: what only the service may say does not come from the client either.
        exchange.granted = Some(Box::new(Granted::of(auth, &HeaderMap::new())));
    }
    if access.login.is_some() {
        // A password that was meant for us is no upstream's business (contract §10).
        request.headers_mut().remove(header::AUTHORIZATION);
    }
    Ok(request)
}

/// Counts a request among its client's, or gives the status of one too many.
fn count(exchange: &mut Exchange, limits: &Limits, headers: &HeaderMap) -> Result<(), StatusCode> {
    let address = exchange.remote().ip();
    if limits.exempt.as_ref().is_some_and(|exempt| exempt.contains(address)) {
        return Ok(());
    }
    let live = Rc::clone(&exchange.live);
    let Some(zone) = live.live().zones.get(&limits.zone) else { return Err(limits.rate_status) };
    let now = exchange.worker.handle.zone_memory.now();
    let entered = match &limits.zone.client {
        None => zone.enter(limits, address, now),
        Some(template) => {
            let client = template.fill(&Facts { exchange, headers });
            // As in nginx, who has no key is not counted.
            if client.is_empty() {
                return Ok(());
            }
            zone.enter(limits, client, now)
        }
    };
    exchange.held = entered.map_err(|beyond| match beyond {
        Beyond::Rate => limits.rate_status,
        Beyond::Connections => limits.connection_status,
    })?;
    Ok(())
}

/// How the verdicts of several rules become one, as nginx's access phase has it.
struct Gate {
    satisfy: Satisfy,
    /// Nobody need be asked any more.
    is_settled: bool,
    refusal: Option<Answer>,
}

impl Gate {
    fn new(satisfy: Satisfy) -> Self {
        Self { satisfy, is_settled: false, refusal: None }
    }

    /// Takes a verdict in. Once the gate is settled it changes nothing.
    fn hear(&mut self, verdict: Verdict) {
        match (self.satisfy, verdict) {
            _ if self.is_settled => {}
            (_, Verdict::Nothing) | (Satisfy::All, Verdict::Granted) => {}
            (Satisfy::Any, Verdict::Granted) => {
                self.refusal = None;
                self.is_settled = true;
            }
            (Satisfy::All, Verdict::Refused(answer)) => {
                self.refusal = Some(answer);
                self.is_settled = true;
            }
            (Satisfy::Any, Verdict::Refused(answer)) => self.keep(answer),
        }
    }

    /// Of several refusals a question for a password is the one that is told. An error is no refusal: it ends the search.
    fn keep(&mut self, answer: Answer) {
        let asks = |answer: &Answer| answer.status() == StatusCode::UNAUTHORIZED;
        self.is_settled = !asks(&answer) && answer.status() != StatusCode::FORBIDDEN;
        if self.is_settled || !self.refusal.as_ref().is_some_and(asks) {
            self.refusal = Some(answer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_combine_as_nginx_has_it() {
        use Satisfy::{All, Any};
        let page = |status| Verdict::Refused(respond::page(StatusCode::from_u16(status).unwrap()));
        let verdict = |code: u16| match code {
            0 => Verdict::Nothing,
            200 => Verdict::Granted,
            status => page(status),
        };
        let rows: [(Satisfy, &[u16], Option<u16>); 13] = [
            (All, &[], None),
            (All, &[0, 200], None),
            (All, &[403, 200], Some(403)),
            (All, &[200, 401], Some(401)),
            (All, &[403, 401], Some(403)),
            (Any, &[], None),
            (Any, &[403, 200], None),
            (Any, &[200, 401], None),
            (Any, &[0, 401], Some(401)),
            (Any, &[403, 401], Some(401)),
            (Any, &[401, 403], Some(401)),
            (Any, &[401, 500, 200], Some(500)),
            (Any, &[403, 401, 200], None),
        ];
        for (satisfy, heard, expected) in rows {
            let mut gate = Gate::new(satisfy);
            heard.iter().for_each(|code| gate.hear(verdict(*code)));
            assert_eq!(gate.refusal.map(|answer| answer.status().as_u16()), expected, "{satisfy:?} {heard:?}");
        }
    }
}
