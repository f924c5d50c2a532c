//! Runs the shell blocks of a Markdown page, so that the page always matches what works.

use anyhow::{Result, bail};
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// The shell blocks of a page, in order, as a reader would type them.
///
/// Blocks fenced as `sh` count. If lines of a block begin with `$ `, those are the commands and the others
/// are their output, as pages commonly show it.
#[must_use]
pub fn shell_blocks(page: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut open: Option<Vec<&str>> = None;
    for line in page.lines() {
        match &mut open {
            // The original walk-through closes one block with four backticks.
            Some(lines) if line.starts_with("```") => {
                blocks.push(commands(lines));
                open = None;
            }
            Some(lines) => lines.push(line),
            None if line.trim_end() == "```sh" => open = Some(Vec::new()),
            None => {}
        }
    }
    blocks
}

fn commands(lines: &[&str]) -> String {
    let typed: Vec<&str> = lines.iter().filter_map(|line| line.strip_prefix("$ ")).collect();
    if typed.is_empty() { lines.join("\n") } else { typed.join("\n") }
}

/// Runs blocks in one bash, and shows each first as a person would type it. `shell` is bash with its
/// environment. A block that fails ends the run.
pub fn run(blocks: &[String], mut shell: Command, scratch: &Path) -> Result<()> {
    std::fs::create_dir_all(scratch)?;
    let mut script = String::from("set -euo pipefail\n");
    for (index, block) in blocks.iter().enumerate() {
        let file = scratch.join(format!("block-{index:02}.sh"));
        std::fs::write(&file, format!("{block}\n"))?;
        let shown = scratch.join(format!("block-{index:02}.txt"));
        let typed: Vec<String> = block
            .lines()
            .enumerate()
            .map(|(n, line)| format!("{} {line}", if n == 0 { "$" } else { ">" }))
            .collect();
        std::fs::write(&shown, format!("\n{}\n", typed.join("\n")))?;
        writeln!(script, "cat '{}'\nsource '{}'", shown.display(), file.display())?;
    }
    let status = shell.arg("-c").arg(script).stdin(Stdio::null()).status()?;
    if !status.success() {
        bail!("a command of the walk-through failed ({status})");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_what_a_reader_types() {
        let page = "# T\n```sh\na\nb\n```\ntext\n```console\nnot this\n```\n```sh\n$ c\nprinted\n````\n";
        assert_eq!(shell_blocks(page), ["a\nb", "c"]);
    }
}
