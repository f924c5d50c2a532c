//! The real cert-manager beside the service: a cluster with both, and Certificates in it.

use crate::support::encoding::field;
use crate::support::issuer::Issuer;
use crate::support::openssl;
use crate::support::test_cluster::TestCluster;
use crate::support::wait::unique;
use k8s_openapi::api::core::v1::Secret;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;
use tcs_api::v1alpha1::{CaSpec, PolicySpec};
use tcs_testkit::process::run;
use tcs_testkit::{CertManager, ensure_cert_manager};

/// A cluster with the service and with cert-manager's controllers and webhook.
pub struct Stage {
    /// It ends before the cluster does.
    pub cert_manager: CertManager,
    pub cluster: TestCluster,
}

/// The stage of all tests that do not disturb others. Its processes end with this one.
pub fn stage() -> &'static Stage {
    static SHARED: OnceLock<Stage> = OnceLock::new();
    SHARED.get_or_init(Stage::new)
}

/// A cluster issuer on the shared stage, whose CA allows one level of CAs below its own.
pub fn shared_issuer() -> &'static Issuer<'static> {
    static SHARED: OnceLock<Issuer<'static>> = OnceLock::new();
    SHARED.get_or_init(|| {
        let cluster = &stage().cluster;
        let policy = PolicySpec { ca_depth: Some(1), ..PolicySpec::default() };
        let ca = CaSpec {
            max_path_len: Some(2),
            policy: Some(policy),
            lifetime_days: Some(3650),
            ..CaSpec::default()
        };
        let object = crate::support::objects::issuer_object("", "stage");
        let spec = tcs_api::v1alpha1::IssuerSpec { self_sign: true, ca: Some(ca), ..object.spec };
        let issuer = Issuer::of_cluster(cluster, "stage", spec);
        issuer.await_reason("Ready");
        issuer
    })
}

impl Stage {
    pub fn new() -> Self {
        let cluster = TestCluster::without_service();
        let assets = ensure_cert_manager(|line| eprintln!("{line}")).unwrap();
        let cert_manager = CertManager::start(&cluster.stack.cluster, &assets).unwrap();
        Self { cert_manager, cluster: cluster.with_service() }
    }
}

/// The reference to an issuer, as Certificates and `CertificateRequest`s have it.
pub fn reference(issuer: &Issuer<'_>) -> Value {
    let kind = if issuer.namespace.is_empty() { "TCSClusterIssuer" } else { "TCSIssuer" };
    json!({"group": "tcs.intel.com", "kind": kind, "name": issuer.name})
}

/// A Certificate that is not created yet.
#[derive(Clone)]
pub struct NewCertificate(Value);

impl NewCertificate {
    /// For a P-256 key, in the namespace of the issuer, or in `namespace` for a cluster issuer. It has no
    /// name of its subject yet.
    pub fn nameless(issuer: &Issuer<'_>, namespace: &str) -> Self {
        let name = unique("certificate");
        let namespace = if issuer.namespace.is_empty() { namespace } else { &issuer.namespace };
        Self(json!({
            "apiVersion": "cert-manager.io/v1", "kind": "Certificate",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {
                "secretName": name, "issuerRef": reference(issuer),
                "privateKey": {"algorithm": "ECDSA", "size": 256, "rotationPolicy": "Always"},
            },
        }))
    }

    /// As [`Self::nameless`], for one DNS name.
    pub fn new(issuer: &Issuer<'_>, namespace: &str) -> Self {
        Self::nameless(issuer, namespace).with(&json!({"dnsNames": ["a.example"]}))
    }

    /// Sets fields of the spec.
    pub fn with(mut self, fields: &Value) -> Self {
        let spec = self.0["spec"].as_object_mut().unwrap();
        spec.extend(fields.as_object().unwrap().clone());
        self
    }

    pub fn named(mut self, name: &str) -> Self {
        self.0["metadata"]["name"] = name.into();
        self.0["spec"]["secretName"] = name.into();
        self
    }

    pub fn create(self, cluster: &TestCluster) -> Certificate<'_> {
        self.try_create(cluster).unwrap_or_else(|error| panic!("{error}"))
    }

    /// As [`Self::create`]; the text of a refusal.
    pub fn try_create(self, cluster: &TestCluster) -> Result<Certificate<'_>, String> {
        let text = |field: &str| self.0["metadata"][field].as_str().unwrap().to_owned();
        cluster.try_kubectl_with(&["create"], &self.0).map_err(|error| format!("{error:#}"))?;
        Ok(Certificate { cluster, namespace: text("namespace"), name: text("name") })
    }

    /// The object.
    pub fn object(self) -> Value {
        self.0
    }
}

/// A Certificate in a cluster. Its Secret has its name.
pub struct Certificate<'a> {
    pub cluster: &'a TestCluster,
    pub namespace: String,
    pub name: String,
}

/// What the Secret of a Certificate holds, as files.
pub struct Issued {
    /// The leaf and its intermediates.
    pub chain: PathBuf,
    pub key: PathBuf,
    /// The trust anchor that cert-manager found in the request.
    pub ca: PathBuf,
}

impl Issued {
    pub fn of(cluster: &TestCluster, secret: &Secret) -> Self {
        let folder = cluster.new_folder("issued");
        let file = |name: &str| {
            let path = folder.join(name);
            std::fs::write(&path, field(secret, name)).unwrap();
            path
        };
        Self { chain: file("tls.crt"), key: file("tls.key"), ca: file("ca.crt") }
    }

    /// The leaf as text.
    pub fn text(&self) -> String {
        openssl::text(&self.chain)
    }

    /// The public key, PEM.
    pub fn public_key(&self) -> String {
        openssl::print(&self.chain, &["-pubkey"])
    }

    /// Requires that the private key is that of the leaf, and that the chain ends at the anchor.
    pub fn check(&self) {
        let public = run(Command::new("openssl").args(["pkey", "-pubout", "-in"]).arg(&self.key)).unwrap();
        assert_eq!(self.public_key(), public);
        openssl::verify_below(&self.ca, &self.chain, &self.chain);
    }
}

impl Certificate<'_> {
    pub fn object(&self) -> Value {
        self.cluster.get_json(&self.arguments())
    }

    /// What names it in a call of kubectl.
    pub fn arguments(&self) -> [&str; 4] {
        ["-n", &self.namespace, "certificates.cert-manager.io", &self.name]
    }

    /// A condition; null if there is none of this type.
    pub fn condition(&self, type_: &str) -> Value {
        condition(&self.object(), type_)
    }

    /// Waits until cert-manager says that the Secret holds a certificate of this revision and of the present
    /// spec; what the Secret holds.
    pub fn await_revision(&self, revision: u64) -> Issued {
        let what = format!("revision {revision} of {}", self.name);
        self.cluster.wait_until(&what, || {
            let object = self.object();
            let ready = condition(&object, "Ready");
            object["status"]["revision"].as_u64() >= Some(revision)
                && (ready["status"] == "True")
                && ready["observedGeneration"] == object["metadata"]["generation"]
                && condition(&object, "Issuing")["status"] != "True"
        });
        let issued = self.issued();
        issued.check();
        issued
    }

    /// Waits until it is ready; the object.
    pub fn await_ready(&self) -> Value {
        self.cluster.wait_for(&format!("{} to be ready", self.name), || {
            let object = self.object();
            (condition(&object, "Ready")["status"] == "True").then_some(object)
        })
    }

    /// Waits until it is issued; what its Secret holds.
    pub fn await_issued(&self) -> Issued {
        self.await_revision(1)
    }

    /// Waits until the attempt to issue it has failed; the condition `Issuing`.
    pub fn await_failed(&self) -> Value {
        self.cluster.wait_for(&format!("{} to fail", self.name), || {
            let issuing = self.condition("Issuing");
            (issuing["status"] == "False").then_some(issuing)
        })
    }

    /// What the Secret holds.
    pub fn issued(&self) -> Issued {
        Issued::of(self.cluster, &self.secret().expect("there is a Secret"))
    }

    pub fn secret(&self) -> Option<Secret> {
        self.cluster.get(&self.namespace, &self.name)
    }

    /// Its requests, the oldest revision first.
    pub fn requests(&self) -> Vec<Value> {
        let list = self.cluster.get_json(&["-n", &self.namespace, "certificaterequests.cert-manager.io"]);
        let all = list["items"].as_array().cloned().unwrap_or_default();
        let mut own: Vec<_> = all
            .into_iter()
            .filter(|one| one["metadata"]["ownerReferences"][0]["name"] == self.name)
            .collect();
        own.sort_by_key(revision_of);
        own
    }

    /// Waits until its first request has a condition with this reason; the request.
    pub fn await_request(&self, type_: &str, reason: &str) -> Value {
        let what = format!("a request of {} to be {reason}", self.name);
        self.cluster.wait_for(&what, || {
            self.requests().into_iter().find(|request| condition(request, type_)["reason"] == reason)
        })
    }

    /// Merges a patch into its spec.
    pub fn patch(&self, spec: &Value) {
        let patch = json!({ "spec": spec }).to_string();
        let arguments = [&["patch"], &self.arguments()[..], &["--type=merge", "-p", &patch]].concat();
        self.cluster.kubectl(&arguments);
    }

    /// Has it issued again, as `cmctl renew` does.
    pub fn renew(&self) {
        let renewing = json!({
            "type": "Issuing", "status": "True", "reason": "ManuallyTriggered", "message": "by a test",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        });
        let mut conditions = self.object()["status"]["conditions"].as_array().cloned().unwrap_or_default();
        conditions.retain(|condition| condition["type"] != "Issuing");
        conditions.push(renewing);
        let patch = json!({"status": {"conditions": conditions}}).to_string();
        let options = ["--subresource=status", "--type=merge", "-p", &patch];
        self.cluster.kubectl(&[&["patch"], &self.arguments()[..], &options].concat());
    }

    pub fn delete(&self) {
        self.cluster.kubectl(&[&["delete"], &self.arguments()[..], &["--wait=true"]].concat());
    }
}

/// The revision that a request is for.
pub fn revision_of(request: &Value) -> u64 {
    let text = &request["metadata"]["annotations"]["cert-manager.io/certificate-revision"];
    text.as_str().and_then(|text| text.parse().ok()).unwrap_or_default()
}

/// A condition of an object; null if there is none of this type.
pub fn condition(object: &Value, type_: &str) -> Value {
    let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
    conditions.into_iter().find(|condition| condition["type"] == type_).unwrap_or_default()
}
