//! Converts the rules of an issuer's policy into the message that the enclave enforces.

use tcs_api::v1alpha1::{PolicySpec, TextList};
use tcs_enclave_rpc::{Policy, Texts};

/// The rules as a message of the enclave RPC.
pub fn message(spec: &PolicySpec) -> Policy {
    let texts = |list: Option<&TextList>| list.map(|list| Texts(list.iter().map(str::to_owned).collect()));
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Every field has a different value, so that exchanged and forgotten fields are noticed.
    #[test]
    fn every_rule_is_converted_under_its_own_name() {
        let texts = |text: &str| Some(Texts(vec![text.to_owned(), format!("{text} too")]));
        let list = |text: &str| Some(TextList::from([text, &format!("{text} too")]));
        let spec = PolicySpec {
            dns_names: list("dns"),
            uris: list("uri"),
            ip_ranges: list("ip"),
            email_addresses: list("e-mail"),
            common_names: list("common name"),
            organizations: list("organization"),
            organizational_units: list("unit"),
            usages: list("usage"),
            max_lifetime_seconds: Some(4321),
            key_algorithms: list("key"),
            ca_depth: Some(5),
        };
        let expected = Policy {
            dns_names: texts("dns"),
            uris: texts("uri"),
            ip_ranges: texts("ip"),
            email_addresses: texts("e-mail"),
            common_names: texts("common name"),
            usages: texts("usage"),
            max_lifetime: Some(4321),
            key_algorithms: texts("key"),
            ca_depth: Some(5),
            organizations: texts("organization"),
            organizational_units: texts("unit"),
        };
        assert_eq!(message(&spec), expected);
    }

    #[test]
    fn a_missing_rule_stays_missing_and_an_empty_list_stays_empty() {
        assert_eq!(message(&PolicySpec::default()), Policy::default());
        let spec = PolicySpec { dns_names: Some(TextList::default()), ..PolicySpec::default() };
        assert_eq!(message(&spec), Policy { dns_names: Some(Texts(vec![])), ..Policy::default() });
    }
}
