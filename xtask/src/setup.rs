//! Debian packages that the tasks need besides Rust, Go and a C compiler.

use crate::progress::progress;
use anyhow::{Context, Result, bail};
use std::path::Path;
use std::process::Command;

/// The packages, each with a file that shows that it is installed.
const PACKAGES: [(&str, &str); 5] = [
    ("softhsm2", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so"),
    ("openssl", "/usr/bin/openssl"),
    ("curl", "/usr/bin/curl"),
    ("util-linux", "/usr/bin/setpriv"),
    // libFuzzer.
    ("g++", "/usr/bin/g++"),
];

/// Installs the missing packages if run as root; otherwise fails with the command that installs them.
pub fn ensure() -> Result<()> {
    let missing: Vec<&str> =
        PACKAGES.iter().filter(|(_, file)| !Path::new(file).exists()).map(|(package, _)| *package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let command =
        format!("apt-get update && apt-get install -y --no-install-recommends {}", missing.join(" "));
    if !rustix::process::geteuid().is_root() {
        bail!("these Debian packages are missing: {}. Run:\n  sudo sh -c '{command}'", missing.join(", "));
    }
    progress(&command);
    let status = Command::new("sh")
        .args(["-c", &format!("exec >&2; {command}")])
        .env("DEBIAN_FRONTEND", "noninteractive")
        .status()
        .context("run apt-get")?;
    if !status.success() {
        bail!("'{command}' failed ({status})");
    }
    Ok(())
}
