//! The names of the formats. They are in a file of their own because errors name formats, too.

use crate::{Error, WrapFormat};
use core::str::FromStr;

impl FromStr for WrapFormat {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        Self::ALL.iter().copied().find(|format| format.as_str() == name).ok_or(Error::UnknownFormat)
    }
}
