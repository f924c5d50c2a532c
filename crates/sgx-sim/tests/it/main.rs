//! dcap-qvl verifies quotes and collateral; OpenSSL verifies certificates and CRLs.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail by panicking")]

mod accepted;
mod appraisal;
mod collateral;
mod command;
mod folder;
mod honesty;
mod levels;
mod openssl;
mod platform;
mod quote;
mod tdx;
mod times;
