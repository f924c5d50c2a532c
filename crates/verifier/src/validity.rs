//! Windows of time in which certificates and collateral hold.

use crate::Error;
use der::DateTime;

/// Whether `now` lies in a window, both ends included.
pub fn check(what: &'static str, (from, until): (u64, u64), now: u64) -> Result<(), Error> {
    if now < from {
        return Err(Error::CollateralNotYetValid { what, from, now });
    }
    if now > until {
        return Err(Error::CollateralExpired { what, until, now });
    }
    Ok(())
}

/// `issueDate` and `nextUpdate`: RFC 3339 in UTC, as Intel writes them.
pub fn texts(what: &'static str, issue_date: &str, next_update: &str) -> Result<(u64, u64), Error> {
    Ok((text(what, issue_date)?, text(what, next_update)?))
}

/// One date in that form, in Unix seconds.
pub fn text(what: &'static str, text: &str) -> Result<u64, Error> {
    text.parse::<DateTime>().map(|time| time.unix_duration().as_secs()).map_err(|_| {
        Error::CollateralMalformed(format!("{what}: a date is not in the form 2026-01-31T23:59:59Z"))
    })
}
