//! The controller of the Trusted Certificate Service.
#![forbid(unsafe_code)]
