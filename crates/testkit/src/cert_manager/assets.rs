//! cert-manager's program and definitions, built from its published Go module.

use crate::go_build::{GoProgram, Workshop, cache_folder, required_version};
use crate::process::run;
use crate::programs::repository;
use anyhow::{Context, Result, bail};
use aws_lc_rs::digest::{Context as Digest, SHA256};
use std::fs;
use std::path::{Path, PathBuf};

/// The Go module whose packages are run.
const MODULE: &str = "github.com/cert-manager/cert-manager";
/// What decides about the program. Others in the folder do not.
const SOURCES: [&str; 5] = ["go.mod", "go.sum", "main.go", "controllers.go", "webhook.go"];

/// What is needed to run cert-manager.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CertManagerAssets {
    /// The program of `hack/cert-manager`, with its commands `controllers` and `webhook`.
    pub program: PathBuf,
    /// The folder with the definitions of its kinds (`deploy/crds` of cert-manager).
    pub definitions: PathBuf,
}

/// Builds cert-manager if it is missing.
///
/// It is built from `hack/cert-manager` into `$XDG_CACHE_HOME/tcs/cert-manager` (`~/.cache/…`), once for each
/// version of it and of our program, which takes about a minute and a half on two cores. `progress` receives
/// lines for the user.
pub fn ensure_cert_manager(mut progress: impl FnMut(&str)) -> Result<CertManagerAssets> {
    let module = repository().join("hack/cert-manager");
    let version = version(&module)?;
    let key = format!("{version}-{}", digest(&module)?);
    let folder = cache_folder()?.join("cert-manager").join(key);
    let programs = [GoProgram {
        name: "cert-manager",
        package: ".",
        version: &version,
        variables: vec![(format!("{MODULE}/pkg/util.AppVersion"), format!("v{version}"))],
        time: "about a minute and a half",
    }];
    let workshop = Workshop { module: &module, folder: &folder, what: "cert-manager", alternative: "" };
    let definitions = folder.join("crds");
    workshop.complete(&programs, &mut progress, || {
        copy_definitions(&workshop, &folder.join("crds.unfinished"))
    })?;
    Ok(CertManagerAssets { program: folder.join("cert-manager"), definitions })
}

/// The version of cert-manager, without the leading `v`.
fn version(module: &Path) -> Result<String> {
    let path = module.join("go.mod");
    let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    required_version(&text, MODULE).with_context(|| format!("{} requires no {MODULE}", path.display()))
}

/// The beginning of SHA-256 of the sources of our program, in hexadecimal digits.
fn digest(module: &Path) -> Result<String> {
    let mut digest = Digest::new(&SHA256);
    for name in SOURCES {
        let path = module.join(name);
        let bytes = fs::read(&path).with_context(|| format!("read {}", path.display()))?;
        digest.update(&u64::try_from(bytes.len())?.to_be_bytes());
        digest.update(&bytes);
    }
    let digest = hex::encode(digest.finish());
    Ok(digest.get(..16).unwrap_or(&digest).to_owned())
}

/// Copies the definitions out of the module, which Go downloads if it has not yet.
fn copy_definitions(workshop: &Workshop<'_>, unfinished: &Path) -> Result<()> {
    run(workshop.go().args(["mod", "download", MODULE]))?;
    let module = run(workshop.go().args(["list", "-m", "-f", "{{.Dir}}", MODULE]))?;
    let from = Path::new(module.trim()).join("deploy/crds");
    if unfinished.exists() {
        fs::remove_dir_all(unfinished)?;
    }
    fs::create_dir_all(unfinished)?;
    let mut copied = 0;
    for entry in fs::read_dir(&from).with_context(|| format!("read {}", from.display()))? {
        let path = entry?.path();
        if let (Some("yaml"), Some(name)) = (path.extension().and_then(|end| end.to_str()), path.file_name())
        {
            // Not `copy`: files of Go's cache are read-only.
            fs::write(unfinished.join(name), fs::read(&path)?)?;
            copied += 1;
        }
    }
    if copied == 0 {
        bail!("{} holds no definitions", from.display());
    }
    let definitions = unfinished.with_extension("");
    if definitions.exists() {
        fs::remove_dir_all(&definitions)?;
    }
    fs::rename(unfinished, &definitions).with_context(|| format!("make {}", definitions.display()))
}
