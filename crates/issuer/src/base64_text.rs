//! Base64 in fields that people and programs of others write.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Decodes standard base64 with padding, if the result has 1 to `max` bytes. CR and LF are skipped, as Go's
/// decoder does (`docs/conformance.md`, W-R7).
pub fn decode(text: &[u8], max: usize) -> Option<Vec<u8>> {
    if text.len() > max.saturating_mul(2) {
        return None;
    }
    let without_line_breaks: Vec<u8> =
        text.iter().copied().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect();
    let decoded = STANDARD.decode(without_line_breaks).ok()?;
    (!decoded.is_empty() && decoded.len() <= max).then_some(decoded)
}
