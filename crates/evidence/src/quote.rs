//! The SGX quote of version 3 (`sgx_quote_3.h`; offsets in the provisioning-protocol reference, section 1).

use crate::Error;

/// Longest quote accepted, in bytes; real ones have 4 to 5 KiB.
pub const MAX_QUOTE: usize = 16 * 1024;

/// Header 48 bytes, report body 384 bytes, then the length of the signature data.
const SIGNATURE_LENGTH: usize = 432;
const SIGNATURE: usize = 436;

/// A quote whose layout was checked. Nothing about it is verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SgxQuoteV3<'a> {
    body: &'a [u8; SIGNATURE_LENGTH],
}

impl<'a> SgxQuoteV3<'a> {
    /// Reads a quote. Its length must be exactly 436 bytes plus its signature data.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        if bytes.len() > MAX_QUOTE {
            return Err(Error::QuoteMalformed("longer than 16 KiB"));
        }
        let (body, rest) =
            bytes.split_first_chunk::<SIGNATURE_LENGTH>().ok_or(Error::QuoteMalformed("too short"))?;
        let (length, signature) = rest.split_first_chunk::<4>().ok_or(Error::QuoteMalformed("too short"))?;
        if u32::from_le_bytes(*length) as usize != signature.len() {
            return Err(Error::QuoteMalformed("the length does not fit the signature data"));
        }
        let quote = Self { body };
        if u16::from_le_bytes(quote.field::<0, 2>()) != 3 {
            return Err(Error::QuoteMalformed("another version"));
        }
        Ok(quote)
    }

    /// The length that a padded quote really has: 436 plus the signature data; `None` if it cannot be read.
    #[must_use]
    pub fn true_length(bytes: &[u8]) -> Option<usize> {
        let length = bytes.get(SIGNATURE_LENGTH..SIGNATURE)?.first_chunk::<4>()?;
        SIGNATURE.checked_add(usize::try_from(u32::from_le_bytes(*length)).ok()?)
    }

    /// MRENCLAVE: the measurement of the enclave, 32 bytes.
    #[must_use]
    pub fn mrenclave(&self) -> [u8; 32] {
        self.field::<112, 32>()
    }

    /// MRSIGNER: SHA-256 of the enclave signer's public key, 32 bytes.
    #[must_use]
    pub fn mrsigner(&self) -> [u8; 32] {
        self.field::<176, 32>()
    }

    /// ISVPRODID.
    #[must_use]
    pub fn isv_prod_id(&self) -> u16 {
        u16::from_le_bytes(self.field::<304, 2>())
    }

    /// ISVSVN.
    #[must_use]
    pub fn isv_svn(&self) -> u16 {
        u16::from_le_bytes(self.field::<306, 2>())
    }

    /// ATTRIBUTES: flags (8 bytes, little-endian) and XFRM.
    #[must_use]
    pub fn attributes(&self) -> [u8; 16] {
        self.field::<96, 16>()
    }

    /// ATTRIBUTES.DEBUG: the host can read the enclave's memory.
    #[must_use]
    pub fn is_debug(&self) -> bool {
        self.attributes().first().is_some_and(|flags| flags & 0x02 != 0)
    }

    /// `report_data`, 64 bytes.
    #[must_use]
    pub fn report_data(&self) -> [u8; 64] {
        self.field::<368, 64>()
    }

    /// Bytes `AT..AT + LEN`, which lie inside the body for every use above.
    fn field<const AT: usize, const LEN: usize>(self) -> [u8; LEN] {
        const { assert!(AT + LEN <= SIGNATURE_LENGTH) };
        self.body.get(AT..).and_then(|rest| rest.first_chunk::<LEN>()).copied().unwrap_or([0; LEN])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quote() -> Vec<u8> {
        let mut bytes: Vec<u8> = (0..SIGNATURE_LENGTH).map(|at| u8::try_from(at % 251).unwrap()).collect();
        bytes[..2].copy_from_slice(&[3, 0]);
        bytes.extend(7u32.to_le_bytes());
        bytes.extend([0; 7]);
        bytes
    }

    #[test]
    fn fields_lie_at_the_published_offsets() {
        let bytes = quote();
        let parsed = SgxQuoteV3::parse(&bytes).unwrap();
        assert_eq!(parsed.mrenclave(), bytes[112..144]);
        assert_eq!(parsed.mrsigner(), bytes[176..208]);
        assert_eq!(parsed.report_data(), bytes[368..432]);
        assert_eq!(parsed.isv_prod_id().to_le_bytes(), bytes[304..306]);
        assert_eq!(parsed.isv_svn().to_le_bytes(), bytes[306..308]);
        assert_eq!(parsed.attributes(), bytes[96..112]);
        assert_eq!(parsed.is_debug(), bytes[96] & 2 != 0);
    }

    #[test]
    fn wrong_lengths_and_versions_are_refused() {
        let good = quote();
        assert!(SgxQuoteV3::parse(&good[..good.len() - 1]).is_err());
        assert!(SgxQuoteV3::parse(&[good.as_slice(), &[0]].concat()).is_err());
        assert!(SgxQuoteV3::parse(&good[..435]).is_err());
        assert!(SgxQuoteV3::parse(&[]).is_err());
        let mut other = good.clone();
        other[0] = 4;
        assert!(SgxQuoteV3::parse(&other).is_err());
        let mut long = good;
        long.resize(MAX_QUOTE + 1, 0);
        assert!(SgxQuoteV3::parse(&long).is_err());
    }
}
