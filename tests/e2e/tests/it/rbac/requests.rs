//! Signing and approving requests.

use crate::support::api_server::{
    can_i, client, control_plane, create, kubectl, namespace_with_account, output, service,
};
use crate::support::encoding::encode;
use k8s_openapi::api::authorization::v1::SelfSubjectAccessReview;
use k8s_openapi::api::certificates::v1::CertificateSigningRequest;
use kube::api::{Api, PostParams};
use serde_json::{Value, json};
use std::path::Path;

#[tokio::test]
async fn b10_the_service_signs_for_every_spelling_and_approves_nothing() {
    let approver = namespace_with_account("approvers", "approver");
    let role = ["--clusterrole=tcs-issuer-approver", "--serviceaccount=approvers:approver"];
    kubectl(&[&["create", "clusterrolebinding", "approver"], &role[..]].concat());
    let api: Api<CertificateSigningRequest> = Api::all(client(&service()).await);
    let ours = ["tcsissuer", "tcsissuers", "tcsclusterissuer", "tcsclusterissuers"];
    let signers = ours.iter().map(|kind| (format!("{kind}.tcs.intel.com/a.b"), true));
    let foreign = ["example.com/signer", "kubernetes.io/kube-apiserver-client", "tcs.intel.com/a.b"];
    for (number, (signer, served)) in signers.chain(foreign.map(|name| (name.to_owned(), false))).enumerate()
    {
        let name = format!("b10-{number}");
        create(&request(&name, &signer)).unwrap();
        let approve = |kubeconfig: &Path| {
            output(control_plane().kubectl_as(kubeconfig).args(["certificate", "approve", &name]))
        };
        let error = approve(&service()).unwrap_err();
        assert!(error.contains("forbidden"), "{signer}: {error}");
        assert_eq!(approve(&approver).is_ok(), served, "{signer}");

        let mut object = api.get(&name).await.unwrap();
        let failed = json!([{ "type": "Failed", "status": "True", "reason": "Test" }]);
        let status = object.status.get_or_insert_default();
        status.conditions.get_or_insert_default().extend(serde_json::from_value::<Vec<_>>(failed).unwrap());
        let written = api.replace_status(&name, &PostParams::default(), &object).await;
        assert_eq!(written.is_ok(), served, "{signer}: {written:?}");
    }
}

#[tokio::test]
async fn b10_the_service_has_the_right_to_sign_and_no_other() {
    for (verb, expected) in [("sign", true), ("approve", false), ("attest", false)] {
        let review = json!({ "spec": { "resourceAttributes": {
            "group": "certificates.k8s.io", "resource": "signers", "verb": verb,
            "name": "tcsissuer.tcs.intel.com/*",
        } } });
        let review: SelfSubjectAccessReview = serde_json::from_value(review).unwrap();
        let reviews: Api<SelfSubjectAccessReview> = Api::all(client(&service()).await);
        let review = reviews.create(&PostParams::default(), &review).await.unwrap();
        assert_eq!(review.status.is_some_and(|status| status.allowed), expected, "{verb}");
    }
    // It asks who may use an issuer, and nothing else about others.
    assert!(can_i(&service(), "create subjectaccessreviews.authorization.k8s.io"));
    for other in
        ["localsubjectaccessreviews.authorization.k8s.io -n default", "tokenreviews.authentication.k8s.io"]
    {
        assert!(!can_i(&service(), &format!("create {other}")), "{other}");
    }
    assert!(!can_i(&service(), "reference tcsissuers.tcs.intel.com -A"));
    let requests = "certificatesigningrequests.certificates.k8s.io";
    for verb in ["update", "patch"] {
        assert!(!can_i(&service(), &format!("{verb} {requests} --subresource=approval")), "{verb}");
    }
    for verb in ["create", "update", "patch", "delete"] {
        assert!(!can_i(&service(), &format!("{verb} {requests}")), "{verb}");
        assert!(!can_i(&service(), &format!("{verb} tcsissuers.tcs.intel.com -A")), "{verb}");
    }
}

fn request(name: &str, signer: &str) -> Value {
    let key = rcgen::KeyPair::generate().unwrap();
    let csr =
        rcgen::CertificateParams::new(vec!["a.example".into()]).unwrap().serialize_request(&key).unwrap();
    json!({
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "CertificateSigningRequest",
        "metadata": { "name": name },
        "spec": {
            "request": encode(csr.pem().unwrap().as_bytes()),
            "signerName": signer,
            "usages": ["client auth"],
        },
    })
}
