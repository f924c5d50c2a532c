//! Finds the blocks in the lines of a text.

use crate::Error;
use crate::limits::{MAX_BLOCKS, MAX_LABEL};
use base64ct::{Base64, Encoding as _};
use zeroize::Zeroizing;

/// One block of a PEM text.
pub struct Block {
    /// The text between `-----BEGIN ` and `-----`.
    pub label: String,
    /// The decoded contents, at least one byte.
    pub der: Zeroizing<Vec<u8>>,
}

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
const DASHES: &[u8] = b"-----";
const BEGIN: &[u8] = b"-----BEGIN";
const END: &[u8] = b"-----END";

/// A block whose end has not been read.
struct Open<'a> {
    label: &'a str,
    /// The line of its beginning.
    line: usize,
    base64: Zeroizing<Vec<u8>>,
}

enum Line<'a> {
    Begin(&'a str),
    End(&'a str),
    Other(&'a [u8]),
}

pub fn blocks(text: &[u8]) -> Result<Vec<Block>, Error> {
    let mut rest = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    let mut blocks = Vec::new();
    let mut open: Option<Open<'_>> = None;
    let mut line = 0usize;
    while !rest.is_empty() {
        let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
        let (content, tail) = rest.split_at_checked(end).unwrap_or((rest, b""));
        // Go reads a carriage return as part of the line, except directly before a line feed.
        let content = if tail.is_empty() { content } else { content.strip_suffix(b"\r").unwrap_or(content) };
        rest = tail.strip_prefix(b"\n").unwrap_or(tail);
        line = line.saturating_add(1);
        open = match (classify(content, line)?, open) {
            (Line::Begin(_), None) if blocks.len() >= MAX_BLOCKS => return Err(Error::TooManyBlocks),
            (Line::Begin(label), None) => {
                // Reserved at once, because a growing buffer leaves copies behind.
                let longest = position(rest, END).unwrap_or(rest.len());
                Some(Open { label, line, base64: Zeroizing::new(Vec::with_capacity(longest)) })
            }
            (Line::End(label), Some(block)) if label == block.label => {
                blocks.push(block.close()?);
                None
            }
            (Line::Begin(_) | Line::End(_), _) => return Err(Error::BoundaryMismatch { line }),
            (Line::Other(content), Some(mut block)) => {
                block.take(content, line)?;
                Some(block)
            }
            (Line::Other(_), None) => None,
        };
    }
    open.map_or(Ok(blocks), |block| Err(Error::Unclosed { line: block.line }))
}

impl Open<'_> {
    /// Appends a line of base64. Blanks and tabs are skipped anywhere, as openssl and Go do.
    fn take(&mut self, content: &[u8], line: usize) -> Result<(), Error> {
        if content.starts_with(b"Proc-Type:") && holds(content, b"ENCRYPTED") {
            return Err(Error::Encrypted);
        }
        for byte in content.iter().filter(|byte| !matches!(byte, b' ' | b'\t')) {
            if !byte.is_ascii_alphanumeric() && !matches!(byte, b'+' | b'/' | b'=') {
                return Err(Error::LineMalformed { line });
            }
            self.base64.push(*byte);
        }
        Ok(())
    }

    /// Decodes in constant time: the block may be a private key.
    fn close(self) -> Result<Block, Error> {
        let damaged = Error::Base64Malformed { line: self.line };
        let mut der = Zeroizing::new(vec![0; self.base64.len()]);
        let length = Base64::decode(self.base64.as_slice(), &mut der).map_err(|_| damaged.clone())?.len();
        der.truncate(length);
        if der.is_empty() { Err(damaged) } else { Ok(Block { label: self.label.to_owned(), der }) }
    }
}

/// The kind of a line. A line that contains a boundary without being one is refused: openssl cuts long lines
/// and ignores control characters, and Go does not, so each finds boundaries that the other does not see.
fn classify(content: &[u8], line: usize) -> Result<Line<'_>, Error> {
    let content = trim_end(content);
    if !holds(content, BEGIN) && !holds(content, END) {
        return Ok(Line::Other(content));
    }
    let malformed = Error::BoundaryMalformed { line };
    let (start, is_begin) = if content.starts_with(BEGIN) { (BEGIN, true) } else { (END, false) };
    let label = content
        .strip_prefix(start)
        .and_then(|rest| rest.strip_prefix(b" "))
        .and_then(|rest| rest.strip_suffix(DASHES))
        .and_then(|label| std::str::from_utf8(label).ok())
        .filter(|label| is_label(label))
        .ok_or(malformed)?;
    Ok(if is_begin { Line::Begin(label) } else { Line::End(label) })
}

/// The label of RFC 7468, section 3: printable characters with single blanks or hyphens between them.
fn is_label(label: &str) -> bool {
    let mut after_separator = true;
    for byte in label.bytes() {
        let separator = matches!(byte, b' ' | b'-');
        if (separator && after_separator) || !(separator || byte.is_ascii_graphic()) {
            return false;
        }
        after_separator = separator;
    }
    !after_separator && label.len() <= MAX_LABEL
}

fn trim_end(mut content: &[u8]) -> &[u8] {
    while let [rest @ .., b' ' | b'\t'] = content {
        content = rest;
    }
    content
}

fn holds(content: &[u8], wanted: &[u8]) -> bool {
    position(content, wanted).is_some()
}

fn position(content: &[u8], wanted: &[u8]) -> Option<usize> {
    content.windows(wanted.len()).position(|window| window == wanted)
}
