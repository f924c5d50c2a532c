//! Instants as text.

use der::DateTime;
use std::time::Duration;

/// An instant in Unix seconds as `YYYY-MM-DDThh:mm:ssZ` (RFC 3339, UTC); the number itself if its year cannot
/// be written.
pub fn date(seconds: u64) -> String {
    DateTime::from_unix_duration(Duration::from_secs(seconds))
        .map_or_else(|_| seconds.to_string(), |time| time.to_string())
}
