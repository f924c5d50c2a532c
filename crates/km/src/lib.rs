//! Tools of the key owner.
#![forbid(unsafe_code)]
