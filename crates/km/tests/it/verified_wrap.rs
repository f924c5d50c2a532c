//! `km-wrap --quote --policy`: verification and wrapping in one call, with the value that was verified.

use crate::attest::{Bench, key};
use std::process::{Command, Output};

fn wrap(bench: &Bench, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_km-wrap"));
    command.arg("--pubkey").arg(bench.path("key.pem")).arg("--privkey").arg(bench.path("ca.key"));
    command.args(more).env_remove("KM_ATTEST_CONFIG").current_dir(bench.path("")).output().unwrap()
}

fn bench() -> Bench {
    let bench = Bench::new();
    let mut openssl = Command::new("openssl");
    openssl.args(["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out"]);
    assert!(openssl.arg(bench.path("ca.key")).output().unwrap().status.success());
    bench
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
    let bench = bench();
    let output = wrap(&bench, &VERIFY);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && output.stdout.len() > 500, "{stderr}");
    assert!(stderr.starts_with("km-wrap: warning: SIMULATION"), "{stderr}");
    let named = format!("km-wrap: SHA-256 of the public key, verified: {}\n", hex::encode(key().sha256()));
    assert!(stderr.ends_with(&named) && stderr.lines().count() == 2, "{stderr}");
    // The policy by environment; a nonce of its own is another quote's.
    let mut command = Command::new(env!("CARGO_BIN_EXE_km-wrap"));
    command.args(["--pubkey", "key.pem", "--privkey", "ca.key", "--quote", "quote"]);
    let output = command.current_dir(bench.path("")).env("KM_ATTEST_CONFIG", "attest.toml").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let nonce = "07".repeat(32);
    assert_refused(&wrap(&bench, &[&VERIFY[..], &["--nonce", &nonce]].concat()), 3, "BindingMismatch");
}

#[test]
fn nothing_is_wrapped_for_what_the_policy_does_not_accept() {
    let bench = bench();
    assert_refused(&wrap(&bench, &["--quote", "quote"]), 4, "NoIdentityConfigured");
    assert_refused(&wrap(&bench, &["--quote", "key.pem", "--policy", "attest.toml"]), 3, "QuoteMalformed");
    assert_refused(&wrap(&bench, &["--quote", "absent", "--policy", "attest.toml"]), 1, "QuoteUnreadable");
    let digest = ["--pubkey-sha256", &"0".repeat(64)];
    assert_refused(&wrap(&bench, &[&VERIFY[..], &digest].concat()), 7, "PublicKeyUnexpected");
    bench.configure(&format!("[[identity]]\nmrenclave = \"{}\"\n", "00".repeat(32)));
    assert_refused(&wrap(&bench, &VERIFY), 4, "IdentityMismatch");
    // Every enclave, and another time than now, cannot be asked for here.
    for option in ["--any-identity", "--at=2030-01-01"] {
        assert_eq!(wrap(&bench, &[&VERIFY[..], &[option]].concat()).status.code(), Some(2));
    }
    let bench = Bench::with_key_file(include_str!("../data/attest-other.pem"));
    std::fs::copy(self::bench().path("ca.key"), bench.path("ca.key")).unwrap();
    assert_refused(&wrap(&bench, &VERIFY), 3, "BindingMismatch");
}

/// `--out-pubkey` writes what was verified, and nothing else.
#[test]
fn km_attest_hands_the_verified_key_on() {
    let bench = bench();
    let out = bench.path("verified.pem");
    let attest = |bench: &Bench| bench.run(&["--out-pubkey", out.to_str().unwrap()]);
    bench.write("key.pem", format!("text\n{}", include_str!("../data/attest-one.pem")));
    assert!(attest(&bench).status.success());
    let written = std::fs::read(&out).unwrap();
    assert_eq!(tcs_km::public_key::parse(&written).unwrap(), key());
    // A file that is there is left alone, and the answer is no longer yes.
    let output = attest(&bench);
    assert_eq!((output.status.code(), std::fs::read(&out).unwrap()), (Some(1), written));
    assert!(String::from_utf8(output.stderr).unwrap().contains("error[PublicKeyUnwritable]"));
    assert!(!String::from_utf8(output.stdout).unwrap().contains("Quote verification successful"));
    std::fs::remove_file(&out).unwrap();
    bench.configure("");
    assert_eq!(attest(&bench).status.code(), Some(4));
    assert!(!out.exists());
}
