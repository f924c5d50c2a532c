//! The same request through both request APIs.

use crate::support::certificate_request::{NewRequest, shared_with_crd};
use crate::support::csr::NewCsr;
use crate::support::issuer::Issuer;
use crate::support::openssl::{self, request};
use serde_json::json;
use std::path::Path;

const USAGES: [&str; 2] = ["digital signature", "server auth"];

/// A certificate as text, without what no two certificates share: the serial number, the times and the
/// signature.
fn text(certificate: &Path) -> String {
    let text = openssl::print(certificate, &["-text", "-certopt", "no_serial,no_validity,no_sigdump"]);
    assert!(text.contains("Subject Alternative Name") && !text.contains("Not Before"), "{text}");
    text
}

#[test]
fn x01_the_same_request_gets_the_same_certificate_and_the_same_refusal_through_both_apis() {
    let issuer = Issuer::self_signed_ready(shared_with_crd(), "x01-apis");
    let cluster = issuer.cluster;
    let both = |options: &[&str], usages: &[&str]| {
        let pem = request(cluster, options);
        let csr = NewCsr::new(&issuer.signer(), &pem).usages(usages).create(cluster).approve();
        let new = NewRequest::new(&issuer, "", &pem).with("usages", json!(usages));
        (csr, new.create(cluster).approve())
    };
    for names in ["DNS:x01.example,IP:10.0.0.1", "URI:spiffe://td.example/ns/a/sa/b"] {
        let names = format!("subjectAltName={names}");
        for subject in ["/", "/CN=x01.example"] {
            let (csr, other) = both(&["-subj", subject, "-addext", &names], &USAGES);
            assert_eq!(text(&csr.certificate_file()), text(&other.certificate_file()), "{subject} {names}");
        }
    }
    for (options, usages, code) in [
        (&["-subj", "/CN=system:node:x"][..], &USAGES[..], "IdentityForbidden"),
        (&["-subj", "/O=system:masters/CN=x"], &USAGES, "IdentityForbidden"),
        (&["-subj", "/"], &USAGES, "IdentityForbidden"),
        (&["-addext", "subjectAltName=DNS:https://a.example"], &USAGES, "IdentityForbidden"),
        (&["-addext", "basicConstraints=critical,CA:TRUE"], &USAGES, "RequestForCa"),
        (&["-addext", "keyUsage=keyCertSign"], &USAGES, "UsageForbidden"),
        (&[], &["cert sign"], "UsageForbidden"),
        (&[], &["crl sign"], "UsageForbidden"),
    ] {
        let (csr, other) = both(options, usages);
        assert_eq!((csr.failure().as_str(), other.invalid().as_str()), (code, code), "{options:?}");
        let message = csr.condition("Failed").unwrap().message.unwrap();
        assert_eq!(other.condition("InvalidRequest")["message"], message.as_str(), "{options:?}");
    }
}
