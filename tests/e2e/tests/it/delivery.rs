//! Wrong deliveries, and what is published of right ones.

use crate::support::ca::Ca;
use crate::support::delivery::KMRA;
use crate::support::encoding::{encode, field};
use crate::support::issuer::Issuer;
use crate::support::objects::issuer_object;
use crate::support::openssl::P256;
use crate::support::test_cluster::shared;
use rcgen::{BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, KeyPair};
use serde_json::json;
use tcs_api::conditions::{CA_SECRET_READY, INIT, KEY_ACCEPTED, last};
use tcs_api::v1alpha1::{DeliverySpec, WrapFormat};
use tcs_testkit::process::run;

/// An issuer that waits for its key, and the key owner's CA.
fn awaiting(name: &str) -> (Issuer<'static>, Ca) {
    let issuer = Issuer::delivered(shared(), name);
    issuer.await_reason("AwaitingKey");
    (issuer, Ca::p256(shared()))
}

/// The delivery of these fields is refused with this code. Then the Secret is replaced by a right one, and
/// the issuer becomes ready without any restart.
fn refused_then_corrected(
    (issuer, ca): (&Issuer<'_>, &Ca),
    key: Option<&str>,
    certificate: Option<&str>,
    code: &str,
) {
    issuer.write_delivery(key, certificate);
    issuer.announce_delivery(KMRA);
    let message = issuer.await_reason("KeyRejected");
    assert!(message.contains(code), "{code}: {message}");
    let conditions = issuer.attestation().unwrap().status.unwrap().conditions;
    let refused = last(&conditions, KEY_ACCEPTED).unwrap();
    assert_eq!((refused.status.as_deref(), refused.reason.as_deref()), (Some("False"), Some(code)));
    assert!(last(&conditions, CA_SECRET_READY).is_some(), "the entry of the key owner stays");
    issuer.await_event("KeyRejected");
    issuer.write_delivery_of(ca);
    issuer.await_reason("Ready");
}

#[test]
fn a_missing_key_is_refused() {
    let (issuer, ca) = awaiting("missing-key");
    refused_then_corrected((&issuer, &ca), None, Some(&ca.certificate_text()), "MissingKey");
}

#[test]
fn a_garbled_key_is_refused() {
    let (issuer, ca) = awaiting("garbled-key");
    let text = ca.certificate_text();
    refused_then_corrected((&issuer, &ca), Some("km-wrap: error"), Some(&text), "CorruptKey");
}

#[test]
fn a_missing_certificate_is_refused() {
    let (issuer, ca) = awaiting("missing-crt");
    refused_then_corrected((&issuer, &ca), Some(&issuer.wrap(&ca.key)), None, "MissingCertificate");
}

#[test]
fn a_garbled_certificate_is_refused() {
    let (issuer, ca) = awaiting("garbled-crt");
    let (key, text) = (issuer.wrap(&ca.key), encode(b"not PEM"));
    refused_then_corrected((&issuer, &ca), Some(&key), Some(&text), "CorruptCertificate");
}

#[test]
fn a_wrong_secret_type_is_refused() {
    let (issuer, ca) = awaiting("wrong-type");
    issuer.write_delivery_of(&ca);
    issuer.announce_delivery("Opaque");
    assert!(issuer.await_reason("KeyRejected").contains("SecretTypeUnsupported"));
    // The patch of the walk-through, sent again, corrects it.
    issuer.announce_delivery(KMRA);
    issuer.await_reason("Ready");
}

#[test]
fn a_key_wrapped_for_another_offer_is_refused() {
    let (issuer, ca) = awaiting("other-offer");
    let (other, _) = awaiting("other");
    let (key, text) = (other.wrap(&ca.key), ca.certificate_text());
    refused_then_corrected((&issuer, &ca), Some(&key), Some(&text), "WrappedKeyInvalid");
}

#[test]
fn a_certificate_of_another_key_is_refused() {
    let (issuer, ca) = awaiting("other-crt");
    let (key, text) = (issuer.wrap(&ca.key), Ca::p256(shared()).certificate_text());
    refused_then_corrected((&issuer, &ca), Some(&key), Some(&text), "KeyMismatch");
}

#[test]
fn a_certificate_that_is_no_ca_is_refused() {
    let (issuer, ca) = awaiting("no-ca");
    let leaf = Ca::with(shared(), &P256, &["-addext", "basicConstraints=critical,CA:FALSE"]);
    let (key, text) = (issuer.wrap(&leaf.key), leaf.certificate_text());
    refused_then_corrected((&issuer, &ca), Some(&key), Some(&text), "CertificateNotCa");
}

#[test]
fn an_expired_certificate_is_refused() {
    let (issuer, ca) = awaiting("expired");
    let (key, text) = (issuer.wrap(&ca.key), expired_certificate_text(&ca));
    refused_then_corrected((&issuer, &ca), Some(&key), Some(&text), "CertificateExpired");
}

/// A certificate of the CA's own key whose validity has ended, as base64 text.
fn expired_certificate_text(ca: &Ca) -> String {
    let key = KeyPair::from_pem(&std::fs::read_to_string(&ca.key).unwrap()).unwrap();
    let mut parameters = ca_parameters("expired");
    parameters.not_before = rcgen::date_time_ymd(2020, 1, 1);
    parameters.not_after = rcgen::date_time_ymd(2021, 1, 1);
    encode(parameters.self_signed(&key).unwrap().pem().as_bytes())
}

fn ca_parameters(name: &str) -> CertificateParams {
    let mut parameters = CertificateParams::new(vec![]).unwrap();
    parameters.distinguished_name = DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, name);
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.use_authority_key_identifier_extension = true;
    parameters
}

#[test]
fn the_documents_patch_twice_loses_nothing() {
    let (issuer, ca) = awaiting("twice");
    issuer.write_delivery(Some("AAAA"), Some(&ca.certificate_text()));
    issuer.announce_delivery(KMRA);
    issuer.await_reason("KeyRejected");
    issuer.announce_delivery(KMRA);
    let conditions = issuer.attestation().unwrap().status.unwrap().conditions;
    let types: Vec<_> = conditions.iter().filter_map(|condition| condition.type_.as_deref()).collect();
    assert_eq!(types.iter().filter(|type_| **type_ == CA_SECRET_READY).count(), 2, "{types:?}");
    assert!(types.contains(&INIT) && types.contains(&KEY_ACCEPTED), "{types:?}");
    issuer.write_delivery_of(&ca);
    issuer.await_reason("Ready");
}

#[test]
fn every_kind_of_ca_key_opens_from_token_and_memory() {
    let cluster = shared();
    let keys: [&[&str]; 5] = [
        &["-newkey", "rsa:2048"],
        &["-newkey", "rsa:3072"],
        &["-newkey", "rsa:4096"],
        &P256,
        &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384"],
    ];
    for key in keys {
        let ca = Ca::with(cluster, key, &[]);
        for (uses_token, format) in [(false, "kmra-v1-sha256"), (true, "kmra-v1")] {
            let issuer = Issuer::delivered(cluster, "kinds");
            issuer.await_reason("AwaitingKey");
            let line = if uses_token { wrap_in_token(&issuer, &ca) } else { issuer.wrap(&ca.key) };
            issuer.write_delivery(Some(&line), Some(&ca.certificate_text()));
            issuer.announce_delivery(KMRA);
            issuer.await_reason("Ready");
            assert_eq!(issuer.status().ca.unwrap().key_format, format, "{key:?}");
        }
    }
}

/// Wraps a CA key with the SoftHSM2 token of the walk-through.
fn wrap_in_token(issuer: &Issuer<'_>, ca: &Ca) -> String {
    let mut km_wrap = issuer.cluster.tool("km-wrap");
    km_wrap.env("SOFTHSM2_CONF", issuer.cluster.stack.layout.key_owner().join("softhsm2.conf"));
    km_wrap.arg("--pubkey").arg(issuer.public_key()).arg("--privkey").arg(&ca.key);
    km_wrap.args(["--token", "SgxOperator", "--module", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so"]);
    run(km_wrap.env("KM_WRAP_PIN", "123456789")).unwrap().trim_end().to_owned()
}

#[test]
fn w_r6_a_chain_of_certificates_is_published_issuing_ca_first() {
    let (issuer, _) = awaiting("chain");
    let (root_key, issuing_key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let root = ca_parameters("root").self_signed(&root_key).unwrap().pem();
    let above = rcgen::Issuer::new(ca_parameters("root"), &root_key);
    let issuing = ca_parameters("issuing").signed_by(&issuing_key, &above).unwrap().pem();
    let chain = format!("{issuing}{root}");
    issuer.deliver_until_ready(&Ca::of_pem(issuer.cluster, &issuing_key.serialize_pem(), &chain));
    let secret = issuer.ca_secret().unwrap();
    let published = |name: &str| String::from_utf8(field(&secret, name).to_vec()).unwrap();
    assert_eq!(published("tls.crt"), issuing.replace("\r\n", "\n"));
    assert_eq!(published("ca.crt"), root.replace("\r\n", "\n"));
}

/// The role of the key owner is enough for the steps of the walk-through, also after a refusal.
#[test]
fn the_key_owners_role_corrects_a_refused_delivery() {
    let (issuer, ca) = awaiting("owner");
    let cluster = issuer.cluster;
    cluster.kubectl(&["create", "serviceaccount", "owner", "-n", "tcs-issuer"]);
    let subject = "--serviceaccount=tcs-issuer:owner";
    cluster.kubectl(&["create", "rolebinding", "owner", "-n", "tcs-issuer", "--role=tcs-key-owner", subject]);
    let kubeconfig = cluster.stack.cluster.service_account_kubeconfig("tcs-issuer", "owner").unwrap();
    let kubectl =
        |arguments: &[&str]| run(cluster.stack.cluster.kubectl_as(&kubeconfig).args(arguments)).unwrap();

    let name = issuer.attestation_name();
    kubectl(&["get", "quoteattestations.tcs.intel.com", "-n", "tcs-issuer", &name]);
    let certificate = format!("--from-literal=tls.crt={}", ca.certificate_text());
    let deliver = |key: &str| {
        let key = format!("--from-literal=tls.key={key}");
        kubectl(&["create", "secret", "generic", "-n", "tcs-issuer", "wrapped-key", &key, &certificate]);
    };
    deliver("AAAA");
    let patch = json!([
        {"op": "add", "path": "/status/secrets",
         "value": {issuer.signer(): {"secretName": "wrapped-key", "secretType": KMRA}}},
        {"op": "add", "path": "/status/conditions/-", "value": {"type": "CASecretReady", "status": "true"}},
    ])
    .to_string();
    let target = ["patch", "quoteattestations.tcs.intel.com", "-n", "tcs-issuer", &name];
    kubectl(&[target.as_slice(), &["--subresource=status", "--type=json", "-p", &patch]].concat());
    assert!(issuer.await_reason("KeyRejected").contains("WrappedKeyLength"));
    kubectl(&["delete", "secret", "-n", "tcs-issuer", "wrapped-key"]);
    deliver(&issuer.wrap(&ca.key));
    issuer.await_reason("Ready");
}

/// An issuer that forbids SHA-1. The Secret stays as it is when the spec allows it again.
#[test]
fn a_format_that_the_issuer_forbids_is_refused_and_the_other_is_accepted() {
    let cluster = shared();
    let ca = Ca::p256(cluster);
    let strict = |name: &str| {
        let mut object = issuer_object(&cluster.new_namespace(), name);
        object.spec.delivery = Some(DeliverySpec { formats: Some(vec![WrapFormat::KmraV1Sha256]) });
        let issuer = Issuer::create(cluster, &object);
        issuer.await_reason("AwaitingKey");
        issuer
    };
    let sha1 = |issuer: &Issuer<'_>| issuer.wrap_with(&ca.key, &["--format", "kmra-v1"]);

    let issuer = strict("sha256");
    let line = sha1(&issuer);
    refused_then_corrected((&issuer, &ca), Some(&line), Some(&ca.certificate_text()), "WrapFormatForbidden");
    assert_eq!(issuer.status().ca.unwrap().key_format, "kmra-v1-sha256");

    let issuer = strict("allowed-later");
    issuer.write_delivery(Some(&sha1(&issuer)), Some(&ca.certificate_text()));
    issuer.announce_delivery(KMRA);
    assert!(issuer.await_reason("KeyRejected").contains("WrapFormatForbidden"));
    issuer.patch(&json!({"spec": {"delivery": {"formats": ["kmra-v1", "kmra-v1-sha256"]}}}));
    issuer.await_reason("Ready");
    assert_eq!(issuer.status().ca.unwrap().key_format, "kmra-v1");
}
