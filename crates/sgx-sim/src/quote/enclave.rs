//! Enclaves and their reports.

use super::digest::sha256;
use crate::tee::Tee;

/// An enclave as its report shows it. `Default`: the simulated enclave, a debug enclave of no product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enclave {
    /// MRENCLAVE: zeros.
    pub mrenclave: [u8; 32],
    /// MRSIGNER: SHA-256 of `tcs-simulated-signer`.
    pub mrsigner: [u8; 32],
    /// ISVPRODID: 0xFFFF, no product of anyone's.
    pub isv_prod_id: u16,
    /// ISVSVN: 1.
    pub isv_svn: u16,
    /// Flags of ATTRIBUTES: 0x07, which is INIT, DEBUG (bit 1) and MODE64BIT.
    pub flags: u64,
    /// XFRM of ATTRIBUTES: 0x03, x87 and SSE.
    pub xfrm: u64,
    /// MISCSELECT: 0.
    pub miscselect: u32,
    /// CONFIGID: zeros.
    pub config_id: [u8; 64],
    /// CONFIGSVN: 0.
    pub config_svn: u16,
    /// ISVEXTPRODID: zeros.
    pub isv_ext_prod_id: [u8; 16],
    /// ISVFAMILYID: zeros.
    pub isv_family_id: [u8; 16],
    /// REPORTDATA: zeros.
    pub report_data: [u8; 64],
}

impl Default for Enclave {
    fn default() -> Self {
        Self {
            mrenclave: [0; 32],
            mrsigner: sha256(b"tcs-simulated-signer"),
            isv_prod_id: 0xffff,
            isv_svn: 1,
            flags: 0x07,
            xfrm: 3,
            miscselect: 0,
            config_id: [0; 64],
            config_svn: 0,
            isv_ext_prod_id: [0; 16],
            isv_family_id: [0; 16],
            report_data: [0; 64],
        }
    }
}

impl Enclave {
    /// The simulated quoting enclave: MRSIGNER SHA-256 of `tcs-simulated-quoting-enclave`, MRENCLAVE SHA-256
    /// of `tcs-simulated-quoting-enclave-code`, flags INIT and `PROVISION_KEY`; ISVPRODID and ISVSVN 1 and 8
    /// for SGX, 2 and 4 for TDX.
    #[must_use]
    pub fn quoting(tee: Tee) -> Self {
        let (isv_prod_id, isv_svn) = match tee {
            Tee::Sgx => (1, 8),
            Tee::Tdx => (2, 4),
        };
        Self {
            mrenclave: sha256(b"tcs-simulated-quoting-enclave-code"),
            mrsigner: sha256(b"tcs-simulated-quoting-enclave"),
            isv_prod_id,
            isv_svn,
            flags: 0x11,
            ..Self::default()
        }
    }

    /// The report body, 384 bytes (`sgx_report_body_t`).
    pub(super) fn report(&self, cpu_svn: [u8; 16]) -> Vec<u8> {
        let mut body = Vec::with_capacity(384);
        body.extend(cpu_svn);
        body.extend(self.miscselect.to_le_bytes());
        body.extend([0; 12]);
        body.extend(self.isv_ext_prod_id);
        body.extend(self.flags.to_le_bytes());
        body.extend(self.xfrm.to_le_bytes());
        body.extend(self.mrenclave);
        body.extend([0; 32]);
        body.extend(self.mrsigner);
        body.extend([0; 32]);
        body.extend(self.config_id);
        body.extend(self.isv_prod_id.to_le_bytes());
        body.extend(self.isv_svn.to_le_bytes());
        body.extend(self.config_svn.to_le_bytes());
        body.extend([0; 42]);
        body.extend(self.isv_family_id);
        body.extend(self.report_data);
        body
    }
}
