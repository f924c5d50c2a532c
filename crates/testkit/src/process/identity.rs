//! Identifies a process so that a recycled process id is never signalled.

use super::wait::wait_for;
use crate::private_file;
use anyhow::{Context, Result, bail};
use rustix::process::{Pid, PidfdFlags, Signal};
use std::fs;
use std::path::Path;
use std::time::Duration;

/// How long the kernel may take to remove a process that was sent SIGKILL.
const REMOVAL: Duration = Duration::from_secs(10);

/// A process id with the time at which that process started, and the boot in which it started.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Identity {
    pid: u32,
    start_time: u64,
    boot: String,
}

impl Identity {
    /// The identity of the process that has `pid` now.
    pub fn of(pid: u32) -> Result<Self> {
        let Some(stat) = Stat::read(pid)? else {
            bail!("there is no process {pid}");
        };
        Ok(Self { pid, start_time: stat.start_time, boot: boot_id()? })
    }

    /// The process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Reads what [`Identity::save`] wrote.
    pub fn load(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("{} is not a process record", path.display()))
    }

    /// Writes it to a file: process id, start time, boot id.
    pub fn save(&self, path: &Path) -> Result<()> {
        let text = format!("{} {} {}\n", self.pid, self.start_time, self.boot);
        private_file::replace(path, text.as_bytes())
    }

    /// Whether this process still runs. One that has ended but was not waited for does not.
    pub fn is_running(&self) -> Result<bool> {
        if boot_id()? != self.boot {
            return Ok(false);
        }
        let stat = Stat::read(self.pid)?;
        Ok(stat.is_some_and(|stat| stat.start_time == self.start_time && !stat.ended))
    }

    /// Asks the process to end (SIGTERM), kills it after `grace`, and waits until it has ended.
    ///
    /// Returns whether it was running.
    pub fn end(&self, grace: Duration) -> Result<bool> {
        if !self.signal(Signal::TERM)? {
            return Ok(false);
        }
        if self.wait(grace).is_err() {
            self.signal(Signal::KILL)?;
            self.wait(REMOVAL)?;
        }
        Ok(true)
    }

    /// Waits until the process has ended.
    pub fn wait(&self, limit: Duration) -> Result<()> {
        wait_for(limit, &format!("process {} to end", self.pid), || Ok((!self.is_running()?).then_some(())))
    }

    /// Sends a signal. Returns whether the process was there to receive it.
    pub fn signal(&self, signal: Signal) -> Result<bool> {
        let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) else {
            return Ok(false);
        };
        // The descriptor refers to one process. The start time is read after it was opened, so the id cannot
        // be reused in between.
        let descriptor = match rustix::process::pidfd_open(pid, PidfdFlags::empty()) {
            Ok(descriptor) => descriptor,
            Err(rustix::io::Errno::SRCH) => return Ok(false),
            Err(error) => return Err(error).with_context(|| format!("open process {pid:?}")),
        };
        if !self.is_running()? {
            return Ok(false);
        }
        match rustix::process::pidfd_send_signal(descriptor, signal) {
            Ok(()) => Ok(true),
            Err(rustix::io::Errno::SRCH) => Ok(false),
            Err(error) => Err(error).with_context(|| format!("signal process {}", self.pid)),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let mut fields = text.split_whitespace();
        Some(Self {
            pid: fields.next()?.parse().ok()?,
            start_time: fields.next()?.parse().ok()?,
            boot: fields.next()?.to_owned(),
        })
    }
}

/// The start time counts from the boot, so it identifies a process within one boot only.
fn boot_id() -> Result<String> {
    let path = "/proc/sys/kernel/random/boot_id";
    let text = fs::read_to_string(path).with_context(|| format!("read {path}"))?;
    Ok(text.trim().to_owned())
}

struct Stat {
    start_time: u64,
    ended: bool,
}

impl Stat {
    fn read(pid: u32) -> Result<Option<Self>> {
        let path = format!("/proc/{pid}/stat");
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            // A process that ends while its file is open answers ESRCH.
            Err(error)
                if error.kind() == std::io::ErrorKind::NotFound
                    || error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error()) =>
            {
                return Ok(None);
            }
            Err(error) => return Err(error).with_context(|| format!("read {path}")),
        };
        let stat = Self::parse(&text).with_context(|| format!("{path} has an unknown form"))?;
        Ok(Some(stat))
    }

    /// proc(5): the second field is the program's name in parentheses, which may
    /// hold spaces and parentheses itself; the state is field 3, the start time field 22.
    fn parse(text: &str) -> Option<Self> {
        let (_, rest) = text.rsplit_once(')')?;
        let mut fields = rest.split_whitespace();
        let state = fields.next()?;
        let start_time = fields.nth(18)?.parse().ok()?;
        Some(Self { start_time, ended: matches!(state, "Z" | "X" | "x") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_is_read_past_a_hostile_name() {
        let text = "7 (a) R 1) S 1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4242 99 1";
        let stat = Stat::parse(text).unwrap();
        assert_eq!(stat.start_time, 4242);
        assert!(!stat.ended);
        assert!(Stat::parse("7 (a) S 1").is_none());
    }

    #[test]
    fn a_recycled_pid_is_not_signalled() {
        let own = Identity::of(std::process::id()).unwrap();
        assert!(own.is_running().unwrap());
        let earlier = Identity { start_time: own.start_time - 1, ..own.clone() };
        let other_boot = Identity { boot: "another".to_owned(), ..own };
        for stale in [earlier, other_boot] {
            assert!(!stale.is_running().unwrap());
            // This would end the test run.
            assert!(!stale.signal(Signal::KILL).unwrap());
        }
    }

    #[test]
    fn a_record_survives_its_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pids/own");
        let own = Identity::of(std::process::id()).unwrap();
        own.save(&path).unwrap();
        assert_eq!(Identity::load(&path).unwrap(), own);
        std::fs::write(&path, "12").unwrap();
        assert!(Identity::load(&path).is_err());
    }
}
