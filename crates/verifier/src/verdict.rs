//! What a verified quote says.

use tcs_evidence::SgxQuoteV3;

/// The state of the platform and its quoting enclave, as Intel judges it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TcbStatus {
    /// The latest level.
    UpToDate,
    /// The latest level, but enclaves must be hardened against the advisories.
    SwHardeningNeeded,
    /// The platform's configuration must be changed.
    ConfigurationNeeded,
    /// Both of the above.
    ConfigurationAndSwHardeningNeeded,
    /// The platform must be patched.
    OutOfDate,
    /// The platform must be patched and its configuration changed.
    OutOfDateConfigurationNeeded,
    /// Revoked, or a state that SGX quotes do not have.
    Other,
}

impl TcbStatus {
    /// The name in Intel's TCB info.
    #[must_use]
    pub fn intel_name(self) -> &'static str {
        match self {
            Self::UpToDate => "UpToDate",
            Self::SwHardeningNeeded => "SWHardeningNeeded",
            Self::ConfigurationNeeded => "ConfigurationNeeded",
            Self::ConfigurationAndSwHardeningNeeded => "ConfigurationAndSWHardeningNeeded",
            Self::OutOfDate => "OutOfDate",
            Self::OutOfDateConfigurationNeeded => "OutOfDateConfigurationNeeded",
            Self::Other => "unknown",
        }
    }

    /// The name of the result in Intel's `sgx_qve_header.h`.
    #[must_use]
    pub fn result_name(self) -> &'static str {
        match self {
            Self::UpToDate => "SGX_QL_QV_RESULT_OK",
            Self::SwHardeningNeeded => "SGX_QL_QV_RESULT_SW_HARDENING_NEEDED",
            Self::ConfigurationNeeded => "SGX_QL_QV_RESULT_CONFIG_NEEDED",
            Self::ConfigurationAndSwHardeningNeeded => "SGX_QL_QV_RESULT_CONFIG_AND_SW_HARDENING_NEEDED",
            Self::OutOfDate => "SGX_QL_QV_RESULT_OUT_OF_DATE",
            Self::OutOfDateConfigurationNeeded => "SGX_QL_QV_RESULT_OUT_OF_DATE_CONFIG_NEEDED",
            Self::Other => "SGX_QL_QV_RESULT_UNSPECIFIED",
        }
    }

    /// One sentence for people; that of [`Self::UpToDate`] is the original km-attest's.
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
            Self::Other => "Quote is correct, the state of the platform is not known.",
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
            Dcap::Revoked | Dcap::TDRelaunchAdvised | Dcap::TDRelaunchAdvisedConfigurationNeeded => {
                Self::Other
            }
        }
    }
}

/// Which enclave made the quote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// MRENCLAVE: measurement of the enclave.
    pub mrenclave: [u8; 32],
    /// MRSIGNER: SHA-256 of its signer's key.
    pub mrsigner: [u8; 32],
    /// ISVPRODID: product id, set by the signer.
    pub isv_prod_id: u16,
    /// ISVSVN: security version, set by the signer.
    pub isv_svn: u16,
    /// Debug mode; true under a simulated root only.
    pub debug: bool,
}

impl From<&SgxQuoteV3<'_>> for Identity {
    fn from(quote: &SgxQuoteV3<'_>) -> Self {
        Self {
            mrenclave: quote.mrenclave(),
            mrsigner: quote.mrsigner(),
            isv_prod_id: quote.isv_prod_id(),
            isv_svn: quote.isv_svn(),
            debug: quote.is_debug(),
        }
    }
}

/// Evidence that was verified and accepted by the policy (RFC 9334: attestation result).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// State of the platform.
    pub status: TcbStatus,
    /// Advisories that apply to the platform or its quoting enclave.
    pub advisory_ids: Vec<String>,
    /// The enclave.
    pub identity: Identity,
    /// `report_data`, to be judged by [`crate::check_binding`].
    pub report_data: [u8; 64],
    /// This verification holds before this second (Unix time); collateral must be refreshed by then.
    pub valid_until: u64,
    /// Under a simulated root: **no protection**; every surface must say so.
    pub simulated: bool,
}
