//! One control plane for the tests of the API itself: CRDs and manifest applied, no program of ours running.

use crate::support::wait::DEADLINE;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use tcs_testkit::process::{run, wait_for};
use tcs_testkit::{ControlPlane, ensure_control_plane, repository};

/// The control plane of all tests of the API. Its programs end with this process.
pub fn control_plane() -> &'static ControlPlane {
    static SHARED: OnceLock<ControlPlane> = OnceLock::new();
    SHARED.get_or_init(|| {
        let control_plane = fresh_control_plane(&own_folder());
        wait_for_policy(&control_plane);
        control_plane
    })
}

/// A control plane with our CRDs and manifest that ends with the value, for tests that uninstall them.
pub fn fresh_control_plane(dir: &Path) -> ControlPlane {
    let assets = ensure_control_plane(|line| eprintln!("{line}")).unwrap();
    let control_plane = ControlPlane::start(dir, &assets).unwrap();
    for path in ["deployment/crds/", "deployment/tcs_issuer.yaml"] {
        run(control_plane.kubectl().args(["apply", "--filename"]).arg(repository().join(path))).unwrap();
    }
    let wait = ["wait", "--for=condition=Established", "--timeout=60s", "customresourcedefinitions", "--all"];
    run(control_plane.kubectl().args(wait)).unwrap();
    control_plane
}

/// kubectl as the administrator; its standard output.
pub fn kubectl(arguments: &[&str]) -> String {
    run(control_plane().kubectl().args(arguments)).unwrap()
}

/// kubectl with a manifest, as the user of a kubeconfig: standard output, or standard error of a failure.
pub fn write_as(kubeconfig: &Path, verb: &[&str], manifest: &Value) -> Result<String, String> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), manifest.to_string()).unwrap();
    output(control_plane().kubectl_as(kubeconfig).args(verb).arg("--filename").arg(file.path()))
}

/// As [`write_as`], as the administrator.
pub fn write(verb: &[&str], manifest: &Value) -> Result<String, String> {
    write_as(&control_plane().admin_kubeconfig(), verb, manifest)
}

/// Creates an object as the administrator.
pub fn create(manifest: &Value) -> Result<String, String> {
    write(&["create"], manifest)
}

/// Standard output of a success, standard error of a failure.
pub fn output(command: &mut Command) -> Result<String, String> {
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

/// A new namespace with a ServiceAccount; the account's kubeconfig.
pub fn namespace_with_account(namespace: &str, account: &str) -> PathBuf {
    kubectl(&["create", "namespace", namespace]);
    kubectl(&["create", "serviceaccount", account, "--namespace", namespace]);
    control_plane().service_account_kubeconfig(namespace, account).unwrap()
}

/// A ServiceAccount in a new namespace with the role of the key owner; its kubeconfig.
pub fn key_owner(namespace: &str) -> PathBuf {
    let owner = namespace_with_account(namespace, "owner");
    let account = format!("--serviceaccount={namespace}:owner");
    kubectl(&["create", "rolebinding", namespace, "-n", "tcs-issuer", "--role=tcs-key-owner", &account]);
    owner
}

/// The kubeconfig of the service's own account.
pub fn service() -> PathBuf {
    static SERVICE: OnceLock<PathBuf> = OnceLock::new();
    SERVICE
        .get_or_init(|| control_plane().service_account_kubeconfig("tcs-issuer", "tcs-issuer").unwrap())
        .clone()
}

/// A client that acts as the user of a kubeconfig.
pub async fn client(kubeconfig: &Path) -> Client {
    let kubeconfig = Kubeconfig::read_from(kubeconfig).unwrap();
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    Client::try_from(config).unwrap()
}

/// Whether the user of a kubeconfig has a right, as `kubectl auth can-i` says.
pub fn can_i(kubeconfig: &Path, question: &str) -> bool {
    let mut command = control_plane().kubectl_as(kubeconfig);
    let output = command.args(["auth", "can-i"]).args(question.split_whitespace()).output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    match printed.split_whitespace().next() {
        Some("yes") => true,
        Some("no") => false,
        _ => panic!("{question}: {}", String::from_utf8_lossy(&output.stderr)),
    }
}

/// An issuer as JSON.
pub fn issuer(namespace: &str, name: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": "tcs.intel.com/v1alpha1",
        "kind": "TCSIssuer",
        "metadata": { "name": name, "namespace": namespace },
        "spec": spec,
    })
}

/// A `QuoteAttestation` in the namespace of the service as JSON, with these fields of `spec` beside key and
/// quote.
pub fn attestation(name: &str, fields: &Value) -> Value {
    let mut spec = json!({ "publicKey": "cHVibGlj", "quote": "cXVvdGU=" });
    spec.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    json!({
        "apiVersion": "tcs.intel.com/v1alpha1",
        "kind": "QuoteAttestation",
        "metadata": { "name": name, "namespace": "tcs-issuer" },
        "spec": spec,
    })
}

/// An admission policy takes effect a moment after it was written.
fn wait_for_policy(control_plane: &ControlPlane) {
    let service = control_plane.service_account_kubeconfig("tcs-issuer", "tcs-issuer").unwrap();
    wait_for(DEADLINE, "the admission policy", || {
        let probe = ["create", "secret", "generic", "probe", "--namespace=default", "--dry-run=server"];
        let refused = output(control_plane.kubectl_as(&service).args(probe)).err();
        Ok(refused.filter(|error| error.contains("ValidatingAdmissionPolicy")))
    })
    .unwrap();
}

/// A folder for this process. Folders of processes that have ended are removed, because a static is never
/// dropped.
fn own_folder() -> PathBuf {
    const PREFIX: &str = "control-plane-";
    let parent = Path::new(env!("CARGO_TARGET_TMPDIR"));
    for entry in std::fs::read_dir(parent).unwrap() {
        let path = entry.unwrap().path();
        let pid = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_prefix(PREFIX));
        if pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            // Another process may be removing it too.
            let _ = std::fs::remove_dir_all(path);
        }
    }
    parent.join(format!("{PREFIX}{}", std::process::id()))
}
