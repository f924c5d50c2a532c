//! What a key owner should do about a status or a refusal.

use crate::{Error, TcbStatus};

impl TcbStatus {
    /// What to do about it, in a few words.
    #[must_use]
    pub fn advice(self) -> &'static str {
        match self {
            Self::UpToDate => "nothing",
            Self::SwHardeningNeeded => {
                "make sure that the enclave is hardened against each advisory, then list them in [tcb] accepted_advisories"
            }
            Self::ConfigurationNeeded => {
                "have the machine's BIOS set as its advisories say (often: hyper-threading off), or accept the status in [tcb] accepted_statuses"
            }
            Self::ConfigurationAndSwHardeningNeeded => {
                "have the machine's BIOS set as its advisories say, or accept the status in [tcb] accepted_statuses with every advisory in accepted_advisories"
            }
            Self::OutOfDate => {
                "have the machine's microcode and firmware updated; until then accept it only with [tcb] accepted_statuses and a floor min_tcb_date"
            }
            Self::OutOfDateConfigurationNeeded => {
                "have the machine updated and its BIOS set as the advisories say; until then accept it only with [tcb] accepted_statuses and a floor min_tcb_date"
            }
            Self::TdRelaunchAdvised => {
                "start the trust domain again on this machine, which is up to date, and attest again"
            }
            Self::TdRelaunchAdvisedConfigurationNeeded => {
                "have the machine's BIOS set as its advisories say, start the trust domain again and attest again"
            }
            Self::Revoked => {
                "do not wrap a key for it: Intel has revoked the machine's keys, and no setting accepts that"
            }
        }
    }
}

impl Error {
    /// What to do about it, in a few words; settings are named as in km-attest's policy file.
    #[must_use]
    pub fn advice(&self) -> &'static str {
        match self {
            Self::QuoteMalformed(_) => {
                "get the quote again: spec.quote of the QuoteAttestation after one base64 decoding"
            }
            Self::UntrustedRoot(_) => {
                "do not trust this quote: it is simulated or forged, or the collateral is not Intel's"
            }
            Self::TrustRootUnusable(_) => {
                "give [simulation] root the file public/root.der of the simulated platform"
            }
            Self::Revoked(_) => TcbStatus::Revoked.advice(),
            Self::SignatureInvalid(_)
            | Self::QuotingEnclaveRefused(_)
            | Self::TrustDomainRefused(_)
            | Self::QuoteRefused(_) => "do not wrap a key for it",
            Self::DebugEnclave(_) => {
                "do not wrap a key for it: have the production build deployed; no setting accepts debug mode"
            }
            Self::TcbLevelNotSupported(_) => {
                "do not wrap a key for it: have the machine updated; Intel supports no level this old"
            }
            Self::BindingMismatch => {
                "fetch key and quote again from the same QuoteAttestation; if it stays, someone has changed one of them"
            }
            Self::CollateralMalformed(_) | Self::CollateralMismatch(_) => {
                "get the collateral of this platform again"
            }
            Self::CollateralExpired { .. } => "get current collateral, and check this machine's clock",
            Self::CollateralNotYetValid { .. } => "check this machine's clock",
            Self::TcbStatusRefused { status, .. } => status.advice(),
            Self::TcbDateTooOld { .. } => {
                "have the machine updated; its TCB level is older than [tcb] min_tcb_date"
            }
            Self::EvaluationNumberTooLow { .. } => {
                "get current collateral: this is older than [tcb] min_evaluation_number"
            }
            Self::NoIdentityConfigured => {
                "name the enclave that you trust in the policy file (--policy): [[identity]] mrenclave = \"HEX\"; km-attest policy new --from-quote writes one to compare"
            }
            Self::IdentityMismatch(_) => {
                "do not wrap a key for it, unless the release's published values say that it is this one: then add it as [[identity]]"
            }
            Self::AttributesRefused { .. } => {
                "do not wrap a key for it, unless you know why it has these attributes: then set value and mask in [sgx] or [tdx]"
            }
            Self::TdModuleRefused(_) => {
                "do not wrap a key for it, unless Intel published this TDX module: then add it to [tdx] mr_seams"
            }
            Self::PlatformUnknown { .. } => {
                "do not wrap a key for it, unless this machine is yours: then add it to [platform] ppids or instance_ids"
            }
            Self::FmspcRefused(_) => {
                "do not wrap a key for it, unless machines of this family are yours: then add it to [platform] fmspcs"
            }
        }
    }
}
