//! The tools as their users run them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![forbid(unsafe_code)]

mod artefact;
mod attest;
mod collateral;
mod documentation;
mod tool;
mod two_readings;
#[cfg(feature = "simulation")]
mod verified_wrap;
mod wrap;
