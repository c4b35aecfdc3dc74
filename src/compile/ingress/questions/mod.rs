//! Whom the proxy asks about requests, and who gets copies of them: URLs of annotations to upstreams of the table.
//!
//! Access fails closed: an authentication that cannot be done denies its paths (contract §9).

mod auth;
mod url;

use std::sync::Arc;

use super::servers::Location;
use super::upstreams::Upstreams;
use super::{Input, Owned};
use crate::base::diagnostic::{Reason, Severity};
use crate::compile::endpoints::{Owner, Source};
use crate::compile::intern::Indexed;
use crate::compile::report::Report;
use crate::compile::settings::Settings;
use crate::compile::settings::questions::WrittenAuth;
use crate::policy::RoutePolicy;
use crate::policy::external_auth::ExternalAuth;
use crate::policy::mirror::Mirror;
use crate::policy::question::Destination;
use crate::policy::template::Template;
use crate::policy::upstream::UpstreamTls;
use crate::snapshot::{Ingress, Meta};
use url::Url;

/// An authentication, or why nobody may pass.
type Auth = Result<Arc<ExternalAuth>, Arc<str>>;

/// What the owned Ingresses ask, in step with them.
#[derive(Debug, Default)]
pub struct Questions<'a> {
    list: Vec<Asked<'a>>,
    pub upstream_tls: Indexed<Arc<UpstreamTls>>,
}

#[derive(Debug)]
struct Asked<'a> {
    settings: &'a Settings,
    auth: Option<Auth>,
    mirror: Option<Arc<Mirror>>,
}

/// Collects the questions of all owned Ingresses; whom they ask becomes an upstream.
pub fn collect<'a>(
    input: Input<'a>,
    owned: &[Owned],
    upstreams: &mut Upstreams<'_>,
    report: &mut Report,
) -> Questions<'a> {
    let mut collecting = Collecting { input, upstreams, upstream_tls: Indexed::default(), report };
    let all = std::iter::once(&input.settings.main).chain(input.settings.classes.values());
    let globals: Vec<(&Settings, Auth)> =
        all.filter_map(|settings| Some((settings, collecting.global(settings)?))).collect();
    let list = owned.iter().map(|item| {
        let settings = input.settings.of(&item.ingress);
        if item.is_canary() {
            return Asked { settings, auth: None, mirror: None };
        }
        let global = || {
            let wanted = item.annotations().enable_global_auth.unwrap_or(true);
            let known = globals.iter().find(|(of, _)| std::ptr::eq(*of, settings));
            known.filter(|_| wanted).map(|(_, auth)| auth.clone())
        };
        Asked { settings, auth: collecting.own(item).or_else(global), mirror: collecting.mirror(item) }
    });
    let list = list.collect();
    Questions { list, upstream_tls: collecting.upstream_tls }
}

impl Questions<'_> {
    /// Adds what is asked about the requests of a location to its policy.
    pub fn apply(&self, location: &Location<'_>, policy: &mut RoutePolicy) {
        let Some(asked) = location.owner.and_then(|owner| self.list.get(owner)) else { return };
        policy.mirror.clone_from(&asked.mirror);
        match asked.auth.as_ref().filter(|_| !asked.settings.access.needs_no_auth(location.path)) {
            Some(Ok(auth)) => {
                // The sign-in is an `error_page` of the location, beside which nginx does not look at the ConfigMap's.
                let signs_in = auth.signin.is_some();
                policy.error_pages = policy.error_pages.take().filter(|pages| pages.own || !signs_in);
                policy.external_auth = Some(Arc::clone(auth));
            }
            Some(Err(reason)) => policy.denied = Some(policy.denied.take().unwrap_or_else(|| Arc::clone(reason))),
            None => {}
        }
    }
}

struct Collecting<'c, 'a, 'u> {
    input: Input<'a>,
    upstreams: &'c mut Upstreams<'u>,
    upstream_tls: Indexed<Arc<UpstreamTls>>,
    report: &'c mut Report,
}

impl Collecting<'_, '_, '_> {
    /// An Ingress's own authentication.
    fn own(&mut self, item: &Owned) -> Option<Auth> {
        let snippet = item.parsed.snippets.as_ref().and_then(|snippets| snippets.question.as_ref());
        let written = WrittenAuth::of_ingress(item.annotations(), snippet)?;
        let ingress = &item.ingress;
        let cost = "its paths answer 500";
        let owner = Owner::Url(Arc::clone(ingress), "auth-url", cost);
        let headers = auth::set_headers(self.input, item);
        let built = headers.and_then(|headers| self.auth(&written, headers, Some(owner)));
        Some(match built {
            Ok((auth, warnings)) => {
                for (key, message) in warnings {
                    self.warn(ingress, key, message);
                }
                Ok(Arc::new(auth))
            }
            Err((key, reason)) => {
                let message = format!("{reason}; its paths answer 503");
                let reason = format!("{}: {key}: {reason}", item.key).into();
                // A ConfigMap may come later, and is read only once an Ingress names it.
                let awaited = key == auth::SET_HEADERS && auth::is_missing(self.input, item);
                let why = if awaited { Reason::MissingReference } else { Reason::AnnotationParsingFailed };
                let severity = Severity::Error;
                self.report.ingress(severity, why, ingress, Some(key.to_owned()), message);
                Err(reason)
            }
        })
    }

    /// The ConfigMap's authentication.
    fn global(&mut self, settings: &Settings) -> Option<Auth> {
        let built = match settings.questions.auth.as_ref()? {
            Ok(written) => self.auth(written, Vec::new(), None),
            Err(problem) => Err(problem.clone()),
        };
        let meta = self.input.options.config_map.as_ref().map(Meta::of).unwrap_or_default();
        let mut tell = |severity, key: &str, message: String| {
            let reason = Reason::ConfigMapParsingFailed;
            self.report.object(severity, reason, "ConfigMap", &meta, Some(format!("global-{key}")), message);
        };
        Some(match built {
            Ok((auth, warnings)) => {
                for (key, message) in warnings {
                    tell(Severity::Warning, key, message);
                }
                Ok(Arc::new(auth))
            }
            Err((key, reason)) => {
                tell(Severity::Error, key, format!("{reason}; paths without their own answer 503"));
                Err(format!("ConfigMap {}: global-{key}: {reason}", meta.key()).into())
            }
        })
    }

    /// Who gets copies of an Ingress's requests. A target that cannot be used is left out: it keeps nobody in or out.
    fn mirror(&mut self, item: &Owned) -> Option<Arc<Mirror>> {
        let a = item.annotations();
        let text = a.mirror_target.as_ref()?.as_str();
        let owner = Owner::Url(Arc::clone(&item.ingress), "mirror-target", "no copies are sent");
        let mut built = || {
            let url = Url::parse(text)?;
            // nginx's proxy_pass: a literal path gets the request's query, one with variables is all there is.
            let query = if url.target.contains('$') { "" } else { "$is_args$args" };
            let target = Some(&url.target).filter(|t| !t.is_empty());
            let target = target.map(|t| Template::parse(&format!("{t}{query}"))).transpose()?;
            let host = a.mirror_host.as_ref().map_or(url.host.as_str(), |h| h.as_str());
            let host = Template::parse(host).map_err(|error| format!("mirror-host: {error}"))?;
            let destination = self.destination(&url, Some(owner.clone()))?;
            let with_body = a.mirror_request_body.is_none_or(|b| b.is_on());
            Ok::<_, String>(Mirror { url: text.into(), destination, host, target, with_body })
        };
        match built() {
            Ok(mirror) => Some(Arc::new(mirror)),
            Err(error) => {
                self.warn(
                    &item.ingress,
                    "mirror-target",
                    format!("{text:?} cannot be used: {error}; no copies are sent"),
                );
                None
            }
        }
    }

    fn warn(&mut self, ingress: &Ingress, key: &str, message: String) {
        let (severity, reason) = (Severity::Warning, Reason::AnnotationParsingFailed);
        self.report.ingress(severity, reason, ingress, Some(key.to_owned()), message);
    }

    /// The upstream of a URL's host and port, and TLS towards it: with SNI and without verification, nginx's default.
    fn destination(&mut self, url: &Url, owner: Option<Owner>) -> Result<Destination, String> {
        let plan = url.plan(self.input.options.external_names)?;
        let upstream = self.upstreams.add_host(&url.host, url.port, Source { plan, owner });
        let tls = url.https.then(|| UpstreamTls {
            name: Some(url.host.as_str().into()),
            send_name: true,
            tls12: true,
            tls13: true,
            ..UpstreamTls::default()
        });
        Ok(Destination { upstream, tls: tls.map(|tls| self.upstream_tls.index(Arc::new(tls))) })
    }
}
