//! The formats of KMRA: wrapping and unwrapping.

mod payload;

pub use payload::check_pkcs8;

use crate::layout::{KEK_LEN, MAX_LEN, MIN_LEN, OAEP_LEN};
use crate::{Error, WrapFormat};
use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::key_wrap::{AES_256, AesKek, KeyWrapPadded};
use aws_lc_rs::rsa::{
    OaepPrivateDecryptingKey, OaepPublicEncryptingKey, PrivateDecryptingKey, PublicEncryptingKey,
};
use payload::pkcs8_len;
use zeroize::Zeroizing;

/// A key that was unwrapped.
pub struct Unwrapped {
    /// The private key: one unencrypted PKCS#8 DER structure and nothing after it.
    pub pkcs8: Zeroizing<Vec<u8>>,
    /// The format in which it was wrapped.
    pub format: WrapFormat,
}

/// Wraps a PKCS#8 private key for the public key of a quote.
///
/// `public_key_spki_der` is a `SubjectPublicKeyInfo` of RSA-3072, and `private_key_pkcs8` one unencrypted
/// PKCS#8 DER structure without trailing bytes. Every call makes a new AES key.
pub fn wrap(
    public_key_spki_der: &[u8],
    format: WrapFormat,
    private_key_pkcs8: &[u8],
) -> Result<Vec<u8>, Error> {
    check_pkcs8(private_key_pkcs8)?;
    // KWP adds at most 15 bytes (RFC 5649 section 4.1), and the receiver has a limit.
    if private_key_pkcs8.len() > MAX_LEN - OAEP_LEN - 15 {
        return Err(Error::PrivateKeyUnsupported { what: "it is longer than any supported key" });
    }
    let key = PublicEncryptingKey::from_der(public_key_spki_der).map_err(|_| Error::PublicKeyMalformed)?;
    // The library ignores bytes after the key, and accepts encodings that are not DER.
    let written: Option<PublicKeyX509Der<'_>> = key.as_der().ok();
    if written.is_none_or(|written| written.as_ref() != public_key_spki_der) {
        return Err(Error::PublicKeyMalformed);
    }
    if key.key_size_bits() != OAEP_LEN * 8 {
        return Err(Error::PublicKeyUnsupported { bits: key.key_size_bits() });
    }
    let key = OaepPublicEncryptingKey::new(key).map_err(|_| Error::Internal)?;

    let mut kek = Zeroizing::new([0u8; KEK_LEN]);
    aws_lc_rs::rand::fill(kek.as_mut()).map_err(|_| Error::Internal)?;

    let mut c1 = [0u8; OAEP_LEN];
    let c1 =
        key.encrypt(format.oaep(), kek.as_ref(), &mut c1, None).map_err(|_| Error::PublicKeyMalformed)?;
    let mut c2 = vec![0u8; private_key_pkcs8.len() + 15];
    let c2 = AesKek::new(&AES_256, kek.as_ref())
        .and_then(|kek| kek.wrap_with_padding(private_key_pkcs8, &mut c2))
        .map_err(|_| Error::Internal)?;
    Ok([&*c1, &*c2].concat())
}

/// Unwraps a key with the private half of the quote's key.
///
/// The formats are tried in the order of [`WrapFormat::ALL`], whichever are `allowed`. A wrapped key that
/// opens completely, but in a format that is not allowed, is [`Error::WrapFormatForbidden`]. So this error
/// appears only if `allowed` excludes a format, and reveals nothing about a wrapped key that opens in part.
/// All faults of OAEP and KWP are the one [`Error::WrappedKeyInvalid`].
///
/// The payload is cut at the outer DER length. SoftHSM2 pads with zeros before KWP, so 0 to 7 zero bytes may
/// follow. Any other trailing bytes are refused.
pub fn unwrap(
    quote_private_key: &PrivateDecryptingKey,
    blob: &[u8],
    allowed: &[WrapFormat],
) -> Result<Unwrapped, Error> {
    check_length(blob)?;
    let key = OaepPrivateDecryptingKey::new(quote_private_key.clone()).map_err(|_| Error::Internal)?;
    let (c1, c2) = blob.split_at_checked(OAEP_LEN).ok_or(Error::WrappedKeyLength { len: blob.len() })?;
    let (mut payload, format) = WrapFormat::ALL
        .iter()
        .find_map(|format| open(&key, *format, c1, c2).map(|payload| (payload, *format)))
        .ok_or(Error::WrappedKeyInvalid)?;
    if !allowed.contains(&format) {
        return Err(Error::WrapFormatForbidden { format });
    }
    let len = pkcs8_len(&payload)?;
    let tail = payload.get(len..).unwrap_or_default();
    if tail.len() > 7 || tail.iter().any(|byte| *byte != 0) {
        return Err(Error::PrivateKeyMalformed { found: "PKCS#8 with other data after it" });
    }
    payload.truncate(len);
    Ok(Unwrapped { pkcs8: payload, format })
}

/// Checks what can be seen without the private key: the length of a wrapped key.
///
/// It has at least [`MIN_LEN`] and at most [`MAX_LEN`] bytes, with whole blocks of 8 bytes after the first
/// [`OAEP_LEN`].
pub fn check_length(blob: &[u8]) -> Result<(), Error> {
    let len = blob.len();
    let whole_blocks = len.checked_sub(OAEP_LEN).is_some_and(|rest| rest.is_multiple_of(8));
    if (MIN_LEN..=MAX_LEN).contains(&len) && whole_blocks {
        Ok(())
    } else {
        Err(Error::WrappedKeyLength { len })
    }
}

/// One complete attempt in one format. Nothing reveals which step failed.
fn open(
    key: &OaepPrivateDecryptingKey,
    format: WrapFormat,
    c1: &[u8],
    c2: &[u8],
) -> Option<Zeroizing<Vec<u8>>> {
    let mut kek = Zeroizing::new(vec![0u8; key.min_output_size()]);
    let kek = key.decrypt(format.oaep(), c1, &mut kek, None).ok()?;
    let mut payload = Zeroizing::new(vec![0u8; c2.len()]);
    // Accepts exactly 32 bytes. A token would accept 16 bytes as an AES-128 key, and nobody would notice.
    let kek = AesKek::new(&AES_256, kek).ok()?;
    let len = kek.unwrap_with_padding(c2, &mut payload).ok()?.len();
    payload.truncate(len);
    Some(payload)
}
