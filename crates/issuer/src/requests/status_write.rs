//! How the status of a request is written.

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

/// More than the length of most requests with their certificates, in bytes: what is longer is copied as it
/// grows.
const USUAL_LENGTH: usize = 8 << 10;

/// A write of the status of a request. It names the version of the object that was checked, so that the API
/// server refuses it for any other version and for any other object of the same name.
#[derive(Debug)]
pub enum StatusWrite {
    /// A PUT of the object that was read, as JSON.
    Replace(Vec<u8>),
    /// A server-side apply of this document, in which only the fields of the service are.
    Apply(Box<RawValue>),
}

impl StatusWrite {
    /// A PUT of this object.
    ///
    /// # Errors
    ///
    /// If it cannot be encoded.
    pub fn replace(object: &impl Serialize) -> serde_json::Result<Self> {
        let mut body = Vec::with_capacity(USUAL_LENGTH);
        serde_json::to_writer(&mut body, object)?;
        Ok(Self::Replace(body))
    }

    /// A server-side apply of this document.
    ///
    /// # Errors
    ///
    /// If it cannot be encoded.
    pub fn apply(document: &impl Serialize) -> serde_json::Result<Self> {
        to_raw_value(document).map(Self::Apply)
    }
}
