//! Collateral on disk, for as long as it says itself that it holds.

use super::platform::PlatformKey;
use super::settings::Service;
use super::{Error, Obtained};
use aws_lc_rs::digest::{SHA256, digest};
use std::fs::DirBuilder;
use std::io::Write as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;
use tcs_verifier::{Collateral, MAX_COLLATERAL};

/// The copy of one service's collateral for one platform.
#[derive(Clone, Debug)]
pub struct Cache {
    path: PathBuf,
    hours: u64,
}

impl Cache {
    pub fn new(folder: &Path, service: &Service, key: PlatformKey, hours: u64) -> Self {
        let base = hex::encode(digest(&SHA256, service.base.as_bytes()));
        let name = format!(
            "{}-{}-{}-{}-{}.json",
            key.tee.name(),
            key.ca.name(),
            hex::encode(key.fmspc),
            service.update.name(),
            base.get(..16).unwrap_or_default()
        );
        Self { path: folder.join(name), hours }
    }

    /// The copy, if there is one, it is not older than the settings allow, and all its parts are within their windows at
    /// `now`. Anything else means that the service is asked again.
    pub fn read(&self, now: i64) -> Option<Obtained> {
        let now = u64::try_from(now).ok()?;
        let written = std::fs::metadata(&self.path).ok()?.modified().ok()?;
        let age = now.checked_sub(written.duration_since(UNIX_EPOCH).ok()?.as_secs())?;
        if age >= self.hours.saturating_mul(3600) {
            return None;
        }
        let limit = u64::try_from(MAX_COLLATERAL).unwrap_or(u64::MAX);
        let json = crate::files::read_limited(&self.path, limit).ok()?;
        let collateral = Collateral::from_json(&json).ok()?;
        let (from, until) = collateral.window();
        let source = format!("{} (cache)", self.path.display());
        (from <= now && now <= until).then_some(Obtained { json, collateral, source, cache: None })
    }

    /// Replaces the copy as a whole; nobody but the user can read the folder.
    pub fn write(&self, json: &[u8]) -> Result<(), Error> {
        let failed =
            |cause: std::io::Error| Error::Unwritable { path: self.path.clone(), cause: cause.to_string() };
        let folder = self.path.parent().unwrap_or(Path::new("."));
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
        replace(&self.path, json).map_err(failed)
    }
}

/// Writes a file of mode 0600 beside the old one and puts it in its place.
pub fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}
