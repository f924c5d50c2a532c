//! The admission policies of `deployment/tcs_issuer.yaml`, and how those of the cluster differ from them. Pure.
//!
//! RBAC gives the service's account, and the key owner's, more than they need; the policies take it away again. So the service
//! compares what they check with the manifest of its own version, which is compiled in. Labels and messages may differ. What is not
//! known here counts as a difference: a field of a later Kubernetes version may narrow what a policy applies to.

use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

const MANIFEST: &str = include_str!("../../../../deployment/tcs_issuer.yaml");

/// The policy that limits the service's own account, so that a write of the service can show whether it is in force.
pub const OWN_POLICY: &str = "tcs-issuer-secrets";

/// How to mend all of this.
const APPLY: &str = "Until then no certificate is signed. Apply the manifest of this version of the service: kubectl apply -f deployment/tcs_issuer.yaml";

/// Most of a value that is shown, in characters.
const SHOWN: usize = 120;

/// The two kinds of objects that make a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `ValidatingAdmissionPolicy`: what is checked.
    Policy,
    /// `ValidatingAdmissionPolicyBinding`: that it is checked, and where.
    Binding,
}

impl Kind {
    /// The kind's name in manifests.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Policy => "ValidatingAdmissionPolicy",
            Self::Binding => "ValidatingAdmissionPolicyBinding",
        }
    }

    /// The resource's name in URLs and roles.
    #[must_use]
    pub fn plural(self) -> &'static str {
        match self {
            Self::Policy => "validatingadmissionpolicies",
            Self::Binding => "validatingadmissionpolicybindings",
        }
    }
}

/// An object that has to be there.
#[derive(Clone, Debug)]
pub struct Expected {
    /// Its kind.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    spec: Value,
}

#[cfg(test)]
impl Expected {
    /// Its spec.
    pub fn spec(&self) -> &Value {
        &self.spec
    }
}

/// Why the policies cannot be relied on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The API server does not know such objects.
    #[error(
        "the API server has no {} in admissionregistration.k8s.io/v1: the service needs Kubernetes 1.30 or later. Until then no certificate is signed",
        Kind::Policy.plural()
    )]
    Unsupported,
    /// An object is not there, or is being deleted.
    #[error("{} {name} is missing; it limits what the service and the key owner may write. {APPLY}", kind.name())]
    Missing {
        /// Kind of the object.
        kind: Kind,
        /// Its name.
        name: String,
    },
    /// An object may not be read.
    #[error("{} {name} cannot be read ({why}). {APPLY}", kind.name())]
    Unreadable {
        /// Kind of the object.
        kind: Kind,
        /// Its name.
        name: String,
        /// The API server's answer.
        why: String,
    },
    /// An object does not check what it should.
    #[error(
        "{} {name} was changed: {field} should be {expected} and is {found}. {}{APPLY}",
        kind.name(),
        if *superfluous { format!("Delete the object, because applying does not remove what others added: kubectl delete {} {name}. ", kind.name().to_ascii_lowercase()) } else { String::new() }
    )]
    Changed {
        /// Kind of the object.
        kind: Kind,
        /// Its name.
        name: String,
        /// Path of the first field that differs.
        field: String,
        /// What should be there.
        expected: String,
        /// What is there.
        found: String,
        /// Something is there where nothing should be.
        superfluous: bool,
    },
    /// The objects are there, and a write that they forbid was not refused by them.
    #[error(
        "ValidatingAdmissionPolicy {OWN_POLICY} is not in force: a Secret that it forbids was tried (as a dry run), and {answer}. See that the API server runs the admission plugin ValidatingAdmissionPolicy, and that nothing answers before it. Until then no certificate is signed"
    )]
    NotEnforced {
        /// What happened to the write.
        answer: String,
    },
}

/// The objects of the manifest, in its order.
///
/// Fails if the manifest is no YAML, which a test excludes.
pub fn expected() -> Result<Vec<Expected>, serde_saphyr::Error> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(MANIFEST)?;
    let one = |document: &Value| {
        let kinds = [Kind::Policy, Kind::Binding];
        let text = |pointer: &str| document.pointer(pointer)?.as_str();
        let kind = kinds.into_iter().find(|kind| text("/kind") == Some(kind.name()))?;
        let name = text("/metadata/name")?.to_owned();
        Some(Expected { kind, name, spec: document.get("spec").cloned().unwrap_or_default() })
    };
    Ok(documents.iter().filter_map(one).collect())
}

/// Compares an object of the cluster with the manifest's.
pub fn compare(expected: &Expected, found: Option<&Value>) -> Result<(), Fault> {
    let Expected { kind, name, spec } = expected;
    let (kind, name) = (*kind, name.clone());
    let leaving =
        |object: &Value| object.pointer("/metadata/deletionTimestamp").is_some_and(|at| !at.is_null());
    let Some(found) = found.filter(|object| !leaving(object)) else {
        return Err(Fault::Missing { kind, name });
    };
    let found = found.get("spec").cloned().unwrap_or_default();
    match difference("spec", Some(&checked(kind, spec.clone())), Some(&checked(kind, found))) {
        None => Ok(()),
        Some(Difference { field, expected, found, superfluous }) => {
            Err(Fault::Changed { kind, name, field, expected, found, superfluous })
        }
    }
}

/// A spec as far as it bears on what is checked, with what the API server adds to fields that are left out.
fn checked(kind: Kind, mut spec: Value) -> Value {
    drop_nulls(&mut spec);
    let Some(fields) = spec.as_object_mut() else { return spec };
    match kind {
        Kind::Policy => {
            fields.entry("failurePolicy").or_insert(json!("Fail"));
            if let Some(constraints) = fields.get_mut("matchConstraints").and_then(Value::as_object_mut) {
                add_defaults(constraints);
            }
            // Annotations of audit events refuse nothing.
            fields.remove("auditAnnotations");
            for validation in
                fields.get_mut("validations").and_then(Value::as_array_mut).into_iter().flatten()
            {
                if let Some(validation) = validation.as_object_mut() {
                    validation.retain(|field, _| {
                        !["message", "messageExpression", "reason"].contains(&field.as_str())
                    });
                }
            }
        }
        Kind::Binding => {
            // Beside Deny, others only report.
            let denies = |actions: &Value| actions.as_array().is_some_and(|all| all.contains(&json!("Deny")));
            if fields.get("validationActions").is_some_and(denies) {
                fields.insert("validationActions".into(), json!(["Deny"]));
            }
            if let Some(resources) = fields.get_mut("matchResources").and_then(Value::as_object_mut) {
                add_defaults(resources);
                let everything = Map::from_iter([
                    ("matchPolicy".into(), json!("Equivalent")),
                    ("namespaceSelector".into(), json!({})),
                    ("objectSelector".into(), json!({})),
                ]);
                if *resources == everything {
                    fields.remove("matchResources");
                }
            }
        }
    }
    spec
}

/// The defaults of `MatchResources` (Kubernetes API reference, admissionregistration.k8s.io/v1).
fn add_defaults(resources: &mut Map<String, Value>) {
    resources.entry("matchPolicy").or_insert(json!("Equivalent"));
    resources.entry("namespaceSelector").or_insert(json!({}));
    resources.entry("objectSelector").or_insert(json!({}));
    for rules in ["resourceRules", "excludeResourceRules"] {
        for rule in resources.get_mut(rules).and_then(Value::as_array_mut).into_iter().flatten() {
            if let Some(rule) = rule.as_object_mut() {
                rule.entry("scope").or_insert(json!("*"));
            }
        }
    }
}

fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, field| !field.is_null());
            fields.values_mut().for_each(drop_nulls);
        }
        Value::Array(entries) => entries.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

struct Difference {
    field: String,
    expected: String,
    found: String,
    superfluous: bool,
}

/// The first difference, in the order of the fields' names.
fn difference(field: &str, expected: Option<&Value>, found: Option<&Value>) -> Option<Difference> {
    match (expected, found) {
        (Some(Value::Object(one)), Some(Value::Object(other))) => {
            let names: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
            names
                .into_iter()
                .find_map(|name| difference(&format!("{field}.{name}"), one.get(name), other.get(name)))
        }
        (Some(Value::Array(one)), Some(Value::Array(other))) => {
            let entries = 0..one.len().max(other.len());
            entries
                .into_iter()
                .find_map(|at| difference(&format!("{field}[{at}]"), one.get(at), other.get(at)))
        }
        (one, other) if one == other => None,
        (one, other) => {
            let superfluous = one.is_none();
            let (expected, found) = shown(one, other);
            Some(Difference { field: field.to_owned(), expected, found, superfluous })
        }
    }
}

/// Two values that differ, cut to where they do.
fn shown(one: Option<&Value>, other: Option<&Value>) -> (String, String) {
    let text =
        |value: Option<&Value>| value.map_or_else(|| "absent".to_owned(), |value| format!("`{value}`"));
    let (one, other) = (text(one), text(other));
    let same = one.chars().zip(other.chars()).take_while(|(one, other)| one == other).count();
    let from = if same > SHOWN / 2 { same.saturating_sub(SHOWN / 4) } else { 0 };
    let cut = |text: &str| {
        let before = if from > 0 { "..." } else { "" };
        let rest: String = text.chars().skip(from).take(SHOWN).collect();
        let after = if text.chars().count() > from.saturating_add(SHOWN) { "..." } else { "" };
        format!("{before}{rest}{after}")
    };
    (cut(&one), cut(&other))
}

#[cfg(test)]
mod tests;
