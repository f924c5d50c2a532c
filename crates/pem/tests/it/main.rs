//! What is read, what is refused and by which name, and what the `openssl` command and Go find in the same
//! texts.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

mod forms;
mod readers;

/// `0102` in a block of this label.
pub(crate) fn block(label: &str) -> String {
    format!("-----BEGIN {label}-----\nAQI=\n-----END {label}-----\n")
}
