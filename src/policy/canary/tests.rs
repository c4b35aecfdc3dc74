//! The decision: what is asked first, what counts as an answer, and how often chance says yes.

use http::HeaderValue;
use proptest::prelude::*;

use super::Side::{Alternative, Main};
use super::*;

fn headers(lines: &[(&str, &str)]) -> HeaderMap {
    let line = |(name, value): &(&str, &str)| {
        (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap())
    };
    lines.iter().map(line).collect()
}

fn by_header(wanted: Wanted) -> Canary {
    let names = vec![HeaderName::from_static("x-canary")];
    Canary { header: Some(HeaderRule { names, wanted }), ..Canary::default() }
}

fn pattern(text: &str) -> Canary {
    by_header(Wanted::Pattern(Pattern::new(text).unwrap()))
}

/// A number that chance reads as `drawn` of `total`.
fn drawing(drawn: u32, total: u32) -> u64 {
    ((u64::from(drawn) << 32).div_ceil(u64::from(total))) << 32
}

#[test]
fn headers_choose() {
    let value = || by_header(Wanted::Value("DoCanary".into()));
    let rows = [
        (by_header(Wanted::Word), "always", Some(Alternative)),
        (by_header(Wanted::Word), "never", Some(Main)),
        (by_header(Wanted::Word), "Always", None),
        (by_header(Wanted::Word), "", None),
        (value(), "DoCanary", Some(Alternative)),
        (value(), "docanary", None),
        (value(), "always", None),
        (value(), "never", None),
        (pattern("^v[0-9]+$"), "v12", Some(Alternative)),
        (pattern("^v[0-9]+$"), "v12a", None),
        (pattern("^v[0-9]+$"), "V12", None),
        (pattern("b|c"), "abc", Some(Alternative)),
        (pattern("b|c"), "C", None),
        (pattern("b|c"), "never", None),
        (pattern(".*"), "", Some(Alternative)),
        (by_header(Wanted::Unusable), "anything", Some(Main)),
    ];
    for (canary, sent, expected) in rows {
        // What the header leaves open goes to the weight: nothing, then everything.
        for (share, left) in [(0, Main), (100, Alternative)] {
            let canary = Canary { weight: Weight::new(share, 100), ..canary.clone() };
            let side = canary.decide(&headers(&[("X-Canary", sent)]), 0);
            assert_eq!(side, expected.unwrap_or(left), "{:?} sent {sent:?}", canary.header);
        }
        assert_eq!(canary.decide(&HeaderMap::new(), 0), Main, "no header, no answer");
    }
}

#[test]
fn lines_of_a_header_are_one_value() {
    let twice = headers(&[("x-canary", "always"), ("x-canary", "always")]);
    assert_eq!(by_header(Wanted::Word).decide(&twice, 0), Main);
    assert_eq!(by_header(Wanted::Value("always, always".into())).decide(&twice, 0), Alternative);
}

#[test]
fn the_first_spelling_that_is_sent_counts() {
    let names = vec![HeaderName::from_static("x-canary"), HeaderName::from_static("x_canary")];
    let canary = Canary { header: Some(HeaderRule { names, wanted: Wanted::Word }), ..Canary::default() };
    assert_eq!(canary.decide(&headers(&[("x_canary", "always")]), 0), Alternative);
    assert_eq!(canary.decide(&headers(&[("x_canary", "always"), ("x-canary", "never")]), 0), Main);
}

#[test]
fn header_before_cookie_before_weight() {
    let cookie = Some("kanarie".into());
    let canary = Canary { cookie, weight: Weight::new(100, 100), ..by_header(Wanted::Word) };
    let rows = [
        (&[("x-canary", "never"), ("cookie", "kanarie=always")][..], Main),
        (&[("x-canary", "always"), ("cookie", "kanarie=never")], Alternative),
        (&[("x-canary", "foo"), ("cookie", "kanarie=never")], Main),
        (&[("cookie", "kanarie=never")], Main),
        (&[("cookie", "kanarie=foo")], Alternative),
        (&[("x-canary", "foo")], Alternative),
        (&[], Alternative),
    ];
    for (sent, expected) in rows {
        assert_eq!(canary.decide(&headers(sent), 0), expected, "{sent:?}");
    }
}

#[test]
fn cookies() {
    let rows = [
        (&["k=always"][..], Alternative),
        (&["K=always"], Alternative),
        (&["a=b; k=always; c=d"], Alternative),
        (&["a=b;k=always"], Alternative),
        (&["a=b, k=always"], Alternative),
        (&["k = always"], Alternative),
        (&["a=b", "k=always"], Alternative),
        (&["k=never; k=always"], Main),
        (&["k=Always"], Main),
        (&["k=always, a=b"], Main),
        (&["k=\"always\""], Main),
        (&["kk=always"], Main),
        (&["xk=always"], Main),
        (&["k"], Main),
        (&["k="], Main),
        (&[""], Main),
        (&["k=always "], Main),
    ];
    for (lines, expected) in rows {
        let sent: Vec<_> = lines.iter().map(|line| ("cookie", *line)).collect();
        let canary = Canary { cookie: Some("k".into()), ..Canary::default() };
        assert_eq!(canary.decide(&headers(&sent), 0), expected, "{lines:?}");
    }
}

#[test]
fn weights() {
    let rows = [
        (0, 100, 0),
        (20, 100, 20),
        (100, 100, 100),
        (150, 100, 100),
        (30, 50, 30),
        (30, 0, 30),
        (500, 1000, 500),
        (1, u32::MAX, 1),
    ];
    for (share, total, first_main) in rows {
        let weight = Weight::new(share, total);
        let of = weight.parts().1;
        if first_main > 0 {
            assert_eq!(weight.decide(drawing(first_main - 1, of)), Alternative, "{share}/{total}");
        }
        if first_main < of {
            assert_eq!(weight.decide(drawing(first_main, of)), Main, "{share}/{total}");
        }
    }
}

proptest! {
    #[test]
    fn a_weight_is_its_share_of_all_numbers(share: u32, total: u32) {
        let weight = Weight::new(share, total);
        let of = u64::from(weight.parts().1);
        // 4096 numbers spread evenly: as many are the canary's as its share says, give or take one.
        let chosen = (0..4096_u64).filter(|n| weight.decide(n << 52) == Alternative).count() as u64;
        let expected = (u64::from(share).min(of) * 4096).div_ceil(of);
        prop_assert!(chosen.abs_diff(expected) <= 1, "{chosen} for {share}/{of}");
    }

    #[test]
    fn any_cookie_line_is_read(line in "[a-c=;, ]{0,24}", name in "[a-c]{1,2}") {
        let read = cookie_of_line(line.as_bytes(), name.as_bytes());
        prop_assert!(read.is_none_or(|value| !value.contains(&b';')));
    }
}
