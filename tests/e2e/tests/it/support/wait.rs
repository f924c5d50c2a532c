//! Waiting with a deadline, and names that no two tests share.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// The deadline of every wait. It is generous, because the machine may be busy; no test waits for time to
/// pass.
pub const DEADLINE: Duration = Duration::from_mins(1);

/// A name that no other test uses.
pub fn unique(stem: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{stem}-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}
