//! Issuers of both kinds, as they are shown.

mod argument;
mod lookup;
mod next_step;
#[cfg(test)]
pub mod tests_support;

pub use argument::IssuerArgument;
pub use lookup::{all, find, get};
pub use next_step::next_steps;

use crate::cluster::without_record;
use crate::command::word;
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
    /// It exists and cannot be decoded, or has a name that no object of Kubernetes has.
    Unreadable {
        /// Its kind, namespace and name, as they were written.
        id: SignerName,
        /// What is wrong.
        cause: String,
    },
}

impl Found {
    /// Reads an object of the kind that `is_of_cluster` says.
    fn read(is_of_cluster: bool, object: Value) -> Self {
        let object = without_record(object);
        let text = |field: &str| {
            let found = object.get("metadata").and_then(|metadata| metadata.get(field));
            found.and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let id = if is_of_cluster {
            SignerName::Cluster { name: text("name") }
        } else {
            SignerName::Namespaced { namespace: text("namespace"), name: text("name") }
        };
        // The answer decides about names, too; only those that Kubernetes accepts become part of a command.
        if !is_name(&id) {
            let cause = "it has a name or namespace that Kubernetes does not accept".to_owned();
            return Self::Unreadable { id, cause };
        }
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

/// Whether an object of Kubernetes can have this namespace and this name.
#[must_use]
pub fn is_name(id: &SignerName) -> bool {
    SignerName::parse(&signer_name(id)).as_ref() == Some(id)
}

/// The issuer as an argument of kubectl: `-n NAMESPACE tcsissuers.tcs.intel.com NAME`.
#[must_use]
pub fn kubectl_arguments(id: &SignerName) -> String {
    match id {
        SignerName::Namespaced { namespace, name } => {
            format!("-n {} tcsissuers.tcs.intel.com {}", word(namespace), word(name))
        }
        SignerName::Cluster { name } => format!("tcsclusterissuers.tcs.intel.com {}", word(name)),
    }
}

/// The issuer as an argument of this program.
#[must_use]
pub fn own_arguments(id: &SignerName) -> String {
    match id {
        SignerName::Namespaced { namespace, name } => {
            format!("-n {} tcsissuer/{}", word(namespace), word(name))
        }
        SignerName::Cluster { name } => format!("tcsclusterissuer/{}", word(name)),
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
    fn an_object_with_an_impossible_name_is_not_read_and_no_part_of_it_becomes_a_command() {
        let object = |namespace: &str, name: &str| {
            json!({
                "metadata": {"name": name, "namespace": namespace}, "spec": {"secretName": "s"},
            })
        };
        for (namespace, name) in [("n", "x;id"), ("n;id", "x"), ("", "x"), ("n", "")] {
            let found = Found::read(false, object(namespace, name));
            assert!(matches!(found, Found::Unreadable { .. }), "{namespace:?} {name:?}");
            let commands = [kubectl_arguments(found.id()), own_arguments(found.id())].concat();
            assert!(commands.contains("NAME") && !commands.contains(';'), "{commands}");
        }
        assert!(matches!(Found::read(true, object("", "x.y")), Found::Readable(_)));
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
