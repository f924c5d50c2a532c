//! Evidence of any kind.

use crate::error::Error;
use crate::quote::{Header, Quote, SgxQuoteV3, TdxQuote};

/// Evidence (RFC 9334, section 8.1): what an attester presents to prove what it is.
///
/// An enum, because platforms differ in the field that binds the application's data. Each variant carries the
/// exact bytes that the platform produced.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Evidence {
    /// A raw Intel SGX ECDSA quote (version 3), without padding.
    SgxQuote(Vec<u8>),
    /// A raw Intel TDX ECDSA quote (version 4 or 5), without padding.
    TdxQuote(Vec<u8>),
}

impl Evidence {
    /// The kind of an SGX quote of version 3: [`Self::kind`].
    pub const SGX_QUOTE_V3: &'static str = "sgx-quote-v3";
    /// The kind of a TDX quote: [`Self::kind`].
    pub const TDX_QUOTE: &'static str = "tdx-quote";

    /// Takes a raw quote as the kind that its header names, and checks its layout as [`Quote::parse`] does.
    ///
    /// Zero bytes after a TDX quote are removed first, because quote generation services fill their buffer
    /// with them; one of the genuine quotes in the verifier's tests has them. Any other byte there is
    /// refused.
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

    /// Takes the quote at the beginning of `bytes` as [`Self::from_quote`] does, and says how many bytes
    /// follow it. Only an inspection may use such a quote: no verification accepts bytes behind it.
    pub fn from_beginning(bytes: &[u8]) -> Result<(Self, usize), Error> {
        let refused = match Self::from_quote(bytes.to_vec()) {
            Ok(evidence) => return Ok((evidence, 0)),
            Err(error) => error,
        };
        let length = match Header::read(bytes).map(|header| header.version()) {
            Some(3) => SgxQuoteV3::true_length(bytes),
            _ => TdxQuote::true_length(bytes),
        };
        let Some((quote, behind)) = length.and_then(|length| bytes.split_at_checked(length)) else {
            return Err(refused);
        };
        Self::from_quote(quote.to_vec()).map(|evidence| (evidence, behind.len()))
    }

    /// Parses the quote. An SGX quote must be one of SGX, and a TDX quote one of TDX.
    pub fn quote(&self) -> Result<Quote<'_>, Error> {
        match self {
            Self::SgxQuote(bytes) => SgxQuoteV3::parse(bytes).map(Quote::Sgx),
            Self::TdxQuote(bytes) => TdxQuote::parse(bytes).map(Quote::Tdx),
        }
    }

    /// The stable name of the kind, as in `TCSIssuer.status.evidence` and in messages of the enclave RPC.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::SgxQuote(_) => Self::SGX_QUOTE_V3,
            Self::TdxQuote(_) => Self::TDX_QUOTE,
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
        // Q16: only zeros may follow a TDX quote, and nothing may follow one of SGX.
        assert_eq!(Evidence::from_quote([&*tdx, &[0; 70]].concat()), Ok(Evidence::TdxQuote(tdx.clone())));
        assert!(Evidence::from_quote([&*tdx, &[0; 70], &[1]].concat()).is_err());
        assert!(Evidence::from_quote([&*sgx, &[0]].concat()).is_err());
        // Only an inspection sees what precedes other bytes.
        for quote in [&sgx, &tdx] {
            let (evidence, behind) =
                Evidence::from_beginning(&[quote, [1, 2, 3].as_slice()].concat()).unwrap();
            assert_eq!((evidence.bytes(), behind), (quote.as_slice(), 3));
            assert_eq!(Evidence::from_beginning(quote).unwrap().1, 0);
            assert!(Evidence::from_beginning(&quote[..quote.len() - 1]).is_err());
        }
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
