//! `km-wrap --quote --policy`: verification and wrapping in one call, for the key that was verified.

use crate::support::attest::{Fixture, key};
use crate::support::programs::{km_wrap, openssl};
use std::process::Output;

fn wrap(fixture: &Fixture, more: &[&str]) -> Output {
    let mut command = km_wrap();
    command.arg("--pubkey").arg(fixture.path("key.pem")).arg("--privkey").arg(fixture.path("ca.key"));
    command.args(more).current_dir(fixture.path("")).output().unwrap()
}

fn with_ca_key() -> Fixture {
    let fixture = Fixture::new();
    openssl(&fixture.path(""), "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out ca.key");
    fixture
}

#[track_caller]
fn assert_refused(output: &Output, status: i32, code: &str) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(status), &b""[..]), "{stderr}");
    assert!(stderr.contains(&format!("km-wrap: error[{code}]: ")), "{stderr}");
    assert!(!stderr.contains("SHA-256 of the public key"), "{stderr}");
}

const VERIFY: [&str; 4] = ["--quote", "quote", "--policy", "attest.toml"];

#[test]
fn review_c1_a_key_is_verified_and_wrapped_for_in_one_call() {
    let fixture = with_ca_key();
    let output = wrap(&fixture, &VERIFY);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && output.stdout.len() > 500, "{stderr}");
    assert!(stderr.starts_with("km-wrap: warning: SIMULATION"), "{stderr}");
    let named = format!("km-wrap: SHA-256 of the public key, verified: {}\n", hex::encode(key().sha256()));
    assert!(stderr.ends_with(&named) && stderr.lines().count() == 2, "{stderr}");
    // The environment names the policy. With another nonce it would be another quote.
    let mut command = km_wrap();
    command.args(["--pubkey", "key.pem", "--privkey", "ca.key", "--quote", "quote"]);
    let output =
        command.current_dir(fixture.path("")).env("KM_ATTEST_CONFIG", "attest.toml").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let nonce = "07".repeat(32);
    assert_refused(&wrap(&fixture, &[&VERIFY[..], &["--nonce", &nonce]].concat()), 3, "BindingMismatch");
}

#[test]
fn nothing_is_wrapped_for_what_the_policy_does_not_accept() {
    let fixture = with_ca_key();
    assert_refused(&wrap(&fixture, &["--quote", "quote"]), 4, "NoIdentityConfigured");
    assert_refused(&wrap(&fixture, &["--quote", "key.pem", "--policy", "attest.toml"]), 3, "QuoteMalformed");
    assert_refused(&wrap(&fixture, &["--quote", "absent", "--policy", "attest.toml"]), 1, "QuoteUnreadable");
    let digest = ["--pubkey-sha256", &"0".repeat(64)];
    assert_refused(&wrap(&fixture, &[&VERIFY[..], &digest].concat()), 7, "PublicKeyUnexpected");
    fixture.configure(&format!("[[identity]]\nmrenclave = \"{}\"\n", "00".repeat(32)));
    assert_refused(&wrap(&fixture, &VERIFY), 4, "IdentityMismatch");
    // There is no option to accept every enclave, or to appraise at another time than now.
    for option in ["--any-identity", "--at=2030-01-01"] {
        assert_eq!(wrap(&fixture, &[&VERIFY[..], &[option]].concat()).status.code(), Some(2));
    }
    let fixture = Fixture::with_key_file(include_str!("../data/attest-other.pem"));
    std::fs::copy(with_ca_key().path("ca.key"), fixture.path("ca.key")).unwrap();
    assert_refused(&wrap(&fixture, &VERIFY), 3, "BindingMismatch");
}

/// `--out-pubkey` writes what was verified, and nothing else.
#[test]
fn km_attest_hands_the_verified_key_on() {
    let fixture = with_ca_key();
    let out = fixture.path("verified.pem");
    let attest = |fixture: &Fixture| fixture.run(&["--out-pubkey", out.to_str().unwrap()]);
    fixture.write("key.pem", format!("text\n{}", include_str!("../data/attest-one.pem")));
    assert!(attest(&fixture).status.success());
    let written = std::fs::read(&out).unwrap();
    assert_eq!(tcs_km::public_key::parse(&written).unwrap(), key());
    // An existing file is not changed, and the call fails.
    let output = attest(&fixture);
    assert_eq!((output.status.code(), std::fs::read(&out).unwrap()), (Some(1), written));
    assert!(String::from_utf8(output.stderr).unwrap().contains("error[PublicKeyUnwritable]"));
    assert!(!String::from_utf8(output.stdout).unwrap().contains("Quote verification successful"));
    std::fs::remove_file(&out).unwrap();
    fixture.configure("");
    assert_eq!(attest(&fixture).status.code(), Some(4));
    assert!(!out.exists());
}
