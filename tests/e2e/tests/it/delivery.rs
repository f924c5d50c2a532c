//! Wrong deliveries (acceptance 1.5) and the bytes of right ones (1.3).

use crate::bed::{Ca, Issuer, certificate_text, encode, shared};
use std::process::Command;
use tcs_testkit::process::run;

/// Refused with this code; then the Secret is replaced and the issuer turns Ready, without any restart.
fn refused_then_mended(issuer: &Issuer<'_>, ca: &Ca, code: &str) {
    let message = issuer.wait_reason("KeyRejected");
    assert!(message.contains(code), "{code}: {message}");
    let attestation = issuer.attestation().unwrap();
    let conditions = attestation["status"]["conditions"].as_array().unwrap();
    let refused = conditions.iter().find(|condition| condition["type"] == "KeyAccepted").unwrap();
    assert_eq!((refused["status"].as_str(), refused["reason"].as_str()), (Some("False"), Some(code)));
    assert!(
        conditions.iter().any(|condition| condition["type"] == "CASecretReady"),
        "the key owner's entry stays"
    );
    assert!(issuer.events().contains("KeyRejected"));
    issuer.put_secret(Some(&issuer.wrap(&ca.key)), Some(&certificate_text(&ca.certificate)));
    issuer.wait_reason("Ready");
}

fn scene(name: &str) -> (Issuer<'static>, Ca) {
    let bed = shared();
    let issuer = bed.issuer(name);
    issuer.wait_reason("AwaitingKey");
    (issuer, bed.p256_ca())
}

#[test]
fn a_missing_key_is_refused() {
    let (issuer, ca) = scene("missing-key");
    issuer.put_secret(None, Some(&certificate_text(&ca.certificate)));
    issuer.patch_status(&issuer.secret(), "KMRA");
    refused_then_mended(&issuer, &ca, "MissingKey");
}

#[test]
fn a_garbled_key_is_refused() {
    let (issuer, ca) = scene("garbled-key");
    issuer.put_secret(Some("km-wrap: error"), Some(&certificate_text(&ca.certificate)));
    issuer.patch_status(&issuer.secret(), "KMRA");
    refused_then_mended(&issuer, &ca, "CorruptKey");
}

#[test]
fn a_missing_certificate_is_refused() {
    let (issuer, ca) = scene("missing-crt");
    issuer.put_secret(Some(&issuer.wrap(&ca.key)), None);
    issuer.patch_status(&issuer.secret(), "KMRA");
    refused_then_mended(&issuer, &ca, "MissingCertificate");
}

#[test]
fn a_garbled_certificate_is_refused() {
    let (issuer, ca) = scene("garbled-crt");
    issuer.put_secret(Some(&issuer.wrap(&ca.key)), Some(&encode(b"not PEM")));
    issuer.patch_status(&issuer.secret(), "KMRA");
    refused_then_mended(&issuer, &ca, "CorruptCertificate");
}

#[test]
fn a_wrong_secret_type_is_refused() {
    let (issuer, ca) = scene("wrong-type");
    issuer.put_secret(Some(&issuer.wrap(&ca.key)), Some(&certificate_text(&ca.certificate)));
    issuer.patch_status(&issuer.secret(), "Opaque");
    assert!(issuer.wait_reason("KeyRejected").contains("SecretTypeUnsupported"));
    // The document's patch, sent again, corrects it.
    issuer.patch_status(&issuer.secret(), "KMRA");
    issuer.wait_reason("Ready");
}

#[test]
fn a_wrap_for_another_key_is_refused() {
    let (issuer, ca) = scene("other-wrap");
    let other = shared().issuer("other");
    other.wait_reason("AwaitingKey");
    issuer.put_secret(Some(&other.wrap(&ca.key)), Some(&certificate_text(&ca.certificate)));
    issuer.patch_status(&issuer.secret(), "KMRA");
    refused_then_mended(&issuer, &ca, "WrappedKeyInvalid");
}

#[test]
fn a_certificate_of_another_key_is_refused() {
    let (issuer, ca) = scene("other-crt");
    let other = shared().p256_ca();
    issuer.put_secret(Some(&issuer.wrap(&ca.key)), Some(&certificate_text(&other.certificate)));
    issuer.patch_status(&issuer.secret(), "KMRA");
    refused_then_mended(&issuer, &ca, "KeyMismatch");
}

#[test]
fn a_certificate_that_is_no_ca_is_refused() {
    let (issuer, ca) = scene("no-ca");
    let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
    let leaf = shared().ca("leaf", &key, &["-addext", "basicConstraints=critical,CA:FALSE"]);
    issuer.put_secret(Some(&issuer.wrap(&leaf.key)), Some(&certificate_text(&leaf.certificate)));
    issuer.patch_status(&issuer.secret(), "KMRA");
    refused_then_mended(&issuer, &ca, "CertificateNotCa");
}

#[test]
fn an_expired_certificate_is_refused() {
    let (issuer, ca) = scene("expired");
    let expired = expired_ca(&ca);
    issuer.put_secret(Some(&issuer.wrap(&ca.key)), Some(&expired));
    issuer.patch_status(&issuer.secret(), "KMRA");
    refused_then_mended(&issuer, &ca, "CertificateExpired");
}

/// A certificate of the CA's own key whose validity has ended, as base64 text.
fn expired_ca(ca: &Ca) -> String {
    let key = rcgen::KeyPair::from_pem(&std::fs::read_to_string(&ca.key).unwrap()).unwrap();
    let mut parameters = rcgen::CertificateParams::new(vec![]).unwrap();
    parameters.distinguished_name.push(rcgen::DnType::CommonName, "expired");
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    parameters.not_before = rcgen::date_time_ymd(2020, 1, 1);
    parameters.not_after = rcgen::date_time_ymd(2021, 1, 1);
    encode(parameters.self_signed(&key).unwrap().pem().as_bytes())
}

#[test]
fn the_documents_patch_twice_loses_nothing() {
    let (issuer, ca) = scene("twice");
    issuer.put_secret(Some("AAAA"), Some(&certificate_text(&ca.certificate)));
    issuer.patch_status(&issuer.secret(), "KMRA");
    issuer.wait_reason("KeyRejected");
    issuer.patch_status(&issuer.secret(), "KMRA");
    let attestation = issuer.attestation().unwrap();
    let types: Vec<_> = attestation["status"]["conditions"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|c| c["type"].as_str())
        .collect();
    assert_eq!(types.iter().filter(|kind| **kind == "CASecretReady").count(), 2, "{types:?}");
    assert!(types.contains(&"Init") && types.contains(&"KeyAccepted"), "{types:?}");
    issuer.put_secret(Some(&issuer.wrap(&ca.key)), Some(&certificate_text(&ca.certificate)));
    issuer.wait_reason("Ready");
}

#[test]
fn every_kind_of_ca_key_opens_from_token_and_memory() {
    let bed = shared();
    let rsa = |bits: &'static str| vec!["-newkey", bits];
    let ec = |curve: &'static str| vec!["-newkey", "ec", "-pkeyopt", curve];
    let keys = [
        rsa("rsa:2048"),
        rsa("rsa:3072"),
        rsa("rsa:4096"),
        ec("ec_paramgen_curve:P-256"),
        ec("ec_paramgen_curve:P-384"),
    ];
    for key in keys {
        let ca = bed.ca("kinds", &key, &[]);
        for token in [false, true] {
            let issuer = bed.issuer("kinds");
            issuer.wait_reason("AwaitingKey");
            let line = if token { wrap_in_token(&issuer, &ca) } else { issuer.wrap(&ca.key) };
            issuer.put_secret(Some(&line), Some(&certificate_text(&ca.certificate)));
            issuer.patch_status(&issuer.secret(), "KMRA");
            issuer.wait_reason("Ready");
            let format = issuer.object()["status"]["ca"]["keyFormat"].as_str().unwrap().to_owned();
            assert_eq!(format, if token { "kmra-v1" } else { "kmra-v1-sha256" }, "{key:?}");
        }
    }
}

fn wrap_in_token(issuer: &Issuer<'_>, ca: &Ca) -> String {
    let (public_key, _) = issuer.published();
    let mut command = Command::new(issuer.bed.stack.layout.bin().join("km-wrap"));
    command.env("SOFTHSM2_CONF", issuer.bed.stack.layout.key_owner().join("softhsm2.conf"));
    command.arg("--pubkey").arg(public_key).arg("--privkey").arg(&ca.key);
    command.args(["--token", "SgxOperator", "--module", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so"]);
    run(command.env("KM_WRAP_PIN", "123456789")).unwrap().trim_end().to_owned()
}

#[test]
fn w_r6_a_chain_of_certificates_is_published_issuing_ca_first() {
    let (issuer, _) = scene("chain");
    let dir = issuer.bed.dir.join(crate::bed::unique("chain"));
    std::fs::create_dir_all(&dir).unwrap();
    let key = || rcgen::KeyPair::generate().unwrap();
    let parameters = |name: &str| {
        let mut parameters = rcgen::CertificateParams::new(vec![]).unwrap();
        parameters.distinguished_name = rcgen::DistinguishedName::new();
        parameters.distinguished_name.push(rcgen::DnType::CommonName, name);
        parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        parameters.use_authority_key_identifier_extension = true;
        parameters
    };
    let (root_key, issuing_key) = (key(), key());
    let root = parameters("root").self_signed(&root_key).unwrap();
    let root_issuer = rcgen::Issuer::new(parameters("root"), &root_key);
    let issuing = parameters("issuing").signed_by(&issuing_key, &root_issuer).unwrap();
    let ca = Ca { key: dir.join("key.pem"), certificate: dir.join("chain.pem") };
    std::fs::write(&ca.key, issuing_key.serialize_pem()).unwrap();
    std::fs::write(&ca.certificate, issuing.pem() + &root.pem()).unwrap();
    issuer.deliver_until_ready(&ca);
    let secret = issuer.bed.get(&["secret", "-n", &issuer.namespace, "chain-secret"]);
    let pem =
        |field: &str| String::from_utf8(crate::bed::decode(secret["data"][field].as_str().unwrap())).unwrap();
    let normal = |pem: &str| pem.replace("\r\n", "\n");
    assert_eq!(pem("tls.crt"), normal(&issuing.pem()));
    assert_eq!(pem("ca.crt"), normal(&root.pem()));
}

/// The key owner's role alone: the document's steps, a refusal, and its repair, without any restart.
#[test]
fn the_key_owners_role_mends_a_refused_delivery() {
    let (issuer, ca) = scene("owner");
    let bed = issuer.bed;
    bed.kubectl(&["create", "serviceaccount", "owner", "-n", "tcs-issuer"]);
    let subject = "--serviceaccount=tcs-issuer:owner";
    bed.kubectl(&["create", "rolebinding", "owner", "-n", "tcs-issuer", "--role=tcs-key-owner", subject]);
    let kubeconfig = bed.stack.cluster.service_account_kubeconfig("tcs-issuer", "owner").unwrap();
    let kubectl =
        |arguments: &[&str]| run(bed.stack.cluster.kubectl_as(&kubeconfig).args(arguments)).unwrap();

    let name = issuer.attestation_name();
    kubectl(&["get", "quoteattestations.tcs.intel.com", "-n", "tcs-issuer", &name]);
    let certificate = format!("--from-literal=tls.crt={}", certificate_text(&ca.certificate));
    let deliver = |key: &str| {
        let key = format!("--from-literal=tls.key={key}");
        kubectl(&["create", "secret", "generic", "-n", "tcs-issuer", "wrapped-key", &key, &certificate]);
    };
    deliver("AAAA");
    let patch = serde_json::json!([
        {"op": "add", "path": "/status/secrets",
         "value": {issuer.signer(): {"secretName": "wrapped-key", "secretType": "KMRA"}}},
        {"op": "add", "path": "/status/conditions/-", "value": {"type": "CASecretReady", "status": "true"}},
    ]);
    let patch = patch.to_string();
    let target = ["patch", "quoteattestations.tcs.intel.com", "-n", "tcs-issuer", &name];
    kubectl(&[target.as_slice(), &["--subresource=status", "--type=json", "-p", &patch]].concat());
    assert!(issuer.wait_reason("KeyRejected").contains("WrappedKeyLength"));
    kubectl(&["delete", "secret", "-n", "tcs-issuer", "wrapped-key"]);
    deliver(&issuer.wrap(&ca.key));
    issuer.wait_reason("Ready");
}
