//! Tools of the key owner: the libraries behind km-attest and km-wrap.
#![forbid(unsafe_code)]

pub mod advice;
pub mod appraisal;
pub mod attest;
pub mod collateral;
pub mod exit;
pub mod hardening;
pub mod io;
pub mod public_key;
pub mod quote_file;
pub mod wrap;

mod files;
mod nonce;
mod version;
