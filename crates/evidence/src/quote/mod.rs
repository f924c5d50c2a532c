//! Layouts of Intel's DCAP quotes (`sgx_quote_3.h`, `sgx_quote_4.h`, `sgx_quote_5.h`; offsets in the tee-platforms
//! reference, section 7). Everything here reads; nothing is verified.

mod sgx;
mod signature;
mod td;

pub use sgx::{EnclaveReport, SgxQuoteV3};
pub use signature::SignatureData;
pub use td::{TdReport, TdxQuote};

use crate::Error;

/// Longest quote accepted, in bytes; real ones have 4 to 6 KiB.
pub const MAX_QUOTE: usize = 16 * 1024;

/// Length of the header of every version, in bytes.
const HEADER: usize = 48;

/// A quote of any version that is known here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quote<'a> {
    /// SGX, version 3.
    Sgx(SgxQuoteV3<'a>),
    /// TDX, version 4 or 5.
    Tdx(TdxQuote<'a>),
}

impl<'a> Quote<'a> {
    /// Reads a quote by the version and the kind of TEE in its header: SGX in version 3, TDX in versions 4 and 5. SGX in
    /// the later versions is refused, as no platform of this product makes it.
    ///
    /// Its length must be exactly that which its own length fields give, and at most [`MAX_QUOTE`].
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

    /// Signatures, keys and certificates behind header and report.
    pub fn signature_data(&self) -> Result<SignatureData<'a>, Error> {
        match self {
            Self::Sgx(quote) => SignatureData::read_v3(quote.signature()),
            Self::Tdx(quote) => SignatureData::read_v4(quote.signature()),
        }
    }
}

/// The first 48 bytes of a quote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'a>(&'a [u8; HEADER]);

impl<'a> Header<'a> {
    /// TEE type of SGX.
    pub const SGX: u32 = 0;
    /// TEE type of TDX.
    pub const TDX: u32 = 0x81;

    fn read(bytes: &'a [u8]) -> Option<Self> {
        bytes.first_chunk().map(Self)
    }

    /// Version of the layout.
    #[must_use]
    pub fn version(&self) -> u16 {
        u16::from_le_bytes(field::<0, 2, HEADER>(self.0))
    }

    /// Attestation key type; 2 is ECDSA on P-256.
    #[must_use]
    pub fn attestation_key_type(&self) -> u16 {
        u16::from_le_bytes(field::<2, 2, HEADER>(self.0))
    }

    /// Kind of TEE: [`Self::SGX`] or [`Self::TDX`].
    #[must_use]
    pub fn tee_type(&self) -> u32 {
        u32::from_le_bytes(field::<4, 4, HEADER>(self.0))
    }

    /// Vendor of the quoting enclave, 16 bytes (a UUID).
    #[must_use]
    pub fn qe_vendor_id(&self) -> [u8; 16] {
        field::<12, 16, HEADER>(self.0)
    }

    /// What the quoting enclave wrote for itself, 20 bytes; the simulated platform's begins with `SIMULATION`.
    #[must_use]
    pub fn user_data(&self) -> [u8; 20] {
        field::<28, 20, HEADER>(self.0)
    }
}

/// Bytes `AT..AT + LEN` of a structure of fixed length, which the compiler knows to lie inside.
fn field<const AT: usize, const LEN: usize, const SIZE: usize>(bytes: &[u8; SIZE]) -> [u8; LEN] {
    const { assert!(AT + LEN <= SIZE) };
    bytes.get(AT..).and_then(|rest| rest.first_chunk::<LEN>()).copied().unwrap_or([0; LEN])
}

/// Splits a quote behind the `LEN` signed bytes: a length field and exactly that many bytes of signature data follow.
fn split_signed(bytes: &[u8], signed: usize) -> Result<(&[u8], &[u8]), Error> {
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
