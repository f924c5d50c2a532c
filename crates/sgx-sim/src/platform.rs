//! The platform: keys, certificates and what it was made with.

use crate::certificates::Certificates;
use crate::key::Keys;
use crate::quote::{self, Enclave, QuoteShape, Td};
use crate::{Collateral, CollateralOptions, Error, Options, TcbLevel, Tee, folder};
use std::path::Path;
use zeroize::Zeroizing;

/// A platform: what the simulated processor and its quoting enclaves know, and what the simulated Intel knows about it.
pub struct Platform {
    pub(crate) options: Options,
    pub(crate) keys: Keys,
    pub(crate) certificates: Certificates,
    pub(crate) sealing_secret: Zeroizing<Vec<u8>>,
}

impl Platform {
    /// Makes a healthy platform in `dir`, which must be absent or empty. `now`: Unix seconds.
    pub fn create(dir: &Path, now: i64) -> Result<Self, Error> {
        Self::create_with(dir, now, &Options::default())
    }

    /// Makes a platform that differs from a healthy one.
    pub fn create_with(dir: &Path, now: i64, options: &Options) -> Result<Self, Error> {
        let keys = Keys::make()?;
        let certificates = Certificates::make(&keys, now, options)?;
        let sealing_secret = folder::sealing_secret()?;
        let platform = Self { options: options.clone(), keys, certificates, sealing_secret };
        let lasting = CollateralOptions::lasting(options.collateral_days);
        let collateral = platform.collateral(now, Tee::Sgx, &lasting)?;
        folder::prepare(dir)?;
        folder::write(dir, &platform)?;
        folder::write_public(dir, "collateral.json", collateral.to_json().as_bytes())?;
        Ok(platform)
    }

    /// Opens a platform that was made before; it outlives the processes that use it.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        folder::read(dir)
    }

    /// What the platform was made with.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// The root certificate, DER.
    #[must_use]
    pub fn root_certificate(&self) -> &[u8] {
        &self.certificates.root_der
    }

    /// What a quote carries: PCK certificate, PCK CA, root, in PEM.
    #[must_use]
    pub fn pck_chain(&self) -> String {
        self.certificates.pck.clone() + &self.certificates.pck_crl_chain()
    }

    /// The one TCB level that the platform meets exactly, with the status and advisories of its [`Options`].
    /// `tdx_components` are those of a default [`Td`].
    #[must_use]
    pub fn tcb_level(&self) -> TcbLevel {
        TcbLevel {
            components: self.options.cpu_svn,
            pce_svn: self.options.pce_svn,
            status: self.options.tcb_status.clone(),
            advisories: self.options.advisories.clone(),
            ..TcbLevel::default()
        }
    }

    /// New collateral for this platform, issued around `now` (Unix seconds).
    pub fn collateral(&self, now: i64, tee: Tee, options: &CollateralOptions) -> Result<Collateral, Error> {
        Collateral::issue(self, now, tee, options)
    }

    /// The TCB signer's signature (r ‖ s, 64 bytes) over a TCB info of any wording.
    pub fn sign_tcb_info(&self, text: &str) -> Result<Vec<u8>, Error> {
        self.keys.tcb_signer.sign(text.as_bytes())
    }

    /// The TCB signer's signature (r ‖ s, 64 bytes) over a QE identity of any wording.
    pub fn sign_qe_identity(&self, text: &str) -> Result<Vec<u8>, Error> {
        self.keys.tcb_signer.sign(text.as_bytes())
    }

    /// The PCK's signature (r ‖ s, 64 bytes), for what it should never sign.
    pub fn sign_by_pck(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        self.keys.pck.sign(message)
    }

    /// A raw quote (version 3) over the simulated enclave with this measurement. `report_data` is the application's.
    pub fn quote(&self, mrenclave: [u8; 32], report_data: [u8; 64]) -> Result<Vec<u8>, Error> {
        self.sgx_quote(&Enclave { mrenclave, report_data, ..Enclave::default() })
    }

    /// A raw quote (version 3) over an enclave.
    pub fn sgx_quote(&self, enclave: &Enclave) -> Result<Vec<u8>, Error> {
        self.sgx_quote_shaped(enclave, &QuoteShape::default())
    }

    /// A quote over an enclave that differs from a well-formed one.
    pub fn sgx_quote_shaped(&self, enclave: &Enclave, shape: &QuoteShape) -> Result<Vec<u8>, Error> {
        quote::of_enclave(self, enclave, shape)
    }

    /// A raw quote (version 4 or 5) over a trust domain.
    pub fn td_quote(&self, td: &Td) -> Result<Vec<u8>, Error> {
        self.td_quote_shaped(td, &QuoteShape::default())
    }

    /// A quote over a trust domain that differs from a well-formed one.
    pub fn td_quote_shaped(&self, td: &Td, shape: &QuoteShape) -> Result<Vec<u8>, Error> {
        quote::of_td(self, td, shape)
    }

    /// What a simulated processor would derive sealing keys from, 32 bytes.
    #[must_use]
    pub fn sealing_secret(&self) -> &[u8] {
        &self.sealing_secret
    }
}
