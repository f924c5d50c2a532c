//! Layouts of Intel's DCAP quotes, at the offsets of Intel's headers `sgx_quote_3.h`, `sgx_quote_4.h` and
//! `sgx_quote_5.h`. Everything here parses; nothing is verified.

mod header;
mod layout;
mod sgx;
mod signature;
mod td;

pub use header::Header;
pub use layout::MAX_QUOTE;
pub use sgx::{EnclaveReport, SgxQuoteV3};
pub use signature::SignatureData;
pub use td::{TdReport, TdxQuote};

use crate::error::Error;

/// A quote of any version that is known here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quote<'a> {
    /// SGX, version 3.
    Sgx(SgxQuoteV3<'a>),
    /// TDX, version 4 or 5.
    Tdx(TdxQuote<'a>),
}

impl<'a> Quote<'a> {
    /// Reads a quote by the version and the kind of TEE in its header: SGX in version 3, TDX in versions 4
    /// and 5. SGX in the later versions is refused, as no platform of this product makes it.
    ///
    /// Its length must be exactly what its own length fields say, and at most [`MAX_QUOTE`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let header = Header::read(bytes).ok_or(Error::QuoteMalformed("too short"))?;
        match (header.version(), header.tee_type()) {
            (3, _) => SgxQuoteV3::parse(bytes).map(Self::Sgx),
            (4 | 5, Header::TDX) => TdxQuote::parse(bytes).map(Self::Tdx),
            (4 | 5, Header::SGX) => Err(Error::QuoteMalformed("an SGX quote of version 4 or 5")),
            (4 | 5, _) => Err(Error::QuoteMalformed("another kind of TEE than SGX or TDX")),
            _ => Err(Error::QuoteMalformed("another version")),
        }
    }

    /// The header.
    #[must_use]
    pub fn header(&self) -> Header<'a> {
        match self {
            Self::Sgx(quote) => quote.header(),
            Self::Tdx(quote) => quote.header(),
        }
    }

    /// `report_data`, 64 bytes.
    #[must_use]
    pub fn report_data(&self) -> [u8; 64] {
        match self {
            Self::Sgx(quote) => quote.report_data(),
            Self::Tdx(quote) => quote.report().report_data(),
        }
    }

    /// Signatures, keys and certificates after the header and the report.
    pub fn signature_data(&self) -> Result<SignatureData<'a>, Error> {
        match self {
            Self::Sgx(quote) => SignatureData::read_v3(quote.signature()),
            Self::Tdx(quote) => SignatureData::read_v4(quote.signature()),
        }
    }
}
