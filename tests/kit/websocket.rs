//! WebSocket frames by hand (RFC 6455), enough to echo and to ask for an echo. No extension is ever agreed to.

use std::io;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

use super::wire::Wire;

pub const TEXT: u8 = 1;
pub const BINARY: u8 = 2;
pub const CLOSE: u8 = 8;
pub const PING: u8 = 9;
pub const PONG: u8 = 10;

/// Frames past this size are refused.
const MAX_FRAME: u64 = 16 << 20;

/// The value of `Sec-WebSocket-Accept` for a key (RFC 6455, 4.2.2).
pub fn accept(key: &str) -> String {
    STANDARD.encode(Sha1::digest(format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11")))
}

/// One whole frame. A client masks its frames, a server must not.
pub fn frame(opcode: u8, payload: &[u8], mask: Option<[u8; 4]>) -> Vec<u8> {
    let masked = if mask.is_some() { 0x80 } else { 0 };
    let mut out = vec![0x80 | opcode];
    match payload.len() {
        n @ 0..126 => out.push(masked | n as u8),
        n @ 126..65536 => {
            out.push(masked | 126);
            out.extend((n as u16).to_be_bytes());
        }
        n => {
            out.push(masked | 127);
            out.extend((n as u64).to_be_bytes());
        }
    }
    let mask = mask.inspect(|mask| out.extend(mask)).unwrap_or_default();
    out.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    out
}

/// Reads one frame: its opcode and its unmasked payload.
pub async fn read(wire: &mut Wire) -> io::Result<(u8, Vec<u8>)> {
    let head = wire.exact(2).await?;
    let length = match head[1] & 0x7f {
        126 => u64::from(u16::from_be_bytes(array(wire.exact(2).await?))),
        127 => u64::from_be_bytes(array(wire.exact(8).await?)),
        n => u64::from(n),
    };
    if length > MAX_FRAME {
        return Err(io::Error::other("frame too large"));
    }
    let mask: [u8; 4] = if head[1] & 0x80 == 0 { [0; 4] } else { array(wire.exact(4).await?) };
    let mut payload = wire.exact(length as usize).await?;
    payload.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
    Ok((head[0] & 0x0f, payload))
}

/// Sends every frame back, answers pings, and leaves after a close.
pub async fn echo(wire: &mut Wire) -> io::Result<()> {
    loop {
        let (opcode, payload) = read(wire).await?;
        let answer = if opcode == PING { PONG } else { opcode };
        wire.write(&frame(answer, &payload, None)).await?;
        if opcode == CLOSE {
            return wire.shutdown().await;
        }
    }
}

fn array<const N: usize>(bytes: Vec<u8>) -> [u8; N] {
    bytes.try_into().expect("exactly as many bytes as were asked for")
}
