//! Appraisal of evidence by a key owner's policy (RFC 9334, section 8): policy file, collateral,
//! verification, roll-back.
//!
//! The library behind the tools. It prints nothing and parses no command line. Warnings are returned as
//! values; the advice in errors names options and files of the tools, because people read it there.

mod appraiser;
mod error;
mod instant;
mod settings;

pub use appraiser::{Appraisal, Appraiser, Binding, Clock, Options, Refused, fetch_collateral};
pub use error::Error;
pub use instant::Instant;
pub use settings::Settings;
