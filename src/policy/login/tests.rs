//! Passwords as real tools write them, and what clients send.

use super::digest::{Asked, LIFETIME, Outcome};
use super::*;

const HTPASSWD: &[u8] = include_bytes!("../../../tests/data/htpasswd");

fn passwords(file: &[u8]) -> (Passwords, Vec<String>) {
    Passwords::new(&lines(file).collect::<Vec<_>>())
}

#[test]
fn every_form_of_a_password() {
    let (passwords, problems) = passwords(HTPASSWD);
    let long = "a much longer password with more than sixteen bytes";
    let rows = [
        ("apr1", "secret"),
        ("sha", "secret"),
        ("des", "secret"),
        ("bcrypt", "secret"),
        ("sha256", "secret"),
        ("sha512", "secret"),
        ("sha512rounds", "secret"),
        ("plain", "secret"),
        ("ssha", "secret"),
        ("md5", "secret"),
        ("md5long", long),
        ("deslong", "a much longer password"),
        ("sha256long", long),
        ("sha512unicode", "pässwörd"),
    ];
    for (user, password) in rows {
        let (hash, counts) = passwords.find(user.as_bytes()).unwrap();
        assert!(counts && hash.matches(password.as_bytes()), "{user}");
        for wrong in ["", "Secret", "secre", "\u{0}secret"] {
            assert!(!hash.matches(wrong.as_bytes()), "{user} {wrong:?}");
        }
    }
    assert_eq!(problems, ["user number 4: its password is in none of the known forms; nobody can log in by it"]);
    let (decoy, counts) = passwords.find(b"nobody").unwrap();
    assert!(!counts && decoy.cost() == 10_000, "an unknown user costs as much as the costliest known one");
    assert!(!passwords.find(b"plaintext").unwrap().1);
}

#[test]
fn files_are_read_as_nginx_does() {
    let (passwords, _) = passwords(b"#a:{PLAIN}no\r\na:{PLAIN}one\r\na:{PLAIN}two\nb:{PLAIN}x:comment\nnothing\n\n");
    let right = |user: &str, password: &str| {
        let found = passwords.find(user.as_bytes());
        found.is_some_and(|(hash, counts)| counts && hash.matches(password.as_bytes()))
    };
    assert!(right("a", "one") && right("b", "x"));
    assert!(!right("a", "two") && !right("#a", "no") && !right("nothing", ""));
}

#[test]
fn what_cannot_be_a_password() {
    let rows: [&[u8]; 12] = [
        b"",
        b"secret",
        b"{SHA}!!",
        b"{SHA}c2hvcnQ=",
        b"{SSHA}c2hvcnQ=",
        b"$apr1$nosalt",
        b"$5$rounds=999$x$y",
        b"$6$rounds=500001$x$y",
        b"$2y$15$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a",
        b"$2x$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a",
        b"$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hj\xff",
        b"{plain}secret",
    ];
    for text in rows {
        assert!(Hash::parse(text).is_err(), "{:?}", String::from_utf8_lossy(text));
    }
}

#[test]
fn what_clients_send() {
    let rows = [
        ("Basic YTpi", Some(("a", "b"))),
        ("basic   YTpi", Some(("a", "b"))),
        ("Basic YTpiOmM", Some(("a", "b:c"))),
        ("Basic YTo=", Some(("a", ""))),
        ("Basic OmI=", None),
        ("Basic YQ==", None),
        ("Basic !", None),
        ("Basic", None),
        ("BasicYTpi", None),
        ("Bearer YTpi", None),
    ];
    for (line, expected) in rows {
        let headers = HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_static(line))]);
        let found = authorization(&headers, "Basic").and_then(credentials);
        let expected = expected.map(|(user, password)| (user.into(), password.into()));
        assert_eq!(found, expected, "{line}");
    }
    let mut twice = HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_static("Basic YTpi"))]);
    twice.append(header::AUTHORIZATION, HeaderValue::from_static("Basic YTpi"));
    assert_eq!(authorization(&twice, "Basic"), None);
}

fn md5(text: &str) -> String {
    use ::md5::{Digest as _, Md5};
    Md5::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn digests() {
    // `printf 'ann:the realm:secret' | md5sum` is what htdigest writes.
    let entry = format!("the realm:{}", md5("ann:the realm:secret"));
    let (digests, problems) = Digests::new(&[(b"ann", entry.as_bytes()), (b"bad", b"the realm:zz")]);
    assert_eq!(problems, ["user number 2: it is not user:realm:hash of htdigest"]);
    let challenge = digests.challenge("the realm", 1000, 7, false).unwrap();
    let challenge = challenge.to_str().unwrap();
    let (_, nonce) = challenge.split_once("nonce=\"").unwrap();
    let nonce = nonce.trim_end_matches('"');
    let answer = |user: &str, password: &str, uri: &str, nonce: &str| {
        let secret = md5(&format!("{user}:the realm:{password}"));
        let response = md5(&format!("{secret}:{nonce}:00000001:abc:auth:{}", md5(&format!("GET:{uri}"))));
        format!(
            "username=\"{user}\", realm=\"the realm\", nonce=\"{nonce}\", uri=\"{uri}\", cnonce=\"abc\", nc=00000001, \
             qop=auth, response=\"{response}\", algorithm=MD5"
        )
    };
    let judge = |fields: &str, now| {
        digests.judge("the realm", fields.as_bytes(), Asked { method: "GET", target: "/x?q=1", now })
    };
    let right = answer("ann", "secret", "/x?q=1", nonce);
    assert_eq!(judge(&right, 1001), Outcome::Entered(b"ann".to_vec()));
    assert_eq!(judge(&right, 1000 + LIFETIME + 1), Outcome::Stale);
    let forged = nonce.replace(&format!("{:016x}", 1000), &format!("{:016x}", 2000));
    let rows = [
        (answer("ann", "wrong", "/x?q=1", nonce), Outcome::Refused),
        (answer("bob", "secret", "/x?q=1", nonce), Outcome::Refused),
        (answer("ann", "secret", "/y", nonce), Outcome::Refused),
        (answer("ann", "secret", "/x?q=1", &forged), Outcome::Stale),
        (right.replace("qop=auth", "qop=auth-int"), Outcome::Refused),
        (right.replace("algorithm=MD5", "algorithm=SHA-256"), Outcome::Refused),
        (right.replace("response=\"", "response=\"\\"), judge(&right, 2001)),
        (right.replace("nc=", "no="), Outcome::Refused),
        (right.trim_end_matches("\", algorithm=MD5").to_owned(), Outcome::Refused),
        (String::new(), Outcome::Refused),
        ("=".repeat(1000), Outcome::Refused),
    ];
    for (fields, expected) in rows {
        assert_eq!(judge(&fields, 2001), expected, "{fields}");
    }
}
