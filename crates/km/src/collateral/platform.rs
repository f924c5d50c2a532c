//! The platform that collateral belongs to.

use tcs_verifier::{Inspection, PckCa, Workload};

/// The kind of TEE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tee {
    /// Intel SGX.
    Sgx,
    /// Intel TDX.
    Tdx,
}

impl Tee {
    /// `sgx` or `tdx`, as in the addresses of PCS and PCCS.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sgx => "sgx",
            Self::Tdx => "tdx",
        }
    }
}

/// Selects the collateral for a quote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlatformKey {
    /// Intel's CA that certified the platform.
    pub ca: PckCa,
    /// FMSPC, 6 bytes.
    pub fmspc: [u8; 6],
    /// The kind of TEE.
    pub tee: Tee,
}

impl PlatformKey {
    /// The platform that a quote names, unverified.
    #[must_use]
    pub fn of(inspection: &Inspection) -> Self {
        let tee = match inspection.workload {
            Workload::Enclave(_) => Tee::Sgx,
            Workload::TrustDomain(_) => Tee::Tdx,
        };
        Self { ca: inspection.platform.ca, fmspc: inspection.platform.fmspc, tee }
    }
}
