//! Copies of collateral on disk, which are used for as long as the collateral itself is valid.

use super::error::Error;
use super::platform::PlatformKey;
use super::service::Service;
use crate::files::{read_limited, replace};
use aws_lc_rs::digest::{SHA256, digest};
use std::fs::DirBuilder;
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
    /// The copy in `folder` of the service's collateral for this platform. It can be used for at most
    /// `hours`.
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

    /// The copy, as JSON and parsed, if it exists, is not older than the settings allow, and all its parts
    /// are valid at `now` (Unix seconds). Otherwise the collateral has to be fetched from the service.
    pub fn read(&self, now: i64) -> Option<(Vec<u8>, Collateral)> {
        let now = u64::try_from(now).ok()?;
        let written = std::fs::metadata(&self.path).ok()?.modified().ok()?;
        let age = now.checked_sub(written.duration_since(UNIX_EPOCH).ok()?.as_secs())?;
        if age >= self.hours.saturating_mul(3600) {
            return None;
        }
        let limit = u64::try_from(MAX_COLLATERAL).unwrap_or(u64::MAX);
        let json = read_limited(&self.path, limit).ok()?;
        let collateral = Collateral::from_json(&json).ok()?;
        let validity = collateral.validity();
        (validity.not_before <= now && now <= validity.not_after).then_some((json, collateral))
    }

    /// The file, for messages.
    pub fn source(&self) -> String {
        format!("{} (cache)", self.path.display())
    }

    /// Replaces the copy as a whole. Nobody but the user can read the directory.
    pub fn write(&self, json: &[u8]) -> Result<(), Error> {
        let failed =
            |cause: std::io::Error| Error::Unwritable { path: self.path.clone(), cause: cause.to_string() };
        let folder = self.path.parent().unwrap_or(Path::new("."));
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
        replace(&self.path, json).map_err(failed)
    }
}
