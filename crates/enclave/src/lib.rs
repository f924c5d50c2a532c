//! The trusted side: holds CA keys, judges certificate requests and signs.
//!
//! It believes nothing that it is told: the controller, the clock, the file system and the network are hostile.
//! [`Engine`] answers the requests of `tcs-enclave-rpc`; [`platform`] makes evidence; [`hardening`] closes the process.
#![forbid(unsafe_code)]

pub mod hardening;
pub mod platform;

mod engine;
mod error;
mod keys;
mod sealing;

pub use engine::Engine;
pub use error::Error;

/// Writes a line to standard error, and bears that nobody reads it.
pub fn log(line: impl std::fmt::Display) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "tcs-enclave: {line}");
}

/// Version of the program; names a build that can simulate.
#[cfg(feature = "simulation")]
pub const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "+simulation");
/// Version of the program; names a build that can simulate.
#[cfg(not(feature = "simulation"))]
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Release date of this version, Unix seconds (2026-11-01). Raised with each release.
///
/// Time comes from the untrusted side; no certificate is made, and no CA taken, for a time before this (design,
/// section 5). A clock that runs ahead is a named limit.
pub const RELEASE_DATE: i64 = 1_793_491_200;
