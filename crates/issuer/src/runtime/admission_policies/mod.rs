//! The admission policies of `deployment/tcs_issuer.yaml`, and how the policies in the cluster differ from
//! them. Pure.
//!
//! RBAC gives the service's account and the key owner's more rights than they need. The policies remove these
//! rights. So the service compares what the policies check with the manifest of its own version, which is
//! compiled in. Labels and messages may differ. An unknown field counts as a difference: a field of a later
//! Kubernetes version may narrow what a policy applies to.

use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

const MANIFEST: &str = include_str!("../../../../../deployment/tcs_issuer.yaml");

/// The policy that limits the service's own account. A write by the service can show whether it is in force.
pub const OWN_POLICY: &str = "tcs-issuer-secrets";

/// What to do about every fault of a policy.
const APPLY: &str = "Until then no certificate is signed. Apply the policies and rights of this version of the service: kubectl apply -f deployment/access.yaml";

/// Maximum length of a value that is shown, in characters.
const SHOWN: usize = 120;

/// The two kinds of objects that make up a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectKind {
    /// `ValidatingAdmissionPolicy`: what is checked.
    Policy,
    /// `ValidatingAdmissionPolicyBinding`: where it is checked.
    Binding,
}

impl ObjectKind {
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

/// An object that must exist.
#[derive(Clone, Debug)]
pub struct Expected {
    /// Its kind.
    pub kind: ObjectKind,
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

/// Why the policies are not in force.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyFault {
    /// The API server does not support such objects.
    #[error(
        "the API server has no {} in admissionregistration.k8s.io/v1: the service needs Kubernetes 1.32 or later. Until then no certificate is signed",
        ObjectKind::Policy.plural()
    )]
    Unsupported,
    /// An object does not exist or is being deleted.
    #[error("{} {name} is missing; it limits what the service and the key owner may write. {APPLY}", kind.name())]
    Missing {
        /// Kind of the object.
        kind: ObjectKind,
        /// Its name.
        name: String,
    },
    /// An object cannot be read.
    #[error("{} {name} cannot be read ({why}). {APPLY}", kind.name())]
    Unreadable {
        /// Kind of the object.
        kind: ObjectKind,
        /// Its name.
        name: String,
        /// The message of the API server.
        why: String,
    },
    /// An object does not check what it must check.
    #[error(
        "{} {name} was changed: {field} should be {expected} and is {found}. {}{APPLY}",
        kind.name(),
        if *superfluous { format!("Delete the object, because applying does not remove what others added: kubectl delete {} {name}. ", kind.name().to_ascii_lowercase()) } else { String::new() }
    )]
    Changed {
        /// Kind of the object.
        kind: ObjectKind,
        /// Its name.
        name: String,
        /// Path of the first field that differs.
        field: String,
        /// The expected value.
        expected: String,
        /// The value that was found.
        found: String,
        /// The field must not exist.
        superfluous: bool,
    },
    /// The objects exist, and they did not refuse a write that they forbid.
    #[error(
        "ValidatingAdmissionPolicy {OWN_POLICY} is not in force: the service tried to create a Secret that it forbids (as a dry run), and {answer}. Check that the API server runs the admission plugin ValidatingAdmissionPolicy, and that no proxy or webhook answers before it. Until then no certificate is signed"
    )]
    NotEnforced {
        /// What happened to the write.
        answer: String,
    },
}

/// The objects of the manifest, in its order.
///
/// # Errors
///
/// If the manifest is not YAML, which a test excludes.
pub fn expected() -> Result<Vec<Expected>, serde_saphyr::Error> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(MANIFEST)?;
    let one = |document: &Value| {
        let kinds = [ObjectKind::Policy, ObjectKind::Binding];
        let text = |pointer: &str| document.pointer(pointer)?.as_str();
        let kind = kinds.into_iter().find(|kind| text("/kind") == Some(kind.name()))?;
        let name = text("/metadata/name")?.to_owned();
        Some(Expected { kind, name, spec: document.get("spec").cloned().unwrap_or_default() })
    };
    Ok(documents.iter().filter_map(one).collect())
}

/// Compares an object in the cluster with the one of the manifest.
pub fn compare(expected: &Expected, found: Option<&Value>) -> Result<(), PolicyFault> {
    let Expected { kind, name, spec } = expected;
    let (kind, name) = (*kind, name.clone());
    let is_being_deleted =
        |object: &Value| object.pointer("/metadata/deletionTimestamp").is_some_and(|at| !at.is_null());
    let Some(found) = found.filter(|object| !is_being_deleted(object)) else {
        return Err(PolicyFault::Missing { kind, name });
    };
    let found = found.get("spec").cloned().unwrap_or_default();
    match difference("spec", Some(&checked(kind, spec.clone())), Some(&checked(kind, found))) {
        None => Ok(()),
        Some(Difference { field, expected, found, superfluous }) => {
            Err(PolicyFault::Changed { kind, name, field, expected, found, superfluous })
        }
    }
}

/// The fields of a spec that determine what is checked, with the API server's defaults for fields that are
/// left out.
fn checked(kind: ObjectKind, mut spec: Value) -> Value {
    drop_nulls(&mut spec);
    let Some(fields) = spec.as_object_mut() else { return spec };
    match kind {
        ObjectKind::Policy => {
            fields.entry("failurePolicy").or_insert(json!("Fail"));
            if let Some(constraints) = fields.get_mut("matchConstraints").and_then(Value::as_object_mut) {
                add_defaults(constraints);
            }
            // Audit annotations refuse nothing.
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
        ObjectKind::Binding => {
            // All actions other than Deny only report.
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

/// The first difference in the order of the field names.
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

/// Two values that differ, cut to the place where they differ.
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
