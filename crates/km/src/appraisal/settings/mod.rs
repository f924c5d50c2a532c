//! The policy file: which enclaves and platforms are accepted, and where the collateral is. Its keys are
//! documented in `docs/policy.md`.

mod hex;
mod identity;
mod platform;
mod tcb;
mod tee;

use super::error::Error;
use crate::collateral;
use crate::files::read_limited;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use tcs_verifier::{Policy, TrustAnchor};

/// Maximum length of a policy file, in bytes.
const MAX_POLICY: u64 = 64 * 1024;

/// What is accepted, and where the collateral is.
pub struct Settings {
    pub(super) policy: Policy,
    pub(super) collateral: Option<collateral::Settings>,
    /// Relative names in the file are relative to its directory, so that the file can be used from any
    /// directory.
    pub(super) folder: PathBuf,
    simulation: Option<Simulation>,
}

impl Settings {
    /// The settings without a policy file: no identity, no collateral, Intel's root.
    pub(super) fn none() -> Self {
        Self { policy: Policy::default(), collateral: None, folder: PathBuf::new(), simulation: None }
    }

    /// Reads the file.
    pub(super) fn load(path: &Path) -> Result<Self, Error> {
        let bytes = read_limited(path, MAX_POLICY)
            .map_err(|cause| Error::ConfigUnreadable { path: path.to_owned(), cause: cause.to_string() })?;
        let malformed = |cause: String| Error::ConfigMalformed { path: path.to_owned(), cause };
        let text = String::from_utf8(bytes).map_err(|_| malformed("not UTF-8".into()))?;
        let settings = Self::parse(&text).map_err(malformed)?;
        Ok(Self { folder: path.parent().unwrap_or(Path::new("")).to_owned(), ..settings })
    }

    /// Reads the text of a policy file. Opens no other file. The error says what is wrong and where, on one
    /// line.
    pub fn parse(text: &str) -> Result<Self, String> {
        let file: File = toml::from_str(text).map_err(|error| located(text, &error))?;
        Ok(Self {
            policy: Policy {
                identities: file.identity.iter().map(identity::Entry::accepted).collect::<Result<_, _>>()?,
                any_identity: false,
                tcb: file.tcb.policy()?,
                sgx: file.sgx.policy()?,
                tdx: file.tdx.policy()?,
                platform: file.platform.policy()?,
            },
            collateral: file.collateral,
            folder: PathBuf::new(),
            simulation: file.simulation,
        })
    }

    /// The root that the settings name: Intel's, unless both settings for a simulated root are set.
    pub(super) fn trust(&self) -> Result<TrustAnchor, Error> {
        match &self.simulation {
            None => Ok(TrustAnchor::intel()),
            Some(simulation) => simulation.trust(&self.folder),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    identity: Vec<identity::Entry>,
    #[serde(default)]
    tcb: tcb::Tcb,
    #[serde(default)]
    sgx: tee::Sgx,
    #[serde(default)]
    tdx: tee::Tdx,
    #[serde(default)]
    platform: platform::Platform,
    collateral: Option<collateral::Settings>,
    simulation: Option<Simulation>,
}

/// The section is parsed in every build, so that a build without the feature can say what is wrong.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(not(feature = "simulation"), expect(dead_code, reason = "read only to be refused"))]
struct Simulation {
    root: Option<PathBuf>,
    #[serde(default)]
    allow: bool,
}

impl Simulation {
    #[cfg(not(feature = "simulation"))]
    #[expect(clippy::unused_self, reason = "the other build uses it")]
    fn trust(&self, _folder: &Path) -> Result<TrustAnchor, Error> {
        Err(Error::SimulationNotBuiltIn)
    }

    #[cfg(feature = "simulation")]
    fn trust(&self, folder: &Path) -> Result<TrustAnchor, Error> {
        const MAX_CERTIFICATE: u64 = 16 * 1024;
        let (Some(root), true) = (&self.root, self.allow) else {
            return Err(Error::SimulationNotEnabled);
        };
        let path = folder.join(root);
        let der = read_limited(&path, MAX_CERTIFICATE)
            .map_err(|cause| Error::SimulatedRootUnreadable { path, cause: cause.to_string() })?;
        TrustAnchor::simulated(&der).map_err(Error::Refused)
    }
}

/// The message with its line number, on one line. The message of the crate `toml` has several lines.
fn located(text: &str, error: &toml::de::Error) -> String {
    let before = error.span().and_then(|span| text.get(..span.start));
    let line = before.map(|before| before.matches('\n').count().saturating_add(1));
    line.map_or_else(|| error.message().to_owned(), |line| format!("line {line}: {}", error.message()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_settings_are_errors_that_name_the_line() {
        for (text, line) in [
            ("any_identity = true\n", "line 1"),
            ("[collateral]\nfile = \"collateral.json\"\nurl = \"x\"\n", "line "),
            ("[tcb]\naccept = []\n", "line 2"),
            ("[sgx]\nattribute = \"\"\n", "line 2"),
            ("[tdx]\nmr_seam = \"\"\n", "line 2"),
            ("[platform]\nppid = \"\"\n", "line 2"),
            ("[simulation]\nforce = true\n", "line 2"),
            ("[[identity]]\nmrenclav = \"\"\n", "line 2"),
        ] {
            let error = Settings::parse(text).err().unwrap();
            assert!(error.contains(line) && error.contains("unknown field"), "{error}");
        }
    }

    #[test]
    fn without_simulation_settings_the_root_is_intels() {
        assert!(!Settings::parse("").unwrap().trust().unwrap().is_simulated());
        assert!(!Settings::none().trust().unwrap().is_simulated());
    }

    /// An empty file gives the default policy, which accepts nothing.
    #[test]
    fn an_empty_file_is_the_default_policy() {
        let settings = Settings::parse("").unwrap();
        assert_eq!(settings.policy, Policy::default());
        assert!(settings.policy.identities.is_empty() && !settings.policy.any_identity);
        assert!(settings.collateral.is_none());
    }

    /// The example that documents every key is a policy file, and a new key must be in it.
    #[test]
    fn the_documented_file_names_every_key() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/policy.md");
        let page = std::fs::read_to_string(page).unwrap();
        let text = page.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
        let settings = Settings::parse(text).unwrap();
        assert_eq!(settings.policy.identities.len(), 3);
        assert_eq!(settings.policy.sgx, Policy::default().sgx);
        let missing = Settings::parse("nonsense = 1\n").err().unwrap();
        let sections = ["identity", "tcb", "sgx", "tdx", "platform"];
        for name in expected(&missing) {
            assert!(page.contains(&format!("[{name}]")), "{name}");
        }
        for section in sections {
            let brackets = if section == "identity" { ("[[", "]]") } else { ("[", "]") };
            let probe = format!("{}{section}{}\nnonsense = 1\n", brackets.0, brackets.1);
            let keys = expected(&Settings::parse(&probe).err().unwrap());
            assert!(!keys.is_empty());
            for key in keys {
                assert!(text.contains(&format!("\n{key} = ")), "{section}: {key}");
            }
        }
    }

    /// The fields that serde names instead of the unknown one.
    fn expected(error: &str) -> Vec<String> {
        let names = error.split("expected").nth(1).unwrap();
        names.split('`').skip(1).step_by(2).map(ToOwned::to_owned).collect()
    }
}
