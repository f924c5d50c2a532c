//! `QuoteAttestation`: the union of the schemas that versions of the original TCS issuer called `v1alpha1`,
//! and the `nonce` of its later version (`docs/protocol.md`, "QuoteAttestation").

// The lint takes two print columns of one priority for a duplicated attribute.
#![allow(clippy::duplicated_attributes)]

use k8s_openapi::ByteString;
use kube::{CustomResource, KubeSchema};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The offer of the enclave. Only the service writes it.
#[derive(Clone, CustomResource, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[kube(
    group = "tcs.intel.com",
    version = "v1alpha1",
    kind = "QuoteAttestation",
    plural = "quoteattestations",
    singular = "quoteattestation",
    namespaced,
    status = "QuoteAttestationStatus",
    derive = "PartialEq",
    doc = "An offer of the enclave to the owner of a CA key: a public key and the attestation quote that covers it. The key owner verifies the quote, wraps the CA key for the public key, puts the wrapped key and the CA certificate into a Secret in the same namespace, and names that Secret in the status.",
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Signer", type_ = "string", priority = 1, json_path = ".spec.signerNames[0]"),
    printcolumn(
        name = "KeyAccepted",
        type_ = "string",
        priority = 1,
        json_path = ".status.conditions[?(@.type=='KeyAccepted')].reason"
    )
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("(has(self.signerNames) && self.signerNames.size() > 0) || has(self.signerName)")
    .message("one of signerNames and signerName is required"))]
pub struct QuoteAttestationSpec {
    /// The attestation quote as base64 text in a byte field: after the base64 of the field is decoded, the
    /// value is base64 text again.
    #[schemars(schema_with = "quote_schema")]
    pub quote: ByteString,

    /// Kind of the quote, for example `ECDSA Quote 3`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub quote_version: Option<String>,

    /// The service that made the quote. Informative.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub service_id: Option<String>,

    /// The public key for which the CA key is to be wrapped: PEM with the label `PUBLIC KEY`, a
    /// SubjectPublicKeyInfo (RFC 7468, section 13). The report data of the quote contains its hash.
    #[schemars(schema_with = "public_key_schema")]
    pub public_key: ByteString,

    /// Names of the signers for which a CA key is awaited, for example
    /// `tcsissuer.tcs.intel.com/sandbox.external-ca`. The service writes exactly one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 571)))]
    pub signer_names: Vec<String>,

    /// The signer's name if there is only one. Either this field or signerNames is required.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 571))]
    pub signer_name: Option<String>,

    /// Name of the Secret in which the CA key is awaited, if the service chooses it. Not set in the manual
    /// flow, where the key owner names a Secret in the status.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub secret_name: Option<String>,

    /// What is requested: `QuoteAttestation` (an appraisal of the quote) or `KeyProvisioning` (a CA key). Not
    /// set in the manual flow.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    #[x_kube(validation = Rule::new("self in ['QuoteAttestation', 'KeyProvisioning']")
        .message("type must be QuoteAttestation or KeyProvisioning"))]
    pub type_: Option<String>,

    /// The nonce in the report data of the quote as base64 text, 32 bytes when decoded. Not set in the manual
    /// flow, where the nonce is fixed: the bytes 00 01 02 to 1f.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "nonce_schema")]
    pub nonce: Option<ByteString>,
}

/// The state of the delivery. The conditions `Init` and `KeyAccepted` belong to the service, everything else
/// to the key owner.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct QuoteAttestationStatus {
    /// Conditions. People append to this list, so the last entry of a type is the one that counts. The
    /// service sets `Init` when the status can be patched. The key owner sets `CASecretReady` when the Secret
    /// exists. The service sets `KeyAccepted` to False when it refused a delivery; the reason is a stable
    /// code.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    pub conditions: Vec<QuoteCondition>,

    /// The key owner's Secrets by signer name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 64))]
    pub secrets: BTreeMap<String, SecretEntry>,
}

/// One condition. Every field may be absent or null, so that a condition written by hand is never refused.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct QuoteCondition {
    /// Type of the condition: `Init`, `QuoteVerified`, `CASecretReady`, `KeyAccepted` or `Ready`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 316))]
    pub type_: Option<String>,

    /// `True`, `False` or `Unknown`, in any letter case.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub status: Option<String>,

    /// A code in one word. The same cause has the same code.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub reason: Option<String>,

    /// A message for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32768))]
    pub message: Option<String>,

    /// Time at which the condition was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub last_update_time: Option<String>,
}

/// The Secret with a signer's wrapped CA key and its certificate.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SecretEntry {
    /// Name of the Secret, in the namespace of the QuoteAttestation. Its `tls.key` is the line that `km-wrap`
    /// printed. Its `tls.crt` is the base64 text of PEM certificates: first the CA certificate, then those
    /// above it.
    #[schemars(length(min = 1, max = 253), regex(pattern = super::schema::DNS_SUBDOMAIN))]
    pub secret_name: String,

    /// How the key is wrapped. Only `KMRA` is served: an AES-256 key encrypted with RSA-OAEP (384 bytes),
    /// followed by the PKCS#8 of the CA key in AES key wrap with padding (RFC 5649).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub secret_type: Option<String>,
}

/// At most 64 KiB of base64. A quote with its certificates has about 5 KiB and is base64 text inside a base64
/// field.
fn quote_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "format": "byte", "minLength": 1, "maxLength": 65536 })
}

/// The PEM of an RSA-3072 key has 625 bytes.
fn public_key_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "format": "byte", "minLength": 1, "maxLength": 8192 })
}

/// 32 bytes are 44 characters of base64, and 60 characters of base64 of that.
fn nonce_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "format": "byte", "maxLength": 256, "nullable": true })
}
