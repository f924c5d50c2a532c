//! Support for several modules.

pub mod attest;
pub mod collateral;
pub mod programs;
pub mod wrap;
