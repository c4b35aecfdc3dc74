//! Rows of headers, and what must hold of every input.

use proptest::prelude::*;

use super::*;

fn addresses(source: &str, destination: &str) -> Option<(SocketAddr, SocketAddr)> {
    Some((source.parse().unwrap(), destination.parse().unwrap()))
}

/// A header of version 2.
fn binary(command: u8, family: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = V2.to_vec();
    bytes.extend([command, family]);
    bytes.extend(u16::try_from(payload.len()).unwrap().to_be_bytes());
    bytes.extend(payload);
    bytes
}

fn payload(source: SocketAddr, destination: SocketAddr) -> (u8, Vec<u8>) {
    let mut bytes = Vec::new();
    for ip in [source.ip(), destination.ip()] {
        match ip {
            IpAddr::V4(ip) => bytes.extend(ip.octets()),
            IpAddr::V6(ip) => bytes.extend(ip.octets()),
        }
    }
    bytes.extend(source.port().to_be_bytes());
    bytes.extend(destination.port().to_be_bytes());
    (if source.is_ipv4() { 0x11 } else { 0x21 }, bytes)
}

#[test]
fn version_1() {
    let four = addresses("192.0.2.1:1", "198.51.100.2:65535");
    let six = addresses("[2001:db8::1]:0", "[::1]:443");
    let rows: &[(&str, Result<Option<_>, Invalid>)] = &[
        ("PROXY TCP4 192.0.2.1 198.51.100.2 1 65535\r\n", Ok(Some(four))),
        ("PROXY TCP4 192.0.2.1 198.51.100.2 1 65535\r\nGET /", Ok(Some(four))),
        ("PROXY TCP6 2001:db8::1 ::1 0 443\r\n", Ok(Some(six))),
        ("PROXY UNKNOWN\r\n", Ok(Some(None))),
        ("PROXY UNKNOWN anything goes\r\n", Ok(Some(None))),
        ("", Ok(None)),
        ("PRO", Ok(None)),
        ("PROXY TCP4 192.0.2.1 198.51.100.2 1 6", Ok(None)),
        ("PROXY TCP4 192.0.2.1 198.51.100.2 1 65535\r", Ok(None)),
        ("GET / HTTP/1.1\r\n", Err(Invalid::Signature)),
        ("proxy TCP4 192.0.2.1 198.51.100.2 1 2\r\n", Err(Invalid::Signature)),
        ("PROXY TCP4 192.0.2.1 198.51.100.2 1 2\n", Err(Invalid::Line)),
        ("PROXY TCP4 192.0.2.1 198.51.100.2 1\r\n", Err(Invalid::Address)),
        ("PROXY TCP4 192.0.2.1 198.51.100.2 1 2 3\r\n", Err(Invalid::Address)),
        ("PROXY TCP4  192.0.2.1 198.51.100.2 1 2\r\n", Err(Invalid::Address)),
        ("PROXY TCP4 192.0.2.1 198.51.100.2 1 65536\r\n", Err(Invalid::Address)),
        ("PROXY TCP4 192.0.2.1 198.51.100.2 01 2\r\n", Err(Invalid::Address)),
        ("PROXY TCP4 192.0.2.1 198.51.100.2 +1 2\r\n", Err(Invalid::Address)),
        ("PROXY TCP4 192.0.2.1 198.51.100.2  2\r\n", Err(Invalid::Address)),
        ("PROXY TCP4 192.0.2.01 198.51.100.2 1 2\r\n", Err(Invalid::Address)),
        ("PROXY TCP4 ::1 ::1 1 2\r\n", Err(Invalid::Address)),
        ("PROXY TCP6 192.0.2.1 198.51.100.2 1 2\r\n", Err(Invalid::Address)),
        ("PROXY TCP5 192.0.2.1 198.51.100.2 1 2\r\n", Err(Invalid::Address)),
        ("PROXY \r\n", Err(Invalid::Address)),
        ("PROXY UNKNOWN\u{e9}\r\n", Err(Invalid::Address)),
    ];
    for (text, expected) in rows {
        let got = parse(text.as_bytes()).map(|header| header.map(|header| header.addresses));
        assert_eq!(got, *expected, "{text:?}");
    }
    let longest = format!("PROXY UNKNOWN{}\r\n", " ".repeat(MAX_LINE - 15));
    assert_eq!(parse(longest.as_bytes()), Ok(Some(Header { addresses: None, length: MAX_LINE })));
    assert_eq!(parse(format!("PROXY UNKNOWN {}", " ".repeat(MAX_LINE)).as_bytes()), Err(Invalid::Line));
    assert_eq!(parse(&b"PROXY UNKNOWN\r\n"[..14]), Ok(None));
}

#[test]
fn version_2() {
    let pair = |a: &str, b: &str| (a.parse::<SocketAddr>().unwrap(), b.parse::<SocketAddr>().unwrap());
    let (four, six) = (pair("192.0.2.1:1", "198.51.100.2:2"), pair("[2001:db8::1]:1", "[::1]:2"));
    let (_, bytes4) = payload(four.0, four.1);
    let (_, bytes6) = payload(six.0, six.1);
    let with = |extra: &[u8]| [bytes4.as_slice(), extra].concat();
    let rows: Vec<(Vec<u8>, Result<Option<_>, Invalid>)> = vec![
        (binary(0x21, 0x11, &bytes4), Ok(Some(Some(four)))),
        (binary(0x21, 0x21, &bytes6), Ok(Some(Some(six)))),
        (binary(0x20, 0x00, &[]), Ok(Some(None))),
        (binary(0x20, 0x11, &bytes4), Ok(Some(None))),
        (binary(0x21, 0x00, b"whatever"), Ok(Some(None))),
        (binary(0x21, 0x12, &bytes4), Ok(Some(None))),
        (binary(0x21, 0x31, &[0; 216]), Ok(Some(None))),
        (binary(0x21, 0x11, &with(&[4, 0, 2, 7, 7, 1, 0, 0])), Ok(Some(Some(four)))),
        (binary(0x21, 0x11, &with(&[4, 0, 3, 7, 7])), Err(Invalid::Length)),
        (binary(0x21, 0x11, &with(&[4, 0])), Err(Invalid::Length)),
        (binary(0x21, 0x11, &[0; 11]), Err(Invalid::Length)),
        (binary(0x21, 0x21, &bytes4), Err(Invalid::Length)),
        (binary(0x21, 0x11, &[0; MAX_HEADER]), Err(Invalid::Length)),
        (binary(0x22, 0x11, &bytes4), Err(Invalid::Command)),
        (binary(0x11, 0x11, &bytes4), Err(Invalid::Command)),
        (binary(0x21, 0x13, &bytes4), Err(Invalid::Family)),
        (binary(0x21, 0x41, &bytes4), Err(Invalid::Family)),
        (V2.to_vec(), Ok(None)),
        (binary(0x21, 0x11, &bytes4)[..27].to_vec(), Ok(None)),
        (b"\r\n\r\n\0\r\nQUIT\r".to_vec(), Err(Invalid::Signature)),
    ];
    for (bytes, expected) in rows {
        let got = parse(&bytes).map(|header| header.map(|header| header.addresses));
        assert_eq!(got, expected, "{bytes:x?}");
    }
}

#[test]
fn families_do_not_mix() {
    let (four, six) = ("192.0.2.1:1".parse().unwrap(), "[::1]:2".parse().unwrap());
    assert_eq!(version1_line(four, six), "PROXY UNKNOWN\r\n");
    assert_eq!(version1_line(four, four), "PROXY TCP4 192.0.2.1 192.0.2.1 1 1\r\n");
}

fn any_pair() -> impl Strategy<Value = (SocketAddr, SocketAddr)> {
    let four = any::<([u8; 4], u16, [u8; 4], u16)>().prop_map(|(a, p, b, q)| ((a, p).into(), (b, q).into()));
    let six = any::<([u8; 16], u16, [u8; 16], u16)>().prop_map(|(a, p, b, q)| ((a, p).into(), (b, q).into()));
    prop_oneof![four, six]
}

proptest! {
    #[test]
    fn what_is_written_is_read((source, destination) in any_pair(), rest in any::<Vec<u8>>()) {
        let line = version1_line(source, destination).into_bytes();
        let (family, payload) = payload(source, destination);
        for header in [line, binary(0x21, family, &payload)] {
            let expected = Header { addresses: Some((source, destination)), length: header.len() };
            prop_assert!(header.len() <= MAX_HEADER);
            prop_assert_eq!(parse(&[header.as_slice(), &rest].concat()), Ok(Some(expected)));
            for cut in 0..header.len() {
                prop_assert_eq!(parse(&header[..cut]), Ok(None));
            }
        }
    }

    #[test]
    fn no_input_panics_and_none_waits_for_ever(
        begin in prop_oneof![Just(&b""[..]), Just(V1), Just(V2), Just(&b"PROXY TCP4 "[..])],
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let mut bytes = [begin, &bytes].concat();
        let _ = parse(&bytes);
        bytes.resize(MAX_HEADER, b' ');
        prop_assert_ne!(parse(&bytes), Ok(None));
    }
}
