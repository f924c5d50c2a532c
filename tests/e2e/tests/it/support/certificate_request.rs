//! `CertificateRequest`s of cert-manager: making and approving them, and waiting for what becomes of them.
//! Its own programs do not run; the administrator approves.

use crate::support::encoding::{decode, encode};
use crate::support::issuer::Issuer;
use crate::support::openssl;
use crate::support::test_cluster::{TestCluster, shared};
use crate::support::wait::unique;
use k8s_openapi::api::core::v1::Event;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::path::PathBuf;
use std::sync::OnceLock;

/// cert-manager's CRD.
pub const CRD: &str = "crates/testkit/data/cert-manager/cert-manager.io_certificaterequests.yaml";
/// The name of that CRD, and of its resource as kubectl takes it.
pub const RESOURCE: &str = "certificaterequests.cert-manager.io";

/// The shared cluster, on which the kind is installed.
pub fn shared_with_crd() -> &'static TestCluster {
    static INSTALLED: OnceLock<()> = OnceLock::new();
    INSTALLED.get_or_init(|| install_crd(shared()));
    shared()
}

/// Installs the kind, and waits until the API server serves it.
pub fn install_crd(cluster: &TestCluster) {
    cluster.kubectl(&["apply", "--server-side", "-f", CRD]);
    cluster.kubectl(&["wait", "--for=condition=Established", "--timeout=60s", "crd", RESOURCE]);
}

/// A request in a cluster.
pub struct CertificateRequest<'a> {
    pub cluster: &'a TestCluster,
    pub namespace: String,
    pub name: String,
    /// The version that the test wrote last. What is read later may be the service's already.
    pub written: RefCell<String>,
}

/// A request that is not created yet.
#[derive(Clone)]
pub struct NewRequest(Value);

impl NewRequest {
    /// A request for an issuer in the namespace of the issuer, or in `namespace` for a cluster issuer.
    pub fn new(issuer: &Issuer<'_>, namespace: &str, pem: &[u8]) -> Self {
        let is_of_cluster = issuer.namespace.is_empty();
        let kind = if is_of_cluster { "TCSClusterIssuer" } else { "TCSIssuer" };
        let reference = json!({"group": "tcs.intel.com", "kind": kind, "name": issuer.name});
        Self::of(&reference, if is_of_cluster { namespace } else { &issuer.namespace }, pem)
    }

    /// A request for any issuer.
    pub fn of(reference: &Value, namespace: &str, pem: &[u8]) -> Self {
        Self(json!({
            "apiVersion": "cert-manager.io/v1", "kind": "CertificateRequest",
            "metadata": {"name": unique("request"), "namespace": namespace},
            "spec": {"issuerRef": reference, "request": encode(pem)},
        }))
    }

    /// Sets a field of the spec.
    pub fn with(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.0["spec"][field] = value.into();
        self
    }

    pub fn named(mut self, name: &str) -> Self {
        self.0["metadata"]["name"] = name.into();
        self
    }

    pub fn create(self, cluster: &TestCluster) -> CertificateRequest<'_> {
        let text = |field: &str| self.0["metadata"][field].as_str().unwrap().to_owned();
        let created = cluster.try_kubectl_with(&["create", "-o", "json"], &self.0);
        let created = created.unwrap_or_else(|error| panic!("{error:#}"));
        let (namespace, name, written) =
            (text("namespace"), text("name"), RefCell::new(version_of(&created)));
        CertificateRequest { cluster, namespace, name, written }
    }

    /// The object.
    pub fn object(self) -> Value {
        self.0
    }
}

impl<'a> CertificateRequest<'a> {
    /// A plain request for an issuer of a namespace, already approved.
    pub fn approved(issuer: &Issuer<'a>) -> Self {
        Self::create(issuer).approve()
    }

    /// A plain request for an issuer of a namespace.
    pub fn create(issuer: &Issuer<'a>) -> Self {
        NewRequest::new(issuer, "", &openssl::request(issuer.cluster, &[])).create(issuer.cluster)
    }

    pub fn approve(self) -> Self {
        self.set_conditions(&["Approved"]);
        self
    }

    pub fn deny(self) -> Self {
        self.set_conditions(&["Denied"]);
        self
    }

    /// Adds conditions with the status `True`, as approvers do.
    pub fn set_conditions(&self, types: &[&str]) {
        let mut conditions = self.object()["status"]["conditions"].as_array().cloned().unwrap_or_default();
        conditions.extend(types.iter().map(|type_| {
            json!({
                "type": type_, "status": "True", "reason": "Test", "message": "by the administrator",
                "lastTransitionTime": "2026-01-01T00:00:00Z",
            })
        }));
        self.patch_status(&json!({"status": {"conditions": conditions}}));
    }

    /// Merges a patch into the object without its status.
    pub fn patch(&self, patch: &Value) {
        let options = ["--type=merge", "-o", "json", "-p", &patch.to_string()];
        let patched = self.kubectl(&[&["patch"], &self.arguments()[..], &options].concat());
        self.written.replace(version_of(&patched));
    }

    pub fn delete(&self) {
        self.kubectl(&[&["delete"], &self.arguments()[..], &["--wait=true"]].concat());
    }

    /// Who manages which of its fields.
    pub fn object_with_managers(&self) -> Value {
        let options = ["--show-managed-fields"];
        self.cluster.get_json(&[&self.arguments()[..], &options].concat())["metadata"]["managedFields"].take()
    }

    /// Merges a patch into the status, as its editors may.
    pub fn patch_status(&self, patch: &Value) {
        let options = ["--subresource=status", "--type=merge", "-o", "json", "-p", &patch.to_string()];
        let patched = self.kubectl(&[&["patch"], &self.arguments()[..], &options].concat());
        self.written.replace(version_of(&patched));
    }

    /// Runs kubectl.
    pub fn kubectl(&self, arguments: &[&str]) -> String {
        self.cluster.kubectl(arguments)
    }

    /// What names it in a call of kubectl.
    pub fn arguments(&self) -> [&str; 4] {
        ["-n", &self.namespace, RESOURCE, &self.name]
    }

    /// The object; null if it is not there.
    pub fn object(&self) -> Value {
        self.cluster.get_json(&self.arguments())
    }

    pub fn version(&self) -> String {
        self.object()["metadata"]["resourceVersion"].as_str().expect("it exists").to_owned()
    }

    pub fn status(&self) -> Value {
        self.object()["status"].take()
    }

    /// A condition; null if there is none of this type.
    pub fn condition(&self, type_: &str) -> Value {
        let conditions = self.status()["conditions"].as_array().cloned().unwrap_or_default();
        conditions.into_iter().find(|condition| condition["type"] == type_).unwrap_or_default()
    }

    /// Waits until the condition Ready has this reason; the condition.
    pub fn await_ready(&self, reason: &str) -> Value {
        let what = format!("{} to be {reason}", self.name);
        let mut last = Value::Null;
        self.cluster.wait_for(&what, || {
            let now = self.condition("Ready");
            if now != last {
                // It is printed if the test fails.
                eprintln!("Ready of {}: {now}", self.name);
                last.clone_from(&now);
            }
            (now["reason"] == reason).then_some(now)
        })
    }

    /// Waits for the certificate with its intermediates, PEM.
    pub fn certificate(&self) -> String {
        self.await_ready("Issued");
        self.field("certificate").expect("there is a certificate")
    }

    /// As [`Self::certificate`], as a file.
    pub fn certificate_file(&self) -> PathBuf {
        self.cluster.new_file("leaf", self.certificate())
    }

    /// A field of the status with bytes, decoded; `None` if there is none.
    pub fn field(&self, name: &str) -> Option<String> {
        let status = self.status();
        let text = status[name].as_str()?;
        Some(String::from_utf8(decode(text)).unwrap())
    }

    /// Waits until it failed because it is invalid; the code.
    pub fn invalid(&self) -> String {
        self.await_ready("Failed");
        let invalid = self.condition("InvalidRequest");
        assert_eq!(invalid["status"], "True", "{}", self.object());
        invalid["reason"].as_str().unwrap().to_owned()
    }

    /// The Events about it with this reason.
    pub fn events(&self, reason: &str) -> Vec<Event> {
        let events = self.cluster.list::<Event>(&self.namespace).into_iter();
        let is_it = |event: &Event| {
            event.involved_object.name.as_ref() == Some(&self.name) && event.reason.as_deref() == Some(reason)
        };
        events.filter(is_it).collect()
    }

    /// Waits for an Event about it with this reason; the Event.
    pub fn await_event(&self, reason: &str) -> Event {
        let what = format!("Event {reason} about {}", self.name);
        self.cluster.wait_for(&what, || self.events(reason).pop())
    }

    /// The versions of it since this one, without this one.
    pub fn versions_since(&self, version: &str) -> Vec<Value> {
        let path = format!(
            "/apis/cert-manager.io/v1/namespaces/{}/certificaterequests?watch=1&timeoutSeconds=1&resourceVersion={version}",
            self.namespace
        );
        let events = self.kubectl(&["get", "--raw", &path]);
        let events = events.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let objects = events.map(|mut event| event["object"].take());
        objects.filter(|object| object["metadata"]["name"] == self.name.as_str()).collect()
    }

    /// Applies a status to the object with this UID in this version, as the service does.
    pub fn try_apply_status(&self, uid: &str, version: &str) -> Result<String, String> {
        let document = json!({
            "apiVersion": "cert-manager.io/v1", "kind": "CertificateRequest",
            "metadata": {"name": self.name, "namespace": self.namespace, "uid": uid, "resourceVersion": version},
            "status": {"ca": encode(b"late")},
        });
        let apply = [
            "apply",
            "--server-side",
            "--force-conflicts",
            "--field-manager=tcs-issuer",
            "--subresource=status",
        ];
        self.cluster.try_kubectl_with(&apply, &document).map_err(|error| format!("{error:#}"))
    }

    /// Nobody has written anything since the test did.
    pub fn assert_untouched(&self) {
        assert_eq!(self.version(), *self.written.borrow(), "{}", self.object());
    }

    /// The versions of it since the test wrote it, without that one.
    pub fn versions_since_written(&self) -> Vec<Value> {
        self.versions_since(&self.written.borrow())
    }
}

/// The resource version of a printed object.
fn version_of(printed: &str) -> String {
    let object: Value = serde_json::from_str(printed).unwrap();
    object["metadata"]["resourceVersion"].as_str().unwrap().to_owned()
}
