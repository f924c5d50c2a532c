//! Trusted execution environments, which make evidence and sealing keys. The command line names the platform,
//! and nothing falls back to another one.

use crate::Error;
use std::path::PathBuf;

mod gramine;
#[cfg(feature = "simulation")]
mod simulation;
mod tee_platform;

pub use gramine::Gramine;
#[cfg(feature = "simulation")]
pub use simulation::Simulation;
pub use tee_platform::{Assurance, SealingKey, TeePlatform};

/// The names of all platforms, built in or not.
const PLATFORMS: &str = "gramine, simulation";

/// The options of platforms on the command line. Each option belongs to one platform, and the others refuse
/// it.
#[derive(Clone, Debug, Default)]
pub struct PlatformOptions {
    /// Directory of the simulated platform.
    pub folder: Option<PathBuf>,
}

/// Opens the platform of this name.
pub fn open(name: &str, options: &PlatformOptions) -> Result<Box<dyn TeePlatform>, Error> {
    match (name, &options.folder) {
        ("gramine", None) => Ok(Box::new(Gramine::new())),
        ("gramine", Some(_)) => Err(Error::PlatformFolderUnused("gramine")),
        ("simulation", folder) => open_simulation(folder.as_deref()),
        (other, _) => Err(Error::PlatformUnknown { name: other.to_owned(), known: PLATFORMS }),
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
