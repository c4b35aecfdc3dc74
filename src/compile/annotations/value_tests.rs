//! Accepted and refused texts of every type.

use std::fmt::Debug;

use super::RetryCondition::{Error, Http503, NonIdempotent, Timeout};
use super::*;

/// Each text with its value; `None` is refused.
fn check<T: FromAnnotation + PartialEq + Debug>(rows: &[(&str, Option<T>)]) {
    for (text, expected) in rows {
        assert_eq!(&T::from_annotation(text).ok(), expected, "{text:?}");
    }
}

#[test]
fn flags_and_numbers() {
    check(&[("true", Some(true)), ("F", Some(false)), ("yes", None), (" true", None)]);
    check(&[("1", Some(BoolElseFalse(true))), ("on", None)]);
    check(&[("7", Some(7_u32)), ("0", Some(0)), ("4294967296", Some(u32::MAX)), ("-1", None), ("1s", None)]);
    check(&[("31536000", Some(31_536_000_u64)), ("1y", None)]);
    check(&[("60", Some(Seconds(60))), ("60s", None), ("-1", None), (" 60", None), ("6.5", None)]);
    check(&[("1h30m", Some(NginxTime(Duration::from_secs(5400)))), ("1x", None)]);
    assert_eq!(Seconds(3).duration(), Duration::from_secs(3));
}

#[test]
fn sizes() {
    check(&[("8k", Some(Size(8192))), ("1G", Some(Size(1 << 30))), ("0", Some(Size(0))), ("8b", None), ("8kb", None)]);
    check(&[
        ("8k", Some(BufferSize(Some(8192)))),
        ("1M", Some(BufferSize(Some(1 << 20)))),
        ("8b", Some(BufferSize(None))),
        ("1g", Some(BufferSize(None))),
        ("8 k", Some(BufferSize(None))),
        ("8kb", None),
    ]);
}

#[test]
fn words() {
    check(&[("on", Some(OnOff::On)), (" off ", Some(OnOff::Off)), ("On", None), ("true", None)]);
    check(&[
        ("HTTPS", Some(BackendProtocol::Https)),
        ("grpc", Some(BackendProtocol::Grpc)),
        (" Auto_Http ", Some(BackendProtocol::AutoHttp)),
        ("h2c", None),
    ]);
    check(&[("1.0", Some(HttpVersion::Http10)), ("1.1", Some(HttpVersion::Http11)), ("2", None)]);
    check(&[
        ("close", Some(ConnectionHeader::Close)),
        ("keep-alive", Some(ConnectionHeader::KeepAlive)),
        ("Keep-Alive", None),
        ("upgrade", None),
    ]);
    check(&[("308", Some(RedirectCode::PermanentRedirect)), ("303", None), ("300", None)]);
    assert_eq!(RedirectCode::TemporaryRedirect.as_u16(), 307);
    assert!(OnOff::On.is_on() && !OnOff::Off.is_on());
}

#[test]
fn lists() {
    let next = |conditions: &[RetryCondition]| Some(NextUpstream(conditions.iter().copied().collect()));
    check(&[
        ("error timeout", next(&[Error, Timeout])),
        ("http_503 non_idempotent ", next(&[Http503, NonIdempotent])),
        ("error off", next(&[])),
        ("off", next(&[])),
        ("error  timeout", None),
        (" error", None),
        ("error\ntimeout", None),
        ("error,timeout", None),
        ("http_418", None),
    ]);
    let tls = |versions: &[TlsVersion]| Some(TlsVersions(versions.iter().copied().collect()));
    check(&[
        ("TLSv1.3 TLSv1.2", tls(&[TlsVersion::Tls12, TlsVersion::Tls13])),
        (" TLSv1.3  ", tls(&[TlsVersion::Tls13])),
        ("TLSv1.1", None),
        ("TLSv1.2TLSv1.3", None),
    ]);
    let list = |items: &[&str]| items.iter().map(|item| item.to_string()).collect::<Vec<_>>();
    check(&[("a, b,,a", Some(CommaList(list(&["a", "b", "a"]))))]);
    check(&[
        ("b.test, a.test,b.test,", Some(ServerAliases(list(&["a.test", "b.test"])))),
        (r"~^www\d+\.x\.test$,*.x.test", Some(ServerAliases(list(&["*.x.test", r"~^www\d+\.x\.test$"])))),
        ("a b.test", None),
        ("a.test;", None),
        (",", Some(ServerAliases(list(&[])))),
    ]);
}

#[test]
fn texts() {
    fn text<T: FromAnnotation>(text: &str) -> Option<T> {
        T::unchecked(text).ok()
    }
    check::<ServerName>(&[
        ("a.test", text("a.test")),
        (" a.test\n", text("a.test")),
        ("$host", text("$host")),
        ("a.test;", None),
        ("a\"b", None),
        ("a b", None),
    ]);
    check::<RewriteTarget>(&[
        ("/$1/x", text("/$1/x")),
        ("https://a.test/$2", text("https://a.test/$2")),
        ("x", text("x")),
        ("/a?b=c", None),
        ("/a b", None),
        ("/a\n", None),
        ("/{x}", None),
    ]);
    check::<ForwardedPrefix>(&[("/a", text("/a")), ("/a b", text("/a b")), ("/a;", None)]);
    check::<HeaderToken>(&[("X-Canary", text("X-Canary")), (" a ", text("a")), ("a b", None), ("a:b", None)]);
    check::<HeaderText>(&[("Do Canary", text("Do Canary")), ("a;b", None), ("\"a\"", None)]);
    check::<HeaderPattern>(&[("^v(1|2)$", text("^v(1|2)$")), ("^a b$", None), ("(?!x)", None)]);
    check::<CookieName>(&[("kanarie", text("kanarie")), ("a=b", None)]);
    check::<AppRoot>(&[("/app", text("/app")), ("app", None), ("https://a.test/", None), ("/a?b", None)]);
    check(&[
        ("shop/tls", Some(ObjectKey::new("shop", "tls"))),
        (" shop/tls", Some(ObjectKey::new("shop", "tls"))),
        ("tls", None),
        ("a/b/c", None),
        ("/tls", None),
        ("shop/t$", None),
    ]);
    assert_eq!(ServerName::unchecked(" a;\n b ").unwrap().as_str(), "a;\nb");
}

#[test]
fn long_texts_are_cut_in_messages() {
    let message = bool::from_annotation(&"x".repeat(5000)).unwrap_err();
    assert!(message.len() < 150 && message.ends_with("… is not true or false"), "{message}");
}
