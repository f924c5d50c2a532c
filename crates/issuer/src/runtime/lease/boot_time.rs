//! The clock by which leases expire.

use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// A moment, as the time since the machine was booted.
///
/// This is `CLOCK_BOOTTIME` of `clock_gettime(2)`. Nobody can set it, and it goes on while the process is
/// stopped (`SIGSTOP`) and while the machine is suspended. `std::time::Instant` is `CLOCK_MONOTONIC`, which
/// stands still in a suspended machine. While a hypervisor pauses a virtual machine, both stand still.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BootTime(Duration);

impl BootTime {
    /// The present.
    #[must_use]
    pub fn now() -> Self {
        let time = clock_gettime(ClockId::Boottime);
        let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
        Self(Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0)))
    }

    /// The moment that is so many nanoseconds after the boot.
    #[must_use]
    pub fn from_nanos(nanos: u64) -> Self {
        Self(Duration::from_nanos(nanos))
    }

    /// Nanoseconds since the boot. They fit into 64 bits for 584 years.
    #[must_use]
    pub fn as_nanos(self) -> u64 {
        u64::try_from(self.0.as_nanos()).unwrap_or(u64::MAX)
    }

    /// The moment that is this much later.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration))
    }

    /// How long it is until a later moment; zero if it has passed.
    #[must_use]
    pub fn until(self, later: Self) -> Duration {
        later.0.saturating_sub(self.0)
    }
}
