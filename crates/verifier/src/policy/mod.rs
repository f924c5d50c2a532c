//! The appraisal policy for evidence (RFC 9334, section 8.5).

mod identity;
mod masked;
mod tcb;

pub use identity::{AcceptedIdentity, Kss, TdReference};
pub use masked::Masked;
pub use tcb::TcbPolicy;

use crate::Error;
use crate::attributes;
use crate::checks::{CheckId, Record};
use crate::claims::{Claims, Enclave, Platform, TrustDomain, Workload};
use masked::Field;
use std::borrow::Cow;

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

    fn check_identity(&self, workload: &Workload) -> Result<(), Error> {
        if self.any_identity {
            return Ok(());
        }
        if self.identities.is_empty() {
            return Err(Error::NoIdentityConfigured);
        }
        if self.identities.iter().any(|accepted| accepted.matches(workload)) {
            return Ok(());
        }
        let found = identity::describe(workload);
        Err(Error::IdentityMismatch(match self.identities.as_slice() {
            [one] => {
                one.difference(workload).unwrap_or_else(|| format!("{found}, expected {}", one.describe()))
            }
            several => format!("{found}, expected one of {} configured", several.len()),
        }))
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
        let field = Field { id: CheckId::Attributes, name: "ATTRIBUTES", bits: attributes::sgx_attributes };
        next(field.masked(record, &self.attributes, &enclave.attributes));
        let field = Field { id: CheckId::MiscSelect, name: "MISCSELECT", bits: attributes::misc_select };
        next(field.masked(record, &self.misc_select, &enclave.misc_select));
    }
}

impl TdxPolicy {
    fn appraise(&self, td: &TrustDomain, record: &mut Record, next: &mut dyn FnMut(Result<(), Error>)) {
        let field = Field { id: CheckId::Attributes, name: "TDATTRIBUTES", bits: attributes::td_attributes };
        next(field.masked(record, &self.td_attributes, &td.td_attributes));
        let field = Field { id: CheckId::Xfam, name: "XFAM", bits: attributes::xfam };
        next(field.masked(record, &self.xfam, &td.xfam));
        let found = hex::encode(td.mr_seam);
        let result = if self.mr_seams.is_empty() || self.mr_seams.contains(&td.mr_seam) {
            Ok(())
        } else {
            Err(Error::TdModuleRefused { found: found.clone(), expected: listed("MRSEAM", &self.mr_seams) })
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
        let expected = match (self.ppids.as_slice(), self.instances.as_slice()) {
            ([], []) => "any".into(),
            (ppids, []) => listed("PPID", ppids),
            ([], instances) => listed("platform instance", instances),
            (ppids, instances) => {
                format!("{}, or {}", listed("PPID", ppids), listed("platform instance", instances))
            }
        };
        let result = if known {
            Ok(())
        } else {
            let expected = expected.clone();
            Err(Error::PlatformUnknown { ppid: ppid.clone(), instance: instance.clone(), expected })
        };
        let described = format!("PPID {ppid}, platform instance {}", instance.as_deref().unwrap_or("none"));
        next(record.conclude_policy(CheckId::Platform, expected, described, result));

        let fmspc = hex::encode(found.fmspc);
        let result = if self.fmspcs.is_empty() || self.fmspcs.contains(&found.fmspc) {
            Ok(())
        } else {
            Err(Error::FmspcRefused { found: fmspc.clone(), expected: listed("FMSPC", &self.fmspcs) })
        };
        next(record.conclude_policy(CheckId::Fmspc, listed("FMSPC", &self.fmspcs), fmspc, result));
    }
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
