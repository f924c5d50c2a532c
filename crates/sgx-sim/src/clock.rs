//! Instants relative to a `now` that the caller passes.

use crate::error::Error;
use time::{Duration, OffsetDateTime};

/// A day in seconds.
pub const DAY: i64 = 86_400;

/// `now` plus a number of seconds, which may be negative.
fn instant(now: i64, seconds: i64) -> Result<OffsetDateTime, Error> {
    let now = OffsetDateTime::from_unix_timestamp(now).map_err(|_| Error::Time)?;
    now.checked_add(Duration::seconds(seconds)).ok_or(Error::Time)
}

/// From and until, in seconds relative to `now`.
pub fn period(now: i64, from: i64, until: i64) -> Result<(OffsetDateTime, OffsetDateTime), Error> {
    Ok((instant(now, from)?, instant(now, until)?))
}

/// Days in seconds.
pub fn days(days: i64) -> Result<i64, Error> {
    days.checked_mul(DAY).ok_or(Error::Time)
}

/// RFC 3339, whole seconds, UTC: the form of Intel's collateral.
pub fn text(time: OffsetDateTime) -> String {
    let (date, hour, minute, second) = (time.date(), time.hour(), time.minute(), time.second());
    let (year, month, day) = (date.year(), u8::from(date.month()), date.day());
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}
