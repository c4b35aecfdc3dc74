//! Which Secrets and ConfigMaps a snapshot refers to: no others have to be read, or kept.

use super::Options;
use super::ingress::{is_ours, is_owned};
use crate::base::parse::go_bool;
use crate::snapshot::{Ingress, ObjectKey, References, Snapshot};

/// Annotations that name a Secret and are acted on.
const SECRETS: &[&str] = &["auth-secret", "auth-tls-secret", "proxy-ssl-secret"];

/// Annotations that name a ConfigMap and are acted on.
const CONFIG_MAPS: &[&str] = &["auth-proxy-set-headers"];

/// Those that name one of whatever namespace.
const CONFIG_MAPS_OF_OTHERS: &[&str] = &["custom-headers"];

/// Keys of the controller's ConfigMap that name another.
const OF_THE_CONFIG_MAP: &[&str] = &["add-headers", "proxy-set-headers"];

/// Annotations that name a ConfigMap of the Ingress's own namespace and are acted on.
const OWN_CONFIG_MAPS: &[&str] = &["fastcgi-params-configmap"];

/// Whether this is the setting of a Secret, as diagnostics about the Secret itself name it.
pub fn names_secret(key: &str) -> bool {
    SECRETS.contains(&key)
}

/// What the flags and the Ingresses that are ours refer to.
pub fn references(snapshot: &Snapshot, options: &Options) -> References {
    let named = [&options.config_map, &options.tcp_services, &options.udp_services];
    let classes = snapshot.ingress_classes.values().filter(|class| is_ours(class, options));
    let named = named.into_iter().flatten().cloned();
    let mut config_maps: Vec<_> = named.chain(classes.filter_map(|class| class.config_map())).collect();
    let main = options.config_map.as_ref().and_then(|key| snapshot.config_maps.get(key));
    let texts = main.into_iter().flat_map(|map| OF_THE_CONFIG_MAP.iter().filter_map(|key| map.data.get(*key)));
    config_maps.extend(texts.filter_map(|text| ObjectKey::parse(text.trim(), "")));
    let allowed = main.and_then(|map| map.data.get("allow-cross-namespace-resources"));
    let foreign = allowed.and_then(|text| go_bool(text.trim())).unwrap_or(false);
    let mut secrets = Vec::from_iter(options.default_certificate.clone());
    for (key, ingress) in snapshot.ingresses.iter().filter(|(_, ingress)| is_owned(ingress, snapshot, options)) {
        of_ingress(key, ingress, options, foreign, (&mut secrets, &mut config_maps));
    }
    // Sorted once, as sets.
    References { secrets: secrets.into_iter().collect(), config_maps: config_maps.into_iter().collect() }
}

fn of_ingress(
    key: &ObjectKey,
    ingress: &Ingress,
    options: &Options,
    foreign: bool,
    (secrets, config_maps): (&mut Vec<ObjectKey>, &mut Vec<ObjectKey>),
) {
    let certificates = ingress.spec.tls.iter().filter(|tls| !tls.secret_name.is_empty());
    secrets.extend(certificates.map(|tls| ObjectKey::new(key.namespace.clone(), tls.secret_name.as_str())));
    for (name, text) in &ingress.metadata.annotations {
        let own = name.strip_prefix(options.annotations.prefix.as_str()).and_then(|rest| rest.strip_prefix('/'));
        if own.is_some_and(|own| CONFIG_MAPS_OF_OTHERS.contains(&own)) {
            config_maps.extend(ObjectKey::parse(text.trim(), ""));
        }
        let lists = [(SECRETS, &mut *secrets), (CONFIG_MAPS, &mut *config_maps)];
        for (_, list) in lists.into_iter().filter(|(keys, _)| own.is_some_and(|own| keys.contains(&own))) {
            // Others' objects are not read either, unless the ConfigMap allows it.
            let named = ObjectKey::parse(text.trim(), &key.namespace);
            list.extend(named.filter(|named| foreign || named.namespace == key.namespace));
        }
        if own.is_some_and(|own| OWN_CONFIG_MAPS.contains(&own)) {
            let named = ObjectKey::parse(text.trim(), &key.namespace);
            config_maps.extend(named.filter(|named| named.namespace == key.namespace));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::compile::annotations::ROWS;
    use crate::compile::annotations::value::FromAnnotation as _;
    use crate::compile::annotations::values_access::SecretName;
    use crate::snapshot::{ConfigMap, IngressTls, Object};

    fn ingress(name: &str, class: &str, secret: &str, annotation: Option<(&str, &str)>) -> Object {
        let mut ingress = Ingress::default();
        (ingress.metadata.namespace, ingress.metadata.name) = ("shop".into(), name.into());
        ingress.spec.ingress_class_name = Some(class.into());
        ingress.spec.tls.push(IngressTls { hosts: Vec::new(), secret_name: secret.into() });
        ingress.metadata.annotations.extend(annotation.map(|(key, value)| (key.to_owned(), value.to_owned())));
        Object::Ingress(Arc::new(ingress))
    }

    #[test]
    fn what_is_ours_and_acted_on_is_referred_to() {
        let mut snapshot = Snapshot::default();
        for object in [
            ingress("a", "nginx", "web-tls", None),
            ingress("b", "nginx", "", Some(("nginx.ingress.kubernetes.io/proxy-ssl-secret", " other/ca "))),
            ingress("g", "nginx", "", Some(("nginx.ingress.kubernetes.io/fastcgi-params-configmap", "php"))),
            ingress("h", "nginx", "", Some(("nginx.ingress.kubernetes.io/fastcgi-params-configmap", "other/php"))),
            ingress("c", "nginx", "", Some(("example.com/proxy-ssl-secret", "other/not-ours"))),
            ingress("e", "nginx", "", Some(("nginx.ingress.kubernetes.io/auth-secret", "users"))),
            ingress("d", "another", "not-ours-either", None),
            ingress("f", "nginx", "", Some(("nginx.ingress.kubernetes.io/custom-headers", "other/headers"))),
        ] {
            snapshot.insert(object);
        }
        let options = Options {
            default_certificate: Some(ObjectKey::new("ns", "default")),
            tcp_services: Some(ObjectKey::new("ns", "tcp")),
            udp_services: Some(ObjectKey::new("ns", "udp")),
            ..Options::default()
        };
        let allowing = Options { config_map: Some(ObjectKey::new("ns", "config")), ..options.clone() };
        let mut allowed = snapshot.clone();
        let mut map = ConfigMap::default();
        (map.metadata.namespace, map.metadata.name) = ("ns".into(), "config".into());
        map.data.insert("add-headers".into(), "ns/add".into());
        map.data.insert("allow-cross-namespace-resources".into(), "true".into());
        allowed.insert(Object::ConfigMap(Arc::new(map)));
        let referred = references(&allowed, &allowing);
        assert!(referred.secrets.contains(&ObjectKey::new("other", "ca")));
        assert!(referred.config_maps.contains(&ObjectKey::new("ns", "add")));
        let references = references(&snapshot, &options);
        let names: Vec<String> = references.secrets.iter().map(ToString::to_string).collect();
        assert_eq!(names, ["ns/default", "shop/users", "shop/web-tls"], "others' Secrets are not read");
        let names: Vec<String> = references.config_maps.iter().map(ToString::to_string).collect();
        assert_eq!(names, ["ns/tcp", "ns/udp", "other/headers", "shop/php"]);
    }

    #[test]
    fn every_annotation_that_names_an_object_is_known_here() {
        let known = [SECRETS, CONFIG_MAPS, CONFIG_MAPS_OF_OTHERS, OWN_CONFIG_MAPS].concat();
        let shapes = [ObjectKey::SHAPE, SecretName::SHAPE];
        let named = ROWS.iter().filter(|row| row.field.is_some() && shapes.contains(&row.values));
        let missing: Vec<_> = named.map(|row| row.key).filter(|key| !known.contains(key)).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
}
