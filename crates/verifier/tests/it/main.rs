//! Genuine and simulated quotes through the whole verifier.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![forbid(unsafe_code)]

mod genuine;
mod simulated;

use std::path::{Path, PathBuf};
use tcs_verifier::Policy;

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

fn read(name: &str) -> Vec<u8> {
    std::fs::read(data(name)).unwrap()
}

fn any_identity() -> Policy {
    Policy { any_identity: true, ..Policy::default() }
}
