//! PEM blocks (RFC 7468) of a text, as far as key files need them.

use zeroize::Zeroizing;

/// One block with its boundaries.
#[derive(Clone, Copy)]
pub(super) struct Block<'a> {
    pub label: &'a str,
    text: &'a str,
}

const BEGIN: &str = "-----BEGIN ";
const DASHES: &str = "-----";

/// The blocks of a text in their order. What stands between them is ignored, as openssl does.
pub(super) fn blocks(text: &str) -> impl Iterator<Item = Block<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let block = rest.get(rest.find(BEGIN)?..)?;
        let after = block.get(BEGIN.len()..)?;
        let label = after.get(..after.find(DASHES)?)?;
        let end = format!("-----END {label}{DASHES}");
        let len = block.find(&end)?.checked_add(end.len())?;
        let (text, tail) = block.split_at_checked(len)?;
        rest = tail;
        Some(Block { label, text })
    })
}

impl Block<'_> {
    /// The bytes inside, or nothing if they are not sound base64.
    pub(super) fn decode(&self) -> Option<Zeroizing<Vec<u8>>> {
        let mut decoder = pem_rfc7468::Decoder::new_detect_wrap(self.text.as_bytes()).ok()?;
        let mut bytes = Zeroizing::new(vec![0; decoder.remaining_len()]);
        decoder.decode(&mut bytes).ok()?;
        Some(bytes)
    }

    /// Whether the block is encrypted the way openssl did before PKCS#8 (RFC 1421 headers).
    pub(super) fn has_encryption_header(&self) -> bool {
        self.text.lines().any(|line| line.starts_with("Proc-Type:") && line.contains("ENCRYPTED"))
    }
}
