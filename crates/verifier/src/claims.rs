//! The claims of a verified quote.

use crate::attributes;
use crate::certificate::PckCa;
use crate::status::TcbStatus;
use tcs_evidence::{EnclaveReport, TdReport};

/// The claims (RFC 9334) of a verified quote and its collateral. Claims mean that the evidence was genuine at
/// the time of the verification, not that a policy accepts it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// What made the quote.
    pub workload: Workload,
    /// `report_data`, 64 bytes. [`crate::check_binding`] tells whether it binds a key.
    pub report_data: [u8; 64],
    /// State of the platform and its quoting enclave together, merged as Intel's library does.
    pub status: TcbStatus,
    /// Advisories that apply to the platform or its quoting enclave, for example `INTEL-SA-00615`.
    pub advisory_ids: Vec<String>,
    /// Date of the platform's TCB level (Unix seconds): it is patched up to here.
    pub tcb_date: u64,
    /// State of the quoting enclave alone.
    pub qe_status: TcbStatus,
    /// Date of the quoting enclave's TCB level (Unix seconds).
    pub qe_tcb_date: u64,
    /// Advisories of the quoting enclave's level.
    pub qe_advisory_ids: Vec<String>,
    /// Evaluation number of the TCB info and QE identity, the lower of both. It grows with every TCB
    /// recovery.
    pub evaluation_number: u32,
    /// Evaluation number of the TCB info.
    pub tcb_info_evaluation_number: u32,
    /// Evaluation number of the QE identity.
    pub qe_evaluation_number: u32,
    /// The machine.
    pub platform: Platform,
    /// Number of the root CA's CRL; it grows.
    pub root_ca_crl_number: u32,
    /// Number of the PCK CA's CRL; it grows.
    pub pck_crl_number: u32,
    /// SHA-384 of the root's public key (the point, without ASN.1), 48 bytes.
    pub root_key_id: [u8; 48],
    /// Instants (Unix seconds) between which all collateral and certificates are valid.
    pub window: CollateralWindow,
    /// The root is a simulated one: **no protection**. Everything that shows claims must say so.
    pub simulated: bool,
}

/// When the collateral and certificates of a verification were issued and when they expire, Unix seconds: the
/// dates of Intel's `sgx_ql_qv_supplemental_t`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CollateralWindow {
    /// Issue date of the oldest part.
    pub earliest_issue: u64,
    /// Issue date of the newest part.
    pub latest_issue: u64,
    /// The last second in which all parts are valid. Intel's value is one second later if the first part to
    /// expire is a CRL, which is not valid any more at its nextUpdate.
    pub earliest_expiration: u64,
}

/// What made a quote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Workload {
    /// An SGX enclave.
    Enclave(Enclave),
    /// A TDX trust domain.
    TrustDomain(Box<TrustDomain>),
}

impl Workload {
    /// Whether the host can read its memory. Only true under a simulated root.
    #[must_use]
    pub fn is_debug(&self) -> bool {
        match self {
            Self::Enclave(enclave) => enclave.is_debug(),
            Self::TrustDomain(td) => td.is_debug(),
        }
    }
}

/// Identity and attributes of an SGX enclave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Enclave {
    /// MRENCLAVE: measurement of the enclave.
    pub mrenclave: [u8; 32],
    /// MRSIGNER: SHA-256 of its signer's key.
    pub mrsigner: [u8; 32],
    /// ISVPRODID: product id, set by the signer.
    pub isv_prod_id: u16,
    /// ISVSVN: security version, set by the signer.
    pub isv_svn: u16,
    /// ATTRIBUTES: flags (8 bytes, little-endian) and XFRM (8 bytes).
    pub attributes: [u8; 16],
    /// MISCSELECT, in the byte order of the report (little-endian).
    pub misc_select: [u8; 4],
    /// CONFIGID (KSS).
    pub config_id: [u8; 64],
    /// CONFIGSVN (KSS).
    pub config_svn: u16,
    /// ISVEXTPRODID (KSS).
    pub isv_ext_prod_id: [u8; 16],
    /// ISVFAMILYID (KSS).
    pub isv_family_id: [u8; 16],
}

impl Enclave {
    /// The bits that are set in ATTRIBUTES, by their names; those of XFRM begin with `XFRM.`.
    #[must_use]
    pub fn attribute_names(&self) -> Vec<String> {
        attributes::sgx_attributes(&self.attributes)
    }

    /// The bits that are set in MISCSELECT, by their names.
    #[must_use]
    pub fn misc_select_names(&self) -> Vec<String> {
        attributes::misc_select(&self.misc_select)
    }

    /// ATTRIBUTES.DEBUG.
    #[must_use]
    pub fn is_debug(&self) -> bool {
        self.attributes.first().is_some_and(|flags| flags & 0x02 != 0)
    }
}

impl From<EnclaveReport<'_>> for Enclave {
    fn from(report: EnclaveReport<'_>) -> Self {
        let mut attributes = [0; 16];
        let bytes = report.flags().to_le_bytes().into_iter().chain(report.xfrm().to_le_bytes());
        for (to, from) in attributes.iter_mut().zip(bytes) {
            *to = from;
        }
        Self {
            mrenclave: report.mrenclave(),
            mrsigner: report.mrsigner(),
            isv_prod_id: report.isv_prod_id(),
            isv_svn: report.isv_svn(),
            attributes,
            misc_select: report.misc_select().to_le_bytes(),
            config_id: report.config_id(),
            config_svn: report.config_svn(),
            isv_ext_prod_id: report.isv_ext_prod_id(),
            isv_family_id: report.isv_family_id(),
        }
    }
}

/// Measurements and attributes of a TDX trust domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrustDomain {
    /// MRTD: measurement of the initial contents.
    pub mr_td: [u8; 48],
    /// RTMR0 to RTMR3: measurements at run time.
    pub rtmrs: [[u8; 48]; 4],
    /// MRCONFIGID.
    pub mr_config_id: [u8; 48],
    /// MROWNER.
    pub mr_owner: [u8; 48],
    /// MROWNERCONFIG.
    pub mr_owner_config: [u8; 48],
    /// MRSEAM: measurement of the TDX module.
    pub mr_seam: [u8; 48],
    /// `TDATTRIBUTES`, in the byte order of the report (little-endian).
    pub td_attributes: [u8; 8],
    /// XFAM, in the byte order of the report (little-endian).
    pub xfam: [u8; 8],
    /// SVNs of TDX module and platform at launch.
    pub tee_tcb_svn: [u8; 16],
    /// `TEE_TCB_SVN_2`: the same SVNs when the quote was made; since TDX 1.5.
    pub tee_tcb_svn_2: Option<[u8; 16]>,
    /// MRSERVICETD: measurement of the service TDs, zero without any; since TDX 1.5.
    pub mr_service_td: Option<[u8; 48]>,
}

impl TrustDomain {
    /// The bits that are set in `TDATTRIBUTES`, by their names.
    #[must_use]
    pub fn td_attribute_names(&self) -> Vec<String> {
        attributes::td_attributes(&self.td_attributes)
    }

    /// The bits that are set in XFAM, by their names.
    #[must_use]
    pub fn xfam_names(&self) -> Vec<String> {
        attributes::xfam(&self.xfam)
    }

    /// Any bit of `TDATTRIBUTES.TUD`.
    #[must_use]
    pub fn is_debug(&self) -> bool {
        self.td_attributes.first().is_some_and(|tud| *tud != 0)
    }
}

impl From<TdReport<'_>> for TrustDomain {
    fn from(report: TdReport<'_>) -> Self {
        Self {
            mr_td: report.mr_td(),
            rtmrs: report.rtmrs(),
            mr_config_id: report.mr_config_id(),
            mr_owner: report.mr_owner(),
            mr_owner_config: report.mr_owner_config(),
            mr_seam: report.mr_seam(),
            td_attributes: report.td_attributes().to_le_bytes(),
            xfam: report.xfam().to_le_bytes(),
            tee_tcb_svn: report.tee_tcb_svn(),
            tee_tcb_svn_2: report.tee_tcb_svn_2(),
            mr_service_td: report.mr_service_td(),
        }
    }
}

/// What the PCK certificate says about the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Platform {
    /// Which of Intel's CAs certified it.
    pub ca: PckCa,
    /// FMSPC: family, model, stepping, platform type, custom SKU.
    pub fmspc: [u8; 6],
    /// PPID: names the processor.
    pub ppid: [u8; 16],
    /// Platform instance: names the machine and its registration; by the Platform CA only.
    pub platform_instance: Option<[u8; 16]>,
    /// PCEID.
    pub pce_id: [u8; 2],
    /// CPUSVN.
    pub cpu_svn: [u8; 16],
    /// PCESVN.
    pub pce_svn: u16,
    /// 0: standard; 1: scalable, without protection of memory against replay by its owner; 2: scalable with
    /// integrity.
    pub sgx_type: u8,
    /// Packages can be added to the machine; by the Platform CA only, as the two below.
    pub dynamic_platform: Option<bool>,
    /// Intel holds a copy of the platform's root keys.
    pub cached_keys: Option<bool>,
    /// Simultaneous multithreading is on.
    pub smt_enabled: Option<bool>,
}
