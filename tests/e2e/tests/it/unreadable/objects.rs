//! Objects with which clients have trouble, as somebody with the right to create them can make them.

use crate::support::encoding::encode;
use crate::support::openssl;
use crate::support::test_cluster::TestCluster;
use serde_json::{Value, json};
use std::path::Path;

/// A time that `jiff` cannot represent: more than a day after its last one, and the last second that Go
/// writes.
pub const BEYOND: &str = "9999-12-31T23:59:59Z";
/// What the Secrets contain.
pub const HUSH: &[u8] = b"what a Secret holds is not for the log";
/// The namespace of the issuers.
pub const NAMESPACE: &str = "unreadable";
/// The signer of the issuer that is stored as an earlier CRD allowed it.
const OLD_SIGNER: &str = "tcsissuer.tcs.intel.com/unreadable.old";
/// Every kind that the controller watches.
const KINDS: [&str; 5] =
    ["TCSIssuer", "TCSClusterIssuer", "QuoteAttestation", "CertificateSigningRequest", "Secret"];

/// An object of a kind as other clients make it.
pub fn object(kind: &str, name: &str) -> Value {
    let api_version = match kind {
        "CertificateSigningRequest" => "certificates.k8s.io/v1",
        "Secret" => "v1",
        _ => "tcs.intel.com/v1alpha1",
    };
    let mut object = json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": name}});
    match kind {
        "TCSIssuer" | "TCSClusterIssuer" => {
            object["spec"] = json!({"secretName": format!("{name}-ca"), "selfSign": true});
        }
        "QuoteAttestation" => {
            object["spec"] = json!({"quote": "cXVvdGU=", "publicKey": "a2V5", "signerName": "example.com/a"});
        }
        "CertificateSigningRequest" => {
            object["spec"] = json!({"request": "", "signerName": OLD_SIGNER, "usages": ["server auth"]});
        }
        _ => object["data"] = json!({"field": encode(HUSH)}),
    }
    object
}

/// An entry of `metadata.managedFields` at the time [`BEYOND`].
pub fn managed_field(api_version: &Value, field: &Value) -> Value {
    json!({
        "manager": "somebody", "operation": "Update", "apiVersion": api_version, "time": BEYOND,
        "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {"f:more": field}, "f:data": {"f:more": field}},
    })
}

/// The text of an object with such an entry for a field that the object lacks. The API server keeps it when
/// the object is created. `field` need not be UTF-8.
fn with_managed_field(object: &Value, field: &[u8]) -> Vec<u8> {
    let mut object = object.clone();
    object["metadata"]["managedFields"] = json!([managed_field(&object["apiVersion"], &json!("@"))]);
    let text = object.to_string();
    let parts: Vec<&[u8]> = text.split("\"@\"").map(str::as_bytes).collect();
    parts.join(field)
}

/// An object that is as large as the API server accepts it.
fn large(kind: &str, name: &str, request: &[u8]) -> Value {
    let mut object = object(kind, name);
    match kind {
        "CertificateSigningRequest" => {
            let text = "text before a PEM block\n".repeat(50_000);
            object["spec"]["request"] = json!(encode(&[text.as_bytes(), request].concat()));
        }
        "Secret" => object["data"]["field"] = json!(encode(&vec![b'h'; 1024 * 1024 - 5])),
        _ => object["metadata"]["annotations"] = json!({"large": "a".repeat(255 * 1024)}),
    }
    object
}

/// Creates an object exactly as it is written, as the user of a kubeconfig: what the API server answers,
/// which need not be UTF-8.
pub fn create(cluster: &TestCluster, kubeconfig: &Path, kind: &str, object: &[u8]) -> Result<String, String> {
    let collection = match kind {
        "TCSIssuer" => format!("/apis/tcs.intel.com/v1alpha1/namespaces/{NAMESPACE}/tcsissuers"),
        "TCSClusterIssuer" => "/apis/tcs.intel.com/v1alpha1/tcsclusterissuers".into(),
        "QuoteAttestation" => "/apis/tcs.intel.com/v1alpha1/namespaces/tcs-issuer/quoteattestations".into(),
        "CertificateSigningRequest" => "/apis/certificates.k8s.io/v1/certificatesigningrequests".into(),
        _ => "/api/v1/namespaces/tcs-issuer/secrets".to_owned(),
    };
    let mut kubectl = cluster.stack.cluster.kubectl_as(kubeconfig);
    kubectl.args(["create", "--raw", &collection, "-f"]).arg(cluster.new_file("object", object));
    let output = kubectl.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

/// Creates four objects of each watched kind: with a time that we cannot represent, nested too deep, not
/// UTF-8, and as large as possible. An editor of their namespace creates the namespaced issuers.
pub fn create_bad_objects(cluster: &TestCluster, suffix: &str, editor: &Path) {
    let request = openssl::request(cluster, &[]);
    let admin = cluster.stack.cluster.admin_kubeconfig();
    let nested = format!("{}{{}}{}", "{\"f:a\":".repeat(3_000), "}".repeat(3_000));
    let fields: [(&str, &[u8]); 3] =
        [("time", b"{}"), ("deep", nested.as_bytes()), ("bytes", b"{\"f:\xff\xfe\":{}}")];
    for kind in KINDS {
        let user = if kind == "TCSIssuer" { editor } else { &admin };
        for (stem, field) in fields {
            let mut plain = object(kind, &format!("{stem}-{suffix}"));
            if kind == "CertificateSigningRequest" {
                plain["spec"]["request"] = json!(encode(&request));
            }
            let created = create(cluster, user, kind, &with_managed_field(&plain, field)).unwrap();
            assert!(created.contains(BEYOND), "{stem} of {kind}: the API server keeps the time");
        }
        let large = large(kind, &format!("large-{suffix}"), &request).to_string();
        create(cluster, user, kind, large.as_bytes()).unwrap();
    }
}
