//! What the relying party asks for (RFC 9334: appraisal policy).

use crate::Error;
use crate::verdict::{Identity, TcbStatus};

/// One enclave that is accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AcceptedIdentity {
    /// Exactly this build of an enclave.
    Enclave {
        /// MRENCLAVE.
        mrenclave: [u8; 32],
    },
    /// Every enclave of a signer with this product id from this version on. The signer alone is never enough: it may
    /// sign other products and older, broken versions.
    Signer {
        /// MRSIGNER.
        mrsigner: [u8; 32],
        /// ISVPRODID.
        isv_prod_id: u16,
        /// Least ISVSVN.
        min_isv_svn: u16,
    },
}

impl AcceptedIdentity {
    fn matches(&self, found: &Identity) -> bool {
        match self {
            Self::Enclave { mrenclave } => *mrenclave == found.mrenclave,
            Self::Signer { mrsigner, isv_prod_id, min_isv_svn } => {
                *mrsigner == found.mrsigner
                    && *isv_prod_id == found.isv_prod_id
                    && found.isv_svn >= *min_isv_svn
            }
        }
    }
}

/// The policy. The default accepts nothing: it names no enclave.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// The enclaves that are accepted.
    pub identities: Vec<AcceptedIdentity>,
    /// Accept every enclave; [`Self::identities`] is not looked at then.
    pub any_identity: bool,
    /// Intel's advisories (for example `INTEL-SA-00615`) against which the enclave is known to be hardened.
    pub accepted_advisories: Vec<String>,
}

impl Policy {
    /// `UpToDate`; or `SWHardeningNeeded` when every advisory is accepted (quote-verification reference, section 5).
    pub(crate) fn check_status(&self, status: TcbStatus, advisory_ids: &[String]) -> Result<(), Error> {
        let accepted = match status {
            TcbStatus::UpToDate => true,
            // Without a named advisory nobody can say what the enclave must be hardened against.
            TcbStatus::SwHardeningNeeded => {
                !advisory_ids.is_empty()
                    && advisory_ids.iter().all(|id| self.accepted_advisories.contains(id))
            }
            _ => false,
        };
        if accepted {
            return Ok(());
        }
        Err(Error::TcbStatusRefused {
            status: status.intel_name(),
            name: status.result_name(),
            advisory_ids: advisory_ids.to_vec(),
        })
    }

    pub(crate) fn check_identity(&self, found: &Identity) -> Result<(), Error> {
        if self.any_identity {
            return Ok(());
        }
        if self.identities.is_empty() {
            return Err(Error::NoIdentityConfigured);
        }
        if self.identities.iter().any(|accepted| accepted.matches(found)) {
            return Ok(());
        }
        Err(Error::IdentityMismatch {
            mrenclave: hex::encode(found.mrenclave),
            mrsigner: hex::encode(found.mrsigner),
            isv_prod_id: found.isv_prod_id,
            isv_svn: found.isv_svn,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOUND: Identity =
        Identity { mrenclave: [1; 32], mrsigner: [2; 32], isv_prod_id: 3, isv_svn: 4, debug: false };

    fn judge(identities: Vec<AcceptedIdentity>) -> Result<(), Error> {
        Policy { identities, ..Policy::default() }.check_identity(&FOUND)
    }

    fn signer(mrsigner: u8, isv_prod_id: u16, min_isv_svn: u16) -> AcceptedIdentity {
        AcceptedIdentity::Signer { mrsigner: [mrsigner; 32], isv_prod_id, min_isv_svn }
    }

    #[test]
    fn an_empty_list_accepts_nothing() {
        assert_eq!(judge(vec![]), Err(Error::NoIdentityConfigured));
        assert_eq!(Policy { any_identity: true, ..Policy::default() }.check_identity(&FOUND), Ok(()));
    }

    #[test]
    fn an_enclave_is_measured_and_a_signer_needs_product_and_version() {
        let exact = |byte| AcceptedIdentity::Enclave { mrenclave: [byte; 32] };
        assert_eq!(judge(vec![exact(1)]), Ok(()));
        assert_eq!(judge(vec![exact(9), signer(2, 3, 4)]), Ok(()));
        assert_eq!(judge(vec![signer(2, 3, 1)]), Ok(()));
        for wrong in [exact(2), signer(1, 3, 4), signer(2, 4, 4), signer(2, 3, 5)] {
            assert_eq!(judge(vec![wrong]).unwrap_err().code(), "IdentityMismatch");
        }
    }

    #[test]
    fn software_hardening_needs_every_advisory_accepted() {
        let ids = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let policy = Policy { accepted_advisories: ids(&["A", "B"]), ..Policy::default() };
        let judge = |status, names: &[&str]| policy.check_status(status, &ids(names)).is_ok();
        assert!(judge(TcbStatus::UpToDate, &["C"]));
        assert!(judge(TcbStatus::SwHardeningNeeded, &["B", "A"]));
        assert!(!judge(TcbStatus::SwHardeningNeeded, &["A", "C"]));
        assert!(!judge(TcbStatus::SwHardeningNeeded, &[]));
        assert!(!judge(TcbStatus::ConfigurationAndSwHardeningNeeded, &["A"]));
        assert!(!judge(TcbStatus::OutOfDate, &["A"]));
    }
}
