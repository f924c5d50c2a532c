//! Certificate requests in, certificates out.
#![forbid(unsafe_code)]
