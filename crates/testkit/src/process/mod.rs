//! Child processes that always end with their owner, and waiting for conditions.

mod identity;
mod spawner;
mod wait;

use anyhow::{Context, Result, anyhow, bail};
pub use identity::Identity;
pub use rustix::process::Signal;
use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;
pub use wait::wait_for;

/// How long a child that is dropped may take to end by itself.
const GRACE: Duration = Duration::from_secs(2);

/// How many bytes of a log an error message quotes.
const QUOTED_LOG: u64 = 2_000;

/// If the parent ends before its child requests the signal, no signal is sent, so the child checks
/// afterwards.
const UNLESS_ORPHANED: &str = r#"[ "$PPID" = "$0" ] && exec "$@""#;

/// When a child ends without being asked.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Lifetime {
    /// With this process, even if that is killed by SIGKILL.
    #[default]
    WithParent,
    /// Never: it runs in a session of its own and survives this process.
    Detached,
}

/// A program to be started: what to run and where its output goes.
#[derive(Clone, Debug)]
pub struct Program {
    name: String,
    executable: PathBuf,
    log: PathBuf,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    directory: Option<PathBuf>,
    lifetime: Lifetime,
}

impl Program {
    /// A program named `name` in messages, whose standard output and error are appended to `log`.
    pub fn new(name: impl Into<String>, executable: impl Into<PathBuf>, log: impl Into<PathBuf>) -> Self {
        Self {
            name: name.into(),
            executable: executable.into(),
            log: log.into(),
            arguments: Vec::new(),
            environment: Vec::new(),
            directory: None,
            lifetime: Lifetime::default(),
        }
    }

    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: Into<OsString>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Sets an environment variable, in addition to those of this process.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Sets the working directory.
    #[must_use]
    pub fn directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = Some(directory.into());
        self
    }

    /// Sets when the child ends without being asked.
    #[must_use]
    pub fn lifetime(mut self, lifetime: Lifetime) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// Starts the program. Its standard input is empty.
    pub fn spawn(&self) -> Result<Supervised> {
        self.try_spawn().with_context(|| format!("start {} ({})", self.name, self.executable.display()))
    }

    fn try_spawn(&self) -> Result<Supervised> {
        // Otherwise the wrapper below would report a missing program only in the log.
        let by_path = self.executable.components().count() > 1;
        if by_path && !self.executable.is_file() {
            bail!("there is no such file");
        }
        // A relative path would be looked up from the child's working directory.
        let executable =
            if by_path { std::path::absolute(&self.executable)? } else { self.executable.clone() };
        if let Some(parent) = self.log.parent() {
            fs::create_dir_all(parent).with_context(|| format!("create {}", parent.display()))?;
        }
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.log)
            .with_context(|| format!("open {}", self.log.display()))?;
        let log_start = log.metadata()?.len();

        let mut command = match self.lifetime {
            Lifetime::WithParent => {
                let mut command = Command::new("setpriv");
                command.args(["--pdeathsig", "KILL", "--", "sh", "-c", UNLESS_ORPHANED]);
                command.arg(std::process::id().to_string());
                // Ctrl-C is meant for this process, whose end then ends the child.
                command.process_group(0);
                command
            }
            Lifetime::Detached => {
                // setsid forks when it leads a process group, so it must not be given one.
                let mut command = Command::new("setsid");
                command.arg("--");
                command
            }
        };
        let wrapper = command.get_program().to_owned();
        command
            .arg(executable)
            .args(&self.arguments)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        if let Some(directory) = &self.directory {
            command.current_dir(directory);
        }
        let mut child = spawner::spawn(command)?.map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => anyhow!(
                "{} (or the working directory) was not found; it is part of util-linux",
                wrapper.display()
            ),
            _ => error.into(),
        })?;
        let identity = Identity::of(child.id()).inspect_err(|_| {
            let _ = child.kill();
            let _ = child.wait();
        })?;
        Ok(Supervised {
            name: self.name.clone(),
            child,
            identity,
            log: self.log.clone(),
            log_start,
            owned: true,
        })
    }
}

/// A child process with a log file, ended when this value is dropped.
#[derive(Debug)]
pub struct Supervised {
    name: String,
    child: Child,
    identity: Identity,
    log: PathBuf,
    log_start: u64,
    owned: bool,
}

impl Supervised {
    /// Its name in messages.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its process id, and what distinguishes it from a later process with the same id.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The file that holds its standard output and error.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// What this child has written to its log so far.
    pub fn log_text(&self) -> Result<String> {
        read_from(&self.log, self.log_start).with_context(|| format!("read {}", self.log.display()))
    }

    /// Whether it says that a port that it was to use belongs to another process.
    #[must_use]
    pub fn is_port_taken(&self) -> bool {
        self.log_text().is_ok_and(|text| text.contains("address already in use"))
    }

    /// Its exit status, if it has ended.
    pub fn exited(&mut self) -> Result<Option<ExitStatus>> {
        self.child.try_wait().with_context(|| format!("look at {} (pid {})", self.name, self.pid()))
    }

    /// Fails, quoting the end of the log, if it has ended.
    pub fn check_running(&mut self) -> Result<()> {
        match self.exited()? {
            None => Ok(()),
            Some(status) => bail!("{}", self.describe_end(status)),
        }
    }

    /// Waits for it to end by itself.
    pub fn wait(&mut self, limit: Duration) -> Result<ExitStatus> {
        let what = format!("{} (pid {}) to end", self.name, self.pid());
        wait_for(limit, &what, || self.exited())
    }

    /// Sends a signal; an ended process receives none.
    pub fn signal(&mut self, signal: Signal) -> Result<()> {
        // Its pid is not reused before it is waited for.
        if self.exited()?.is_none() {
            rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), signal)
                .with_context(|| format!("signal {} (pid {})", self.name, self.pid()))?;
        }
        Ok(())
    }

    /// Asks it to end (SIGTERM), and kills it after `grace`.
    pub fn end(&mut self, grace: Duration) -> Result<ExitStatus> {
        self.signal(Signal::TERM)?;
        match self.wait(grace) {
            Ok(status) => Ok(status),
            Err(_) => self.kill(),
        }
    }

    /// Kills it (SIGKILL) and waits until it has ended.
    pub fn kill(&mut self) -> Result<ExitStatus> {
        self.signal(Signal::KILL)?;
        self.child.wait().with_context(|| format!("wait for {} (pid {})", self.name, self.pid()))
    }

    /// Gives up ownership: dropping no longer ends it.
    ///
    /// A child with [`Lifetime::WithParent`] still ends with this process.
    #[must_use = "the identity is what can end the process later"]
    pub fn release(mut self) -> Identity {
        self.owned = false;
        self.identity.clone()
    }

    /// One sentence about its end, with the end of its log.
    fn describe_end(&self, status: ExitStatus) -> String {
        let text = self.log_text().unwrap_or_default();
        let tail = tail(&text, QUOTED_LOG);
        let (name, log) = (&self.name, self.log.display());
        format!("{name} ended: {status}; its log is {log} and ends in:\n{tail}")
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        if self.owned {
            let _ = self.end(GRACE);
        }
    }
}

/// Runs a short-lived command to its end and returns its standard output.
///
/// A failure quotes the command line and the standard error.
pub fn run(command: &mut Command) -> Result<String> {
    let shown = format!("{command:?}");
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("run {shown}"))?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        bail!("{shown} failed: {}: {}", output.status, stderr.trim());
    }
    String::from_utf8(output.stdout).with_context(|| format!("{shown} printed no valid text"))
}

fn read_from(path: &Path, start: u64) -> std::io::Result<String> {
    let mut file = fs::File::open(path)?;
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The last whole lines of `text` that fit into `limit` bytes.
pub(crate) fn tail(text: &str, limit: u64) -> &str {
    let text = text.trim_end();
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let Some(cut) = text.len().checked_sub(limit).filter(|cut| *cut > 0) else {
        return text;
    };
    let cut = text.ceil_char_boundary(cut);
    let rest = text.get(cut..).unwrap_or_default();
    rest.split_once('\n').map_or(rest, |(_, lines)| lines)
}
