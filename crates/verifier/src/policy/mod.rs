//! The appraisal policy for evidence (RFC 9334, section 8.5).

mod identity;
mod tcb;

pub use identity::{AcceptedIdentity, Kss, TdReference};
pub use tcb::TcbPolicy;

use crate::Error;
use crate::checks::{CheckId, Record};
use crate::claims::{Claims, Enclave, Platform, TrustDomain, Workload};
use std::borrow::Cow;

/// A value under a mask, both in the byte order of the report. Only bits that are set in the mask are
/// compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Masked<const LEN: usize> {
    /// What the bits must be.
    pub value: [u8; LEN],
    /// Which bits are compared.
    pub mask: [u8; LEN],
}

impl<const LEN: usize> Masked<LEN> {
    /// Compares no bit.
    pub const ANY: Self = Self { value: [0; LEN], mask: [0; LEN] };

    fn matches(&self, found: &[u8; LEN]) -> bool {
        self.mask
            .iter()
            .zip(self.value.iter().zip(found))
            .all(|(mask, (value, found))| value & mask == found & mask)
    }

    fn describe(&self) -> String {
        if self.mask.iter().all(|mask| *mask == 0) {
            return "any".into();
        }
        format!("{} under mask {}", hex::encode(self.value), hex::encode(self.mask))
    }
}

/// What the policy requires of an SGX enclave besides its identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SgxPolicy {
    /// ATTRIBUTES: flags (8 bytes, little-endian), XFRM (8 bytes). By default INIT and MODE64BIT must be set,
    /// `PROVISION_KEY` and `EINITTOKEN_KEY` must not, and XFRM is not compared. DEBUG is checked separately,
    /// and no mask can allow it.
    pub attributes: Masked<16>,
    /// MISCSELECT, little-endian. Not compared by default.
    pub misc_select: Masked<4>,
}

impl Default for SgxPolicy {
    fn default() -> Self {
        let (mut value, mut mask) = ([0; 16], [0; 16]);
        // INIT 0x01, MODE64BIT 0x04, PROVISION_KEY 0x10, EINITTOKEN_KEY 0x20.
        (value[0], mask[0]) = (0x05, 0x35);
        Self { attributes: Masked { value, mask }, misc_select: Masked::ANY }
    }
}

/// What the policy requires of a trust domain besides its identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TdxPolicy {
    /// `TDATTRIBUTES`, little-endian. By default not restricted beyond what every verification requires: no
    /// debug, no profiling, no migration, no service TD, `SEPT_VE_DISABLE`.
    pub td_attributes: Masked<8>,
    /// XFAM, little-endian. Not compared by default.
    pub xfam: Masked<8>,
    /// MRSEAM of the accepted TDX modules. An empty list accepts every module that Intel's TCB info accepts.
    pub mr_seams: Vec<[u8; 48]>,
}

impl Default for TdxPolicy {
    fn default() -> Self {
        Self { td_attributes: Masked::ANY, xfam: Masked::ANY, mr_seams: Vec::new() }
    }
}

/// Which machines are accepted. The default accepts every one that Intel certified.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlatformPolicy {
    /// PPIDs.
    pub ppids: Vec<[u8; 16]>,
    /// Platform instances. A machine must be in this list or that of the PPIDs, unless both are empty.
    pub instances: Vec<[u8; 16]>,
    /// FMSPCs. An empty list accepts every family.
    pub fmspcs: Vec<[u8; 6]>,
}

/// The policy. The default accepts nothing: it names no identity.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// The enclaves and trust domains that are accepted.
    pub identities: Vec<AcceptedIdentity>,
    /// Accept every enclave and trust domain. [`Self::identities`] is then ignored.
    pub any_identity: bool,
    /// State of the platform.
    pub tcb: TcbPolicy,
    /// Of SGX enclaves.
    pub sgx: SgxPolicy,
    /// Of trust domains.
    pub tdx: TdxPolicy,
    /// The machines.
    pub platform: PlatformPolicy,
}

impl Policy {
    /// Makes every check, even after one failed, and returns the first failure.
    pub(crate) fn appraise(&self, claims: &Claims, record: &mut Record) -> Result<(), Error> {
        let mut result = self.tcb.appraise(claims, record);
        let mut next = |outcome: Result<(), Error>| {
            if result.is_ok() {
                result = outcome;
            }
        };
        next(record.conclude_policy(
            CheckId::Identity,
            self.describe_identities(),
            identity::describe(&claims.workload),
            self.check_identity(&claims.workload),
        ));
        match &claims.workload {
            Workload::Enclave(enclave) => self.sgx.appraise(enclave, record, &mut next),
            Workload::TrustDomain(td) => self.tdx.appraise(td, record, &mut next),
        }
        self.platform.appraise(&claims.platform, record, &mut next);
        result
    }

    fn check_identity(&self, found: &Workload) -> Result<(), Error> {
        if self.any_identity {
            return Ok(());
        }
        if self.identities.is_empty() {
            return Err(Error::NoIdentityConfigured);
        }
        if self.identities.iter().any(|accepted| accepted.matches(found)) {
            return Ok(());
        }
        Err(Error::IdentityMismatch(identity::describe(found)))
    }

    fn describe_identities(&self) -> Cow<'static, str> {
        match (self.any_identity, self.identities.as_slice()) {
            (true, _) => "any".into(),
            (false, []) => "none configured".into(),
            (false, [one]) => one.describe().into(),
            (false, several) => format!("one of {} configured", several.len()).into(),
        }
    }
}

impl SgxPolicy {
    fn appraise(&self, enclave: &Enclave, record: &mut Record, next: &mut dyn FnMut(Result<(), Error>)) {
        next(masked(record, CheckId::Attributes, "ATTRIBUTES", &self.attributes, &enclave.attributes));
        next(masked(record, CheckId::MiscSelect, "MISCSELECT", &self.misc_select, &enclave.misc_select));
    }
}

impl TdxPolicy {
    fn appraise(&self, td: &TrustDomain, record: &mut Record, next: &mut dyn FnMut(Result<(), Error>)) {
        next(masked(record, CheckId::Attributes, "TDATTRIBUTES", &self.td_attributes, &td.td_attributes));
        next(masked(record, CheckId::Xfam, "XFAM", &self.xfam, &td.xfam));
        let found = hex::encode(td.mr_seam);
        let result = if self.mr_seams.is_empty() || self.mr_seams.contains(&td.mr_seam) {
            Ok(())
        } else {
            Err(Error::TdModuleRefused(found.clone()))
        };
        next(record.conclude_policy(CheckId::TdModule, listed("MRSEAM", &self.mr_seams), found, result));
    }
}

impl PlatformPolicy {
    fn appraise(&self, found: &Platform, record: &mut Record, next: &mut dyn FnMut(Result<(), Error>)) {
        let ppid = hex::encode(found.ppid);
        let instance = found.platform_instance.map(hex::encode);
        let known = (self.ppids.is_empty() && self.instances.is_empty())
            || self.ppids.contains(&found.ppid)
            || found.platform_instance.is_some_and(|instance| self.instances.contains(&instance));
        let result = if known {
            Ok(())
        } else {
            Err(Error::PlatformUnknown { ppid: ppid.clone(), instance: instance.clone() })
        };
        let expected = match (self.ppids.as_slice(), self.instances.as_slice()) {
            ([], []) => "any".into(),
            (ppids, []) => listed("PPID", ppids),
            ([], instances) => listed("platform instance", instances),
            (ppids, instances) => {
                format!("{}, or {}", listed("PPID", ppids), listed("platform instance", instances))
            }
        };
        let described = format!("PPID {ppid}, platform instance {}", instance.as_deref().unwrap_or("none"));
        next(record.conclude_policy(CheckId::Platform, expected, described, result));

        let fmspc = hex::encode(found.fmspc);
        let result = if self.fmspcs.is_empty() || self.fmspcs.contains(&found.fmspc) {
            Ok(())
        } else {
            Err(Error::FmspcRefused(fmspc.clone()))
        };
        next(record.conclude_policy(CheckId::Fmspc, listed("FMSPC", &self.fmspcs), fmspc, result));
    }
}

fn masked<const LEN: usize>(
    record: &mut Record,
    id: CheckId,
    what: &'static str,
    asked: &Masked<LEN>,
    found: &[u8; LEN],
) -> Result<(), Error> {
    let (expected, hex) = (asked.describe(), hex::encode(found));
    let result = if asked.matches(found) {
        Ok(())
    } else {
        Err(Error::AttributesRefused { what, found: hex.clone(), expected: expected.clone() })
    };
    record.conclude_policy(id, expected, hex, result)
}

/// A list of accepted values, for messages.
fn listed<const LEN: usize>(what: &str, accepted: &[[u8; LEN]]) -> String {
    match accepted {
        [] => "any".into(),
        [one] => format!("{what} {}", hex::encode(one)),
        several => format!("{what}: one of {} configured", several.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_bits_of_the_mask_are_compared() {
        let asked = Masked { value: [0b0101, 0xff], mask: [0b0111, 0] };
        assert!(asked.matches(&[0b0101, 0]));
        assert!(asked.matches(&[0b1101, 7]));
        for wrong in [0b0100, 0b0001, 0b0111] {
            assert!(!asked.matches(&[wrong, 0xff]), "{wrong:b}");
        }
        // Bits of the value outside the mask have no meaning.
        assert!(Masked { value: [0xff], mask: [0] }.matches(&[0]));
        assert_eq!(asked.describe(), "05ff under mask 0700");
        assert_eq!(Masked::<2>::ANY.describe(), "any");
    }

    #[test]
    fn sgx_defaults_are_an_initialised_64_bit_enclave_without_keys_of_others() {
        let asked = SgxPolicy::default().attributes;
        let with = |flags: u8| {
            let mut found = [0; 16];
            found[0] = flags;
            asked.matches(&found)
        };
        assert!(with(0x05) && with(0x07) && with(0x85));
        for wrong in [0x04, 0x01, 0x15, 0x25] {
            assert!(!with(wrong), "{wrong:x}");
        }
    }
}
