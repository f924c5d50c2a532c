//! Cargo, and tools that run under it.

use anyhow::{Context, Result, bail};
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;
use tcs_testkit::{cache_folder, repository};

/// Cargo in the repository, the one that runs this task.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")));
    command.current_dir(repository());
    command
}

/// Runs it and fails with what failed.
pub fn run(command: &mut Command, what: &str) -> Result<()> {
    let status = command.status().with_context(|| format!("run {what}"))?;
    if !status.success() {
        bail!("{what} failed ({status})");
    }
    Ok(())
}

/// A tool of crates.io in exactly this version, built once into the user's cache.
pub fn tool(name: &str, version: &str) -> Result<PathBuf> {
    let folder = cache_folder()?.join("tools").join(format!("{name}-{version}"));
    let program = folder.join("bin").join(name);
    if !program.is_file() {
        crate::progress(&format!("building {name} {version} into {}", folder.display()));
        let mut install = cargo();
        install.args(["install", "--locked", "--version", version, name, "--root"]).arg(&folder);
        // Its own target folder, whatever the user's settings say, deleted afterwards by cargo.
        run(install.env_remove("CARGO_TARGET_DIR"), &format!("cargo install {name}"))?;
    }
    Ok(program)
}
