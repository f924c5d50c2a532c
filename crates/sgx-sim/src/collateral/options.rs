//! How collateral differs from valid collateral.

use super::levels::{QeIdentity, TcbLevel, TdxModule, TdxModuleIdentity};
use crate::clock::DAY;

/// The validity of a part, in seconds relative to the `now` of the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// Start: a day before `now` by default, for clocks that are behind. A positive number: issued in the
    /// future.
    pub from: i64,
    /// End: 30 days after `now` by default. A negative number: expired. For CRLs it must be after `from`.
    pub until: i64,
}

impl Validity {
    /// From a day before `now` to this many days after it. A negative number: expired, from a day before the
    /// end.
    #[must_use]
    pub fn days(days: i64) -> Self {
        let until = days.saturating_mul(DAY);
        Self { from: until.min(0).saturating_sub(DAY), until }
    }
}

impl Default for Validity {
    fn default() -> Self {
        Self::days(30)
    }
}

/// A certificate that a CRL lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revoked {
    /// The PCK certificate, in the PCK CA's CRL.
    PckLeaf,
    /// The PCK CA's certificate, in the root's CRL.
    PckCa,
    /// The TCB signer's certificate, in the root's CRL.
    TcbSigner,
    /// The root certificate, in its own CRL.
    Root,
}

/// The contents of collateral. `Default`: valid collateral for the platform as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CollateralOptions {
    /// `issueDate` and `nextUpdate` of the TCB info.
    pub tcb_info_validity: Validity,
    /// `issueDate` and `nextUpdate` of the QE identity.
    pub qe_identity_validity: Validity,
    /// `thisUpdate` and `nextUpdate` of the root's CRL.
    pub root_crl_validity: Validity,
    /// `thisUpdate` and `nextUpdate` of the PCK CA's CRL.
    pub pck_crl_validity: Validity,
    /// TCB levels, written in this order. `None`: [`Platform::tcb_level`](crate::Platform::tcb_level) only.
    pub tcb_levels: Option<Vec<TcbLevel>>,
    /// FMSPC of the TCB info, 6 bytes. `None`: the platform's.
    pub fmspc: Option<[u8; 6]>,
    /// PCEID of the TCB info, 2 bytes. `None`: the platform's.
    pub pce_id: Option<[u8; 2]>,
    /// `tcbType`: 0, the only one defined.
    pub tcb_type: u32,
    /// `id` of the TCB info. `None`: `SGX` or `TDX`.
    pub tcb_info_id: Option<String>,
    /// `version` of the TCB info: 3.
    pub tcb_info_version: u8,
    /// `tcbEvaluationDataNumber` of the TCB info: 17.
    pub tcb_info_evaluation: u32,
    /// `tcbEvaluationDataNumber` of the QE identity: 17.
    pub qe_identity_evaluation: u32,
    /// CRL number of the root's CRL: 1.
    pub root_crl_number: u64,
    /// CRL number of the PCK CA's CRL: 1.
    pub pck_crl_number: u64,
    /// Which certificates the CRLs list: none.
    pub revoked: Vec<Revoked>,
    /// The QE identity. `None`: [`QeIdentity::of`] this kind of environment.
    pub qe_identity: Option<QeIdentity>,
    /// `tdxModule`, in TCB info for TDX only. `None`: left out.
    pub tdx_module: Option<TdxModule>,
    /// `tdxModuleIdentities`, in TCB info for TDX only; an empty list is left out.
    pub tdx_module_identities: Vec<TdxModuleIdentity>,
}

impl CollateralOptions {
    /// All four documents are valid for this many days after `now`. A negative number: expired.
    #[must_use]
    pub fn valid_for_days(days: i64) -> Self {
        let validity = Validity::days(days);
        Self {
            tcb_info_validity: validity,
            qe_identity_validity: validity,
            root_crl_validity: validity,
            pck_crl_validity: validity,
            ..Self::default()
        }
    }
}

impl Default for CollateralOptions {
    fn default() -> Self {
        Self {
            tcb_info_validity: Validity::default(),
            qe_identity_validity: Validity::default(),
            root_crl_validity: Validity::default(),
            pck_crl_validity: Validity::default(),
            tcb_levels: None,
            fmspc: None,
            pce_id: None,
            tcb_type: 0,
            tcb_info_id: None,
            tcb_info_version: 3,
            tcb_info_evaluation: 17,
            qe_identity_evaluation: 17,
            root_crl_number: 1,
            pck_crl_number: 1,
            revoked: Vec::new(),
            qe_identity: None,
            tdx_module: Some(TdxModule::default()),
            tdx_module_identities: vec![TdxModuleIdentity::default()],
        }
    }
}
