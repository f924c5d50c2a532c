//! What cert-manager's chart installs in a cluster: definitions, accounts, rights and webhooks.

use super::assets::CertManagerAssets;
use crate::control_plane::ControlPlane;
use crate::process::run;
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::Command;

const RBAC: &str = include_str!("rbac.yaml");

/// Installs the definitions of the kinds, and waits until the API server serves them.
pub fn install_definitions(cluster: &ControlPlane, assets: &CertManagerAssets) -> Result<()> {
    // Server-side, because the annotation of a client-side apply would be too long for these definitions.
    run(definitions(cluster, assets, "apply").arg("--server-side"))?;
    run(definitions(cluster, assets, "wait").args(["--for=condition=Established", "--timeout=60s"]))?;
    Ok(())
}

/// Removes the definitions, and with them all objects of these kinds.
pub fn remove_definitions(cluster: &ControlPlane, assets: &CertManagerAssets) -> Result<()> {
    run(&mut definitions(cluster, assets, "delete")).map(drop)
}

fn definitions(cluster: &ControlPlane, assets: &CertManagerAssets, verb: &str) -> Command {
    let mut kubectl = cluster.kubectl();
    kubectl.arg(verb).arg("--filename").arg(&assets.definitions);
    kubectl
}

/// Makes the accounts and gives them their rights.
pub fn install_rights(cluster: &ControlPlane, dir: &Path) -> Result<()> {
    apply(cluster, &dir.join("rbac.yaml"), RBAC)
}

/// Registers a webhook that serves at this port of the loopback interface with a certificate of this CA.
pub fn install_webhook(cluster: &ControlPlane, dir: &Path, port: u16, ca: &str) -> Result<()> {
    let configurations = json!({
        "apiVersion": "v1",
        "kind": "List",
        "items": [
            configuration("ValidatingWebhookConfiguration", port, "validate", ca, &json!({
                "apiGroups": ["cert-manager.io", "acme.cert-manager.io"],
                "apiVersions": ["v1"],
                "operations": ["CREATE", "UPDATE"],
                "resources": ["*/*"],
            })),
            configuration("MutatingWebhookConfiguration", port, "mutate", ca, &json!({
                "apiGroups": ["cert-manager.io"],
                "apiVersions": ["v1"],
                "operations": ["CREATE"],
                "resources": ["certificaterequests"],
            })),
        ],
    });
    apply(cluster, &dir.join("webhooks.json"), &configurations.to_string())
}

/// A webhook as the chart configures it, but for its address.
fn configuration(kind: &str, port: u16, path: &str, ca: &str, rule: &Value) -> Value {
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": kind,
        "metadata": {"name": "cert-manager-webhook"},
        "webhooks": [{
            "name": "webhook.cert-manager.io",
            "rules": [rule],
            "admissionReviewVersions": ["v1"],
            "matchPolicy": "Equivalent",
            "timeoutSeconds": 30,
            "failurePolicy": "Fail",
            "sideEffects": "None",
            "clientConfig": {"url": format!("https://127.0.0.1:{port}/{path}"), "caBundle": ca},
        }],
    })
}

fn apply(cluster: &ControlPlane, file: &Path, manifest: &str) -> Result<()> {
    fs::write(file, manifest).with_context(|| format!("write {}", file.display()))?;
    run(cluster.kubectl().args(["apply", "--filename"]).arg(file)).map(drop)
}
