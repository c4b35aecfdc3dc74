//! Which snippets are taken, and what is said of the others.

use super::*;
use crate::policy::snippet::tests::Given;
use crate::policy::snippet::{Place, State, run};

#[test]
fn what_is_refused_is_named() {
    use Context::{Http, Location, Server};
    let rows = [
        (Location, "add_header X 1 always; return 403;", ""),
        (Location, "more_set_headers 'X: $host' \"Y: 1\"; more_clear_headers Server X-P*;", ""),
        (Location, "more_set_headers -s '404 500' -t text/html 'X: 1';", ""),
        (Location, "if ($request_method = POST) { return 405; }", ""),
        (Location, "if ( $http_x ~* \"^a|b$\" ) { set $y $1; }", ""),
        (Location, "if ($http_x = \"\") { return 401 \"who?\"; }", ""),
        (Location, "if ($http_x) { add_header X 1; }", ""),
        (Location, "set $y a; add_header X \"${y}b\";", ""),
        (Location, "proxy_set_header Upgrade $http_upgrade; proxy_set_header X-A $remote_addr;", ""),
        (Location, "limit_except GET POST { deny all; }", ""),
        (Location, "allow 10.0.0.0/8; deny all; satisfy all;", ""),
        (Location, "expires 1h; expires -1; expires max; client_max_body_size 8m; proxy_read_timeout 90s;", ""),
        (Server, "location ~* \\.php$ { deny all; }", ""),
        (Server, "if ($host = a.test) { return 301 https://b.test$request_uri; }", ""),
        (Http, "add_header X 1;", ""),
        (Location, "add_header X 1;\nproxy_pass http://evil;", "line 2: proxy_pass: it is not on the list"),
        (Location, "content_by_lua_block { x; }", "line 1: content_by_lua_block: it is not on the list"),
        (Location, "alias /etc/;", "line 1: alias: it is not on the list"),
        (Location, "location /x { return 200; }", "line 1: location: it has no place in a location's snippet"),
        (Location, "if ($a) { if ($b) { return 1; } }", "line 1: if: the variable $a is not known"),
        (Location, "if ($host) { if ($uri) { return 200; } }", "line 1: if: line 1: if: it has no place in if"),
        (Location, "if (-f $request_filename) { break; }", "line 1: if: files are not asked for here"),
        (Location, "if ($host > a) { break; }", "line 1: if: \">\" is none of"),
        (Location, "if $host { break; }", "line 1: if: its condition is not in parentheses"),
        (Location, "return 444;", "line 1: return: a connection is not closed"),
        (Location, "return 99;", "line 1: return: \"99\" is no status"),
        (Location, "rewrite ^/(?=a) /b;", "line 1: rewrite: "),
        (Location, "rewrite ^/a /b always;", "line 1: rewrite: \"always\" is none of"),
        (Location, "set $host x;", "line 1: set: the variable $host cannot be set"),
        (Location, "set $proxy_upstream_name x;", "cannot be set"),
        (Location, "add_header X $nope;", "line 1: add_header: the variable $nope is not known"),
        (Location, "add_header Content-Length 1;", "frames messages"),
        (Location, "proxy_set_header Transfer-Encoding chunked;", "frames messages"),
        (Location, "more_set_input_headers 'Host: x';", "use upstream-vhost"),
        (Location, "more_clear_headers '*';", "it would remove every header"),
        (Location, "satisfy any;", "use the annotation satisfy"),
        (Location, "deny nobody;", "line 1: deny: \"nobody\" is neither"),
        (Location, "add_header X;", "line 1: add_header: it has too few arguments"),
        (Location, "if ($uri ~ ^/(?<a>b)) { break; }", "groups with names"),
        (Server, "proxy_set_header X 1;", "it has no place in a server snippet"),
        (Server, "if ($uri) { add_header X 1; }", "it has no place in if of a server snippet"),
        (Server, "location /a { proxy_set_header X 1; }", "it has no place in a location of a server snippet"),
        (Http, "map $a $b { default 1; }", "line 1: map: it is not on the list"),
        (Http, "return 200;", "line 1: return: it has no place in an http snippet"),
        (Location, "return 403", "line 1: return has no ; at its end"),
    ];
    for (context, text, expected) in rows {
        let said = read(text, context).err().unwrap_or_default();
        assert!(said.contains(expected) && said.is_empty() == expected.is_empty(), "{text}: {said:?}");
    }
}

#[test]
fn levels_merge_as_nginx_merges_them() {
    let level = |text, context| read(text, context).unwrap();
    let http = level("add_header X http; more_set_headers 'M: http'; allow 10.0.0.0/8; expires 1h;", Context::Http);
    let server = level("more_set_headers 'M: server'; deny 10.0.0.1;", Context::Server);
    let own = level("more_set_headers 'M: own'; if ($uri) { add_header Y if; }", Context::Location);
    let merged = location(&[&http, &server], &own).unwrap();
    assert_eq!((merged.edits.add.len(), merged.edits.more.len(), merged.access.rules.len()), (1, 3, 1));
    let entered = merged.blocks.first().unwrap();
    assert_eq!((entered.add.first().unwrap().name.as_str(), entered.more.len()), ("y", 3));
    assert!(entered.expires.is_some());
    assert!(location(&[], &Level::default()).is_none());
}

/// Runs a snippet on some request; its values stay small.
fn run_it(level: &Level) {
    let values = Given(vec![("host", "a.test"), ("uri", "/a/b"), ("args", "x=1")]);
    let mut state = State::default();
    let mut place = Place { path: b"/a/b".to_vec(), query: Some("x=1".to_owned()) };
    run(&level.steps, &values, &mut state, &mut place);
    assert!(place.path.first() == Some(&b'/') && place.path.len() <= 8192, "{place:?}");
}

#[test]
fn values_that_double_stay_small() {
    let text = format!("set $a xxxxxxxx; {}rewrite ^ /$a$a last;", "set $a $a$a$a$a; ".repeat(200));
    run_it(&read(&text, Context::Location).unwrap());
}

proptest::proptest! {
    /// Whatever the text, reading it ends, and without a panic.
    #[test]
    fn any_text_is_read_or_refused(text in "[a-z$_/ ;{}()\"'\\\\~*=0-9.:\\n-]{0,200}") {
        for context in [Context::Http, Context::Server, Context::Location] {
            if let Ok(level) = read(&text, context) {
                run_it(&level);
            }
        }
    }
}
