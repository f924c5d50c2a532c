//! A quote as a file. This is the only reader, for every tool.

use crate::exit::Exit;
use crate::files::read_limited;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::path::{Path, PathBuf};
use tcs_evidence::{Evidence, MAX_QUOTE};

/// Why a file contains no quote.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It cannot be read.
    #[error("cannot read the quote file {}: {cause}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        cause: String,
    },
    /// It is neither base64 nor a quote.
    #[error("{} contains no quote: {found}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        found: String,
    },
}

impl Error {
    /// The stable name of the case.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "QuoteUnreadable",
            Self::Malformed { .. } => "QuoteMalformed",
        }
    }

    /// The class of the exit status.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Unreadable { .. } => Exit::Other,
            Self::Malformed { .. } => Exit::Verification,
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn advice(&self) -> &'static str {
        "give --quote the text of spec.quote of the QuoteAttestation after one base64 decoding"
    }
}

/// Reads base64 text (line ends are ignored) or raw bytes. Raw bytes begin with a version below 32, which no
/// text does.
pub fn read(path: &Path) -> Result<Evidence, Error> {
    let (evidence, behind) = read_beginning(path)?;
    if behind == 0 {
        return Ok(evidence);
    }
    Err(malformed(
        path,
        format!("{behind} bytes follow the quote; km-attest inspect shows what precedes them"),
    ))
}

/// Reads the quote at the beginning of a file, and how many bytes follow it. Zeros behind a TDX quote are no
/// part of it and are not counted.
pub fn read_beginning(path: &Path) -> Result<(Evidence, usize), Error> {
    // Base64 with line ends is less than twice as long as what it encodes.
    let limit = u64::try_from(MAX_QUOTE).unwrap_or(u64::MAX).saturating_mul(2);
    let bytes = read_limited(path, limit)
        .map_err(|cause| Error::Unreadable { path: path.to_owned(), cause: cause.to_string() })?;
    let raw = decode(bytes).map_err(|found| malformed(path, found.into()))?;
    Evidence::from_beginning(&raw).map_err(|error| malformed(path, error.to_string()))
}

fn malformed(path: &Path, found: String) -> Error {
    Error::Malformed { path: path.to_owned(), found }
}

/// The raw quote. Texts that people take for base64 are named.
fn decode(bytes: Vec<u8>) -> Result<Vec<u8>, &'static str> {
    if is_raw(&bytes) {
        return Ok(bytes);
    }
    if hex_of(&bytes).is_some_and(|raw| is_raw(&raw)) {
        return Err("it is hex; give it as raw bytes (xxd -r -p FILE) or in base64");
    }
    let raw = base64_of(&bytes).ok_or("it is neither base64 nor raw")?;
    if base64_of(&raw).is_some_and(|twice| is_raw(&twice)) {
        return Err("it is base64 of base64; decode it once (base64 -d FILE)");
    }
    if hex_of(&raw).is_some_and(|twice| is_raw(&twice)) {
        return Err("it is base64 of hex; give it as raw bytes (base64 -d FILE | xxd -r -p) or in base64");
    }
    Ok(raw)
}

/// The first two bytes are a version below 32.
fn is_raw(bytes: &[u8]) -> bool {
    matches!(bytes, [1..=31, 0, ..])
}

fn base64_of(text: &[u8]) -> Option<Vec<u8>> {
    let text: Vec<u8> = text.iter().copied().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect();
    STANDARD.decode(text).ok()
}

/// Hex digits in either case, also with `0x`, blanks, colons and line ends between them.
fn hex_of(text: &[u8]) -> Option<Vec<u8>> {
    let text: String = std::str::from_utf8(text).ok()?.replace("0x", "");
    let digits: String = text.chars().filter(|c| !c.is_whitespace() && !matches!(c, ':' | ',')).collect();
    hex::decode(digits).ok()
}
