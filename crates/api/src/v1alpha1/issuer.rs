//! `TCSIssuer`, `TCSClusterIssuer`.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use super::policy::{PolicySpec, no_blanks, not_null};

/// What an issuer is to be.
#[derive(Clone, CustomResource, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[kube(
    group = "tcs.intel.com",
    version = "v1alpha1",
    kind = "TCSIssuer",
    plural = "tcsissuers",
    singular = "tcsissuer",
    namespaced,
    status = "IssuerStatus",
    derive = "PartialEq",
    doc = "A certificate authority whose private key exists in plain text only inside a trusted execution environment. It signs approved CertificateSigningRequests with the signer name `tcsissuer.tcs.intel.com/<namespace>.<name>`.",
    validation = Rule::new("self.metadata.name.size() <= 63")
        .message("metadata.name must have at most 63 characters: it becomes part of signer names, of the QuoteAttestation's name and of labels"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].reason"),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].message")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = no_blanks(&["secretName", "selfSign", "ca", "policy", "labels"]))]
pub struct IssuerSpec {
    /// Name of the Secret that publishes the CA certificate: type kubernetes.io/tls, `tls.crt` the issuing CA
    /// and its intermediates, `ca.crt` the trust anchor, `tls.key` empty. It is written to the issuer's
    /// namespace. A Secret of that name that is not this issuer's is left alone, and the issuer says so.
    #[schemars(length(min = 1, max = 253), regex(pattern = super::DNS_SUBDOMAIN))]
    pub secret_name: String,

    /// Whether the service makes a self-signed CA of its own. With `false` it waits for a CA key from its owner,
    /// delivered by way of a QuoteAttestation. It cannot be changed.
    #[serde(default = "yes")]
    #[x_kube(validation = Rule::new("self == oldSelf")
        .message("selfSign cannot be changed: delete the issuer and make a new one"))]
    pub self_sign: bool,

    /// What the CA of a self-signed issuer is to be. Read when the CA is made; at its renewal `lifetimeDays`, `rotationPolicy` and,
    /// with a new key, `keyAlgorithm` are read again.
    #[serde(default, deserialize_with = "not_null", skip_serializing_if = "Option::is_none")]
    pub ca: Option<CaSpec>,

    /// Rules for the certificates of this issuer, beside the service's own, which they only narrow. Sent with each request: a
    /// change holds from the next one on. The enclave judges by them, but whoever can change the issuer can change them; what must
    /// not change stands in `ca.policy`. Left blank (null) it is refused, as every field is: to have no rules, leave it out.
    #[serde(default, deserialize_with = "not_null", skip_serializing_if = "Option::is_none")]
    pub policy: Option<PolicySpec>,

    /// Labels for what the service makes for this issuer: the Secret with the CA certificate and the
    /// QuoteAttestation. Labels of the service itself cannot be set.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "labels_schema")]
    pub labels: BTreeMap<String, String>,
}

/// What the CA of a self-signed issuer is to be. What is left out is as the original made it, except for the key.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.policy) || !has(self.policy.caDepth) || self.policy.caDepth <= (has(self.maxPathLen) ? self.maxPathLen : 0)")
    .message("policy.caDepth is at most maxPathLen, which is 0 if it is left out"))]
#[x_kube(validation = no_blanks(&[
    "commonName",
    "organizations",
    "organizationalUnits",
    "countries",
    "localities",
    "provinces",
    "keyAlgorithm",
    "lifetimeDays",
    "rotationPolicy",
    "maxPathLen",
    "policy",
    "allowEphemeral",
]))]
pub struct CaSpec {
    /// Common name (CN) of the CA's subject: `SGX self-signed root certificate authority` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub common_name: Option<String>,

    /// Organizations (O): `Intel(R) Corporation` by default; an empty list is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 8), inner(length(min = 1, max = 64)))]
    pub organizations: Option<Vec<String>>,

    /// Organizational units (OU).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), inner(length(min = 1, max = 64)))]
    pub organizational_units: Vec<String>,

    /// Countries (C), two letters each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), inner(length(min = 2, max = 2), regex(pattern = "^[A-Z]{2}$")))]
    pub countries: Vec<String>,

    /// Localities (L).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), inner(length(min = 1, max = 128)))]
    pub localities: Vec<String>,

    /// States or provinces (ST).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), inner(length(min = 1, max = 128)))]
    pub provinces: Vec<String>,

    /// Algorithm of the CA's key: `ECDSA-P256` (the default), `ECDSA-P384`, `RSA-3072` or `Ed25519`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    #[x_kube(validation = Rule::new("self in ['ECDSA-P256', 'ECDSA-P384', 'RSA-3072', 'Ed25519']")
        .message("keyAlgorithm must be ECDSA-P256, ECDSA-P384, RSA-3072 or Ed25519"))]
    pub key_algorithm: Option<String>,

    /// How many days the CA certificate is valid, 1 to 7300: 365 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 7300))]
    pub lifetime_days: Option<u32>,

    /// Whether the CA gets a new key at its renewal: `Never` (the default) or `Always`. With the same key, whoever trusts the old
    /// certificate accepts what is issued under the new one. A new key has to be trusted first: the bundle in the Secret holds
    /// both certificates before the first certificate under the new key is published, and until the old one has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 8))]
    #[x_kube(validation = Rule::new("self in ['Never', 'Always']").message("rotationPolicy must be Never or Always"))]
    pub rotation_policy: Option<String>,

    /// How many CAs may stand below this one (pathLenConstraint): 0 by default, which is certificates of workloads only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 8))]
    pub max_path_len: Option<u8>,

    /// Rules for every certificate of this CA, sealed with its key: nobody can widen them later.
    #[serde(default, deserialize_with = "not_null", skip_serializing_if = "Option::is_none")]
    pub policy: Option<PolicySpec>,

    /// Accepts a CA whose key ends with the enclave's process, on platforms that cannot seal it. Without it such an issuer
    /// is not served.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_ephemeral: bool,
}

/// What a cluster issuer is to be: the same as an issuer.
#[derive(Clone, CustomResource, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[kube(
    group = "tcs.intel.com",
    version = "v1alpha1",
    kind = "TCSClusterIssuer",
    plural = "tcsclusterissuers",
    singular = "tcsclusterissuer",
    status = "IssuerStatus",
    derive = "PartialEq",
    doc = "A TCSIssuer for the whole cluster. Its signer name is `tcsclusterissuer.tcs.intel.com/<name>`.",
    validation = Rule::new("self.metadata.name.size() <= 63")
        .message("metadata.name must have at most 63 characters: it becomes part of signer names, of the QuoteAttestation's name and of labels"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].reason"),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].message")
)]
#[serde(transparent)]
pub struct ClusterIssuerSpec(pub IssuerSpec);

/// What is true of an issuer. Written by the service only.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IssuerStatus {
    /// `Ready` says whether the issuer signs, and if not, why and what to do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,

    /// The CA whose key was accepted last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<CaStatus>,

    /// CAs before that one, as long as certificates under them may be valid: their trust anchors stay in `ca.crt`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub previous_cas: Vec<PreviousCa>,

    /// Value of the annotation tcs.intel.com/renew, its first 63 characters, that the present CA has answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub handled_renewal: Option<String>,

    /// Kind of the evidence that the enclave gives, for example `sgx-dcap-v3`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub evidence: Option<String>,

    /// What protects the CA key.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub assurance: Option<String>,

    /// Whether the platform is a simulated one, which protects nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub simulated: Option<bool>,

    /// The key pair for which a CA key is awaited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offer: Option<OfferStatus>,

    /// The delivery that was refused last; it is not tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused_delivery: Option<RefusedDelivery>,

    /// Name of the Secret in which the CA certificate was published.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub secret_name: Option<String>,
}

/// A CA, as its certificate says.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CaStatus {
    /// SHA-256 of the certificate's DER, lower-case hex.
    #[schemars(length(max = 64))]
    pub fingerprint: String,
    /// End of the certificate's validity, RFC 3339.
    #[schemars(length(max = 63))]
    pub not_after: String,
    /// Algorithm of the CA key, for example `rsa-4096`.
    #[schemars(length(max = 63))]
    pub key_algorithm: String,
    /// Format in which the key was delivered, for example `kmra-v1`.
    #[schemars(length(max = 63))]
    pub key_format: String,
    /// Its trust anchor, PEM.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 98304))]
    pub trust_anchor: String,
}

/// A CA that another one took the place of.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PreviousCa {
    /// SHA-256 of the issuing CA certificate's DER, lower-case hex.
    #[schemars(length(max = 64))]
    pub fingerprint: String,
    /// When the last certificate under it has ended, RFC 3339.
    #[schemars(length(max = 63))]
    pub not_after: String,
    /// Its trust anchor, PEM.
    #[schemars(length(max = 98304))]
    pub trust_anchor: String,
}

/// A key pair in the enclave for which a CA key is awaited.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OfferStatus {
    /// The enclave's name for it, lower-case hex.
    #[schemars(length(max = 128))]
    pub id: String,
    /// Name of the QuoteAttestation, in namespace tcs-issuer, that publishes it.
    #[schemars(length(max = 253))]
    pub quote_attestation: String,
}

/// A delivery that was refused.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RefusedDelivery {
    /// Id of the offer that it was for.
    #[schemars(length(max = 128))]
    pub offer: String,
    /// UID of the Secret that held it.
    #[schemars(length(max = 63))]
    pub secret_uid: String,
    /// resourceVersion of that Secret when it was read.
    #[schemars(length(max = 63))]
    pub secret_resource_version: String,
    /// Stable code of the refusal.
    #[schemars(length(max = 63))]
    pub code: String,
    /// What was said of it.
    #[serde(default)]
    #[schemars(length(max = 32768))]
    pub message: String,
}

impl RefusedDelivery {
    /// Whether both speak of one delivery: the same offer and the same state of the same Secret.
    #[must_use]
    pub fn is_of(&self, other: &Self) -> bool {
        self.offer == other.offer
            && self.secret_uid == other.secret_uid
            && self.secret_resource_version == other.secret_resource_version
    }
}

fn yes() -> bool {
    true
}

/// The labels' schema: bounded, so that the rules' cost is, and checked as the API server checks labels. What the
/// service sets itself is refused instead of being overwritten silently.
fn labels_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "object",
        "maxProperties": 32,
        "additionalProperties": {
            "type": "string",
            "maxLength": 63,
            "pattern": "^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$",
        },
        "x-kubernetes-validations": [
            {
                "rule": "self.all(key, !format.qualifiedName().validate(key).hasValue())",
                "message": "a label's key must be a name of at most 63 characters, optionally with a DNS prefix and a slash",
            },
            {
                "rule": "self.all(key, !key.startsWith('tcs.intel.com/') && key != 'app.kubernetes.io/managed-by')",
                "message": "labels under tcs.intel.com/ and app.kubernetes.io/managed-by are set by the service",
            },
        ],
    })
}
