//! The kinds of cert-manager, as far as `why` reads them. cert-manager publishes no types for Rust.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::{ByteString, NamespaceResourceScope};
use kube::Resource;
use serde::Deserialize;
use std::borrow::Cow;
use std::collections::BTreeMap;
use tcs_api::signer::SignerName;
use tcs_api::{CERT_MANAGER_GROUP, GROUP};

/// A `CertificateRequest`.
#[derive(Clone, Debug, Deserialize)]
pub struct CertificateRequest {
    /// Its metadata.
    pub metadata: ObjectMeta,
    /// Its spec.
    pub spec: RequestSpec,
    /// Its status.
    #[serde(default)]
    pub status: Option<RequestStatus>,
}

/// What is requested, and by whom.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestSpec {
    /// The issuer.
    pub issuer_ref: IssuerRef,
    /// Usages by their Kubernetes names.
    pub usages: Option<Vec<String>>,
    /// The lifetime, as Go writes durations.
    pub duration: Option<String>,
    /// The name of who made it, as cert-manager's webhook recorded it.
    pub username: Option<String>,
    /// The UID.
    pub uid: Option<String>,
    /// The groups.
    pub groups: Option<Vec<String>>,
    /// Further attributes.
    pub extra: Option<BTreeMap<String, Vec<String>>>,
}

/// What became of a request.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct RequestStatus {
    /// The certificate with its intermediates, PEM.
    pub certificate: Option<ByteString>,
    /// The conditions.
    pub conditions: Option<Vec<Condition>>,
}

/// A Certificate.
#[derive(Clone, Debug, Deserialize)]
pub struct Certificate {
    /// Its metadata.
    pub metadata: ObjectMeta,
    /// Its spec.
    pub spec: CertificateSpec,
    /// Its status.
    #[serde(default)]
    pub status: Option<CertificateStatus>,
}

/// What a Certificate asks for.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateSpec {
    /// The Secret for key and certificate.
    pub secret_name: String,
    /// The issuer.
    pub issuer_ref: IssuerRef,
}

/// What became of a Certificate.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateStatus {
    /// The conditions.
    pub conditions: Option<Vec<Condition>>,
    /// The revision that the Secret holds.
    pub revision: Option<i64>,
    /// The end of the certificate, RFC 3339.
    pub not_after: Option<String>,
    /// When it is renewed, RFC 3339.
    pub renewal_time: Option<String>,
    /// When an attempt to issue it failed last, RFC 3339.
    pub last_failure_time: Option<String>,
    /// How many attempts have failed since the last success.
    pub failed_issuance_attempts: Option<i64>,
}

/// The issuer that a request or a Certificate names.
#[derive(Clone, Debug, Deserialize)]
pub struct IssuerRef {
    /// Its name.
    pub name: String,
    /// Its kind. None is cert-manager's `Issuer`, and with the group of this service a `TCSIssuer`.
    pub kind: Option<String>,
    /// Its API group. None is that of cert-manager.
    pub group: Option<String>,
}

/// A condition.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// Its type.
    #[serde(rename = "type")]
    pub type_: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// A code for programs.
    #[serde(default)]
    pub reason: Option<String>,
    /// A message for people.
    #[serde(default)]
    pub message: Option<String>,
    /// When its status changed last, RFC 3339.
    #[serde(default)]
    pub last_transition_time: Option<String>,
}

/// A condition by its type.
#[must_use]
pub fn condition<'a>(conditions: Option<&'a Vec<Condition>>, type_: &str) -> Option<&'a Condition> {
    conditions?.iter().find(|condition| condition.type_ == type_)
}

impl IssuerRef {
    /// The issuer of this service that it names, from this namespace. `None` if it names another one
    /// (`docs/conformance.md`, A01).
    #[must_use]
    pub fn issuer(&self, namespace: &str) -> Option<SignerName> {
        if self.group.as_deref() != Some(GROUP) {
            return None;
        }
        let name = self.name.clone();
        match self.kind.as_deref().unwrap_or_default() {
            "" | "TCSIssuer" => Some(SignerName::Namespaced { namespace: namespace.to_owned(), name }),
            "TCSClusterIssuer" => Some(SignerName::Cluster { name }),
            _ => None,
        }
    }

    /// As people write it: `TCSIssuer.tcs.intel.com/ca`.
    #[must_use]
    pub fn text(&self) -> String {
        let or = |value: &Option<String>, default: &str| {
            value.clone().filter(|value| !value.is_empty()).unwrap_or_else(|| default.to_owned())
        };
        let group = or(&self.group, CERT_MANAGER_GROUP);
        let kind = or(&self.kind, if group == GROUP { "TCSIssuer" } else { "Issuer" });
        format!("{kind}.{group}/{}", self.name)
    }
}

/// Says which resource a type stands for.
macro_rules! resource {
    ($type:ident, $plural:literal) => {
        impl Resource for $type {
            type DynamicType = ();
            type Scope = NamespaceResourceScope;

            fn kind((): &()) -> Cow<'_, str> {
                stringify!($type).into()
            }

            fn group((): &()) -> Cow<'_, str> {
                CERT_MANAGER_GROUP.into()
            }

            fn version((): &()) -> Cow<'_, str> {
                "v1".into()
            }

            fn plural((): &()) -> Cow<'_, str> {
                $plural.into()
            }

            fn meta(&self) -> &ObjectMeta {
                &self.metadata
            }

            fn meta_mut(&mut self) -> &mut ObjectMeta {
                &mut self.metadata
            }
        }
    };
}

resource!(CertificateRequest, "certificaterequests");
resource!(Certificate, "certificates");

#[cfg(test)]
mod tests {
    use super::*;

    fn issuer_ref(kind: Option<&str>, group: Option<&str>) -> IssuerRef {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        IssuerRef { name: "ca".into(), kind: owned(kind), group: owned(group) }
    }

    #[test]
    fn a01_only_the_exact_group_and_kinds_are_ours() {
        let ours = Some("tcs.intel.com");
        let namespaced = SignerName::Namespaced { namespace: "n".into(), name: "ca".into() };
        for (kind, group, expected) in [
            (None, ours, Some(namespaced.clone())),
            (Some(""), ours, Some(namespaced.clone())),
            (Some("TCSIssuer"), ours, Some(namespaced)),
            (Some("TCSClusterIssuer"), ours, Some(SignerName::Cluster { name: "ca".into() })),
            (Some("tcsissuer"), ours, None),
            (Some("Issuer"), ours, None),
            (Some("TCSIssuer"), None, None),
            (Some("TCSIssuer"), Some("cert-manager.io"), None),
            (Some("TCSIssuer"), Some("TCS.intel.com"), None),
        ] {
            assert_eq!(issuer_ref(kind, group).issuer("n"), expected, "{kind:?} {group:?}");
        }
        assert_eq!(issuer_ref(None, ours).text(), "TCSIssuer.tcs.intel.com/ca");
        assert_eq!(issuer_ref(None, None).text(), "Issuer.cert-manager.io/ca");
    }
}
