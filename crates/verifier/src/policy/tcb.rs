//! Which states of a platform are accepted.

use crate::checks::{CheckId, Record};
use crate::claims::Claims;
use crate::date::date;
use crate::error::{Error, Lacking};
use crate::status::TcbStatus;

/// What the policy requires of the platform's trusted computing base and of its quoting enclave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TcbPolicy {
    /// Statuses that are accepted, of the platform and of the quoting enclave. By default `UpToDate` and
    /// `SWHardeningNeeded`. `Revoked` is never accepted, even if it is listed here. A status that is out of
    /// date is accepted only together with [`Self::min_tcb_date`].
    pub accepted_statuses: Vec<TcbStatus>,
    /// Intel's advisories (for example `INTEL-SA-00615`) that are known to do no harm here. Every status but
    /// `UpToDate` needs each of its advisories in this list; one that requires software hardening must name
    /// at least one.
    pub accepted_advisories: Vec<String>,
    /// The platform's TCB level must have this date (Unix seconds) or a later one, and so must that of an
    /// out-of-date quoting enclave.
    pub min_tcb_date: Option<u64>,
    /// The minimum evaluation number of the collateral. Older collateral is refused even if it is still
    /// valid.
    pub min_evaluation_number: Option<u32>,
}

impl Default for TcbPolicy {
    fn default() -> Self {
        Self {
            accepted_statuses: vec![TcbStatus::UpToDate, TcbStatus::SwHardeningNeeded],
            accepted_advisories: Vec::new(),
            min_tcb_date: None,
            min_evaluation_number: None,
        }
    }
}

impl TcbPolicy {
    pub(super) fn appraise(&self, claims: &Claims, record: &mut Record) -> Result<(), Error> {
        let named = |status: TcbStatus, advisory_ids: &[String]| {
            let ids = if advisory_ids.is_empty() { "none".into() } else { advisory_ids.join(", ") };
            format!("{}, advisories: {ids}", status.intel_name())
        };
        let statuses = self.describe_statuses();
        let status = record.conclude_policy(
            CheckId::TcbStatus,
            statuses.clone(),
            named(claims.status, &claims.advisory_ids),
            self.check_status("platform", claims.status, &claims.advisory_ids),
        );
        // The merged status leaves out states of the quoting enclave that are neither out of date nor
        // revoked.
        let qe = record.conclude_policy(
            CheckId::QeStatus,
            statuses,
            named(claims.qe_status, &claims.qe_advisory_ids),
            self.check_status("quoting enclave", claims.qe_status, &claims.qe_advisory_ids),
        );
        let date = record.conclude_policy(
            CheckId::TcbDate,
            self.min_tcb_date.map_or_else(|| "any".into(), |least| format!("not before {}", date(least))),
            format!("platform {}, quoting enclave {}", date(claims.tcb_date), date(claims.qe_tcb_date)),
            self.check_date(claims),
        );
        let number = record.conclude_policy(
            CheckId::EvaluationNumber,
            self.min_evaluation_number.map_or_else(|| "any".into(), |least| format!("at least {least}")),
            claims.evaluation_number.to_string(),
            self.check_evaluation_number(claims.evaluation_number),
        );
        status.and(qe).and(date).and(number)
    }

    fn check_status(
        &self,
        whose: &'static str,
        status: TcbStatus,
        advisory_ids: &[String],
    ) -> Result<(), Error> {
        let Some(lacking) = self.lacking(status, advisory_ids) else { return Ok(()) };
        Err(Error::TcbStatusRefused { whose, status, advisory_ids: advisory_ids.to_vec(), lacking })
    }

    /// What this policy lacks to accept a status.
    fn lacking(&self, status: TcbStatus, advisory_ids: &[String]) -> Option<Lacking> {
        if status == TcbStatus::Revoked || !self.accepted_statuses.contains(&status) {
            let accepted = self.accepted_statuses.iter().map(|status| status.intel_name()).collect();
            return Some(Lacking::Status { accepted });
        }
        if status == TcbStatus::UpToDate {
            return None;
        }
        let missing: Vec<String> =
            advisory_ids.iter().filter(|id| !self.accepted_advisories.contains(id)).cloned().collect();
        if !missing.is_empty() {
            return Some(Lacking::Advisories { missing, accepted: self.accepted_advisories.clone() });
        }
        // Without a named advisory nobody can say what the enclave must be hardened against.
        if status.needs_hardening() && advisory_ids.is_empty() {
            return Some(Lacking::NamedAdvisory);
        }
        (status.is_out_of_date() && self.min_tcb_date.is_none()).then_some(Lacking::MinimumDate)
    }

    fn check_date(&self, claims: &Claims) -> Result<(), Error> {
        let Some(least) = self.min_tcb_date else { return Ok(()) };
        let qe_is_old = claims.qe_status.is_out_of_date() && claims.qe_tcb_date < least;
        let what = match (claims.tcb_date < least, qe_is_old) {
            (false, false) => return Ok(()),
            (true, _) => ("the platform", claims.tcb_date),
            (false, true) => ("the quoting enclave", claims.qe_tcb_date),
        };
        Err(Error::TcbDateTooOld { what: what.0, found: what.1, least })
    }

    fn check_evaluation_number(&self, found: u32) -> Result<(), Error> {
        match self.min_evaluation_number {
            Some(least) if found < least => Err(Error::EvaluationNumberTooLow { found, least }),
            _ => Ok(()),
        }
    }

    fn describe_statuses(&self) -> String {
        let statuses: Vec<_> = self.accepted_statuses.iter().map(|status| status.intel_name()).collect();
        let advisories = match self.accepted_advisories.as_slice() {
            [] => "none".to_owned(),
            several => several.join(", "),
        };
        format!("{}; accepted advisories: {advisories}", statuses.join(" or "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(names: &[&str]) -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn software_hardening_needs_every_advisory_accepted() {
        let policy = TcbPolicy { accepted_advisories: ids(&["A", "B"]), ..TcbPolicy::default() };
        let accepts = |status, names: &[&str]| policy.check_status("platform", status, &ids(names)).is_ok();
        assert!(accepts(TcbStatus::UpToDate, &["C"]));
        assert!(accepts(TcbStatus::SwHardeningNeeded, &["B", "A"]));
        assert!(!accepts(TcbStatus::SwHardeningNeeded, &["A", "C"]));
        assert!(!accepts(TcbStatus::SwHardeningNeeded, &[]));
        for other in TcbStatus::ALL.into_iter().skip(2) {
            assert!(!accepts(other, &["A"]), "{other:?}");
        }
    }

    #[test]
    fn other_statuses_are_accepted_by_name_and_revoked_never() {
        let accepts = |status, names: &[&str], min_tcb_date| {
            let policy = TcbPolicy {
                accepted_statuses: vec![status],
                accepted_advisories: ids(&["A"]),
                min_tcb_date,
                ..TcbPolicy::default()
            };
            policy.check_status("platform", status, &ids(names)).is_ok()
        };
        for status in [
            TcbStatus::ConfigurationNeeded,
            TcbStatus::TdRelaunchAdvised,
            TcbStatus::TdRelaunchAdvisedConfigurationNeeded,
        ] {
            assert!(accepts(status, &[], None) && accepts(status, &["A"], None), "{status:?}");
            assert!(!accepts(status, &["B"], None), "{status:?}");
        }
        assert!(accepts(TcbStatus::ConfigurationAndSwHardeningNeeded, &["A"], None));
        assert!(!accepts(TcbStatus::ConfigurationAndSwHardeningNeeded, &[], None));
        for status in [TcbStatus::OutOfDate, TcbStatus::OutOfDateConfigurationNeeded] {
            assert!(accepts(status, &[], Some(1)) && accepts(status, &["A"], Some(1)));
            assert!(!accepts(status, &["B"], Some(1)));
            assert!(!accepts(status, &["A"], None), "{status:?} needs a minimum date");
        }
        assert!(!accepts(TcbStatus::Revoked, &["A"], Some(1)));
        let none = TcbPolicy { accepted_statuses: Vec::new(), ..TcbPolicy::default() };
        assert!(none.check_status("platform", TcbStatus::UpToDate, &[]).is_err());
    }

    #[test]
    fn the_evaluation_number_has_a_minimum() {
        let check = |min| {
            TcbPolicy { min_evaluation_number: min, ..TcbPolicy::default() }.check_evaluation_number(17)
        };
        assert_eq!(check(None), Ok(()));
        assert_eq!(check(Some(17)), Ok(()));
        assert_eq!(check(Some(18)), Err(Error::EvaluationNumberTooLow { found: 17, least: 18 }));
    }
}
