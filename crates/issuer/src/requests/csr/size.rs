//! How much memory a request takes.

use super::{CsrCondition, CsrStatus, KubernetesCsr};
use crate::memory::{list, map, metadata, optional, sum, text, texts};
use k8s_openapi::api::certificates::v1::CertificateSigningRequestSpec;

/// The memory that a request takes, in bytes.
pub fn size(request: &KubernetesCsr) -> usize {
    // A field that a new version of the type adds does not compile until it is added here.
    let KubernetesCsr { metadata: of_all, spec, status } = request;
    let CertificateSigningRequestSpec {
        expiration_seconds: _,
        extra,
        groups,
        request: pem,
        signer_name,
        uid,
        usages,
        username,
    } = spec;
    sum([
        size_of::<KubernetesCsr>(),
        metadata(of_all),
        extra.as_ref().map_or(0, |extra| map(extra, |values| texts(values))),
        groups.as_deref().map_or(0, texts),
        usages.as_deref().map_or(0, texts),
        pem.0.len(),
        text(signer_name),
        optional(uid.as_ref()),
        optional(username.as_ref()),
        status.as_ref().map_or(0, of_status),
    ])
}

fn of_status(CsrStatus { certificate, conditions }: &CsrStatus) -> usize {
    let of_condition = |condition: &CsrCondition| {
        let CsrCondition { type_, status, reason, message, last_update_time, last_transition_time } =
            condition;
        let others = [reason, message, last_update_time, last_transition_time];
        sum([text(type_), text(status), sum(others.map(|other| optional(other.as_ref())))])
    };
    let certificate = certificate.as_ref().map_or(0, |pem| pem.0.len());
    certificate.saturating_add(conditions.as_deref().map_or(0, |all| list(all, of_condition)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::ByteString;
    use serde_json::{Value, json};

    fn of(metadata: &Value, spec: &Value, status: &Value) -> usize {
        let mut object = json!({
            "metadata": metadata,
            "spec": {"request": "", "signerName": "tcsissuer.tcs.intel.com/ns.issuer"},
            "status": status,
        });
        object["spec"].as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        size(&serde_json::from_value(object).unwrap())
    }

    #[test]
    fn every_field_counts_with_its_length_and_many_small_ones_count_with_what_they_take() {
        let none = of(&json!({}), &json!({}), &json!({}));
        let long = "x".repeat(100_000);
        let pem = serde_json::to_value(ByteString(long.clone().into_bytes())).unwrap();
        let condition = |field: &str| {
            let mut condition = json!({"type": "T", "status": "True"});
            condition[field] = json!(long);
            json!({"conditions": [condition]})
        };
        let (empty, owner) = (json!({}), |field: &str| {
            let mut owner = json!({"apiVersion": "v1", "kind": "K", "name": "n", "uid": "u"});
            owner[field] = json!(long);
            json!({"ownerReferences": [owner]})
        });
        let metadata = ["name", "namespace", "generateName", "uid", "resourceVersion", "selfLink"];
        let metadata = metadata.map(|field| json!({field: long})).into_iter().chain([
            json!({"annotations": {"a": long}}),
            json!({"labels": {&long: ""}}),
            json!({"finalizers": [long]}),
        ]);
        let metadata = metadata.chain(["apiVersion", "kind", "name", "uid"].map(owner));
        let cases = metadata.map(|metadata| of(&metadata, &empty, &empty));
        let spec = [
            json!({"request": pem}),
            json!({"username": long}),
            json!({"uid": long}),
            json!({"groups": [long]}),
            json!({"usages": [long]}),
            json!({"extra": {"k": [long]}}),
            json!({"signerName": long}),
        ];
        let cases = cases.chain(spec.map(|spec| of(&empty, &spec, &empty)));
        let fields = ["type", "status", "reason", "message", "lastUpdateTime", "lastTransitionTime"];
        let status = fields.map(condition).into_iter().chain([json!({"certificate": pem})]);
        let cases = cases.chain(status.map(|status| of(&empty, &empty, &status)));
        let sizes: Vec<_> = cases.collect();
        assert_eq!(sizes.len(), 27);
        assert!(sizes.iter().all(|size| (90_000..110_000).contains(&(size - none))), "{none}: {sizes:?}");

        let labels: serde_json::Map<_, _> = (0..1000).map(|number| (number.to_string(), json!(""))).collect();
        let many = of(&json!({"labels": labels}), &empty, &empty) - none;
        assert!(many > 100_000, "{many}: nodes and allocations count");
    }

    #[test]
    fn a_usual_request_takes_a_few_kilobytes() {
        let request = serde_json::to_value(ByteString(vec![b'x'; 1100])).unwrap();
        let metadata = json!({"name": "x".repeat(40), "uid": "x".repeat(36), "resourceVersion": "123456"});
        let extra = json!({"authentication.kubernetes.io/credential-id": ["JTI=".repeat(12)],
            "authentication.kubernetes.io/pod-name": ["x".repeat(40)], "authentication.kubernetes.io/pod-uid": ["x".repeat(36)]});
        let groups = ["system:serviceaccounts", "system:serviceaccounts:sandbox", "system:authenticated"];
        let username = "system:serviceaccount:sandbox:web";
        let spec = json!({"request": request, "username": username, "groups": groups, "extra": extra, "usages": ["server auth"]});
        let times = "2026-01-01T00:00:00Z";
        let approved = json!({"type": "Approved", "status": "True", "reason": "KubectlApprove",
            "message": "This CSR was approved by kubectl certificate approve.", "lastUpdateTime": times, "lastTransitionTime": times});
        let size = of(&metadata, &spec, &json!({"conditions": [approved]}));
        assert!((2_000..4_000).contains(&size), "{size}");
    }
}
