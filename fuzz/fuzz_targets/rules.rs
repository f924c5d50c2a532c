//! Rules of a policy, one a line, the list by its first byte; requests with every kind of name are judged by what can be read.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tcs_x509::{LeafRequest, Policy, PolicyRules, Profile, Tbs};

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
        ca_depth: list('a').first().and_then(|depth| depth.parse().ok()),
    };
    let Ok(policy) = Policy::new(&rules) else { return };
    let (ca, _) = &*tcs_fuzz::CA;
    for request in &*tcs_fuzz::REQUESTS {
        let ask = LeafRequest {
            profile: Profile::KubernetesCsr,
            request,
            usages: &[],
            lifetime: None,
            now: tcs_fuzz::NOW,
            serial: [1; 16],
            clock_floor: 0,
            fixed: None,
            narrowing: Some(&policy),
            is_ca: false,
        };
        let judged = Tbs::build(&ask, ca).and_then(|tbs| tbs.judge(&ask, ca));
        assert!(!matches!(judged, Err(tcs_x509::Error::Judgement(_))), "{judged:?}");
    }
});
