//! A22: the cases of cert-manager's own conformance suite for issuers, one test each.
//!
//! Certificates are issued by cert-manager's controllers, except in the two cases that are about Kubernetes'
//! own requests.

use crate::support::cert_manager::{Issued, NewCertificate, shared_issuer, stage};
use crate::support::csr::NewCsr;
use crate::support::openssl::{self, lifetime, request};
use serde_json::{Value, json};
use tcs_api::annotations::REQUEST_DURATION;

/// Issues a Certificate with these fields of the spec, which include its names.
fn issue(spec: &Value) -> Issued {
    let cluster = &stage().cluster;
    let certificate = NewCertificate::nameless(shared_issuer(), &cluster.new_namespace());
    let issued = certificate.with(spec).create(cluster).await_issued();
    shared_issuer().accepts(&[&issued.chain]);
    issued
}

/// Issues a Certificate, and requires that its text contains all of these parts.
fn issues(spec: &Value, parts: &[&str]) -> String {
    let text = issue(spec).text();
    for part in parts {
        assert!(text.contains(part), "{part}: {text}");
    }
    text
}

fn key(algorithm: &str, size: Option<u32>) -> Value {
    json!({"algorithm": algorithm, "size": size, "rotationPolicy": "Always"})
}

const RSA: &str = "Public-Key: (2048 bit)";
const P256: &str = "ASN1 OID: prime256v1";
const ED25519: &str = "Public Key Algorithm: ED25519";

#[test]
fn a22_key_rsa_dns() {
    let spec = json!({"privateKey": key("RSA", Some(2048)), "dnsNames": ["rsa.example"]});
    issues(&spec, &[RSA, "DNS:rsa.example"]);
}

#[test]
fn a22_key_rsa_cn() {
    issues(&json!({"privateKey": key("RSA", Some(2048)), "commonName": "rsa"}), &[RSA, "CN=rsa"]);
}

#[test]
fn a22_key_ecdsa_dns() {
    let spec = json!({"privateKey": key("ECDSA", Some(256)), "dnsNames": ["ecdsa.example"]});
    issues(&spec, &[P256, "DNS:ecdsa.example"]);
}

#[test]
fn a22_key_ecdsa_cn() {
    issues(&json!({"privateKey": key("ECDSA", Some(256)), "commonName": "ecdsa"}), &[P256, "CN=ecdsa"]);
}

#[test]
fn a22_key_ed25519_dns() {
    let spec = json!({"privateKey": key("Ed25519", None), "dnsNames": ["ed25519.example"]});
    issues(&spec, &[ED25519, "DNS:ed25519.example"]);
}

#[test]
fn a22_key_ed25519_cn() {
    issues(&json!({"privateKey": key("Ed25519", None), "commonName": "ed25519"}), &[ED25519, "CN=ed25519"]);
}

#[test]
fn a22_cn_and_ip() {
    let spec = json!({"commonName": "ip", "ipAddresses": ["8.8.8.8", "2001:db8::1"]});
    issues(&spec, &["CN=ip", "IP Address:8.8.8.8, IP Address:2001:DB8:0:0:0:0:0:1"]);
}

#[test]
fn a22_ip_only() {
    let text = issues(&json!({"ipAddresses": ["8.8.8.8"]}), &["IP Address:8.8.8.8"]);
    assert!(text.contains("Subject Alternative Name: critical"), "the subject is empty: {text}");
}

#[test]
fn a22_dns_and_ip() {
    let spec = json!({"dnsNames": ["a.example"], "ipAddresses": ["8.8.8.8"]});
    issues(&spec, &["DNS:a.example, IP Address:8.8.8.8"]);
}

#[test]
fn a22_ca_bit() {
    let text = issues(&json!({"isCA": true, "commonName": "ca"}), &["CA:TRUE", "Certificate Sign", "CN=ca"]);
    assert!(text.contains("Basic Constraints: critical"), "{text}");
}

/// The profile shortens what is longer than a year.
#[test]
fn a22_ca_large_duration() {
    let issued = issue(&json!({"isCA": true, "commonName": "ca", "duration": "87600h"}));
    assert_eq!(lifetime(&issued.chain), 365 * 86_400);
}

#[test]
fn a22_email_san() {
    issues(&json!({"emailAddresses": ["alice@example.com"]}), &["email:alice@example.com"]);
}

#[test]
fn a22_cn_and_uri() {
    let spec = json!({"commonName": "uri", "uris": ["spiffe://cluster.example/ns/a/sa/b"]});
    issues(&spec, &["CN=uri", "URI:spiffe://cluster.example/ns/a/sa/b"]);
}

#[test]
fn a22_uri_only() {
    let text = issues(&json!({"uris": ["spiffe://cluster.example/a"]}), &["URI:spiffe://cluster.example/a"]);
    assert!(text.contains("Subject Alternative Name: critical"), "{text}");
}

#[test]
fn a22_two_dns() {
    issues(&json!({"dnsNames": ["a.example", "b.example"]}), &["DNS:a.example, DNS:b.example"]);
}

#[test]
fn a22_distinct_cn_and_dns() {
    let spec = json!({"commonName": "one.example", "dnsNames": ["two.example"]});
    let text = issues(&spec, &["CN=one.example", "DNS:two.example"]);
    assert!(!text.contains("DNS:one.example"), "names are as requested: {text}");
}

#[test]
fn a22_long_domain() {
    let name = format!("{0}.{0}.{0}.example", "a".repeat(63));
    issues(&json!({ "dnsNames": [name.clone()] }), &[&format!("DNS:{name}")]);
}

#[test]
fn a22_wildcard() {
    issues(&json!({"dnsNames": ["*.a.example"]}), &["DNS:*.a.example"]);
}

#[test]
fn a22_wildcard_and_apex() {
    issues(&json!({"dnsNames": ["*.a.example", "a.example"]}), &["DNS:*.a.example, DNS:a.example"]);
}

/// A `CertificateSigningRequest` with cert-manager's annotation.
#[test]
fn a22_duration_annotation() {
    let cluster = &stage().cluster;
    let csr =
        NewCsr::new(&shared_issuer().signer(), &request(cluster, &[])).annotated(REQUEST_DURATION, "1h");
    assert_eq!(lifetime(&csr.create(cluster).approve().certificate_file()), 3600 + 300);
}

/// A `CertificateSigningRequest` with Kubernetes' own field.
#[test]
fn a22_duration_expiration_seconds() {
    let cluster = &stage().cluster;
    let csr = NewCsr::new(&shared_issuer().signer(), &request(cluster, &[])).seconds(3333);
    assert_eq!(lifetime(&csr.create(cluster).approve().certificate_file()), 3333 + 300);
}

#[test]
fn a22_dns_and_duration() {
    let issued = issue(&json!({"dnsNames": ["a.example"], "duration": "896h"}));
    assert_eq!(lifetime(&issued.chain), 896 * 3600);
}

#[test]
fn a22_arbitrary_usages() {
    let usages = ["signing", "data encipherment", "server auth", "client auth", "code signing"];
    let text = issues(
        &json!({"dnsNames": ["a.example"], "usages": usages}),
        &["Digital Signature, Data Encipherment", "Server Authentication", "Client Authentication"],
    );
    assert!(text.contains("Code Signing") && !text.contains("Key Encipherment"), "{text}");
}

#[test]
fn a22_literal_subject() {
    let subject = "CN=foo-long,OU=FooBar,OU=Another,C=NO";
    let text = issues(&json!({"literalSubject": subject, "dnsNames": ["a.example"]}), &["CN=foo-long"]);
    assert!(text.contains("CN=foo-long,OU=FooBar,OU=Another,C=NO"), "the order is kept: {text}");
}

#[test]
fn a22_other_name() {
    let upn = json!([{"oid": "1.3.6.1.4.1.311.20.2.3", "utf8Value": "user@example.org"}]);
    let issued = issue(&json!({"otherNames": upn, "emailAddresses": ["email@domain.example"]}));
    let names = openssl::names(&issued.chain, "x509");
    assert!(names.contains("user@example.org") && names.contains("email@domain.example"), "{names}");
}

/// Two Certificates of one private key, which somebody put into the Secret before.
#[test]
fn a22_key_reuse() {
    let cluster = &stage().cluster;
    let keep = json!({"algorithm": "ECDSA", "size": 256, "rotationPolicy": "Never"});
    let certificate = NewCertificate::new(shared_issuer(), &cluster.new_namespace());
    let certificate = certificate.with(&json!({ "privateKey": keep })).create(cluster);
    let first = certificate.await_issued();
    certificate.delete();
    let again = NewCertificate::new(shared_issuer(), &certificate.namespace).named(&certificate.name);
    let again = again.with(&json!({"privateKey": keep, "dnsNames": ["b.example"]})).create(cluster);
    let second = again.await_issued();
    assert_eq!(first.public_key(), second.public_key());
    assert!(second.text().contains("DNS:b.example"));
}

#[test]
fn a22_reissue_after_edit() {
    let cluster = &stage().cluster;
    let certificate = NewCertificate::new(shared_issuer(), &cluster.new_namespace()).create(cluster);
    certificate.await_issued();
    certificate.patch(&json!({"dnsNames": ["edited.example"], "usages": ["client auth"]}));
    let text = certificate.await_revision(2).text();
    assert!(text.contains("DNS:edited.example") && text.contains("Client Authentication"), "{text}");
    assert!(!text.contains("DNS:a.example"), "{text}");
}
