//! An issuer under test, and what can be seen of it.

use crate::support::encoding::{encode, field};
use crate::support::objects::issuer_object;
use crate::support::openssl;
use crate::support::test_cluster::{ENCLAVE, TestCluster};
use k8s_openapi::api::core::v1::{Event, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt as _;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::PathBuf;
use tcs_api::conditions::{is_ready, ready_condition};
use tcs_api::v1alpha1::{
    CaSpec, ClusterIssuerSpec, IssuerSpec, IssuerStatus, QuoteAttestation, TCSClusterIssuer, TCSIssuer,
};
use tcs_api::{GROUP, SERVICE_NAMESPACE, annotations, sealed, signer};

/// An issuer in a cluster.
pub struct Issuer<'a> {
    pub cluster: &'a TestCluster,
    /// Empty for a cluster issuer.
    pub namespace: String,
    pub name: String,
}

impl<'a> Issuer<'a> {
    /// The issuer of an object, which is applied.
    pub fn create(cluster: &'a TestCluster, object: &TCSIssuer) -> Self {
        cluster.apply(object);
        Self { cluster, namespace: object.namespace().unwrap_or_default(), name: object.name_any() }
    }

    /// An issuer that waits for a CA key from its owner, in a namespace of its own.
    pub fn delivered(cluster: &'a TestCluster, name: &str) -> Self {
        Self::create(cluster, &issuer_object(&cluster.new_namespace(), name))
    }

    /// A self-signed issuer with the label `team: mesh`, in a namespace of its own.
    pub fn self_signed(cluster: &'a TestCluster, name: &str, ca: Option<CaSpec>) -> Self {
        let mut object = issuer_object(&cluster.new_namespace(), name);
        object.spec.self_sign = true;
        object.spec.ca = ca;
        object.spec.labels = BTreeMap::from([("team".to_owned(), "mesh".to_owned())]);
        Self::create(cluster, &object)
    }

    /// A self-signed issuer that is ready, in a namespace of its own.
    pub fn self_signed_ready(cluster: &'a TestCluster, name: &str) -> Self {
        let issuer = Self::self_signed(cluster, name, None);
        issuer.await_reason("Ready");
        issuer
    }

    /// A cluster issuer.
    pub fn of_cluster(cluster: &'a TestCluster, name: &str, spec: IssuerSpec) -> Self {
        cluster.apply(&TCSClusterIssuer::new(name, ClusterIssuerSpec(spec)));
        Self { cluster, namespace: String::new(), name: name.to_owned() }
    }

    /// A self-signed cluster issuer whose Secret is `<name>-ca`.
    pub fn self_signed_of_cluster(cluster: &'a TestCluster, name: &str) -> Self {
        let spec =
            IssuerSpec { self_sign: true, secret_name: format!("{name}-ca"), ..issuer_object("", name).spec };
        Self::of_cluster(cluster, name, spec)
    }

    fn is_of_cluster(&self) -> bool {
        self.namespace.is_empty()
    }

    // Names.

    pub fn signer(&self) -> String {
        if self.is_of_cluster() {
            signer::cluster_signer_name(&self.name)
        } else {
            signer::signer_name(&self.namespace, &self.name)
        }
    }

    pub fn attestation_name(&self) -> String {
        if self.is_of_cluster() {
            format!("{}.tcsclusterissuer.{GROUP}", self.name)
        } else {
            signer::quote_attestation_name(&self.namespace, &self.name)
        }
    }

    /// Name of the Secret with the sealed key of the present CA.
    pub fn sealed_secret_name(&self) -> String {
        sealed::name(&self.uid())
    }

    /// Namespace of the Secret with the CA certificate.
    pub fn home(&self) -> &str {
        if self.is_of_cluster() { SERVICE_NAMESPACE } else { &self.namespace }
    }

    // Objects.

    /// The object. That of a cluster issuer is shown as an issuer without namespace.
    pub fn object(&self) -> Option<TCSIssuer> {
        if self.is_of_cluster() {
            let TCSClusterIssuer { metadata, spec, status } = self.cluster.get("", &self.name)?;
            Some(TCSIssuer { metadata, spec: spec.0, status })
        } else {
            self.cluster.get(&self.namespace, &self.name)
        }
    }

    pub fn uid(&self) -> String {
        self.object().and_then(|object| object.uid()).expect("the issuer exists")
    }

    pub fn attestation(&self) -> Option<QuoteAttestation> {
        self.cluster.get(SERVICE_NAMESPACE, &self.attestation_name())
    }

    /// The Secret with the CA certificate.
    pub fn ca_secret(&self) -> Option<Secret> {
        self.cluster.get(self.home(), &self.object()?.spec.secret_name)
    }

    /// What is published to be trusted, as a file: the anchor of the present CA first.
    pub fn bundle(&self) -> PathBuf {
        let secret = self.ca_secret().expect("the CA certificate is published");
        self.cluster.new_file("bundle", field(&secret, "ca.crt"))
    }

    /// How many certificates are published to be trusted.
    pub fn anchors(&self) -> usize {
        std::fs::read_to_string(self.bundle()).unwrap().matches("BEGIN CERTIFICATE").count()
    }

    /// openssl accepts certificates if it trusts what is published now.
    pub fn accepts(&self, leaves: &[&PathBuf]) {
        openssl::verify(&self.bundle(), leaves);
    }

    // Status.

    pub fn status(&self) -> IssuerStatus {
        self.object().and_then(|object| object.status).unwrap_or_default()
    }

    /// The SHA-256 fingerprint of the present CA certificate.
    pub fn fingerprint(&self) -> Option<String> {
        self.status().ca.map(|ca| ca.fingerprint)
    }

    /// As [`Issuer::fingerprint`], of an issuer that must have a CA.
    pub fn ca(&self) -> String {
        self.fingerprint().expect("the status names a CA")
    }

    /// The Ready condition.
    pub fn ready(&self) -> Option<Condition> {
        ready_condition(&self.status()).cloned()
    }

    /// The reason of the Ready condition; empty without one.
    pub fn reason(&self) -> String {
        self.ready().map(|ready| ready.reason).unwrap_or_default()
    }

    /// The message of the Ready condition; empty without one.
    pub fn message(&self) -> String {
        self.ready().map(|ready| ready.message).unwrap_or_default()
    }

    /// Whether the Ready condition is True.
    pub fn is_ready(&self) -> bool {
        is_ready(&self.status())
    }

    /// Messages of the Events about it with this reason, one a line.
    pub fn events(&self, reason: &str) -> String {
        let namespace = if self.is_of_cluster() { "default" } else { &self.namespace };
        let events = self.cluster.list::<Event>(namespace).into_iter().filter(|event| {
            event.involved_object.name.as_ref() == Some(&self.name) && event.reason.as_deref() == Some(reason)
        });
        events.filter_map(|event| event.message).collect::<Vec<_>>().join("\n")
    }

    // Waiting.

    /// Waits until the Ready condition has this reason; its message.
    pub fn await_reason(&self, reason: &str) -> String {
        let what = format!("{}/{} to be {reason}", self.namespace, self.name);
        let mut last = None;
        self.cluster.wait_for(&what, || {
            let now = self.ready();
            if now != last {
                // It is printed if the test fails.
                eprintln!("Ready of {}/{}: {now:?}", self.namespace, self.name);
                last.clone_from(&now);
            }
            now.filter(|ready| ready.reason == reason).map(|ready| ready.message)
        })
    }

    /// Waits until its Event with this reason is there; the messages of such Events.
    pub fn await_event(&self, reason: &str) -> String {
        let what = format!("Event {reason} about {}", self.name);
        self.cluster.wait_for(&what, || Some(self.events(reason)).filter(|messages| !messages.is_empty()))
    }

    /// Waits until the status names another CA than this one; its fingerprint.
    pub fn await_ca_other_than(&self, old: &str) -> String {
        self.cluster.wait_for("another CA", || self.fingerprint().filter(|now| now != old))
    }

    /// Waits for a `QuoteAttestation` whose status is initialized.
    pub fn await_attestation(&self) -> QuoteAttestation {
        let is_initialized = |attestation: &QuoteAttestation| {
            attestation.status.as_ref().is_some_and(|status| !status.conditions.is_empty())
        };
        self.cluster.wait_for("the QuoteAttestation", || self.attestation().filter(is_initialized))
    }

    /// Waits for the `QuoteAttestation` of another offer than this one.
    pub fn await_offer_other_than(&self, old: &QuoteAttestation) -> QuoteAttestation {
        let is_other = |now: &QuoteAttestation| now.spec.public_key != old.spec.public_key;
        self.cluster.wait_for("a new offer", || self.attestation().filter(is_other))
    }

    pub fn await_no_attestation(&self) {
        self.cluster.wait_until("the QuoteAttestation to go", || self.attestation().is_none());
    }

    /// Waits for the Secret with the sealed CA key.
    pub fn await_sealed_secret(&self) -> Secret {
        let name = self.sealed_secret_name();
        self.cluster.wait_for("the sealed key", || self.cluster.service_secret(&name))
    }

    // Changes.

    /// Runs kubectl on this issuer: `arguments`, its resource and name, `options`.
    pub fn kubectl(&self, arguments: &[&str], options: &[&str]) -> String {
        let resource = if self.is_of_cluster() {
            vec!["tcsclusterissuers.tcs.intel.com"]
        } else {
            vec!["-n", &self.namespace, "tcsissuers.tcs.intel.com"]
        };
        self.cluster.kubectl(&[arguments, &resource, &[self.name.as_str()], options].concat())
    }

    /// Merges a patch into the object.
    pub fn patch(&self, patch: &serde_json::Value) {
        self.kubectl(&["patch"], &["--type=merge", "-p", &patch.to_string()]);
    }

    pub fn delete(&self) {
        self.kubectl(&["delete"], &["--wait=true"]);
    }

    pub fn annotate(&self, name: &str, value: &str) {
        self.kubectl(&["annotate", "--overwrite"], &[&format!("{name}={value}")]);
    }

    /// Asks for the next CA.
    pub fn renew(&self, value: &str) {
        self.annotate(annotations::RENEW, value);
    }

    /// Allows a new CA in place of the lost one with this fingerprint.
    pub fn allow_new_ca(&self, old: &str) {
        self.annotate(annotations::NEW_CA, old);
    }

    /// Damages the sealed key and restarts the enclave. The controller cannot see the damage, because only
    /// the enclave can open the key.
    pub fn damage_sealed_key_and_restart(&self) {
        let secret = self.cluster.service_secret(&self.sealed_secret_name());
        let mut blob = field(&secret.expect("a key is sealed"), sealed::FIELD).to_vec();
        let last = blob.len() - 1;
        blob[last] ^= 1;
        let patch = json!({"data": {sealed::FIELD: encode(&blob)}}).to_string();
        let name = self.sealed_secret_name();
        self.cluster.kubectl(&[
            "patch",
            "secret",
            "-n",
            SERVICE_NAMESPACE,
            &name,
            "--type=merge",
            "-p",
            &patch,
        ]);
        self.cluster.crash(ENCLAVE);
    }
}
