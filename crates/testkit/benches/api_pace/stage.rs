//! The control plane, and what is on it before anything is measured.

use super::contestant::CaKey;
use anyhow::{Context, Result};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tcs_testkit::process::{Program, Supervised, run};
use tcs_testkit::{Assets, ControlPlane, Programs, ensure_control_plane, repository};

/// How long a step may take.
pub const LIMIT: Duration = Duration::from_mins(10);
/// The signer of kube-controller-manager to which the other usages of a request are closest.
pub const CLUSTER_SIGNER: &str = "kubernetes.io/kube-apiserver-client";
/// The namespace of the issuers.
pub const NAMESPACE: &str = "bench";

/// A control plane with issuers, and no signer that runs.
pub struct Stage {
    /// The control plane.
    pub cluster: ControlPlane,
    /// Its programs.
    pub assets: Assets,
    programs: Programs,
    service_account: PathBuf,
    dir: PathBuf,
}

/// The signer name of an issuer.
pub fn signer(issuer: &str) -> String {
    format!("tcsissuer.tcs.intel.com/{NAMESPACE}.{issuer}")
}

impl Stage {
    /// Starts the control plane in `dir`.
    pub fn start(programs: &Path, dir: &Path) -> Result<Self> {
        let assets = ensure_control_plane(|line| eprintln!("{line}"))?;
        let programs = Programs::at(programs);
        let mut cluster = ControlPlane::start(&dir.join("cluster"), &assets)?;
        let kubectl = |arguments: &[&str]| run(cluster.kubectl().current_dir(repository()).args(arguments));
        kubectl(&["apply", "-f", "deployment/crds/"])?;
        let established = "--for=condition=Established";
        kubectl(&["wait", established, "--timeout=60s", "customresourcedefinitions", "--all"])?;
        kubectl(&["apply", "-f", "deployment/tcs_issuer.yaml"])?;
        kubectl(&["create", "namespace", NAMESPACE])?;
        let service_account = cluster.service_account_kubeconfig("tcs-issuer", "tcs-issuer")?;
        // It would sign as well.
        for program in cluster.programs() {
            if program.name() == "kube-controller-manager" {
                program.end(LIMIT)?;
            }
        }
        let platform = dir.join("platform");
        run(Command::new(programs.path("tcs-sgx-sim")).arg("init").arg(platform))?;
        Ok(Self { cluster, assets, programs, service_account, dir: dir.to_owned() })
    }

    /// A client of the administrator.
    pub async fn client(&self) -> Result<Client> {
        let kubeconfig = Kubeconfig::read_from(self.cluster.admin_kubeconfig())?;
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        Ok(Client::try_from(config)?)
    }

    /// Makes an issuer with a CA of its own for each name, and waits until they are ready.
    pub fn make_issuers(&self, names: &[String], key: CaKey) -> Result<()> {
        let issuers: Vec<_> = names.iter().map(|name| issuer(name, key)).collect();
        let list = json!({"apiVersion": "v1", "kind": "List", "items": issuers});
        let file = self.dir.join("issuers.json");
        fs::write(&file, list.to_string())?;
        run(self.cluster.kubectl().args(["apply", "-f"]).arg(&file))?;
        let mut wait = self.cluster.kubectl();
        wait.args([
            "wait",
            "--for=condition=Ready",
            "--timeout=600s",
            "-n",
            NAMESPACE,
            "tcsissuers",
            "--all",
        ]);
        run(&mut wait)?;
        Ok(())
    }

    /// Starts the enclave.
    pub fn start_enclave(&self) -> Result<Supervised> {
        let platform = self.dir.join("platform");
        Program::new("tcs-enclave", self.programs.path("tcs-enclave"), self.log("tcs-enclave"))
            .arg(format!("--listen=unix:{}", self.socket()))
            .arg("--platform=simulation")
            .arg(format!("--platform-dir={}", platform.display()))
            .spawn()
    }

    /// Starts the controller with the settings of its deployment, as the service's account.
    pub fn start_controller(&self) -> Result<Supervised> {
        Program::new("tcs-issuer", self.programs.path("tcs-issuer"), self.log("tcs-issuer"))
            .arg(format!("--enclave=unix:{}", self.socket()))
            .args(["--health-bind-address=127.0.0.1:0", "--metrics-bind-address=127.0.0.1:0"])
            .env("MALLOC_ARENA_MAX", "1")
            .env("KUBECONFIG", &self.service_account)
            .spawn()
    }

    /// The file with the certificate that the bare writer writes.
    pub fn sample_certificate(&self) -> PathBuf {
        self.dir.join("sample.pem")
    }

    /// A kubeconfig of the service's account.
    pub fn service_account(&self) -> &Path {
        &self.service_account
    }

    /// The log of a program.
    pub fn log(&self, program: &str) -> PathBuf {
        self.dir.join(format!("{program}.log"))
    }

    fn socket(&self) -> String {
        self.dir.join("enclave.sock").display().to_string()
    }
}

fn issuer(name: &str, key: CaKey) -> serde_json::Value {
    json!({
        "apiVersion": "tcs.intel.com/v1alpha1", "kind": "TCSIssuer",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "secretName": format!("{name}-ca"), "selfSign": true, "ca": {"keyAlgorithm": key.algorithm()},
        },
    })
}

/// Ends processes in the order in which a node ends them: the last one that was started first.
pub fn end(mut processes: Vec<Supervised>) -> Result<()> {
    while let Some(mut process) = processes.pop() {
        process.end(LIMIT).with_context(|| format!("end {}", process.name()))?;
    }
    Ok(())
}
