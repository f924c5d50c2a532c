//! Rules of a policy, one on each line, with the list named by its first byte. The rules that can be read are
//! applied to requests with every kind of name.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tcs_x509::{IssuanceRequest, Policy, PolicyRules};

fuzz_target!(|text: &str| {
    let list = |mark: char| -> Vec<String> {
        text.lines().filter_map(|line| line.strip_prefix(mark)).map(str::to_owned).collect()
    };
    let lists = ['d', 'u', 'i', 'e', 'c', 'o', 'n', 's', 'k'].map(list);
    let [dns, uris, ips, emails, common_names, organizations, units, usages, keys] =
        lists.each_ref().map(|list| (!list.is_empty()).then_some(list.as_slice()));
    let rules = PolicyRules {
        dns_names: dns,
        uris,
        ip_ranges: ips,
        email_addresses: emails,
        common_names,
        organizations,
        organizational_units: units,
        usages,
        max_lifetime: None,
        key_algorithms: keys,
        ca_depth: list('a').first().and_then(|depth| depth.parse().ok()),
    };
    let Ok(policy) = Policy::new(&rules) else { return };
    for request in &*tcs_fuzz::REQUESTS {
        tcs_fuzz::build_and_check(&IssuanceRequest { narrowing: Some(&policy), ..tcs_fuzz::params(request) });
    }
});
