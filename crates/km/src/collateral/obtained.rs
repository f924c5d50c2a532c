//! Collateral and its source.

use super::cache::Cache;
use super::error::Error;
use tcs_verifier::Collateral;

/// Collateral and where it came from.
#[derive(Clone, Debug)]
pub struct Obtained {
    /// In the JSON form that [`Collateral::from_json`] reads; also the form of a bundle file.
    pub json: Vec<u8>,
    /// The same, read. Nothing about it is verified.
    pub collateral: Collateral,
    /// A file, the address of a service, or both for a copy in the cache.
    pub source: String,
    /// What the settings of its source were read with, in whole sentences.
    pub warnings: Vec<String>,
    /// It is a copy in the cache. The service itself may have newer collateral.
    pub is_copy: bool,
    /// Where a copy is to be stored.
    pub(super) cache: Option<Cache>,
}

impl Obtained {
    /// Stores a copy if the settings name a cache. Call this only for collateral that turned out to be
    /// genuine: otherwise a service that was wrong once would stay wrong for as long as the copy is used.
    pub fn keep(&self) -> Result<(), Error> {
        self.cache.as_ref().map_or(Ok(()), |cache| cache.write(&self.json))
    }
}
