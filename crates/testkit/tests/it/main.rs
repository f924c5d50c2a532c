//! The control plane starts, works, and leaves no process behind.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "clippy.toml allows them in test functions, not in what these share"
)]

mod cert_manager;
mod control_plane;
mod processes;
