//! Wrapped CA key formats.
#![forbid(unsafe_code)]
