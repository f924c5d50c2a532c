//! The CA of an issuer: the requested properties of a self-signed one, and the CA that the status shows.

use super::policy::PolicySpec;
use super::schema::{no_blanks, no_format, not_null};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Properties of the CA of a self-signed issuer. The defaults are those of the original TCS issuer, except
/// for the key algorithm.
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

    /// Organizations (O): `Intel(R) Corporation` by default. With an empty list the subject has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 8), inner(length(min = 1, max = 64)))]
    pub organizations: Option<Vec<String>>,

    /// Organizational units (OU).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), inner(length(min = 1, max = 64)))]
    pub organizational_units: Vec<String>,

    /// Countries (C), two capital letters each.
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

    /// Number of days for which the CA certificate is valid, 1 to 7300: 365 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 7300), transform = no_format)]
    pub lifetime_days: Option<u32>,

    /// Whether the CA gets a new key at its renewal: `Never` (the default) or `Always`. With the same key,
    /// everyone who trusts the old CA certificate accepts certificates issued under the new one. A new key
    /// has to be trusted first. Therefore `ca.crt` in the Secret contains both CA certificates before the
    /// first certificate under the new key is published, and until the old one has expired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 8))]
    #[x_kube(validation = Rule::new("self in ['Never', 'Always']").message("rotationPolicy must be Never or Always"))]
    pub rotation_policy: Option<String>,

    /// How many levels of CAs may exist below this one (pathLenConstraint): 0 by default, which allows
    /// certificates of workloads only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 8), transform = no_format)]
    pub max_path_len: Option<u8>,

    /// Rules for every certificate of this CA. They are sealed with its key, so that nobody can widen them
    /// later.
    #[serde(default, deserialize_with = "not_null", skip_serializing_if = "Option::is_none")]
    pub policy: Option<PolicySpec>,

    /// Allows a CA key that is lost when the enclave restarts, on platforms that cannot seal it. Without this
    /// setting the issuer is not served there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_ephemeral: bool,
}

/// A CA as its certificate describes it.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CaStatus {
    /// SHA-256 of the certificate's DER, lower-case hex.
    #[schemars(length(max = 64))]
    pub fingerprint: String,
    /// notAfter of the certificate, RFC 3339.
    #[schemars(length(max = 63))]
    pub not_after: String,
    /// Algorithm of the CA key, for example `RSA-4096`.
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

/// A CA that was replaced by another one.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PreviousCa {
    /// SHA-256 of the issuing CA certificate's DER, lower-case hex.
    #[schemars(length(max = 64))]
    pub fingerprint: String,
    /// notAfter of that certificate, RFC 3339. Every certificate under it has expired by then.
    #[schemars(length(max = 63))]
    pub not_after: String,
    /// Its trust anchor, PEM.
    #[schemars(length(max = 98304))]
    pub trust_anchor: String,
}
