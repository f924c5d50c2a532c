//! Who is measured.

use super::stage::{CLUSTER_SIGNER, Stage};
use anyhow::{Context, Result};
use std::fmt;
use std::path::PathBuf;
use tcs_testkit::process::{Program, Supervised};

/// The key of a CA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CaKey {
    /// ECDSA with P-256.
    P256,
    /// RSA with 3072 bits.
    Rsa3072,
}

impl CaKey {
    /// The issuer with this key.
    pub fn issuer(self) -> &'static str {
        match self {
            Self::P256 => "p256",
            Self::Rsa3072 => "rsa3072",
        }
    }

    /// As in `spec.ca.keyAlgorithm` of an issuer.
    pub fn algorithm(self) -> &'static str {
        match self {
            Self::P256 => "ECDSA-P256",
            Self::Rsa3072 => "RSA-3072",
        }
    }
}

/// A program that answers requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contestant {
    /// Writes the same certificate into every request.
    BareWriter {
        /// Writes at the same time.
        workers: usize,
    },
    /// Controller and enclave, with a CA that has such a key.
    Tcs(CaKey),
    /// kube-controller-manager, without limits of its client.
    ControllerManager,
}

impl fmt::Display for Contestant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BareWriter { workers } => write!(f, "bare writer, {workers} workers"),
            Self::Tcs(key) => write!(f, "TCS, {} CA", key.algorithm()),
            Self::ControllerManager => f.write_str("kube-controller-manager"),
        }
    }
}

impl Contestant {
    /// The signer that its requests name.
    pub fn signer(self) -> String {
        match self {
            Self::BareWriter { .. } => super::stage::signer(CaKey::P256.issuer()),
            Self::Tcs(key) => super::stage::signer(key.issuer()),
            Self::ControllerManager => CLUSTER_SIGNER.to_owned(),
        }
    }

    /// Starts its processes, which begin at once.
    pub fn start(self, stage: &Stage) -> Result<Vec<Supervised>> {
        match self {
            Self::BareWriter { workers } => Ok(vec![bare_writer(stage, &self.signer(), workers)?]),
            Self::Tcs(_) => Ok(vec![stage.start_enclave()?, stage.start_controller()?]),
            Self::ControllerManager => Ok(vec![controller_manager(stage)?]),
        }
    }
}

fn bare_writer(stage: &Stage, signer: &str, workers: usize) -> Result<Supervised> {
    Program::new("bare-writer", std::env::current_exe()?, stage.log("bare-writer"))
        .args(["bare-writer", "--signer", signer, "--workers", &workers.to_string(), "--certificate"])
        .arg(stage.sample_certificate())
        .env("KUBECONFIG", stage.service_account())
        .spawn()
}

/// Only its signing controller, as the administrator, with limits that it does not reach.
fn controller_manager(stage: &Stage) -> Result<Supervised> {
    let executable: &PathBuf =
        stage.assets.kube_controller_manager.as_ref().context("there is no kube-controller-manager")?;
    let pki = stage.cluster.pki();
    Program::new("kube-controller-manager", executable, stage.log("kube-controller-manager"))
        .arg(format!("--kubeconfig={}", stage.cluster.admin_kubeconfig().display()))
        .arg(format!("--cluster-signing-cert-file={}", pki.ca.certificate.display()))
        .arg(format!("--cluster-signing-key-file={}", pki.ca.key.display()))
        .args([
            "--secure-port=0",
            "--leader-elect=false",
            "--controllers=certificatesigningrequest-signing-controller",
            "--kube-api-qps=5000",
            "--kube-api-burst=10000",
        ])
        .spawn()
}
