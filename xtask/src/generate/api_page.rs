//! `docs/quote-attestation-api.md`: an introduction and one table of fields for each kind of resource.

use crate::generate::crds::NOTICE;
use anyhow::{Context as _, Result};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, CustomResourceDefinitionVersion, JSONSchemaProps, JSONSchemaPropsOrArray,
    JSONSchemaPropsOrBool,
};
use std::fmt::Write as _;

const INTRODUCTION: &str = include_str!("api_introduction.md");

/// The page: introduction and all resources, the `QuoteAttestation` first.
pub fn api_page(crds: &[CustomResourceDefinition]) -> Result<String> {
    let mut text = format!("<!-- {NOTICE} -->\n{INTRODUCTION}");
    let mut described: Vec<(&JSONSchemaProps, &str)> = Vec::new();
    for crd in crds {
        for version in &crd.spec.versions {
            let kind = crd.spec.names.kind.as_str();
            let schema = version.schema.as_ref().and_then(|schema| schema.open_api_v3_schema.as_ref());
            let schema = schema.with_context(|| format!("{kind} has no schema"))?;
            resource(&mut text, crd, version, schema)?;
            // Kinds that share a spec are described once.
            match described.iter().find(|(other, _)| fields_of(other).eq(fields_of(schema))) {
                Some((_, other)) => writeln!(text, "\nThe fields are those of {other}.")?,
                None => fields(&mut text, schema)?,
            }
            described.push((schema, kind));
        }
    }
    Ok(text)
}

fn resource(
    text: &mut String,
    crd: &CustomResourceDefinition,
    version: &CustomResourceDefinitionVersion,
    schema: &JSONSchemaProps,
) -> Result<()> {
    let names = &crd.spec.names;
    writeln!(text, "\n## {}\n", names.kind)?;
    writeln!(text, "{}\n", sentence(schema.description.as_deref()))?;
    writeln!(text, "| | |\n|---|---|")?;
    writeln!(text, "| apiVersion | `{}/{}` |", crd.spec.group, version.name)?;
    writeln!(
        text,
        "| resource | `{}.{}`, {} |",
        names.plural,
        crd.spec.group,
        crd.spec.scope.to_lowercase()
    )?;
    let columns = version.additional_printer_columns.iter().flatten().map(|column| {
        let wide = if column.priority.unwrap_or(0) > 0 { " (`-o wide`)" } else { "" };
        format!("{}{wide}", column.name)
    });
    writeln!(text, "| `kubectl get` prints | Name, {} |", columns.collect::<Vec<_>>().join(", "))?;
    for rule in schema.x_kubernetes_validations.iter().flatten() {
        writeln!(text, "| rule | {} |", cell(rule.message.as_deref().unwrap_or(&rule.rule)))?;
    }
    Ok(())
}

fn fields(text: &mut String, schema: &JSONSchemaProps) -> Result<()> {
    writeln!(text, "\n| Field | Type | Meaning |\n|---|---|---|")?;
    for (name, property) in schema.properties.iter().flatten() {
        field(text, name, property, schema)?;
    }
    Ok(())
}

/// The fields directly below spec and status.
fn fields_of(schema: &JSONSchemaProps) -> impl Iterator<Item = (&String, &JSONSchemaProps)> {
    schema.properties.iter().flatten().flat_map(|(_, inner)| inner.properties.iter().flatten())
}

/// Writes the row of a field and the rows of the fields below it.
fn field(text: &mut String, path: &str, schema: &JSONSchemaProps, parent: &JSONSchemaProps) -> Result<()> {
    let name = path.rsplit('.').next().unwrap_or(path);
    let required = parent.required.iter().flatten().any(|required| required == name);
    let mut meaning = vec![sentence(schema.description.as_deref())];
    if required {
        meaning.push("Required.".into());
    }
    if let Some(default) = &schema.default {
        meaning.push(format!("Default: `{}`.", default.0));
    }
    if let Some(limit) = limits(schema) {
        meaning.push(limit);
    }
    let rules = schema.x_kubernetes_validations.iter().flatten();
    meaning.extend(rules.map(|rule| format!("Rule: {}.", rule.message.as_deref().unwrap_or(&rule.rule))));
    meaning.retain(|part| !part.is_empty());
    writeln!(text, "| `{path}` | {} | {} |", type_of(schema), cell(&meaning.join(" ")))?;

    let (inner, suffix) = element(schema).unwrap_or((schema, ""));
    for (name, property) in inner.properties.iter().flatten() {
        field(text, &format!("{path}{suffix}.{name}"), property, inner)?;
    }
    Ok(())
}

/// The schema of a list's or map's elements, and what is appended to its path for them.
fn element(schema: &JSONSchemaProps) -> Option<(&JSONSchemaProps, &'static str)> {
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &schema.items {
        return Some((items, "[]"));
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &schema.additional_properties {
        return Some((values, "{}"));
    }
    None
}

fn type_of(schema: &JSONSchemaProps) -> String {
    let own = schema.type_.as_deref().unwrap_or("any");
    let own = match (own, schema.format.as_deref()) {
        ("string", Some("byte")) => "bytes (base64)",
        ("string", Some("date-time")) => "time (RFC 3339)",
        (other, _) => other,
    };
    match element(schema) {
        Some((items, "[]")) => format!("list of {}", type_of(items)),
        Some((values, _)) => format!("map of {}", type_of(values)),
        None => own.to_owned(),
    }
}

fn limits(schema: &JSONSchemaProps) -> Option<String> {
    let limit = |what: &str, n: Option<i64>| n.map(|n| format!("at most {n} {what}"));
    let element = element(schema).and_then(|(inner, _)| limit("characters each", inner.max_length));
    let all = [
        limit("characters", schema.max_length),
        limit("entries", schema.max_items.or(schema.max_properties)),
        element,
    ];
    let all: Vec<String> = all.into_iter().flatten().collect();
    if all.is_empty() {
        return None;
    }
    let mut text = all.join(", ");
    text.replace_range(..1, "A");
    Some(format!("{text}."))
}

/// A description on one line.
fn sentence(description: Option<&str>) -> String {
    description.unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Escapes what would end a cell of a table or be read as a tag.
fn cell(text: &str) -> String {
    let mut code = false;
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        code ^= c == '`';
        match c {
            '|' => out.push_str("\\|"),
            '<' if !code => out.push_str("&lt;"),
            other => out.push(other),
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_stay_in_their_table() {
        assert_eq!(cell("a|b <c> `<d>`"), "a\\|b &lt;c> `<d>`");
    }
}
