//! CA certificates as delivered, and their chain.

mod certificate;
mod chain;

pub use certificate::{CaCertificate, key_error};
pub use chain::CaChain;
