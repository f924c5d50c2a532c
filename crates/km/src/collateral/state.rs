//! The numbers of collateral that was seen before. They only grow; collateral with a lower number may hide a
//! revocation.

use super::error::Error;
use super::platform::PlatformKey;
use super::service::Update;
use crate::files::{read_limited, replace};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use tcs_verifier::Claims;

/// Maximum length of a state file, in bytes.
const MAX_FILE: u64 = 1024 * 1024;
/// Version of the state file.
const VERSION: u32 = 1;

/// The numbers of genuine collateral.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Numbers {
    /// Number of the root CA's CRL.
    pub root_ca_crl: u32,
    /// Number of the PCK CA's CRL.
    pub pck_crl: u32,
    /// Evaluation number of the TCB info.
    pub evaluation: u32,
    /// Evaluation number of the QE identity.
    pub qe_evaluation: u32,
}

impl Numbers {
    /// The numbers of verified collateral. No others may be recorded: otherwise anybody could make genuine
    /// collateral look old.
    #[must_use]
    pub fn of(claims: &Claims) -> Self {
        Self {
            root_ca_crl: claims.root_ca_crl_number,
            pck_crl: claims.pck_crl_number,
            // Both are kept: the lower one alone would hide that the other one decreases.
            evaluation: claims.tcb_info_evaluation_number,
            qe_evaluation: claims.qe_evaluation_number,
        }
    }

    fn named(self) -> [(&'static str, u32); 4] {
        [
            ("root CA CRL number", self.root_ca_crl),
            ("PCK CRL number", self.pck_crl),
            ("TCB info's evaluation number", self.evaluation),
            ("QE identity's evaluation number", self.qe_evaluation),
        ]
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    seen: BTreeMap<String, Numbers>,
}

/// Refuses numbers lower than those seen before for this CA, FMSPC, TEE, update channel and root, and records
/// these.
///
/// A missing file is created; a file that cannot be read is an error. A lock makes concurrent runs wait for
/// each other.
pub fn advance(
    path: &Path,
    key: PlatformKey,
    update: Update,
    root_key_id: &[u8; 48],
    numbers: Numbers,
) -> Result<(), Error> {
    let failed = |cause: String| Error::State { path: path.to_owned(), cause };
    let io = |cause: std::io::Error| failed(cause.to_string());
    // The file itself is replaced, so the lock is on a file beside it.
    let mut lock_path = path.as_os_str().to_owned();
    lock_path.push(".lock");
    let lock = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&lock_path);
    let lock = lock.map_err(io)?;
    lock.lock().map_err(io)?;

    let mut file = match read_limited(path, MAX_FILE) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| failed(error.to_string()))?,
        Err(error) if error.kind() == ErrorKind::NotFound => File { version: VERSION, seen: BTreeMap::new() },
        Err(error) => return Err(io(error)),
    };
    if file.version != VERSION {
        return Err(failed(format!("version {}, not {VERSION}", file.version)));
    }
    let name = format!(
        "{}/{}/{}/{}/{}",
        key.ca.name(),
        hex::encode(key.fmspc),
        key.tee.name(),
        update.name(),
        hex::encode(root_key_id)
    );
    let seen = file.seen.get(&name).copied().unwrap_or(numbers);
    for ((number, found), (_, seen)) in numbers.named().into_iter().zip(seen.named()) {
        if found < seen {
            return Err(Error::Rollback { number, found, seen, path: path.to_owned() });
        }
    }
    file.seen.insert(name, numbers);
    let json = serde_json::to_vec_pretty(&file).map_err(|error| failed(error.to_string()))?;
    replace(path, &json).map_err(io)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collateral::Tee;
    use std::os::unix::fs::PermissionsExt as _;
    use tcs_verifier::PckCa;

    const KEY: PlatformKey = PlatformKey { ca: PckCa::Platform, fmspc: [1; 6], tee: Tee::Sgx };
    const FIVE: Numbers = Numbers { root_ca_crl: 5, pck_crl: 5, evaluation: 5, qe_evaluation: 5 };

    #[test]
    fn each_number_only_grows() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.json");
        let try_with = |numbers| advance(&path, KEY, Update::Standard, &[0; 48], numbers);
        try_with(FIVE).unwrap();
        try_with(FIVE).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        for lower in [
            Numbers { root_ca_crl: 4, ..FIVE },
            Numbers { pck_crl: 4, ..FIVE },
            Numbers { evaluation: 4, ..FIVE },
            Numbers { qe_evaluation: 4, ..FIVE },
        ] {
            let before = std::fs::read(&path).unwrap();
            let error = try_with(lower).unwrap_err();
            assert!(matches!(error, Error::Rollback { found: 4, seen: 5, .. }), "{error}");
            assert_eq!(std::fs::read(&path).unwrap(), before);
        }
        // The highest value of each number is kept.
        try_with(Numbers { pck_crl: 7, ..FIVE }).unwrap();
        assert!(try_with(Numbers { root_ca_crl: 6, pck_crl: 6, ..FIVE }).is_err());
        try_with(Numbers { root_ca_crl: 6, pck_crl: 7, ..FIVE }).unwrap();
        assert!(try_with(Numbers { pck_crl: 7, ..FIVE }).is_err());
    }

    #[test]
    fn other_platforms_channels_and_roots_have_numbers_of_their_own() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.json");
        advance(&path, KEY, Update::Standard, &[0; 48], FIVE).unwrap();
        let lower = Numbers { root_ca_crl: 1, pck_crl: 1, evaluation: 1, qe_evaluation: 1 };
        for (key, update, root) in [
            (PlatformKey { ca: PckCa::Processor, ..KEY }, Update::Standard, [0; 48]),
            (PlatformKey { fmspc: [2; 6], ..KEY }, Update::Standard, [0; 48]),
            (PlatformKey { tee: Tee::Tdx, ..KEY }, Update::Standard, [0; 48]),
            (KEY, Update::Early, [0; 48]),
            (KEY, Update::Standard, [1; 48]),
        ] {
            advance(&path, key, update, &root, lower).unwrap();
        }
        assert!(advance(&path, KEY, Update::Standard, &[0; 48], lower).is_err());
    }

    #[test]
    fn a_state_that_cannot_be_read_is_never_taken_for_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.json");
        for text in ["", "{}", "{\"version\":2,\"seen\":{}}", "{\"version\":1,\"seen\":{},\"more\":1}"] {
            std::fs::write(&path, text).unwrap();
            let error = advance(&path, KEY, Update::Standard, &[0; 48], FIVE).unwrap_err();
            assert_eq!(error.code(), "CollateralState", "{text}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
        let nowhere = dir.path().join("absent/state.json");
        assert_eq!(
            advance(&nowhere, KEY, Update::Standard, &[0; 48], FIVE).unwrap_err().code(),
            "CollateralState"
        );
    }
}
