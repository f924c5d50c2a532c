//! The nonce of a quote as people write it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// 64 hex digits, or base64 of 32 bytes.
pub fn parse(text: &str) -> Result<[u8; 32], String> {
    let hex = hex::decode(text).ok();
    let bytes = hex.or_else(|| STANDARD.decode(text).ok());
    bytes
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(|| "neither 64 hex digits nor base64 of 32 bytes".to_owned())
}
