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
        /// Minimum ISVSVN.
        min_isv_svn: u16,
        /// Fields of key separation and sharing.
        kss: Kss,
    },
    /// A trust domain with these measurements.
    TrustDomain(Box<TdReference>),
}

/// Fields of SGX's key separation and sharing (KSS). A field that is `None` is not compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kss {
    /// CONFIGID: set by the host when it starts the enclave.
    pub config_id: Option<[u8; 64]>,
    /// Minimum CONFIGSVN.
    pub min_config_svn: Option<u16>,
    /// ISVEXTPRODID.
    pub isv_ext_prod_id: Option<[u8; 16]>,
    /// ISVFAMILYID.
    pub isv_family_id: Option<[u8; 16]>,
}

/// Reference values of a trust domain. A value that is `None` is not compared.
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

    /// In which fields a trust domain differs from that of this entry; `None` if one of them is an enclave.
    /// All values together would be too long for a message.
    pub(super) fn difference(&self, found: &Workload) -> Option<String> {
        match (self, found) {
            (Self::TrustDomain(reference), Workload::TrustDomain(found)) => reference.difference(found),
            _ => None,
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

    /// The first field that differs with both values, and the names of the others.
    fn difference(&self, found: &TrustDomain) -> Option<String> {
        let names = ["MRTD", "RTMR0", "RTMR1", "RTMR2", "RTMR3", "MRCONFIGID", "MROWNER", "MROWNERCONFIG"];
        let asked = [Some(self.mr_td)].into_iter().chain(self.rtmrs);
        let asked = asked.chain([self.mr_config_id, self.mr_owner, self.mr_owner_config]);
        let has = [found.mr_td].into_iter().chain(found.rtmrs);
        let has = has.chain([found.mr_config_id, found.mr_owner, found.mr_owner_config]);
        let mut differing = names.into_iter().zip(asked.zip(has)).filter_map(|(name, (asked, has))| {
            asked.filter(|asked| *asked != has).map(|asked| (name, asked, has))
        });
        let (name, asked, has) = differing.next()?;
        let mut text = format!("{name} is {}, expected {}", hex::encode(has), hex::encode(asked));
        let others: Vec<&str> = differing.map(|(name, _, _)| name).collect();
        if !others.is_empty() {
            let _ = write!(text, "; {} differ, too", others.join(", "));
        }
        Some(text)
    }

    fn describe(&self) -> String {
        // These are the longest texts of a verdict. They are written in place, which takes no noticeable
        // time.
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
mod tests;
