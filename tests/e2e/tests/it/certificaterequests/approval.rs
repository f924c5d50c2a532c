//! Which requests are served, and which are never touched.

use crate::support::certificate_request::{CertificateRequest, NewRequest, shared_with_crd};
use crate::support::issuer::Issuer;
use crate::support::openssl::request;
use crate::support::wait::unique;
use serde_json::{Value, json};

/// Has a certificate issued, so that the controller has seen all that was made before.
fn flush(issuer: &Issuer<'_>) {
    CertificateRequest::approved(issuer).certificate();
}

#[test]
fn a01_matches_issuer_ref_exactly() {
    let cluster = shared_with_crd();
    let issuer = Issuer::self_signed_ready(cluster, "a01");
    let of_cluster = Issuer::self_signed_of_cluster(cluster, &unique("a01"));
    of_cluster.await_reason("Ready");
    let pem = request(cluster, &[]);
    let elsewhere = cluster.new_namespace();
    let create = |namespace: &str, reference: &Value| {
        NewRequest::of(reference, namespace, &pem).create(cluster).approve()
    };
    for reference in [
        json!({"group": "tcs.intel.com", "kind": "TCSIssuer", "name": "a01"}),
        json!({"group": "tcs.intel.com", "name": "a01"}),
        json!({"group": "tcs.intel.com", "kind": "", "name": "a01"}),
    ] {
        issuer.accepts(&[&create(&issuer.namespace, &reference).certificate_file()]);
    }
    let reference = json!({"group": "tcs.intel.com", "kind": "TCSClusterIssuer", "name": of_cluster.name});
    of_cluster.accepts(&[&create(&elsewhere, &reference).certificate_file()]);

    // An issuer of a namespace serves its own namespace only.
    let foreign = create(&elsewhere, &json!({"group": "tcs.intel.com", "kind": "TCSIssuer", "name": "a01"}));
    let message = foreign.await_ready("Pending")["message"].as_str().unwrap().to_owned();
    assert!(message.contains(&format!("there is no TCSIssuer {elsewhere}/a01")), "{message}");

    let others = [
        json!({"name": "a01"}),
        json!({"kind": "TCSIssuer", "name": "a01"}),
        json!({"group": "cert-manager.io", "kind": "TCSIssuer", "name": "a01"}),
        json!({"group": "tcs.intel.com", "kind": "Issuer", "name": "a01"}),
        json!({"group": "tcs.intel.com", "kind": "tcsissuer", "name": "a01"}),
    ];
    let others = others.map(|reference| create(&issuer.namespace, &reference));
    flush(&issuer);
    for request in &others {
        request.assert_untouched();
        assert!(request.events("WaitingForIssuerExist").is_empty());
    }
    let impossible = create(&elsewhere, &json!({"group": "tcs.intel.com", "name": "A_b"}));
    assert_eq!(impossible.invalid(), "RequestMalformed");
}

#[test]
fn a02_untouched_until_approved_or_denied() {
    let issuer = Issuer::self_signed_ready(shared_with_crd(), "a02");
    let request = CertificateRequest::create(&issuer);
    flush(&issuer);
    request.assert_untouched();
    let request = request.approve();
    let approved = request.condition("Approved");
    request.certificate();
    assert_eq!(request.condition("Approved"), approved, "it stays as its approver wrote it");
    let managers = request.object_with_managers();
    let fields = managers.as_array().unwrap().iter().find(|one| one["manager"] == "tcs-issuer").unwrap();
    assert!(!fields.to_string().contains("Approved"), "{fields}");
}

/// cert-manager's webhook forbids to change a spec. It does not run here.
#[test]
fn a02_an_approval_does_not_cover_a_spec_that_was_changed() {
    let issuer = Issuer::self_signed_ready(shared_with_crd(), "a02-changed");
    let request = CertificateRequest::create(&issuer);
    request.patch(&json!({"spec": {"isCA": true}}));
    let request = request.approve();
    assert_eq!(request.invalid(), "RequestMalformed");
    assert_eq!(request.field("certificate"), None);
}

#[test]
fn a03_denied_is_never_signed() {
    let issuer = Issuer::self_signed_ready(shared_with_crd(), "a03");
    let denied = CertificateRequest::create(&issuer).deny();
    let both = CertificateRequest::create(&issuer);
    both.set_conditions(&["Approved", "Denied"]);
    // Nobody has to wait for an issuer to be refused.
    let nowhere = json!({"group": "tcs.intel.com", "name": "nowhere"});
    let pem = request(issuer.cluster, &[]);
    let nowhere = NewRequest::of(&nowhere, &issuer.namespace, &pem).create(issuer.cluster).deny();
    for request in [&denied, &both, &nowhere] {
        let ready = request.await_ready("Denied");
        assert_eq!(ready["status"], "False");
        assert!(request.status()["failureTime"].is_string(), "{}", request.status());
        assert!(request.condition("InvalidRequest").is_null());
        assert_eq!(request.condition("Denied")["message"], "by the administrator");
        assert_eq!(request.await_event("Denied").type_.as_deref(), Some("Warning"));
    }
    flush(&issuer);
    assert_eq!(denied.versions_since_written().len(), 1, "it is written once");
    assert_eq!(both.field("certificate"), None);
}

#[test]
fn a04_terminal_requests_left_alone() {
    let issuer = Issuer::self_signed_ready(shared_with_crd(), "a04");
    let ended = [
        json!({"conditions": [{"type": "Ready", "status": "True", "reason": "Issued"}]}),
        json!({"conditions": [{"type": "Ready", "status": "False", "reason": "Failed"}]}),
        json!({"conditions": [{"type": "Ready", "status": "False", "reason": "Denied"}]}),
        json!({"certificate": "eA=="}),
    ];
    let ended = ended.map(|status| {
        let request = CertificateRequest::create(&issuer);
        request.patch_status(&json!({ "status": status }));
        request.approve()
    });
    let signed = CertificateRequest::approved(&issuer);
    let certificate = signed.certificate();
    signed.set_conditions(&["Denied"]);
    flush(&issuer);
    for request in ended.iter().chain([&signed]) {
        request.assert_untouched();
    }
    assert_eq!(signed.field("certificate"), Some(certificate));
}

#[test]
fn a21_approval_rbac_shipped() {
    let cluster = shared_with_crd();
    let may = |account: &str, verb: &str, name: &str| {
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview",
            "spec": {
                "user": format!("system:serviceaccount:cert-manager:{account}"),
                "resourceAttributes": {"group": "cert-manager.io", "resource": "signers", "verb": verb, "name": name},
            },
        });
        let answer = cluster.try_kubectl_with(&["create", "-o", "json"], &review).unwrap();
        serde_json::from_str::<Value>(&answer).unwrap()["status"]["allowed"] == true
    };
    for kind in ["tcsissuers", "tcsclusterissuers"] {
        let name = format!("{kind}.tcs.intel.com/*");
        assert!(may("cert-manager", "approve", &name), "{name}");
        assert!(!may("cert-manager", "sign", &name) && !may("cert-manager-webhook", "approve", &name));
    }
    for other in ["issuers.cert-manager.io/*", "clusterissuers.cert-manager.io/*", "example.com/*", "*"] {
        assert!(!may("cert-manager", "approve", other), "{other}");
    }
}
