//! Files: read as a whole up to a maximum length, and written as a whole.

use std::fs::{File, OpenOptions};
use std::io::{Error, Read as _, Result, Write as _};
use std::path::Path;
use tempfile::NamedTempFile;
use zeroize::Zeroizing;

/// Reads a file of at most `limit` bytes.
pub fn read_limited(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > limit {
        return Err(Error::other(format!("longer than {limit} bytes")));
    }
    Ok(bytes)
}

/// Reads a file of at most `limit` bytes into memory that is wiped.
pub fn read_secret(path: &Path, limit: usize) -> Result<Zeroizing<Vec<u8>>> {
    let too_long = || Error::other(format!("it is longer than {limit} bytes"));
    let most = u64::try_from(limit).map_err(|_| too_long())?.saturating_add(1);
    // The buffer is reserved at once, because a growing buffer leaves copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(limit.saturating_add(64)));
    File::open(path)?.take(most).read_to_end(&mut bytes)?;
    if bytes.len() > limit { Err(too_long()) } else { Ok(bytes) }
}

/// Writes a file that must not exist yet.
pub fn write_new(path: &Path, bytes: &[u8]) -> Result<()> {
    OpenOptions::new().write(true).create_new(true).open(path)?.write_all(bytes)
}

/// Replaces a file as a whole: the new file, of mode 0600, is written beside the old one and then takes its
/// place.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}
