//! Where collateral comes from: a file, a PCCS, Intel's PCS, or the settings of an existing quote provider library
//! (quote-verification reference, section 7). `docs/collateral.md` is the user's side of it.
//!
//! Nothing here is trusted: what is fetched, cached or read is judged by `tcs_verifier` like everything else. Texts are
//! kept byte for byte, because signatures cover exactly those.

mod cache;
mod error;
mod http;
mod pcs;
mod platform;
mod qcnl;
mod settings;
mod state;

pub use error::Error;
pub use platform::{PlatformKey, Tee};
pub use settings::{Settings, Update};
pub use state::{Numbers, advance};

use cache::Cache;
use settings::Source;
use std::path::Path;
use std::time::Duration;
use tcs_verifier::{Collateral, MAX_COLLATERAL};

/// Collateral and where it came from.
#[derive(Clone, Debug)]
pub struct Obtained {
    /// In the JSON form that [`Collateral::from_json`] reads; also the form of a bundle file.
    pub json: Vec<u8>,
    /// The same, read. Nothing about it is verified.
    pub collateral: Collateral,
    /// A file, the address of a service, or both for a copy in the cache.
    pub source: String,
    /// Where a copy is to be kept.
    cache: Option<Cache>,
}

impl Obtained {
    /// Keeps a copy where the settings want one. Only of collateral that turned out to be genuine: else a service that was wrong once
    /// would stay wrong for as long as the copy holds.
    pub fn keep(&self) -> Result<(), Error> {
        self.cache.as_ref().map_or(Ok(()), |cache| cache.write(&self.json))
    }
}

/// What getting collateral needs from the world.
pub struct Obtain<'a> {
    /// Folder to which file names in the settings are relative.
    pub folder: &'a Path,
    /// Unix seconds, for the cache.
    pub now: i64,
    /// Whether a copy in the cache will do.
    pub copies: bool,
    /// Waits between two attempts.
    pub wait: &'a dyn Fn(Duration),
}

impl Obtain<'_> {
    /// Gets the collateral of a platform from where the settings say.
    ///
    /// The error names the file or address, what is wrong with it, and what to do without a network.
    pub fn get(&self, settings: &Settings, key: PlatformKey) -> Result<Obtained, Error> {
        match settings.source(self.folder)? {
            Source::File(path) => {
                let json =
                    crate::files::read_limited(&path, u64::try_from(MAX_COLLATERAL).unwrap_or(u64::MAX))
                        .map_err(|cause| Error::Unreadable {
                            path: path.clone(),
                            cause: cause.to_string(),
                        })?;
                let collateral = Collateral::from_json(&json).map_err(Error::Refused)?;
                Ok(Obtained { json, collateral, source: path.display().to_string(), cache: None })
            }
            Source::Service(service) => {
                let cache = settings.cache(self.folder, &service, key);
                let copy = cache.as_ref().filter(|_| self.copies).and_then(|cache| cache.read(self.now));
                if let Some(found) = copy {
                    return Ok(found);
                }
                Ok(Obtained { cache, ..pcs::fetch(&service, key, self.wait)? })
            }
        }
    }
}

/// Writes a bundle file; an old one is replaced as a whole, what is no file (`/dev/stdout`) is written to.
pub fn write_bundle(path: &Path, json: &[u8]) -> Result<(), Error> {
    let written = match std::fs::metadata(path) {
        Ok(there) if !there.is_file() => std::fs::write(path, json),
        // Through a link, so that the link stays one.
        Ok(_) => std::fs::canonicalize(path).and_then(|path| cache::replace(&path, json)),
        Err(_) => cache::replace(path, json),
    };
    written.map_err(|cause| Error::Unwritable { path: path.to_owned(), cause: cause.to_string() })
}
