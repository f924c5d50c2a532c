//! Frames: `u32` length of the rest ‖ `u8` protocol version ‖ `u64` request id ‖ CBOR message, integers
//! big-endian (docs/protocol.md, "Enclave RPC").
//!
//! A response carries the id of its request. The client chooses the ids; the server only repeats them.
//!
//! A request is accepted only if this version knows all of it ([`decode_known`]): a field of a newer peer may
//! be a rule that restricts, and a rule that is skipped is lost. A response may contain fields that the
//! client does not know; the client skips them.

use crate::Error;
use minicbor::{Decode, Decoder, Encode};
use std::io::{self, Read};
use std::time::{Duration, Instant};

/// The version of the protocol.
pub const VERSION: u8 = 1;

/// The largest frame, in bytes after the length field: 1 MiB of payload, and room for what surrounds it.
pub const MAX_FRAME: usize = (1 << 20) + (1 << 16);

/// More than the length of most frames, in bytes: what is longer is copied as it grows.
const USUAL_FRAME: usize = 2 << 10;

/// Version and request id.
const PREFIX: usize = 1 + 8;

/// How much memory is reserved before the bytes have arrived, so that a length that is only announced costs
/// no memory.
const CHUNK: usize = 64 << 10;

/// Makes the whole frame of a message.
///
/// Fails with [`Error::FrameTooLong`] if the message does not fit.
pub fn encode<M: Encode<()>>(id: u64, message: &M) -> Result<Vec<u8>, Error> {
    let mut frame = Vec::with_capacity(USUAL_FRAME);
    frame.extend_from_slice(&[0; 4]);
    frame.push(VERSION);
    frame.extend_from_slice(&id.to_be_bytes());
    minicbor::encode(message, &mut frame).map_err(|_| Error::MessageMalformed)?;
    let length = frame.len().saturating_sub(4);
    let announced =
        u32::try_from(length).ok().filter(|_| length <= MAX_FRAME).ok_or(Error::FrameTooLong(length))?;
    if let Some(field) = frame.first_chunk_mut::<4>() {
        *field = announced.to_be_bytes();
    }
    Ok(frame)
}

/// The request id and the message of a frame without its length.
///
/// Fails with [`Error::FrameTooShort`] or [`Error::VersionUnsupported`].
pub fn split(frame: &[u8]) -> Result<(u64, &[u8]), Error> {
    let (version, rest) = frame.split_first().ok_or(Error::FrameTooShort(0))?;
    let (id, message) = rest.split_first_chunk::<8>().ok_or(Error::FrameTooShort(frame.len()))?;
    if *version != VERSION {
        return Err(Error::VersionUnsupported(*version));
    }
    Ok((u64::from_be_bytes(*id), message))
}

/// Reads a message from the body of a frame. Nothing may follow it.
pub fn decode<'b, M: Decode<'b, ()>>(body: &'b [u8]) -> Result<M, Error> {
    let mut decoder = Decoder::new(body);
    let message = decoder.decode().map_err(|_| Error::MessageMalformed)?;
    if decoder.position() == body.len() { Ok(message) } else { Err(Error::MessageMalformed) }
}

/// As [`decode`], and every byte must be what this version writes for the message.
///
/// So nothing in the message goes unnoticed: no field of a newer version at any depth, and none where this
/// version expects nothing. Messages are arrays (RFC 8949, section 3.1, major type 4) whose entries are
/// identified by their position, so a field cannot occur twice. A field that an older version does not write
/// is absent, as [`None`] is.
///
/// Fails with [`Error::MessageNotKnown`] if the message contains anything that this version does not know.
pub fn decode_known<'b, M: Decode<'b, ()> + Encode<()>>(body: &'b [u8]) -> Result<M, Error> {
    let message = decode(body)?;
    let mut rest = Expected(body);
    match minicbor::encode(&message, &mut rest) {
        Ok(()) if rest.0.is_empty() => Ok(message),
        _ => Err(Error::MessageNotKnown),
    }
}

/// Compares what is written with what was read. It uses no memory.
struct Expected<'a>(&'a [u8]);

impl minicbor::encode::Write for Expected<'_> {
    type Error = Error;

    fn write_all(&mut self, written: &[u8]) -> Result<(), Error> {
        self.0 = self.0.strip_prefix(written).ok_or(Error::MessageNotKnown)?;
        Ok(())
    }
}

/// A frame whose message is not decoded yet.
#[derive(Debug, PartialEq, Eq)]
pub struct Frame {
    /// The request id.
    pub id: u64,
    /// The CBOR message.
    pub body: Vec<u8>,
}

/// A frame that cannot be read. Its id is kept if it could be read, so that the frame can be answered.
#[derive(Debug)]
pub struct BadFrame {
    /// The id, if it is known.
    pub id: Option<u64>,
    /// What is wrong.
    pub error: Error,
}

impl From<Error> for BadFrame {
    fn from(error: Error) -> Self {
        Self { id: None, error }
    }
}

/// Reads the next frame; `None` at the end of the stream between two frames.
///
/// Between frames it waits without limit, and a read timeout of the stream is not an error. A frame that has
/// begun must be complete within `patience`. This is checked whenever a read returns, so the read timeout of
/// the stream should not be longer.
pub fn read(stream: &mut impl Read, patience: Duration) -> Result<Option<Frame>, BadFrame> {
    let mut length = [0; 4];
    let Some(first) = read_first(stream)? else { return Ok(None) };
    let deadline = Instant::now() + patience;
    let [start, rest @ ..] = &mut length;
    *start = first;
    read_all(stream, rest, deadline)?;
    let length = u32::from_be_bytes(length) as usize;
    let Some(body_length) = length.checked_sub(PREFIX) else {
        return Err(Error::FrameTooShort(length).into());
    };

    let (mut version, mut id) = ([0; 1], [0; 8]);
    read_all(stream, &mut version, deadline)?;
    read_all(stream, &mut id, deadline)?;
    let id = u64::from_be_bytes(id);
    let bad = |error| BadFrame { id: Some(id), error };
    let [version] = version;
    if version != VERSION {
        return Err(bad(Error::VersionUnsupported(version)));
    }
    if length > MAX_FRAME {
        return Err(bad(Error::FrameTooLong(length)));
    }
    let mut body = Vec::new();
    while body.len() < body_length {
        let read = body.len();
        body.resize(body_length.min(read.saturating_add(CHUNK)), 0);
        read_all(stream, body.get_mut(read..).unwrap_or_default(), deadline).map_err(bad)?;
    }
    Ok(Some(Frame { id, body }))
}

fn read_first(stream: &mut impl Read) -> Result<Option<u8>, Error> {
    let mut first = [0; 1];
    loop {
        match stream.read(&mut first) {
            Ok(0) => return Ok(None),
            Ok(_) => {
                let [byte] = first;
                return Ok(Some(byte));
            }
            Err(error) if is_pause(&error) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn read_all(stream: &mut impl Read, mut buffer: &mut [u8], deadline: Instant) -> Result<(), Error> {
    while !buffer.is_empty() {
        match stream.read(buffer) {
            Ok(0) => return Err(Error::Disconnected),
            Ok(read) => buffer = buffer.get_mut(read..).unwrap_or_default(),
            Err(error) if is_pause(&error) => {}
            Err(error) => return Err(error.into()),
        }
        if !buffer.is_empty() && Instant::now() >= deadline {
            return Err(Error::FrameStalled);
        }
    }
    Ok(())
}

fn is_pause(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

#[cfg(test)]
mod tests;
