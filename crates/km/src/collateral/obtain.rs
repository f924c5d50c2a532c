//! Gets the collateral of a platform from the source that the settings name.

use super::error::Error;
use super::obtained::Obtained;
use super::pcs;
use super::platform::PlatformKey;
use super::settings::{Settings, Source};
use crate::files::{read_limited, replace};
use std::path::Path;
use std::time::Duration;
use tcs_verifier::{Collateral, MAX_COLLATERAL};

/// What the settings alone do not determine.
pub struct Obtain<'a> {
    /// Directory to which file names in the settings are relative.
    pub folder: &'a Path,
    /// Unix seconds, for the cache.
    pub now: i64,
    /// Whether a copy in the cache may be used.
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
                let limit = u64::try_from(MAX_COLLATERAL).unwrap_or(u64::MAX);
                let json = read_limited(&path, limit)
                    .map_err(|cause| Error::Unreadable { path: path.clone(), cause: cause.to_string() })?;
                let collateral = Collateral::from_json(&json).map_err(Error::Refused)?;
                Ok(Obtained {
                    json,
                    collateral,
                    source: path.display().to_string(),
                    warnings: Vec::new(),
                    is_copy: false,
                    cache: None,
                })
            }
            Source::Service(service) => {
                let cache = settings.cache(self.folder, &service, key);
                if let Some(cache) = cache.as_ref().filter(|_| self.copies)
                    && let Some((json, collateral)) = cache.read(self.now)
                {
                    let (source, warnings) = (cache.source(), service.warnings);
                    return Ok(Obtained { json, collateral, source, warnings, is_copy: true, cache: None });
                }
                Ok(Obtained { cache, ..pcs::fetch(&service, key, self.wait)? })
            }
        }
    }
}

/// Writes a bundle file. An existing file is replaced as a whole; anything else (`/dev/stdout`) is written
/// to.
pub fn write_bundle(path: &Path, json: &[u8]) -> Result<(), Error> {
    let written = match std::fs::metadata(path) {
        Ok(there) if !there.is_file() => std::fs::write(path, json),
        // The target of a link is replaced, so that the link stays.
        Ok(_) => std::fs::canonicalize(path).and_then(|path| replace(&path, json)),
        Err(_) => replace(path, json),
    };
    written.map_err(|cause| Error::Unwritable { path: path.to_owned(), cause: cause.to_string() })
}
