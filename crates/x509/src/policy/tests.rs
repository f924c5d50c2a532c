use super::*;

fn texts(all: &[&str]) -> Vec<String> {
    all.iter().map(ToString::to_string).collect()
}

#[test]
fn rules_that_cannot_be_read_name_their_list() {
    let (bad, good) = (texts(&["*"]), texts(&["a.example"]));
    let refused = |rules: PolicyRules<'_>| match Policy::new(&rules) {
        Err(Error::PolicyMalformed(what)) => what,
        other => panic!("{other:?}"),
    };
    let none = PolicyRules::default();
    assert_eq!(refused(PolicyRules { dns_names: Some(&bad), ..none }), "DNS names");
    assert_eq!(refused(PolicyRules { uris: Some(&bad), ..none }), "URIs");
    assert_eq!(refused(PolicyRules { ip_ranges: Some(&bad), ..none }), "IP ranges");
    assert_eq!(refused(PolicyRules { email_addresses: Some(&bad), ..none }), "e-mail addresses");
    let blank = texts(&[""]);
    assert_eq!(refused(PolicyRules { common_names: Some(&blank), ..none }), "common names");
    assert_eq!(refused(PolicyRules { organizations: Some(&blank), ..none }), "organizations");
    assert_eq!(refused(PolicyRules { organizational_units: Some(&blank), ..none }), "organizational units");
    for wrong in ["x", "cert sign", "crl sign", ""] {
        assert_eq!(refused(PolicyRules { usages: Some(&texts(&[wrong])), ..none }), "usages");
    }
    for wrong in ["RSA-1024", "RSA-", "rsa", "ECDSA-P224", "RSA-8193"] {
        assert_eq!(refused(PolicyRules { key_algorithms: Some(&texts(&[wrong])), ..none }), "key algorithms");
    }
    for wrong in [0, 599, LONGEST_LIFETIME + 1, u64::MAX] {
        let what = refused(PolicyRules { max_lifetime: Some(wrong), ..none });
        assert_eq!(what, "maxLifetimeSeconds must be 600 seconds to 365 days");
    }
    let many = vec!["a.example".to_owned(); 65];
    assert_eq!(refused(PolicyRules { dns_names: Some(&many), ..none }), "DNS names");
    let long = texts(&[&"a.".repeat(1100)]);
    assert_eq!(refused(PolicyRules { common_names: Some(&long), ..none }), "common names");
    let much = vec!["x".repeat(1100); 60];
    assert_eq!(refused(PolicyRules { common_names: Some(&much), ..none }), "longer than 64 KiB");
    assert!(Policy::new(&PolicyRules { common_names: Some(&much[..59]), ..none }).is_ok());
    assert!(Policy::new(&PolicyRules { dns_names: Some(&good), max_lifetime: Some(600), ..none }).is_ok());
    assert_eq!(Policy::new(&none), Ok(Policy::default()));
}
