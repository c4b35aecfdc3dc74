//! The text of what a route answers by itself or changes in answers.

use std::fmt::Write as _;

use crate::policy::RoutePolicy;
use crate::policy::cors::{Cors, Origin, Origins};

pub fn render(out: &mut String, policy: &RoutePolicy) {
    if let Some(redirect) = &policy.redirect {
        let _ = write!(out, " redirect={} {:?}", redirect.status.as_str(), redirect.location);
    }
    if let Some(cors) = &policy.cors {
        render_cors(out, cors);
    }
    if let Some(headers) = &policy.custom_headers {
        let names: Vec<&str> = headers.iter().map(|header| header.name.as_str()).collect();
        let _ = write!(out, " custom-headers={}", names.join(","));
    }
    if let Some(answer) = &policy.answer {
        let parts = [
            ("cookie-domain", answer.cookie_domain.is_some()),
            ("cookie-path", answer.cookie_path.is_some()),
            ("redirect", answer.redirect.is_some()),
        ];
        let there: Vec<&str> = parts.iter().filter(|(_, there)| *there).map(|(name, _)| *name).collect();
        let _ = write!(out, " rewrites-answers={}", there.join(","));
    }
    if let Some(limit) = policy.response_rate {
        let _ = write!(out, " rate={}/s after={}", limit.rate, limit.after);
    }
}

fn render_cors(out: &mut String, cors: &Cors) {
    let origins = match &cors.origins {
        Origins::Any => "*".to_owned(),
        Origins::Listed(list) => list.iter().map(Origin::to_string).collect::<Vec<_>>().join(","),
    };
    let _ = write!(out, " cors[{origins} {:?} {:?}", cors.methods, cors.headers);
    if let Some(expose) = &cors.expose {
        let _ = write!(out, " expose={expose:?}");
    }
    if !cors.credentials {
        out.push_str(" no-credentials");
    }
    let _ = write!(out, " {}s]", cors.max_age.to_str().unwrap_or_default());
}
