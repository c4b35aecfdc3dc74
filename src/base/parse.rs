//! Readers of single values as Go and nginx spell them. Pure, total, and silent: `None` is "not a value".

use std::time::Duration;

/// What Go's `strconv.ParseBool` takes; no other case, no blanks around it.
pub fn go_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

/// What Go's `strconv.Atoi` takes: decimal, an optional sign, no unit, no blanks.
pub fn int(text: &str) -> Option<i64> {
    text.parse().ok()
}

/// A size in bytes as ingress-nginx reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    Bytes(u64),
    /// Passes validation, yet the template leaves the directive out: the suffix `b`, or blanks inside (`8 k`).
    NoEffect,
}

/// `1000`, `8k`, `1m`, `2G`: decimal digits and at most one unit of 1024 steps. `8kb` and sizes past 64 bits are none.
///
/// Validation drops blanks and allows a `b`; the template that writes the directive allows neither, see [`Size`].
pub fn size(text: &str) -> Option<Size> {
    let compact = text.replace(' ', "");
    let (digits, unit) = split_digits(&compact);
    let shift = match unit {
        "" | "b" | "B" => 0,
        "k" | "K" => 10,
        "m" | "M" => 20,
        "g" | "G" => 30,
        _ => return None,
    };
    let bytes = digits.parse::<u64>().ok()?.checked_mul(1 << shift)?;
    let written = !unit.eq_ignore_ascii_case("b") && compact == text.trim_matches(' ');
    Some(if written { Size::Bytes(bytes) } else { Size::NoEffect })
}

/// What Go's `time.ParseDuration` takes (`30s`, `1m30s`, `1.5h`, `0`), less the negative ones.
pub fn go_duration(text: &str) -> Option<Duration> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    let mut nanos: u64 = 0;
    loop {
        let (whole, tail) = split_digits(rest);
        let (fraction, tail) = tail.strip_prefix('.').map_or(("", tail), split_digits);
        let (unit, tail) = tail.split_at(tail.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(tail.len()));
        let scale: u64 = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return None,
        };
        let whole_nanos = match (whole, fraction) {
            ("", "") => return None,
            ("", _) => 0,
            _ => whole.parse::<u64>().ok()?.checked_mul(scale)?,
        };
        nanos = nanos.checked_add(whole_nanos)?.checked_add(fraction_of(fraction, scale))?;
        rest = tail;
        if rest.is_empty() {
            break;
        }
    }
    // Go counts nanoseconds in a signed 64-bit number.
    i64::try_from(nanos).is_ok().then(|| Duration::from_nanos(nanos))
}

/// `0.digits` of `scale`, rounded down.
fn fraction_of(digits: &str, scale: u64) -> u64 {
    let mut part = scale;
    let mut sum = 0;
    for digit in digits.bytes() {
        part /= 10;
        sum += u64::from(digit - b'0') * part;
    }
    sum
}

/// An nginx time: `90`, `90s`, `1h 30m`, `1h30`, `500ms`. Units fall from left to right, each at most once; a bare
/// number is seconds.
pub fn nginx_time(text: &str) -> Option<Duration> {
    const DAY: u64 = 86_400_000;
    const UNITS: [(&str, u64); 8] = [
        ("y", 365 * DAY),
        ("M", 30 * DAY),
        ("w", 7 * DAY),
        ("d", DAY),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1_000),
        ("ms", 1),
    ];
    let mut units = UNITS.as_slice();
    let mut rest = text;
    let mut millis: u64 = 0;
    loop {
        let (digits, tail) = split_digits(rest);
        let (unit, tail) = tail.split_at(tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len()));
        let unit = if unit.is_empty() { "s" } else { unit };
        let at = units.iter().position(|(name, _)| *name == unit)?;
        let (_, scale) = units.get(at)?;
        millis = millis.checked_add(digits.parse::<u64>().ok()?.checked_mul(*scale)?)?;
        units = units.get(at + 1..)?;
        rest = tail.trim_start_matches(' ');
        if rest.is_empty() {
            return Some(Duration::from_millis(millis));
        }
    }
}

/// The items of a comma list, trimmed, without the empty ones.
pub fn comma_list(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty())
}

/// The leading ASCII digits, and what follows them.
fn split_digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bools() {
        for text in ["1", "t", "T", "TRUE", "true", "True"] {
            assert_eq!(go_bool(text), Some(true), "{text:?}");
        }
        for text in ["0", "f", "F", "FALSE", "false", "False"] {
            assert_eq!(go_bool(text), Some(false), "{text:?}");
        }
        for text in ["", "yes", "on", "tRUE", " true", "true\n", "2"] {
            assert_eq!(go_bool(text), None, "{text:?}");
        }
    }

    #[test]
    fn ints() {
        for (text, expected) in [("0", Some(0)), ("-5", Some(-5)), ("+7", Some(7)), ("007", Some(7))] {
            assert_eq!(int(text), expected, "{text:?}");
        }
        for text in ["", "+", "5s", " 5", "0x10", "1_000", "1.5", "9223372036854775808"] {
            assert_eq!(int(text), None, "{text:?}");
        }
    }

    #[test]
    fn sizes() {
        let bytes = |n| Some(Size::Bytes(n));
        let rows = [
            ("0", bytes(0)),
            ("1000", bytes(1000)),
            ("8k", bytes(8 << 10)),
            ("8K", bytes(8 << 10)),
            ("1m", bytes(1 << 20)),
            ("2G", bytes(2 << 30)),
            (" 8k ", bytes(8 << 10)),
            ("17179869183g", bytes(17_179_869_183 << 30)),
            ("17179869184g", None),
            ("8b", Some(Size::NoEffect)),
            ("8B", Some(Size::NoEffect)),
            ("8 k", Some(Size::NoEffect)),
            ("", None),
            ("k", None),
            ("8kb", None),
            ("8t", None),
            ("-1", None),
            ("1.5m", None),
            ("8k\n", None),
        ];
        for (text, expected) in rows {
            assert_eq!(size(text), expected, "{text:?}");
        }
    }

    #[test]
    fn go_durations() {
        let rows = [
            ("0", Some(0)),
            ("30s", Some(30_000_000_000)),
            ("1m30s", Some(90_000_000_000)),
            ("1.5h", Some(5_400_000_000_000)),
            (".5s", Some(500_000_000)),
            ("+1ms", Some(1_000_000)),
            ("3us2ns", Some(3_002)),
            ("1µs", Some(1_000)),
            ("1s1s", Some(2_000_000_000)),
            ("", None),
            ("30", None),
            ("-1s", None),
            (".s", None),
            ("1d", None),
            ("1 s", None),
            ("2562048h", None),
        ];
        for (text, expected) in rows {
            assert_eq!(go_duration(text), expected.map(Duration::from_nanos), "{text:?}");
        }
    }

    #[test]
    fn nginx_times() {
        let rows = [
            ("90", Some(90_000)),
            ("240s", Some(240_000)),
            ("1h", Some(3_600_000)),
            ("1h30m", Some(5_400_000)),
            ("1h 30m", Some(5_400_000)),
            ("1h30", Some(3_630_000)),
            ("500ms", Some(500)),
            ("1s 500ms", Some(1_500)),
            ("1d", Some(86_400_000)),
            ("", None),
            ("m", None),
            ("30m1h", None),
            ("1h1h", None),
            ("30 5", None),
            ("1.5h", None),
            ("-1s", None),
        ];
        for (text, expected) in rows {
            assert_eq!(nginx_time(text), expected.map(Duration::from_millis), "{text:?}");
        }
    }

    #[test]
    fn comma_lists() {
        for (text, expected) in [("", &[][..]), (" a ,b,, c", &["a", "b", "c"]), (",", &[]), ("a b", &["a b"])] {
            assert_eq!(comma_list(text).collect::<Vec<_>>(), expected, "{text:?}");
        }
    }
}
