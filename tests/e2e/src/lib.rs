//! End-to-end tests of the Trusted Certificate Service live in tests/.
#![forbid(unsafe_code)]
