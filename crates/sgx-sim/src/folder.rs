//! A platform as a directory.

use crate::certificates::Certificates;
use crate::error::Error;
use crate::key::{Key, Keys};
use crate::options::Options;
use crate::parts::PlatformParts;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Length of the sealing secret in bytes.
const SEALING_SECRET: usize = 32;

/// Makes the directories, which must not exist or be empty.
pub fn prepare(dir: &Path) -> Result<(), Error> {
    if fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(Error::NotEmpty(dir.display().to_string()));
    }
    for (folder, mode) in [(dir.join("public"), 0o755), (dir.join("private"), 0o700)] {
        let made = DirBuilder::new().recursive(true).mode(mode).create(&folder);
        made.map_err(|error| Error::File(folder.display().to_string(), error))?;
    }
    Ok(())
}

/// Writes everything but the collateral. Private files have mode 0600 in a directory of mode 0700.
pub fn write(dir: &Path, platform: &PlatformParts) -> Result<(), Error> {
    let private = dir.join("private");
    let Certificates { root_der, root, pck_ca, pck, tcb_signer } = &platform.certificates;
    write_public(dir, "root.der", root_der)?;
    write_public(dir, "root.pem", root.as_bytes())?;
    let keys = &platform.keys;
    for (name, key) in [
        ("root.p8", &keys.root),
        ("pck-ca.p8", &keys.pck_ca),
        ("tcb-signer.p8", &keys.tcb_signer),
        ("pck.p8", &keys.pck),
        ("attestation.p8", &keys.attestation),
    ] {
        write_file(&private.join(name), 0o600, &key.pkcs8())?;
    }
    for (name, certificate) in [("pck-ca.pem", pck_ca), ("pck.pem", pck), ("tcb-signer.pem", tcb_signer)] {
        write_file(&private.join(name), 0o600, certificate.as_bytes())?;
    }
    let options = serde_json::to_vec_pretty(&platform.options).map_err(Error::Description)?;
    write_file(&private.join("platform.json"), 0o600, &options)?;
    write_file(&private.join("sealing-secret"), 0o600, &platform.sealing_secret)
}

/// Writes a file that key owners get.
pub fn write_public(dir: &Path, name: &str, bytes: &[u8]) -> Result<(), Error> {
    write_file(&dir.join("public").join(name), 0o644, bytes)
}

/// Reads what was written.
pub fn read(dir: &Path) -> Result<PlatformParts, Error> {
    let private = dir.join("private");
    let sealing_secret = read_file(&private.join("sealing-secret"))?;
    // A shorter one, for example of an interrupted `create`, would silently make weak sealing keys.
    if sealing_secret.len() != SEALING_SECRET {
        return Err(Error::Key);
    }
    let key = |name| Key::from_pkcs8(&read_file(&private.join(name))?);
    let keys = Keys {
        root: key("root.p8")?,
        pck_ca: key("pck-ca.p8")?,
        tcb_signer: key("tcb-signer.p8")?,
        pck: key("pck.p8")?,
        attestation: key("attestation.p8")?,
    };
    let text = |path: PathBuf| {
        fs::read_to_string(&path).map_err(|error| Error::File(path.display().to_string(), error))
    };
    let public = dir.join("public");
    let certificates = Certificates {
        root_der: read_file(&public.join("root.der"))?.to_vec(),
        root: text(public.join("root.pem"))?,
        pck_ca: text(private.join("pck-ca.pem"))?,
        pck: text(private.join("pck.pem"))?,
        tcb_signer: text(private.join("tcb-signer.pem"))?,
    };
    let options: Options =
        serde_json::from_str(&text(private.join("platform.json"))?).map_err(Error::Description)?;
    Ok(PlatformParts { options, keys, certificates, sealing_secret })
}

/// A new sealing secret.
pub fn sealing_secret() -> Result<Zeroizing<Vec<u8>>, Error> {
    let mut secret = Zeroizing::new(vec![0; SEALING_SECRET]);
    aws_lc_rs::rand::fill(&mut secret).map_err(|_| Error::Key)?;
    Ok(secret)
}

fn write_file(path: &Path, mode: u32, bytes: &[u8]) -> Result<(), Error> {
    let named = |error| Error::File(path.display().to_string(), error);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path).map_err(named)?;
    file.write_all(bytes).map_err(named)
}

fn read_file(path: &Path) -> Result<Zeroizing<Vec<u8>>, Error> {
    fs::read(path).map(Zeroizing::new).map_err(|error| Error::File(path.display().to_string(), error))
}
