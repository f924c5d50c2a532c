//! Starts a real control plane for tests, demo and up.
#![forbid(unsafe_code)]
