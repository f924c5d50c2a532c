//! A simulated SGX and TDX platform: a root, a PCK chain, quoting enclaves, CRLs, TCB info, QE identities and
//! quotes that an ordinary DCAP verifier accepts under that root and under no other. **It protects nothing**,
//! and says so in every name it may choose; quotes carry the debug bit and `SIMULATION NOT A TEE` in the
//! header unless a test asks otherwise (the latter always).
//!
//! A platform is a folder, made once by [`Platform::create`]:
//!
//! | Path | What |
//! |---|---|
//! | `public/root.der`, `public/root.pem` | the root certificate, for key owners |
//! | `public/collateral.json` | TCB info, QE identity, both CRLs, their issuer chains (SGX), for key owners |
//! | `private/` (mode 0700) | keys (PKCS #8), certificates (PEM), the sealing secret, [`Options`] (JSON) |
//!
//! What a platform *is* stands in [`Options`], what collateral *says* in [`CollateralOptions`], what is
//! *quoted* in [`Enclave`] and [`Td`], and how a quote is *malformed* in [`QuoteShape`]; each `Default` is
//! healthy.
//!
//! Byte layouts are those of Intel's headers `sgx_quote_3.h` to `sgx_quote_5.h` and of the Intel SGX PCK
//! Certificate and CRL Profile Specification. What marks a simulated platform is in `docs/conformance.md`.
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
