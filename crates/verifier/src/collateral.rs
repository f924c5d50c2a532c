//! Collateral: what Intel publishes about platforms (RFC 9334: endorsements and reference values).

use crate::Error;
use crate::certificate::{Certified, read_chain_of};
use crate::validity;
use dcap_qvl::{QeIdentity, QuoteCollateralV3, TcbInfo};
use der::Decode;
use x509_cert::crl::CertificateList;

/// Longest collateral accepted, in bytes; real ones have 15 to 25 KiB.
pub const MAX_COLLATERAL: usize = 1024 * 1024;

/// TCB info, QE identity, both CRLs and the chains of their issuers, read once. Nothing about it is verified before
/// [`crate::verify`] does so.
#[derive(Clone, Debug)]
pub struct Collateral {
    pub(crate) parts: QuoteCollateralV3,
    pub(crate) tcb_info: TcbInfo,
    /// First and last second of TCB info and QE identity; `(this, next)` update of both CRLs.
    pub(crate) tcb_info_window: (u64, u64),
    pub(crate) qe_identity_window: (u64, u64),
    pub(crate) root_crl_window: (u64, u64),
    pub(crate) pck_crl_window: (u64, u64),
    pub(crate) tcb_info_chain: [Certified; 2],
    /// `None`: the same text as the TCB info's chain, as Intel publishes it.
    pub(crate) qe_identity_chain: Option<[Certified; 2]>,
    pub(crate) pck_crl_chain: [Certified; 2],
}

impl Collateral {
    /// Reads the JSON form of dcap-qvl's `QuoteCollateralV3`, at most [`MAX_COLLATERAL`] bytes: chains as PEM, TCB info
    /// and QE identity as the exact signed texts, signatures and CRLs (DER) as hex.
    ///
    /// A member `pck_certificate_chain` is ignored: the quote carries its own chain, and there must be only one. Every
    /// chain must have exactly two certificates, the signer's and the root's (Q8).
    pub fn from_json(json: &[u8]) -> Result<Self, Error> {
        if json.len() > MAX_COLLATERAL {
            return Err(Error::CollateralMalformed("longer than 1 MiB".into()));
        }
        let mut parts: QuoteCollateralV3 =
            serde_json::from_slice(json).map_err(|error| Error::CollateralMalformed(error.to_string()))?;
        parts.pck_certificate_chain = None;

        let tcb_info: TcbInfo = serde_json::from_str(&parts.tcb_info)
            .map_err(|error| Error::CollateralMalformed(format!("TCB info: {error}")))?;
        let qe_identity: QeIdentity = serde_json::from_str(&parts.qe_identity)
            .map_err(|error| Error::CollateralMalformed(format!("QE identity: {error}")))?;
        let chain = |text: &str| read_chain_of::<2>(text.as_bytes()).map_err(Error::CollateralMalformed);
        let same_signer = parts.qe_identity_issuer_chain == parts.tcb_info_issuer_chain;
        Ok(Self {
            tcb_info_window: validity::texts("the TCB info", &tcb_info.issue_date, &tcb_info.next_update)?,
            qe_identity_window: validity::texts(
                "the QE identity",
                &qe_identity.issue_date,
                &qe_identity.next_update,
            )?,
            root_crl_window: crl_window("the root CA's CRL", &parts.root_ca_crl)?,
            pck_crl_window: crl_window("the PCK CA's CRL", &parts.pck_crl)?,
            tcb_info_chain: chain(&parts.tcb_info_issuer_chain)?,
            qe_identity_chain: if same_signer { None } else { Some(chain(&parts.qe_identity_issuer_chain)?) },
            pck_crl_chain: chain(&parts.pck_crl_issuer_chain)?,
            tcb_info,
            parts,
        })
    }

    /// Latest first and earliest last second (Unix time) of TCB info, QE identity and both CRLs: when to get others. Chains
    /// are not looked at, and nothing is verified.
    #[must_use]
    pub fn window(&self) -> (u64, u64) {
        let windows =
            [self.tcb_info_window, self.qe_identity_window, self.root_crl_window, self.pck_crl_window];
        windows
            .into_iter()
            .fold((0, u64::MAX), |(from, until), (begin, end)| (from.max(begin), until.min(end)))
    }

    pub(crate) fn qe_identity_chain(&self) -> &[Certified; 2] {
        self.qe_identity_chain.as_ref().unwrap_or(&self.tcb_info_chain)
    }
}

/// First and last second of a CRL.
fn crl_window(what: &'static str, crl: &[u8]) -> Result<(u64, u64), Error> {
    let list: CertificateList = CertificateList::from_der(crl)
        .map_err(|error| Error::CollateralMalformed(format!("{what}: {error}")))?;
    let list = list.tbs_cert_list;
    let next = list.next_update.ok_or_else(|| Error::CollateralMalformed(format!("{what} names no end")))?;
    // For webpki a CRL has ended at its nextUpdate; certificates and Intel's texts are valid at their last second.
    let until = next.to_unix_duration().as_secs().saturating_sub(1);
    Ok((list.this_update.to_unix_duration().as_secs(), until))
}
