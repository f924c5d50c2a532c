//! dcap-qvl judges quotes and collateral; OpenSSL judges certificates and CRLs.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail by panicking")]

mod accepted;
mod collateral;
mod command;
mod folder;
mod honesty;
mod judge;
mod levels;
mod openssl;
mod platform;
mod quote;
mod tdx;
mod times;
