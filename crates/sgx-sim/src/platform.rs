//! The platform, and everything that it can make.

use crate::certificates::Certificates;
use crate::collateral::{Collateral, CollateralOptions, TcbLevel};
use crate::error::Error;
use crate::folder;
use crate::key::Keys;
use crate::options::Options;
use crate::parts::PlatformParts;
use crate::quote::{self, Enclave, QuoteShape, Td};
use crate::tee::Tee;
use std::path::Path;

/// A simulated platform.
pub struct Platform(PlatformParts);

impl Platform {
    /// Makes a valid platform in `dir`, which must not exist or be empty. `now`: Unix seconds.
    pub fn create(dir: &Path, now: i64) -> Result<Self, Error> {
        Self::create_with(dir, now, &Options::default())
    }

    /// Makes a platform that differs from a valid one.
    pub fn create_with(dir: &Path, now: i64, options: &Options) -> Result<Self, Error> {
        let keys = Keys::make()?;
        let certificates = Certificates::make(&keys, now, options)?;
        let sealing_secret = folder::sealing_secret()?;
        let platform = Self(PlatformParts { options: options.clone(), keys, certificates, sealing_secret });
        let validity = CollateralOptions::valid_for_days(options.collateral_days);
        let collateral = platform.collateral(now, Tee::Sgx, &validity)?;
        folder::prepare(dir)?;
        folder::write(dir, &platform.0)?;
        folder::write_public(dir, "collateral.json", collateral.to_json().as_bytes())?;
        Ok(platform)
    }

    /// Opens a platform that was made before.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        folder::read(dir).map(Self)
    }

    /// The options with which the platform was made.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.0.options
    }

    /// The root certificate, DER.
    #[must_use]
    pub fn root_certificate(&self) -> &[u8] {
        &self.0.certificates.root_der
    }

    /// The certificates in a quote: PCK certificate, PCK CA, root, in PEM.
    #[must_use]
    pub fn pck_chain(&self) -> String {
        self.0.pck_chain()
    }

    /// The only TCB level that the platform meets exactly, with the status and advisories of its [`Options`].
    /// `tdx_components` are those of a default [`Td`].
    #[must_use]
    pub fn tcb_level(&self) -> TcbLevel {
        TcbLevel::of(&self.0.options)
    }

    /// New collateral for this platform, issued around `now` (Unix seconds).
    pub fn collateral(&self, now: i64, tee: Tee, options: &CollateralOptions) -> Result<Collateral, Error> {
        Collateral::issue(&self.0, now, tee, options)
    }

    /// The TCB signer's signature (r ‖ s, 64 bytes) over any text in place of TCB info.
    pub fn sign_tcb_info(&self, text: &str) -> Result<Vec<u8>, Error> {
        self.0.keys.tcb_signer.sign(text.as_bytes())
    }

    /// The TCB signer's signature (r ‖ s, 64 bytes) over any text in place of a QE identity.
    pub fn sign_qe_identity(&self, text: &str) -> Result<Vec<u8>, Error> {
        self.0.keys.tcb_signer.sign(text.as_bytes())
    }

    /// The PCK's signature (r ‖ s, 64 bytes), for bytes that it should never sign.
    pub fn sign_by_pck(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        self.0.keys.pck.sign(message)
    }

    /// A raw quote (version 3) of the simulated enclave with this measurement. The application chooses
    /// `report_data`.
    pub fn quote(&self, mrenclave: [u8; 32], report_data: [u8; 64]) -> Result<Vec<u8>, Error> {
        self.sgx_quote(&Enclave { mrenclave, report_data, ..Enclave::default() })
    }

    /// A raw quote (version 3) of an enclave.
    pub fn sgx_quote(&self, enclave: &Enclave) -> Result<Vec<u8>, Error> {
        self.sgx_quote_shaped(enclave, &QuoteShape::default())
    }

    /// A quote of an enclave that differs from a well-formed one.
    pub fn sgx_quote_shaped(&self, enclave: &Enclave, shape: &QuoteShape) -> Result<Vec<u8>, Error> {
        quote::of_enclave(&self.0, enclave, shape)
    }

    /// A raw quote (version 4 or 5) of a trust domain.
    pub fn td_quote(&self, td: &Td) -> Result<Vec<u8>, Error> {
        self.td_quote_shaped(td, &QuoteShape::default())
    }

    /// A quote of a trust domain that differs from a well-formed one.
    pub fn td_quote_shaped(&self, td: &Td, shape: &QuoteShape) -> Result<Vec<u8>, Error> {
        quote::of_td(&self.0, td, shape)
    }

    /// The secret from which a simulated processor would derive sealing keys, 32 bytes.
    #[must_use]
    pub fn sealing_secret(&self) -> &[u8] {
        &self.0.sealing_secret
    }
}
