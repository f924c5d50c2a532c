//! Which enclaves and trust domains are accepted.

use crate::claims::{Enclave, TrustDomain, Workload};
use std::fmt::Write as _;

/// One enclave or trust domain that is accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AcceptedIdentity {
    /// Exactly this build of an enclave.
    Enclave {
        /// MRENCLAVE.
        mrenclave: [u8; 32],
        /// Fields of key separation and sharing.
        kss: Kss,
    },
    /// Every enclave of a signer with this product id from this version on. The signer alone is never enough:
    /// it may sign other products and older, broken versions.
    Signer {
        /// MRSIGNER.
        mrsigner: [u8; 32],
        /// ISVPRODID.
        isv_prod_id: u16,
        /// Least ISVSVN.
        min_isv_svn: u16,
        /// Fields of key separation and sharing.
        kss: Kss,
    },
    /// A trust domain with these measurements.
    TrustDomain(Box<TdReference>),
}

/// Fields of SGX's key separation and sharing (KSS); what is `None` is not compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kss {
    /// CONFIGID: set by the host when it starts the enclave.
    pub config_id: Option<[u8; 64]>,
    /// Least CONFIGSVN.
    pub min_config_svn: Option<u16>,
    /// ISVEXTPRODID.
    pub isv_ext_prod_id: Option<[u8; 16]>,
    /// ISVFAMILYID.
    pub isv_family_id: Option<[u8; 16]>,
}

/// Reference values of a trust domain; what is `None` is not compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TdReference {
    /// MRTD.
    pub mr_td: [u8; 48],
    /// RTMR0 to RTMR3. RTMR1 and RTMR2 hold the kernel, its command line and initial disk: without them any
    /// system can have been started on this firmware.
    pub rtmrs: [Option<[u8; 48]>; 4],
    /// MRCONFIGID.
    pub mr_config_id: Option<[u8; 48]>,
    /// MROWNER.
    pub mr_owner: Option<[u8; 48]>,
    /// MROWNERCONFIG.
    pub mr_owner_config: Option<[u8; 48]>,
}

impl AcceptedIdentity {
    pub(super) fn matches(&self, found: &Workload) -> bool {
        match (self, found) {
            (Self::Enclave { mrenclave, kss }, Workload::Enclave(found)) => {
                *mrenclave == found.mrenclave && kss.matches(found)
            }
            (Self::Signer { mrsigner, isv_prod_id, min_isv_svn, kss }, Workload::Enclave(found)) => {
                *mrsigner == found.mrsigner
                    && *isv_prod_id == found.isv_prod_id
                    && found.isv_svn >= *min_isv_svn
                    && kss.matches(found)
            }
            (Self::TrustDomain(reference), Workload::TrustDomain(found)) => reference.matches(found),
            _ => false,
        }
    }

    pub(super) fn describe(&self) -> String {
        match self {
            Self::Enclave { mrenclave, kss } => {
                format!("MRENCLAVE {}{}", hex::encode(mrenclave), kss.describe())
            }
            Self::Signer { mrsigner, isv_prod_id, min_isv_svn, kss } => format!(
                "MRSIGNER {}, ISVPRODID {isv_prod_id}, ISVSVN at least {min_isv_svn}{}",
                hex::encode(mrsigner),
                kss.describe()
            ),
            Self::TrustDomain(reference) => reference.describe(),
        }
    }
}

impl Kss {
    fn matches(&self, found: &Enclave) -> bool {
        self.config_id.is_none_or(|value| value == found.config_id)
            && self.min_config_svn.is_none_or(|least| found.config_svn >= least)
            && self.isv_ext_prod_id.is_none_or(|value| value == found.isv_ext_prod_id)
            && self.isv_family_id.is_none_or(|value| value == found.isv_family_id)
    }

    fn describe(&self) -> String {
        let mut text = String::new();
        // Writing into a String cannot fail.
        let _ = self.config_id.map(|value| write!(text, ", CONFIGID {}", hex::encode(value)));
        let _ = self.min_config_svn.map(|least| write!(text, ", CONFIGSVN at least {least}"));
        let _ = self.isv_ext_prod_id.map(|value| write!(text, ", ISVEXTPRODID {}", hex::encode(value)));
        let _ = self.isv_family_id.map(|value| write!(text, ", ISVFAMILYID {}", hex::encode(value)));
        text
    }
}

impl TdReference {
    fn matches(&self, found: &TrustDomain) -> bool {
        let same = |asked: Option<[u8; 48]>, found: [u8; 48]| asked.is_none_or(|value| value == found);
        self.mr_td == found.mr_td
            && self.rtmrs.iter().zip(found.rtmrs).all(|(asked, found)| same(*asked, found))
            && same(self.mr_config_id, found.mr_config_id)
            && same(self.mr_owner, found.mr_owner)
            && same(self.mr_owner_config, found.mr_owner_config)
    }

    fn describe(&self) -> String {
        // These are the longest texts of a verdict. Written in place, they take no noticeable time.
        let mut text = String::with_capacity(1024);
        let mut add = |name: &str, value: Option<[u8; 48]>| {
            let Some(value) = value else { return };
            let mut digits = [0; 96];
            if hex::encode_to_slice(value, &mut digits).is_ok()
                && let Ok(digits) = str::from_utf8(&digits)
            {
                text.extend([if text.is_empty() { "" } else { ", " }, name, " ", digits]);
            }
        };
        add("MRTD", Some(self.mr_td));
        for (name, value) in ["RTMR0", "RTMR1", "RTMR2", "RTMR3"].into_iter().zip(self.rtmrs) {
            add(name, value);
        }
        add("MRCONFIGID", self.mr_config_id);
        add("MROWNER", self.mr_owner);
        add("MROWNERCONFIG", self.mr_owner_config);
        text
    }
}

/// The identity of a workload for people.
pub(super) fn describe(found: &Workload) -> String {
    match found {
        Workload::Enclave(found) => {
            let mut text = format!(
                "MRENCLAVE {}, MRSIGNER {}, ISVPRODID {}, ISVSVN {}",
                hex::encode(found.mrenclave),
                hex::encode(found.mrsigner),
                found.isv_prod_id,
                found.isv_svn
            );
            // Without ATTRIBUTES.KSS the fields have no meaning.
            if found.attributes.first().is_some_and(|flags| flags & 0x80 != 0) {
                let kss = Kss {
                    config_id: Some(found.config_id),
                    min_config_svn: None,
                    isv_ext_prod_id: Some(found.isv_ext_prod_id),
                    isv_family_id: Some(found.isv_family_id),
                };
                let _ = write!(text, "{}, CONFIGSVN {}", kss.describe(), found.config_svn);
            }
            text
        }
        Workload::TrustDomain(found) => TdReference {
            mr_td: found.mr_td,
            rtmrs: found.rtmrs.map(Some),
            mr_config_id: Some(found.mr_config_id),
            mr_owner: Some(found.mr_owner),
            mr_owner_config: Some(found.mr_owner_config),
        }
        .describe(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Error, Policy};

    fn enclave() -> Enclave {
        Enclave {
            mrenclave: [1; 32],
            mrsigner: [2; 32],
            isv_prod_id: 3,
            isv_svn: 4,
            attributes: [5; 16],
            misc_select: [0; 4],
            config_id: [6; 64],
            config_svn: 7,
            isv_ext_prod_id: [8; 16],
            isv_family_id: [9; 16],
        }
    }

    fn td() -> TrustDomain {
        TrustDomain {
            mr_td: [1; 48],
            rtmrs: [[10; 48], [11; 48], [12; 48], [13; 48]],
            mr_config_id: [2; 48],
            mr_owner: [3; 48],
            mr_owner_config: [4; 48],
            mr_seam: [5; 48],
            td_attributes: [0; 8],
            xfam: [0; 8],
            tee_tcb_svn: [0; 16],
        }
    }

    fn appraise(identities: Vec<AcceptedIdentity>, found: &Workload) -> Result<(), Error> {
        Policy { identities, ..Policy::default() }.check_identity(found)
    }

    fn signer(mrsigner: u8, isv_prod_id: u16, min_isv_svn: u16) -> AcceptedIdentity {
        let kss = Kss::default();
        AcceptedIdentity::Signer { mrsigner: [mrsigner; 32], isv_prod_id, min_isv_svn, kss }
    }

    #[test]
    fn an_empty_list_accepts_nothing() {
        for found in [Workload::Enclave(enclave()), Workload::TrustDomain(Box::new(td()))] {
            assert_eq!(appraise(vec![], &found), Err(Error::NoIdentityConfigured));
            let any = Policy { any_identity: true, ..Policy::default() };
            assert_eq!(any.check_identity(&found), Ok(()));
        }
    }

    #[test]
    fn an_enclave_is_measured_and_a_signer_needs_product_and_version() {
        let found = Workload::Enclave(enclave());
        let exact = |byte| AcceptedIdentity::Enclave { mrenclave: [byte; 32], kss: Kss::default() };
        assert_eq!(appraise(vec![exact(1)], &found), Ok(()));
        assert_eq!(appraise(vec![exact(9), signer(2, 3, 4)], &found), Ok(()));
        assert_eq!(appraise(vec![signer(2, 3, 1)], &found), Ok(()));
        for wrong in [exact(2), signer(1, 3, 4), signer(2, 4, 4), signer(2, 2, 4), signer(2, 3, 5)] {
            assert_eq!(appraise(vec![wrong], &found).unwrap_err().code(), "IdentityMismatch");
        }
    }

    #[test]
    fn kss_fields_are_compared_where_they_are_named() {
        let found = Workload::Enclave(enclave());
        let none = Kss::default();
        let appraise = |kss: Kss| {
            let both = [
                AcceptedIdentity::Enclave { mrenclave: [1; 32], kss },
                AcceptedIdentity::Signer { mrsigner: [2; 32], isv_prod_id: 3, min_isv_svn: 4, kss },
            ];
            let [one, other] = both.map(|identity| appraise(vec![identity], &found).is_ok());
            assert_eq!(one, other);
            one
        };
        assert!(
            appraise(Kss { config_id: Some([6; 64]), ..none })
                && !appraise(Kss { config_id: Some([0; 64]), ..none })
        );
        assert!(
            appraise(Kss { min_config_svn: Some(7), ..none })
                && appraise(Kss { min_config_svn: Some(6), ..none })
        );
        assert!(!appraise(Kss { min_config_svn: Some(8), ..none }));
        assert!(appraise(Kss { isv_ext_prod_id: Some([8; 16]), ..none }));
        assert!(!appraise(Kss { isv_ext_prod_id: Some([9; 16]), ..none }));
        assert!(appraise(Kss { isv_family_id: Some([9; 16]), ..none }));
        assert!(!appraise(Kss { isv_family_id: Some([8; 16]), ..none }));
    }

    #[test]
    fn a_trust_domain_is_measured_field_by_field() {
        let found = Workload::TrustDomain(Box::new(td()));
        let good = TdReference {
            mr_td: [1; 48],
            rtmrs: td().rtmrs.map(Some),
            mr_config_id: Some([2; 48]),
            mr_owner: Some([3; 48]),
            mr_owner_config: Some([4; 48]),
        };
        let appraise = |reference: TdReference| {
            appraise(vec![AcceptedIdentity::TrustDomain(Box::new(reference))], &found)
        };
        assert_eq!(appraise(good), Ok(()));
        let least = TdReference {
            rtmrs: [None; 4],
            mr_config_id: None,
            mr_owner: None,
            mr_owner_config: None,
            ..good
        };
        assert_eq!(appraise(least), Ok(()));
        let mut wrong = vec![
            TdReference { mr_td: [2; 48], ..good },
            TdReference { mr_config_id: Some([9; 48]), ..good },
            TdReference { mr_owner: Some([9; 48]), ..good },
            TdReference { mr_owner_config: Some([9; 48]), ..good },
        ];
        for at in 0..4 {
            let mut rtmrs = good.rtmrs;
            rtmrs[at] = Some([9; 48]);
            wrong.push(TdReference { rtmrs, ..good });
        }
        for reference in wrong {
            assert_eq!(appraise(reference).unwrap_err().code(), "IdentityMismatch", "{reference:?}");
        }
    }

    #[test]
    fn an_enclave_is_no_trust_domain() {
        let reference = AcceptedIdentity::TrustDomain(Box::new(TdReference {
            mr_td: [1; 48],
            rtmrs: [None; 4],
            mr_config_id: None,
            mr_owner: None,
            mr_owner_config: None,
        }));
        assert!(appraise(vec![reference], &Workload::Enclave(enclave())).is_err());
        let exact = AcceptedIdentity::Enclave { mrenclave: [1; 32], kss: Kss::default() };
        assert!(appraise(vec![exact], &Workload::TrustDomain(Box::new(td()))).is_err());
    }

    #[test]
    fn what_was_found_names_kss_only_where_it_is_on() {
        let mut found = enclave();
        found.attributes[0] = 0x05;
        assert!(!describe(&Workload::Enclave(found)).contains("CONFIGID"));
        found.attributes[0] = 0x85;
        let text = describe(&Workload::Enclave(found));
        assert!(text.contains("CONFIGID 0606") && text.ends_with("CONFIGSVN 7"), "{text}");
    }
}
