//! Tests of the program `tcs-issuer`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "clippy.toml allows them in test functions, not in what these share"
)]

mod log;
