//! `demo`: shows and runs each command of `docs/integrate-key-server.md`.

use crate::progress::progress;
use anyhow::{Context, Result};
use std::time::Instant;
use tcs_testkit::document::{run as run_blocks, shell_blocks};
use tcs_testkit::process::Lifetime;
use tcs_testkit::{Stack, repository};

/// Builds and starts everything, runs the commands of the page and stops everything.
pub fn run() -> Result<()> {
    let begun = Instant::now();
    crate::setup::ensure()?;
    let dir = tempfile::tempdir().context("make a folder")?;
    let stack = Stack::start(dir.path(), Lifetime::WithParent, progress)?;
    let node = stack.node();
    let built = begun.elapsed();
    let page = std::fs::read_to_string(repository().join("docs/integrate-key-server.md"))?;
    let walked = run_blocks(&shell_blocks(&page), stack.shell(), &dir.path().join("demo"));
    if walked.is_err() {
        for name in ["node.log", "tcs-issuer.log", "tcs-enclave.log"] {
            let log = std::fs::read_to_string(stack.layout.node().join(name)).unwrap_or_default();
            eprintln!("---- {name}\n{log}");
        }
    }
    drop(node);
    walked?;
    println!(
        "\nDone in {:.1} s ({:.1} s until the API answered). The platform was SIMULATED: it protects nothing.",
        begun.elapsed().as_secs_f64(),
        built.as_secs_f64()
    );
    Ok(())
}
