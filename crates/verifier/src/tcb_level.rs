//! Dates of the TCB levels that dcap-qvl matched. dcap-qvl reports their statuses and advisories, but their
//! dates only with its claims, for which it reads both CRLs once more. A test compares the dates here with
//! those of dcap-qvl for every vector.

use crate::Error;
use crate::collateral::Collateral;
use crate::validity::parse_date;
use dcap_qvl::TcbInfo;
use dcap_qvl::tcb_info::{TcbLevel, TcbStatusWithAdvisory};
use dcap_qvl::verify::VerifiedReport;
use tcs_evidence::{Quote, SignatureData};

/// Dates (Unix seconds) of the platform's level, for TDX the older one of it and the module's, and of the
/// quoting enclave's.
///
/// The levels found must have the status and advisories that dcap-qvl reported. Otherwise they are other
/// levels, and the quote is refused.
pub fn dates(
    collateral: &Collateral,
    quote: &Quote<'_>,
    signature_data: &SignatureData<'_>,
    cpu_svn: &[u8; 16],
    pce_svn: u16,
    verified: &VerifiedReport,
) -> Result<(u64, u64), Error> {
    let unclear = || Error::QuoteRefused("its TCB level is not clear".into());
    let tee_tcb_svn = match quote {
        Quote::Sgx(_) => None,
        Quote::Tdx(quote) => Some(quote.report().tee_tcb_svn()),
    };
    let mut levels = collateral.tcb_info.tcb_levels.iter();
    let met = |level: &&TcbLevel| {
        level.shortfalls(cpu_svn, pce_svn, tee_tcb_svn.as_ref()).is_ok_and(|missing| missing.is_empty())
    };
    let level = levels.find(met).ok_or_else(unclear)?;
    let module = tee_tcb_svn.map(|svn| module_date(&collateral.tcb_info, &svn)).transpose()?.flatten();
    let (status, ids) = (level.tcb_status, level.advisory_ids.as_slice());
    if !is_reported(status, ids, module.is_some(), &verified.platform_status) {
        return Err(unclear());
    }
    let date = parse_date("the TCB info", &level.tcb_date)?;

    let isv_svn = signature_data.qe_report().isv_svn();
    let mut qe_levels = collateral.qe_identity.tcb_levels.iter();
    let qe = qe_levels.find(|level| isv_svn >= level.tcb.isvsvn).ok_or_else(unclear)?;
    if !is_reported(qe.tcb_status, &qe.advisory_ids, false, &verified.qe_status) {
        return Err(unclear());
    }
    Ok((module.map_or(date, |module| module.min(date)), parse_date("the QE identity", &qe.tcb_date)?))
}

/// The level of a TDX module may change the status and add advisories after those of the platform.
fn is_reported(
    status: dcap_qvl::tcb_info::TcbStatus,
    advisory_ids: &[String],
    with_module: bool,
    reported: &TcbStatusWithAdvisory,
) -> bool {
    if with_module {
        return reported.advisory_ids.starts_with(advisory_ids);
    }
    reported.status == status && reported.advisory_ids == advisory_ids
}

/// Date of the TDX module's level; `None` for a module of version 0, which is covered by the TCB levels.
fn module_date(tcb_info: &TcbInfo, tee_tcb_svn: &[u8; 16]) -> Result<Option<u64>, Error> {
    let unclear = || Error::QuoteRefused("its TDX module's TCB level is not clear".into());
    let Some(identity) = tcb_info.tdx_module_identity(tee_tcb_svn).map_err(|_| unclear())? else {
        return Ok(None);
    };
    let level = identity.tcb_levels.iter().find(|level| level.shortfall(tee_tcb_svn).is_none());
    parse_date("the TCB info", &level.ok_or_else(unclear)?.tcb_date).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use dcap_qvl::tcb_info::TcbStatus;

    #[test]
    fn a_level_that_was_not_reported_is_not_taken_for_the_one_that_was() {
        let ids = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let reported = TcbStatusWithAdvisory::new(TcbStatus::OutOfDate, ids(&["A", "B"]));
        let is = |status, names: &[&str], module| is_reported(status, &ids(names), module, &reported);
        assert!(is(TcbStatus::OutOfDate, &["A", "B"], false));
        for (status, names) in [
            (TcbStatus::UpToDate, &["A", "B"][..]),
            (TcbStatus::OutOfDate, &["A"]),
            (TcbStatus::OutOfDate, &["B", "A"]),
            (TcbStatus::OutOfDate, &[]),
        ] {
            assert!(!is(status, names, false), "{names:?}");
        }
        // The level of a module may make the status worse, and its advisories follow those of the platform.
        assert!(is(TcbStatus::UpToDate, &["A"], true) && is(TcbStatus::UpToDate, &[], true));
        assert!(!is(TcbStatus::OutOfDate, &["B"], true) && !is(TcbStatus::OutOfDate, &["A", "B", "C"], true));
    }
}
