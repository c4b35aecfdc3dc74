//! The path of a request as rules see it: decoded and normalised, as nginx's `$uri`.

use std::borrow::Cow;

/// A path that has no normal form: it does not start with `/`, climbs above the root, or has a bad escape or a NUL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the path has no normal form")]
pub struct BadPath;

/// Percent-decodes `path` once, resolves `.` and `..` segments and merges slashes (contract §4.2).
///
/// Encoded slashes and dots count as what they decode to, so no spelling of a path escapes a rule that its
/// plain spelling meets. The common path without any of that is borrowed.
pub fn normalise(path: &str) -> Result<Cow<'_, [u8]>, BadPath> {
    let bytes = path.as_bytes();
    if bytes.first() != Some(&b'/') {
        return Err(BadPath);
    }
    if is_normal(bytes) {
        return Ok(Cow::Borrowed(bytes));
    }
    let decoded = decode(bytes)?;
    let mut out: Vec<u8> = Vec::with_capacity(decoded.len());
    let mut open = false;
    for segment in decoded.split(|&b| b == b'/').skip(1) {
        open = false;
        match segment {
            b"" | b"." => {}
            b".." => {
                let parent = out.iter().rposition(|&b| b == b'/').ok_or(BadPath)?;
                out.truncate(parent);
            }
            name => {
                out.push(b'/');
                out.extend_from_slice(name);
                open = true;
            }
        }
    }
    // A path that ended in `/`, `/.` or `/..` names a directory and keeps its slash.
    if !open {
        out.push(b'/');
    }
    Ok(Cow::Owned(out))
}

fn is_normal(bytes: &[u8]) -> bool {
    let mut previous = 0;
    for &b in bytes {
        if b == b'%' || b == 0 || (previous == b'/' && (b == b'/' || b == b'.')) {
            return false;
        }
        previous = b;
    }
    true
}

fn decode(bytes: &[u8]) -> Result<Vec<u8>, BadPath> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes.iter();
    while let Some(&b) = rest.next() {
        let byte = if b == b'%' { hex(rest.next())? << 4 | hex(rest.next())? } else { b };
        if byte == 0 {
            return Err(BadPath);
        }
        out.push(byte);
    }
    Ok(out)
}

fn hex(digit: Option<&u8>) -> Result<u8, BadPath> {
    digit.and_then(|&b| (b as char).to_digit(16)).and_then(|n| u8::try_from(n).ok()).ok_or(BadPath)
}

/// Bytes that nginx escapes when it sends a rewritten URI on (`ngx_escape_uri`, `NGX_ESCAPE_URI`).
fn needs_escape(b: u8) -> bool {
    b <= b' ' || b >= 0x7f || b"\"#%<>?\\^`{|}".contains(&b)
}

/// Appends `bytes` to `out`, percent-encoding what may not stand in a path.
pub fn escape_path(bytes: &[u8], out: &mut String) {
    escape(bytes, needs_escape, out);
}

/// Appends `bytes` to `out`, percent-encoding what may not stand in one query argument (`NGX_ESCAPE_ARGS`).
pub fn escape_argument(bytes: &[u8], out: &mut String) {
    escape(bytes, |b| b <= b' ' || b >= 0x7f || b"\"#%&+<>?\\^`{|}".contains(&b), out);
}

/// Appends `bytes` to `out`, percent-encoding only what would end a request line or a header: blanks, controls, no ASCII.
pub fn escape_unsafe(bytes: &[u8], out: &mut String) {
    escape(bytes, |b| b <= b' ' || b >= 0x7f, out);
}

/// Appends `bytes` to `out`, percent-encoding all but RFC 3986's unreserved characters.
pub fn escape_component(bytes: &[u8], out: &mut String) {
    escape(bytes, |b| !b.is_ascii_alphanumeric() && !b"-._~".contains(&b), out);
}

fn escape(bytes: &[u8], escaped: impl Fn(u8) -> bool, out: &mut String) {
    let digit = |n: u8| char::from_digit(u32::from(n & 15), 16).unwrap_or('0').to_ascii_uppercase();
    for &b in bytes {
        if escaped(b) {
            out.push('%');
            out.push(digit(b >> 4));
            out.push(digit(b));
        } else {
            out.push(char::from(b));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_forms() {
        let rows = [
            ("/", Some("/")),
            ("/a/b", Some("/a/b")),
            ("/a//b///c", Some("/a/b/c")),
            ("//", Some("/")),
            ("/a/./b/.", Some("/a/b/")),
            ("/a/../b", Some("/b")),
            ("/a/..", Some("/")),
            ("/a/%2e%2E/b", Some("/b")),
            ("/a%2Fb", Some("/a/b")),
            ("/a%20b%3F%25", Some("/a b?%")),
            ("/.hidden/..x/...", Some("/.hidden/..x/...")),
            ("/a/", Some("/a/")),
            ("/..", None),
            ("/a/../../b", None),
            ("/%00", None),
            ("/%g0", None),
            ("/%2", None),
            ("a", None),
            ("", None),
        ];
        for (path, expected) in rows {
            let got = normalise(path).ok();
            assert_eq!(got.as_deref(), expected.map(str::as_bytes), "{path:?}");
        }
    }

    #[test]
    fn plain_paths_are_borrowed() {
        assert!(matches!(normalise("/plain/path.html"), Ok(Cow::Borrowed(_))));
    }

    #[test]
    fn escapes() {
        let mut out = String::new();
        escape_path("/a b?é%".as_bytes(), &mut out);
        assert_eq!(out, "/a%20b%3F%C3%A9%25");
        out.clear();
        escape_argument(b"a&b=c d", &mut out);
        assert_eq!(out, "a%26b=c%20d");
    }
}
