//! A simulated platform, and verdicts on its quotes.

use crate::any_identity;
use tcs_evidence::Evidence;
use tcs_sgx_sim::{CollateralOptions, Enclave, Options, Platform, QuoteShape, Td, Tee};
use tcs_verifier::{Collateral, Error, Policy, TrustAnchor, Verdict, verify};

pub const NOW: i64 = 1_795_000_000;
pub const DAY: i64 = 86_400;

/// ATTRIBUTES of an enclave that is not in debug mode: INIT, MODE64BIT.
pub const PRODUCTION: u64 = 0x05;
/// `SEPT_VE_DISABLE` only.
pub const TD_PRODUCTION: u64 = 1 << 28;

pub struct Fixture {
    pub platform: Platform,
    pub trust: TrustAnchor,
}

impl Fixture {
    pub fn new() -> Self {
        Self::with(&Options::default())
    }

    pub fn with(options: &Options) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let platform = Platform::create_with(&dir.path().join("platform"), NOW, options).unwrap();
        let trust = TrustAnchor::simulated(platform.root_certificate()).unwrap();
        Self { platform, trust }
    }

    /// The JSON of the collateral.
    pub fn json(&self, tee: Tee, options: &CollateralOptions) -> String {
        self.platform.collateral(NOW, tee, options).unwrap().to_json()
    }

    pub fn collateral(&self, tee: Tee, options: &CollateralOptions) -> Result<Collateral, Error> {
        Collateral::from_json(self.json(tee, options).as_bytes())
    }

    pub fn sgx(&self, enclave: &Enclave) -> Evidence {
        self.shaped(enclave, &QuoteShape::default())
    }

    pub fn shaped(&self, enclave: &Enclave, shape: &QuoteShape) -> Evidence {
        Evidence::SgxQuote(self.platform.sgx_quote_shaped(enclave, shape).unwrap())
    }

    pub fn td(&self, td: &Td) -> Evidence {
        Evidence::TdxQuote(self.platform.td_quote(td).unwrap())
    }

    /// Valid evidence and collateral with these differences; any identity.
    pub fn with_collateral(&self, options: &CollateralOptions) -> Verdict {
        let collateral = self.collateral(Tee::Sgx, options).unwrap();
        self.appraise(&self.sgx(&production()), &collateral, &any_identity())
    }

    /// This evidence with valid collateral.
    pub fn with_policy(&self, evidence: &Evidence, policy: &Policy) -> Verdict {
        let tee = if matches!(evidence, Evidence::TdxQuote(_)) { Tee::Tdx } else { Tee::Sgx };
        let collateral = self.collateral(tee, &CollateralOptions::default()).unwrap();
        self.appraise(evidence, &collateral, policy)
    }

    pub fn appraise(&self, evidence: &Evidence, collateral: &Collateral, policy: &Policy) -> Verdict {
        verify(evidence, collateral, &self.trust, policy, NOW)
    }
}

/// An enclave that is not in debug mode.
pub fn production() -> Enclave {
    Enclave { flags: PRODUCTION, mrenclave: [7; 32], report_data: [9; 64], ..Enclave::default() }
}

/// A trust domain that is not in debug mode.
pub fn trust_domain() -> Td {
    Td { td_attributes: TD_PRODUCTION, report_data: [9; 64], ..Td::default() }
}
