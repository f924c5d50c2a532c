//! Issuers of both kinds, as they are shown.

mod argument;
mod lookup;
mod next_step;
#[cfg(test)]
pub mod tests_support;

pub use argument::IssuerArgument;
pub use lookup::{all, find, get};
pub use next_step::next_steps;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta};
use serde_json::Value;
use tcs_api::conditions;
use tcs_api::signer::{self, SignerName};
use tcs_api::v1alpha1::{ClusterIssuerSpec, IssuerSpec, IssuerStatus, TCSClusterIssuer, TCSIssuer};

/// An issuer of either kind.
#[derive(Clone, Debug)]
pub struct Issuer {
    /// Its kind, namespace and name.
    pub id: SignerName,
    /// Its metadata, without the record of who changed what.
    pub metadata: ObjectMeta,
    /// Its spec.
    pub spec: IssuerSpec,
    /// Its status.
    pub status: IssuerStatus,
}

/// An issuer that was found.
#[derive(Clone, Debug)]
pub enum Found {
    /// It can be decoded.
    Readable(Box<Issuer>),
    /// It exists and cannot be decoded.
    Unreadable {
        /// Its kind, namespace and name.
        id: SignerName,
        /// What is wrong.
        cause: String,
    },
}

impl Found {
    /// Reads an object of the kind that `is_of_cluster` says.
    fn read(is_of_cluster: bool, mut object: Value) -> Self {
        // Others write this field, and nothing in it is used.
        if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.remove("managedFields");
        }
        let text = |field: &str| {
            let found = object.get("metadata").and_then(|metadata| metadata.get(field));
            found.and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let id = if is_of_cluster {
            SignerName::Cluster { name: text("name") }
        } else {
            SignerName::Namespaced { namespace: text("namespace"), name: text("name") }
        };
        let read = if is_of_cluster {
            serde_json::from_value(object).map(|TCSClusterIssuer { metadata, spec, status }| {
                let ClusterIssuerSpec(spec) = spec;
                (metadata, spec, status)
            })
        } else {
            serde_json::from_value(object)
                .map(|TCSIssuer { metadata, spec, status }| (metadata, spec, status))
        };
        match read {
            Ok((metadata, spec, status)) => {
                let status = status.unwrap_or_default();
                Self::Readable(Box::new(Issuer { id, metadata, spec, status }))
            }
            Err(error) => Self::Unreadable { id, cause: error.to_string() },
        }
    }

    /// Its kind, namespace and name.
    #[must_use]
    pub fn id(&self) -> &SignerName {
        match self {
            Self::Readable(issuer) => &issuer.id,
            Self::Unreadable { id, .. } => id,
        }
    }
}

impl Issuer {
    /// The condition that says whether it signs.
    #[must_use]
    pub fn ready(&self) -> Option<&Condition> {
        conditions::ready_condition(&self.status)
    }

    /// Whether it signs.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        conditions::is_ready(&self.status)
    }

    /// Reason of the condition; empty without one.
    #[must_use]
    pub fn reason(&self) -> &str {
        self.ready().map_or("", |ready| ready.reason.as_str())
    }

    /// Message of the condition; empty without one.
    #[must_use]
    pub fn message(&self) -> &str {
        self.ready().map_or("", |ready| ready.message.as_str())
    }

    /// Whether the status describes an earlier version of the spec.
    #[must_use]
    pub fn is_outdated(&self) -> bool {
        let observed = self.ready().and_then(|ready| ready.observed_generation);
        observed.is_some() && observed != self.metadata.generation
    }

    /// When it was created.
    #[must_use]
    pub fn created(&self) -> Option<Timestamp> {
        self.metadata.creation_timestamp.as_ref().map(|time| time.0)
    }

    /// The value of an annotation.
    #[must_use]
    pub fn annotation(&self, name: &str) -> Option<&str> {
        self.metadata.annotations.as_ref()?.get(name).map(String::as_str)
    }
}

/// An issuer as messages name it.
#[must_use]
pub fn described(id: &SignerName) -> String {
    match id {
        SignerName::Namespaced { namespace, name } => format!("TCSIssuer {namespace}/{name}"),
        SignerName::Cluster { name } => format!("TCSClusterIssuer {name}"),
    }
}

/// The kind of an issuer.
#[must_use]
pub fn kind(id: &SignerName) -> &'static str {
    match id {
        SignerName::Namespaced { .. } => "TCSIssuer",
        SignerName::Cluster { .. } => "TCSClusterIssuer",
    }
}

/// The namespace of an issuer; `None` for a cluster issuer.
#[must_use]
pub fn namespace(id: &SignerName) -> Option<&str> {
    match id {
        SignerName::Namespaced { namespace, .. } => Some(namespace),
        SignerName::Cluster { .. } => None,
    }
}

/// The name of an issuer.
#[must_use]
pub fn name(id: &SignerName) -> &str {
    match id {
        SignerName::Namespaced { name, .. } | SignerName::Cluster { name } => name,
    }
}

/// The issuer as an argument of kubectl: `-n NAMESPACE tcsissuers.tcs.intel.com NAME`.
#[must_use]
pub fn kubectl_arguments(id: &SignerName) -> String {
    match id {
        SignerName::Namespaced { namespace, name } => {
            format!("-n {namespace} tcsissuers.tcs.intel.com {name}")
        }
        SignerName::Cluster { name } => format!("tcsclusterissuers.tcs.intel.com {name}"),
    }
}

/// The issuer as an argument of this program.
#[must_use]
pub fn own_arguments(id: &SignerName) -> String {
    match id {
        SignerName::Namespaced { namespace, name } => format!("-n {namespace} tcsissuer/{name}"),
        SignerName::Cluster { name } => format!("tcsclusterissuer/{name}"),
    }
}

/// The signer name in its first spelling.
#[must_use]
pub fn signer_name(id: &SignerName) -> String {
    match id {
        SignerName::Namespaced { namespace, name } => signer::signer_name(namespace, name),
        SignerName::Cluster { name } => signer::cluster_signer_name(name),
    }
}

/// The name of its `QuoteAttestation`.
#[must_use]
pub fn attestation_name(id: &SignerName) -> String {
    match id {
        SignerName::Namespaced { namespace, name } => signer::quote_attestation_name(namespace, name),
        SignerName::Cluster { name } => signer::cluster_quote_attestation_name(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_object_that_cannot_be_decoded_still_has_a_name() {
        let object =
            json!({"metadata": {"name": "a", "namespace": "n", "managedFields": [{"time": 5}]}, "spec": 7});
        let found = Found::read(false, object);
        assert_eq!(described(found.id()), "TCSIssuer n/a");
        assert!(matches!(found, Found::Unreadable { .. }));
    }

    #[test]
    fn the_record_of_changes_is_not_read() {
        let object = json!({
            "metadata": {"name": "a", "managedFields": [{"time": "never"}]}, "spec": {"secretName": "s"},
        });
        let Found::Readable(issuer) = Found::read(true, object) else { panic!("it can be read") };
        assert_eq!((issuer.reason(), issuer.is_ready(), issuer.is_outdated()), ("", false, false));
        assert_eq!(signer_name(&issuer.id), "tcsclusterissuer.tcs.intel.com/a");
    }
}
