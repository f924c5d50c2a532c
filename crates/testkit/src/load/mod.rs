//! Measures how much memory the controller needs under a load that strangers can make: objects as large as
//! the API server takes, at its start and while they change.

mod kind;
mod objects;

pub use kind::Load;

use crate::control_plane::ControlPlane;
use crate::http;
use crate::process::{Program, Supervised, run, wait_for};
use crate::programs::{Programs, repository};
use crate::{Assets, ensure_control_plane};
use anyhow::{Context, Result, bail};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use objects::Objects;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// How long a program may take to become ready, or to end.
const LIMIT: Duration = Duration::from_mins(10);
/// How long the controller may take until it has seen everything. An API server of two cores needs more than
/// ten minutes to write the status of 2,000 issuers of half a MiB.
const SEEN_LIMIT: Duration = Duration::from_mins(30);

/// The controller's memory limit, in bytes, as that of its container.
const MEMORY: u64 = 256 << 20;
/// So few objects that their memory does not count, and enough to keep everything in the controller busy.
const FEW: usize = 32;

/// Largest resident set of the controller since its start, in KiB.
#[derive(Clone, Copy, Debug)]
pub struct Peak {
    /// After it has seen few objects, in a run of its own: what does not depend on their number.
    pub base: u64,
    /// After it has seen all objects.
    pub start: u64,
    /// After a tenth of them changed.
    pub steady: u64,
}

/// Makes objects on a new control plane in `dir`, first few, then `count`, and each time starts the
/// controller and measures it. It runs with the settings of its deployment and a memory limit.
pub fn measure(
    load: Load,
    count: usize,
    controller: &Path,
    dir: &Path,
    mut progress: impl FnMut(&str),
) -> Result<Peak> {
    fs::create_dir_all(dir)?;
    let assets = ensure_control_plane(&mut progress)?;
    let programs = Programs::build()?;
    let cluster = control_plane(&assets, &dir.join("cluster"))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let client = runtime.block_on(client(&cluster))?;
    let objects = Objects::new(load, &client, dir)?;
    runtime.block_on(objects.create(FEW.min(count)))?;

    let _enclave = enclave(&programs, dir)?;
    let settle = |running: &mut Supervised, round: usize| -> Result<u64> {
        runtime.block_on(objects.mark(round))?;
        wait_for(SEEN_LIMIT, "the controller to see all objects", || {
            running.check_running()?;
            Ok(runtime.block_on(objects.is_seen(round))?.then_some(()))
        })?;
        peak(running.pid())
    };
    let mut first = start_controller(&cluster, controller, dir)?;
    let base = settle(&mut first, 0)?;
    first.end(LIMIT)?;
    progress(&format!("{load:?}: {base} KiB with few objects; making {count}"));
    runtime.block_on(objects.create(count))?;
    let mut second = start_controller(&cluster, controller, dir)?;
    let start = settle(&mut second, 1)?;
    progress(&format!("{load:?}: {start} KiB after the start; changing a tenth of the objects"));
    runtime.block_on(objects.change())?;
    let steady = settle(&mut second, 2)?;
    progress(&format!("{load:?}: {steady} KiB after the changes"));
    Ok(Peak { base, start, steady })
}

/// A control plane with the CRDs, the manifest and the namespace of the issuers.
fn control_plane(assets: &Assets, dir: &Path) -> Result<ControlPlane> {
    let cluster = ControlPlane::start(dir, assets)?;
    let kubectl = |arguments: &[&str]| run(cluster.kubectl().current_dir(repository()).args(arguments));
    kubectl(&["apply", "-f", "deployment/crds/"])?;
    kubectl(&["wait", "--for=condition=Established", "--timeout=60s", "customresourcedefinitions", "--all"])?;
    kubectl(&["apply", "-f", "deployment/tcs_issuer.yaml"])?;
    kubectl(&["create", "namespace", objects::NAMESPACE])?;
    Ok(cluster)
}

async fn client(cluster: &ControlPlane) -> Result<Client> {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let kubeconfig = Kubeconfig::read_from(cluster.admin_kubeconfig())?;
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    Ok(Client::try_from(config)?)
}

/// The enclave on a simulated platform.
fn enclave(programs: &Programs, dir: &Path) -> Result<Supervised> {
    let platform = dir.join("platform");
    run(Command::new(programs.path("tcs-sgx-sim")).arg("init").arg(&platform))?;
    let program = Program::new("tcs-enclave", programs.path("tcs-enclave"), dir.join("tcs-enclave.log"));
    program
        .arg(format!("--listen=unix:{}", socket(dir)))
        .arg("--platform=simulation")
        .arg(format!("--platform-dir={}", platform.display()))
        .spawn()
}

fn socket(dir: &Path) -> String {
    dir.join("enclave.sock").display().to_string()
}

/// Starts the controller as the service's account and waits until it is ready.
fn start_controller(cluster: &ControlPlane, program: &Path, dir: &Path) -> Result<Supervised> {
    let kubeconfig = cluster.service_account_kubeconfig("tcs-issuer", "tcs-issuer")?;
    // prlimit(1) becomes the program that it starts.
    let limited = Program::new("tcs-issuer", "prlimit", dir.join("tcs-issuer.log"))
        .arg(format!("--data={MEMORY}"))
        .arg(program)
        .env("MALLOC_ARENA_MAX", "1");
    let mut controller = limited
        .arg(format!("--enclave=unix:{}", socket(dir)))
        .args([
            "--health-bind-address=127.0.0.1:0",
            "--metrics-bind-address=127.0.0.1:0",
            "--log-format=json",
        ])
        .env("KUBECONFIG", kubeconfig)
        .spawn()?;
    wait_for(LIMIT, "the controller to be ready", || {
        controller.check_running()?;
        let log = controller.log_text()?;
        Ok(health_address(&log).filter(|address| http::status(address, "/readyz") == Some(200)).map(drop))
    })?;
    Ok(controller)
}

/// The address of the probes, which the controller logs.
fn health_address(log: &str) -> Option<String> {
    let lines = log.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    lines.into_iter().find_map(|line| line.get("health")?.as_str().map(str::to_owned))
}

/// The largest resident set of a process, in KiB (`proc_pid_status(5)`, `VmHWM`).
fn peak(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let Some(line) = line else { bail!("/proc/{pid}/status has no VmHWM") };
    line.trim().trim_end_matches(" kB").parse().context("VmHWM")
}
