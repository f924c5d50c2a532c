//! CA certificates as delivered, and their chain.

mod certificate;
mod chain;
mod label;
mod path;

pub use certificate::{CaCertificate, key_error};
pub use chain::CaChain;
