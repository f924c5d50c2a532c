//! Attestation evidence: quote layouts, `report_data` profiles and the [`Evidence`] enum (RFC 9334 terms).
//!
//! Pure: bytes in, values out. Nothing is verified here; that is the task of `tcs-verifier`.
#![forbid(unsafe_code)]

mod error;
mod evidence;
mod public_key;
mod quote;
pub mod report_data;

pub use error::Error;
pub use evidence::Evidence;
pub use public_key::{PublicKeyError, QuotePublicKey};
pub use quote::{EnclaveReport, Header, MAX_QUOTE, Quote, SgxQuoteV3, SignatureData, TdReport, TdxQuote};
