//! `circles`: files of one crate that import each other, directly or through others.
//!
//! Files are nodes. An edge is a path in code that names an item of another file of the same crate. A
//! re-export is followed to the file that defines the item and is no edge itself; neither is `mod name;`.
//! Code for tests does not count. Methods are not seen, because that needs types; neither are paths in the
//! strings of attributes and in `pub(…) use`.

mod cfg_test;
mod components;
mod modules;
mod names;
mod paths;
#[cfg(test)]
mod tests;

use anyhow::{Context, Result, bail};
use components::components;
use modules::{CrateModules, FileId};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Why one file needs another: lines of the file, each with the path in it.
type Reasons = BTreeSet<(usize, String)>;

/// Files that form a circle, and the edges among them.
pub struct Circle {
    files: Vec<PathBuf>,
    edges: BTreeMap<(PathBuf, PathBuf), Reasons>,
}

/// Prints every circle of a checkout and fails if there is one.
pub fn run(root: &Path) -> Result<()> {
    let circles = circles(root)?;
    for circle in &circles {
        print!("{}", circle.text(root));
    }
    if !circles.is_empty() {
        bail!("{} circles of files", circles.len());
    }
    println!("no circle of files in any crate");
    Ok(())
}

/// The circles of all crates of a checkout.
pub fn circles(root: &Path) -> Result<Vec<Circle>> {
    let mut found = Vec::new();
    for source in source_folders(root)? {
        for crate_root in crate_roots(&source)? {
            found.extend(circles_of(&crate_root)?);
        }
    }
    Ok(found)
}

/// The `src` folders of the packages of a checkout.
fn source_folders(root: &Path) -> Result<Vec<PathBuf>> {
    let mut packages = vec![root.join("xtask")];
    for folder in ["crates", "tests"] {
        packages.extend(entries(&root.join(folder))?);
    }
    let mut sources: Vec<PathBuf> = packages.into_iter().map(|package| package.join("src")).collect();
    sources.retain(|source| source.is_dir());
    if sources.is_empty() {
        bail!("no package in {}", root.display());
    }
    Ok(sources)
}

/// The root files of crates: library, program, further programs.
fn crate_roots(source: &Path) -> Result<Vec<PathBuf>> {
    let mut roots = vec![source.join("lib.rs"), source.join("main.rs")];
    let programs = source.join("bin");
    if programs.is_dir() {
        roots.extend(entries(&programs)?);
    }
    roots.retain(|root| root.is_file());
    Ok(roots)
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))? {
        paths.push(entry?.path());
    }
    paths.sort();
    Ok(paths)
}

/// The circles of one crate, whose root file is given.
fn circles_of(crate_root: &Path) -> Result<Vec<Circle>> {
    let modules = CrateModules::load(crate_root)?;
    let mut edges: BTreeMap<(FileId, FileId), Reasons> = BTreeMap::new();
    for reference in &modules.references {
        for to in names::files_of(&modules, reference) {
            let from = modules.file_of(reference.module);
            if from != to {
                edges.entry((from, to)).or_default().insert((reference.line, reference.text()));
            }
        }
    }
    let path = |file: FileId| modules.files.get(file).cloned().unwrap_or_default();
    let circles = components(modules.files.len(), edges.keys().copied()).into_iter().map(|files| Circle {
        edges: edges
            .iter()
            .filter(|((from, to), _)| files.contains(from) && files.contains(to))
            .map(|((from, to), reasons)| ((path(*from), path(*to)), reasons.clone()))
            .collect(),
        files: files.iter().map(|file| path(*file)).collect(),
    });
    Ok(circles.collect())
}

impl Circle {
    /// The circle as text, its files named from `root`.
    pub fn text(&self, root: &Path) -> String {
        let name = |path: &Path| path.strip_prefix(root).unwrap_or(path).display().to_string();
        let mut lines = vec![format!("circle of {} files:", self.files.len())];
        lines.extend(self.files.iter().map(|file| format!("  {}", name(file))));
        for ((from, to), reasons) in &self.edges {
            lines.push(format!("    {} -> {}", name(from), name(to)));
            lines.extend(reasons.iter().map(|(line, path)| format!("      {line}: {path}")));
        }
        lines.join("\n") + "\n"
    }
}
