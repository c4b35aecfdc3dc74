//! PREACCESS and ACCESS: limits, networks, passwords, and how they combine (contract §6 steps 7 and 8).

use http::{HeaderMap, StatusCode};
use hyper::body::Incoming;

use super::exchange::Exchange;
use super::phases::Stopped;
use super::respond::{self, Answer};
use super::worker::LocalLive;
use crate::policy::access::{Access, Said, Satisfy};

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
pub async fn admit(exchange: &mut Exchange, access: &Access, request: Request) -> Result<Request, Stopped> {
    let mut gate = Gate::new(access.satisfy);
    gate.hear(match access.networks.decide(exchange.remote().ip()) {
        Said::Granted => Verdict::Granted,
        Said::Refused => Verdict::Refused(respond::page(StatusCode::FORBIDDEN)),
        Said::Nothing => Verdict::Nothing,
    });
    // External authentication is heard here, while the gate is open: `gate.hear(question::ask(…).await)`.
    match gate.refusal {
        Some(answer) => Err(Stopped { answer, unread: Some(request.into_body()) }),
        None => Ok(request),
    }
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
