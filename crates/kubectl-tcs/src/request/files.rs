//! The files of a request. The key is in a file of its own until the certificate is there, so that key and
//! certificate always fit together.

use super::key::NewKey;
use crate::command::is_plain;
use crate::error::Error;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// Where key and certificate are written.
pub struct Files {
    key: PathBuf,
    pending: PathBuf,
    certificate: PathBuf,
    force: bool,
}

impl Files {
    /// The files, none of which may exist unless they are to be replaced.
    pub fn check(key: &Path, certificate: &Path, force: bool) -> Result<Self, Error> {
        if key == certificate {
            return Err(Error::Usage("--key and --certificate name one file".to_owned()));
        }
        let mut pending = key.as_os_str().to_owned();
        pending.push(".pending");
        let files = Self { key: key.into(), pending: pending.into(), certificate: certificate.into(), force };
        let all = [&files.pending, &files.key, &files.certificate];
        let existing = all.into_iter().find(|path| path.symlink_metadata().is_ok()).cloned();
        match existing.filter(|_| !force) {
            Some(path) if path == files.pending => Err(Error::KeyPending(path)),
            Some(path) => Err(Error::FileExists(path)),
            None => Ok(files),
        }
    }

    /// Writes the key where it waits for the certificate; the path.
    pub fn write_key(&self, key: &NewKey) -> Result<&Path, Error> {
        write(&self.pending, key.pem().as_bytes(), self.force)?;
        Ok(&self.pending)
    }

    /// What to do with the key when the certificate comes later.
    pub fn later(&self, name: &str) -> String {
        let paths = [&self.pending, &self.key, &self.certificate].map(|path| path.display().to_string());
        let is_word = |path: &String| {
            !path.starts_with('-') && path.split('/').all(|part| part.is_empty() || is_plain(part))
        };
        let [pending, key, certificate] = &paths;
        if !paths.iter().all(is_word) {
            return format!(
                "the key is kept in {pending}: once kubectl tcs why csr {name} shows the certificate, move the key to its \
                 place and save the certificate beside it"
            );
        }
        format!(
            "mv {pending} {key} && kubectl get csr {name} -o jsonpath='{{.status.certificate}}' | base64 -d > \
             {certificate}   # once kubectl tcs why csr {name} says Issued: the key is kept until then"
        )
    }

    /// Removes the key of a request that was refused.
    pub fn forget_key(&self) {
        let _ = std::fs::remove_file(&self.pending);
    }

    /// Moves the key to its place and writes the certificate.
    pub fn complete(&self, certificate: &[u8]) -> Result<(), Error> {
        if !self.force && self.key.symlink_metadata().is_ok() {
            return Err(Error::FileExists(self.key.clone()));
        }
        std::fs::rename(&self.pending, &self.key).map_err(|cause| unwritable(&self.key, &cause))?;
        write(&self.certificate, certificate, self.force)
    }
}

/// Writes a file that only its owner may read, and that nobody sees half-written.
fn write(path: &Path, contents: &[u8], force: bool) -> Result<(), Error> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let write = || -> std::io::Result<NamedTempFile> {
        // Created with mode 0600.
        let mut file = NamedTempFile::new_in(folder)?;
        file.write_all(contents)?;
        file.as_file().sync_all()?;
        Ok(file)
    };
    let file = write().map_err(|cause| unwritable(path, &cause))?;
    let kept = if force { file.persist(path) } else { file.persist_noclobber(path) };
    match kept {
        Ok(_) => Ok(()),
        Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => {
            Err(Error::FileExists(path.to_owned()))
        }
        Err(error) => Err(unwritable(path, &error.error)),
    }
}

fn unwritable(path: &Path, cause: &std::io::Error) -> Error {
    Error::FileUnwritable { path: path.to_owned(), cause: cause.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::KeyChoice;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    fn files(folder: &Path, force: bool) -> Result<Files, Error> {
        Files::check(&folder.join("tls.key"), &folder.join("tls.crt"), force)
    }

    #[test]
    fn key_and_certificate_replace_others_together_and_only_with_force() {
        let folder = tempfile::tempdir().unwrap();
        let key = NewKey::generate(KeyChoice::EcdsaP256).unwrap();
        let first = files(folder.path(), false).unwrap();
        let pending = first.write_key(&key).unwrap().to_owned();
        assert_eq!(fs::metadata(&pending).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(files(folder.path(), false).err().unwrap().code(), "KeyPending");
        first.complete(b"certificate").unwrap();
        let path = folder.path().join("tls.key");
        let kept = fs::read(&path).unwrap();
        assert_eq!(kept, key.pem().as_bytes());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(files(folder.path(), false).err().unwrap().code(), "FileExists");

        let other = NewKey::generate(KeyChoice::EcdsaP256).unwrap();
        let second = files(folder.path(), true).unwrap();
        second.write_key(&other).unwrap();
        assert_eq!(fs::read(&path).unwrap(), kept, "the old key fits the old certificate");
        second.forget_key();
        assert!(!pending.exists());
        second.write_key(&other).unwrap();
        second.complete(b"another").unwrap();
        assert_eq!(fs::read(&path).unwrap(), other.pem().as_bytes());
        assert_eq!(fs::read(folder.path().join("tls.crt")).unwrap(), b"another");
    }

    #[test]
    fn a_file_that_appears_meanwhile_is_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let key = NewKey::generate(KeyChoice::EcdsaP256).unwrap();
        let files = files(folder.path(), false).unwrap();
        files.write_key(&key).unwrap();
        fs::write(folder.path().join("tls.key"), "mine").unwrap();
        assert_eq!(files.complete(b"certificate").unwrap_err().code(), "FileExists");
        assert_eq!(fs::read(folder.path().join("tls.key")).unwrap(), b"mine");
    }

    #[test]
    fn the_command_for_later_names_the_files_as_one_word_each() {
        let files = |key: &str| Files::check(Path::new(key), Path::new("no/tls.crt"), true).unwrap();
        let later = files("/no/a-b/tls.key").later("web");
        assert!(
            later.starts_with("mv /no/a-b/tls.key.pending /no/a-b/tls.key && kubectl get csr web "),
            "{later}"
        );
        for key in ["no/a b", "no/$(id)", "-no/a"] {
            assert!(files(key).later("web").starts_with("the key is kept in "), "{key}");
        }
    }

    #[test]
    fn one_file_for_both_is_refused() {
        assert_eq!(Files::check(Path::new("a"), Path::new("a"), true).err().unwrap().code(), "Usage");
    }
}
