//! Requests in the forms that Istio's programs make.

use super::{message, test_ca};
use crate::go::mutate::tlv;
use crate::{NOW, params};
use rcgen::{CertificateParams, CustomExtension, DistinguishedName, DnType, DnValue, KeyPair};
use tcs_x509::{CertificateRequest, Error, Policy, PolicyRules, Usage, issue};

const USAGES: [Usage; 4] =
    [Usage::DigitalSignature, Usage::KeyEncipherment, Usage::ServerAuth, Usage::ClientAuth];
const SIDECAR: &str = "spiffe://cluster.local/ns/mesh/sa/client";

/// A request with these values of the subject and critical alternative names.
fn asked(pair: &KeyPair, subject: &[(DnType, &str)], names: &[u8]) -> CertificateRequest {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = DistinguishedName::new();
    for (kind, value) in subject {
        let value = DnValue::PrintableString((*value).try_into().unwrap());
        parameters.distinguished_name.push(kind.clone(), value);
    }
    let mut extension = CustomExtension::from_oid_content(&[2, 5, 29, 17], tlv(0x30, names));
    extension.set_criticality(true);
    parameters.custom_extensions = vec![extension];
    CertificateRequest::from_der(parameters.serialize_request(pair).unwrap().der()).unwrap()
}

/// The outcome under a policy with URIs, and DNS names if there are any.
fn under(request: &CertificateRequest, rules: &PolicyRules<'_>) -> Result<Vec<u8>, Error> {
    let (ca, policy) = (test_ca(), Policy::new(rules).unwrap());
    let mut params = params(request, &USAGES, Some(86_400));
    params.fixed = Some(&policy);
    let made = issue(&params, &ca.chain(), &ca)?.der;
    assert_eq!(super::oracles_accept(Usage::ClientAuth, &made, &ca.chain(), NOW), [true, true]);
    Ok(made)
}

#[test]
fn istio_f1_an_empty_organization_says_nothing_and_needs_no_list() {
    let uris = ["spiffe://cluster.local/ns/*/sa/*".to_owned()];
    let dns_names = ["istiod", "istiod-remote", "istio-pilot"].map(|name| format!("{name}.istio-system.svc"));
    let only_uris = PolicyRules { uris: Some(&uris), ..PolicyRules::default() };
    let rsa = KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap();
    let p256 = KeyPair::generate().unwrap();
    let sidecar = tlv(0x86, SIDECAR.as_bytes());
    let (o, ou) = (DnType::OrganizationName, DnType::OrganizationalUnitName);
    let empty = [(o.clone(), "")];
    for (what, request) in [
        ("agent, RSA", asked(&rsa, &empty, &sidecar)),
        ("agent, P-256", asked(&p256, &empty, &sidecar)),
        ("ztunnel", asked(&p256, &[], &sidecar)),
        ("an empty unit", asked(&p256, &[(ou.clone(), "")], &sidecar)),
        ("two empty ones", asked(&p256, &[(o.clone(), ""), (ou.clone(), "")], &sidecar)),
    ] {
        assert!(under(&request, &only_uris).is_ok(), "{what}");
    }
    let names: Vec<u8> = dns_names.iter().flat_map(|name| tlv(0x82, name.as_bytes())).collect();
    let istiod = asked(&rsa, &empty, &names);
    assert!(under(&istiod, &PolicyRules { dns_names: Some(&dns_names), ..only_uris }).is_ok());
    assert!(message(under(&istiod, &only_uris), "PolicyRefused").contains("DNS names"));
    // What says something stays restricted, a blank included.
    for value in [" ", "mesh", "system-masters"] {
        let refused = under(&asked(&p256, &[(o.clone(), value)], &sidecar), &only_uris);
        assert!(message(refused, "PolicyRefused").contains("organizations"), "{value:?}");
        let refused = under(&asked(&p256, &[(ou.clone(), value)], &sidecar), &only_uris);
        assert!(message(refused, "PolicyRefused").contains("organizational units"), "{value:?}");
    }
    let foreign = asked(&p256, &empty, &tlv(0x86, b"spiffe://other/ns/a/sa/b"));
    assert!(message(under(&foreign, &only_uris), "PolicyRefused").contains("URIs"));
}
