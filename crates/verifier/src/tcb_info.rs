//! TCB info: the order of its levels, and the forms that Intel's library refuses and dcap-qvl does not check.

use dcap_qvl::TcbInfo;

/// Sorts the TCB levels, and returns why the form of the TCB info is refused, if it is.
pub fn sort_and_check(tcb_info: &mut TcbInfo) -> Option<String> {
    sort(tcb_info);
    fault(tcb_info)
}

/// Sorts the TCB levels in the order in which Intel's library tries them: SGX components, PCESVN, TDX
/// components, the highest first.
fn sort(tcb_info: &mut TcbInfo) {
    let is_tdx = is_tdx(tcb_info);
    tcb_info.tcb_levels.sort_by(|one, other| {
        let (one, other) = (&one.tcb, &other.tcb);
        let order = other.sgx_components.cmp(&one.sgx_components);
        let order = order.then_with(|| other.pce_svn.cmp(&one.pce_svn));
        if is_tdx { order.then_with(|| other.tdx_components.cmp(&one.tdx_components)) } else { order }
    });
}

/// Why the form of the TCB info is refused: an unknown version (Q15) or `tcbType` (Q2), or a level that is
/// listed twice (Q3). The rules are in `docs/conformance.md`.
///
/// The levels must be sorted, so that equal levels are neighbours.
fn fault(tcb_info: &TcbInfo) -> Option<String> {
    if tcb_info.version != 3 {
        return Some(format!("its TCB info has the version {}, expected 3", tcb_info.version));
    }
    if tcb_info.tcb_type != 0 {
        return Some(format!("its TCB info has the tcbType {}, expected 0", tcb_info.tcb_type));
    }
    // Only the SGX components decide for SGX, whatever else a level contains.
    let is_tdx = is_tdx(tcb_info);
    let twice = tcb_info.tcb_levels.iter().zip(tcb_info.tcb_levels.iter().skip(1)).any(|(one, next)| {
        let (one, next) = (&one.tcb, &next.tcb);
        one.sgx_components == next.sgx_components
            && one.pce_svn == next.pce_svn
            && (!is_tdx || one.tdx_components == next.tdx_components)
    });
    twice.then(|| "its TCB info lists a level twice".to_owned())
}

fn is_tdx(tcb_info: &TcbInfo) -> bool {
    tcb_info.id == "TDX"
}
