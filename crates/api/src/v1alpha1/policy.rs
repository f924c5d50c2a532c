//! Rules for certificates, in `spec.policy` and `spec.ca.policy`. No rule is lost on the way: what cannot be read, or is not known here, is
//! an error.

use kube::KubeSchema;
use kube::core::Rule;
use serde::{Deserialize, Deserializer, Serialize};

/// Rules for certificates. A list that is left out is no rule, an empty one allows nothing of its kind, and one that is left blank
/// (null) is refused. As soon as one of the seven lists of names is there, names of kinds without a list are refused. Other
/// attributes of a subject are free.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(validation = Rule::new("!has(self.caDepth) || self.caDepth == 0 || !(has(self.dnsNames) || has(self.uris) || has(self.ipRanges) || has(self.emailAddresses) || has(self.commonNames) || has(self.organizations) || has(self.organizationalUnits))")
    .message("caDepth cannot stand beside lists of names: they would not bind what the CAs below sign"))]
#[x_kube(validation = no_blanks(&[
    "dnsNames",
    "uris",
    "ipRanges",
    "emailAddresses",
    "commonNames",
    "organizations",
    "organizationalUnits",
    "usages",
    "maxLifetimeSeconds",
    "keyAlgorithms",
    "caDepth",
]))]
pub struct PolicySpec {
    /// DNS names: `a.example`, `*.a.example` (one label before it) or `**.a.example` (one or more).
    #[serde(default, deserialize_with = "not_null", skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 64),
        inner(
            length(min = 1, max = 253),
            regex(
                pattern = "^(\\*\\*?\\.)?([A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?\\.)*[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?$"
            )
        )
    )]
    pub dns_names: Option<Vec<String>>,

    /// URIs: `spiffe://td.example/ns/*/sa/web`; `*` is one segment of the path, `**` at the end one or more.
    #[serde(default, deserialize_with = "not_null", skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 64),
        inner(
            length(min = 1, max = 2048),
            regex(pattern = "^[A-Za-z][A-Za-z0-9+.-]*://[^/?#*@]+(/[^?#]*)?$")
        )
    )]
    pub uris: Option<Vec<String>>,

    /// IP addresses: `10.0.0.0/8`, `2001:db8::/32` or one address.
    #[serde(default, deserialize_with = "not_null", skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 64),
        inner(length(min = 1, max = 64), regex(pattern = "^[0-9A-Fa-f:.]+(/[0-9]{1,3})?$"))
    )]
    pub ip_ranges: Option<Vec<String>>,

    /// E-mail addresses: `user@a.example`, or `*@` and a pattern of DNS names.
    #[serde(default, deserialize_with = "not_null", skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 64),
        inner(
            length(min = 3, max = 320),
            regex(
                pattern = "^(\\*|[A-Za-z0-9._+-]+)@(\\*\\*?\\.)?([A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?\\.)*[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?$"
            )
        )
    )]
    pub email_addresses: Option<Vec<String>>,

    /// Common names of the subject, or `*` for any. Without this list a common name must stand among the alternative names, too.
    #[serde(default, deserialize_with = "not_null", skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 253)))]
    pub common_names: Option<Vec<String>>,

    /// Organizations (O) of the subject, which are groups where Kubernetes reads certificates, or `*` for any.
    #[serde(default, deserialize_with = "not_null", skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 253)))]
    pub organizations: Option<Vec<String>>,

    /// Organizational units (OU) of the subject, or `*` for any.
    #[serde(default, deserialize_with = "not_null", skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 253)))]
    pub organizational_units: Option<Vec<String>>,

    /// Usages by their Kubernetes names, for example `digital signature` and `server auth`.
    #[serde(default, deserialize_with = "not_null", skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 32),
        inner(
            length(min = 1, max = 63),
            regex(
                pattern = "^(signing|digital signature|content commitment|key encipherment|data encipherment|key agreement|encipher only|decipher only|any|server auth|client auth|code signing|email protection|s/mime|ipsec end system|ipsec tunnel|ipsec user|timestamping|ocsp signing|microsoft sgc|netscape sgc)$"
            )
        )
    )]
    pub usages: Option<Vec<String>>,

    /// Longest lifetime of a certificate in seconds, 600 (ten minutes) to 31536000 (365 days). Whoever asks for more gets this.
    #[serde(default, deserialize_with = "not_null", skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 600, max = 31_536_000))]
    pub max_lifetime_seconds: Option<u32>,

    /// Algorithms of the certificates' keys: `RSA`, `RSA-3072` (at least so many bits), `ECDSA-P256`, `ECDSA-P384`, `ECDSA-P521`,
    /// `Ed25519`.
    #[serde(default, deserialize_with = "not_null", skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 16),
        inner(
            length(min = 1, max = 16),
            regex(pattern = "^(RSA(-[2-8][0-9]{3})?|ECDSA-P(256|384|521)|Ed25519)$")
        )
    )]
    pub key_algorithms: Option<Vec<String>>,

    /// How many levels of CAs may stand below the CA: 0 by default, which is certificates of workloads only. Under `spec.ca.policy` it
    /// allows CA certificates, at most to the depth of `spec.ca.maxPathLen`, for requests with the usage `cert sign` and the annotation
    /// `experimental.cert-manager.io/request-is-ca: "true"`. It is read when the CA is made. Under `spec.policy` it only lowers that, and
    /// lists of names there allow no CA certificate at all: what a CA below signs is judged by nobody here. Of the other rules
    /// `usages` bind it, too, as they stand in its certificate; `keyAlgorithms` do not.
    #[serde(default, deserialize_with = "not_null", skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 6))]
    pub ca_depth: Option<u8>,
}

/// A field that is there has a value. Null, which YAML makes of a field that is left blank, could mean a rule or none.
pub(super) fn not_null<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// The rule by which the API server refuses null as the value of one of an object's fields, which are all of `fields`.
///
/// These fields must be `nullable`: of fields that are not, the API server drops nulls silently, also when it reads what is stored
/// (Kubernetes documentation, "Defaulting and Nullable"). In a rule a null is absent like a field that is not there, but the object's
/// size counts it.
pub(super) fn no_blanks(fields: &[&str]) -> Rule {
    let present: Vec<String> = fields.iter().map(|field| format!("(has(self.{field}) ? 1 : 0)")).collect();
    Rule::new(format!("size(dyn(self)) == {}", present.join(" + ")))
        .message("a field that is left blank is null, which is no value: leave it out, or write [] for a list that allows nothing")
}
