//! Policies that the enclave cannot read are refused at admission. The enclave's reader is asked about
//! everything that the API server is asked about.

use crate::support::api_server::write;
use serde_json::{Value, json};
use tcs_x509::{Policy, PolicyRules};

/// Asks the API server whether it takes these rules, as `spec.policy` or `spec.ca.policy`.
fn admit(policy: &Value, of_ca: bool) -> Result<(), String> {
    let mut spec = json!({"secretName": "s"});
    if of_ca {
        spec["ca"] = json!({"policy": policy});
    } else {
        spec["policy"] = policy.clone();
    }
    let manifest = json!({
        "apiVersion": "tcs.intel.com/v1alpha1", "kind": "TCSIssuer",
        "metadata": {"name": "a", "namespace": "default"}, "spec": spec,
    });
    write(&["create", "--dry-run=server"], &manifest).map(drop)
}

/// Whether the enclave's reader takes a list with one entry.
fn is_readable(list: &str, entry: &str) -> bool {
    let entries = [entry.to_owned()];
    let mut rules = PolicyRules::default();
    let field = match list {
        "dnsNames" => &mut rules.dns_names,
        "uris" => &mut rules.uris,
        "ipRanges" => &mut rules.ip_ranges,
        "emailAddresses" => &mut rules.email_addresses,
        "usages" => &mut rules.usages,
        _ => &mut rules.key_algorithms,
    };
    *field = Some(&entries);
    Policy::new(&rules).is_ok()
}

#[test]
fn case_p35_policies_that_cannot_be_read_are_refused_at_admission() {
    let long = "a".repeat(64);
    let (long_dns, long_mail) = (format!("{long}.example"), format!("u@{long}.example"));
    let good: [(&str, &[&str]); 6] = [
        (
            "dnsNames",
            &["a.example", "*.a.example", "**.a.example", "_dns.a.example", "a", "xn--bcher-kva.example"],
        ),
        (
            "uris",
            &[
                "spiffe://td.example",
                "spiffe://td.example/ns/*/sa/web",
                "spiffe://td.example/**",
                "https://a.example:8443/a-b_c~d",
                "a+b://c/d/*/**",
            ],
        ),
        (
            "ipRanges",
            &["10.0.0.0/8", "10.0.0.1", "0.0.0.0/0", "2001:db8::/32", "::/0", "2001:db8::1", "10.0.0.1/32"],
        ),
        ("emailAddresses", &["u@a.example", "*@a.example", "*@**.a.example", "u.v+w@a.example"]),
        ("usages", &["server auth", "signing", "any", "s/mime", "ocsp signing"]),
        ("keyAlgorithms", &["RSA", "RSA-2048", "RSA-3072", "RSA-8192", "ECDSA-P256", "Ed25519"]),
    ];
    for (list, entries) in good {
        for entry in entries {
            assert!(is_readable(list, entry), "{list} {entry}");
        }
        admit(&json!({list: entries}), false).unwrap_or_else(|error| panic!("{list}: {error}"));
    }
    let bad: [(&str, &[&str]); 6] = [
        ("dnsNames", &["a.*.example", "*", "-a.example", "a..example", &long_dns, "a.example."]),
        (
            "uris",
            &[
                "spiffe://td.example/a/../b",
                "spiffe://td.example/.",
                "spiffe://td.example/a//b",
                "spiffe://td.example/a/",
                "spiffe://td.example/a*",
                "spiffe://td.example/**/a",
                "spiffe://u@td.example/a",
                "spiffe:///a",
                "spiffe://td.example/a?b",
            ],
        ),
        (
            "ipRanges",
            &[
                "10.0.0.0/33",
                "10.0.0.1/8",
                "2001:db8::/129",
                "2001:db8::1/32",
                "10.0.0",
                "10.0.0.0/",
                "1:2",
                "256.0.0.0/8",
                "010.0.0.0/8",
            ],
        ),
        ("emailAddresses", &["@a.example", "u@", "u@*", "u@-a.example", &long_mail]),
        ("usages", &["cert sign", "crl sign", "Server Auth", "server", ""]),
        ("keyAlgorithms", &["RSA-2000", "RSA-2047", "RSA-8193", "RSA-8999", "rsa", "ECDSA-P224"]),
    ];
    for (list, entries) in bad {
        for entry in entries {
            assert!(!is_readable(list, entry), "{list} {entry}");
            let error = admit(&json!({list: [entry]}), false).expect_err(entry);
            assert!(error.contains(&format!("spec.policy.{list}")), "{entry}: {error}");
        }
    }
    let error = admit(&json!({"ipRanges": ["10.0.0.0/8", "10.0.0.0/33"]}), true).unwrap_err();
    assert!(error.contains("spec.ca.policy.ipRanges") && error.contains("no bit is set"), "{error}");
}

#[test]
fn review_m2_a_policy_has_at_most_16_kib() {
    let uri = format!("spiffe://td.example/{}", "a".repeat(2048 - 20));
    let full = vec![uri; 8];
    let with = |more: &Value| {
        let mut policy = json!({"uris": full});
        policy.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        policy
    };
    let wide = vec!["\u{1d11e}".repeat(253); 64];
    for of_ca in [false, true] {
        admit(&with(&json!({})), of_ca).unwrap();
        for more in [
            json!({"dnsNames": ["a"]}),
            json!({"ipRanges": ["::"]}),
            json!({"emailAddresses": ["a@b"]}),
            json!({"commonNames": ["*"]}),
            json!({"organizations": ["o"]}),
            json!({"organizationalUnits": ["o"]}),
            json!({"usages": ["any"]}),
            json!({"keyAlgorithms": ["RSA"]}),
        ] {
            let error = admit(&with(&more), of_ca).expect_err(&more.to_string());
            assert!(error.contains("at most 16384 bytes"), "{more}: {error}");
        }
        let error = admit(&json!({"commonNames": wide}), of_ca).unwrap_err();
        assert!(error.contains("at most 16384 bytes"), "characters are not bytes: {error}");
    }
}
