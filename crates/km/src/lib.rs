//! Tools of the key owner: the libraries behind km-attest and km-wrap.
#![forbid(unsafe_code)]

pub mod attest;
pub mod collateral;
pub mod exit;
pub mod wrap;
