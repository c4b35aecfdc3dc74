//! Cookies as they are read and written.

use super::*;

fn affinity(cookie: SessionCookie) -> Affinity {
    Affinity { mode: Mode::Balanced, key: "main".into(), cookie: Arc::new(cookie) }
}

#[test]
fn what_clients_send() {
    let rows = [
        (&["INGRESSCOOKIE=a.b.c|main"][..], Some(("a.b.c", "main"))),
        (&["x=1; INGRESSCOOKIE=a|other; y=2"], Some(("a", "other"))),
        (&["INGRESSCOOKIE=garbage"], Some(("garbage", ""))),
        (&["INGRESSCOOKIE=old|main; INGRESSCOOKIE=new|main"], Some(("new", "main"))),
        (&["x=1", "INGRESSCOOKIE=a|main"], Some(("a", "main"))),
        (&["INGRESSCOOKIE = a b|c"], Some(("a", ""))),
        (&["ingresscookie=a|main"], None),
        (&["XINGRESSCOOKIE=a|main", "INGRESSCOOKIES=a|main"], None),
        (&["INGRESSCOOKIE="], None),
        (&["INGRESSCOOKIE=|main"], None),
        (&[], None),
    ];
    for (lines, expected) in rows {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header::COOKIE, HeaderValue::from_static(line));
        }
        let sent = affinity(SessionCookie::default()).sent(&headers);
        let expected = expected.map(|(session, upstream)| Sent {
            session: session.as_bytes().into(),
            upstream: upstream.as_bytes().into(),
        });
        assert_eq!(sent, expected, "{lines:?}");
        assert_eq!(affinity(SessionCookie::default()).holds(&headers), sent.is_some_and(|s| &*s.upstream == b"main"));
    }
}

const IPHONE: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 12_0 like Mac OS X) AppleWebKit/605.1.15";

#[test]
fn what_clients_get() {
    let all = SessionCookie {
        name: "sid".into(),
        path: Some("/x".into()),
        domain: Some("a.test".into()),
        expires: Some(7200),
        max_age: Some(3600),
        same_site: Some(SameSite::Strict),
        secure: true,
        ..SessionCookie::default()
    };
    let none = SessionCookie { same_site: Some(SameSite::None), ..SessionCookie::default() };
    let conditional = SessionCookie { conditional_none: true, ..none.clone() };
    let negative = SessionCookie { max_age: Some(-1), expires: Some(-784_111_778), ..SessionCookie::default() };
    let rows = [
        (SessionCookie::default(), false, None, "INGRESSCOOKIE=s|main; Path=/app; HttpOnly"),
        (SessionCookie::default(), true, None, "INGRESSCOOKIE=s|main; Path=/app; Secure; HttpOnly"),
        (
            all,
            false,
            None,
            "sid=s|main; Expires=Sun, 06-Nov-94 10:49:37 GMT; Max-Age=3600; Domain=a.test; Path=/x; Secure; HttpOnly; \
             SameSite=Strict",
        ),
        (
            negative,
            false,
            None,
            "INGRESSCOOKIE=s|main; Expires=Thu, 01-Jan-70 00:00:00 GMT; Max-Age=-1; Path=/app; HttpOnly",
        ),
        (none, false, Some(IPHONE), "INGRESSCOOKIE=s|main; Path=/app; HttpOnly; SameSite=None"),
        (conditional.clone(), false, Some(IPHONE), "INGRESSCOOKIE=s|main; Path=/app; HttpOnly"),
        (conditional.clone(), false, Some("curl/8"), "INGRESSCOOKIE=s|main; Path=/app; HttpOnly; SameSite=None"),
        (conditional, false, None, "INGRESSCOOKIE=s|main; Path=/app; HttpOnly; SameSite=None"),
    ];
    for (cookie, tls, agent, expected) in rows {
        let agent = agent.map(HeaderValue::from_static);
        let issue = Issue { session: "s", location: "/app", tls, user_agent: agent.as_ref(), now: 784_111_777 };
        assert_eq!(affinity(cookie).issue(issue).unwrap(), expected);
    }
}

#[test]
fn dates_after_2037_have_four_digits() {
    assert_eq!(expires(0, 2_145_916_800), "Fri, 01-Jan-2038 00:00:00 GMT");
    assert_eq!(expires(0, i64::MAX).len(), "Fri, 01-Jan-2038 00:00:00 GMT".len());
}
