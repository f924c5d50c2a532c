//! `TCSIssuer` and `TCSClusterIssuer`.

use super::ca::{CaSpec, CaStatus, PreviousCa};
use super::delivery::{DeliverySpec, WrapFormat};
use super::policy::PolicySpec;
use super::schema::{no_blanks, not_null};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Desired state of an issuer.
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
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].message"),
    printcolumn(name = "Confirmed", type_ = "date", priority = 1, json_path = ".status.lastConfirmed")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.delivery) || !self.selfSign")
    .message("delivery is only for issuers with selfSign: false, whose CA key is delivered"))]
#[x_kube(validation = no_blanks(&["secretName", "selfSign", "ca", "delivery", "policy", "labels"]))]
pub struct IssuerSpec {
    /// Name of the Secret that publishes the CA certificate. Its type is kubernetes.io/tls: `tls.crt`
    /// contains the issuing CA and its intermediates, `ca.crt` the trust anchors, and `tls.key` is empty. The
    /// Secret is written to the issuer's namespace. If a Secret of this name exists that does not belong to
    /// this issuer, it is not changed, and the issuer's Ready condition says so.
    #[schemars(length(min = 1, max = 253), regex(pattern = super::schema::DNS_SUBDOMAIN))]
    pub secret_name: String,

    /// Whether the service makes a self-signed CA. With `false` it publishes a QuoteAttestation and waits
    /// until the key owner delivers a CA key. This field cannot be changed.
    #[serde(default = "yes")]
    #[x_kube(validation = Rule::new("self == oldSelf")
        .message("selfSign cannot be changed: delete the issuer and make a new one"))]
    pub self_sign: bool,

    /// Properties of the CA of a self-signed issuer. They are read when the CA is made. At its renewal
    /// `lifetimeDays` and `rotationPolicy` are read again, and `keyAlgorithm` if the CA gets a new key.
    #[serde(default, deserialize_with = "not_null", skip_serializing_if = "Option::is_none")]
    pub ca: Option<CaSpec>,

    /// How the key owner may deliver the CA key. Only for issuers with `selfSign: false`.
    #[serde(default, deserialize_with = "not_null", skip_serializing_if = "Option::is_none")]
    pub delivery: Option<DeliverySpec>,

    /// Rules for the certificates of this issuer. They only narrow the service's baseline policy. They are
    /// sent with each request, so that a change applies to the next one. The enclave enforces them, but
    /// everyone who can change the issuer can change them: put rules that must not change into `ca.policy`. A
    /// field that is left blank (null) is refused, as everywhere in this spec. To have no rules, leave the
    /// field out.
    #[serde(default, deserialize_with = "not_null", skip_serializing_if = "Option::is_none")]
    pub policy: Option<PolicySpec>,

    /// Labels for the objects that the service creates for this issuer: the Secret with the CA certificate,
    /// the Secrets with sealed keys and the QuoteAttestation. The service's own labels cannot be set here.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "labels_schema")]
    pub labels: BTreeMap<String, String>,
}

/// Desired state of a cluster issuer, which has the fields of an issuer.
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
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].message"),
    printcolumn(name = "Confirmed", type_ = "date", priority = 1, json_path = ".status.lastConfirmed")
)]
#[serde(transparent)]
pub struct ClusterIssuerSpec(pub IssuerSpec);

/// Observed state of an issuer. Only the service writes it.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IssuerStatus {
    /// `Ready` says whether the issuer signs. If it does not, the message says why and what to do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,

    /// The current CA.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<CaStatus>,

    /// CAs that were replaced and whose certificates may still be valid. Their trust anchors stay in
    /// `ca.crt`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub previous_cas: Vec<PreviousCa>,

    /// The value of the annotation tcs.intel.com/renew that was handled last, its first 63 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub handled_renewal: Option<String>,

    /// Kind of the evidence that the enclave produces, for example `sgx-quote-v3`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub evidence: Option<String>,

    /// What protects the CA key.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub assurance: Option<String>,

    /// Whether the platform is simulated. A simulated platform protects nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub simulated: Option<bool>,

    /// The open offer: the enclave's key pair for which a delivery is awaited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offer: Option<OfferStatus>,

    /// The delivery that was refused last. It is not tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused_delivery: Option<RefusedDelivery>,

    /// Name of the Secret that publishes the CA certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub secret_name: Option<String>,

    /// When the service last confirmed this status, RFC 3339. While the issuer is ready, it does so about
    /// every half hour. If this is older than an hour, nobody does: the service is not running, or it lacks
    /// its rights.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub last_confirmed: Option<String>,
}

/// An offer: a key pair of the enclave for which a delivery is awaited.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OfferStatus {
    /// The enclave's identifier of the offer, lower-case hex.
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
    /// Identifier of the offer that it answers.
    #[schemars(length(max = 128))]
    pub offer: String,
    /// UID of the Secret that contained it.
    #[schemars(length(max = 63))]
    pub secret_uid: String,
    /// resourceVersion of that Secret when it was read.
    #[schemars(length(max = 63))]
    pub secret_resource_version: String,
    /// Stable code of the refusal.
    #[schemars(length(max = 63))]
    pub code: String,
    /// The message of the refusal.
    #[serde(default)]
    #[schemars(length(max = 32768))]
    pub message: String,
    /// If the format was refused: the formats that `spec.delivery` accepted then. When it accepts others, the
    /// delivery is tried again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 2))]
    pub accepted_formats: Vec<WrapFormat>,
}

impl RefusedDelivery {
    /// Whether both describe one delivery: the same offer, and the same Secret in the same version.
    #[must_use]
    pub fn is_same_delivery(&self, other: &Self) -> bool {
        self.offer == other.offer
            && self.secret_uid == other.secret_uid
            && self.secret_resource_version == other.secret_resource_version
    }
}

fn yes() -> bool {
    true
}

/// The schema of `labels`. It is bounded, because the API server bounds the cost of rules, and it checks
/// labels as the API server does. The service's own labels are refused instead of being overwritten silently.
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
