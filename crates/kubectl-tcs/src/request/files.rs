//! The files of a request. The key is written before the request exists, under a name that no other request
//! has. Key and certificate get their names at the end, one right after the other, so that they always fit
//! together.

use super::key::NewKey;
use crate::command::is_plain;
use crate::error::Error;
use std::fs;
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use tempfile::{NamedTempFile, TempPath};

/// Where key and certificate of one request are written.
pub struct Files {
    key: PathBuf,
    /// The key until the certificate is there.
    pending: PathBuf,
    /// The earlier key while it is replaced.
    replaced: PathBuf,
    certificate: PathBuf,
    /// The certificate while a user fetches it.
    fetched: PathBuf,
    name: String,
    force: bool,
}

impl Files {
    /// The files for the request of this name. Key and certificate may exist only if they are to be replaced;
    /// those of other requests are never touched.
    pub fn check(key: &Path, certificate: &Path, name: &str, force: bool) -> Result<Self, Error> {
        let (key, certificate) = (file("--key", key)?, file("--certificate", certificate)?);
        let files = Self {
            pending: beside(&key, name, "pending"),
            replaced: beside(&key, name, "replaced"),
            fetched: beside(&certificate, name, "pending"),
            key,
            certificate,
            name: name.to_owned(),
            force,
        };
        let own = [&files.key, &files.pending, &files.replaced].map(|path| canonical(path));
        for path in [&files.certificate, &files.fetched].map(|path| canonical(path)) {
            let path = path?;
            for other in &own {
                if other.as_ref().is_ok_and(|other| *other == path) {
                    return Err(Error::Usage("--key and --certificate name one file".to_owned()));
                }
            }
        }
        own.into_iter().try_for_each(|path| path.map(drop))?;
        files.check_existing()?;
        Ok(files)
    }

    fn check_existing(&self) -> Result<(), Error> {
        if exists(&self.pending) {
            return Err(Error::KeyPending(self.pending.clone()));
        }
        if exists(&self.replaced) {
            return Err(Error::FileExists(self.replaced.clone()));
        }
        for path in [&self.key, &self.certificate] {
            match path.symlink_metadata() {
                Ok(found) if found.is_dir() => {
                    return Err(unwritable(path, &io::Error::from(ErrorKind::IsADirectory)));
                }
                Ok(_) if !self.force => return Err(Error::FileExists(path.clone())),
                _ => {}
            }
        }
        Ok(())
    }

    /// Where the key waits for the certificate.
    pub fn pending(&self) -> &Path {
        &self.pending
    }

    /// Writes the key where it waits for the certificate, and makes the file in which the certificate will be
    /// written, so that a folder that cannot be written is found before anything is requested.
    pub fn prepare(&self, key: &NewKey) -> Result<NamedTempFile, Error> {
        let certificate = NamedTempFile::new_in(folder(&self.certificate))
            .map_err(|why| unwritable(&self.certificate, &why))?;
        let mut options = fs::OpenOptions::new();
        let mut file = match options.write(true).create_new(true).mode(0o600).open(&self.pending) {
            Err(why) if why.kind() == ErrorKind::AlreadyExists => {
                return Err(Error::KeyPending(self.pending.clone()));
            }
            opened => opened.map_err(|why| unwritable(&self.pending, &why))?,
        };
        let written = file.write_all(key.pem().as_bytes()).and_then(|()| file.sync_all());
        written.map_err(|why| {
            self.forget_key();
            unwritable(&self.pending, &why)
        })?;
        sync_folder(&self.pending);
        Ok(certificate)
    }

    /// Removes the key of a request that gets no certificate.
    pub fn forget_key(&self) {
        let _ = fs::remove_file(&self.pending);
    }

    /// Writes the certificate and puts key and certificate in their places. After an error both places are as
    /// they were before, and the key still waits.
    pub fn place(&self, mut certificate: NamedTempFile, pem: &[u8]) -> Result<(), Error> {
        let written = certificate.write_all(pem).and_then(|()| certificate.as_file().sync_all());
        written.map_err(|why| unwritable(&self.certificate, &why))?;
        let is_saved = self.save_key()?;
        let placed = self.place_key().and_then(|()| {
            self.place_certificate(certificate).map_err(|error| self.take_key_back().err().unwrap_or(error))
        });
        if is_saved {
            match &placed {
                Ok(()) => {
                    let _ = fs::remove_file(&self.replaced);
                }
                Err(_) => self.restore_key()?,
            }
        }
        sync_folder(&self.key);
        sync_folder(&self.certificate);
        placed
    }

    /// Gives the earlier key a second name, if there is one.
    fn save_key(&self) -> Result<bool, Error> {
        if !self.force || !exists(&self.key) {
            return Ok(false);
        }
        // Some file systems have no second names.
        let saved = fs::hard_link(&self.key, &self.replaced).or_else(|why| match why.kind() {
            ErrorKind::AlreadyExists => Err(why),
            _ => fs::rename(&self.key, &self.replaced),
        });
        saved.map(|()| true).map_err(|why| unwritable(&self.replaced, &why))
    }

    fn place_key(&self) -> Result<(), Error> {
        if self.force {
            return fs::rename(&self.pending, &self.key).map_err(|why| unwritable(&self.key, &why));
        }
        let pending =
            TempPath::try_from_path(&self.pending).map_err(|why| unwritable(&self.pending, &why))?;
        pending.persist_noclobber(&self.key).map_err(|failed| {
            // Otherwise it is removed.
            let _ = failed.path.keep();
            occupied(&self.key, &failed.error)
        })
    }

    fn place_certificate(&self, file: NamedTempFile) -> Result<(), Error> {
        let placed = if self.force {
            file.persist(&self.certificate)
        } else {
            file.persist_noclobber(&self.certificate)
        };
        placed.map(drop).map_err(|failed| occupied(&self.certificate, &failed.error))
    }

    fn take_key_back(&self) -> Result<(), Error> {
        fs::rename(&self.key, &self.pending).map_err(|why| unwritable(&self.pending, &why))
    }

    fn restore_key(&self) -> Result<(), Error> {
        fs::rename(&self.replaced, &self.key).map_err(|why| {
            let cause = format!("{why}; the earlier key is in {}", self.replaced.display());
            Error::FileUnwritable { path: self.key.clone(), cause }
        })?;
        // If both names were of one file, renaming changed nothing.
        let _ = fs::remove_file(&self.replaced);
        Ok(())
    }

    /// What completes the request when the certificate comes later. Whatever fails, no file is lost.
    pub fn later(&self) -> String {
        let paths = [&self.pending, &self.key, &self.fetched, &self.certificate];
        let paths = paths.map(|path| path.display().to_string());
        let is_word = |path: &String| {
            !path.starts_with('-') && path.split('/').all(|part| part.is_empty() || is_plain(part))
        };
        let ([pending, key, fetched, certificate], name) = (&paths, &self.name);
        if !paths.iter().all(is_word) {
            return format!(
                "the key is kept in {pending}: once kubectl tcs why csr {name} shows the certificate, move the key to its \
                 place and save the certificate beside it"
            );
        }
        let place = if self.force {
            format!("mv {pending} {key} && mv {fetched} {certificate}")
        } else {
            format!("ln {pending} {key} && ln {fetched} {certificate} && rm {pending} {fetched}")
        };
        format!(
            "kubectl get csr {name} -o jsonpath='{{.status.certificate}}' | base64 -d > {fetched} && test -s {fetched} && \
             {place}   # once kubectl tcs why csr {name} says Issued: the key is kept until then"
        )
    }
}

/// The path of a file, which must have a name.
fn file(option: &str, path: &Path) -> Result<PathBuf, Error> {
    match path.file_name() {
        Some(name) => Ok(path.with_file_name(name)),
        None => Err(Error::Usage(format!("{option} {} names no file", path.display()))),
    }
}

fn beside(path: &Path, name: &str, end: &str) -> PathBuf {
    let mut file = path.file_name().unwrap_or_default().to_owned();
    file.push(format!(".{name}.{end}"));
    path.with_file_name(file)
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The path without links and detours. The file itself need not exist; if it is a link, the link is replaced.
fn canonical(path: &Path) -> Result<PathBuf, Error> {
    let folder = folder(path).canonicalize().map_err(|why| unwritable(path, &why))?;
    Ok(folder.join(path.file_name().unwrap_or_default()))
}

fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// Makes new names in a folder survive a power failure. Not every file system can, and the files are in place
/// nevertheless.
fn sync_folder(path: &Path) {
    let _ = fs::File::open(folder(path)).and_then(|folder| folder.sync_all());
}

fn occupied(path: &Path, cause: &io::Error) -> Error {
    match cause.kind() {
        ErrorKind::AlreadyExists => Error::FileExists(path.to_owned()),
        _ => unwritable(path, cause),
    }
}

fn unwritable(path: &Path, cause: &io::Error) -> Error {
    Error::FileUnwritable { path: path.to_owned(), cause: cause.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::KeyChoice;
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    use tempfile::tempdir;

    fn files(folder: &Path, name: &str, force: bool) -> Result<Files, Error> {
        Files::check(&folder.join("tls.key"), &folder.join("tls.crt"), name, force)
    }

    fn new_key() -> NewKey {
        NewKey::generate(KeyChoice::EcdsaP256).unwrap()
    }

    fn names(folder: &Path) -> Vec<String> {
        let name = |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
        let mut names: Vec<String> = fs::read_dir(folder).unwrap().map(name).collect();
        names.sort();
        names
    }

    fn read(folder: &Path, name: &str) -> Vec<u8> {
        fs::read(folder.join(name)).unwrap()
    }

    #[test]
    fn key_and_certificate_replace_others_together_and_only_with_force() {
        let folder = tempdir().unwrap();
        let folder = folder.path();
        let (key, other) = (new_key(), new_key());
        let first = files(folder, "a", false).unwrap();
        let certificate = first.prepare(&key).unwrap();
        assert_eq!(fs::metadata(first.pending()).unwrap().permissions().mode() & 0o777, 0o600);
        first.place(certificate, b"certificate").unwrap();
        assert_eq!(names(folder), ["tls.crt", "tls.key"]);
        assert_eq!(read(folder, "tls.key"), key.pem().as_bytes());
        assert_eq!(fs::metadata(folder.join("tls.key")).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(files(folder, "b", false).err().unwrap().code(), "FileExists");

        let second = files(folder, "b", true).unwrap();
        let certificate = second.prepare(&other).unwrap();
        assert_eq!(read(folder, "tls.key"), key.pem().as_bytes(), "the old key fits the old certificate");
        second.forget_key();
        drop(certificate);
        assert_eq!(names(folder), ["tls.crt", "tls.key"]);
        let certificate = second.prepare(&other).unwrap();
        second.place(certificate, b"another").unwrap();
        assert_eq!(names(folder), ["tls.crt", "tls.key"]);
        assert_eq!(read(folder, "tls.key"), other.pem().as_bytes());
        assert_eq!(read(folder, "tls.crt"), b"another");
    }

    #[test]
    fn a_certificate_that_cannot_be_placed_leaves_the_earlier_key_where_it_was() {
        for force in [false, true] {
            let folder = tempdir().unwrap();
            let folder = folder.path();
            let key = new_key();
            if force {
                fs::write(folder.join("tls.key"), "earlier").unwrap();
            }
            let files = files(folder, "web", force).unwrap();
            let certificate = files.prepare(&key).unwrap();
            // Nothing is ever renamed over a folder.
            fs::create_dir(folder.join("tls.crt")).unwrap();
            assert!(files.place(certificate, b"certificate").is_err(), "{force}");
            assert_eq!(read(folder, "tls.key.web.pending"), key.pem().as_bytes(), "{force}");
            if force {
                assert_eq!(read(folder, "tls.key"), b"earlier");
                assert_eq!(names(folder), ["tls.crt", "tls.key", "tls.key.web.pending"]);
            } else {
                assert_eq!(names(folder), ["tls.crt", "tls.key.web.pending"]);
            }
        }
    }

    #[test]
    fn a_file_that_appears_meanwhile_is_not_overwritten() {
        for appears in ["tls.key", "tls.crt"] {
            let folder = tempdir().unwrap();
            let folder = folder.path();
            let files = files(folder, "web", false).unwrap();
            let certificate = files.prepare(&new_key()).unwrap();
            fs::write(folder.join(appears), "mine").unwrap();
            assert_eq!(files.place(certificate, b"certificate").unwrap_err().code(), "FileExists");
            assert_eq!(read(folder, appears), b"mine");
            assert_eq!(names(folder), [appears, "tls.key.web.pending"]);
        }
    }

    #[test]
    fn the_pending_key_of_a_request_is_never_replaced_and_those_of_two_requests_are_two() {
        let folder = tempdir().unwrap();
        let folder = folder.path();
        let one = files(folder, "a", true).unwrap();
        let twice = files(folder, "a", true).unwrap();
        let other = files(folder, "b", true).unwrap();
        let _one = one.prepare(&new_key()).unwrap();
        let kept = fs::read(one.pending()).unwrap();
        assert_eq!(twice.prepare(&new_key()).unwrap_err().code(), "KeyPending");
        assert_eq!(files(folder, "a", true).err().unwrap().code(), "KeyPending");
        let _other = other.prepare(&new_key()).unwrap();
        assert_eq!(fs::read(one.pending()).unwrap(), kept);
        assert_ne!(fs::read(other.pending()).unwrap(), kept);
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_found_before_a_key_is_written() {
        let folder = tempdir().unwrap();
        let code = |certificate: &str| {
            Files::check(&folder.path().join("tls.key"), &folder.path().join(certificate), "web", true)
                .err()
                .unwrap()
                .code()
        };
        assert_eq!(code("none/tls.crt"), "FileUnwritable");
        assert_eq!(code(".."), "Usage");
        fs::create_dir(folder.path().join("sub")).unwrap();
        assert_eq!(code("sub"), "FileUnwritable");
        let files =
            Files::check(&folder.path().join("tls.key"), &folder.path().join("sub/tls.crt"), "web", false)
                .unwrap();
        fs::remove_dir(folder.path().join("sub")).unwrap();
        assert_eq!(files.prepare(&new_key()).unwrap_err().code(), "FileUnwritable");
        assert!(names(folder.path()).is_empty());
    }

    #[test]
    fn one_file_for_both_is_refused_however_it_is_written() {
        let folder = tempdir().unwrap();
        fs::create_dir(folder.path().join("sub")).unwrap();
        symlink(folder.path(), folder.path().join("link")).unwrap();
        for certificate in [
            "tls.pem",
            "./tls.pem",
            "sub/../tls.pem",
            "link/tls.pem",
            "tls.pem.web.pending",
            "tls.pem.web.replaced",
        ] {
            let certificate = folder.path().join(certificate);
            let checked = Files::check(&folder.path().join("tls.pem"), &certificate, "web", true);
            assert_eq!(checked.err().unwrap().code(), "Usage", "{certificate:?}");
        }
        for key in ["./tls.pem", "sub/../tls.pem", "link/tls.pem"] {
            let checked = Files::check(&folder.path().join(key), &folder.path().join("tls.pem"), "web", true);
            assert_eq!(checked.err().unwrap().code(), "Usage", "{key}");
        }
        // What the key replaces must not be what is fetched.
        let key = folder.path().join("tls.crt.web.pending");
        let checked = Files::check(&key, &folder.path().join("tls.crt"), "web", true);
        assert_eq!(checked.err().unwrap().code(), "Usage");
    }

    #[test]
    fn the_command_for_later_names_the_files_as_one_word_each() {
        let folder = tempdir().unwrap();
        for part in ["a b", "$(id)"] {
            fs::create_dir(folder.path().join(part)).unwrap();
            let files = files(&folder.path().join(part), "web", false).unwrap();
            assert!(files.later().starts_with("the key is kept in "), "{part}");
        }
    }

    #[test]
    fn the_command_for_later_destroys_nothing_when_it_fails() {
        let script = |folder: &Path, files: &Files, kubectl: &str| {
            let script = format!("kubectl() {{ {kubectl}; }}\n{}", files.later());
            let status = std::process::Command::new("sh").args(["-c", &script]).current_dir(folder).status();
            status.unwrap().success()
        };
        for force in [false, true] {
            let folder = tempdir().unwrap();
            let folder = folder.path();
            let key = new_key();
            if force {
                fs::write(folder.join("tls.key"), "earlier key").unwrap();
                fs::write(folder.join("tls.crt"), "earlier").unwrap();
            }
            let files = files(folder, "web", force).unwrap();
            drop(files.prepare(&key).unwrap());
            assert!(!script(folder, &files, "false"), "there is no certificate yet");
            assert_eq!(read(folder, "tls.key.web.pending"), key.pem().as_bytes());
            if force {
                assert_eq!(read(folder, "tls.key"), b"earlier key");
                assert_eq!(read(folder, "tls.crt"), b"earlier");
            } else {
                fs::write(folder.join("tls.key"), "mine").unwrap();
                assert!(!script(folder, &files, "echo Y2VydA=="), "a file appeared");
                assert_eq!(read(folder, "tls.key"), b"mine");
                fs::remove_file(folder.join("tls.key")).unwrap();
            }
            assert!(script(folder, &files, "echo Y2VydA=="), "{force}");
            assert_eq!(names(folder), ["tls.crt", "tls.key"]);
            assert_eq!(
                (read(folder, "tls.crt"), read(folder, "tls.key")),
                (b"cert".to_vec(), key.pem().as_bytes().to_vec())
            );
        }
    }
}
