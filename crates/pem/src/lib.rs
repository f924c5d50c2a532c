//! PEM (RFC 7468): the only reader of the product, and its only writer.
//!
//! Every PEM text that somebody else wrote is read here: certificate requests, certificates, public and
//! private keys. If two readers find different blocks in one text, one key can be verified and another one be
//! used. So this reader accepts the lax forms on which the `openssl` command and Go's `encoding/pem` agree,
//! and refuses by name whatever one of them could read differently. Two forms are accepted on which they do
//! not agree, because a reader that does not accept them finds nothing in their place: Go finds no boundary
//! after a byte order mark, and openssl refuses a block with a blank line in it. The rules:
//!
//! - Text outside the blocks is ignored, in any encoding, as long as it contains no boundary.
//! - The text may begin with a UTF-8 byte order mark.
//! - Lines end in LF or CR LF and have any length. Blanks and tabs at the end of a boundary, and anywhere in
//!   the base64 lines, are ignored; so are blank lines.
//! - `-----BEGIN` or `-----END` anywhere but at the beginning of a line, with anything else on the line,
//!   without its counterpart or inside another block is an error, and so are headers (RFC 1421) and base64
//!   that is not canonical.
//!
//! Pure: bytes in, values out. Decoded bytes are wiped when they are dropped, because they may be a private
//! key.
#![forbid(unsafe_code)]

mod certificate_request;
mod error;
mod limits;
mod scan;

pub use certificate_request::{RequestError, certificate_request};
pub use error::Error;
pub use limits::{MAX_BLOCKS, MAX_LABEL};
pub use scan::Block;

use zeroize::Zeroizing;

/// How a private key is encoded, as the label of its block says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrivateKeyEncoding {
    /// `PRIVATE KEY`: PKCS#8 `PrivateKeyInfo` (RFC 5208, section 5; RFC 5958, section 2).
    Pkcs8,
    /// `RSA PRIVATE KEY`: PKCS#1 `RSAPrivateKey` (RFC 8017, appendix A.1.2).
    Pkcs1,
    /// `EC PRIVATE KEY`: SEC 1 `ECPrivateKey` (RFC 5915, section 3).
    Sec1,
}

/// A private key from a PEM text.
pub struct PrivateKey {
    /// How `der` is encoded.
    pub encoding: PrivateKeyEncoding,
    /// The key, DER.
    pub der: Zeroizing<Vec<u8>>,
}

/// All blocks of a text, in their order: none or at most [`MAX_BLOCKS`].
pub fn blocks(text: &[u8]) -> Result<Vec<Block>, Error> {
    scan::blocks(text)
}

/// The contents of the only block of a text, which must have this label.
pub fn one(text: &[u8], label: &str) -> Result<Zeroizing<Vec<u8>>, Error> {
    let mut found = blocks(text)?;
    match (found.pop(), found.len()) {
        (None, _) => Err(Error::NoBlock),
        (Some(block), 0) if block.label == label => Ok(block.der),
        (Some(block), 0) => Err(unexpected(block, label)),
        (Some(_), before) => Err(Error::SeveralBlocks { found: before.saturating_add(1) }),
    }
}

/// The contents of the blocks of a text, in their order: one or more, all of which must have this label.
pub fn all(text: &[u8], label: &str) -> Result<Vec<Zeroizing<Vec<u8>>>, Error> {
    let found = blocks(text)?;
    if found.is_empty() {
        return Err(Error::NoBlock);
    }
    let der = |block: Block| if block.label == label { Ok(block.der) } else { Err(unexpected(block, label)) };
    found.into_iter().map(der).collect()
}

/// The only private key of a text. There may be blocks of other kinds: `openssl ecparam -genkey` writes the
/// curve first, and certificates are often kept in the same file.
///
/// Encrypted keys are refused with [`Error::Encrypted`].
pub fn private_key(text: &[u8]) -> Result<PrivateKey, Error> {
    let (mut keys, mut others) = (Vec::new(), Vec::new());
    for block in blocks(text)? {
        if block.label.ends_with("PRIVATE KEY") { keys.push(block) } else { others.push(block) }
    }
    let (key, before) = (keys.pop(), keys.len());
    let Some(block) = key else {
        return Err(others.pop().map_or(Error::NoBlock, |other| unexpected(other, "PRIVATE KEY")));
    };
    if before > 0 {
        return Err(Error::SeveralBlocks { found: before.saturating_add(1) });
    }
    let encoding = match block.label.as_str() {
        "PRIVATE KEY" => PrivateKeyEncoding::Pkcs8,
        "RSA PRIVATE KEY" => PrivateKeyEncoding::Pkcs1,
        "EC PRIVATE KEY" => PrivateKeyEncoding::Sec1,
        "ENCRYPTED PRIVATE KEY" => return Err(Error::Encrypted),
        _ => return Err(unexpected(block, "PRIVATE KEY")),
    };
    Ok(PrivateKey { encoding, der: block.der })
}

/// One block as text, in lines of 64 characters that end in LF (RFC 7468, section 2).
///
/// `label` is one of our own, such as `CERTIFICATE`; a label that RFC 7468 does not allow gives an empty
/// text.
#[must_use]
pub fn encode(label: &str, der: &[u8]) -> String {
    pem_rfc7468::encode_string(label, pem_rfc7468::LineEnding::LF, der).unwrap_or_default()
}

fn unexpected(block: Block, expected: &str) -> Error {
    Error::LabelUnexpected { found: block.label, expected: expected.to_owned() }
}
