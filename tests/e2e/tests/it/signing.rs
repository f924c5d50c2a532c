//! Which requests are signed, what the certificates contain, and which requests are left untouched.

use crate::support::ca::Ca;
use crate::support::csr::{Csr, NewCsr};
use crate::support::issuer::Issuer;
use crate::support::openssl::{self, request};
use crate::support::test_cluster::shared;
use crate::support::wait::unique;
use k8s_openapi::ByteString;
use k8s_openapi::api::certificates::v1::CertificateSigningRequest;
use k8s_openapi::api::core::v1::Event;
use std::sync::OnceLock;

fn ready(name: &str) -> (Issuer<'static>, Ca) {
    let issuer = Issuer::delivered(shared(), name);
    let ca = Ca::p256(shared());
    issuer.deliver_until_ready(&ca);
    (issuer, ca)
}

/// Has a certificate issued by an issuer that works, so that the controller has handled all earlier requests.
fn flush() {
    static FLUSH: OnceLock<String> = OnceLock::new();
    let signer = FLUSH.get_or_init(|| ready("flush").0.signer());
    Csr::create(shared(), signer).approve().certificate();
}

#[test]
fn an_approved_request_is_signed_as_requested() {
    let (issuer, ca) = ready("signs");
    let cluster = issuer.cluster;
    let names = ["-addext", "subjectAltName=DNS:a.example,IP:10.1.2.3"];
    let pem = request(cluster, &[&names[..], &["-addext", "keyUsage=keyAgreement"]].concat());
    for signer in [issuer.signer(), issuer.signer().replacen("tcsissuer.", "tcsissuers.", 1)] {
        let csr = NewCsr::new(&signer, &pem).usages(&["digital signature", "client auth"]).seconds(7200);
        let csr = csr.create(cluster).approve();
        let leaf = csr.certificate_file();
        openssl::verify(&ca.certificate, &[&leaf]);
        let text = openssl::text(&leaf);
        assert!(text.contains("CA:FALSE"), "{text}");
        assert!(text.contains("DNS:a.example, IP Address:10.1.2.3"), "{text}");
        assert!(text.contains("Digital Signature\n"), "{text}");
        assert!(!text.contains("Key Agreement"), "usages are those of spec.usages: {text}");
        assert!(text.contains("TLS Web Client Authentication") && !text.contains("Server Auth"), "{text}");
        let seconds = openssl::lifetime(&leaf);
        assert!((7200..=7200 + 300).contains(&seconds), "{seconds}");
        // The request itself shows the certificate. An Event for each certificate would lower the rate by
        // about a third. Events are published one after the other, and this one is later.
        let refused = NewCsr::new(&signer, &request(cluster, &["-addext", "keyUsage=cRLSign"]));
        refused.create(cluster).approve().await_event("UsageForbidden");
        let events: Vec<Event> = csr.cluster.list("default");
        assert!(events.iter().all(|event| event.involved_object.name.as_ref() != Some(&csr.name)));
    }
}

#[test]
fn b02_what_is_not_approved_or_not_ours_is_left_untouched() {
    let (issuer, _) = ready("leaves");
    let cluster = issuer.cluster;
    let unapproved = Csr::create(cluster, &issuer.signer());
    let denied = Csr::create(cluster, &issuer.signer());
    cluster.kubectl(&["certificate", "deny", &denied.name]);
    let foreign = Csr::create(cluster, "example.com/signer").approve();
    let failed = Csr::create(cluster, &issuer.signer());
    let condition = r#"{"status":{"conditions":[{"type":"Failed","status":"True","reason":"Test"}]}}"#;
    let patch = ["patch", "csr", &failed.name, "--subresource=status", "--type=merge", "-p", condition];
    cluster.kubectl(&patch);
    let failed = failed.approve();
    flush();
    for csr in [&unapproved, &denied, &foreign] {
        csr.assert_untouched();
    }
    assert_eq!(failed.status().certificate, None);
}

#[test]
fn waiting_requests_get_an_event_and_then_their_certificate() {
    let cluster = shared();
    let no_issuer = Csr::create(cluster, "tcsissuer.tcs.intel.com/nowhere.none").approve();
    no_issuer.await_event("WaitingForIssuerExist");
    let issuer = Issuer::delivered(cluster, "later");
    issuer.await_reason("AwaitingKey");
    let early = Csr::approved(&issuer);
    early.await_event("WaitingForIssuerReady");
    early.assert_untouched();
    issuer.deliver_until_ready(&Ca::p256(cluster));
    early.certificate();
    no_issuer.assert_untouched();
}

#[test]
fn w_r4_a_cluster_signer_with_dots_is_never_taken_for_a_namespaced_one() {
    let (issuer, _) = ready("dots");
    let signer = format!("tcsclusterissuer.tcs.intel.com/{}.{}", issuer.namespace, issuer.name);
    let csr = Csr::create(issuer.cluster, &signer).approve();
    csr.await_event("WaitingForIssuerExist");
    flush();
    csr.assert_untouched();
}

#[test]
fn a_deleted_issuer_signs_nothing() {
    let (issuer, _) = ready("deleted");
    issuer.delete();
    let csr = Csr::approved(&issuer);
    csr.await_event("WaitingForIssuerExist");
    csr.assert_untouched();
}

#[test]
fn b07_ca_cert_sign_and_crl_sign_are_refused_with_a_reason() {
    let (issuer, _) = ready("refuses");
    let cluster = issuer.cluster;
    for (extension, reason) in [
        ("basicConstraints=critical,CA:TRUE", "RequestForCa"),
        ("keyUsage=digitalSignature,keyCertSign", "UsageForbidden"),
        ("keyUsage=cRLSign", "UsageForbidden"),
    ] {
        let pem = request(cluster, &["-addext", extension]);
        let csr = NewCsr::new(&issuer.signer(), &pem).create(cluster).approve();
        assert_eq!(csr.failure(), reason, "{extension}");
    }
    let plain = request(cluster, &[]);
    for usage in ["cert sign", "crl sign"] {
        let csr = NewCsr::new(&issuer.signer(), &plain).usages(&["digital signature", usage]);
        assert_eq!(csr.create(cluster).approve().failure(), "UsageForbidden", "{usage}");
    }
}

/// Requests are deleted and created again under one name, while the service signs as fast as it can.
#[test]
fn a_request_made_anew_never_receives_the_others_certificate() {
    let (issuer, _) = ready("anew");
    let cluster = issuer.cluster;
    let name = unique("anew");
    let create = |pem: &[u8]| NewCsr::new(&issuer.signer(), pem).named(&name).create(cluster);
    let delete = || cluster.kubectl(&["delete", "csr", &name, "--wait=true"]);
    for round in 0..5 {
        let pem = request(cluster, &["-subj", &format!("/CN=round-{round}")]);
        let csr = create(&pem).approve();
        // What a late signer would write: the object as it was, with a certificate.
        let mut late = cluster.get::<CertificateSigningRequest>("", &name).unwrap();
        let certificate = ByteString(csr.certificate().into_bytes());
        late.status.get_or_insert_default().certificate = Some(certificate);
        delete();
        let again = create(&pem);
        let path = format!("/apis/certificates.k8s.io/v1/certificatesigningrequests/{name}/status");
        let refused = cluster.try_kubectl_with(&["replace", "--raw", &path], &late).unwrap_err();
        assert!(refused.to_string().contains("Conflict"), "{refused}");
        again.assert_untouched();
        delete();
    }
    let csr = create(&request(cluster, &["-subj", "/CN=round-5"])).approve();
    let subject = openssl::print(&csr.certificate_file(), &["-subject"]);
    assert!(subject.contains("round-5"), "{subject}");
}
