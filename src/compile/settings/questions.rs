//! Whom requests are asked about by default: the ConfigMap's `global-auth-*` and `no-auth-locations`.

use http::{HeaderName, Method};

use crate::compile::annotations::Annotations;
use crate::compile::annotations::value::FromAnnotation as _;
use crate::compile::annotations::values_question::HeaderNames;
use crate::compile::configmap::ConfigMapSettings;
use crate::compile::snippet::{Context, Level, read};
use crate::policy::external_auth::Keeping;

/// External authentication as written, by an Ingress or for all of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WrittenAuth {
    pub url: String,
    pub method: Option<Method>,
    pub signin: Option<String>,
    pub signin_param: Option<String>,
    pub response_headers: Vec<HeaderName>,
    pub request_redirect: Option<String>,
    pub always_set_cookie: bool,
    pub cache_key: Option<String>,
    pub cache_keeping: Option<Keeping>,
    pub keep: bool,
    pub snippet: Option<Level>,
}

impl WrittenAuth {
    /// An Ingress's own, if it has one.
    pub fn of_ingress(a: &Annotations, snippet: Option<&Level>) -> Option<Self> {
        Some(Self {
            url: a.auth_url.as_ref()?.as_str().to_owned(),
            method: a.auth_method.as_ref().map(|m| m.0.clone()),
            signin: a.auth_signin.as_ref().map(|s| s.as_str().to_owned()),
            signin_param: a.auth_signin_redirect_param.as_ref().map(|p| p.as_str().to_owned()),
            response_headers: a.auth_response_headers.as_ref().map(|h| h.0.clone()).unwrap_or_default(),
            request_redirect: a.auth_request_redirect.as_ref().map(|r| r.as_str().to_owned()),
            always_set_cookie: a.auth_always_set_cookie.unwrap_or(false),
            cache_key: a.auth_cache_key.as_ref().map(|k| k.as_str().to_owned()),
            cache_keeping: a.auth_cache_duration.as_ref().map(|d| d.0.clone()),
            keep: [a.auth_keepalive.unwrap_or(0), a.auth_keepalive_requests.unwrap_or(1000)].iter().all(|n| *n > 0)
                && a.auth_keepalive_timeout != Some(0),
            snippet: snippet.cloned(),
        })
    }

    /// The ConfigMap's, if it has one. The error says of which key, without `global-`, and why nobody may pass.
    fn of_config_map(raw: &ConfigMapSettings) -> Option<Result<Self, (&'static str, String)>> {
        let text = |value: &Option<String>| value.as_ref().map(|text| text.trim().to_owned()).filter(|t| !t.is_empty());
        let url = text(&raw.global_auth_url)?;
        // A list that cannot be read would leave headers to the client that the service vouches for.
        let headers =
            text(&raw.global_auth_response_headers).map(|list| HeaderNames::from_annotation(&list)).transpose();
        let headers = headers.map_err(|error| ("auth-response-headers", error));
        let snippet = text(&raw.global_auth_snippet).map(|text| read(&text, Context::Question)).transpose();
        let snippet = snippet.map_err(|error| ("auth-snippet", error));
        Some(headers.and_then(|headers| Ok((headers, snippet?))).map(|(headers, snippet)| Self {
            url,
            method: raw.global_auth_method.as_ref().map(|m| m.0.clone()),
            signin: text(&raw.global_auth_signin),
            signin_param: text(&raw.global_auth_signin_redirect_param),
            response_headers: headers.unwrap_or_default().0,
            request_redirect: text(&raw.global_auth_request_redirect),
            always_set_cookie: raw.global_auth_always_set_cookie.unwrap_or(false),
            cache_key: text(&raw.global_auth_cache_key),
            cache_keeping: raw.global_auth_cache_duration.as_ref().map(|d| d.0.clone()),
            keep: false,
            snippet,
        }))
    }
}

#[derive(Clone, Debug, Default)]
pub struct QuestionSettings {
    /// For every location without its own.
    pub auth: Option<Result<WrittenAuth, (&'static str, String)>>,
}

impl QuestionSettings {
    pub fn from_raw(raw: &ConfigMapSettings) -> Self {
        Self { auth: WrittenAuth::of_config_map(raw) }
    }
}
