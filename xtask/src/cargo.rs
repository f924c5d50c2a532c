//! Calls cargo, and installs tools with it.

use crate::progress::progress;
use anyhow::{Context, Result, bail};
use std::path::PathBuf;
use std::process::Command;
use tcs_testkit::cache_folder;
pub use tcs_testkit::cargo;

/// Runs a command; the error names `what` failed.
pub fn run(command: &mut Command, what: &str) -> Result<()> {
    let status = command.status().with_context(|| format!("run {what}"))?;
    if !status.success() {
        bail!("{what} failed ({status})");
    }
    Ok(())
}

/// The path of a tool from crates.io in exactly this version, which is built once into the user's cache.
pub fn tool(name: &str, version: &str) -> Result<PathBuf> {
    let folder = cache_folder()?.join("tools").join(format!("{name}-{version}"));
    let program = folder.join("bin").join(name);
    if !program.is_file() {
        progress(&format!("building {name} {version} into {}", folder.display()));
        let mut install = cargo();
        install.args(["install", "--locked", "--version", version, name, "--root"]).arg(&folder);
        // Without the user's target directory cargo uses a temporary one, which it deletes.
        run(install.env_remove("CARGO_TARGET_DIR"), &format!("cargo install {name}"))?;
    }
    Ok(program)
}
