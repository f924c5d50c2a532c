//! What no policy accepts of an enclave or trust domain (`docs/policy.md`, "Defaults"). Intel's library
//! leaves this to the relying party.

use crate::Error;
use crate::checks::{CheckId, Record};
use crate::claims::{TrustDomain, Workload};
use crate::trust_anchor::TrustAnchor;

const SERVTD_EXT: u64 = 1 << 17;
const SEPT_VE_DISABLE: u64 = 1 << 28;
const MIGRATABLE: u64 = 1 << 29;
/// Bits that the TDX Module ABI Specification requires to be zero. Those of `TDATTRIBUTES.TUD`, the lowest
/// byte, are checked as debug mode.
const RESERVED: u64 = !(0xff | 0x007f_0000 | 0xf800_0000 | 0xc000_0000_0000_0000);

impl Workload {
    /// Whatever no policy accepts of it besides debug mode, in clauses that say what was found and expected;
    /// empty for an enclave.
    #[must_use]
    pub fn never_accepted(&self) -> Vec<String> {
        match self {
            Self::Enclave(_) => Vec::new(),
            Self::TrustDomain(td) => faults(td),
        }
    }
}

/// What no policy accepts of a workload.
pub fn check_workload(workload: &Workload, trust: &TrustAnchor, record: &mut Record) -> Result<(), Error> {
    record.conclude(CheckId::Debug, check_debug(workload, trust), |()| {
        if workload.is_debug() { "debug mode, under a SIMULATED root" } else { "not in debug mode" }
    })?;
    let faults = workload.never_accepted();
    let result = if faults.is_empty() { Ok(()) } else { Err(Error::TrustDomainRefused(faults.join("; "))) };
    record.conclude(CheckId::TrustDomain, result, |()| "as expected")
}

/// Debug mode is refused by every policy (`docs/conformance.md`, Q9). The only exception is the DEBUG bit
/// under a simulated root. The other bits of `TDATTRIBUTES.TUD`, such as profiling, are refused under every
/// root.
fn check_debug(workload: &Workload, trust: &TrustAnchor) -> Result<(), Error> {
    let only_debug = match workload {
        Workload::Enclave(_) => true,
        Workload::TrustDomain(td) => td.td_attributes.first().is_some_and(|tud| *tud & !0x01 == 0),
    };
    if !workload.is_debug() || (trust.is_simulated() && only_debug) {
        return Ok(());
    }
    Err(Error::DebugEnclave(match workload {
        Workload::Enclave(_) => "enclave",
        Workload::TrustDomain(_) => "trust domain",
    }))
}

fn faults(td: &TrustDomain) -> Vec<String> {
    let attributes = u64::from_le_bytes(td.td_attributes);
    let mut faults = Vec::new();
    if let Some(service) = td.mr_service_td.filter(|found| found.iter().any(|byte| *byte != 0)) {
        faults.push(format!(
            "it has a service TD: MRSERVICETD is {}, expected only zeros",
            hex::encode(service)
        ));
    }
    if attributes & MIGRATABLE != 0 {
        faults.push("it can be migrated: TDATTRIBUTES.MIGRATABLE is set, expected clear".to_owned());
    }
    if attributes & SERVTD_EXT != 0 {
        faults.push("TDATTRIBUTES.SERVTD_EXT is set, expected clear".to_owned());
    }
    if attributes & SEPT_VE_DISABLE == 0 {
        faults.push("TDATTRIBUTES.SEPT_VE_DISABLE is clear, expected set".to_owned());
    }
    if attributes & RESERVED != 0 {
        let found = hex::encode((attributes & RESERVED).to_le_bytes());
        faults.push(format!("TDATTRIBUTES has the reserved bits {found}, expected none"));
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claims::{Enclave, TrustDomain};

    fn enclave(flags: u8) -> Workload {
        let mut attributes = [0; 16];
        attributes[0] = flags;
        Workload::Enclave(Enclave {
            mrenclave: [0; 32],
            mrsigner: [0; 32],
            isv_prod_id: 0,
            isv_svn: 0,
            attributes,
            misc_select: [0; 4],
            config_id: [0; 64],
            config_svn: 0,
            isv_ext_prod_id: [0; 16],
            isv_family_id: [0; 16],
        })
    }

    fn td(tud: u8) -> Workload {
        let mut td_attributes = [0; 8];
        td_attributes[0] = tud;
        Workload::TrustDomain(Box::new(TrustDomain {
            mr_td: [0; 48],
            rtmrs: [[0; 48]; 4],
            mr_config_id: [0; 48],
            mr_owner: [0; 48],
            mr_owner_config: [0; 48],
            mr_seam: [0; 48],
            td_attributes,
            xfam: [0; 8],
            tee_tcb_svn: [0; 16],
            tee_tcb_svn_2: None,
            mr_service_td: None,
        }))
    }

    /// W-D1: the stock enclave of the original was a debug enclave. There is no genuine debug quote to test
    /// with, so the check itself is tested; `tests/it/simulation.rs` tests the limits of the exception.
    #[test]
    fn w_d1_q9_debug_is_refused_under_intels_root() {
        for (workload, name) in
            [(enclave(0x07), "enclave"), (td(0x01), "trust domain"), (td(0x80), "trust domain")]
        {
            assert_eq!(check_debug(&workload, &TrustAnchor::intel()), Err(Error::DebugEnclave(name)));
        }
        for workload in [enclave(0x05), td(0)] {
            assert_eq!(check_debug(&workload, &TrustAnchor::intel()), Ok(()));
        }
    }
}
