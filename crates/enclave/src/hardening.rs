//! Protects the process from other programs on its machine, as far as the system allows.
//!
//! In a real TEE this is a second line of defence. On the simulated platform it is the only one, and a weak
//! one.

use rustix::mm::{MlockAllFlags, mlockall};
use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};
use std::fs;

/// `CAP_IPC_LOCK` in the `CapEff` mask of `/proc/self/status` (capabilities(7)).
const CAP_IPC_LOCK: u32 = 14;

/// Makes the process not dumpable (so that its own user cannot trace it), forbids core files and keeps memory
/// out of swap.
///
/// Returns what the system did not allow, for the log. None of it prevents the start.
#[must_use]
pub fn harden() -> Vec<String> {
    let mut missing = Vec::new();
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        missing.push(format!("the process stays dumpable: {error}"));
    }
    if let Err(error) = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }) {
        missing.push(format!("core files stay possible: {error}"));
    }
    // With a finite limit, the lock itself may succeed and a later allocation fail, which would end the
    // process.
    if may_lock_all() {
        // Pages are locked when they are touched, so the untouched rest of stacks and arenas costs nothing.
        let flags = MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT;
        if let Err(error) = mlockall(flags) {
            missing.push(format!("memory may be swapped out: {error}"));
        }
    } else {
        missing.push("memory may be swapped out: no unlimited RLIMIT_MEMLOCK and no CAP_IPC_LOCK".to_owned());
    }
    missing
}

fn may_lock_all() -> bool {
    if getrlimit(Resource::Memlock).current.is_none() {
        return true;
    }
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .is_some_and(|mask| mask >> CAP_IPC_LOCK & 1 == 1)
}
