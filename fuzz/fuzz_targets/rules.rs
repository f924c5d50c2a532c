//! Rules of a policy, one a line, the list by its first byte.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tcs_x509::{Policy, PolicyRules};

fuzz_target!(|text: &str| {
    let list = |mark: char| -> Vec<String> {
        text.lines().filter_map(|line| line.strip_prefix(mark)).map(str::to_owned).collect()
    };
    let lists = ['d', 'u', 'i', 'e', 'c', 'o', 'n', 's', 'k'].map(list);
    let [
        dns_names,
        uris,
        ip_ranges,
        email_addresses,
        common_names,
        organizations,
        organizational_units,
        usages,
        key_algorithms,
    ] = lists.each_ref().map(|list| (!list.is_empty()).then_some(list.as_slice()));
    let max_lifetime = None;
    let rules = PolicyRules {
        dns_names,
        uris,
        ip_ranges,
        email_addresses,
        common_names,
        organizations,
        organizational_units,
        usages,
        max_lifetime,
        key_algorithms,
        ca_depth: text.bytes().next(),
    };
    let _ = Policy::new(&rules);
});
