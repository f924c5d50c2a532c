//! CPU time and memory of processes, as Linux counts them.

use anyhow::{Context, Result};
use std::fs;
use std::time::Duration;
use tcs_testkit::process::Supervised;

/// What processes have used.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// CPU time since their start, of user and system.
    pub cpu: Duration,
    /// Their resident sets, in bytes.
    pub memory: u64,
}

/// What these processes have used together.
pub fn usage(processes: &[Supervised]) -> Result<Usage> {
    let mut sum = Usage::default();
    for process in processes {
        let one = one(process.pid()).with_context(|| process.name().to_owned())?;
        sum.cpu = sum.cpu.saturating_add(one.cpu);
        sum.memory = sum.memory.saturating_add(one.memory);
    }
    Ok(sum)
}

/// In one second, on every architecture for which the service is built (`time(7)`, "The software clock").
const TICKS: u64 = 100;

/// Reads `/proc/PID/stat` (`proc_pid_stat(5)`, fields 14 and 15) and `/proc/PID/status`
/// (`proc_pid_status(5)`, `VmRSS`).
fn one(pid: u32) -> Result<Usage> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The second field, the name in parentheses, may contain spaces.
    let (_, after_name) = stat.rsplit_once(") ").context("stat has no name")?;
    let mut times = after_name.split(' ').skip(11).map(str::parse::<u64>);
    let mut time = || anyhow::Ok(times.next().context("a field is missing")??);
    let ticks = time()?.saturating_add(time()?);
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let resident =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("there is no VmRSS")?;
    let kib: u64 = resident.trim().trim_end_matches(" kB").parse()?;
    let cpu = Duration::from_millis(ticks.saturating_mul(1000 / TICKS));
    Ok(Usage { cpu, memory: kib.saturating_mul(1024) })
}
