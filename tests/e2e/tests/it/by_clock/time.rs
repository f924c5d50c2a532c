//! Spans of time, in seconds.

pub const DAY: i64 = 86_400;
pub const YEAR: i64 = 365 * DAY;
