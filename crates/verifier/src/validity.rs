//! Validity periods of certificates and collateral.

use crate::Error;
use der::DateTime;

/// A validity period in Unix seconds. Both ends are included (RFC 5280, section 4.1.2.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// First second.
    pub not_before: u64,
    /// Last second.
    pub not_after: u64,
}

impl Validity {
    /// Refuses an instant `now` outside the period. `what` names the part whose period it is.
    pub(crate) fn check(self, what: &'static str, now: u64) -> Result<(), Error> {
        let Self { not_before: from, not_after: until } = self;
        if now < from {
            return Err(Error::CollateralNotYetValid { what, from, now });
        }
        if now > until {
            return Err(Error::CollateralExpired { what, until, now });
        }
        Ok(())
    }

    /// Reads `issueDate` and `nextUpdate` of TCB info or a QE identity.
    pub(crate) fn parse(what: &'static str, issue_date: &str, next_update: &str) -> Result<Self, Error> {
        Ok(Self { not_before: parse_date(what, issue_date)?, not_after: parse_date(what, next_update)? })
    }
}

/// Reads a date as Intel writes it, RFC 3339 in UTC, and returns Unix seconds.
pub fn parse_date(what: &'static str, text: &str) -> Result<u64, Error> {
    text.parse::<DateTime>().map(|time| time.unix_duration().as_secs()).map_err(|_| {
        Error::CollateralMalformed(format!("{what}: a date is not in the form 2026-01-31T23:59:59Z"))
    })
}
