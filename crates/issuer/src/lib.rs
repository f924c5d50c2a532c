//! The controller of the Trusted Certificate Service.
//!
//! The controller is not trusted: it can make requests to the enclave but cannot compel it, and the enclave
//! checks everything that it is told. Everything that must survive a restart is kept in the Kubernetes API.
//! Decisions are pure functions ([`issuer::decide`], [`issuer::delivery`], [`requests`]); the rest carries
//! them out.
#![forbid(unsafe_code)]

pub mod clock;
pub mod issuer;
pub mod requests;
pub mod settings;

mod access;
mod base64_text;
mod context;
mod enclave_client;
mod error;
mod memory;
mod pem;
mod runtime;
mod time;

pub use runtime::{log, run};
