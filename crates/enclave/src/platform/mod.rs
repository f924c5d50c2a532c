//! Trusted execution environments: where evidence and sealing keys come from. The command line names the
//! platform; nothing falls back to another one.

use crate::Error;
use std::path::PathBuf;
use tcs_evidence::Evidence;
use zeroize::Zeroizing;

mod gramine;
#[cfg(feature = "simulation")]
mod simulation;

pub use gramine::Gramine;
#[cfg(feature = "simulation")]
pub use simulation::Simulation;

/// [`Evidence::kind`] of an SGX quote of version 3.
const SGX_QUOTE_V3: &str = "sgx-quote-v3";

/// A trusted execution environment, as far as the engine needs one.
pub trait TeePlatform: Send + Sync {
    /// The platform's name on the command line.
    fn name(&self) -> &'static str;

    /// The kind of evidence that it makes: [`Evidence::kind`].
    fn evidence_kind(&self) -> &'static str;

    /// How far it protects keys.
    fn assurance(&self) -> Assurance;

    /// Makes evidence over 64 bytes of the caller's choice (`report_data`).
    fn evidence(&self, report_data: &[u8; 64]) -> Result<Evidence, Error>;

    /// The key that this enclave seals with on this machine. `None`: the platform cannot seal.
    fn sealing_key(&self) -> Result<Option<SealingKey>, Error>;
}

/// How far a platform protects keys and enforces the policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Assurance {
    /// Keys and policy are inside a trusted execution environment.
    Enclave,
    /// Nothing is protected.
    Simulated,
}

impl Assurance {
    /// The name in `TCSIssuer.status.assurance` and on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Enclave => "enclave",
            Self::Simulated => "simulated",
        }
    }
}

/// A key that the platform gives to one enclave on one machine. It is the same after every start.
pub struct SealingKey {
    /// The key, 32 bytes.
    pub key: Zeroizing<[u8; 32]>,
    /// What the key is bound to: MRENCLAVE, 32 bytes.
    pub measurement: [u8; 32],
}

/// What the command line says about platforms. Each option belongs to one platform, and the others refuse it.
#[derive(Clone, Debug, Default)]
pub struct PlatformOptions {
    /// Folder of the simulated platform.
    pub folder: Option<PathBuf>,
}

/// Opens the platform of this name.
pub fn open(name: &str, options: &PlatformOptions) -> Result<Box<dyn TeePlatform>, Error> {
    match (name, &options.folder) {
        ("gramine", None) => Ok(Box::new(Gramine::new())),
        ("gramine", Some(_)) => Err(Error::PlatformFolderUnused("gramine")),
        ("simulation", folder) => open_simulation(folder.as_deref()),
        (other, _) => Err(Error::PlatformUnknown(other.to_owned())),
    }
}

#[cfg(feature = "simulation")]
fn open_simulation(folder: Option<&std::path::Path>) -> Result<Box<dyn TeePlatform>, Error> {
    let folder = folder.ok_or(Error::PlatformFolderMissing("simulation"))?;
    Ok(Box::new(Simulation::open(folder)?))
}

#[cfg(not(feature = "simulation"))]
fn open_simulation(_: Option<&std::path::Path>) -> Result<Box<dyn TeePlatform>, Error> {
    Err(Error::PlatformNotBuilt("simulation"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(name: &str, folder: Option<&str>) -> &'static str {
        open(name, &PlatformOptions { folder: folder.map(PathBuf::from) })
            .map_or_else(|error| error.code(), |platform| platform.name())
    }

    #[test]
    fn a_platform_is_what_was_named_or_an_error() {
        assert_eq!(code("gramine", None), "gramine");
        assert_eq!(code("gramine", Some("/x")), "PlatformFolderUnused");
        assert_eq!(code("", None), "PlatformUnknown");
        assert_eq!(code("sgx", None), "PlatformUnknown");
        let expected =
            if cfg!(feature = "simulation") { "PlatformFolderMissing" } else { "PlatformNotBuilt" };
        assert_eq!(code("simulation", None), expected);
    }
}
