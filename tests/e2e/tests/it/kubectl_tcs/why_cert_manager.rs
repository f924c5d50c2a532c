//! `kubectl tcs why certificaterequest` and `why certificate`.

use super::{Run, program_as, ready, tcs};
use crate::support::account::Account;
use crate::support::cert_manager::{Certificate, NewCertificate, shared_issuer, stage};
use crate::support::certificate_request::{CertificateRequest, NewRequest, shared_with_crd};
use crate::support::issuer::Issuer;
use crate::support::openssl::request;
use crate::support::test_cluster::shared;
use serde_json::{Value, json};

fn why(request: &CertificateRequest<'_>) -> Value {
    let name = [request.namespace.as_str(), request.name.as_str()];
    tcs(request.cluster, &["why", "certificaterequest", "-n", name[0], name[1], "-o", "json"]).document()
}

fn why_certificate(certificate: &Certificate<'_>) -> Value {
    let name = [certificate.namespace.as_str(), certificate.name.as_str()];
    tcs(certificate.cluster, &["why", "certificate", "-n", name[0], name[1], "-o", "json"]).document()
}

#[test]
fn why_tells_the_story_of_a_certificaterequest() {
    let cluster = shared_with_crd();
    let issuer = ready(cluster, "cr-story");
    let request = CertificateRequest::create(&issuer);
    let told = why(&request);
    assert_eq!((&told["state"], &told["approval"]), (&json!("NotApproved"), &Value::Null));
    let next = told["next"].to_string();
    assert!(
        next.contains("tcs-issuer-cert-manager-approver") && next.contains("cmctl approve -n "),
        "{next}"
    );
    let request = request.approve();
    let pem = request.certificate();
    let told = why(&request);
    assert_eq!((&told["state"], &told["certificate"]), (&json!("Issued"), &json!(pem)));
    assert_eq!(told["issuer"]["name"], "cr-story");
    let text = tcs(cluster, &["why", "cr", "-n", &request.namespace, &request.name]);
    for part in ["CertificateRequest ", "TCSIssuer.tcs.intel.com/cr-story", "Approved", "was issued"] {
        assert!(text.done().contains(part), "{part}: {text:?}");
    }
    let denied = CertificateRequest::create(&issuer).deny();
    denied.await_ready("Denied");
    assert_eq!(why(&denied)["state"], "Denied");
}

#[test]
fn why_names_the_rule_that_refused_a_certificaterequest_and_what_it_waits_for() {
    let cluster = shared_with_crd();
    let issuer = ready(cluster, "cr-rule");
    let pem = request(cluster, &[]);
    let refused = NewRequest::new(&issuer, "", &pem).with("isCA", true).create(cluster).approve();
    refused.await_ready("Failed");
    let told = why(&refused);
    assert_eq!((&told["state"], &told["failure"]["reason"]), (&json!("Failed"), &json!("RequestForCa")));
    assert!(told["next"][0].as_str().unwrap().contains("change the Certificate"), "{told}");

    let waiting = Issuer { cluster, namespace: issuer.namespace.clone(), name: "nowhere".into() };
    let waiting = CertificateRequest::approved(&waiting);
    waiting.await_ready("Pending");
    let told = why(&waiting);
    assert_eq!((&told["state"], &told["progress"]["reason"]), (&json!("IssuerMissing"), &json!("Pending")));

    for (reference, state) in [
        (json!({"name": "ca"}), "OtherSigner"),
        (json!({"group": "tcs.intel.com", "kind": "Issuer", "name": "ca"}), "SignerMisspelled"),
    ] {
        let request = NewRequest::of(&reference, &issuer.namespace, &pem).create(cluster).approve();
        assert_eq!(why(&request)["state"], state, "{reference}");
    }
}

#[test]
fn why_follows_a_certificate_to_the_refusal_of_the_enclave() {
    let cluster = &stage().cluster;
    let flat = Issuer::self_signed_ready(cluster, "why-flat");
    let ca = json!({"isCA": true, "commonName": "ca"});
    let certificate = NewCertificate::new(&flat, "").with(&ca).create(cluster);
    certificate.await_failed();
    let told = why_certificate(&certificate);
    assert_eq!((&told["state"], &told["issuer"]["name"]), (&json!("Failed"), &json!("why-flat")));
    assert_eq!(told["request"]["failure"]["reason"], "RequestForCa", "{told}");
    assert_eq!(told["failedIssuanceAttempts"], 1);
    let text = told["why"].as_str().unwrap();
    assert!(text.contains("RequestForCa") && text.contains("tries again at"), "{text}");
    assert!(told["nextAttempt"].is_string(), "{told}");
    let name = ["-n", &certificate.namespace, &certificate.name];
    let table = tcs(cluster, &[&["why", "cert"], &name[..]].concat());
    for part in ["Certificate ", "CertificateRequest ", "RequestForCa", "Next: cmctl renew"] {
        assert!(table.done().contains(part), "{part}: {table:?}");
    }
    certificate.patch(&json!({"isCA": false}));
    certificate.await_issued();
    let told = why_certificate(&certificate);
    assert_eq!((&told["state"], &told["revision"]), (&json!("Issued"), &json!(1)));
}

#[test]
fn why_says_what_a_certificate_waits_for() {
    let cluster = &stage().cluster;
    let missing = Issuer { cluster, namespace: cluster.new_namespace(), name: "nowhere".into() };
    let certificate = NewCertificate::new(&missing, "").create(cluster);
    certificate.await_request("Ready", "Pending");
    assert_eq!(why_certificate(&certificate)["state"], "IssuerMissing");

    let foreign = NewCertificate::new(shared_issuer(), &missing.namespace);
    let foreign = foreign.with(&json!({"issuerRef": {"name": "theirs"}})).create(cluster);
    let told = why_certificate(&foreign);
    assert_eq!((&told["state"], &told["issuer"]), (&json!("OtherSigner"), &Value::Null));

    // cert-manager's webhook lets nobody approve a request whose issuer has no kind.
    let kindless = NewCertificate::new(shared_issuer(), &missing.namespace);
    let kindless = kindless.with(&json!({"issuerRef": {"group": "tcs.intel.com", "name": "nowhere"}}));
    let kindless = kindless.create(cluster);
    cluster.wait_until("a request", || !kindless.requests().is_empty());
    let told = why_certificate(&kindless);
    assert_eq!(told["state"], "NotApproved");
    assert!(told["next"][0].as_str().unwrap().contains("names no kind"), "{told}");

    let nobody = tcs(cluster, &["why", "certificate", "nobody"]);
    assert!(nobody.failed(5, "NotFound").contains("Certificate default/nobody"), "{nobody:?}");
    // The rights of users of the namespace do not include kinds of cert-manager.
    let account = Account::new(cluster);
    let arguments = ["why", "certificate", "-n", &certificate.namespace, &certificate.name];
    let forbidden = Run::of(program_as(cluster, &account.kubeconfig).args(arguments));
    forbidden.failed(6, "Forbidden");
}

/// Other tests install `CertificateRequest`s here, and none installs Certificates.
#[test]
fn why_says_that_cert_manager_is_not_installed() {
    let missing = tcs(shared(), &["why", "certificate", "web"]);
    let said = missing.failed(6, "CertManagerMissing");
    assert!(said.contains("cert-manager is not installed in this cluster"), "{missing:?}");
}
