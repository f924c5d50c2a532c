//! Temporary.
#![allow(clippy::unwrap_used)]
#[path = "../src/generate.rs"]
mod generate;
#[test]
fn write() {
    generate::run(false).unwrap();
}
