//! A simulated platform, and settings of collateral sources for it.

use std::path::PathBuf;
use std::time::SystemTime;
use tcs_evidence::Evidence;
use tcs_km::collateral::{Error, Obtain, Obtained, PlatformKey, Settings};
use tcs_sgx_sim::{Collateral, CollateralOptions, Enclave, Platform, Tee};
use tcs_testkit::Pccs;
use tcs_verifier::{Policy, TrustAnchor, Verdict, inspect, verify};
use tempfile::TempDir;

pub const DAY: i64 = 86_400;

pub struct Fixture {
    pub dir: TempDir,
    pub platform: Platform,
    pub now: i64,
}

impl Fixture {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        #[expect(
            clippy::disallowed_methods,
            reason = "the cache compares file times, which are the system's"
        )]
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        let now = i64::try_from(now).unwrap();
        let platform = Platform::create(&dir.path().join("platform"), now).unwrap();
        Self { dir, platform, now }
    }

    pub fn issue(&self, tee: Tee, options: &CollateralOptions) -> Collateral {
        self.platform.collateral(self.now, tee, options).unwrap()
    }

    pub fn healthy(&self) -> Collateral {
        self.issue(Tee::Sgx, &CollateralOptions::default())
    }

    pub fn sgx(&self) -> Evidence {
        Evidence::SgxQuote(self.platform.sgx_quote(&Enclave::default()).unwrap())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), text).unwrap();
    }

    /// Settings in TOML, without the proxies of the machine that runs the tests.
    pub fn get_for(&self, evidence: &Evidence, settings: &str, now: i64) -> Result<Obtained, Error> {
        let settings: Settings = toml::from_str(&format!("proxy = 'none'\n{settings}")).unwrap();
        let key = PlatformKey::of(&inspect(evidence).unwrap());
        let wait = |_| panic!("one attempt does not wait");
        Obtain { folder: self.dir.path(), now, copies: true, wait: &wait }.get(
            &settings,
            key,
            &mut Vec::new(),
        )
    }

    pub fn get(&self, settings: &str) -> Result<Obtained, Error> {
        self.get_for(&self.sgx(), settings, self.now)
    }

    /// One attempt at this PCCS.
    pub fn ask(&self, pccs: &Pccs) -> Result<Obtained, Error> {
        self.get(&format!("pccs_url = '{}'\nattempts = 1\ntimeout_seconds = 20\n", pccs.url()))
    }

    pub fn appraise(&self, obtained: &Obtained) -> Verdict {
        let trust = TrustAnchor::simulated(self.platform.root_certificate()).unwrap();
        let policy = Policy { any_identity: true, ..Policy::default() };
        verify(&self.sgx(), &obtained.collateral, &trust, &policy, self.now)
    }
}

/// The code of the failure. Every message names the address, and every advice says how to proceed without a
/// network.
#[track_caller]
pub fn assert_fault(result: Result<Obtained, Error>, code: &str, pccs: &Pccs) {
    let error = result.map(|obtained| obtained.source).unwrap_err();
    assert_eq!(error.code(), code, "{error}");
    assert!(error.to_string().contains(&pccs.url()), "{error}");
    assert!(
        error.advice().contains("km-attest collateral fetch --quote FILE --out FILE"),
        "{}",
        error.advice()
    );
    assert_eq!(error.exit().status(), 5);
}
