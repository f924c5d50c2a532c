//! States of a platform, as Intel's TCB info and quote verification library name them.

/// The state of a platform or of its quoting enclave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TcbStatus {
    /// The platform is at the latest level.
    UpToDate,
    /// The platform is at the latest level, but enclaves must be hardened against the advisories.
    SwHardeningNeeded,
    /// The platform's configuration must be changed.
    ConfigurationNeeded,
    /// Both of the above.
    ConfigurationAndSwHardeningNeeded,
    /// The platform must be patched.
    OutOfDate,
    /// The platform must be patched and its configuration changed.
    OutOfDateConfigurationNeeded,
    /// TDX: the TD was launched on an older level, but the platform is up to date now.
    TdRelaunchAdvised,
    /// TDX: as above, and the platform's configuration must be changed.
    TdRelaunchAdvisedConfigurationNeeded,
    /// The platform's keys are no longer trusted. Never acceptable, and never in the claims of a verified
    /// quote.
    Revoked,
}

impl TcbStatus {
    /// All statuses.
    pub const ALL: [Self; 9] = [
        Self::UpToDate,
        Self::SwHardeningNeeded,
        Self::ConfigurationNeeded,
        Self::ConfigurationAndSwHardeningNeeded,
        Self::OutOfDate,
        Self::OutOfDateConfigurationNeeded,
        Self::TdRelaunchAdvised,
        Self::TdRelaunchAdvisedConfigurationNeeded,
        Self::Revoked,
    ];

    /// The name in Intel's TCB info, which policies use too.
    #[must_use]
    pub fn intel_name(self) -> &'static str {
        match self {
            Self::UpToDate => "UpToDate",
            Self::SwHardeningNeeded => "SWHardeningNeeded",
            Self::ConfigurationNeeded => "ConfigurationNeeded",
            Self::ConfigurationAndSwHardeningNeeded => "ConfigurationAndSWHardeningNeeded",
            Self::OutOfDate => "OutOfDate",
            Self::OutOfDateConfigurationNeeded => "OutOfDateConfigurationNeeded",
            Self::TdRelaunchAdvised => "TDRelaunchAdvised",
            Self::TdRelaunchAdvisedConfigurationNeeded => "TDRelaunchAdvisedConfigurationNeeded",
            Self::Revoked => "Revoked",
        }
    }

    /// The status of this name in Intel's TCB info.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.intel_name() == name)
    }

    /// The result of Intel's library for this status.
    #[must_use]
    pub fn result(self) -> QvResult {
        match self {
            Self::UpToDate => QvResult::Ok,
            Self::SwHardeningNeeded => QvResult::SwHardeningNeeded,
            Self::ConfigurationNeeded => QvResult::ConfigNeeded,
            Self::ConfigurationAndSwHardeningNeeded => QvResult::ConfigAndSwHardeningNeeded,
            Self::OutOfDate => QvResult::OutOfDate,
            Self::OutOfDateConfigurationNeeded => QvResult::OutOfDateConfigNeeded,
            Self::TdRelaunchAdvised => QvResult::TdRelaunchAdvised,
            Self::TdRelaunchAdvisedConfigurationNeeded => QvResult::TdRelaunchAdvisedConfigNeeded,
            Self::Revoked => QvResult::Revoked,
        }
    }

    /// Whether the level is older than the platform's newest, which a minimum TCB date limits.
    pub(crate) fn is_out_of_date(self) -> bool {
        matches!(self, Self::OutOfDate | Self::OutOfDateConfigurationNeeded)
    }

    /// Whether enclaves must be hardened in software against the advisories that the level names.
    pub(crate) fn needs_hardening(self) -> bool {
        matches!(self, Self::SwHardeningNeeded | Self::ConfigurationAndSwHardeningNeeded)
    }

    /// One sentence for people. That of [`Self::UpToDate`] is the sentence of the original km-attest.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::UpToDate => "Quote is correct, platform contains latest TCB.",
            Self::SwHardeningNeeded => "Quote is correct, enclaves on the platform need software hardening.",
            Self::ConfigurationNeeded => "Quote is correct, platform needs another configuration.",
            Self::ConfigurationAndSwHardeningNeeded => {
                "Quote is correct, platform needs another configuration and its enclaves software hardening."
            }
            Self::OutOfDate => "Quote is correct, platform TCB is out of date.",
            Self::OutOfDateConfigurationNeeded => {
                "Quote is correct, platform TCB is out of date and needs another configuration."
            }
            Self::TdRelaunchAdvised => {
                "Quote is correct, the trust domain was launched on an older TCB and should be launched \
                 again."
            }
            Self::TdRelaunchAdvisedConfigurationNeeded => {
                "Quote is correct, the trust domain should be launched again and the platform needs another \
                 configuration."
            }
            Self::Revoked => "The platform is revoked.",
        }
    }
}

impl From<dcap_qvl::TcbStatus> for TcbStatus {
    fn from(status: dcap_qvl::TcbStatus) -> Self {
        use dcap_qvl::TcbStatus as Dcap;
        match status {
            Dcap::UpToDate => Self::UpToDate,
            Dcap::SWHardeningNeeded => Self::SwHardeningNeeded,
            Dcap::ConfigurationNeeded => Self::ConfigurationNeeded,
            Dcap::ConfigurationAndSWHardeningNeeded => Self::ConfigurationAndSwHardeningNeeded,
            Dcap::OutOfDate => Self::OutOfDate,
            Dcap::OutOfDateConfigurationNeeded => Self::OutOfDateConfigurationNeeded,
            Dcap::TDRelaunchAdvised => Self::TdRelaunchAdvised,
            Dcap::TDRelaunchAdvisedConfigurationNeeded => Self::TdRelaunchAdvisedConfigurationNeeded,
            Dcap::Revoked => Self::Revoked,
        }
    }
}

/// `sgx_ql_qv_result_t` of Intel's `sgx_qve_header.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QvResult {
    /// 0.
    Ok,
    /// 0xA001.
    ConfigNeeded,
    /// 0xA002.
    OutOfDate,
    /// 0xA003.
    OutOfDateConfigNeeded,
    /// 0xA004.
    InvalidSignature,
    /// 0xA005.
    Revoked,
    /// 0xA006.
    Unspecified,
    /// 0xA007.
    SwHardeningNeeded,
    /// 0xA008.
    ConfigAndSwHardeningNeeded,
    /// 0xA009.
    TdRelaunchAdvised,
    /// 0xA00A.
    TdRelaunchAdvisedConfigNeeded,
}

impl QvResult {
    /// Its name in Intel's header.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "SGX_QL_QV_RESULT_OK",
            Self::ConfigNeeded => "SGX_QL_QV_RESULT_CONFIG_NEEDED",
            Self::OutOfDate => "SGX_QL_QV_RESULT_OUT_OF_DATE",
            Self::OutOfDateConfigNeeded => "SGX_QL_QV_RESULT_OUT_OF_DATE_CONFIG_NEEDED",
            Self::InvalidSignature => "SGX_QL_QV_RESULT_INVALID_SIGNATURE",
            Self::Revoked => "SGX_QL_QV_RESULT_REVOKED",
            Self::Unspecified => "SGX_QL_QV_RESULT_UNSPECIFIED",
            Self::SwHardeningNeeded => "SGX_QL_QV_RESULT_SW_HARDENING_NEEDED",
            Self::ConfigAndSwHardeningNeeded => "SGX_QL_QV_RESULT_CONFIG_AND_SW_HARDENING_NEEDED",
            Self::TdRelaunchAdvised => "SGX_QL_QV_RESULT_TD_RELAUNCH_ADVISED",
            Self::TdRelaunchAdvisedConfigNeeded => "SGX_QL_QV_RESULT_TD_RELAUNCH_ADVISED_CONFIG_NEEDED",
        }
    }

    /// Its value in Intel's header.
    #[must_use]
    pub fn value(self) -> u16 {
        match self {
            Self::Ok => 0,
            Self::ConfigNeeded => 0xA001,
            Self::OutOfDate => 0xA002,
            Self::OutOfDateConfigNeeded => 0xA003,
            Self::InvalidSignature => 0xA004,
            Self::Revoked => 0xA005,
            Self::Unspecified => 0xA006,
            Self::SwHardeningNeeded => 0xA007,
            Self::ConfigAndSwHardeningNeeded => 0xA008,
            Self::TdRelaunchAdvised => 0xA009,
            Self::TdRelaunchAdvisedConfigNeeded => 0xA00A,
        }
    }

    /// Whether Intel's library calls the result terminal. A policy may accept every other result, and none of
    /// these.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::InvalidSignature | Self::Revoked | Self::Unspecified)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_are_those_of_intels_header() {
        let rows: Vec<_> = TcbStatus::ALL
            .iter()
            .map(|status| (status.intel_name(), status.result().value(), status.result().is_terminal()))
            .collect();
        assert_eq!(
            rows,
            [
                ("UpToDate", 0, false),
                ("SWHardeningNeeded", 0xA007, false),
                ("ConfigurationNeeded", 0xA001, false),
                ("ConfigurationAndSWHardeningNeeded", 0xA008, false),
                ("OutOfDate", 0xA002, false),
                ("OutOfDateConfigurationNeeded", 0xA003, false),
                ("TDRelaunchAdvised", 0xA009, false),
                ("TDRelaunchAdvisedConfigurationNeeded", 0xA00A, false),
                ("Revoked", 0xA005, true),
            ]
        );
        assert_eq!((QvResult::InvalidSignature.value(), QvResult::Unspecified.value()), (0xA004, 0xA006));
        assert!(QvResult::InvalidSignature.is_terminal() && QvResult::Unspecified.is_terminal());
        for status in TcbStatus::ALL {
            assert_eq!(TcbStatus::named(status.intel_name()), Some(status));
        }
        assert_eq!(TcbStatus::named("uptodate"), None);
    }

    /// docs/verification.md lists the sentences and names, which km-attest prints.
    #[test]
    fn sentences_and_names_of_results_are_those_of_the_page() {
        let page = include_str!("../../../docs/verification.md");
        for status in TcbStatus::ALL {
            let printed = if status.result().is_terminal() { "none" } else { status.text() };
            let value = format!("0x{:04X}", status.result().value());
            let row = format!("| `{}` | {value} | ", status.result().name());
            let row = page.lines().find(|line| line.contains(&row)).unwrap();
            assert!(row.starts_with(&format!("| {} | ", status.intel_name())), "{row}");
            assert!(row.contains(&format!(" | {printed} | ")), "{row}");
        }
        assert_eq!(TcbStatus::Revoked.text(), "The platform is revoked.");
        assert_eq!(QvResult::InvalidSignature.name(), "SGX_QL_QV_RESULT_INVALID_SIGNATURE");
        assert_eq!(QvResult::Unspecified.name(), "SGX_QL_QV_RESULT_UNSPECIFIED");
    }
}
