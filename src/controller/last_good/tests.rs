//! What is held back, and for how long.

use super::*;
use crate::compile::compile;
use crate::snapshot::{Meta, Object};

/// What a scan's objects become, with what is told of them.
#[derive(Default)]
struct Scene {
    last_good: LastGood,
    memo: Memo,
    options: Options,
}

impl Scene {
    fn admit(&mut self, objects: &[Object]) -> (Arc<Snapshot>, Vec<Diagnostic>) {
        let mut snapshot = Snapshot::default();
        for object in objects {
            assert!(snapshot.insert(object.clone()).is_none());
        }
        let mut diagnostics = Vec::new();
        let admitted = self.last_good.admit(&Arc::new(snapshot), &self.options, &mut self.memo, &mut diagnostics);
        (admitted, diagnostics)
    }
}

fn meta(name: &str, annotations: &[(&str, &str)]) -> Meta {
    let annotations = annotations.iter().map(|(k, v)| (format!("nginx.ingress.kubernetes.io/{k}"), (*v).to_owned()));
    Meta { name: name.into(), namespace: "shop".into(), annotations: annotations.collect(), ..Meta::default() }
}

fn ingress(name: &str, annotations: &[(&str, &str)]) -> Object {
    let mut ingress = Ingress { metadata: meta(name, annotations), ..Ingress::default() };
    ingress.spec.ingress_class_name = Some("nginx".into());
    Object::Ingress(Arc::new(ingress))
}

fn secret(name: &str, data: &[(&str, &str)]) -> Object {
    let data = data.iter().map(|(k, v)| ((*k).to_owned(), v.as_bytes().to_vec())).collect();
    Object::Secret(Arc::new(Secret { metadata: meta(name, &[]), data, ..Secret::default() }))
}

fn pair() -> (String, String) {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(["a.test".to_owned()]).unwrap().self_signed(&key).unwrap();
    (certificate.pem(), key.serialize_pem())
}

/// The object that is served under the name of `object`.
fn served(snapshot: &Snapshot, object: &Object) -> Option<Object> {
    let key = object.meta().key();
    match object {
        Object::Ingress(_) => snapshot.ingresses.get(&key).cloned().map(Object::Ingress),
        Object::Secret(_) => snapshot.secrets.get(&key).cloned().map(Object::Secret),
        _ => None,
    }
}

const GOOD: (&str, &str) = ("upstream-vhost", "inner.test");
const BAD: (&str, &str) = ("upstream-vhost", "a;b");

#[test]
fn a_rejected_version_leaves_the_previous_one() {
    let mut scene = Scene::default();
    let first = ingress("web", &[GOOD]);
    assert_eq!(scene.admit(std::slice::from_ref(&first)).1, []);
    for round in 0..2 {
        let (admitted, told) = scene.admit(&[ingress("web", &[BAD]), ingress("other", &[])]);
        assert_eq!(served(&admitted, &first), Some(first.clone()), "round {round}");
        assert_eq!(admitted.ingresses.len(), 2);
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(told[0].key.as_deref(), Some("nginx.ingress.kubernetes.io/upstream-vhost"));
    }
    let mended = ingress("web", &[("upstream-vhost", "new.test")]);
    let (admitted, told) = scene.admit(std::slice::from_ref(&mended));
    assert_eq!((served(&admitted, &mended), told.len()), (Some(mended.clone()), 0));
    let (admitted, _) = scene.admit(&[ingress("web", &[BAD])]);
    assert_eq!(served(&admitted, &mended), Some(mended));
}

#[test]
fn a_rejected_new_object_is_absent_alone() {
    let mut scene = Scene::default();
    let (bad, good) = (ingress("bad", &[BAD]), ingress("good", &[]));
    let (admitted, told) = scene.admit(&[bad.clone(), good.clone()]);
    assert_eq!((served(&admitted, &bad), served(&admitted, &good)), (None, Some(good)));
    assert_eq!(told.len(), 1);
}

#[test]
fn denied_and_defaulted_versions_are_taken() {
    let mut scene = Scene::default();
    let objects = [ingress("a", &[("auth-type", "basic")]), ingress("b", &[("proxy-read-timeout", "60s")])];
    let (admitted, told) = scene.admit(&objects);
    assert_eq!((admitted.ingresses.len(), told.len()), (2, 0));
}

#[test]
fn what_is_not_ours_is_not_judged() {
    let mut scene = Scene::default();
    let mut foreign = Ingress { metadata: meta("foreign", &[BAD]), ..Ingress::default() };
    foreign.spec.ingress_class_name = Some("other".into());
    let foreign = Object::Ingress(Arc::new(foreign));
    let (admitted, told) = scene.admit(std::slice::from_ref(&foreign));
    assert_eq!((served(&admitted, &foreign), told.len()), (Some(foreign.clone()), 0));
}

/// A version that is not ours is no last good one: the Ingress is gone while another class has it.
#[test]
fn an_ingress_that_comes_back_broken_starts_anew() {
    let mut scene = Scene::default();
    let ours = ingress("web", &[GOOD]);
    scene.admit(std::slice::from_ref(&ours));
    let mut away = Ingress { metadata: meta("web", &[]), ..Ingress::default() };
    away.spec.ingress_class_name = Some("other".into());
    scene.admit(&[Object::Ingress(Arc::new(away))]);
    let (admitted, _) = scene.admit(&[ingress("web", &[BAD])]);
    assert_eq!(served(&admitted, &ours), None);
}

#[test]
fn a_broken_certificate_leaves_the_last_good_one() {
    let mut scene = Scene::default();
    let (crt, key) = pair();
    let good = secret("tls", &[("tls.crt", &crt), ("tls.key", &key)]);
    assert_eq!(scene.admit(std::slice::from_ref(&good)).1, []);
    let (other, _) = pair();
    for broken in [
        secret("tls", &[("tls.crt", "no pem"), ("tls.key", &key)]),
        secret("tls", &[("tls.crt", &crt)]),
        secret("tls", &[("tls.crt", &other), ("tls.key", &key)]),
    ] {
        let (admitted, told) = scene.admit(&[broken]);
        assert_eq!(served(&admitted, &good), Some(good.clone()));
        assert_eq!(told.len(), 1);
        assert!(!told[0].message.contains("BEGIN"), "{}", told[0].message);
    }
}

/// Nobody else would tell of it: compile names the Ingress that needs it.
#[test]
fn a_certificate_that_was_never_good_is_passed_on() {
    let mut scene = Scene::default();
    let broken = secret("tls", &[("tls.crt", "no pem"), ("tls.key", "no pem")]);
    let mut web = Ingress { metadata: meta("web", &[]), ..Ingress::default() };
    web.spec.ingress_class_name = Some("nginx".into());
    web.spec.rules = vec![crate::snapshot::IngressRule { host: "a.test".into(), http: None }];
    web.spec.tls = vec![crate::snapshot::IngressTls { hosts: vec!["a.test".into()], secret_name: "tls".into() }];
    let (admitted, told) = scene.admit(&[broken.clone(), Object::Ingress(Arc::new(web))]);
    assert_eq!((served(&admitted, &broken), told.len()), (Some(broken), 0));
    let diagnostics = compile(&admitted, &scene.options, &mut scene.memo).diagnostics;
    assert_eq!(diagnostics.len(), 1);
    assert!(diagnostics[0].message.starts_with("Secret shop/tls: "), "{}", diagnostics[0].message);
}

#[test]
fn other_secrets_are_left_alone() {
    let mut scene = Scene::default();
    let users = secret("users", &[("auth", "a:b")]);
    assert_eq!(scene.admit(std::slice::from_ref(&users)).1, []);
    let changed = secret("users", &[("auth", "c:d")]);
    assert_eq!(served(&scene.admit(std::slice::from_ref(&changed)).0, &changed), Some(changed));
}

#[test]
fn what_is_deleted_is_forgotten() {
    let mut scene = Scene::default();
    let (crt, key) = pair();
    let tls = secret("tls", &[("tls.crt", &crt), ("tls.key", &key)]);
    let web = ingress("web", &[GOOD]);
    scene.admit(&[tls.clone(), web.clone()]);
    let (admitted, _) = scene.admit(&[]);
    assert_eq!(*admitted, Snapshot::default());
    let broken = secret("tls", &[("tls.crt", "no pem"), ("tls.key", &key)]);
    let (admitted, _) = scene.admit(&[broken.clone(), ingress("web", &[BAD])]);
    assert_eq!((served(&admitted, &tls), served(&admitted, &web)), (Some(broken), None));
}

#[test]
fn a_snapshot_in_order_is_not_copied() {
    let snapshot = Arc::new(Snapshot::default());
    let admitted = LastGood::default().admit(&snapshot, &Options::default(), &mut Memo::default(), &mut Vec::new());
    assert!(Arc::ptr_eq(&snapshot, &admitted));
}
