//! What several modules need.

pub mod attest;
pub mod collateral;
pub mod programs;
pub mod wrap;
