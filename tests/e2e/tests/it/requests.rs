//! The rules for signers of `certificates.k8s.io/v1`, one test each, on the real API server
//! (`docs/conformance.md`, B03 to B11).

use crate::support::ca::Ca;
use crate::support::csr::{Csr, NewCsr};
use crate::support::disturbed::Disturbed;
use crate::support::encoding::field;
use crate::support::issuer::Issuer;
use crate::support::openssl::{self, request};
use crate::support::test_cluster::{CONTROLLER, ENCLAVE, shared};
use k8s_openapi::ByteString;
use k8s_openapi::api::certificates::v1::CertificateSigningRequest;
use std::collections::BTreeSet;
use tcs_api::annotations::REQUEST_DURATION;
use tcs_api::v1alpha1::CaSpec;
use tcs_testkit::process::Signal;
use tcs_testkit::repository;

const DAY: i64 = 86_400;

#[test]
fn b03_failure_condition_shape() {
    let issuer = Issuer::self_signed_ready(shared(), "b03");
    let csr = NewCsr::new(&issuer.signer(), &request(issuer.cluster, &["-addext", "keyUsage=cRLSign"]));
    let csr = csr.create(issuer.cluster).approve();
    assert_eq!(csr.failure(), "UsageForbidden");
    let conditions = csr.status().conditions.unwrap();
    let kinds: Vec<&str> = conditions.iter().map(|condition| condition.type_.as_str()).collect();
    assert_eq!(kinds, ["Approved", "Failed"], "nothing else");
    let failed = csr.condition("Failed").unwrap();
    assert!(failed.message.is_some_and(|message| !message.is_empty()));
    let approved = csr.condition("Approved").unwrap();
    assert!(failed.last_update_time.is_some() && failed.last_update_time >= approved.last_update_time);
    assert_eq!(csr.status().certificate, None);

    // What waits has an Event and no condition.
    let waiting = Csr::create(issuer.cluster, "tcsissuer.tcs.intel.com/b03.none").approve();
    waiting.await_event("WaitingForIssuerExist");
    let conditions = waiting.status().conditions.unwrap();
    assert!(conditions.iter().all(|condition| condition.type_ == "Approved"), "{conditions:?}");
}

#[test]
fn b04_certificate_field_is_pem_chain_once() {
    let cluster = shared();
    let issuer = Issuer::delivered(cluster, "b04");
    let (ca, [issuing, middle, root]) = Ca::below_two(cluster);
    issuer.deliver_until_ready(&ca);

    let csr = Csr::approved(&issuer);
    let pem = csr.certificate();
    let mut blocks = Vec::new();
    let mut rest = pem.as_bytes();
    while !rest.is_empty() {
        let end = rest.windows(26).position(|line| line == b"-----END CERTIFICATE-----\n").unwrap() + 26;
        let (label, der) = pem_rfc7468::decode_vec(&rest[..end]).unwrap();
        assert_eq!(label, "CERTIFICATE");
        blocks.push(der);
        rest = &rest[end..];
    }
    assert!(!pem.contains(':'), "no headers, and no text between the blocks: {pem}");
    assert_eq!(blocks.len(), 3, "the leaf and two intermediates, without the root");
    assert_eq!(blocks[1..], [issuing.der().to_vec(), middle.der().to_vec()]);
    let anchor = cluster.new_file("root", root.pem());
    let intermediates = cluster.new_file("intermediates", pem.split_once("-----END").unwrap().1);
    let leaf = csr.certificate_file();
    openssl::verify_strict(&anchor, &[&intermediates], &leaf).unwrap();

    // Nobody can replace it afterwards, and the service does not try.
    let mut changed = cluster.get::<CertificateSigningRequest>("", &csr.name).unwrap();
    let version = changed.metadata.resource_version.clone();
    changed.status.as_mut().unwrap().certificate = Some(ByteString(issuing.pem().into_bytes()));
    let path = format!("/apis/certificates.k8s.io/v1/certificatesigningrequests/{}/status", csr.name);
    let refused = cluster.try_kubectl_with(&["replace", "--raw", &path], &changed).unwrap_err().to_string();
    assert!(refused.contains("updates may not modify existing certificate content"), "{refused}");
    Csr::approved(&issuer).certificate();
    let now = cluster.get::<CertificateSigningRequest>("", &csr.name).unwrap();
    assert_eq!(now.metadata.resource_version, version);
}

#[test]
fn b05_lifetime_rules() {
    let long = CaSpec { lifetime_days: Some(3650), ..CaSpec::default() };
    let issuer = Issuer::self_signed(shared(), "b05", Some(long));
    issuer.await_reason("Ready");
    let cluster = issuer.cluster;
    let pem = request(cluster, &[]);
    let new = || NewCsr::new(&issuer.signer(), &pem);
    let lifetime = |csr: NewCsr| openssl::lifetime(&csr.create(cluster).approve().certificate_file());
    assert_eq!(lifetime(new()), 90 * DAY, "the default");
    assert_eq!(lifetime(new().seconds(600)), 900, "backdated by five minutes");
    assert_eq!(lifetime(new().seconds(8 * 3600)), 8 * 3600, "the backdating counts from eight hours on");
    assert_eq!(lifetime(new().seconds(i32::MAX)), 365 * DAY, "the maximum");
    assert_eq!(lifetime(new().seconds(7200).annotated(REQUEST_DURATION, "20m")), 1500, "the shorter one");
    assert_eq!(lifetime(new().seconds(1200).annotated(REQUEST_DURATION, "2h")), 1500, "the shorter one");
    for wrong in ["5m", "0s", "-1h", "soon"] {
        let csr = new().annotated(REQUEST_DURATION, wrong).create(cluster).approve();
        assert_eq!(csr.failure(), "LifetimeInvalid", "{wrong}");
    }

    // No certificate outlives its CA.
    let short = Issuer::delivered(cluster, "b05-short");
    let ca = Ca::with(cluster, &openssl::P256, &["-days", "10"]);
    short.deliver_until_ready(&ca);
    let leaf = NewCsr::new(&short.signer(), &pem).seconds(30 * 86_400).create(cluster).approve();
    let end = |certificate: &std::path::Path| openssl::print(certificate, &["-enddate"]);
    assert_eq!(end(&leaf.certificate_file()), end(&ca.certificate));
}

#[test]
fn b06_usage_mapping() {
    let issuer = Issuer::self_signed_ready(shared(), "b06");
    let cluster = issuer.cluster;
    let pem = request(cluster, &[]);
    // As openssl prints the bit of the key usage, or the extended key usage.
    for (usage, printed) in [
        ("signing", "Digital Signature"),
        ("digital signature", "Digital Signature"),
        ("content commitment", "Non Repudiation"),
        ("key encipherment", "Key Encipherment"),
        ("data encipherment", "Data Encipherment"),
        ("key agreement", "Key Agreement"),
        ("encipher only", "Encipher Only"),
        ("decipher only", "Decipher Only"),
        ("any", "Any Extended Key Usage"),
        ("server auth", "TLS Web Server Authentication"),
        ("client auth", "TLS Web Client Authentication"),
        ("code signing", "Code Signing"),
        ("email protection", "E-mail Protection"),
        ("s/mime", "E-mail Protection"),
        ("ipsec end system", "IPSec End System"),
        ("ipsec tunnel", "IPSec Tunnel"),
        ("ipsec user", "IPSec User"),
        ("timestamping", "Time Stamping"),
        ("ocsp signing", "OCSP Signing"),
        ("microsoft sgc", "Microsoft Server Gated Crypto"),
        ("netscape sgc", "Netscape Server Gated Crypto"),
    ] {
        let csr = NewCsr::new(&issuer.signer(), &pem).usages(&[usage]).create(cluster).approve();
        let text = openssl::print(&csr.certificate_file(), &["-ext", "keyUsage,extendedKeyUsage"]);
        let values: Vec<&str> = text.lines().filter(|line| line.starts_with("    ")).map(str::trim).collect();
        assert_eq!(values, [printed], "{usage}: {text}");
    }
    for usage in ["cert sign", "crl sign"] {
        let csr = NewCsr::new(&issuer.signer(), &pem).usages(&[usage]).create(cluster).approve();
        assert_eq!(csr.failure(), "UsageForbidden", "{usage}");
    }
}

#[test]
fn b08_random_unique_serial() {
    let issuer = Issuer::self_signed_ready(shared(), "b08");
    let cluster = issuer.cluster;
    let mut serials = BTreeSet::new();
    let pem = request(cluster, &[]);
    for _ in 0..12 {
        let csr = NewCsr::new(&issuer.signer(), &pem).create(cluster).approve();
        let serial = openssl::print(&csr.certificate_file(), &["-serial"]);
        let serial = serial.trim().strip_prefix("serial=").unwrap().to_owned();
        assert!(!serial.starts_with('-'), "positive: {serial}");
        assert!((24..=40).contains(&serial.len()), "random, and at most 20 octets: {serial}");
        serials.insert(serial);
    }
    assert_eq!(serials.len(), 12);
}

/// Each item of the page, and what it says happens to a request that violates it.
#[test]
fn b09_signer_docs_complete() {
    let page = std::fs::read_to_string(repository().join("docs/signers.md")).unwrap();
    for (item, reason) in [
        ("1. **Trust distribution.**", "never the self-signed root"),
        ("2. **Permitted subjects.**", "IdentityForbidden"),
        ("3. **Permitted extensions.**", "the others are dropped"),
        ("4. **Usages.**", "UsageForbidden"),
        ("5. **Lifetime.**", "LifetimeInvalid"),
        ("6. **CA bit.**", "RequestForCa"),
        ("**Who may use an issuer.**", "ReferenceNotAllowed"),
    ] {
        let (_, text) = page.split_once(item).unwrap_or_else(|| panic!("the page lacks {item}"));
        assert!(text.contains(reason), "{item}: {reason}");
    }

    let issuer = Issuer::self_signed_ready(shared(), "b09");
    let cluster = issuer.cluster;
    let outcome = |options: &[&str]| {
        NewCsr::new(&issuer.signer(), &request(cluster, options)).create(cluster).approve()
    };
    let secret = issuer.ca_secret().unwrap();
    assert!(field(&secret, "tls.key").is_empty() && !field(&secret, "ca.crt").is_empty());
    assert_eq!(outcome(&["-subj", "/O=system:masters/CN=x"]).failure(), "IdentityForbidden");
    let dropped = outcome(&["-addext", "1.2.3.4=ASN1:UTF8String:x", "-addext", "nsComment=x"]);
    let dropped = openssl::text(&dropped.certificate_file());
    assert!(!dropped.contains("1.2.3.4") && !dropped.contains("Netscape"), "{dropped}");
    assert_eq!(outcome(&["-addext", "keyUsage=keyCertSign"]).failure(), "UsageForbidden");
    assert_eq!(outcome(&["-addext", "basicConstraints=CA:TRUE"]).failure(), "RequestForCa");
    let short = NewCsr::new(&issuer.signer(), &request(cluster, &[])).annotated(REQUEST_DURATION, "1s");
    assert_eq!(short.create(cluster).approve().failure(), "LifetimeInvalid");
}

const DISCARDED: &str =
    "tcs_requests_total{api=\"CertificateSigningRequest\",outcome=\"Discarded\",reason=\"\"}";

/// While the enclave signs a request, somebody else writes a certificate into it.
#[test]
fn b11_second_signature_is_discarded() {
    let cluster = Disturbed::lock();
    let issuer = Issuer::self_signed(&cluster, "b11", None);
    issuer.await_reason("Ready");
    let discarded = || counter(&cluster.metrics().unwrap_or_default(), DISCARDED);
    let before = discarded();
    let first = Csr::approved(&issuer).certificate();

    cluster.signal(ENCLAVE, Signal::STOP);
    let csr = Csr::approved(&issuer);
    // Requests are reconciled in their order, so the enclave was asked to sign when this is answered.
    Csr::create(&cluster, "tcsissuer.tcs.intel.com/b11.none").approve().await_event("WaitingForIssuerExist");
    let mut theirs = cluster.get::<CertificateSigningRequest>("", &csr.name).unwrap();
    theirs.status.as_mut().unwrap().certificate = Some(ByteString(first.clone().into_bytes()));
    let path = format!("/apis/certificates.k8s.io/v1/certificatesigningrequests/{}/status", csr.name);
    let written = cluster.try_kubectl_with(&["replace", "--raw", &path], &theirs);
    cluster.signal(ENCLAVE, Signal::CONT);
    written.unwrap();

    cluster.wait_until("the second signature to be discarded", || discarded() == before + 1);
    Csr::approved(&issuer).certificate();
    assert_eq!(csr.certificate(), first);
    assert_eq!(discarded(), before + 1, "it is not tried again");
    assert!(csr.condition("Failed").is_none());
}

/// The value of a counter.
fn counter(metrics: &str, name: &str) -> u64 {
    let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.map_or(0, |value| value.trim().parse().unwrap())
}

/// Whoever refuses the result decides how long that lasts, so nobody sends it each minute.
#[test]
fn a_result_that_a_policy_refuses_is_told_once_and_written_when_the_request_changes() {
    let cluster = shared();
    let issuer = Issuer::self_signed(cluster, "refused", None);
    issuer.await_reason("Ready");
    let request = Csr::create(cluster, &issuer.signer());
    let policy = serde_json::json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": request.name},
        "spec": {
            "matchConstraints": {"resourceRules": [{
                "apiGroups": ["certificates.k8s.io"], "apiVersions": ["v1"], "operations": ["UPDATE"],
                "resources": ["certificatesigningrequests", "certificatesigningrequests/status"],
            }]},
            "validations": [{"expression": format!("object.metadata.name != '{}'", request.name), "message": "not this one"}],
        },
    });
    let binding = serde_json::json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": request.name},
        "spec": {"policyName": request.name, "validationActions": ["Deny"]},
    });
    cluster.apply(&policy);
    cluster.apply(&binding);
    let name = request.name.clone();
    let annotate = ["annotate", "csr", &name, "changed=yes"];
    let probe = [&annotate[..], &["--dry-run=server"]].concat();
    cluster.wait_until("the policy to refuse", || cluster.try_kubectl(&probe).is_err());
    let request = request.approve();
    request.await_event_with("ResultNotWritten", "not this one");
    let changed =
        ["annotate", "tcsissuer", "-n", &issuer.namespace, &issuer.name, "tcs.intel.com/renew=again"];
    let before = issuer.fingerprint();
    cluster.kubectl(&changed);
    cluster.wait_until("the issuer to change", || issuer.fingerprint() != before);
    request.assert_untouched();
    let told = cluster.log(CONTROLLER);
    let told = told.lines().filter(|line| line.contains("not this one") && line.contains(&request.name));
    assert_eq!(told.count(), 1);
    let series = "tcs_results_refused_total{api=\"CertificateSigningRequest\",code=\"422\"} ";
    let metrics = cluster.metrics().unwrap();
    let count =
        metrics.lines().find_map(|line| line.strip_prefix(series)).unwrap_or_else(|| panic!("{metrics}"));
    assert_ne!(count, "0");

    cluster.kubectl(&["delete", "validatingadmissionpolicybinding", &request.name]);
    cluster.kubectl(&["delete", "validatingadmissionpolicy", &request.name]);
    cluster.wait_until("the policy to be gone", || cluster.try_kubectl(&probe).is_ok());
    cluster.kubectl(&annotate);
    request.certificate();
}
