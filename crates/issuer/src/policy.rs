//! An issuer's policy on its way to the enclave, which reads and judges it.

use tcs_api::v1alpha1::PolicySpec;
use tcs_enclave_rpc::{Policy, Texts};

/// The same rules in the enclave's message.
pub fn message(spec: &PolicySpec) -> Policy {
    let texts = |list: Option<&Vec<String>>| list.cloned().map(Texts);
    Policy {
        dns_names: texts(spec.dns_names.as_ref()),
        uris: texts(spec.uris.as_ref()),
        ip_ranges: texts(spec.ip_ranges.as_ref()),
        email_addresses: texts(spec.email_addresses.as_ref()),
        common_names: texts(spec.common_names.as_ref()),
        usages: texts(spec.usages.as_ref()),
        max_lifetime: spec.max_lifetime_seconds.map(u64::from),
        key_algorithms: texts(spec.key_algorithms.as_ref()),
        ca_depth: spec.ca_depth,
        organizations: texts(spec.organizations.as_ref()),
        organizational_units: texts(spec.organizational_units.as_ref()),
    }
}
