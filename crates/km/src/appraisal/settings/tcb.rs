//! `[tcb]`: which states of a platform are accepted.

use crate::appraisal::instant::Instant;
use serde::Deserialize;
use tcs_verifier::{TcbPolicy, TcbStatus};

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tcb {
    accepted_statuses: Option<Vec<String>>,
    #[serde(default)]
    accepted_advisories: Vec<String>,
    min_tcb_date: Option<Date>,
    min_evaluation_number: Option<u32>,
}

/// A date in quotes or without.
#[derive(Deserialize)]
#[serde(untagged)]
enum Date {
    Text(String),
    Toml(toml::value::Datetime),
}

impl Tcb {
    pub fn policy(self) -> Result<TcbPolicy, String> {
        let default = TcbPolicy::default();
        let min_tcb_date = self.min_tcb_date.map(Date::seconds).transpose()?;
        let accepted_statuses = match self.accepted_statuses {
            None => default.accepted_statuses,
            Some(names) => statuses(&names, min_tcb_date.is_some())?,
        };
        Ok(TcbPolicy {
            accepted_statuses,
            accepted_advisories: self.accepted_advisories,
            min_tcb_date,
            min_evaluation_number: self.min_evaluation_number,
        })
    }
}

impl Date {
    fn seconds(self) -> Result<u64, String> {
        let text = match self {
            // `20240313` would be a second in August 1970, and no minimum at all.
            Self::Text(text) if !text.contains('-') => {
                return Err(format!(
                    "min_tcb_date is {text:?}, neither a date like 2026-01-31 nor a time like \
                     2026-01-31T23:59:59Z"
                ));
            }
            Self::Text(text) => text,
            Self::Toml(date) => date.to_string(),
        };
        let date: Instant = text.parse().map_err(|error| format!("min_tcb_date is {error}"))?;
        Ok(date.0)
    }
}

fn statuses(names: &[String], has_min_tcb_date: bool) -> Result<Vec<TcbStatus>, String> {
    let mut accepted = Vec::new();
    for name in names {
        let status = TcbStatus::named(name)
            .ok_or_else(|| format!("accepted_statuses: {name:?} is no TCB status of Intel's"))?;
        if status == TcbStatus::Revoked {
            return Err("accepted_statuses: Revoked is never accepted".into());
        }
        let old = matches!(status, TcbStatus::OutOfDate | TcbStatus::OutOfDateConfigurationNeeded);
        if old && !has_min_tcb_date {
            return Err(format!("accepted_statuses: {name} needs a minimum date: set min_tcb_date as well"));
        }
        accepted.push(status);
    }
    // Otherwise the status of the quoting enclave, which is usually `UpToDate`, would be refused.
    if !accepted.contains(&TcbStatus::UpToDate) {
        return Err("accepted_statuses must name UpToDate too".into());
    }
    Ok(accepted)
}

#[cfg(test)]
mod tests {
    use super::super::Settings;
    use super::*;

    fn parse(text: &str) -> Result<TcbPolicy, String> {
        Settings::parse(&format!("[tcb]\n{text}")).map(|settings| settings.policy.tcb)
    }

    #[test]
    fn every_status_but_revoked_can_be_named() {
        let names: Vec<_> =
            TcbStatus::ALL.iter().map(|status| format!("\"{}\"", status.intel_name())).collect();
        let (revoked, others) = names.split_last().unwrap();
        let text = |names: &[String]| format!("accepted_statuses = [{}]\n", names.join(", "));
        let policy = parse(&format!("{}min_tcb_date = 2024-03-13\n", text(others))).unwrap();
        assert_eq!(policy.accepted_statuses, TcbStatus::ALL[..8]);
        assert!(parse(&text(&["\"UpToDate\"".into(), revoked.clone()])).unwrap_err().contains("never"));
        for (wrong, why) in [
            ("accepted_statuses = []\n", "UpToDate"),
            ("accepted_statuses = [\"SWHardeningNeeded\"]\n", "UpToDate"),
            ("accepted_statuses = [\"UpToDate\", \"uptodate\"]\n", "no TCB status"),
            ("accepted_statuses = [\"UpToDate\", \"OutOfDate\"]\n", "min_tcb_date"),
            ("accepted_statuses = [\"UpToDate\", \"OutOfDateConfigurationNeeded\"]\n", "min_tcb_date"),
        ] {
            let error = parse(wrong).unwrap_err();
            assert!(error.contains(why), "{wrong}: {error}");
        }
    }

    #[test]
    fn minimums_and_advisories_are_read() {
        let policy = parse("accepted_advisories = [\"A\", \"B\"]\nmin_evaluation_number = 17\n").unwrap();
        let default = TcbPolicy::default();
        assert_eq!(policy.accepted_statuses, default.accepted_statuses);
        assert_eq!(policy.accepted_advisories, ["A", "B"]);
        assert_eq!((policy.min_evaluation_number, policy.min_tcb_date), (Some(17), None));
        for date in ["2024-03-13", "\"2024-03-13\"", "\"2024-03-13T00:00:00Z\"", "2024-03-13T00:00:00Z"] {
            let policy = parse(&format!("min_tcb_date = {date}\n")).unwrap();
            assert_eq!(policy.min_tcb_date, Some(1_710_288_000), "{date}");
        }
        // Digits alone would be seconds since 1970: a minimum that refuses nothing.
        for wrong in ["soon", "20240313", "2024", "+5", "-1", "1710288000", ""] {
            let refused = parse(&format!("min_tcb_date = \"{wrong}\"\n")).unwrap_err();
            assert!(refused.contains("min_tcb_date"), "{refused}");
        }
    }
}
