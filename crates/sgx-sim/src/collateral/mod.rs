//! Collateral: TCB info, QE identity, both CRLs and the chains of their issuers.

mod levels;
mod options;
mod tcb_info;

pub use levels::{IsvTcbLevel, QeIdentity, TcbLevel, TdxModule, TdxModuleIdentity};
pub use options::{CollateralOptions, Revoked, Validity};

use crate::certificates::{self, crl};
use crate::clock;
use crate::error::Error;
use crate::parts::PlatformParts;
use crate::tee::Tee;
use serde_json::json;

/// Everything that a verifier needs besides a quote and the root. The parts are public, so that a test may
/// change one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collateral {
    /// TCB info: the JSON text that is signed.
    pub tcb_info: String,
    /// Its signature by the TCB signer, r ‖ s, 64 bytes.
    pub tcb_info_signature: Vec<u8>,
    /// QE identity: the JSON text that is signed.
    pub qe_identity: String,
    /// Its signature by the TCB signer, r ‖ s, 64 bytes.
    pub qe_identity_signature: Vec<u8>,
    /// CRL of the root, DER.
    pub root_ca_crl: Vec<u8>,
    /// CRL of the PCK CA, DER.
    pub pck_crl: Vec<u8>,
    /// PEM: PCK CA, root.
    pub pck_crl_issuer_chain: String,
    /// PEM: TCB signer, root.
    pub tcb_info_issuer_chain: String,
    /// PEM: TCB signer, root.
    pub qe_identity_issuer_chain: String,
}

impl Collateral {
    /// New collateral of this platform, issued around `now` (Unix seconds).
    pub(crate) fn issue(
        platform: &PlatformParts,
        now: i64,
        tee: Tee,
        options: &CollateralOptions,
    ) -> Result<Self, Error> {
        let period = |validity: Validity| clock::period(now, validity.from, validity.until);
        let texts = |validity| period(validity).map(|(from, until)| (clock::text(from), clock::text(until)));
        let tcb_info = tcb_info::text(platform, tee, options, &texts(options.tcb_info_validity)?);
        let identity = options.qe_identity.clone().unwrap_or_else(|| QeIdentity::of(tee));
        let identity_period = texts(options.qe_identity_validity)?;
        let qe_identity = identity.text(options.qe_identity_evaluation, &identity_period);

        let (names, ca) = (platform.options.names, platform.options.ca);
        let serials = |of: &dyn Fn(Revoked) -> Option<u64>| {
            options.revoked.iter().filter_map(|revoked| of(*revoked)).collect::<Vec<_>>()
        };
        let by_root = serials(&|revoked| match revoked {
            Revoked::Root => Some(certificates::ROOT),
            Revoked::PckCa => Some(certificates::PCK_CA),
            Revoked::TcbSigner => Some(certificates::TCB_SIGNER),
            Revoked::PckLeaf => None,
        });
        let by_pck_ca = serials(&|revoked| (revoked == Revoked::PckLeaf).then_some(certificates::PCK));
        let root = (names, names.root(), &platform.keys.root);
        let pck_ca = (names, names.pck_ca(ca), &platform.keys.pck_ca);
        Ok(Self {
            tcb_info_signature: platform.keys.tcb_signer.sign(tcb_info.as_bytes())?,
            tcb_info,
            qe_identity_signature: platform.keys.tcb_signer.sign(qe_identity.as_bytes())?,
            qe_identity,
            root_ca_crl: crl(root, period(options.root_crl_validity)?, options.root_crl_number, &by_root)?,
            pck_crl: crl(pck_ca, period(options.pck_crl_validity)?, options.pck_crl_number, &by_pck_ca)?,
            pck_crl_issuer_chain: platform.certificates.pck_crl_chain(),
            tcb_info_issuer_chain: platform.certificates.tcb_chain(),
            qe_identity_issuer_chain: platform.certificates.tcb_chain(),
        })
    }

    /// The JSON form that dcap-qvl reads (`QuoteCollateralV3`): PEM and JSON as text, bytes in lower-case
    /// hex.
    #[must_use]
    pub fn to_json(&self) -> String {
        let collateral = json!({
            "pck_crl_issuer_chain": self.pck_crl_issuer_chain,
            "root_ca_crl": hex::encode(&self.root_ca_crl),
            "pck_crl": hex::encode(&self.pck_crl),
            "tcb_info_issuer_chain": self.tcb_info_issuer_chain,
            "tcb_info_signature": hex::encode(&self.tcb_info_signature),
            "tcb_info": self.tcb_info,
            "qe_identity_issuer_chain": self.qe_identity_issuer_chain,
            "qe_identity_signature": hex::encode(&self.qe_identity_signature),
            "qe_identity": self.qe_identity,
        });
        format!("{collateral:#}\n")
    }
}
