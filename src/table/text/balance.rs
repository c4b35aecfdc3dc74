//! How balancing, affinity, error pages and FastCGI read.

use std::fmt::Write as _;

use crate::policy::affinity::{Affinity, Mode};
use crate::policy::balance::{Balance, Scheme};
use crate::policy::error_pages::ErrorPages;
use crate::policy::fastcgi::FastCgi;

pub fn balance(out: &mut String, Balance { scheme, affinity }: &Balance) {
    match scheme {
        Scheme::RoundRobin => {}
        Scheme::Random => out.push_str(" balance=random"),
        Scheme::Ewma => out.push_str(" balance=ewma"),
        Scheme::LeastConnections => out.push_str(" balance=least-connections"),
        Scheme::Hash(by) => {
            let _ = write!(out, " balance=hash({:?})", by.text);
            if let Some(size) = by.subset {
                let _ = write!(out, " subset={size}");
            }
        }
    }
    if let Some(affinity) = affinity {
        session(out, affinity);
    }
}

fn session(out: &mut String, Affinity { mode, cookie, .. }: &Affinity) {
    let mode = match mode {
        Mode::Balanced => "balanced",
        Mode::Persistent => "persistent",
    };
    let _ = write!(out, " affinity={mode}[{}", cookie.name);
    for (name, value) in [("path", &cookie.path), ("domain", &cookie.domain)] {
        let _ = value.as_ref().map_or(Ok(()), |value| write!(out, " {name}={value}"));
    }
    for (name, value) in [("expires", cookie.expires), ("max-age", cookie.max_age)] {
        let _ = value.map_or(Ok(()), |value| write!(out, " {name}={value}"));
    }
    let _ = cookie.same_site.map_or(Ok(()), |site| write!(out, " same-site={}", site.as_str()));
    let flags = [
        (cookie.conditional_none, " conditional-none"),
        (cookie.secure, " secure"),
        (cookie.change_on_failure, " change-on-failure"),
    ];
    flags.iter().filter(|(set, _)| *set).for_each(|(_, name)| out.push_str(name));
    out.push(']');
}

pub fn errors(out: &mut String, pages: &ErrorPages) {
    let codes: Vec<String> = pages.codes().iter().map(u16::to_string).collect();
    let own = if pages.own { "" } else { " global" };
    let intercept = if pages.intercept { "" } else { " own-only" };
    let _ = write!(out, " errors[{}{own}{intercept}]", codes.join(","));
}

pub fn fastcgi(out: &mut String, FastCgi { index, params }: &FastCgi) {
    if let Some(index) = index {
        let _ = write!(out, " index={index}");
    }
    for (name, _) in params {
        let _ = write!(out, " param={name}");
    }
}
