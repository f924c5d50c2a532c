//! A simulated SGX platform.
#![forbid(unsafe_code)]
