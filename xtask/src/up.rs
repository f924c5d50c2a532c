//! `up` starts a stack and leaves it running; `down` stops it. Both use one state directory.

use crate::progress::progress;
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tcs_testkit::node::NodeStandIn;
use tcs_testkit::process::{Identity, Lifetime, Program, wait_for};
use tcs_testkit::stack::{Layout, node_settings};
use tcs_testkit::{CertManager, ControlPlane, Stack, ensure_cert_manager, ensure_control_plane};

/// The file that marks a directory as made by `up`; no other directory is deleted.
const MARKER: &str = "made-by-cargo-xtask-up";
const GRACE: Duration = Duration::from_secs(10);

/// How long cert-manager may take to start.
const CERT_MANAGER_LIMIT: Duration = Duration::from_mins(2);

/// Stops an earlier stack, starts a new one, with cert-manager if wanted, and prints how to reach it.
pub fn up(with_cert_manager: bool) -> Result<()> {
    crate::setup::ensure()?;
    let dir = state_folder()?;
    end(&dir)?;
    fs::create_dir_all(&dir).with_context(|| format!("create {}", dir.display()))?;
    fs::write(dir.join(MARKER), "")?;
    if let Err(error) = start(&dir, with_cert_manager) {
        end(&dir)?;
        return Err(error);
    }
    let page = if with_cert_manager { "cert-manager.md" } else { "integrate-key-server.md" };
    println!("The API answers. Nothing of TCS is applied yet: docs/{page} begins there.");
    println!("The node stand-in writes its log to {}.", Layout::at(&dir).node().display());
    println!("`cargo xtask down` ends all of it. In bash:");
    println!("source {}", shell_word(&Layout::at(&dir).env_file()));
    Ok(())
}

/// Stops the stack that `up` started, from any shell.
pub fn down() -> Result<()> {
    let dir = state_folder()?;
    if end(&dir)? {
        println!("ended, and {} deleted", dir.display());
    } else {
        println!("nothing is up");
    }
    Ok(())
}

/// Runs the node stand-in, and cert-manager if wanted, as a process of its own.
pub fn node(dir: &Path, with_cert_manager: bool) -> Result<()> {
    let layout = Layout::at(dir);
    let assets = ensure_control_plane(progress)?;
    let cluster = Arc::new(ControlPlane::attach(&layout.cluster(), &assets)?);
    let node = NodeStandIn::start(Arc::clone(&cluster), node_settings(&layout));
    // It ends with this process.
    let _cert_manager = if with_cert_manager {
        let started = CertManager::start(&cluster, &ensure_cert_manager(progress)?)?;
        fs::write(cert_manager_record(dir), "")?;
        Some(started)
    } else {
        None
    };
    node.serve_until_told()
}

fn start(dir: &Path, with_cert_manager: bool) -> Result<()> {
    if with_cert_manager {
        ensure_cert_manager(progress)?;
    }
    let stack = Stack::start(dir, Lifetime::Detached, progress)?;
    let log = stack.layout.node().join("stand-in.log");
    let program = Program::new("node", std::env::current_exe()?, log).arg("node").arg(dir);
    let program = program.args(with_cert_manager.then_some("--cert-manager"));
    let mut node = program.lifetime(Lifetime::Detached).spawn()?;
    if with_cert_manager {
        progress("starting cert-manager");
        wait_for(CERT_MANAGER_LIMIT, "cert-manager to start", || {
            node.check_running()?;
            Ok(cert_manager_record(dir).exists().then_some(()))
        })?;
    }
    node.release().save(&node_record(dir))
}

/// The file that says that cert-manager runs.
fn cert_manager_record(dir: &Path) -> PathBuf {
    dir.join("cert-manager-runs")
}

/// Stops what a state directory records and deletes the directory. Returns whether there was one.
fn end(dir: &Path) -> Result<bool> {
    if !dir.exists() {
        return Ok(false);
    }
    if !dir.join(MARKER).exists() {
        bail!("{} was not made by `cargo xtask up`; look at it and remove it yourself", dir.display());
    }
    // The children of the node stand-in end with it.
    if node_record(dir).exists() {
        Identity::load(&node_record(dir))?.end(GRACE)?;
    }
    let cluster = Layout::at(dir).cluster();
    if cluster.exists() {
        ControlPlane::stop_recorded(&cluster)?;
    }
    fs::remove_dir_all(dir).with_context(|| format!("delete {}", dir.display()))?;
    Ok(true)
}

fn node_record(dir: &Path) -> PathBuf {
    dir.join("node.pid")
}

/// `$XDG_STATE_HOME/tcs/up`, by default `~/.local/state/tcs/up`: the same from any shell.
fn state_folder() -> Result<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = absolute("XDG_STATE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".local/state")));
    Ok(base.context("neither XDG_STATE_HOME nor HOME is set")?.join("tcs/up"))
}

fn shell_word(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || "/._-+".contains(c));
    if plain { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}
