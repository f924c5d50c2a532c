//! `up` starts a stack and leaves it running; `down` stops it. Both use one state directory.

use crate::progress::progress;
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tcs_testkit::node::NodeStandIn;
use tcs_testkit::process::{Identity, Lifetime, Program};
use tcs_testkit::stack::{Layout, node_settings};
use tcs_testkit::{ControlPlane, Stack, ensure_control_plane};

/// The file that marks a directory as made by `up`; no other directory is deleted.
const MARKER: &str = "made-by-cargo-xtask-up";
const GRACE: Duration = Duration::from_secs(10);

/// Stops an earlier stack, starts a new one and prints how to reach it.
pub fn up() -> Result<()> {
    crate::setup::ensure()?;
    let dir = state_folder()?;
    end(&dir)?;
    fs::create_dir_all(&dir).with_context(|| format!("create {}", dir.display()))?;
    fs::write(dir.join(MARKER), "")?;
    if let Err(error) = start(&dir) {
        end(&dir)?;
        return Err(error);
    }
    println!("The API answers. Nothing of TCS is applied yet: docs/integrate-key-server.md begins there.");
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

/// Runs the node stand-in as a process of its own.
pub fn node(dir: &Path) -> Result<()> {
    let layout = Layout::at(dir);
    let assets = ensure_control_plane(progress)?;
    let cluster = ControlPlane::attach(&layout.cluster(), &assets)?;
    NodeStandIn::start(Arc::new(cluster), node_settings(&layout)).serve_until_told()
}

fn start(dir: &Path) -> Result<()> {
    let stack = Stack::start(dir, Lifetime::Detached, progress)?;
    let log = stack.layout.node().join("stand-in.log");
    let program = Program::new("node", std::env::current_exe()?, log).arg("node").arg(dir);
    let node = program.lifetime(Lifetime::Detached).spawn()?.release();
    node.save(&node_record(dir))
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
