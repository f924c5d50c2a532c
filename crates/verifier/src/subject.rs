//! What a refusal is about, and how its values are written.

use crate::collateral::Collateral;
use crate::pck_chain::PckChain;
use tcs_evidence::{Quote, SignatureData};

/// What was verified.
pub struct Subject<'a> {
    pub quote: &'a Quote<'a>,
    pub signature_data: &'a SignatureData<'a>,
    pub collateral: &'a Collateral,
    pub chain: &'a PckChain<'a>,
}

pub fn under_mask(value: &[u8], mask: &[u8]) -> String {
    format!("{} under mask {}", hex::encode(value), hex::encode(mask))
}

/// A text of the collateral that should be hex, in lower case; nothing else is repeated.
pub fn known_hex(text: &str) -> String {
    hex::decode(text).map_or_else(|_| "unknown".to_owned(), hex::encode)
}
