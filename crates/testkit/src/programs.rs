//! Our own programs, built with the feature `simulation` into a target directory of their own.

use anyhow::{Context, Result, bail};
use aws_lc_rs::digest::{SHA256, digest};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The packages that a simulated stack consists of.
const PACKAGES: [&str; 5] = ["tcs-issuer", "tcs-enclave", "tcs-km", "tcs-sgx-sim", "kubectl-tcs"];

/// Simulated builds are kept out of the ordinary target directory, so that no ordinary build can use one.
const TARGET: &str = "target/simulation";

/// A call of cargo in the repository. If cargo runs this process, the same cargo is called.
#[must_use]
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(repository());
    command
}

/// The programs of a simulated stack.
#[derive(Clone, Debug)]
pub struct Programs {
    dir: PathBuf,
}

impl Programs {
    /// Builds them if they are not up to date. Cargo's own output goes to standard error.
    pub fn build() -> Result<Self> {
        let mut command = cargo();
        command.arg("build").arg("--quiet").args(["--target-dir", TARGET]);
        for package in PACKAGES {
            command.args(["--package", package]);
        }
        command.args(["--features", "tcs-enclave/simulation,tcs-km/simulation"]);
        let status = command.status().context("run cargo")?;
        if !status.success() {
            bail!("cargo could not build the programs ({status})");
        }
        Ok(Self { dir: repository().join(TARGET).join("debug") })
    }

    /// Copies (by hard link where possible) the programs into a directory, so that a later build does not
    /// replace the files of a running stack.
    pub fn pin_into(&self, dir: &Path) -> Result<Self> {
        std::fs::create_dir_all(dir)?;
        for name in ["tcs-issuer", "tcs-enclave", "km-attest", "km-wrap", "tcs-sgx-sim", "kubectl-tcs"] {
            let (from, to) = (self.path(name), dir.join(name));
            if std::fs::hard_link(&from, &to).is_err() {
                std::fs::copy(&from, &to).with_context(|| format!("copy {}", from.display()))?;
            }
        }
        Ok(Self::at(dir))
    }

    /// The programs in `dir`.
    #[must_use]
    pub fn at(dir: &Path) -> Self {
        Self { dir: dir.to_owned() }
    }

    /// The file of a program.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// SHA-256 of a program's file: what the simulated platform measures as MRENCLAVE.
    pub fn measurement(&self, name: &str) -> Result<[u8; 32]> {
        let path = self.path(name);
        let bytes = std::fs::read(&path).with_context(|| format!("read {}", path.display()))?;
        Ok(digest(&SHA256, &bytes).as_ref().try_into()?)
    }
}

/// The root of the repository.
#[must_use]
pub fn repository() -> PathBuf {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    crates.and_then(Path::parent).map(Path::to_owned).unwrap_or_default()
}
