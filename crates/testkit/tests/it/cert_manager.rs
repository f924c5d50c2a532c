//! The real cert-manager: its controllers and its webhook work, and end when they should.

use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;
use tcs_testkit::process::{run, wait_for};
use tcs_testkit::{CertManager, ControlPlane, ensure_cert_manager, ensure_control_plane};

/// How long cert-manager may take.
const SETTLE: Duration = Duration::from_mins(1);

fn apply(cluster: &ControlPlane, dir: &Path, object: &Value) -> anyhow::Result<String> {
    let file = dir.join("object.json");
    std::fs::write(&file, object.to_string())?;
    run(cluster.kubectl().args(["apply", "--filename"]).arg(&file))
}

fn object(kind: &str, name: &str, spec: &Value) -> Value {
    let metadata = json!({"name": name, "namespace": "default"});
    json!({"apiVersion": "cert-manager.io/v1", "kind": kind, "metadata": metadata, "spec": spec})
}

fn await_ready(cluster: &ControlPlane, certificate: &str) {
    let path = "--output=jsonpath={.status.conditions[?(@.type=='Ready')].status}";
    wait_for(SETTLE, "a Certificate to be ready", || {
        let mut get = cluster.kubectl();
        let printed = run(get.args(["get", "certificates.cert-manager.io", certificate, path]))?;
        Ok((printed == "True").then_some(()))
    })
    .unwrap();
}

#[test]
fn cert_manager_fills_a_secret_from_its_own_ca_and_survives_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let assets = ensure_control_plane(|line| eprintln!("{line}")).unwrap();
    let cluster = ControlPlane::start(dir.path(), &assets).unwrap();
    let assets = ensure_cert_manager(|line| eprintln!("{line}")).unwrap();
    let start = std::time::Instant::now();
    let cert_manager = CertManager::start(&cluster, &assets).unwrap();
    eprintln!("cert-manager started in {:?}", start.elapsed());
    let certificate = |name: &str, issuer: &str, is_ca: bool| {
        object(
            "Certificate",
            name,
            &json!({
                "secretName": name, "commonName": name, "isCA": is_ca, "issuerRef": {"name": issuer},
                "privateKey": {"algorithm": "ECDSA", "size": 256},
            }),
        )
    };
    for object in [
        object("Issuer", "root", &json!({"selfSigned": {}})),
        certificate("ca", "root", true),
        object("Issuer", "ca", &json!({"ca": {"secretName": "ca"}})),
        certificate("leaf", "ca", false),
    ] {
        apply(&cluster, dir.path(), &object).unwrap();
    }
    await_ready(&cluster, "leaf");
    let get = ["get", "secret", "leaf", "--output=json"];
    let secret: Value = serde_json::from_str(&run(cluster.kubectl().args(get)).unwrap()).unwrap();
    for field in ["tls.crt", "tls.key", "ca.crt"] {
        assert!(secret["data"][field].is_string(), "{field} is missing");
    }

    // The webhook is asked about users' objects.
    let short = object(
        "Certificate",
        "short",
        &json!({
            "secretName": "short", "commonName": "short", "duration": "1s", "issuerRef": {"name": "ca"},
        }),
    );
    let error = apply(&cluster, dir.path(), &short).unwrap_err().to_string();
    assert!(error.contains("spec.duration"), "{error}");
    // Its approver may not approve for issuers of others.
    let foreign = object(
        "Certificate",
        "foreign",
        &json!({
            "secretName": "foreign", "commonName": "foreign",
            "issuerRef": {"name": "x", "kind": "TCSIssuer", "group": "tcs.intel.com"},
        }),
    );
    apply(&cluster, dir.path(), &foreign).unwrap();
    wait_for(SETTLE, "the webhook to refuse an approval", || {
        Ok(cert_manager
            .log()?
            .contains("referenced signer resource does not exist: {x TCSIssuer")
            .then_some(()))
    })
    .unwrap();

    cert_manager.kill_controllers().unwrap();
    apply(&cluster, dir.path(), &certificate("second", "ca", false)).unwrap();
    cert_manager.start_controllers().unwrap();
    await_ready(&cluster, "second");
    let webhook = cert_manager.webhook_log().unwrap();
    let identities = cert_manager.identities();
    drop(cert_manager);
    for identity in identities {
        assert!(!identity.is_running().unwrap(), "{webhook}");
    }
}
