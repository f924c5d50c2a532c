//! `km-attest` in a build with the feature `simulation`, which appraises simulated quotes like genuine ones
//! (`cargo test -p tcs-km --features simulation --target-dir target/simulation`).

use crate::support::attest::{
    BOUND, COLLATERAL, Fixture, PINNED, SIMULATION, assert_accepted, assert_refused, key,
};
use crate::support::programs::{run_km_attest, stderr, stdout};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tcs_evidence::report_data::ctk_v1;
use tcs_sgx_sim::{Options, Platform};

#[test]
fn a_good_quote_gives_exactly_four_lines_and_a_warning() {
    let fixture = Fixture::new();
    let stderr = assert_accepted(&fixture.run(&[]));
    let (warning, digest) = stderr.split_once('\n').unwrap();
    assert!(warning.starts_with("km-attest: warning: SIMULATION"), "{stderr}");
    let expected =
        format!("km-attest: SHA-256 of the verified public key: {}\n", hex::encode(key().sha256()));
    assert_eq!(digest, expected, "{stderr}");
    // The settings named by the environment; a quote in raw bytes; a quote as text with line ends.
    let by_environment = fixture.command(&[]).env("KM_ATTEST_CONFIG", fixture.path("attest.toml")).output();
    assert_accepted(&by_environment.unwrap());
    fixture.write("quote", &fixture.quote);
    assert_accepted(&fixture.run(&[]));
    let text = STANDARD.encode(&fixture.quote);
    fixture.write(
        "quote",
        text.as_bytes().chunks(64).map(|line| [line, b"\r\n"].concat()).collect::<Vec<_>>().concat(),
    );
    assert_accepted(&fixture.run(&[]));
}

#[test]
fn a_flipped_bit_is_refused() {
    let fixture = Fixture::new();
    // The QE SVN in the header, MRENCLAVE, the signature, the QE report.
    for (at, code) in [
        (8, "SignatureInvalid"),
        (112, "SignatureInvalid"),
        (440, "SignatureInvalid"),
        (600, "SignatureInvalid"),
    ] {
        let mut quote = fixture.quote.clone();
        quote[at] ^= 1;
        fixture.write("quote", STANDARD.encode(quote));
        assert_refused(&fixture.run(&["--any-identity"]), 3, code, BOUND);
    }
    let mut quote = fixture.quote.clone();
    quote[368] ^= 1;
    fixture.write("quote", STANDARD.encode(quote));
    assert_refused(&fixture.run(&[]), 3, "BindingMismatch", "");
}

#[test]
fn another_identity_and_none_are_refused_by_policy() {
    let fixture = Fixture::new();
    fixture.configure_with(
        &format!("[[identity]]\nmrenclave = \"{}\"\n", "00".repeat(32)),
        COLLATERAL,
        SIMULATION,
    );
    assert_refused(&fixture.run(&[]), 4, "IdentityMismatch", BOUND);
    fixture.configure_with("", COLLATERAL, SIMULATION);
    assert_refused(&fixture.run(&[]), 4, "NoIdentityConfigured", BOUND);
    let stderr = assert_accepted(&fixture.run(&["--any-identity"]));
    assert!(stderr.contains(&hex::encode(PINNED)), "{stderr}");
    let others = stderr.lines().filter(|line| !line.starts_with("km-attest: warning: "));
    assert!(others.eq(stderr.lines().last()), "{stderr}");
}

#[test]
fn both_settings_are_needed() {
    let fixture = Fixture::new();
    for simulation in [
        "[simulation]\nroot = \"platform/public/root.der\"\nallow = false\n",
        "[simulation]\nroot = \"platform/public/root.der\"\n",
        "[simulation]\nallow = true\n",
    ] {
        fixture.configure_with(&Fixture::identity(), COLLATERAL, simulation);
        assert_refused(&fixture.run(&[]), 3, "SimulationNotEnabled", "");
    }
    fixture.configure_with(
        &Fixture::identity(),
        COLLATERAL,
        "[simulation]\nroot = \"absent\"\nallow = true\n",
    );
    assert_refused(&fixture.run(&[]), 1, "SimulatedRootUnreadable", "");
    fixture.configure_with(
        &Fixture::identity(),
        COLLATERAL,
        "[simulation]\nroot = \"attest.toml\"\nallow = true\n",
    );
    assert_refused(&fixture.run(&[]), 3, "TrustRootUnusable", "");
}

#[test]
fn missing_collateral_is_refused() {
    let fixture = Fixture::new();
    fixture.configure_with(&Fixture::identity(), "", SIMULATION);
    assert_refused(&fixture.run(&[]), 5, "CollateralNotConfigured", BOUND);
}

#[test]
fn old_collateral_is_refused_like_missing_one() {
    assert_accepted(&Fixture::with(29, &Options::default()).run(&[]));
    let expired = Fixture::with(31, &Options::default());
    assert_refused(&expired.run(&[]), 5, "CollateralExpired", BOUND);
    assert_refused(&expired.run(&["--any-identity"]), 5, "CollateralExpired", BOUND);
}

#[test]
fn a_platform_with_advisories_is_refused_until_each_is_accepted() {
    let advisories = vec!["INTEL-SA-00334".into(), "INTEL-SA-00615".into()];
    let options = Options { tcb_status: "SWHardeningNeeded".into(), advisories, ..Options::default() };
    let fixture = Fixture::with(0, &options);
    assert_refused(&fixture.run(&[]), 4, "TcbStatusRefused", BOUND);
    let accept = |ids: &str| {
        let tcb = format!("[tcb]\naccepted_advisories = [{ids}]\n");
        fixture.configure_with(&Fixture::identity(), COLLATERAL, &format!("{SIMULATION}{tcb}"));
        fixture.run(&[])
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
    let fixture = Fixture::new();
    let output = fixture.run(&["--json"]);
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{document:#}");
    assert_eq!((&document["simulated"], &document["claims"]["simulated"]), (&true.into(), &true.into()));
    assert_eq!((&document["binding"], &document["accepted"]), (&"verified".into(), &true.into()));
    assert_eq!(document["publicKeySha256"], hex::encode(key().sha256()));
    assert_eq!(document["claims"]["workload"]["debug"], true);
    // This also holds for refusals.
    fixture.configure_with("", COLLATERAL, SIMULATION);
    let document: serde_json::Value = serde_json::from_slice(&fixture.run(&["--json"]).stdout).unwrap();
    assert_eq!((&document["simulated"], &document["accepted"]), (&true.into(), &false.into()));
    assert!(document["publicKeySha256"].is_null() && document["binding"] == "verified");
}

#[test]
fn another_nonce_binds_another_quote() {
    let fixture = Fixture::new();
    let platform = Platform::open(&fixture.path("platform")).unwrap();
    let nonce = [7; 32];
    let quote = platform.quote(PINNED, ctk_v1(&key(), &nonce)).unwrap();
    fixture.write("quote", STANDARD.encode(quote));
    assert_accepted(&fixture.run(&["--nonce", &hex::encode(nonce)]));
    assert_accepted(&fixture.run(&["--nonce", &STANDARD.encode(nonce)]));
    assert_refused(&fixture.run(&[]), 3, "BindingMismatch", "");
    assert_refused(&fixture.run(&["--nonce", &hex::encode([8; 32])]), 3, "BindingMismatch", "");
}

/// The result of `policy new`, completed with the settings that it leaves to its reader, accepts exactly this
/// machine.
#[test]
fn a_new_policy_accepts_the_quote_it_was_made_from() {
    let fixture = Fixture::new();
    let quote = fixture.path("quote");
    let output = run_km_attest(&["policy", "new", "--from-quote", quote.to_str().unwrap()]);
    assert!(stderr(&output).contains("debug mode"));
    let policy = stdout(&output);
    // Its collateral would be Intel's, which does not know a simulated platform.
    let (policy, collateral) = policy.split_once("\n# Where collateral comes from").unwrap();
    assert!(collateral.contains("[collateral]\npcs_url = \"https://api.trustedservices.intel.com\"\n"));
    fixture.configure_with(policy, COLLATERAL, SIMULATION);
    assert_accepted(&fixture.run(&[]));
    let other = policy.replace(&hex::encode(b"SIMULATED-PPID\0\0"), &"00".repeat(16));
    assert_ne!(policy, other);
    fixture.configure_with(&other, COLLATERAL, SIMULATION);
    assert_refused(&fixture.run(&[]), 4, "PlatformUnknown", BOUND);
}

#[test]
fn the_version_speaks_of_simulation() {
    let version = stdout(&Fixture::new().run(&["--version"]));
    assert!(version.ends_with("+simulation\n"), "{version}");
}
