//! The TDX quote of versions 4 and 5.

use super::header::{HEADER, Header};
use super::layout::{field, split_signed};
use crate::error::Error;

/// TD report of TDX 1.0.
const TD10: usize = 584;
/// TDX 1.5: `TEE_TCB_SVN_2` and `MRSERVICETD` follow.
const TD15: usize = 648;
/// TDX 1.5 with the extension for service TDs.
const TD15_EX: usize = 885;
/// Version 5: the report is preceded by a body type of 2 bytes and a length of 4.
const BODY_HEADER: usize = 6;

const SHORT: Error = Error::QuoteMalformed("too short");

/// A TDX quote whose layout was checked. Nothing about it is verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TdxQuote<'a> {
    header: Header<'a>,
    report: TdReport<'a>,
    signature: &'a [u8],
}

impl<'a> TdxQuote<'a> {
    /// Reads a quote of version 4 or 5 that carries a TD report. Its length must be exactly what its length
    /// field says.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let (header, start, length) = Self::layout(bytes)?;
        let (signed, signature) = split_signed(bytes, start.saturating_add(length))?;
        let report = signed.get(start..).and_then(TdReport::new).ok_or(SHORT)?;
        Ok(Self { header, report, signature })
    }

    /// Length that the quote's own fields give, in bytes. Quote generation services fill the rest of the
    /// buffer with zeros.
    pub(crate) fn true_length(bytes: &[u8]) -> Option<usize> {
        let (_, start, length) = Self::layout(bytes).ok()?;
        let signed = start.checked_add(length)?;
        let field = bytes.get(signed..)?.first_chunk::<4>()?;
        signed.checked_add(4)?.checked_add(usize::try_from(u32::from_le_bytes(*field)).ok()?)
    }

    /// Header, and where the report begins and how long it is.
    fn layout(bytes: &[u8]) -> Result<(Header<'_>, usize, usize), Error> {
        let header = Header::read(bytes).ok_or(SHORT)?;
        if header.tee_type() != Header::TDX {
            return Err(Error::QuoteMalformed("not a TDX quote"));
        }
        match header.version() {
            4 => Ok((header, HEADER, TD10)),
            5 => {
                let (_, rest) = bytes.split_at_checked(HEADER).ok_or(SHORT)?;
                let (body_type, rest) = rest.split_first_chunk::<2>().ok_or(SHORT)?;
                let length = rest.first_chunk::<4>().ok_or(SHORT)?;
                let known = match u16::from_le_bytes(*body_type) {
                    2 => TD10,
                    3 => TD15,
                    4 => TD15_EX,
                    _ => return Err(Error::QuoteMalformed("a body that is not a TD report")),
                };
                if usize::try_from(u32::from_le_bytes(*length)) != Ok(known) {
                    return Err(Error::QuoteMalformed("the length of its body does not fit the body's type"));
                }
                Ok((header, HEADER.saturating_add(BODY_HEADER), known))
            }
            _ => Err(Error::QuoteMalformed("another version")),
        }
    }

    /// The header.
    #[must_use]
    pub fn header(&self) -> Header<'a> {
        self.header
    }

    /// The TD report.
    #[must_use]
    pub fn report(&self) -> TdReport<'a> {
        self.report
    }

    pub(super) fn signature(&self) -> &'a [u8] {
        self.signature
    }
}

/// Report of a trust domain: 584 (TDX 1.0), 648 (1.5) or 885 bytes (1.5 with extension).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TdReport<'a> {
    base: &'a [u8; TD10],
    more: &'a [u8],
}

impl<'a> TdReport<'a> {
    fn new(bytes: &'a [u8]) -> Option<Self> {
        bytes.split_first_chunk().map(|(base, more)| Self { base, more })
    }

    /// SVNs of the TDX module and the platform at launch, 16 bytes.
    #[must_use]
    pub fn tee_tcb_svn(&self) -> [u8; 16] {
        field::<0, 16, TD10>(self.base)
    }

    /// MRSEAM: measurement of the TDX module, 48 bytes (SHA-384, as all measurements here).
    #[must_use]
    pub fn mr_seam(&self) -> [u8; 48] {
        field::<16, 48, TD10>(self.base)
    }

    /// MRSIGNERSEAM: signer of the TDX module, 48 bytes; zero for Intel's.
    #[must_use]
    pub fn mr_signer_seam(&self) -> [u8; 48] {
        field::<64, 48, TD10>(self.base)
    }

    /// SEAMATTRIBUTES: attributes of the TDX module, 8 bytes in the order of the report.
    #[must_use]
    pub fn seam_attributes(&self) -> [u8; 8] {
        field::<112, 8, TD10>(self.base)
    }

    /// `TDATTRIBUTES`, 8 bytes, little-endian.
    #[must_use]
    pub fn td_attributes(&self) -> u64 {
        u64::from_le_bytes(field::<120, 8, TD10>(self.base))
    }

    /// `TDATTRIBUTES.TUD`, any bit of which makes the TD debuggable by its host.
    #[must_use]
    pub fn is_debug(&self) -> bool {
        self.td_attributes() & 0xff != 0
    }

    /// XFAM, 8 bytes, little-endian.
    #[must_use]
    pub fn xfam(&self) -> u64 {
        u64::from_le_bytes(field::<128, 8, TD10>(self.base))
    }

    /// MRTD: measurement of the TD's initial contents, 48 bytes.
    #[must_use]
    pub fn mr_td(&self) -> [u8; 48] {
        field::<136, 48, TD10>(self.base)
    }

    /// MRCONFIGID, 48 bytes, chosen by the host for software-defined configuration.
    #[must_use]
    pub fn mr_config_id(&self) -> [u8; 48] {
        field::<184, 48, TD10>(self.base)
    }

    /// MROWNER, 48 bytes.
    #[must_use]
    pub fn mr_owner(&self) -> [u8; 48] {
        field::<232, 48, TD10>(self.base)
    }

    /// MROWNERCONFIG, 48 bytes.
    #[must_use]
    pub fn mr_owner_config(&self) -> [u8; 48] {
        field::<280, 48, TD10>(self.base)
    }

    /// RTMR0 to RTMR3, 48 bytes each: measurements that the TD extends while it runs.
    #[must_use]
    pub fn rtmrs(&self) -> [[u8; 48]; 4] {
        [
            field::<328, 48, TD10>(self.base),
            field::<376, 48, TD10>(self.base),
            field::<424, 48, TD10>(self.base),
            field::<472, 48, TD10>(self.base),
        ]
    }

    /// `report_data`, 64 bytes.
    #[must_use]
    pub fn report_data(&self) -> [u8; 64] {
        field::<520, 64, TD10>(self.base)
    }

    /// `TEE_TCB_SVN_2`: the SVNs now, 16 bytes; TDX 1.5 only.
    #[must_use]
    pub fn tee_tcb_svn_2(&self) -> Option<[u8; 16]> {
        self.more.first_chunk().copied()
    }

    /// MRSERVICETD, 48 bytes; TDX 1.5 only.
    #[must_use]
    pub fn mr_service_td(&self) -> Option<[u8; 48]> {
        self.more.get(16..).and_then(|rest| rest.first_chunk()).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(length: usize) -> Vec<u8> {
        (0..length).map(|at| u8::try_from(at % 251).unwrap()).collect()
    }

    fn quote(version: u16, kind: u16, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; HEADER];
        bytes[..2].copy_from_slice(&version.to_le_bytes());
        bytes[4] = 0x81;
        if version == 5 {
            bytes.extend(kind.to_le_bytes());
            bytes.extend(u32::try_from(length).unwrap().to_le_bytes());
        }
        bytes.extend(report(length));
        bytes.extend(7u32.to_le_bytes());
        bytes.extend([9; 7]);
        bytes
    }

    #[test]
    fn fields_lie_at_the_published_offsets() {
        for (version, kind, length) in [(4, 0, TD10), (5, 2, TD10), (5, 3, TD15), (5, 4, TD15_EX)] {
            let (bytes, raw) = (quote(version, kind, length), report(length));
            let quote = TdxQuote::parse(&bytes).unwrap();
            assert_eq!(quote.signature(), [9; 7]);
            assert_eq!(quote.header().version(), version);
            let report = quote.report();
            assert_eq!(report.tee_tcb_svn(), raw[..16]);
            assert_eq!(report.mr_seam(), raw[16..64]);
            assert_eq!(report.mr_signer_seam(), raw[64..112]);
            assert_eq!(report.seam_attributes(), raw[112..120]);
            assert_eq!(report.td_attributes().to_le_bytes(), raw[120..128]);
            assert!(report.is_debug());
            assert_eq!(report.xfam().to_le_bytes(), raw[128..136]);
            assert_eq!(report.mr_td(), raw[136..184]);
            assert_eq!(report.mr_config_id(), raw[184..232]);
            assert_eq!(report.mr_owner(), raw[232..280]);
            assert_eq!(report.mr_owner_config(), raw[280..328]);
            assert_eq!(report.rtmrs().concat(), raw[328..520]);
            assert_eq!(report.report_data(), raw[520..584]);
            assert_eq!(report.tee_tcb_svn_2().is_some(), length > TD10);
            if length > TD10 {
                assert_eq!(report.tee_tcb_svn_2().unwrap(), raw[584..600]);
                assert_eq!(report.mr_service_td().unwrap(), raw[600..648]);
            }
        }
    }

    #[test]
    fn debug_is_any_bit_of_the_first_byte() {
        let mut bytes = quote(4, 0, TD10);
        for (value, debug) in [([0, 0xff], false), ([1, 0], true), ([0x80, 0], true)] {
            bytes[HEADER + 120..HEADER + 122].copy_from_slice(&value);
            assert_eq!(TdxQuote::parse(&bytes).unwrap().report().is_debug(), debug);
        }
    }

    #[test]
    fn wrong_lengths_types_and_versions_are_refused() {
        let good = quote(5, 3, TD15);
        for cut in 0..good.len() {
            assert!(TdxQuote::parse(&good[..cut]).is_err(), "{cut}");
        }
        assert!(TdxQuote::parse(&[good.as_slice(), &[0]].concat()).is_err());
        for (kind, length) in [(1, 384), (2, TD15), (3, TD10), (4, TD15), (5, TD15)] {
            assert!(TdxQuote::parse(&quote(5, kind, length)).is_err(), "{kind}");
        }
        assert!(TdxQuote::parse(&quote(3, 0, TD10)).is_err());
        assert!(TdxQuote::parse(&quote(6, 2, TD10)).is_err());
        let mut sgx = good;
        sgx[4] = 0;
        assert!(TdxQuote::parse(&sgx).is_err());
    }
}
