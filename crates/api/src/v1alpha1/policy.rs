//! Rules for certificates, in `spec.policy` and `spec.ca.policy`. No rule is lost silently: a rule that is
//! unknown or cannot be read is an error.

use super::schema::{at_most_16_kib, no_blanks_in_lists, no_format, not_null};
use super::text_list::TextList;
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// Rules for certificates. A list that is left out is no rule. An empty list allows nothing of its kind. A
/// list that is left blank (null) is refused. If one of the seven lists of names is present, names of a kind
/// without a list are refused. Other attributes of the subject are not restricted. All entries together have
/// at most 16384 bytes.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(validation = Rule::new("!has(self.caDepth) || self.caDepth == 0 || !(has(self.dnsNames) || has(self.uris) || has(self.ipRanges) || has(self.emailAddresses) || has(self.commonNames) || has(self.organizations) || has(self.organizationalUnits))")
    .message("caDepth cannot be combined with lists of names, because they would not restrict what the CAs below sign"))]
#[x_kube(validation = at_most_16_kib(&[
    "dnsNames",
    "uris",
    "ipRanges",
    "emailAddresses",
    "commonNames",
    "organizations",
    "organizationalUnits",
    "usages",
    "keyAlgorithms",
]))]
#[x_kube(validation = no_blanks_in_lists(&[
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
    /// Allowed DNS names: `a.example`, `*.a.example` (one label in place of `*`) or `**.a.example` (one or
    /// more labels).
    #[serde(default, deserialize_with = "not_null", skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 64),
        inner(
            length(min = 1, max = 253),
            regex(
                pattern = "^(\\*\\*?\\.)?([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\\.)*[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?$"
            )
        )
    )]
    pub dns_names: Option<TextList>,

    /// Allowed URIs, for example `spiffe://td.example/ns/*/sa/web`. `*` stands for one segment of the path,
    /// `**` at the end for one or more.
    #[serde(default, deserialize_with = "not_null", skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 64),
        inner(
            length(min = 1, max = 2048),
            regex(pattern = super::schema::URI_PATTERN)
        )
    )]
    #[x_kube(validation = Rule::new("!self.exists(uri, uri.matches('/[.]{1,2}(/|$)'))")
        .message("uris contains a path with the segment . or .., which programs read in different ways"))]
    pub uris: Option<TextList>,

    /// Allowed IP addresses: `10.0.0.0/8`, `2001:db8::/32` or a single address.
    #[serde(default, deserialize_with = "not_null", skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 64),
        inner(length(min = 1, max = 64), regex(pattern = "^[0-9A-Fa-f:.]+(/[0-9]{1,3})?$"))
    )]
    #[x_kube(validation = Rule::new("self.all(range, isIP(range) || (isCIDR(range) && cidr(range) == cidr(range).masked()))")
        .message("ipRanges contains something that is not an IP address or a range such as 10.0.0.0/8, in which no bit is set after the prefix"))]
    pub ip_ranges: Option<TextList>,

    /// Allowed e-mail addresses: `user@a.example`, or `*@` followed by a pattern of DNS names.
    #[serde(default, deserialize_with = "not_null", skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 64),
        inner(
            length(min = 3, max = 320),
            regex(
                pattern = "^(\\*|[A-Za-z0-9._+-]+)@(\\*\\*?\\.)?([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\\.)*[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?$"
            )
        )
    )]
    pub email_addresses: Option<TextList>,

    /// Allowed common names (CN) of the subject, or `*` for any. Without this list a common name must also be
    /// one of the subject alternative names.
    #[serde(default, deserialize_with = "not_null", skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 253)))]
    pub common_names: Option<TextList>,

    /// Allowed organizations (O) of the subject, or `*` for any. Kubernetes reads the organizations of a
    /// client certificate as groups.
    #[serde(default, deserialize_with = "not_null", skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 253)))]
    pub organizations: Option<TextList>,

    /// Allowed organizational units (OU) of the subject, or `*` for any.
    #[serde(default, deserialize_with = "not_null", skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 253)))]
    pub organizational_units: Option<TextList>,

    /// Allowed usages by their Kubernetes names, for example `digital signature` and `server auth`.
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
    pub usages: Option<TextList>,

    /// Longest lifetime of a certificate in seconds, 600 (ten minutes) to 31536000 (365 days). A request for
    /// a longer lifetime gets this one.
    #[serde(default, deserialize_with = "not_null", skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 600, max = 31_536_000), transform = no_format)]
    pub max_lifetime_seconds: Option<u32>,

    /// Allowed algorithms of the certificates' keys: `RSA`, `RSA-3072` (RSA with at least 3072 bits),
    /// `ECDSA-P256`, `ECDSA-P384`, `ECDSA-P521`, `Ed25519`.
    #[serde(default, deserialize_with = "not_null", skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 16),
        inner(
            length(min = 1, max = 16),
            regex(
                pattern = "^(RSA(-(204[89]|20[5-9][0-9]|2[1-9][0-9]{2}|[3-7][0-9]{3}|8(0[0-9]{2}|1([0-8][0-9]|9[0-2]))))?|ECDSA-P(256|384|521)|Ed25519)$"
            )
        )
    )]
    pub key_algorithms: Option<TextList>,

    /// How many levels of CAs may exist below the CA: 0 by default, which allows certificates of workloads
    /// only. In `spec.ca.policy` it allows CA certificates, at most to the depth of `spec.ca.maxPathLen`, for
    /// requests with the usage `cert sign` and the annotation `experimental.cert-manager.io/request-is-ca:
    /// "true"`. It is read when the CA is made. In `spec.policy` it only lowers that depth. Together with
    /// lists of names it allows no CA certificate at all, because this service does not check what a
    /// subordinate CA signs. `usages` also apply to a subordinate CA, because its certificate contains them;
    /// `keyAlgorithms` do not.
    #[serde(default, deserialize_with = "not_null", skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 6), transform = no_format)]
    pub ca_depth: Option<u8>,
}
