//! A platform as a folder.

use crate::certificates::Authorities;
use crate::{Error, Platform, key::Key};
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;
use zeroize::Zeroizing;

/// Length of the sealing secret in bytes.
const SEALING_SECRET: usize = 32;

/// Writes a new platform. Private files have mode 0600 in a folder of mode 0700.
pub fn write(dir: &Path, authorities: &Authorities, collateral: &str) -> Result<(), Error> {
    if fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(Error::NotEmpty(dir.display().to_string()));
    }
    let (public, private) = (dir.join("public"), dir.join("private"));
    for (folder, mode) in [(&public, 0o755), (&private, 0o700)] {
        let made = DirBuilder::new().recursive(true).mode(mode).create(folder);
        made.map_err(|error| Error::File(folder.display().to_string(), error))?;
    }
    write_file(&public.join("root.der"), 0o644, authorities.root_certificate.der())?;
    write_file(&public.join("root.pem"), 0o644, authorities.root_certificate.pem().as_bytes())?;
    write_file(&public.join("collateral.json"), 0o644, collateral.as_bytes())?;
    let keys = [
        ("root.p8", &authorities.root),
        ("platform-ca.p8", &authorities.platform_ca),
        ("tcb-signer.p8", &authorities.tcb_signer),
        ("pck.p8", &authorities.pck),
        ("attestation.p8", &authorities.attestation),
    ];
    for (name, key) in keys {
        write_file(&private.join(name), 0o600, &key.pkcs8())?;
    }
    write_file(&private.join("pck-chain.pem"), 0o600, authorities.pck_chain().as_bytes())?;
    let mut secret = Zeroizing::new([0; SEALING_SECRET]);
    aws_lc_rs::rand::fill(secret.as_mut_slice()).map_err(|_| Error::Key)?;
    write_file(&private.join("sealing-secret"), 0o600, secret.as_slice())
}

/// Reads what the simulated processor knows.
pub fn read(dir: &Path) -> Result<Platform, Error> {
    let private = dir.join("private");
    let pck_chain = read_file(&private.join("pck-chain.pem"))?;
    let sealing_secret = read_file(&private.join("sealing-secret"))?;
    // A shorter one, for example of an interrupted `create`, would make weak sealing keys without a word.
    if sealing_secret.len() != SEALING_SECRET {
        return Err(Error::Key);
    }
    Ok(Platform {
        pck: Key::from_pkcs8(&read_file(&private.join("pck.p8"))?)?,
        attestation: Key::from_pkcs8(&read_file(&private.join("attestation.p8"))?)?,
        pck_chain: String::from_utf8(pck_chain.to_vec()).map_err(|_| Error::Key)?,
        sealing_secret,
    })
}

fn write_file(path: &Path, mode: u32, bytes: &[u8]) -> Result<(), Error> {
    let named = |error| Error::File(path.display().to_string(), error);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path).map_err(named)?;
    file.write_all(bytes).map_err(named)
}

fn read_file(path: &Path) -> Result<Zeroizing<Vec<u8>>, Error> {
    fs::read(path).map(Zeroizing::new).map_err(|error| Error::File(path.display().to_string(), error))
}
