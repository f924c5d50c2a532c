//! `QuoteAttestation`: the union of what the original's versions called `v1alpha1`, and its later `nonce`.

// Two print columns of one priority look like one attribute twice to the lint.
#![allow(clippy::duplicated_attributes)]

use k8s_openapi::ByteString;
use kube::{CustomResource, KubeSchema};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What the enclave offers. Written by the service only.
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
    doc = "An offer of the enclave to the owner of a CA key: a public key and the attestation quote that vouches for it. The owner verifies the quote, wraps the CA key to the public key, puts the wrap and the CA certificate into a Secret in the same namespace, and names that Secret in the status.",
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
    /// The attestation quote as base64 text. It is text inside a byte field: after the decoding of the field
    /// it is still base64.
    #[schemars(schema_with = "quote_schema")]
    pub quote: ByteString,

    /// Kind of the quote, for example `ECDSA Quote 3`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub quote_version: Option<String>,

    /// Who made the quote. Informative.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub service_id: Option<String>,

    /// The public key to which the CA key is to be wrapped: PEM, `PUBLIC KEY` (RFC 7468, SubjectPublicKeyInfo).
    /// The quote's report data holds its hash.
    #[schemars(schema_with = "public_key_schema")]
    pub public_key: ByteString,

    /// Names of the signers for which a CA key is awaited, for example
    /// `tcsissuer.tcs.intel.com/sandbox.external-ca`. The service writes exactly one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 571)))]
    pub signer_names: Vec<String>,

    /// The signer's name where there is one only. Either this or signerNames is required.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 571))]
    pub signer_name: Option<String>,

    /// Name of the Secret in which the CA key is awaited, where the service chooses it. Not set in the manual
    /// flow: there the key owner names a Secret in the status.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub secret_name: Option<String>,

    /// What is asked for: `QuoteAttestation` (a verdict on the quote) or `KeyProvisioning` (a CA key). Not set in
    /// the manual flow.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    #[x_kube(validation = Rule::new("self in ['QuoteAttestation', 'KeyProvisioning']")
        .message("type must be QuoteAttestation or KeyProvisioning"))]
    pub type_: Option<String>,

    /// The nonce in the quote's report data as base64 text, 32 bytes decoded. Not set in the manual flow: the
    /// nonce is fixed there, bytes 00 01 02 to 1f.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "nonce_schema")]
    pub nonce: Option<ByteString>,
}

/// How far the delivery is. Shared: `Init` and `KeyAccepted` are the service's, everything else is the key
/// owner's.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct QuoteAttestationStatus {
    /// What happened. A list that is appended to: of a type the last entry counts. `Init` (the service's)
    /// says that the status can be patched; `CASecretReady` (the key owner's) that the Secret is there;
    /// `KeyAccepted` False (the service's) that what was delivered was refused, its reason being a stable code.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    pub conditions: Vec<QuoteCondition>,

    /// The key owner's Secrets by signer name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 64))]
    pub secrets: BTreeMap<String, SecretEntry>,
}

/// One condition. Every field may be absent or null, so that what people write by hand is never refused.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct QuoteCondition {
    /// What it speaks of: `Init`, `QuoteVerified`, `CASecretReady`, `KeyAccepted` or `Ready`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 316))]
    pub type_: Option<String>,

    /// `True`, `False` or `Unknown`, in any letter case.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub status: Option<String>,

    /// One word, the same for the same cause.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub reason: Option<String>,

    /// A sentence for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32768))]
    pub message: Option<String>,

    /// When it was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub last_update_time: Option<String>,
}

/// Where a signer's wrapped CA key and its certificate are.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SecretEntry {
    /// Name of the Secret, in the namespace of the QuoteAttestation. Its `tls.key` is the line that `km-wrap`
    /// printed; its `tls.crt` is the base64 text of the CA certificate's PEM, its own certificate first.
    #[schemars(length(min = 1, max = 253), regex(pattern = super::DNS_SUBDOMAIN))]
    pub secret_name: String,

    /// How the key is wrapped. `KMRA` is served: 384 bytes RSA-OAEP of an AES-256 key, then the CA key's PKCS#8
    /// in AES key wrap with padding (RFC 5649).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub secret_type: Option<String>,
}

/// 64 KiB of base64: a quote with its certificates has about 5 KiB, and is base64 text before it is base64.
fn quote_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "format": "byte", "minLength": 1, "maxLength": 65536 })
}

/// An RSA-3072 key is 625 bytes of PEM.
fn public_key_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "format": "byte", "minLength": 1, "maxLength": 8192 })
}

/// 32 bytes are 44 of base64, and 60 of base64 of that.
fn nonce_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "format": "byte", "maxLength": 256, "nullable": true })
}
