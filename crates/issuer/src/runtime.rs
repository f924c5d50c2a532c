//! What runs beside the reconcilers: how the API is read and watched, the admission policies, and the log.

pub mod admission_check;
pub mod admission_gate;
pub mod admission_policies;
pub mod client;
pub mod guarded;
pub mod log;
pub mod watch;
