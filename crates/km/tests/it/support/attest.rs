//! A simulated platform, files made from it, and `km-attest` run on them.

use super::programs::km_attest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tcs_evidence::QuotePublicKey;
use tcs_evidence::report_data::{FIXED_NONCE, ctk_v1};
#[cfg(feature = "simulation")]
use tcs_sgx_sim::{CollateralOptions, Tee};
use tcs_sgx_sim::{Options, Platform};
use tempfile::TempDir;

pub const PINNED: [u8; 32] = [0x5a; 32];
pub const BOUND: &str = "Public key hash verification successful\n";
pub const KEY: &str = include_str!("../../data/attest-one.pem");
pub const OTHER_KEY: &str = include_str!("../../data/attest-other.pem");

pub fn key() -> QuotePublicKey {
    let (_, spki) = pem_rfc7468::decode_vec(KEY.trim_end().as_bytes()).unwrap();
    QuotePublicKey::from_der(&spki).unwrap()
}

/// A directory with a public key, a quote that binds it, collateral and root of the platform, and settings.
pub struct Fixture {
    dir: TempDir,
    pub quote: Vec<u8>,
}

#[expect(clippy::disallowed_methods, reason = "the program reads the clock, so the quote must be of today")]
pub fn now() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(now.as_secs()).unwrap()
}

impl Fixture {
    pub fn new() -> Self {
        Self::with(0, &Options::default())
    }

    /// The platform and its collateral are `age` days old.
    pub fn with(age: i64, options: &Options) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let made = now() - age * 86_400;
        let platform = Platform::create_with(&dir.path().join("platform"), made, options).unwrap();
        let quote = platform.quote(PINNED, ctk_v1(&key(), &FIXED_NONCE)).unwrap();
        let fixture = Self { dir, quote };
        fixture.write("key.pem", KEY);
        fixture.write("quote", STANDARD.encode(&fixture.quote));
        fixture.configure_with(&Fixture::identity(), COLLATERAL, SIMULATION);
        fixture
    }

    /// New collateral for the platform.
    #[cfg(feature = "simulation")]
    pub fn issue(&self, options: &CollateralOptions) -> tcs_sgx_sim::Collateral {
        Platform::open(&self.path("platform")).unwrap().collateral(now(), Tee::Sgx, options).unwrap()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), bytes).unwrap();
    }

    pub fn identity() -> String {
        format!("[[identity]]\nmrenclave = \"{}\"\n", hex::encode(PINNED))
    }

    /// A policy with this identity, in which everything else is right.
    #[cfg(feature = "simulation")]
    pub fn configure(&self, identity: &str) {
        self.configure_with(identity, COLLATERAL, SIMULATION);
    }

    /// Everything is right except the key in the file.
    #[cfg(feature = "simulation")]
    pub fn with_key_file(pem: &str) -> Self {
        let fixture = Self::new();
        fixture.write("key.pem", pem);
        fixture
    }

    pub fn configure_with(&self, identity: &str, collateral: &str, simulation: &str) {
        self.write("attest.toml", format!("{identity}{collateral}{simulation}"));
    }

    /// Run from another directory than that of the settings, to which file names in the settings are
    /// relative.
    pub fn run(&self, more: &[&str]) -> Output {
        self.command(more).arg("--config").arg(self.path("attest.toml")).output().unwrap()
    }

    pub fn command(&self, more: &[&str]) -> Command {
        let mut command = km_attest();
        command.arg("--pubkey").arg(self.path("key.pem")).arg("--quote").arg(self.path("quote"));
        command.args(more).current_dir(Path::new("/"));
        command
    }
}

pub const COLLATERAL: &str = "[collateral]\nfile = \"platform/public/collateral.json\"\n";
pub const SIMULATION: &str = "[simulation]\nroot = \"platform/public/root.der\"\nallow = true\n";

/// One error line with its code, the exit status, and the preceding standard output.
pub fn assert_refused(output: &Output, status: i32, code: &str, stdout: &str) {
    let stderr = String::from_utf8(output.stderr.clone()).unwrap();
    let errors: Vec<&str> = stderr.lines().filter(|line| !line.starts_with("km-attest: warning: ")).collect();
    assert_eq!(errors.len(), 1, "{stderr}");
    assert!(errors[0].starts_with(&format!("km-attest: error[{code}]: ")), "{stderr}");
    assert_eq!(String::from_utf8(output.stdout.clone()).unwrap(), stdout, "{stderr}");
    assert_eq!(output.status.code(), Some(status), "{stderr}");
}

#[cfg(feature = "simulation")]
pub const SUCCESS: &str = "Public key hash verification successful\nSGX_QL_QV_RESULT_OK\n\
    Quote is correct, platform contains latest TCB.\nQuote verification successful\n";

/// The four lines of success and no other output; returns what went to standard error.
#[cfg(feature = "simulation")]
#[track_caller]
pub fn assert_accepted(output: &Output) -> String {
    let stderr = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(String::from_utf8(output.stdout.clone()).unwrap(), SUCCESS, "{stderr}");
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    stderr
}
