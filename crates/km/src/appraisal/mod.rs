//! Appraisal of evidence by a key owner's policy (RFC 9334, section 8): policy file, collateral,
//! verification, roll-back.
//!
//! The library behind the tools. It prints nothing and parses no command line. Warnings are returned as
//! values; the advice in errors names options and files of the tools, because people read it there.

mod appraiser;
mod error;
mod found;
mod instant;
mod settings;

pub use appraiser::{Appraiser, Clock, Options, fetch_collateral};
pub use error::Error;
pub use found::{Appraisal, Binding, Refused};
pub use instant::Instant;
pub use settings::Settings;
