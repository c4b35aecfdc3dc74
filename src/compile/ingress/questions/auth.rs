//! `auth-url` and what belongs to it, as policy.

use http::{HeaderName, HeaderValue};

use super::super::{Input, Owned};
use super::Collecting;
use super::url::Url;
use crate::compile::annotations::values_question::header_name;
use crate::compile::endpoints::Owner;
use crate::compile::settings::questions::WrittenAuth;
use crate::compile::snippet;
use crate::policy::external_auth::{Cache, ExternalAuth, may_be_copied, may_identify, signin_text};
use crate::policy::template::Template;
use crate::snapshot::ObjectKey;

/// A key, and what is wrong with its value.
type Problem = (&'static str, String);

impl Collecting<'_, '_, '_> {
    /// The authentication, with what of it is left out. The error says why nobody may pass.
    pub(super) fn auth(
        &mut self,
        written: &WrittenAuth,
        set_headers: Vec<(HeaderName, Template)>,
        owner: Option<Owner>,
    ) -> Result<(ExternalAuth, Vec<Problem>), Problem> {
        let mut warnings = Vec::new();
        let of_url = |error: String| ("auth-url", format!("{:?} cannot be used: {error}", written.url));
        let url = Url::parse(&written.url).map_err(of_url)?;
        let target = if url.target.is_empty() { "/" } else { &url.target };
        let target = Template::parse(target).map_err(of_url)?;
        let host = HeaderValue::from_str(&url.host).map_err(|error| of_url(error.to_string()))?;
        let redirect = written.request_redirect.as_deref().map(Template::parse).transpose();
        let redirect = redirect.map_err(|error| ("auth-request-redirect", error))?;
        let cache = cache(written, &set_headers).unwrap_or_else(|error| {
            warnings.push(("auth-cache-key", format!("it cannot be used: {error}; nothing is cached")));
            None
        });
        let signin = signin(written).unwrap_or_else(|error| {
            warnings.push(("auth-signin", format!("it cannot be used: {error}; a 401 is not redirected")));
            None
        });
        let auth = ExternalAuth {
            url: written.url.as_str().into(),
            destination: self.destination(&url, owner).map_err(of_url)?,
            host,
            target,
            method: written.method.clone(),
            signin,
            response_headers: written.response_headers.iter().filter(|name| may_be_copied(name)).cloned().collect(),
            request_redirect: redirect,
            set_headers,
            always_set_cookie: written.always_set_cookie,
            cache,
            keep: written.keep,
            snippet: written.snippet.as_ref().and_then(|level| snippet::location(&[], level)),
        };
        Ok((auth, warnings))
    }
}

/// The sign-in page's redirect; a URL that cannot be used leaves the 401.
fn signin(written: &WrittenAuth) -> Result<Option<Template>, String> {
    let Some(url) = &written.signin else { return Ok(None) };
    let param = written.signin_param.as_deref().filter(|param| !param.is_empty()).unwrap_or("rd");
    Template::parse(&signin_text(url, param)).map(Some)
}

fn cache(written: &WrittenAuth, set_headers: &[(HeaderName, Template)]) -> Result<Option<Cache>, String> {
    let Some(key) = &written.cache_key else { return Ok(None) };
    let key = Template::parse(key)?;
    may_identify(&key)?;
    let question = format!("{written:?} {set_headers:?}").into();
    Ok(Some(Cache { key, keeping: written.cache_keeping.clone().unwrap_or_default(), question }))
}

pub const SET_HEADERS: &str = "auth-proxy-set-headers";

/// Whether the ConfigMap that `auth-proxy-set-headers` names could be read, but is not there.
pub fn is_missing(input: Input<'_>, item: &Owned) -> bool {
    let named = item.annotations().auth_proxy_set_headers.as_ref();
    named.is_some_and(|key| may_read(input, item, key) && !input.snapshot.config_maps.contains_key(key))
}

fn may_read(input: Input<'_>, item: &Owned, key: &ObjectKey) -> bool {
    key.namespace == item.key.namespace || input.settings.main.cross_namespace
}

/// The headers of the ConfigMap that `auth-proxy-set-headers` names.
pub fn set_headers(input: Input<'_>, item: &Owned) -> Result<Vec<(HeaderName, Template)>, Problem> {
    let Some(key) = &item.annotations().auth_proxy_set_headers else { return Ok(Vec::new()) };
    let wrong = |error: String| (SET_HEADERS, format!("ConfigMap {key} {error}"));
    if !may_read(input, item, key) {
        return Err(wrong("is in another namespace".to_owned()));
    }
    let map = input.snapshot.config_maps.get(key).ok_or_else(|| wrong("does not exist".to_owned()))?;
    let header = |(name, value): (&String, &String)| {
        let parsed = header_name(name).filter(may_be_copied);
        let parsed = parsed.ok_or_else(|| wrong(format!("has {name:?}, which is no header that can be set")))?;
        let value = Template::parse(value.trim()).map_err(|error| wrong(format!("has {name}: {error}")))?;
        Ok((parsed, value))
    };
    map.data.iter().map(header).collect()
}
