//! Helpers for structures of fixed layout.

use crate::error::Error;

/// The maximum length of a quote, in bytes. Real quotes have 4 to 6 KiB.
pub const MAX_QUOTE: usize = 16 * 1024;

/// The bytes `AT..AT + LEN` of a structure of fixed length. The compiler checks that they are inside it.
pub fn field<const AT: usize, const LEN: usize, const SIZE: usize>(bytes: &[u8; SIZE]) -> [u8; LEN] {
    const { assert!(AT + LEN <= SIZE) };
    bytes.get(AT..).and_then(|rest| rest.first_chunk::<LEN>()).copied().unwrap_or([0; LEN])
}

/// Splits a quote after its `signed` bytes, which a length field of 4 bytes and exactly that many bytes of
/// signature data follow.
pub fn split_signed(bytes: &[u8], signed: usize) -> Result<(&[u8], &[u8]), Error> {
    if bytes.len() > MAX_QUOTE {
        return Err(Error::QuoteMalformed("longer than 16 KiB"));
    }
    let (body, rest) = bytes.split_at_checked(signed).ok_or(Error::QuoteMalformed("too short"))?;
    let (length, signature) = rest.split_first_chunk::<4>().ok_or(Error::QuoteMalformed("too short"))?;
    if usize::try_from(u32::from_le_bytes(*length)) != Ok(signature.len()) {
        return Err(Error::QuoteMalformed("the length does not fit the signature data"));
    }
    Ok((body, signature))
}
