//! How the endpoints of an upstream are chosen: what the Ingresses that name it say together (contract §2.4, §17).

use std::sync::Arc;

use super::{Input, Owned};
use crate::base::diagnostic::{Reason, Severity};
use crate::compile::annotations::Annotations;
use crate::compile::annotations::values_balance::LoadBalance;
use crate::compile::report::Report;
use crate::compile::settings::Settings;
use crate::policy::affinity::{Affinity, Mode, SessionCookie, opaque};
use crate::policy::balance::{Balance, HashBy, Scheme};
use crate::policy::template::Template;
use crate::snapshot::ObjectKey;
use crate::table::UpstreamKey;

/// What is known so far of one upstream.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    /// Of the first Ingress.
    scheme: Scheme,
    /// Of the first Ingress that says one.
    mode: Option<Mode>,
    /// Of the last Ingress that has affinity, as ingress-nginx was seen to do.
    cookie: Option<Arc<SessionCookie>>,
}

impl Draft {
    /// The scheme that the first Ingress asks for.
    pub fn new(a: &Annotations, settings: &Settings) -> Self {
        Self { scheme: scheme(a, settings), ..Self::default() }
    }

    /// A rule of this Ingress leads to the upstream.
    pub fn meet(&mut self, a: &Annotations) {
        let mode = a.affinity_mode.map(|mode| if mode.0 { Mode::Persistent } else { Mode::Balanced });
        self.mode = self.mode.or(mode);
        if a.affinity.is_some() {
            self.cookie = Some(Arc::new(session_cookie(a)));
        }
    }

    /// A canary keeps clients as its main upstream does (contract §16), unless it is told not to.
    pub fn follow(&mut self, main: &Self) {
        (self.mode, self.cookie) = (main.mode, main.cookie.clone());
    }

    /// `None` where it is plain round robin.
    pub fn build(self, key: &UpstreamKey) -> Option<Arc<Balance>> {
        let affinity = self.cookie.map(|cookie| Affinity {
            mode: self.mode.unwrap_or_default(),
            key: opaque(&format!("{}/{}:{}", key.namespace, key.service, key.port)).into(),
            cookie,
        });
        let balance = Balance { scheme: self.scheme, affinity };
        (balance != Balance::default()).then(|| Arc::new(balance))
    }
}

/// Hashing goes before `load-balance`, whose own hashing has no key: one endpoint, or one subset, takes everything, as
/// in ingress-nginx.
fn scheme(a: &Annotations, settings: &Settings) -> Scheme {
    let default = &settings.balance;
    let subset = || {
        let size = a.upstream_hash_by_subset_size.unwrap_or(default.subset_size);
        if size == 0 { 3 } else { size.min(HashBy::LARGEST_SUBSET) }
    };
    let text = a.upstream_hash_by.as_ref().or(default.hash_by.as_ref());
    if let Some(text) = text.map(|text| text.0.as_str()).filter(|text| !text.is_empty()) {
        // A variable that there is not is empty in ingress-nginx's Lua, too.
        let (key, _) = Template::parse_leniently(text);
        let text = text.into();
        let in_subset = a.upstream_hash_by_subset.unwrap_or(default.subset);
        return Scheme::Hash(HashBy { key, text, subset: in_subset.then(subset) });
    }
    let constant = |subset| Scheme::Hash(HashBy { key: Template::default(), text: "".into(), subset });
    match a.load_balance.or(default.load_balance) {
        Some(LoadBalance::RoundRobin) | None => Scheme::RoundRobin,
        Some(LoadBalance::Ewma) => Scheme::Ewma,
        Some(LoadBalance::LeastConnections) => Scheme::LeastConnections,
        Some(LoadBalance::Sticky) => Scheme::Random,
        Some(LoadBalance::Chash) => constant(None),
        Some(LoadBalance::ChashSubset) => constant(Some(subset())),
    }
}

fn session_cookie(a: &Annotations) -> SessionCookie {
    let default = SessionCookie::default();
    SessionCookie {
        name: a.session_cookie_name.as_ref().map_or(default.name, |name| name.as_str().into()),
        path: a.session_cookie_path.as_ref().map(|path| path.0.as_str().into()),
        domain: a.session_cookie_domain.as_ref().map(|domain| domain.0.as_str().into()),
        expires: a.session_cookie_expires.map(|seconds| seconds.0),
        max_age: a.session_cookie_max_age.map(|seconds| seconds.0),
        same_site: a.session_cookie_samesite,
        conditional_none: a.session_cookie_conditional_samesite_none.unwrap_or(false),
        secure: a.session_cookie_secure.unwrap_or(false),
        change_on_failure: a.session_cookie_change_on_failure.unwrap_or(false),
    }
}

/// Says what of an Ingress's balancing and error backend has not the effect that it seems to have.
pub fn tell(input: Input<'_>, item: &Owned, report: &mut Report) {
    let a = item.annotations();
    let mut warn = |key: &str, reason, message: String| {
        report.ingress(Severity::Warning, reason, &item.ingress, Some(key.to_owned()), message);
    };
    let unknown = a.upstream_hash_by.as_ref().map(|text| Template::parse_leniently(&text.0).1);
    for error in unknown.into_iter().flatten() {
        let message = format!("{error}: it is empty for all requests");
        warn("upstream-hash-by", Reason::AnnotationParsingFailed, message);
    }
    let hashes = matches!(a.load_balance, Some(LoadBalance::Chash | LoadBalance::ChashSubset));
    if hashes && a.upstream_hash_by.is_none() && input.settings.of(&item.ingress).balance.hash_by.is_none() {
        let message = "without upstream-hash-by every request has the same key".to_owned();
        warn("load-balance", Reason::AnnotationParsingFailed, message);
    }
    if a.affinity.is_some() && a.use_regex == Some(true) && a.session_cookie_path.is_none() {
        let message = "with use-regex the cookie's path is a regex, too, which no browser takes".to_owned();
        warn("session-cookie-path", Reason::AnnotationParsingFailed, message);
    }
    if let Some(name) = &a.default_backend {
        let key = ObjectKey { namespace: item.key.namespace.clone(), name: name.0.as_str().into() };
        let missing = match input.snapshot.services.get(&key) {
            None => "does not exist",
            Some(service) if service.spec.ports.is_empty() => "has no port",
            Some(_) => return,
        };
        let message = format!("Service {key} {missing}: it stands in for nothing");
        warn("default-backend", Reason::MissingReference, message);
    }
}
