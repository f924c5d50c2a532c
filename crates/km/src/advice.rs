//! What a key owner should do about a TCB status or a refusal of the verifier. The verifier itself knows
//! neither the options of the tools nor the keys of the policy file; they are named here.

use std::borrow::Cow;
use tcs_verifier::{Error, Lacking, TcbStatus};

/// What to do about a TCB status, in a short clause.
#[must_use]
pub fn for_status(status: TcbStatus) -> &'static str {
    match status {
        TcbStatus::UpToDate => "nothing",
        TcbStatus::SwHardeningNeeded => {
            "make sure that the enclave is hardened against each advisory, then list them in [tcb] \
             accepted_advisories"
        }
        TcbStatus::ConfigurationNeeded => {
            "have the machine's BIOS set as its advisories say (often: hyper-threading off), or accept the \
             status in [tcb] accepted_statuses"
        }
        TcbStatus::ConfigurationAndSwHardeningNeeded => {
            "have the machine's BIOS set as its advisories say, or accept the status in [tcb] \
             accepted_statuses with every advisory in accepted_advisories"
        }
        TcbStatus::OutOfDate => {
            "have the machine's microcode and firmware updated; until then accept it only with both [tcb] \
             accepted_statuses and min_tcb_date"
        }
        TcbStatus::OutOfDateConfigurationNeeded => {
            "have the machine updated and its BIOS set as the advisories say; until then accept it only with \
             both [tcb] accepted_statuses and min_tcb_date"
        }
        TcbStatus::TdRelaunchAdvised => {
            "start the trust domain again on this machine, which is up to date, and attest again"
        }
        TcbStatus::TdRelaunchAdvisedConfigurationNeeded => {
            "have the machine's BIOS set as its advisories say, start the trust domain again and attest again"
        }
        TcbStatus::Revoked => {
            "do not wrap a key for it: Intel has revoked the machine's keys, and no setting accepts that"
        }
    }
}

/// What to do about a refusal, in a short clause.
#[must_use]
pub fn for_refusal(refusal: &Error) -> Cow<'static, str> {
    let text = match refusal {
        Error::TcbStatusRefused { lacking: Lacking::Advisories { missing, accepted }, .. } => {
            return accept_advisories(missing, accepted).into();
        }
        Error::TcbStatusRefused { lacking: Lacking::NamedAdvisory, .. } => {
            "get current collateral; no setting accepts this status without a named advisory"
        }
        Error::TcbStatusRefused { lacking: Lacking::MinimumDate, .. } => "set [tcb] min_tcb_date as well",
        Error::QuoteMalformed(_) => {
            "get the quote again: spec.quote of the QuoteAttestation after one base64 decoding"
        }
        Error::UntrustedRoot(_) => {
            "do not trust this quote: it is simulated or forged, or the collateral is not Intel's"
        }
        Error::TrustRootUnusable(_) => {
            "give [simulation] root the file public/root.der of the simulated platform"
        }
        Error::Revoked(_) => for_status(TcbStatus::Revoked),
        Error::DebugEnclave(_) => {
            "do not wrap a key for it: have the production build deployed; no setting accepts debug mode, although \
             Intel's library does"
        }
        Error::TrustDomainRefused(_) => {
            "do not wrap a key for it: no setting accepts this; Intel's library leaves attributes and service TDs to \
             you"
        }
        Error::TcbLevelNotSupported(_) => {
            "do not wrap a key for it: have the machine updated; Intel supports no level this old"
        }
        Error::BindingMismatch => {
            "fetch key and quote again from the same QuoteAttestation; if this fails again, someone has changed one \
             of them"
        }
        Error::CollateralMalformed(_) | Error::CollateralMismatch(_) => {
            "get the collateral of this platform again"
        }
        Error::CollateralExpired { .. } => "get current collateral, and check this machine's clock",
        Error::CollateralNotYetValid { .. } => "check this machine's clock",
        Error::TcbStatusRefused { status, .. } => for_status(*status),
        Error::TcbDateTooOld { .. } => {
            "have the machine updated; its TCB level is older than [tcb] min_tcb_date"
        }
        Error::EvaluationNumberTooLow { .. } => {
            "get current collateral: this is older than [tcb] min_evaluation_number"
        }
        Error::NoIdentityConfigured => {
            "name the enclave that you trust in the policy file (--policy): [[identity]] mrenclave = \
             \"HEX\"; km-attest policy new --from-quote writes one that you can compare"
        }
        Error::IdentityMismatch(_) => {
            "do not wrap a key for it, unless the release's published values say that it is this one: then \
             add it as [[identity]]"
        }
        Error::AttributesRefused { .. } => {
            "do not wrap a key for it, unless you know why it has these attributes: then set value and mask \
             in [sgx] or [tdx]"
        }
        Error::TdModuleRefused { .. } => {
            "do not wrap a key for it, unless Intel published this TDX module: then add it to [tdx] mr_seams"
        }
        Error::PlatformUnknown { .. } => {
            "do not wrap a key for it, unless this machine is yours: then add it to [platform] ppids or \
             instance_ids"
        }
        Error::FmspcRefused { .. } => {
            "do not wrap a key for it, unless machines of this family are yours: then add it to [platform] \
             fmspcs"
        }
        // The evidence is not genuine. A refusal that this version does not know is treated in the same way.
        _ => "do not wrap a key for it",
    };
    Cow::Borrowed(text)
}

/// The line of the policy file that accepts the missing advisories, too.
fn accept_advisories(missing: &[String], accepted: &[String]) -> String {
    let all: Vec<String> = accepted.iter().chain(missing).map(|id| format!("{id:?}")).collect();
    format!(
        "if {} does no harm here, or the enclave is hardened against it, write in section [tcb] of the policy file: \
         accepted_advisories = [{}]",
        missing.join(", "),
        all.join(", ")
    )
}
