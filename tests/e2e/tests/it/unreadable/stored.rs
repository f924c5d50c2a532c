//! Objects that an earlier version of the CRDs allowed and that fit no type of today.

use crate::support::test_cluster::TestCluster;
use crate::unreadable::objects::{NAMESPACE, create, object};
use serde_json::{Value, json};
use tcs_api::sealed;

/// Plural and kind of every custom resource.
const CRDS: [(&str, &str); 3] = [
    ("tcsissuers", "TCSIssuer"),
    ("tcsclusterissuers", "TCSClusterIssuer"),
    ("quoteattestations", "QuoteAttestation"),
];

/// Lets the API server store what fits no type, as an earlier CRD may have, and restores the CRDs.
pub fn with_lax_crds(cluster: &TestCluster, store: impl FnOnce()) {
    let is_strict = |(_, kind): &(&str, &str)| {
        let mut wrong = object(kind, "probe");
        wrong["spec"]["publicKey"] = json!(5);
        cluster.try_kubectl_with(&["create", "--dry-run=server", "-n", "tcs-issuer"], &wrong).is_err()
    };
    let await_strict = |strict: bool| {
        cluster.wait_until("the CRDs to take effect", || CRDS.iter().all(|crd| is_strict(crd) == strict));
    };
    for (plural, _) in CRDS {
        let patch = json!([{
            "op": "replace", "path": "/spec/versions/0/schema/openAPIV3Schema",
            "value": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
        }])
        .to_string();
        let name = format!("{plural}.tcs.intel.com");
        cluster.kubectl(&["patch", "customresourcedefinition", &name, "--type=json", "-p", &patch]);
    }
    await_strict(false);
    store();
    for (plural, _) in CRDS {
        cluster.kubectl(&["replace", "-f", &format!("deployment/crds/tcs.intel.com_{plural}.yaml")]);
    }
    await_strict(true);
}

/// What a controller stored for issuers that cannot be read any more: their UIDs.
pub struct Stored {
    issuers: Vec<String>,
}

impl Stored {
    /// Stores an issuer of each kind that fits no type, with the objects of a controller for each, and such
    /// objects of an issuer that is gone.
    pub fn create(cluster: &TestCluster) -> Self {
        for namespace in ["tcs-issuer", NAMESPACE] {
            cluster.apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}));
        }
        cluster.kubectl(&["apply", "-f", "deployment/crds/"]);
        let admin = cluster.stack.cluster.admin_kubeconfig();
        let create = |kind: &str, object: &Value| {
            let created = create(cluster, &admin, kind, object.to_string().as_bytes()).unwrap();
            serde_json::from_str::<Value>(&created).unwrap()
        };
        let mut issuers = Vec::new();
        with_lax_crds(cluster, || {
            for (_, kind) in CRDS {
                let mut old = object(kind, "old");
                let field = if kind == "QuoteAttestation" { "quote" } else { "secretName" };
                old["spec"][field] = json!(5);
                let old = create(kind, &old);
                if kind != "QuoteAttestation" {
                    issuers.push(old["metadata"]["uid"].as_str().unwrap().to_owned());
                }
            }
        });
        for uid in issuers.iter().map(String::as_str).chain(["gone"]) {
            let labels =
                json!({"app.kubernetes.io/managed-by": "tcs-issuer", "tcs.intel.com/issuer-uid": uid});
            let mut secret = object("Secret", &sealed::name(uid));
            secret["metadata"]["labels"] = labels.clone();
            secret["type"] = json!(sealed::TYPE);
            create("Secret", &secret);
            let mut attestation = object("QuoteAttestation", &format!("kept.{uid}"));
            attestation["metadata"]["labels"] = labels;
            create("QuoteAttestation", &attestation);
        }
        Self { issuers }
    }

    /// Garbage collection deletes none of these objects.
    pub fn assert_kept(&self, cluster: &TestCluster) {
        let get = ["get", "quoteattestations.tcs.intel.com", "-n", "tcs-issuer"];
        for uid in &self.issuers {
            cluster.kubectl(&["get", "secret", "-n", "tcs-issuer", &sealed::name(uid)]);
            cluster.kubectl(&[&get[..], &[&format!("kept.{uid}")]].concat());
        }
        cluster.kubectl(&[&get[..], &["old"]].concat());
    }

    /// Waits until the objects of the issuer that is gone are deleted.
    pub fn await_collection(&self, cluster: &TestCluster) {
        let name = sealed::name("gone");
        cluster.wait_until("the objects of a deleted issuer to be collected", || {
            cluster.service_secret(&name).is_none()
        });
        self.assert_kept(cluster);
    }
}
