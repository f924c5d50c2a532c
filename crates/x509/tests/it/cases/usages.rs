//! Extended key usages of CAs.

use super::{
    CASES_NOW, Key, certificates, key, leaf, message, oracles_accept, oracles_on_path, unchecked_leaf,
};
use crate::chain::{Delivered, below, root};
use crate::go::mutate::tlv;
use crate::{NOW, plain};
use rcgen::{CertificateParams, CustomExtension, ExtendedKeyUsagePurpose as Purpose, KeyPair};
use tcs_x509::{CaChain, Usage};

const SERVER_AUTH: &[u8] = b"\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x01";
const CLIENT_AUTH: &[u8] = b"\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x02";
const ANY: &[u8] = b"\x06\x04\x55\x1d\x25\x00";

/// Gives a CA extended key usages.
fn usages(all: &[&[u8]], critical: bool) -> impl FnOnce(&mut CertificateParams) {
    let mut extension = CustomExtension::from_oid_content(&[2, 5, 29, 37], tlv(0x30, &all.concat()));
    extension.set_criticality(critical);
    move |parameters| parameters.custom_extensions = vec![extension]
}

/// The usages of a leaf below the first certificate, or the code and message of the refusal.
fn outcome(delivered: &[&Delivered], usages: &[Usage]) -> Result<[[bool; 2]; 2], String> {
    let ders: Vec<&Vec<u8>> = delivered.iter().map(|ca| &ca.der).collect();
    let chain = CaChain::from_delivered(&ders, NOW).unwrap();
    let signer = Key(KeyPair::try_from(delivered[0].pair.serialized_der()).unwrap());
    let made = leaf((&chain, &signer), &plain(), usages, NOW);
    let made = made.map_err(|error| format!("{}: {error}", error.clone().code()))?;
    Ok([Usage::ServerAuth, Usage::ClientAuth].map(|usage| oracles_accept(usage, &made, &chain, NOW)))
}

const YES: [bool; 2] = [true, true];
const NO: [bool; 2] = [false, false];

#[test]
fn case_p29_extended_key_usages_of_a_ca_bind_the_leaves() {
    let chain = CaChain::from_delivered(&certificates("eku.crt"), CASES_NOW).unwrap();
    let signer = key("eku.key");
    let of = |usages: &[Usage]| leaf((&chain, &signer), &plain(), usages, CASES_NOW);
    let said = message(of(&[Usage::DigitalSignature, Usage::ClientAuth]), "UsageForbidden");
    assert!(said.contains("'client auth'") && said.contains("\"O=Acme, CN=EKU server only\""), "{said}");
    let server = of(&[Usage::DigitalSignature, Usage::ServerAuth]).unwrap();
    assert_eq!(oracles_accept(Usage::ServerAuth, &server, &chain, CASES_NOW), YES);
    assert_eq!(oracles_accept(Usage::ClientAuth, &server, &chain, CASES_NOW), NO);

    let (signature, server, client) = (Usage::DigitalSignature, Usage::ServerAuth, Usage::ClientAuth);
    for critical in [false, true] {
        let ca = root(usages(&[SERVER_AUTH], critical));
        assert_eq!(outcome(&[&ca], &[signature, server]), Ok([YES, NO]));
        for outside in
            [[server, client], [signature, client], [server, Usage::Any], [server, Usage::CodeSigning]]
        {
            assert!(outcome(&[&ca], &outside).unwrap_err().starts_with("UsageForbidden"), "{outside:?}");
        }
        // A leaf without extended key usages is good for those of the CA.
        assert_eq!(outcome(&[&ca], &[signature]), Ok([YES, NO]));
    }
    let both = root(usages(&[SERVER_AUTH, CLIENT_AUTH], false));
    assert_eq!(outcome(&[&both], &[server, client]), Ok([YES, YES]));
    // Those of intermediates bind as well, each of them.
    let top = root(|_| ());
    let middle = below(&top, "middle", usages(&[SERVER_AUTH], false));
    let issuing = below(&middle, "issuing", usages(&[SERVER_AUTH, CLIENT_AUTH], false));
    let refused = outcome(&[&issuing, &middle, &top], &[client]).unwrap_err();
    assert!(refused.starts_with("UsageForbidden") && refused.contains("\"CN=middle\""), "{refused}");
    assert_eq!(outcome(&[&issuing, &middle, &top], &[server]), Ok([YES, NO]));
    // `anyExtendedKeyUsage` is a usage like any other: openssl does not expand it.
    let any = root(usages(&[SERVER_AUTH, CLIENT_AUTH, ANY], false));
    assert_eq!(outcome(&[&any], &[server, client]), Ok([YES, YES]));
    assert!(outcome(&[&any], &[server, Usage::Any]).is_ok());
    assert!(outcome(&[&any], &[server, Usage::CodeSigning]).unwrap_err().contains("'code signing'"));
}

/// RFC 5280 does not apply the extensions of a trust anchor above the chain, but openssl and Go do.
#[test]
fn case_p29_those_of_a_root_above_the_chain_bind() {
    let top = root(usages(&[SERVER_AUTH], false));
    let issuing = below(&top, "issuing", |_| ());
    let refused = outcome(&[&issuing, &top], &[Usage::ClientAuth]).unwrap_err();
    assert!(refused.starts_with("UsageForbidden") && refused.contains("\"CN=root\""), "{refused}");
    assert_eq!(outcome(&[&issuing, &top], &[Usage::ServerAuth]), Ok([YES, NO]));
    let leaf = unchecked_leaf(&issuing, |leaf| leaf.extended_key_usages = vec![Purpose::ClientAuth]);
    assert_eq!(oracles_on_path(Usage::ClientAuth, &leaf, &[&issuing.der], &top.der, NOW), NO);
}

/// A CA with nothing but `anyExtendedKeyUsage` issues for no usage that openssl accepts.
#[test]
fn case_p29_any_extended_key_usage_contains_no_other() {
    let ca = root(usages(&[ANY], false));
    for usage in [Usage::ServerAuth, Usage::ClientAuth] {
        let refused = outcome(&[&ca], &[usage]).unwrap_err();
        assert!(refused.starts_with("UsageForbidden"), "{refused}");
        let purposes = vec![Purpose::ServerAuth, Purpose::ClientAuth];
        let leaf = unchecked_leaf(&ca, |leaf| leaf.extended_key_usages = purposes);
        assert_eq!(oracles_on_path(usage, &leaf, &[], &ca.der, NOW), [true, false], "Go, openssl");
    }
}

/// What is refused would be useless.
#[test]
fn case_p29_the_oracles_refuse_leaves_outside() {
    let ca = root(usages(&[SERVER_AUTH], false));
    let leaf = unchecked_leaf(&ca, |leaf| leaf.extended_key_usages = vec![Purpose::ClientAuth]);
    for usage in [Usage::ServerAuth, Usage::ClientAuth] {
        assert_eq!(oracles_on_path(usage, &leaf, &[], &ca.der, NOW), NO);
    }
}
