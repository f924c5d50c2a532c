//! What the key owner does for an issuer: wrap the CA key, write the Secret, name it in the status.

use crate::support::ca::Ca;
use crate::support::issuer::Issuer;
use serde_json::json;
use std::path::{Path, PathBuf};
use tcs_api::SERVICE_NAMESPACE;
use tcs_testkit::process::run;

/// The type of a delivery that the service accepts.
pub const KMRA: &str = "KMRA";

impl Issuer<'_> {
    /// Name of the Secret in which the tests deliver.
    pub fn delivery_secret(&self) -> String {
        format!("wrapped-{}.{}", self.home(), self.name)
    }

    /// The public key of the offer as a file, decoded once as in the walk-through.
    pub fn public_key(&self) -> PathBuf {
        self.cluster.new_file("public-key", self.await_attestation().spec.public_key.0)
    }

    /// Wraps a private key that is read from a file with km-wrap; one line of base64.
    pub fn wrap(&self, key: &Path) -> String {
        self.wrap_with(key, &[])
    }

    /// The same, with more options.
    pub fn wrap_with(&self, key: &Path, options: &[&str]) -> String {
        let mut km_wrap = self.cluster.tool("km-wrap");
        km_wrap.arg("--pubkey").arg(self.public_key()).arg("--privkey").arg(key);
        run(km_wrap.args(options)).unwrap().trim_end().to_owned()
    }

    /// Writes the Secret of the delivery. A field that is `None` is missing in it.
    pub fn write_delivery(&self, key: Option<&str>, certificate: Option<&str>) {
        let fields = [("tls.key", key), ("tls.crt", certificate)];
        let data: serde_json::Map<_, _> =
            fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), json!(value?)))).collect();
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": self.delivery_secret(), "namespace": SERVICE_NAMESPACE}, "stringData": data,
        });
        // It is replaced as a whole, so that a field that is left out is gone.
        if self.cluster.try_kubectl_with(&["replace"], &secret).is_err() {
            self.cluster.try_kubectl_with(&["create"], &secret).unwrap();
        }
    }

    /// Writes the Secret of a right delivery.
    pub fn write_delivery_of(&self, ca: &Ca) {
        self.write_delivery(Some(&self.wrap(&ca.key)), Some(&ca.certificate_text()));
    }

    /// Names the Secret of the delivery in the status, by the JSON Patch of the walk-through.
    pub fn announce_delivery(&self, secret_type: &str) {
        let patch = json!([
            {"op": "add", "path": "/status/secrets",
             "value": {self.signer(): {"secretName": self.delivery_secret(), "secretType": secret_type}}},
            {"op": "add", "path": "/status/conditions/-",
             "value": {"type": "CASecretReady", "status": "true",
                       "reason": "AttestationControllerReconcile", "message": "Quote verification success"}},
        ])
        .to_string();
        let name = self.attestation_name();
        let target = ["patch", "quoteattestations.tcs.intel.com", "-n", SERVICE_NAMESPACE, &name];
        self.cluster.kubectl(&[&target[..], &["--subresource=status", "--type=json", "-p", &patch]].concat());
    }

    /// Makes a right delivery.
    pub fn deliver(&self, ca: &Ca) {
        self.write_delivery_of(ca);
        self.announce_delivery(KMRA);
    }

    pub fn deliver_until_ready(&self, ca: &Ca) {
        self.deliver(ca);
        self.await_reason("Ready");
    }
}
