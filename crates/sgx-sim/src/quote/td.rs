//! Trust domains and their reports.

use super::digest::sha384;

/// `TEE_TCB_SVN` of the simulated platform: TDX module ISVSVN 4 of version 1, then the SVN of its microcode.
pub const TEE_TCB_SVN: [u8; 16] = [4, 1, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// MRSIGNERSEAM of the simulated TDX module. Intel's own modules have zeros there.
pub fn module_signer() -> [u8; 48] {
    sha384(b"tcs-simulated-tdx-module")
}

/// Version of the quote and version of the report in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TdVersion {
    /// Quote of version 4 with a TD 1.0 report, 584 bytes.
    V4,
    /// Quote of version 5 with a TD 1.0 report, 584 bytes (body type 2).
    V5Td10,
    /// Quote of version 5 with a TD 1.5 report, 648 bytes (body type 3).
    V5Td15,
    /// Quote of version 5 with an extended TD 1.5 report, 885 bytes (body type 4). The fields of the
    /// extension are zero, as for a trust domain without `SERVTD_EXT`.
    V5Td15Ex,
}

impl TdVersion {
    /// Version of the quote, type of the body.
    pub(super) fn layout(self) -> (u16, u16) {
        match self {
            Self::V4 => (4, 2),
            Self::V5Td10 => (5, 2),
            Self::V5Td15 => (5, 3),
            Self::V5Td15Ex => (5, 4),
        }
    }
}

/// A trust domain as its report shows it. `Default`: a simulated one in debug mode, in a quote of version 4.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Td {
    /// Version of the quote and version of the report: `V4`.
    pub version: TdVersion,
    /// `TEE_TCB_SVN`, at the launch of the trust domain: `04 01 06`, 13 zero bytes.
    pub tee_tcb_svn: [u8; 16],
    /// `TEE_TCB_SVN2`, at the time of the report; TD 1.5 only. As `tee_tcb_svn`.
    pub tee_tcb_svn2: [u8; 16],
    /// MRSEAM: SHA-384 of `tcs-simulated-tdx-module-code`.
    pub mr_seam: [u8; 48],
    /// MRSIGNERSEAM: SHA-384 of `tcs-simulated-tdx-module`, never Intel's (48 zero bytes).
    pub mr_signer_seam: [u8; 48],
    /// SEAMATTRIBUTES: 0.
    pub seam_attributes: u64,
    /// TDATTRIBUTES: `0x1000_0001`, which is DEBUG (bit 0) and `SEPT_VE_DISABLE` (bit 28).
    pub td_attributes: u64,
    /// XFAM: 0x03, x87 and SSE.
    pub xfam: u64,
    /// MRTD: zeros.
    pub mr_td: [u8; 48],
    /// MRCONFIGID: zeros.
    pub mr_config_id: [u8; 48],
    /// MROWNER: zeros.
    pub mr_owner: [u8; 48],
    /// MROWNERCONFIG: zeros.
    pub mr_owner_config: [u8; 48],
    /// RTMR0 to RTMR3: zeros.
    pub rtmr: [[u8; 48]; 4],
    /// MRSERVICETD; TD 1.5 only. Zeros: no service TD is bound.
    pub mr_service_td: [u8; 48],
    /// REPORTDATA: zeros.
    pub report_data: [u8; 64],
}

impl Default for Td {
    fn default() -> Self {
        Self {
            version: TdVersion::V4,
            tee_tcb_svn: TEE_TCB_SVN,
            tee_tcb_svn2: TEE_TCB_SVN,
            mr_seam: sha384(b"tcs-simulated-tdx-module-code"),
            mr_signer_seam: module_signer(),
            seam_attributes: 0,
            td_attributes: 1 | 1 << 28,
            xfam: 3,
            mr_td: [0; 48],
            mr_config_id: [0; 48],
            mr_owner: [0; 48],
            mr_owner_config: [0; 48],
            rtmr: [[0; 48]; 4],
            mr_service_td: [0; 48],
            report_data: [0; 64],
        }
    }
}

impl Td {
    /// The report body: 584, 648 or 885 bytes.
    pub(super) fn report(&self) -> Vec<u8> {
        let mut body = Vec::with_capacity(885);
        body.extend(self.tee_tcb_svn);
        body.extend(self.mr_seam);
        body.extend(self.mr_signer_seam);
        body.extend(self.seam_attributes.to_le_bytes());
        body.extend(self.td_attributes.to_le_bytes());
        body.extend(self.xfam.to_le_bytes());
        body.extend(self.mr_td);
        body.extend(self.mr_config_id);
        body.extend(self.mr_owner);
        body.extend(self.mr_owner_config);
        body.extend(self.rtmr.as_flattened());
        body.extend(self.report_data);
        if matches!(self.version, TdVersion::V5Td15 | TdVersion::V5Td15Ex) {
            body.extend(self.tee_tcb_svn2);
            body.extend(self.mr_service_td);
        }
        if self.version == TdVersion::V5Td15Ex {
            body.extend([0; 237]);
        }
        body
    }
}
