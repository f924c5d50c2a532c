//! The real cert-manager, beside a control plane: its controllers and its webhook, with the rights that its
//! chart gives them.

mod assets;
mod installation;

use crate::control_plane::ControlPlane;
use crate::pki::KeyedCertificate;
use crate::ports::free_ports;
use crate::process::{Identity, Program, Supervised, run, wait_for};
use anyhow::{Context, Result};
pub use assets::{CertManagerAssets, ensure_cert_manager};
pub use installation::{install_definitions, remove_definitions};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The namespace of its accounts, and of the Secrets of its `ClusterIssuers`.
pub const NAMESPACE: &str = "cert-manager";

/// How long the webhook may take until it is asked.
const START_LIMIT: Duration = Duration::from_mins(1);

/// How many starts of the webhook fail before a taken port is taken for another error.
const ATTEMPTS: u32 = 5;

/// cert-manager's controllers and webhook. Dropping the value stops them.
#[derive(Debug)]
pub struct CertManager {
    controllers: Mutex<Supervised>,
    program: Program,
    webhook: Supervised,
}

impl CertManager {
    /// Installs cert-manager in a cluster, whose kubeconfigs it uses, and waits until its webhook is asked.
    ///
    /// The processes stop with the returned value, and with this process, however that ends.
    pub fn start(cluster: &ControlPlane, assets: &CertManagerAssets) -> Result<Self> {
        let dir = cluster.dir().join(NAMESPACE);
        install(cluster, assets)?;
        let webhook = start_webhook(cluster, assets, &dir)?;
        let program = controllers(cluster, assets)?;
        let controllers = Mutex::new(program.spawn()?);
        Ok(Self { controllers, program, webhook })
    }

    /// Kills the controllers (SIGKILL) and waits until they have ended. The webhook goes on.
    pub fn kill_controllers(&self) -> Result<()> {
        self.lock().kill().map(drop)
    }

    /// Starts the controllers again.
    pub fn start_controllers(&self) -> Result<()> {
        let mut controllers = self.lock();
        *controllers = self.program.spawn()?;
        Ok(())
    }

    /// What the controllers wrote since they were started last.
    pub fn log(&self) -> Result<String> {
        self.lock().log_text()
    }

    /// What the webhook wrote.
    pub fn webhook_log(&self) -> Result<String> {
        self.webhook.log_text()
    }

    /// The processes that run now: controllers and webhook.
    #[must_use]
    pub fn identities(&self) -> [Identity; 2] {
        [self.lock().identity().clone(), self.webhook.identity().clone()]
    }

    fn lock(&self) -> MutexGuard<'_, Supervised> {
        self.controllers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Installs cert-manager's definitions and rights, without its webhook.
pub fn install(cluster: &ControlPlane, assets: &CertManagerAssets) -> Result<()> {
    let dir = cluster.dir().join(NAMESPACE);
    fs::create_dir_all(&dir).with_context(|| format!("create {}", dir.display()))?;
    install_definitions(cluster, assets)?;
    installation::install_rights(cluster, &dir)
}

/// cert-manager's controllers, with its account and its rights, which must be installed.
pub fn controllers(cluster: &ControlPlane, assets: &CertManagerAssets) -> Result<Program> {
    let kubeconfig = cluster.service_account_kubeconfig(NAMESPACE, "cert-manager")?;
    let log = cluster.logs().join("cert-manager.log");
    Ok(Program::new("cert-manager", &assets.program, log)
        .args(["controllers", "--kubeconfig"])
        .arg(kubeconfig))
}

/// Starts the webhook and waits until the API server asks it.
fn start_webhook(cluster: &ControlPlane, assets: &CertManagerAssets, dir: &Path) -> Result<Supervised> {
    let kubeconfig = cluster.service_account_kubeconfig(NAMESPACE, "cert-manager-webhook")?;
    let (serving, ca) = crate::pki::serving(dir, "cert-manager-webhook")?;
    let mut attempt = 1;
    loop {
        let [port] = free_ports()?;
        let mut webhook = spawn_webhook(cluster, assets, &kubeconfig, &serving, port)?;
        installation::install_webhook(cluster, dir, port, &ca)?;
        match await_webhook(cluster, dir, &mut webhook) {
            Ok(()) => return Ok(webhook),
            // A port is free when it is chosen, and may be taken before it is used.
            Err(_) if attempt < ATTEMPTS && webhook.is_port_taken() => attempt += 1,
            Err(error) => return Err(error.context("start cert-manager's webhook")),
        }
    }
}

fn spawn_webhook(
    cluster: &ControlPlane,
    assets: &CertManagerAssets,
    kubeconfig: &PathBuf,
    serving: &KeyedCertificate,
    port: u16,
) -> Result<Supervised> {
    Program::new("cert-manager-webhook", &assets.program, cluster.logs().join("cert-manager-webhook.log"))
        .args(["webhook", "--kubeconfig"])
        .arg(kubeconfig)
        .arg("--tls-cert-file")
        .arg(&serving.certificate)
        .arg("--tls-private-key-file")
        .arg(&serving.key)
        .args(["--port", &port.to_string()])
        .spawn()
}

/// Waits until an object is refused that only the webhook refuses.
fn await_webhook(cluster: &ControlPlane, dir: &Path, webhook: &mut Supervised) -> Result<()> {
    let probe = dir.join("probe.json");
    // The webhook wants a duration of at least an hour, of which the definition says nothing.
    let object = serde_json::json!({
        "apiVersion": "cert-manager.io/v1",
        "kind": "Certificate",
        "metadata": {"name": "probe", "namespace": NAMESPACE},
        "spec": {
            "secretName": "probe", "dnsNames": ["probe"], "duration": "1s", "issuerRef": {"name": "probe"},
        },
    });
    fs::write(&probe, object.to_string()).with_context(|| format!("write {}", probe.display()))?;
    let mut create = cluster.kubectl();
    create.args(["create", "--dry-run=server", "--filename"]).arg(&probe);
    wait_for(START_LIMIT, "the API server to ask cert-manager's webhook", || {
        webhook.check_running()?;
        let refusal = run(&mut create).err().map(|error| format!("{error:#}")).unwrap_or_default();
        Ok(refusal.contains("denied the request").then_some(()))
    })
}
