//! Parts of `docs/` that are generated from the code. Tests compare them. `cargo xtask generate` runs the
//! same tests with `TCS_GENERATE` in the environment, and then they write them.

use crate::repository;
use anyhow::{Context as _, Result, ensure};
use std::sync::Mutex;

/// Tests run in threads, and each rewrites its own part of a page.
static PAGES: Mutex<()> = Mutex::new(());

/// Compares a part of a page with its text, or writes it. The part stands between the lines `<!-- begin NAME
/// -->` and `<!-- end NAME -->`.
pub fn section(page: &str, name: &str, text: &str) -> Result<()> {
    let _guard = PAGES.lock();
    let path = repository().join("docs").join(page);
    let found = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let (begin, end) = (format!("<!-- begin {name} -->\n"), format!("<!-- end {name} -->\n"));
    let missing = || format!("docs/{page} has no section {name}");
    let (before, rest) = found.split_once(&begin).with_context(missing)?;
    let (part, after) = rest.split_once(&end).with_context(missing)?;
    if std::env::var_os("TCS_GENERATE").is_some() {
        return Ok(std::fs::write(&path, format!("{before}{begin}\n{text}\n{end}{after}"))?);
    }
    ensure!(part.trim() == text.trim(), "docs/{page}, {name}: run cargo xtask generate; expected\n{text}");
    Ok(())
}
