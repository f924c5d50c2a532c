//! The real program on a simulated platform.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod command_line;
#[cfg(feature = "simulation")]
mod simulation;
