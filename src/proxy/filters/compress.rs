//! Encodes a body piece by piece. What was written is flushed whenever the upstream pauses, so that events arrive.

use std::fmt;
use std::io::{self, Write};
use std::task::{Context, Poll};

use brotli::CompressorWriter;
use bytes::Bytes;
use flate2::write::GzEncoder;
use http_body::Frame;
use zstd::stream::raw::CParameter;
use zstd::stream::write::Encoder as ZstdEncoder;

use super::Polled;
use crate::policy::compression::Coding;
use crate::proxy::progress::BodyFault;

/// Encoded bytes are handed on from here on, however much more could be read at once.
const ENOUGH: usize = 16 * 1024;

/// Bytes that are encoded at one poll, however little comes out: other connections wait.
const TURN: usize = 64 * 1024;

/// The window of brotli and Zstandard as a power of two, which bounds the memory of one body (512 KiB, as ngx_brotli).
const WINDOW: u32 = 19;

enum Encoder {
    Gzip(GzEncoder<Vec<u8>>),
    Brotli(Box<CompressorWriter<Vec<u8>>>),
    Zstd(Box<ZstdEncoder<'static, Vec<u8>>>),
}

impl Encoder {
    fn new(coding: Coding, level: u32, length: Option<u64>) -> io::Result<Self> {
        Ok(match coding {
            Coding::Gzip => Self::Gzip(GzEncoder::new(Vec::new(), flate2::Compression::new(level))),
            Coding::Brotli => Self::Brotli(Box::new(CompressorWriter::new(Vec::new(), 4096, level, window(length)))),
            Coding::Zstd => {
                let mut encoder = ZstdEncoder::new(Vec::new(), i32::try_from(level).unwrap_or_default())?;
                encoder.set_parameter(CParameter::WindowLog(window(length)))?;
                Self::Zstd(Box::new(encoder))
            }
        })
    }

    fn write(&mut self, data: &[u8]) -> io::Result<()> {
        match self {
            Self::Gzip(encoder) => encoder.write_all(data),
            Self::Brotli(encoder) => encoder.write_all(data),
            Self::Zstd(encoder) => encoder.write_all(data),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Gzip(encoder) => encoder.flush(),
            Self::Brotli(encoder) => encoder.flush(),
            Self::Zstd(encoder) => encoder.flush(),
        }
    }

    fn out(&mut self) -> &mut Vec<u8> {
        match self {
            Self::Gzip(encoder) => encoder.get_mut(),
            Self::Brotli(encoder) => encoder.get_mut(),
            Self::Zstd(encoder) => encoder.get_mut(),
        }
    }

    fn finish(self) -> io::Result<Vec<u8>> {
        match self {
            Self::Gzip(encoder) => encoder.finish(),
            Self::Brotli(encoder) => Ok(encoder.into_inner()),
            Self::Zstd(encoder) => encoder.finish(),
        }
    }
}

/// A short body needs no more window than itself.
fn window(length: Option<u64>) -> u32 {
    let needed = length.map_or(WINDOW, |length| u64::BITS - length.leading_zeros());
    needed.clamp(10, WINDOW)
}

pub struct Compressor {
    coding: Coding,
    /// `None` once the body has ended.
    encoder: Option<Encoder>,
    /// What was read and is not encoded yet: one piece.
    input: Bytes,
    /// Something was written since the last flush.
    dirty: bool,
    trailers: Option<Frame<Bytes>>,
}

impl fmt::Debug for Compressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compressor").field("coding", &self.coding).finish_non_exhaustive()
    }
}

impl Compressor {
    /// For a body of that length, where it is known. Fails only for want of memory.
    pub fn new(coding: Coding, level: u32, length: Option<u64>) -> io::Result<Self> {
        Ok(Self {
            coding,
            encoder: Some(Encoder::new(coding, level, length)?),
            input: Bytes::new(),
            dirty: false,
            trailers: None,
        })
    }

    pub fn poll(&mut self, cx: &mut Context<'_>, source: &mut impl FnMut(&mut Context<'_>) -> Polled) -> Polled {
        let mut turn = TURN;
        loop {
            let Some(encoder) = &mut self.encoder else { return Poll::Ready(self.trailers.take().map(Ok)) };
            if encoder.out().len() >= ENOUGH
                && let Some(data) = hand_out(encoder)
            {
                return Poll::Ready(Some(Ok(Frame::data(data))));
            }
            if !self.input.is_empty() {
                if turn == 0 {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                let part = self.input.split_to(self.input.len().min(turn));
                turn -= part.len();
                self.dirty = true;
                if encoder.write(&part).is_err() {
                    return self.fail(BodyFault::Upstream);
                }
                continue;
            }
            match source(cx) {
                Poll::Pending => return self.pause(),
                Poll::Ready(None) => return self.end(None),
                Poll::Ready(Some(Err(fault))) => return self.fail(fault),
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => self.input = data,
                    Err(trailers) => return self.end(Some(trailers)),
                },
            }
        }
    }

    /// Nothing more is there for now: what was written goes out.
    fn pause(&mut self) -> Polled {
        let Some(encoder) = self.encoder.as_mut().filter(|_| std::mem::take(&mut self.dirty)) else {
            return Poll::Pending;
        };
        if encoder.flush().is_err() {
            return self.fail(BodyFault::Upstream);
        }
        hand_out(encoder).map_or(Poll::Pending, |data| Poll::Ready(Some(Ok(Frame::data(data)))))
    }

    fn end(&mut self, trailers: Option<Frame<Bytes>>) -> Polled {
        self.trailers = trailers;
        match self.encoder.take().map(Encoder::finish) {
            Some(Ok(rest)) if !rest.is_empty() => Poll::Ready(Some(Ok(Frame::data(rest.into())))),
            Some(Err(_)) => self.fail(BodyFault::Upstream),
            Some(Ok(_)) | None => Poll::Ready(self.trailers.take().map(Ok)),
        }
    }

    fn fail(&mut self, fault: BodyFault) -> Polled {
        self.encoder = None;
        self.trailers = None;
        Poll::Ready(Some(Err(fault)))
    }
}

/// What was encoded so far, unless it is nothing.
fn hand_out(encoder: &mut Encoder) -> Option<Bytes> {
    Some(Bytes::from(std::mem::take(encoder.out()))).filter(|data| !data.is_empty())
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::io::Read as _;
    use std::task::Waker;

    use super::*;

    fn decode(coding: Coding, data: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        match coding {
            Coding::Gzip => drop(flate2::read::MultiGzDecoder::new(data).read_to_end(&mut out)),
            Coding::Brotli => drop(brotli::Decompressor::new(data, 4096).read_to_end(&mut out)),
            Coding::Zstd => drop(zstd::stream::read::Decoder::new(data).unwrap().read_to_end(&mut out)),
        }
        out
    }

    /// Polls once with these pieces; `None` stands for a pause.
    fn next(compressor: &mut Compressor, pieces: &mut VecDeque<Option<&[u8]>>) -> Polled {
        compressor.poll(&mut Context::from_waker(Waker::noop()), &mut |_| match pieces.pop_front() {
            Some(Some(piece)) => Poll::Ready(Some(Ok(Frame::data(Bytes::copy_from_slice(piece))))),
            Some(None) => Poll::Pending,
            None => Poll::Ready(None),
        })
    }

    #[test]
    fn bodies_come_out_as_they_went_in() {
        let long = vec![b'y'; 600_000];
        for coding in Coding::ALL {
            for pieces in [&[&b""[..]][..], &[b"one", b"two"], &[&long, b"end"]] {
                let mut compressor = Compressor::new(coding, 3, None).unwrap();
                let mut left: VecDeque<_> = pieces.iter().map(|piece| Some(*piece)).collect();
                let mut encoded = Vec::new();
                loop {
                    match next(&mut compressor, &mut left) {
                        Poll::Ready(Some(frame)) => encoded.extend_from_slice(&frame.unwrap().into_data().unwrap()),
                        Poll::Ready(None) => break,
                        Poll::Pending => assert!(!compressor.input.is_empty(), "it waits for its next turn only"),
                    }
                }
                assert!(decode(coding, &encoded) == pieces.concat(), "{coding:?}");
            }
        }
    }

    proptest::proptest! {
        #![proptest_config(proptest::test_runner::Config::with_cases(64))]

        /// Whatever the pieces and the pauses between them, what had come before a pause can be read at it.
        #[test]
        fn nothing_is_lost_or_held_back(pieces in proptest::collection::vec((proptest::collection::vec(0..8_u8, 0..40_000), 0..3_u8), 0..6)) {
            for coding in Coding::ALL {
                let mut compressor = Compressor::new(coding, 1, None).unwrap();
                let mut source: VecDeque<Option<&[u8]>> = VecDeque::new();
                for (piece, pauses) in &pieces {
                    source.push_back(Some(piece));
                    source.extend((0..*pauses).map(|_| None));
                }
                let (mut given, mut encoded) = (Vec::new(), Vec::new());
                let mut rest = pieces.iter();
                loop {
                    let before = source.len();
                    match next(&mut compressor, &mut source) {
                        Poll::Ready(Some(frame)) => encoded.extend_from_slice(&frame.unwrap().into_data().unwrap()),
                        Poll::Ready(None) => break,
                        Poll::Pending if compressor.input.is_empty() => {
                            proptest::prop_assert!(before > source.len());
                            let left = source.iter().flatten().count();
                            while rest.len() > left {
                                given.extend_from_slice(&rest.next().unwrap().0);
                            }
                            proptest::prop_assert!(decode(coding, &encoded) == given, "{coding:?}");
                        }
                        Poll::Pending => {}
                    }
                }
                let all: Vec<u8> = pieces.iter().flat_map(|(piece, _)| piece.clone()).collect();
                proptest::prop_assert!(decode(coding, &encoded) == all, "{coding:?}");
            }
        }
    }

    #[test]
    fn a_pause_sends_what_is_there() {
        for coding in Coding::ALL {
            let mut compressor = Compressor::new(coding, 3, None).unwrap();
            let mut pieces = VecDeque::from([Some(&b"data: 1\n\n"[..]), None, None]);
            let Poll::Ready(Some(Ok(frame))) = next(&mut compressor, &mut pieces) else { panic!("{coding:?}") };
            assert_eq!(decode(coding, &frame.into_data().unwrap()), b"data: 1\n\n", "{coding:?}");
            assert!(next(&mut compressor, &mut pieces).is_pending(), "{coding:?}: nothing is flushed twice");
        }
    }

    #[test]
    fn windows() {
        for (length, expected) in [(None, 19), (Some(0), 10), (Some(1 << 12), 13), (Some(u64::MAX), 19)] {
            assert_eq!(window(length), expected, "{length:?}");
        }
    }
}
