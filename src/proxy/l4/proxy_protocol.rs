//! The PROXY protocol, versions 1 and 2, as HAProxy's proxy-protocol.txt has it: a reader of both, a writer of the first.
//!
//! No I/O: the reader looks at the first bytes of a connection. It is strict: whoever may speak for a client's address
//! has no reason to speak sloppily.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The longest header that is read, in bytes: all addresses there are, and room for the extensions of version 2.
pub const MAX_HEADER: usize = 4096;
/// The longest line of version 1, its end included (§2.1).
const MAX_LINE: usize = 107;
const V1: &[u8] = b"PROXY ";
/// The signature of version 2 (§2.2).
const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// Signature, version and command, family, length.
const V2_FIXED: usize = 16;

/// A header that was read whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Source and destination; `None` for `UNKNOWN` and `LOCAL`: the connection's own hold.
    pub addresses: Option<(SocketAddr, SocketAddr)>,
    /// Bytes that the header took; what follows is the client's.
    pub length: usize,
}

/// Why the first bytes of a connection are no header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    #[error("no PROXY header")]
    Signature,
    #[error("a PROXY line that is too long or has no end")]
    Line,
    #[error("a PROXY line with a wrong family or address")]
    Address,
    #[error("an unknown version or command")]
    Command,
    #[error("an unknown address family")]
    Family,
    #[error("a wrong length")]
    Length,
}

/// Reads the header at the beginning of `bytes`. `None`: more bytes are needed; with [`MAX_HEADER`] of them there is
/// always an answer.
pub fn parse(bytes: &[u8]) -> Result<Option<Header>, Invalid> {
    let begins = |signature: &[u8]| bytes.iter().zip(signature).all(|(a, b)| a == b);
    if begins(V2) {
        if bytes.len() < V2_FIXED { Ok(None) } else { version2(bytes) }
    } else if begins(V1) {
        version1(bytes)
    } else {
        Err(Invalid::Signature)
    }
}

fn version1(bytes: &[u8]) -> Result<Option<Header>, Invalid> {
    let Some(end) = bytes.iter().take(MAX_LINE).position(|byte| *byte == b'\n') else {
        return if bytes.len() < MAX_LINE { Ok(None) } else { Err(Invalid::Line) };
    };
    let line = bytes.get(V1.len()..end).and_then(|line| line.strip_suffix(b"\r")).ok_or(Invalid::Line)?;
    let line = std::str::from_utf8(line).map_err(|_| Invalid::Line)?;
    let mut words = line.split(' ');
    let addresses = match words.next() {
        // What follows UNKNOWN is to be ignored.
        Some("UNKNOWN") => None,
        Some("TCP4") => Some(line_addresses::<Ipv4Addr>(words)?),
        Some("TCP6") => Some(line_addresses::<Ipv6Addr>(words)?),
        _ => return Err(Invalid::Address),
    };
    Ok(Some(Header { addresses, length: end + 1 }))
}

/// Two addresses, two ports, nothing else.
fn line_addresses<'a, A: std::str::FromStr + Into<IpAddr>>(
    mut words: impl Iterator<Item = &'a str>,
) -> Result<(SocketAddr, SocketAddr), Invalid> {
    let mut word = || words.next().ok_or(Invalid::Address);
    let (source, destination, from, to) = (word()?, word()?, word()?, word()?);
    if words.next().is_some() {
        return Err(Invalid::Address);
    }
    let address = |text: &str, port: &str| -> Option<SocketAddr> {
        let ip: IpAddr = text.parse::<A>().ok()?.into();
        let plain = port.bytes().all(|b| b.is_ascii_digit()) && (port == "0" || !port.starts_with('0'));
        Some(SocketAddr::new(ip, port.parse().ok().filter(|_| plain)?))
    };
    address(source, from).zip(address(destination, to)).ok_or(Invalid::Address)
}

fn version2(bytes: &[u8]) -> Result<Option<Header>, Invalid> {
    let mut fixed = bytes.iter().skip(V2.len()).copied();
    let mut next = || fixed.next().ok_or(Invalid::Length);
    let (command, family, high, low) = (next()?, next()?, next()?, next()?);
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length > MAX_HEADER - V2_FIXED {
        return Err(Invalid::Length);
    }
    if !matches!(command, 0x20 | 0x21) {
        return Err(Invalid::Command);
    }
    // Bytes of the addresses; the rest are extensions.
    let fixed_length = match family {
        0x00 => 0,
        0x11 | 0x12 => 12,
        0x21 | 0x22 => 36,
        0x31 | 0x32 => 216,
        _ => return Err(Invalid::Family),
    };
    let is_local = command == 0x20;
    if length < fixed_length && !is_local {
        return Err(Invalid::Length);
    }
    let Some(payload) = bytes.get(V2_FIXED..V2_FIXED + length) else { return Ok(None) };
    if !is_local {
        check_extensions(payload.get(fixed_length..).unwrap_or_default(), family == 0x00)?;
    }
    // Datagrams are not what a connection carries, and sockets of a file system have no address for anybody.
    let addresses = match family {
        0x11 if !is_local => Some(addresses::<4>(payload)?),
        0x21 if !is_local => Some(addresses::<16>(payload)?),
        _ => None,
    };
    Ok(Some(Header { addresses, length: V2_FIXED + length }))
}

/// Source, destination, source port, destination port, in network order.
fn addresses<const N: usize>(payload: &[u8]) -> Result<(SocketAddr, SocketAddr), Invalid>
where
    IpAddr: From<[u8; N]>,
{
    let array = |at: usize| payload.get(at..at + N).and_then(|b| <[u8; N]>::try_from(b).ok()).ok_or(Invalid::Length);
    let port = |at: usize| payload.get(at..at + 2).and_then(|b| <[u8; 2]>::try_from(b).ok()).ok_or(Invalid::Length);
    let source = SocketAddr::new(array(0)?.into(), u16::from_be_bytes(port(2 * N)?));
    let destination = SocketAddr::new(array(N)?.into(), u16::from_be_bytes(port(2 * N + 2)?));
    Ok((source, destination))
}

/// Type, length and value, one after the other (§2.2.7). What they say is not read. Without a family the bytes are the
/// sender's own matter.
fn check_extensions(mut bytes: &[u8], opaque: bool) -> Result<(), Invalid> {
    while let (false, [_, high, low, rest @ ..]) = (opaque, bytes) {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        bytes = rest.get(length..).ok_or(Invalid::Length)?;
    }
    if opaque || bytes.is_empty() { Ok(()) } else { Err(Invalid::Length) }
}

/// The line of version 1, as nginx sends it. Addresses of two families have no line but `UNKNOWN`.
pub fn version1_line(source: SocketAddr, destination: SocketAddr) -> String {
    let family = match (source.ip(), destination.ip()) {
        (IpAddr::V4(_), IpAddr::V4(_)) => "TCP4",
        (IpAddr::V6(_), IpAddr::V6(_)) => "TCP6",
        _ => return "PROXY UNKNOWN\r\n".to_owned(),
    };
    let mut line = String::with_capacity(MAX_LINE);
    let (from, to) = (source.port(), destination.port());
    let _ = write!(line, "PROXY {family} {} {} {from} {to}\r\n", source.ip(), destination.ip());
    line
}

#[cfg(test)]
#[path = "proxy_protocol/tests.rs"]
mod tests;
