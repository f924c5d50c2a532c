//! The trusted side: it holds CA keys, checks certificate requests and signs certificates.
//!
//! It trusts nothing that it is told: the controller, the clock, the file system and the network are hostile.
//! [`Engine`] answers the requests of `tcs-enclave-rpc`, [`keys`] holds private keys, [`platform`] makes
//! evidence, and [`hardening`] protects the process.
#![forbid(unsafe_code)]

pub mod hardening;
pub mod keys;
pub mod platform;
pub mod request_log;

mod engine;
mod error;
mod sealing;

pub use engine::Engine;
pub use error::Error;

/// Writes a line to standard error. It ignores write errors: a closed log must not stop the service.
pub fn log(line: impl std::fmt::Display) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "tcs-enclave: {line}");
}

/// Version of the program. A build that can simulate says so.
#[cfg(feature = "simulation")]
pub const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "+simulation");
/// Version of the program. A build that can simulate says so.
#[cfg(not(feature = "simulation"))]
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Release date of this version, Unix seconds (2026-11-01). It is raised with each release.
///
/// Time comes from the untrusted side. No certificate is issued and no CA is accepted for a time before this
/// date. A clock that is ahead is not detected; SECURITY.md names this limit.
pub const RELEASE_DATE: i64 = 1_793_491_200;
