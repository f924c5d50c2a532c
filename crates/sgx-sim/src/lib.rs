//! A simulated SGX and TDX platform: a root, a PCK chain, quoting enclaves, CRLs, TCB info, QE identities and
//! quotes that an ordinary DCAP verifier accepts under that root and under no other. **It protects nothing**,
//! and says so in every name that it may choose. Quotes always carry `SIMULATION NOT A TEE` in the header,
//! and the debug bit unless a test requests otherwise.
//!
//! A platform is a directory, made once by [`Platform::create`]:
//!
//! | Path | What |
//! |---|---|
//! | `public/root.der`, `public/root.pem` | the root certificate, for key owners |
//! | `public/collateral.json` | TCB info, QE identity, both CRLs, their issuer chains (SGX), for key owners |
//! | `private/` (mode 0700) | keys (PKCS #8), certificates (PEM), the sealing secret, [`Options`] (JSON) |
//!
//! [`Options`] determine the platform, [`CollateralOptions`] the collateral, [`Enclave`] and [`Td`] what is
//! quoted, and [`QuoteShape`] how a quote is malformed. The `Default` of each is valid.
//!
//! Byte layouts are those of Intel's headers `sgx_quote_3.h` to `sgx_quote_5.h` and of the Intel SGX PCK
//! Certificate and CRL Profile Specification.
#![forbid(unsafe_code)]

mod certificates;
mod clock;
mod collateral;
mod error;
mod extension;
mod folder;
mod key;
mod names;
mod options;
mod parts;
mod platform;
mod quote;
mod tee;

pub use collateral::{
    Collateral, CollateralOptions, IsvTcbLevel, QeIdentity, Revoked, TcbLevel, TdxModule, TdxModuleIdentity,
    Validity,
};
pub use error::Error;
pub use options::{Names, Options, PckCa};
pub use platform::Platform;
pub use quote::{Enclave, QuoteShape, Td, TdVersion};
pub use tee::Tee;
