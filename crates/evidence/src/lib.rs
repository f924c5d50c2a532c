//! Attestation evidence: quote layouts, `report_data` profiles and the [`Evidence`] enum (RFC 9334 terms).
//!
//! Pure: bytes in, values out. Nothing here judges; that is `tcs-verifier`'s work.
#![forbid(unsafe_code)]

mod public_key;
mod quote;
pub mod report_data;

pub use public_key::{PublicKeyError, QuotePublicKey};
pub use quote::{EnclaveReport, Header, MAX_QUOTE, Quote, SgxQuoteV3, SignatureData, TdReport, TdxQuote};

/// What an attester hands out to prove what it is.
///
/// An enum, because platforms differ in what binds the application's data (see the platform reference); each
/// variant carries the exact bytes that the platform produced.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Evidence {
    /// A raw Intel SGX ECDSA quote (version 3), without padding.
    SgxQuote(Vec<u8>),
    /// A raw Intel TDX ECDSA quote (version 4 or 5), without padding.
    TdxQuote(Vec<u8>),
}

impl Evidence {
    /// Takes a raw quote for what its header says it is; its layout is checked as by [`Quote::parse`].
    ///
    /// Zero bytes behind a TDX quote are cut off first: the service that makes it fills its buffer with them, as in a
    /// genuine one that the verifier's tests have. Whatever else stands there is refused.
    pub fn from_quote(mut bytes: Vec<u8>) -> Result<Self, Error> {
        if let Some(length) = TdxQuote::true_length(&bytes)
            && bytes.get(length..).is_some_and(|rest| rest.iter().all(|byte| *byte == 0))
        {
            bytes.truncate(length);
        }
        Ok(match Quote::parse(&bytes)? {
            Quote::Sgx(_) => Self::SgxQuote(bytes),
            Quote::Tdx(_) => Self::TdxQuote(bytes),
        })
    }

    /// Reads the quote. What was named an SGX quote must be one, and a TDX quote likewise.
    pub fn quote(&self) -> Result<Quote<'_>, Error> {
        match self {
            Self::SgxQuote(bytes) => SgxQuoteV3::parse(bytes).map(Quote::Sgx),
            Self::TdxQuote(bytes) => TdxQuote::parse(bytes).map(Quote::Tdx),
        }
    }

    /// The stable name of the kind, as it stands in `TCSIssuer.status.evidence` and on the RPC wire.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::SgxQuote(_) => "sgx-quote-v3",
            Self::TdxQuote(_) => "tdx-quote",
        }
    }

    /// The bytes of the evidence.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::SgxQuote(bytes) | Self::TdxQuote(bytes) => bytes,
        }
    }
}

/// Why bytes are not what they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Not an SGX quote of version 3 nor a TDX quote of version 4 or 5, or a length in it does not fit.
    #[error("not a quote that can be judged: {0}")]
    QuoteMalformed(&'static str),
}

impl Error {
    /// Stable code.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::QuoteMalformed(_) => "QuoteMalformed",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quote(version: u8, tee: u8, signed: usize) -> Vec<u8> {
        let mut bytes = vec![0; signed + 4];
        (bytes[0], bytes[4]) = (version, tee);
        bytes
    }

    #[test]
    fn a_quote_is_what_its_header_says() {
        let (sgx, tdx) = (quote(3, 0, 432), quote(4, 0x81, 632));
        assert_eq!(Evidence::from_quote(sgx.clone()), Ok(Evidence::SgxQuote(sgx.clone())));
        assert_eq!(Evidence::from_quote(tdx.clone()), Ok(Evidence::TdxQuote(tdx.clone())));
        assert!(Evidence::SgxQuote(tdx.clone()).quote().is_err());
        assert!(Evidence::TdxQuote(sgx.clone()).quote().is_err());
        assert_eq!(Evidence::TdxQuote(tdx.clone()).bytes(), tdx);
        // Q16: only zeros may stand behind a TDX quote, and nothing behind one of SGX.
        assert_eq!(Evidence::from_quote([&*tdx, &[0; 70]].concat()), Ok(Evidence::TdxQuote(tdx.clone())));
        assert!(Evidence::from_quote([&*tdx, &[0; 70], &[1]].concat()).is_err());
        assert!(Evidence::from_quote([&*sgx, &[0]].concat()).is_err());
        // Q15: SGX in versions 4 and 5 is not accepted.
        for (version, tee, signed) in [(4, 0, 432), (5, 0, 432), (4, 1, 632), (2, 0, 432), (3, 0x81, 432)] {
            assert_eq!(
                Evidence::from_quote(quote(version, tee, signed)).unwrap_err().code(),
                "QuoteMalformed"
            );
        }
        assert!(Evidence::from_quote(Vec::new()).is_err());
    }
}
