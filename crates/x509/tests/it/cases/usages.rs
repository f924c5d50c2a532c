//! Extended key usages of CAs.

use super::{CASES_NOW, Key, certificates, key, leaf, message, oracles_accept, oracles_on_path};
use crate::chain::{Delivered, below, root};
use crate::go::mutate::tlv;
use crate::{NOW, plain};
use rcgen::{CertificateParams, CustomExtension, ExtendedKeyUsagePurpose as Purpose, Issuer, KeyPair};
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
    // `anyExtendedKeyUsage` allows all; for openssl it does not, which is stricter than RFC 5280.
    let any = root(usages(&[SERVER_AUTH, CLIENT_AUTH, ANY], false));
    assert_eq!(outcome(&[&any], &[server, client]), Ok([YES, YES]));
    assert!(outcome(&[&any], &[server, Usage::CodeSigning]).is_ok());
}

/// RFC 5280 does not apply the extensions of a trust anchor above the chain.
#[test]
fn case_p29_those_of_a_root_above_the_chain_do_not_bind() {
    let top = root(usages(&[SERVER_AUTH], false));
    let issuing = below(&top, "issuing", |_| ());
    assert!(outcome(&[&issuing, &top], &[Usage::ClientAuth]).is_ok());
}

/// What is refused would be useless.
#[test]
fn case_p29_the_oracles_refuse_leaves_outside() {
    let ca = root(usages(&[SERVER_AUTH], false));
    let pair = KeyPair::generate().unwrap();
    let mut parameters = CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
    (parameters.not_before, parameters.not_after) =
        (rcgen::date_time_ymd(2026, 1, 1), rcgen::date_time_ymd(2027, 1, 1));
    parameters.extended_key_usages = vec![Purpose::ClientAuth];
    let leaf = parameters.signed_by(&pair, &Issuer::new(ca.parameters.clone(), &ca.pair)).unwrap();
    for usage in [Usage::ServerAuth, Usage::ClientAuth] {
        assert_eq!(oracles_on_path(usage, leaf.der(), &[], &ca.der, NOW), NO);
    }
}
