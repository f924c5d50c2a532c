//! Appraisal of evidence by a key owner's policy (RFC 9334, section 8): policy file, collateral,
//! verification, roll-back.
//!
//! This is the library behind the tools. It prints nothing and knows no command line; warnings for people are
//! returned as values.

mod appraiser;
mod error;
mod instant;
mod settings;

pub use appraiser::{Appraisal, Appraiser, Binding, Clock, Options, Refused, fetch_collateral};
pub use error::Error;
pub use instant::Instant;
pub use settings::Settings;
