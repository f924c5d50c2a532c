//! Bytes in hex, and lists of them.

use serde::{Deserialize, Deserializer, de};

/// Exactly `LEN` bytes, written as twice as many hex digits in either case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hex<const LEN: usize>(pub [u8; LEN]);

impl<const LEN: usize> Hex<LEN> {
    pub fn read(text: &str) -> Result<Self, String> {
        let mut bytes = [0; LEN];
        hex::decode_to_slice(text, &mut bytes)
            .map_err(|_| format!("must be {} hex digits", LEN.saturating_mul(2)))?;
        Ok(Self(bytes))
    }
}

impl<'de, const LEN: usize> Deserialize<'de> for Hex<LEN> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::read(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// A list of accepted values. An absent list accepts every value. An empty list is a mistake, because it
/// reads as "none" and would accept every value.
pub fn list<const LEN: usize>(name: &str, given: Option<&[Hex<LEN>]>) -> Result<Vec<[u8; LEN]>, String> {
    match given {
        None => Ok(Vec::new()),
        Some([]) => Err(format!("{name} is empty: name a value, or leave it out to accept every one")),
        Some(values) => Ok(values.iter().map(|value| value.0).collect()),
    }
}
