//! The files of the repository that the checks of its own texts read.

use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A file of the repository.
pub struct Source {
    /// Its path from the root of the checkout.
    pub path: PathBuf,
    pub text: String,
}

/// The files whose names have one of these extensions: those that git tracks, and new ones that it does not
/// ignore.
pub fn sources(root: &Path, endings: &[&str]) -> Result<Vec<Source>> {
    let mut git = Command::new("git");
    git.current_dir(root).args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    let output = git.output().context("run git ls-files")?;
    if !output.status.success() {
        bail!("git ls-files failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    let names = String::from_utf8(output.stdout).context("a file name is not UTF-8")?;
    let mut sources = Vec::new();
    for path in names.split_terminator('\0').map(PathBuf::from) {
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        // A file that was deleted and not committed yet is still listed.
        if endings.contains(&ending) && root.join(&path).is_file() {
            let text = std::fs::read_to_string(root.join(&path))
                .with_context(|| format!("read {}", path.display()))?;
            sources.push(Source { path, text });
        }
    }
    sources.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(sources)
}
