//! Files that `km-attest` reads.

use super::Error;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use tcs_evidence::{Evidence, MAX_QUOTE};

/// Longest public key file, in bytes.
const MAX_PUBLIC_KEY: u64 = 16 * 1024;

/// A PEM `PUBLIC KEY` as DER `SubjectPublicKeyInfo`.
pub fn read_public_key(path: &Path) -> Result<Vec<u8>, Error> {
    let bytes = read_limited(path, MAX_PUBLIC_KEY)
        .map_err(|cause| Error::PublicKeyUnreadable { path: path.to_owned(), cause: cause.to_string() })?;
    match pem_rfc7468::decode_vec(bytes.trim_ascii()) {
        Ok(("PUBLIC KEY", der)) => Ok(der),
        _ => Err(Error::PublicKeyMalformed { path: path.to_owned() }),
    }
}

/// Base64 text (line ends are ignored) or raw bytes; those begin with a version below 32, which no text does.
pub fn read_quote(path: &Path) -> Result<Evidence, Error> {
    // Base64 with line ends is less than twice as long as what it encodes.
    let limit = u64::try_from(MAX_QUOTE).unwrap_or(u64::MAX).saturating_mul(2);
    let bytes = read_limited(path, limit)
        .map_err(|cause| Error::QuoteUnreadable { path: path.to_owned(), cause: cause.to_string() })?;
    let malformed = |found: String| Error::QuoteMalformed { path: path.to_owned(), found };
    let raw = if let [1..=31, 0, ..] = bytes.as_slice() {
        bytes
    } else {
        let text: Vec<u8> = bytes.into_iter().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect();
        STANDARD.decode(text).map_err(|_| malformed("it is neither base64 nor raw".into()))?
    };
    Evidence::from_quote(raw).map_err(|error| malformed(error.to_string()))
}

/// Reads a file of at most `limit` bytes.
pub fn read_limited(path: &Path, limit: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > limit {
        return Err(std::io::Error::other(format!("longer than {limit} bytes")));
    }
    Ok(bytes)
}
