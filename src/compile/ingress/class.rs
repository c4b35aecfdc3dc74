//! Which Ingresses are ours (contract §1).

use crate::base::diagnostic::{Reason, Severity};
use crate::compile::Options;
use crate::compile::report::Report;
use crate::snapshot::{ClassSource, Ingress, IngressClass, Snapshot};

const LEGACY_ANNOTATION: &str = "kubernetes.io/ingress.class";

/// Whether this controller serves the Ingress. A class that is named but unknown is never ours, whatever the annotation
/// says, unless classes cannot be read at all (contract §1.2).
pub fn is_owned(ingress: &Ingress, snapshot: &Snapshot, options: &Options) -> bool {
    if is_left_out(ingress, snapshot, options) {
        return false;
    }
    if let Some(name) = class_name(ingress, snapshot) {
        return match snapshot.ingress_classes.get(name) {
            Some(class) => is_ours(class, options),
            // A plain directory is usable without an IngressClass document: the class of the flag needs none.
            None => {
                snapshot.class_source == ClassSource::Directory
                    && snapshot.ingress_classes.is_empty()
                    && name == options.ingress_class
            }
        };
    }
    match ingress.metadata.annotations.get(LEGACY_ANNOTATION).map(String::as_str) {
        None => options.watch_without_class,
        Some(class) => class == options.ingress_class,
    }
}

/// Whether a class is this controller's.
pub fn is_ours(class: &IngressClass, options: &Options) -> bool {
    class.spec.controller == options.controller_class
        || (options.ingress_class_by_name && *class.metadata.name == *options.ingress_class)
}

/// `spec.ingressClassName`, where classes can be read.
fn class_name<'a>(ingress: &'a Ingress, snapshot: &Snapshot) -> Option<&'a str> {
    let readable = snapshot.class_source != ClassSource::Unreadable;
    ingress.spec.ingress_class_name.as_deref().filter(|name| readable && !name.is_empty())
}

/// Whether a flag leaves the Ingress out, whatever its class.
fn is_left_out(ingress: &Ingress, snapshot: &Snapshot, options: &Options) -> bool {
    let namespace = &ingress.metadata.namespace;
    let watched = match &snapshot.namespaces {
        Some(selected) => selected.contains(namespace),
        None => options.watch_namespace.is_empty() || **namespace == *options.watch_namespace,
    };
    let has_default = ingress.spec.default_backend.as_ref().is_some_and(|b| b.service.is_some() || b.resource);
    !watched || (options.disable_catch_all && has_default)
}

/// Says why an Ingress whose class points to nobody is not served; another controller's is none of our business.
pub fn tell_unclaimed(ingress: &Ingress, snapshot: &Snapshot, options: &Options, report: &mut Report) {
    if is_left_out(ingress, snapshot, options) {
        return;
    }
    let legacy = ingress.metadata.annotations.contains_key(LEGACY_ANNOTATION);
    let ours = &options.ingress_class;
    let (severity, message) = match class_name(ingress, snapshot) {
        Some(name) if !snapshot.ingress_classes.contains_key(name) => {
            (Severity::Warning, format!("not served: there is no IngressClass {name:?}; ours is {ours}"))
        }
        None if !legacy && !options.watch_without_class => {
            let message =
                format!("not served: no class is set: name {ours}, or start with --watch-ingress-without-class");
            (Severity::Note, message)
        }
        _ => return,
    };
    report.ingress(severity, Reason::UnknownClass, ingress, Some("spec.ingressClassName".to_owned()), message);
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::snapshot::{IngressClassSpec, Meta};

    fn class(name: &str, controller: &str) -> (Arc<str>, Arc<IngressClass>) {
        let metadata = Meta { name: name.into(), ..Meta::default() };
        let spec = IngressClassSpec { controller: controller.into(), parameters: None };
        (name.into(), Arc::new(IngressClass { metadata, spec }))
    }

    fn ingress(class_name: Option<&str>, annotation: Option<&str>) -> Ingress {
        let mut ingress = Ingress::default();
        ingress.spec.ingress_class_name = class_name.map(Arc::from);
        if let Some(text) = annotation {
            ingress.metadata.annotations.insert(LEGACY_ANNOTATION.into(), text.into());
        }
        ingress
    }

    #[test]
    fn ownership() {
        let plain = Options::default();
        let by_name = Options { ingress_class_by_name: true, ingress_class: "other".into(), ..Options::default() };
        let without = Options { watch_without_class: true, ..Options::default() };
        let classes = [class("nginx", "k8s.io/ingress-nginx"), class("other", "example.com/other")];
        let snapshot = Snapshot { ingress_classes: classes.into(), ..Snapshot::default() };
        let rows = [
            (&plain, Some("nginx"), None, true),
            (&plain, Some("other"), None, false),
            (&by_name, Some("other"), None, true),
            (&plain, Some("gone"), Some("nginx"), false),
            (&plain, None, Some("nginx"), true),
            (&plain, None, Some("traefik"), false),
            (&plain, None, None, false),
            (&without, None, None, true),
            (&without, None, Some("traefik"), false),
            (&without, None, Some(""), false),
            (&without, Some("gone"), None, false),
        ];
        for (options, name, annotation, expected) in rows {
            let got = is_owned(&ingress(name, annotation), &snapshot, options);
            assert_eq!(got, expected, "{name:?} {annotation:?}");
        }
        assert!(is_owned(&ingress(Some("nginx"), None), &Snapshot::default(), &plain));
        assert!(!is_owned(&ingress(Some("other"), None), &Snapshot::default(), &plain));
    }

    #[test]
    fn in_a_cluster_a_class_is_there_or_not_readable() {
        let options = Options::default();
        let cluster = Snapshot { class_source: ClassSource::Cluster, ..Snapshot::default() };
        let unreadable = Snapshot { class_source: ClassSource::Unreadable, ..Snapshot::default() };
        let rows = [
            (&cluster, Some("nginx"), None, false),
            (&cluster, Some("nginx"), Some("nginx"), false),
            (&cluster, None, Some("nginx"), true),
            (&unreadable, Some("nginx"), None, false),
            (&unreadable, Some("nginx"), Some("nginx"), true),
            (&unreadable, Some("nginx"), Some("other"), false),
        ];
        for (snapshot, name, annotation, expected) in rows {
            assert_eq!(is_owned(&ingress(name, annotation), snapshot, &options), expected, "{name:?} {annotation:?}");
        }
    }

    #[test]
    fn a_selector_selects_namespaces() {
        let mut ours = ingress(None, Some("nginx"));
        ours.metadata.namespace = "shop".into();
        for (selected, expected) in [("shop", true), ("other", false)] {
            let snapshot = Snapshot { namespaces: Some([Arc::from(selected)].into()), ..Snapshot::default() };
            assert_eq!(is_owned(&ours, &snapshot, &Options::default()), expected, "{selected}");
        }
    }
}
