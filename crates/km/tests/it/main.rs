//! The tools as their users run them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![forbid(unsafe_code)]

mod appraise;
mod artefact;
mod attest;
#[cfg(feature = "simulation")]
mod attest_collateral;
#[cfg(feature = "simulation")]
mod attest_simulated;
mod collateral;
mod collateral_faults;
mod documentation;
mod said;
#[cfg(feature = "simulation")]
mod said_simulated;
mod subcommands;
mod support;
mod tls;
mod two_readings;
#[cfg(feature = "simulation")]
mod verified_wrap;
mod wrap;
mod wrap_token;
