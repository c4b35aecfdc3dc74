//! What Ingresses may do, and what stays in service of one that does more.

use crate::kit::{DEADLINE, Ingress, Manifests, Proxy, Upstream, eventually};

const FLAG: &[&str] = &["--configmap=ingress-nginx/controller"];

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    assert!(eventually(DEADLINE, || holds().then_some(())).is_some(), "{what} did not come");
}

#[test]
fn a_version_that_does_too_much_leaves_the_last_good_one() {
    let upstream = Upstream::start("one");
    let manifests = Manifests::new();
    let web = || Ingress::new("web").rule("a.test", "/", "one");
    manifests.upstream(&upstream).ingress(&web().nginx("ssl-redirect", "false"));
    let set = |level: &str| {
        let words = [("annotations-risk-level", level), ("annotation-value-word-blocklist", "forbidden")];
        manifests.config_map("ingress-nginx", "controller", &words);
    };
    set("Low");
    let proxy = Proxy::start(&manifests, FLAG);
    let told = |text: &str| proxy.stderr().iter().any(|line| line.contains(text));
    assert_eq!(proxy.get("a.test", "/x").status, 200);
    manifests.ingress(&web().nginx("app-root", "/new").nginx("ssl-redirect", "false"));
    until("a word on the risk", || told("its risk is Medium"));
    assert_eq!(proxy.get("a.test", "/").status, 200, "the last good version serves");
    // What is allowed later comes into force without a change of its own.
    set("Medium");
    until("the new version", || proxy.get("a.test", "/").status == 302);
    manifests.ingress(&web().nginx("app-root", "/forbidden"));
    until("a word on the value", || told("which annotation-value-word-blocklist does not allow"));
    let response = proxy.get("a.test", "/");
    assert!(response.header("location").is_some_and(|to| to.ends_with("/new")), "{response:?}");
}
