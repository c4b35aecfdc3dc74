//! Who may enter: users and their passwords, on real sockets.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::{from, served_with};
use crate::kit::{Manifests, Proxy};

const HTPASSWD: &str = include_str!("../data/htpasswd");
const BASIC: [(&str, &str); 2] = [("auth-type", "basic"), ("auth-secret", "users")];

fn basic(user: &str, password: &str) -> String {
    format!("Authorization: Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}")))
}

fn status(proxy: &Proxy, host: &str, fields: &[&str]) -> u16 {
    from(proxy, 1, host, "/", fields).status
}

fn users(manifests: &Manifests) {
    manifests.secret("users", &[("auth", HTPASSWD)]).secret("map", &[("ann", "{PLAIN}secret"), ("bob", "$1$broken")]);
}

#[test]
fn every_form_of_a_password_lets_its_user_in() {
    let hosts: &[&[(&str, &str)]] = &[&BASIC];
    let (_upstream, _manifests, proxy) = served_with(&[], hosts, users);
    for user in ["apr1", "sha", "des", "bcrypt", "sha256", "sha512", "sha512rounds", "plain", "ssha", "md5"] {
        for _ in 0..2 {
            let answer = from(&proxy, 1, "h0.test", "/", &[&basic(user, "secret")]);
            assert_eq!(answer.status, 200, "{user}");
            assert_eq!(answer.seen().header("authorization"), None, "the password is no upstream's business");
        }
        assert_eq!(status(&proxy, "h0.test", &[&basic(user, "Secret")]), 401, "{user}");
    }
    for fields in [&[][..], &["Authorization: Basic !"], &["Authorization: Bearer x"], &[&basic("nobody", "secret")]] {
        let answer = from(&proxy, 1, "h0.test", "/", fields);
        assert_eq!((answer.status, answer.header("www-authenticate")), (401, Some("Basic realm=\"\"")), "{fields:?}");
        assert!(answer.text().contains("401 Authorization Required"));
    }
    let twice = basic("plain", "secret");
    assert_eq!(status(&proxy, "h0.test", &[&twice, &twice]), 401);
}

#[test]
fn who_asks_how() {
    let hosts: &[&[(&str, &str)]] = &[
        &[BASIC[0], BASIC[1], ("auth-realm", "Inner - realm")],
        &[BASIC[0], ("auth-secret", "map"), ("auth-secret-type", "auth-map")],
        &[BASIC[0], ("auth-secret", "gone")],
        &[BASIC[0], ("auth-secret", "map")],
        &[BASIC[1]],
        &[],
    ];
    let (_upstream, manifests, proxy) = served_with(&[], hosts, users);
    let asked = from(&proxy, 1, "h0.test", "/", &[]);
    assert_eq!(asked.header("www-authenticate"), Some("Basic realm=\"Inner - realm\""));
    let ann = basic("ann", "secret");
    assert_eq!(status(&proxy, "h1.test", &[&ann]), 200);
    assert_eq!(status(&proxy, "h1.test", &[&basic("bob", "")]), 401);
    for host in ["h2.test", "h3.test", "h4.test"] {
        assert_eq!(status(&proxy, host, &[&ann]), 503, "{host}");
    }
    let free = from(&proxy, 1, "h5.test", "/", &[&ann]);
    assert_eq!(free.seen().header("authorization"), ann.strip_prefix("Authorization: "), "nobody asked");
    assert!(proxy.wait_for_stdout("127.0.0.1 - ann [").is_some(), "the log names the user");
    // Secrets are live.
    manifests.secret("map", &[("ann", "{PLAIN}other")]);
    proxy.wait_until("h1.test", "/", |_| status(&proxy, "h1.test", &[&ann]) == 401);
    assert_eq!(status(&proxy, "h1.test", &[&basic("ann", "other")]), 200);
    manifests.secret("gone", &[("auth", "ann:{PLAIN}secret")]);
    proxy.wait_until("h2.test", "/", |answer| answer.status == 401);
}

#[test]
fn the_controller_exempts_paths_and_networks_combine() {
    let hosts: &[&[(&str, &str)]] = &[
        &[BASIC[0], BASIC[1], ("satisfy", "any"), ("whitelist-source-range", "127.0.0.9")],
        &[BASIC[0], BASIC[1], ("whitelist-source-range", "127.0.0.9")],
        &[BASIC[0], BASIC[1], ("satisfy", "either"), ("whitelist-source-range", "127.0.0.9")],
        &[BASIC[0], BASIC[1], ("satisfy", "any"), ("denylist-source-range", "127.0.0.9")],
    ];
    let (_upstream, _manifests, proxy) = served_with(&[("no-auth-locations", "/free")], hosts, users);
    let right = basic("plain", "secret");
    // host, client, whether the password is sent, status
    let rows = [
        (0, 1, false, 401),
        (0, 9, false, 200),
        (0, 1, true, 200),
        (1, 1, true, 403),
        (1, 9, false, 401),
        (1, 9, true, 200),
        (2, 1, true, 403),
        (3, 9, false, 401),
        (3, 9, true, 200),
        (3, 1, false, 401),
    ];
    for (host, client, known, status) in rows {
        let fields = if known { vec![right.as_str()] } else { Vec::new() };
        let answer = from(&proxy, client, &format!("h{host}.test"), "/", &fields);
        assert_eq!(answer.status, status, "{:?} from {client}, {known}", hosts[host]);
        assert_eq!(answer.status == 401, answer.header("www-authenticate").is_some());
    }
    assert_eq!(from(&proxy, 1, "h1.test", "/free", &[]).status, 403, "it is the request's path, and networks are none");
}

#[test]
fn digests() {
    let hosts: &[&[(&str, &str)]] = &[&[("auth-type", "digest"), ("auth-secret", "digests"), ("auth-realm", "inner")]];
    // What `htdigest` writes for the password secret.
    let file = "ann:inner:db9974363cb8923a89846170a705cfe9\n";
    let (_upstream, _manifests, proxy) = served_with(&[], hosts, |manifests| {
        manifests.secret("digests", &[("auth", file)]);
    });
    let asked = from(&proxy, 1, "h0.test", "/", &[]);
    let challenge = asked.header("www-authenticate").unwrap();
    assert!(
        asked.status == 401 && challenge.starts_with("Digest algorithm=MD5, qop=\"auth\", realm=\"inner\", nonce=\"")
    );
    assert_eq!(status(&proxy, "h0.test", &[&basic("ann", "secret")]), 401);
    let (_, nonce) = challenge.rsplit_once("nonce=\"").unwrap();
    let nonce = nonce.trim_end_matches('"');
    let right = answer("secret", nonce, "/a?b");
    // Another connection may be another worker's: a nonce is everybody's.
    for _ in 0..8 {
        let entered = from(&proxy, 1, "h0.test", "/a?b", &[&right]);
        assert_eq!((entered.status, entered.seen().header("authorization")), (200, None));
    }
    assert!(proxy.wait_for_stdout("127.0.0.1 - ann [").is_some(), "the log names the user");
    assert_eq!(from(&proxy, 1, "h0.test", "/other", &[&right]).status, 401);
    assert_eq!(from(&proxy, 1, "h0.test", "/a?b", &[&answer("wrong", nonce, "/a?b")]).status, 401);
    let stale = from(&proxy, 1, "h0.test", "/a?b", &[&answer("secret", &"0".repeat(64), "/a?b")]);
    assert!(stale.status == 401 && stale.header("www-authenticate").unwrap().ends_with(", stale=true"));
}

/// What a client sends that knows the password of `ann`.
fn answer(password: &str, nonce: &str, target: &str) -> String {
    use md5::{Digest as _, Md5};
    let hash = |text: String| -> String { Md5::digest(text).iter().map(|byte| format!("{byte:02x}")).collect() };
    let (secret, what) = (hash(format!("ann:inner:{password}")), hash(format!("GET:{target}")));
    let response = hash(format!("{secret}:{nonce}:00000001:c:auth:{what}"));
    format!(
        "Authorization: Digest username=\"ann\", realm=\"inner\", nonce=\"{nonce}\", uri=\"{target}\", \
         cnonce=\"c\", nc=00000001, qop=auth, response=\"{response}\""
    )
}
