//! What the tasks need from the machine besides Rust, Go and a C compiler.

use anyhow::{Context, Result, bail};
use std::path::Path;
use std::process::Command;

/// Debian packages, each with a file that shows that it is there.
const PACKAGES: [(&str, &str); 5] = [
    ("softhsm2", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so"),
    ("openssl", "/usr/bin/openssl"),
    ("curl", "/usr/bin/curl"),
    ("util-linux", "/usr/bin/setpriv"),
    // libFuzzer.
    ("g++", "/usr/bin/g++"),
];

/// Installs what is missing when root; else says the exact command.
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
    crate::progress(&command);
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
