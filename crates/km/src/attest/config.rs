//! The settings file of `km-attest`.

use super::{Error, read_limited};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use tcs_verifier::{AcceptedIdentity, Kss, Policy, TcbPolicy, TrustRoot};

/// Longest settings file, in bytes.
const MAX_CONFIG: u64 = 64 * 1024;

/// What is accepted, and where the collateral lies.
pub struct Config {
    /// A settings file was named.
    pub given: bool,
    pub policy: Policy,
    pub trust: TrustRoot,
    pub collateral: Option<PathBuf>,
}

impl Config {
    /// Without a file: Intel's root, no identity, no collateral.
    pub fn load(path: Option<&Path>) -> Result<Self, Error> {
        let Some(path) = path else {
            let (policy, trust) = (Policy::default(), TrustRoot::intel());
            return Ok(Self { given: false, policy, trust, collateral: None });
        };
        let bytes = read_limited(path, MAX_CONFIG)
            .map_err(|cause| Error::ConfigUnreadable { path: path.to_owned(), cause: cause.to_string() })?;
        let malformed = |cause: String| Error::ConfigMalformed { path: path.to_owned(), cause };
        let text = String::from_utf8(bytes).map_err(|_| malformed("not UTF-8".into()))?;
        let file: File = toml::from_str(&text).map_err(|error| malformed(located(&text, &error)))?;
        // Relative names are those of the settings' folder, so that the file works from anywhere.
        let folder = path.parent().unwrap_or(Path::new(""));
        Ok(Self {
            given: true,
            policy: Policy {
                identities: file
                    .identity
                    .iter()
                    .map(Entry::accepted)
                    .collect::<Result<_, _>>()
                    .map_err(malformed)?,
                any_identity: false,
                tcb: TcbPolicy { accepted_advisories: file.tcb.accepted_advisories, ..TcbPolicy::default() },
                ..Policy::default()
            },
            trust: file.simulation.map_or(Ok(TrustRoot::intel()), |simulation| simulation.trust(folder))?,
            collateral: file.collateral.map(|collateral| folder.join(collateral.file)),
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    identity: Vec<Entry>,
    collateral: Option<Collateral>,
    simulation: Option<Simulation>,
    #[serde(default)]
    tcb: Tcb,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    mrenclave: Option<String>,
    mrsigner: Option<String>,
    isv_prod_id: Option<u16>,
    min_isv_svn: Option<u16>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Collateral {
    file: PathBuf,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tcb {
    #[serde(default)]
    accepted_advisories: Vec<String>,
}

/// Read in every build, so that a build without the feature can say what is wrong.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(not(feature = "simulation"), expect(dead_code, reason = "read only to be refused"))]
struct Simulation {
    root: Option<PathBuf>,
    #[serde(default)]
    allow: bool,
}

impl Entry {
    fn accepted(&self) -> Result<AcceptedIdentity, String> {
        match (&self.mrenclave, &self.mrsigner, self.isv_prod_id, self.min_isv_svn) {
            (Some(mrenclave), None, None, None) => {
                Ok(AcceptedIdentity::Enclave { mrenclave: measurement("mrenclave", mrenclave)?, kss: Kss::default() })
            }
            (None, Some(mrsigner), Some(isv_prod_id), Some(min_isv_svn)) => Ok(AcceptedIdentity::Signer {
                mrsigner: measurement("mrsigner", mrsigner)?,
                isv_prod_id,
                min_isv_svn,
                kss: Kss::default(),
            }),
            _ => Err("an [[identity]] is mrenclave alone, or mrsigner, isv_prod_id and min_isv_svn together"
                .into()),
        }
    }
}

impl Simulation {
    #[cfg(not(feature = "simulation"))]
    #[expect(clippy::unused_self, reason = "the other build uses it")]
    fn trust(self, _folder: &Path) -> Result<TrustRoot, Error> {
        Err(Error::SimulationNotBuiltIn)
    }

    #[cfg(feature = "simulation")]
    fn trust(self, folder: &Path) -> Result<TrustRoot, Error> {
        const MAX_CERTIFICATE: u64 = 16 * 1024;
        let (Some(root), true) = (self.root, self.allow) else {
            return Err(Error::SimulationNotEnabled);
        };
        let path = folder.join(root);
        let der = read_limited(&path, MAX_CERTIFICATE)
            .map_err(|cause| Error::SimulatedRootUnreadable { path, cause: cause.to_string() })?;
        TrustRoot::simulated(&der).map_err(Error::Refused)
    }
}

fn measurement(name: &str, text: &str) -> Result<[u8; 32], String> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(text, &mut bytes).map_err(|_| format!("{name} must be 64 hex digits"))?;
    Ok(bytes)
}

/// The message on one line, with the line it is about; toml's own text draws the place over several.
fn located(text: &str, error: &toml::de::Error) -> String {
    let before = error.span().and_then(|span| text.get(..span.start));
    let line = before.map(|before| before.matches('\n').count().saturating_add(1));
    line.map_or_else(|| error.message().to_owned(), |line| format!("line {line}: {}", error.message()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<Config, Error> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("attest.toml");
        std::fs::write(&path, text).unwrap();
        let config = Config::load(Some(&path))?;
        assert_eq!(config.collateral, config.collateral.as_ref().map(|_| dir.path().join("collateral.json")));
        Ok(config)
    }

    #[test]
    fn identities_are_read_whole_or_not_at_all() {
        let digits = "ab".repeat(32);
        let config = load(&format!(
            "[[identity]]\nmrenclave = \"{digits}\"\n[[identity]]\nmrsigner = \"{digits}\"\nisv_prod_id = 1\n\
             min_isv_svn = 2\n[collateral]\nfile = \"collateral.json\"\n[tcb]\naccepted_advisories = [\"A\"]\n"
        ));
        let policy = config.unwrap().policy;
        let measured = [0xab; 32];
        let signer = AcceptedIdentity::Signer { mrsigner: measured, isv_prod_id: 1, min_isv_svn: 2, kss: Kss::default() };
        assert_eq!(policy.identities, [AcceptedIdentity::Enclave { mrenclave: measured, kss: Kss::default() }, signer]);
        assert_eq!(policy.tcb.accepted_advisories, ["A"]);
        assert!(!policy.any_identity);
        for wrong in [
            "mrenclave = \"ab\"".to_owned(),
            format!("mrsigner = \"{digits}\""),
            format!("mrsigner = \"{digits}\"\nisv_prod_id = 1"),
            format!("mrenclave = \"{digits}\"\nisv_prod_id = 1"),
            format!("mrenclave = \"{digits}\"\nmrsigner = \"{digits}\"\nisv_prod_id = 1\nmin_isv_svn = 1"),
            String::new(),
        ] {
            assert_eq!(
                load(&format!("[[identity]]\n{wrong}\n")).err().unwrap().code(),
                "ConfigMalformed",
                "{wrong}"
            );
        }
    }

    #[test]
    fn unknown_settings_are_errors_that_name_the_line() {
        for (text, line) in [
            ("any_identity = true\n", "line 1"),
            ("[collateral]\nfile = \"collateral.json\"\nurl = \"x\"\n", "line 3"),
            ("[tcb]\naccept = []\n", "line 2"),
            ("[simulation]\nforce = true\n", "line 2"),
        ] {
            let error = load(text).err().unwrap();
            assert_eq!(error.code(), "ConfigMalformed");
            assert!(error.to_string().contains(line), "{error}");
        }
    }

    #[test]
    fn without_simulation_settings_the_root_is_intels() {
        assert!(!load("").unwrap().trust.is_simulated());
        assert!(!Config::load(None).unwrap().trust.is_simulated());
    }
}
