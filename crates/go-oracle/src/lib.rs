//! Go's standard library as a test oracle (`hack/go-oracle`) on requests, certificates, PEM texts and
//! durations.
#![forbid(unsafe_code)]

use anyhow::{Context, Result, bail};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::OnceLock;

/// How often a build is tried.
const BUILDS: u32 = 3;

/// Builds the program if it is not up to date.
pub fn program() -> Result<PathBuf> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let build = || -> Result<PathBuf> {
        let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let out = repository.join("target/go-oracle/go-oracle");
        let mut go = Command::new("go");
        go.args(["build", "-o"]).arg(&out).arg(".").current_dir(repository.join("hack/go-oracle"));
        // Modules that are not in Go's cache are downloaded, which may fail for a moment.
        let mut said = String::new();
        for _ in 0..BUILDS {
            let built = go.output().context("Go 1.26 is needed by the tests that compare with Go")?;
            if built.status.success() {
                return Ok(out);
            }
            said = String::from_utf8_lossy(&built.stderr).into_owned();
        }
        bail!("go build failed {BUILDS} times: {said}")
    };
    BUILT.get_or_init(|| build().map_err(|error| format!("{error:#}"))).clone().map_err(anyhow::Error::msg)
}

/// A running oracle. It answers one question after the other, and stops when this value is dropped.
#[derive(Debug)]
pub struct GoOracle {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl GoOracle {
    /// Starts it.
    pub fn start() -> Result<Self> {
        let mut child = Command::new(program()?).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let input = child.stdin.take().context("no standard input")?;
        let output = BufReader::new(child.stdout.take().context("no standard output")?);
        Ok(Self { child, input, output })
    }

    /// Go's blocks of a PEM text, in their order: label and SHA-256 (hex) of the contents. For a `PUBLIC KEY`
    /// it is the SHA-256 of what Go writes for the key that it found in the block, or `unreadable` if it
    /// found none.
    pub fn pem(&mut self, text: &[u8]) -> Result<Vec<(String, String)>> {
        let line = self.ask(b'P', text)?;
        let block =
            |entry: &str| entry.rsplit_once(':').map(|(label, hash)| (label.to_owned(), hash.to_owned()));
        line.split(',')
            .filter(|entry| !entry.is_empty())
            .map(|entry| block(entry).context("an entry"))
            .collect()
    }

    /// The proxy that Go asks for an address, by the proxy for https addresses and the list `NO_PROXY` of an
    /// environment; empty if it asks directly.
    pub fn proxy(&mut self, https_proxy: &str, no_proxy: &str, url: &str) -> Result<String> {
        self.ask(b'E', [https_proxy, no_proxy, url].join("\n").as_bytes())
    }

    /// The nanoseconds of a duration as `time.ParseDuration` reads it; `None` if it refuses the text.
    pub fn duration(&mut self, text: &str) -> Result<Option<i64>> {
        match self.ask(b'D', text.as_bytes())?.as_str() {
            "refused" => Ok(None),
            line => Ok(Some(line.parse()?)),
        }
    }

    /// The answer, of one line, to a record of this kind.
    fn ask(&mut self, kind: u8, record: &[u8]) -> Result<String> {
        let length = u32::try_from(record.len())?.to_be_bytes();
        self.input.write_all(&[&[kind], length.as_slice(), record].concat())?;
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        line.pop().context("the Go oracle ended")?;
        Ok(line)
    }
}

impl Drop for GoOracle {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
