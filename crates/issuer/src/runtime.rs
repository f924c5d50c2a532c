//! How the controller reads the API, and what it writes to its log.

pub mod client;
pub mod guarded;
pub mod log;
pub mod watch;
