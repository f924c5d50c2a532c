//! `km-attest`: the real program on quotes of a simulated platform.
//!
//! Without the feature `simulation` it must refuse all of them; with it (`cargo test -p tcs-km --features
//! simulation --target-dir target/simulation`) it appraises them like genuine ones.

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

const PINNED: [u8; 32] = [0x5a; 32];
const BOUND: &str = "Public key hash verification successful\n";
const KEY: &str = include_str!("../data/attest-one.pem");
const OTHER_KEY: &str = include_str!("../data/attest-other.pem");

pub fn key() -> QuotePublicKey {
    let (_, spki) = pem_rfc7468::decode_vec(KEY.trim_end().as_bytes()).unwrap();
    QuotePublicKey::from_der(&spki).unwrap()
}

/// A folder with a public key, a quote that binds it, collateral and root of the platform, and settings.
pub struct Bench {
    dir: TempDir,
    quote: Vec<u8>,
}

#[expect(clippy::disallowed_methods, reason = "the program reads the clock, so the quote must be of today")]
fn now() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(now.as_secs()).unwrap()
}

impl Bench {
    pub fn new() -> Self {
        Self::with(0, &Options::default())
    }

    /// The platform and its collateral are `age` days old.
    fn with(age: i64, options: &Options) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let made = now() - age * 86_400;
        let platform = Platform::create_with(&dir.path().join("platform"), made, options).unwrap();
        let quote = platform.quote(PINNED, ctk_v1(&key(), &FIXED_NONCE)).unwrap();
        let bench = Self { dir, quote };
        bench.write("key.pem", KEY);
        bench.write("quote", STANDARD.encode(&bench.quote));
        bench.configure_with(&Bench::identity(), COLLATERAL, SIMULATION);
        bench
    }

    /// New collateral for the platform.
    #[cfg(feature = "simulation")]
    fn issue(&self, options: &CollateralOptions) -> tcs_sgx_sim::Collateral {
        Platform::open(&self.path("platform")).unwrap().collateral(now(), Tee::Sgx, options).unwrap()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), bytes).unwrap();
    }

    fn identity() -> String {
        format!("[[identity]]\nmrenclave = \"{}\"\n", hex::encode(PINNED))
    }

    /// A policy with this identity and everything else right.
    #[cfg(feature = "simulation")]
    pub fn configure(&self, identity: &str) {
        self.configure_with(identity, COLLATERAL, SIMULATION);
    }

    /// Everything right but the key that stands in the file.
    #[cfg(feature = "simulation")]
    pub fn with_key_file(pem: &str) -> Self {
        let bench = Self::new();
        bench.write("key.pem", pem);
        bench
    }

    fn configure_with(&self, identity: &str, collateral: &str, simulation: &str) {
        self.write("attest.toml", format!("{identity}{collateral}{simulation}"));
    }

    /// From another folder than that of the settings, whose file names are relative to it.
    pub fn run(&self, more: &[&str]) -> Output {
        self.command(more).arg("--config").arg(self.path("attest.toml")).output().unwrap()
    }

    fn command(&self, more: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_km-attest"));
        command.arg("--pubkey").arg(self.path("key.pem")).arg("--quote").arg(self.path("quote"));
        command.args(more).env_remove("KM_ATTEST_CONFIG").current_dir(Path::new("/"));
        command
    }
}

const COLLATERAL: &str = "[collateral]\nfile = \"platform/public/collateral.json\"\n";
const SIMULATION: &str = "[simulation]\nroot = \"platform/public/root.der\"\nallow = true\n";

/// One error line, its code, the exit status and what went to standard output before.
fn assert_refused(output: &Output, status: i32, code: &str, stdout: &str) {
    let stderr = String::from_utf8(output.stderr.clone()).unwrap();
    let errors: Vec<&str> = stderr.lines().filter(|line| !line.starts_with("km-attest: warning: ")).collect();
    assert_eq!(errors.len(), 1, "{stderr}");
    assert!(errors[0].starts_with(&format!("km-attest: error[{code}]: ")), "{stderr}");
    assert_eq!(String::from_utf8(output.stdout.clone()).unwrap(), stdout, "{stderr}");
    assert_eq!(output.status.code(), Some(status), "{stderr}");
}

#[test]
fn mistakes_have_a_status_and_a_code_of_their_own() {
    let bench = Bench::new();
    bench.configure_with("", "", "");
    assert_refused(&bench.run(&[]), 5, "CollateralNotConfigured", BOUND);
    // No settings at all: nobody is trusted, and then nothing is known of the platform either.
    assert_refused(&bench.command(&[]).output().unwrap(), 4, "NoIdentityConfigured", BOUND);
    let any = bench.command(&["--any-identity"]).output().unwrap();
    assert_refused(&any, 5, "CollateralNotConfigured", BOUND);
    bench.configure_with("", "[collateral]\nfile = \"absent.json\"\n", "");
    assert_refused(&bench.run(&[]), 5, "CollateralUnreadable", BOUND);
    bench.configure_with("", "[collateral]\nfile = \"attest.toml\"\n", "");
    assert_refused(&bench.run(&[]), 5, "CollateralMalformed", BOUND);
    bench.configure_with("", "", "nonsense = 1\n");
    assert_refused(&bench.run(&[]), 2, "ConfigMalformed", "");
    let absent = bench.command(&[]).env("KM_ATTEST_CONFIG", bench.path("absent")).output().unwrap();
    assert_refused(&absent, 1, "ConfigUnreadable", "");
    assert_eq!(bench.run(&["--nonsense"]).status.code(), Some(2));

    bench.configure_with("", COLLATERAL, "");
    bench.write("key.pem", "no key");
    assert_refused(&bench.run(&[]), 7, "PublicKeyMalformed", "");
    // An Ed25519 key (RFC 8410, section 10.1).
    let ed25519 = "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=";
    bench.write("key.pem", format!("-----BEGIN PUBLIC KEY-----\n{ed25519}\n-----END PUBLIC KEY-----\n"));
    assert_refused(&bench.run(&[]), 7, "PublicKeyUnsupported", "");
    std::fs::remove_file(bench.path("key.pem")).unwrap();
    assert_refused(&bench.run(&[]), 7, "PublicKeyUnreadable", "");

    bench.write("key.pem", KEY);
    for wrong in [b"no quote!".to_vec(), b"AAAA".to_vec(), bench.quote[..4000].to_vec(), Vec::new()] {
        bench.write("quote", wrong);
        assert_refused(&bench.run(&[]), 3, "QuoteMalformed", "");
    }
    bench.write("quote", vec![b'A'; 40_000]);
    assert_refused(&bench.run(&[]), 1, "QuoteUnreadable", "");
}

#[test]
fn a_simulated_quote_is_refused_where_the_root_is_intels() {
    let bench = Bench::new();
    bench.configure_with(&Bench::identity(), COLLATERAL, "");
    assert_refused(&bench.run(&[]), 3, "UntrustedRoot", BOUND);
    assert_refused(&bench.run(&["--any-identity"]), 3, "UntrustedRoot", BOUND);
}

/// A quote's certificate chain is an attacker's text. What it says never stands in a message, where it could
/// look like the tool's own words.
#[test]
fn review_c1_a_quote_cannot_put_words_into_a_refusal() {
    let bench = Bench::new();
    let chain = bench.quote.windows(11).position(|window| window == b"-----BEGIN ").unwrap();
    let words = "SHA-256 of the verified public key";
    let pem = format!("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE\n{words}-----\n");
    let mut quote = bench.quote.clone();
    let room = quote.len() - chain;
    let text: Vec<u8> = pem.bytes().chain(std::iter::repeat(b' ')).take(room).collect();
    quote.truncate(chain);
    quote.extend(text);
    bench.write("quote", STANDARD.encode(quote));
    bench.configure_with(&Bench::identity(), COLLATERAL, "");
    let output = bench.run(&[]);
    assert_refused(&output, 3, "QuoteMalformed", BOUND);
    assert!(!String::from_utf8(output.stderr).unwrap().contains("verified public key"));
}

#[test]
fn another_public_key_is_refused_before_anything_else() {
    let bench = Bench::new();
    bench.configure_with("", "", "");
    bench.write("key.pem", OTHER_KEY);
    assert_refused(&bench.run(&[]), 3, "BindingMismatch", "");
}

#[cfg(not(feature = "simulation"))]
mod without_the_feature {
    use super::*;

    #[test]
    fn settings_for_a_simulated_root_are_refused() {
        let bench = Bench::new();
        for simulation in [SIMULATION, "[simulation]\n", "[simulation]\nallow = false\n"] {
            bench.configure_with(&Bench::identity(), COLLATERAL, simulation);
            assert_refused(&bench.run(&[]), 3, "SimulationNotBuiltIn", "");
        }
    }

    #[test]
    fn the_version_does_not_speak_of_simulation() {
        let version = Bench::new().run(&["--version"]).stdout;
        assert_eq!(version, format!("km-attest {}\n", env!("CARGO_PKG_VERSION")).into_bytes());
    }
}

#[cfg(feature = "simulation")]
mod with_the_feature {
    use super::*;

    const SUCCESS: &str = "Public key hash verification successful\nSGX_QL_QV_RESULT_OK\n\
        Quote is correct, platform contains latest TCB.\nQuote verification successful\n";

    fn assert_accepted(output: &Output) -> String {
        let stderr = String::from_utf8(output.stderr.clone()).unwrap();
        assert_eq!(String::from_utf8(output.stdout.clone()).unwrap(), SUCCESS, "{stderr}");
        assert_eq!(output.status.code(), Some(0), "{stderr}");
        stderr
    }

    #[test]
    fn a_good_quote_gives_exactly_four_lines_and_a_warning() {
        let bench = Bench::new();
        let stderr = assert_accepted(&bench.run(&[]));
        let (warning, digest) = stderr.split_once('\n').unwrap();
        assert!(warning.starts_with("km-attest: warning: SIMULATION"), "{stderr}");
        let expected =
            format!("km-attest: SHA-256 of the verified public key: {}\n", hex::encode(key().sha256()));
        assert_eq!(digest, expected, "{stderr}");
        // The settings by environment; raw bytes; text with line ends.
        let by_environment = bench.command(&[]).env("KM_ATTEST_CONFIG", bench.path("attest.toml")).output();
        assert_accepted(&by_environment.unwrap());
        bench.write("quote", &bench.quote);
        assert_accepted(&bench.run(&[]));
        let text = STANDARD.encode(&bench.quote);
        bench.write(
            "quote",
            text.as_bytes().chunks(64).map(|line| [line, b"\r\n"].concat()).collect::<Vec<_>>().concat(),
        );
        assert_accepted(&bench.run(&[]));
    }

    #[test]
    fn a_flipped_bit_is_refused() {
        let bench = Bench::new();
        // Header's QE SVN, MRENCLAVE, signature, QE report.
        for (at, code) in [
            (8, "SignatureInvalid"),
            (112, "SignatureInvalid"),
            (440, "SignatureInvalid"),
            (600, "SignatureInvalid"),
        ] {
            let mut quote = bench.quote.clone();
            quote[at] ^= 1;
            bench.write("quote", STANDARD.encode(quote));
            assert_refused(&bench.run(&["--any-identity"]), 3, code, BOUND);
        }
        let mut quote = bench.quote.clone();
        quote[368] ^= 1;
        bench.write("quote", STANDARD.encode(quote));
        assert_refused(&bench.run(&[]), 3, "BindingMismatch", "");
    }

    #[test]
    fn another_identity_and_none_are_refused_by_policy() {
        let bench = Bench::new();
        bench.configure_with(
            &format!("[[identity]]\nmrenclave = \"{}\"\n", "00".repeat(32)),
            COLLATERAL,
            SIMULATION,
        );
        assert_refused(&bench.run(&[]), 4, "IdentityMismatch", BOUND);
        bench.configure_with("", COLLATERAL, SIMULATION);
        assert_refused(&bench.run(&[]), 4, "NoIdentityConfigured", BOUND);
        let stderr = assert_accepted(&bench.run(&["--any-identity"]));
        assert!(stderr.contains(&hex::encode(PINNED)), "{stderr}");
        let others = stderr.lines().filter(|line| !line.starts_with("km-attest: warning: "));
        assert!(others.eq(stderr.lines().last()), "{stderr}");
    }

    #[test]
    fn both_settings_are_needed() {
        let bench = Bench::new();
        for simulation in [
            "[simulation]\nroot = \"platform/public/root.der\"\nallow = false\n",
            "[simulation]\nroot = \"platform/public/root.der\"\n",
            "[simulation]\nallow = true\n",
        ] {
            bench.configure_with(&Bench::identity(), COLLATERAL, simulation);
            assert_refused(&bench.run(&[]), 3, "SimulationNotEnabled", "");
        }
        bench.configure_with(
            &Bench::identity(),
            COLLATERAL,
            "[simulation]\nroot = \"absent\"\nallow = true\n",
        );
        assert_refused(&bench.run(&[]), 1, "SimulatedRootUnreadable", "");
        bench.configure_with(
            &Bench::identity(),
            COLLATERAL,
            "[simulation]\nroot = \"attest.toml\"\nallow = true\n",
        );
        assert_refused(&bench.run(&[]), 3, "TrustRootUnusable", "");
    }

    #[test]
    fn missing_collateral_is_refused() {
        let bench = Bench::new();
        bench.configure_with(&Bench::identity(), "", SIMULATION);
        assert_refused(&bench.run(&[]), 5, "CollateralNotConfigured", BOUND);
    }

    #[test]
    fn old_collateral_is_refused_like_missing_one() {
        assert_accepted(&Bench::with(29, &Options::default()).run(&[]));
        let expired = Bench::with(31, &Options::default());
        assert_refused(&expired.run(&[]), 5, "CollateralExpired", BOUND);
        assert_refused(&expired.run(&["--any-identity"]), 5, "CollateralExpired", BOUND);
    }

    #[test]
    fn a_platform_with_advisories_is_refused_until_each_is_accepted() {
        let advisories = vec!["INTEL-SA-00334".into(), "INTEL-SA-00615".into()];
        let options = Options { tcb_status: "SWHardeningNeeded".into(), advisories, ..Options::default() };
        let bench = Bench::with(0, &options);
        assert_refused(&bench.run(&[]), 4, "TcbStatusRefused", BOUND);
        let accept = |ids: &str| {
            let tcb = format!("[tcb]\naccepted_advisories = [{ids}]\n");
            bench.configure_with(&Bench::identity(), COLLATERAL, &format!("{SIMULATION}{tcb}"));
            bench.run(&[])
        };
        assert_refused(&accept("\"INTEL-SA-00334\""), 4, "TcbStatusRefused", BOUND);
        let output = accept("\"INTEL-SA-00615\", \"INTEL-SA-00334\"");
        assert_eq!(output.status.code(), Some(0));
        // The status's own name and sentence, never those of a platform that is up to date.
        assert_eq!(
            String::from_utf8(output.stdout).unwrap(),
            "Public key hash verification successful\nSGX_QL_QV_RESULT_SW_HARDENING_NEEDED\n\
             Quote is correct, enclaves on the platform need software hardening.\n\
             Quote verification successful\n"
        );
    }

    #[test]
    fn json_says_that_it_is_simulated() {
        let bench = Bench::new();
        let output = bench.run(&["--json"]);
        let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(0), "{document:#}");
        assert_eq!((&document["simulated"], &document["claims"]["simulated"]), (&true.into(), &true.into()));
        assert_eq!((&document["binding"], &document["accepted"]), (&"verified".into(), &true.into()));
        assert_eq!(document["publicKeySha256"], hex::encode(key().sha256()));
        assert_eq!(document["claims"]["workload"]["debug"], true);
        // Refusals too.
        bench.configure_with("", COLLATERAL, SIMULATION);
        let document: serde_json::Value = serde_json::from_slice(&bench.run(&["--json"]).stdout).unwrap();
        assert_eq!((&document["simulated"], &document["accepted"]), (&true.into(), &false.into()));
        assert!(document["publicKeySha256"].is_null() && document["binding"] == "verified");
    }

    /// A service that was wrong once is believed again as soon as it is right.
    #[test]
    fn collateral_that_is_not_genuine_is_not_kept() {
        let bench = Bench::new();
        let issue = || bench.issue(&CollateralOptions::default());
        let mut forged = issue();
        forged.tcb_info_signature[0] ^= 1;
        let pccs = tcs_testkit::Pccs::http(forged).unwrap();
        let collateral =
            format!("[collateral]\npccs_url = \"{}\"\nproxy = \"none\"\ncache = \"cache\"\n", pccs.url());
        bench.configure_with(&Bench::identity(), &collateral, SIMULATION);
        assert_refused(&bench.run(&[]), 3, "SignatureInvalid", BOUND);
        pccs.serve(issue());
        assert_accepted(&bench.run(&[]));
        let asked = pccs.requests().len();
        assert_accepted(&bench.run(&[]));
        assert_eq!(pccs.requests().len(), asked, "now there is a copy");
    }

    /// The program against a PCCS, with a cache and a state: what was seen once is not taken back.
    #[test]
    fn collateral_that_goes_back_is_refused_by_the_program() {
        let bench = Bench::new();
        let now = now();
        let issue = |pck_crl_number| {
            bench.issue(&CollateralOptions { pck_crl_number, ..CollateralOptions::default() })
        };
        let pccs = tcs_testkit::Pccs::http(issue(5)).unwrap();
        let collateral = format!(
            "[collateral]\npccs_url = \"{}\"\nproxy = \"none\"\nstate = \"state.json\"\n",
            pccs.url()
        );
        bench.configure_with(&Bench::identity(), &collateral, SIMULATION);
        assert_accepted(&bench.run(&[]));
        let state = std::fs::read_to_string(bench.path("state.json")).unwrap();
        assert!(
            state.contains("platform/00606a000000/sgx/standard/") && state.contains("\"pckCrl\": 5"),
            "{state}"
        );
        pccs.serve(issue(4));
        assert_refused(&bench.run(&[]), 5, "CollateralRollback", BOUND);
        let document: serde_json::Value = serde_json::from_slice(&bench.run(&["--json"]).stdout).unwrap();
        let last = document["checks"].as_array().unwrap().last().unwrap();
        assert_eq!((&last["id"], &last["outcome"]), (&"roll-back".into(), &"failed".into()));
        // A file by option goes the same way; at another time than now nothing is asked or remembered.
        bench.write("old.json", issue(4).to_json());
        let old = bench.path("old.json");
        assert_refused(&bench.run(&["--collateral", old.to_str().unwrap()]), 5, "CollateralRollback", BOUND);
        assert_eq!(bench.run(&["--at", &now.to_string()]).status.code(), Some(0));
        assert_eq!(std::fs::read_to_string(bench.path("state.json")).unwrap(), state);
        // Forged collateral never raises the bar.
        let mut forged = issue(9);
        forged.tcb_info_signature[0] ^= 1;
        pccs.serve(forged);
        assert_refused(&bench.run(&[]), 3, "SignatureInvalid", BOUND);
        pccs.serve(issue(5));
        assert_accepted(&bench.run(&[]));
    }

    /// Genuine, but older than what was seen: not kept either, or the next run would still be refused.
    #[test]
    fn collateral_that_goes_back_is_not_kept() {
        let bench = Bench::new();
        let now = now();
        let issue = |pck_crl_number| {
            bench.issue(&CollateralOptions { pck_crl_number, ..CollateralOptions::default() })
        };
        let pccs = tcs_testkit::Pccs::http(issue(5)).unwrap();
        let settings = |more: &str| {
            let url = pccs.url();
            let text = format!(
                "[collateral]\npccs_url = \"{url}\"\nproxy = \"none\"\nstate = \"state.json\"\n{more}"
            );
            bench.configure_with(&Bench::identity(), &text, SIMULATION);
        };
        settings("");
        assert_accepted(&bench.run(&[]));
        settings("cache = \"cache\"\n");
        pccs.serve(issue(4));
        assert_refused(&bench.run(&[]), 5, "CollateralRollback", BOUND);
        // At another time than now nothing is compared, so nothing is kept.
        assert_eq!(bench.run(&["--at", &now.to_string()]).status.code(), Some(0));
        pccs.serve(issue(5));
        assert_accepted(&bench.run(&[]));
    }

    #[test]
    fn another_nonce_binds_another_quote() {
        let bench = Bench::new();
        let platform = Platform::open(&bench.path("platform")).unwrap();
        let nonce = [7; 32];
        let quote = platform.quote(PINNED, ctk_v1(&key(), &nonce)).unwrap();
        bench.write("quote", STANDARD.encode(quote));
        assert_accepted(&bench.run(&["--nonce", &hex::encode(nonce)]));
        assert_accepted(&bench.run(&["--nonce", &STANDARD.encode(nonce)]));
        assert_refused(&bench.run(&[]), 3, "BindingMismatch", "");
        assert_refused(&bench.run(&["--nonce", &hex::encode([8; 32])]), 3, "BindingMismatch", "");
    }

    /// `policy new` for the quote at hand, with the settings that it leaves to its reader, accepts exactly
    /// this machine.
    #[test]
    fn a_new_policy_accepts_the_quote_it_was_made_from() {
        let bench = Bench::new();
        let command = |arguments: &[&str]| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_km-attest"));
            command.args(arguments).env_remove("KM_ATTEST_CONFIG").output().unwrap()
        };
        let quote = bench.path("quote");
        let output = command(&["policy", "new", "--from-quote", quote.to_str().unwrap()]);
        assert!(String::from_utf8(output.stderr).unwrap().contains("debug mode"));
        let policy = String::from_utf8(output.stdout).unwrap();
        // Its collateral would be Intel's, who knows nothing of a simulated platform.
        let (policy, collateral) = policy.split_once("\n# Where collateral comes from").unwrap();
        assert!(collateral.contains("[collateral]\npcs_url = \"https://api.trustedservices.intel.com\"\n"));
        bench.configure_with(policy, COLLATERAL, SIMULATION);
        assert_accepted(&bench.run(&[]));
        let other = policy.replace(&hex::encode(b"SIMULATED-PPID\0\0"), &"00".repeat(16));
        assert_ne!(policy, other);
        bench.configure_with(&other, COLLATERAL, SIMULATION);
        assert_refused(&bench.run(&[]), 4, "PlatformUnknown", BOUND);
    }

    #[test]
    fn the_version_speaks_of_simulation() {
        let version = String::from_utf8(Bench::new().run(&["--version"]).stdout).unwrap();
        assert!(version.ends_with("+simulation\n"), "{version}");
    }
}
