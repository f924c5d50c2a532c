//! The SGX quote of version 3.

use super::header::{HEADER, Header};
use super::layout::{field, split_signed};
use crate::error::Error;

const REPORT: usize = 384;
/// Header 48 bytes, report 384 bytes, then the length of the signature data.
const SIGNED: usize = 432;
const SIGNATURE: usize = 436;

/// A quote whose layout was checked. Nothing about it is verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SgxQuoteV3<'a> {
    header: Header<'a>,
    report: EnclaveReport<'a>,
    signature: &'a [u8],
}

impl<'a> SgxQuoteV3<'a> {
    /// Reads a quote. Its length must be exactly 436 bytes plus its signature data.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        const SHORT: Error = Error::QuoteMalformed("too short");
        let (signed, signature) = split_signed(bytes, SIGNED)?;
        let header = Header::read(signed).ok_or(SHORT)?;
        if header.version() != 3 {
            return Err(Error::QuoteMalformed("another version"));
        }
        if header.tee_type() != Header::SGX {
            return Err(Error::QuoteMalformed("a quote of version 3 that is not for SGX"));
        }
        let report = signed.get(HEADER..).and_then(|report| report.first_chunk()).ok_or(SHORT)?;
        Ok(Self { header, report: EnclaveReport::new(report), signature })
    }

    /// The length that a padded quote really has: 436 plus the signature data; `None` if it cannot be read.
    #[must_use]
    pub fn true_length(bytes: &[u8]) -> Option<usize> {
        let length = bytes.get(SIGNED..SIGNATURE)?.first_chunk::<4>()?;
        SIGNATURE.checked_add(usize::try_from(u32::from_le_bytes(*length)).ok()?)
    }

    /// The header.
    #[must_use]
    pub fn header(&self) -> Header<'a> {
        self.header
    }

    /// The report of the enclave.
    #[must_use]
    pub fn report(&self) -> EnclaveReport<'a> {
        self.report
    }

    pub(super) fn signature(&self) -> &'a [u8] {
        self.signature
    }

    /// MRENCLAVE: the measurement of the enclave, 32 bytes.
    #[must_use]
    pub fn mrenclave(&self) -> [u8; 32] {
        self.report.mrenclave()
    }

    /// ISVPRODID.
    #[must_use]
    pub fn isv_prod_id(&self) -> u16 {
        self.report.isv_prod_id()
    }

    /// ATTRIBUTES.DEBUG: the host can read the enclave's memory.
    #[must_use]
    pub fn is_debug(&self) -> bool {
        self.report.is_debug()
    }

    /// `report_data`, 64 bytes.
    #[must_use]
    pub fn report_data(&self) -> [u8; 64] {
        self.report.report_data()
    }
}

/// Report of an enclave, 384 bytes (`sgx_report_body_t`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EnclaveReport<'a>(&'a [u8; REPORT]);

impl<'a> EnclaveReport<'a> {
    pub(super) fn new(bytes: &'a [u8; REPORT]) -> Self {
        Self(bytes)
    }

    /// All of it.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8; REPORT] {
        self.0
    }

    /// CPUSVN, 16 bytes.
    #[must_use]
    pub fn cpu_svn(&self) -> [u8; 16] {
        field::<0, 16, REPORT>(self.0)
    }

    /// MISCSELECT, little-endian.
    #[must_use]
    pub fn misc_select(&self) -> u32 {
        u32::from_le_bytes(field::<16, 4, REPORT>(self.0))
    }

    /// ISVEXTPRODID, 16 bytes; zero without key separation and sharing (KSS).
    #[must_use]
    pub fn isv_ext_prod_id(&self) -> [u8; 16] {
        field::<32, 16, REPORT>(self.0)
    }

    /// ATTRIBUTES.FLAGS, little-endian: bit 0 INIT, 1 DEBUG, 2 MODE64BIT, 4 `PROVISION_KEY`, 5
    /// `EINITTOKEN_KEY`, 7 KSS.
    #[must_use]
    pub fn flags(&self) -> u64 {
        u64::from_le_bytes(field::<48, 8, REPORT>(self.0))
    }

    /// ATTRIBUTES.DEBUG: the host can read the enclave's memory.
    #[must_use]
    pub fn is_debug(&self) -> bool {
        self.flags() & 0x02 != 0
    }

    /// ATTRIBUTES.XFRM, little-endian.
    #[must_use]
    pub fn xfrm(&self) -> u64 {
        u64::from_le_bytes(field::<56, 8, REPORT>(self.0))
    }

    /// MRENCLAVE: the measurement of the enclave, 32 bytes.
    #[must_use]
    pub fn mrenclave(&self) -> [u8; 32] {
        field::<64, 32, REPORT>(self.0)
    }

    /// MRSIGNER: SHA-256 of the enclave signer's public key, 32 bytes.
    #[must_use]
    pub fn mrsigner(&self) -> [u8; 32] {
        field::<128, 32, REPORT>(self.0)
    }

    /// CONFIGID, 64 bytes; zero without KSS.
    #[must_use]
    pub fn config_id(&self) -> [u8; 64] {
        field::<192, 64, REPORT>(self.0)
    }

    /// ISVPRODID.
    #[must_use]
    pub fn isv_prod_id(&self) -> u16 {
        u16::from_le_bytes(field::<256, 2, REPORT>(self.0))
    }

    /// ISVSVN.
    #[must_use]
    pub fn isv_svn(&self) -> u16 {
        u16::from_le_bytes(field::<258, 2, REPORT>(self.0))
    }

    /// CONFIGSVN; zero without KSS.
    #[must_use]
    pub fn config_svn(&self) -> u16 {
        u16::from_le_bytes(field::<260, 2, REPORT>(self.0))
    }

    /// ISVFAMILYID, 16 bytes; zero without KSS.
    #[must_use]
    pub fn isv_family_id(&self) -> [u8; 16] {
        field::<304, 16, REPORT>(self.0)
    }

    /// `report_data`, 64 bytes.
    #[must_use]
    pub fn report_data(&self) -> [u8; 64] {
        field::<320, 64, REPORT>(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quote() -> Vec<u8> {
        let mut bytes: Vec<u8> = (0..SIGNED).map(|at| u8::try_from(at % 251).unwrap()).collect();
        bytes[..8].copy_from_slice(&[3, 0, 2, 0, 0, 0, 0, 0]);
        bytes.extend(7u32.to_le_bytes());
        bytes.extend([0; 7]);
        bytes
    }

    #[test]
    fn fields_lie_at_the_published_offsets() {
        let bytes = quote();
        let quote = SgxQuoteV3::parse(&bytes).unwrap();
        let (report, raw) = (quote.report(), &bytes[48..432]);
        assert_eq!(report.bytes(), raw);
        assert_eq!(report.cpu_svn(), raw[..16]);
        assert_eq!(report.misc_select().to_le_bytes(), raw[16..20]);
        assert_eq!(report.isv_ext_prod_id(), raw[32..48]);
        assert_eq!(report.flags().to_le_bytes(), raw[48..56]);
        assert_eq!(report.xfrm().to_le_bytes(), raw[56..64]);
        assert_eq!(report.mrenclave(), raw[64..96]);
        assert_eq!(report.mrsigner(), raw[128..160]);
        assert_eq!(report.config_id(), raw[192..256]);
        assert_eq!(report.isv_prod_id().to_le_bytes(), raw[256..258]);
        assert_eq!(report.isv_svn().to_le_bytes(), raw[258..260]);
        assert_eq!(report.config_svn().to_le_bytes(), raw[260..262]);
        assert_eq!(report.isv_family_id(), raw[304..320]);
        assert_eq!(report.report_data(), raw[320..384]);
        assert_eq!(quote.mrenclave(), bytes[112..144]);
        assert_eq!(quote.report_data(), bytes[368..432]);
        assert_eq!(quote.isv_prod_id().to_le_bytes(), bytes[304..306]);
        assert_eq!(quote.is_debug(), bytes[96] & 2 != 0);
        let header = quote.header();
        assert_eq!((header.version(), header.attestation_key_type(), header.tee_type()), (3, 2, 0));
        assert_eq!(header.qe_vendor_id(), bytes[12..28]);
        assert_eq!(header.user_data(), bytes[28..48]);
        assert_eq!(quote.signature(), [0; 7]);
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
        let mut tdx = good.clone();
        tdx[4] = 0x81;
        assert!(SgxQuoteV3::parse(&tdx).is_err());
        let mut long = good;
        long.resize(crate::MAX_QUOTE + 1, 0);
        assert!(SgxQuoteV3::parse(&long).is_err());
    }
}
