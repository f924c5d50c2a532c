//! Where evidence comes from. Platforms are always named; nothing ever falls back to another one.

use crate::Error;
use std::path::Path;
use tcs_evidence::Evidence;
use zeroize::Zeroizing;

mod gramine;
#[cfg(feature = "simulation")]
mod simulation;

pub use gramine::Gramine;
#[cfg(feature = "simulation")]
pub use simulation::Simulation;

/// The names of all platforms, built in or not.
pub(crate) const KNOWN: &str = "gramine, simulation";

/// A trusted execution environment, as far as the engine needs one.
pub trait TeePlatform: Send + Sync {
    /// The platform by name, as on the command line.
    fn name(&self) -> &'static str;

    /// The kind of evidence it makes: [`Evidence::kind`].
    fn evidence_kind(&self) -> &'static str;

    /// True if the platform protects nothing.
    fn is_simulated(&self) -> bool;

    /// Makes evidence over 64 bytes of the caller's choice (`report_data`).
    fn evidence(&self, report_data: &[u8; 64]) -> Result<Evidence, Error>;

    /// What this platform gives this enclave alone to seal with; `None`: it cannot seal.
    fn sealing_key(&self) -> Result<Option<SealingKey>, Error>;
}

/// A key that the platform gives to one enclave on one machine, the same after every start.
pub struct SealingKey {
    /// The key, 32 bytes.
    pub key: Zeroizing<[u8; 32]>,
    /// What it is bound to: MRENCLAVE.
    pub measurement: [u8; 32],
}

/// Opens the platform of this name. `folder` is the simulated platform's and nobody else's.
pub fn open(name: &str, folder: Option<&Path>) -> Result<Box<dyn TeePlatform>, Error> {
    match (name, folder) {
        ("gramine", None) => Ok(Box::new(Gramine::new())),
        ("gramine", Some(_)) => Err(Error::PlatformFolderUnused("gramine")),
        ("simulation", folder) => open_simulation(folder),
        (other, _) => Err(Error::PlatformUnknown(other.to_owned())),
    }
}

#[cfg(feature = "simulation")]
fn open_simulation(folder: Option<&Path>) -> Result<Box<dyn TeePlatform>, Error> {
    let folder = folder.ok_or(Error::PlatformFolderMissing("simulation"))?;
    Ok(Box::new(Simulation::open(folder)?))
}

#[cfg(not(feature = "simulation"))]
fn open_simulation(_: Option<&Path>) -> Result<Box<dyn TeePlatform>, Error> {
    Err(Error::PlatformNotBuilt("simulation"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(name: &str, folder: Option<&str>) -> &'static str {
        open(name, folder.map(Path::new)).map_or_else(|error| error.code(), |platform| platform.name())
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
