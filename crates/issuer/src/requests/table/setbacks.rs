//! What happened to a request several times in a row.

use super::Next;
use crate::context::backoff::{long_pause, pause};
use std::time::Duration;

/// What happened several times in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setbacks {
    None,
    /// It failed so often.
    Failed(u32),
    /// Its result was refused for good so often. Since then it failed so often.
    Refused(u32, u32),
}

impl Setbacks {
    /// What they are after a turn has ended so.
    pub fn with(self, next: Next) -> Self {
        match (self, next) {
            (_, Next::OnChange | Next::After(_)) => Self::None,
            (Self::Failed(times), Next::Failed) => Self::Failed(times.saturating_add(1)),
            (Self::None, Next::Failed) => Self::Failed(1),
            // It may have failed before it came to the write that is refused.
            (Self::Refused(refused, failed), Next::Failed) => {
                Self::Refused(refused, failed.saturating_add(1))
            }
            (Self::Refused(refused, _), Next::Refused) => Self::Refused(refused.saturating_add(1), 0),
            (Self::None | Self::Failed(_), Next::Refused) => Self::Refused(1, 0),
        }
    }

    /// For how long nobody tries again.
    pub fn pause(self) -> Option<Duration> {
        match self {
            Self::None => None,
            Self::Failed(failed) | Self::Refused(_, failed @ 1..) => Some(pause(failed)),
            Self::Refused(refused, 0) => Some(long_pause(refused)),
        }
    }

    /// Whether the last result that was written was refused for good.
    pub fn are_refusals(self) -> bool {
        matches!(self, Self::Refused(..))
    }
}
