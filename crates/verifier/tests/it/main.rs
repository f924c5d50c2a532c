//! Genuine and simulated quotes through the whole verifier.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![forbid(unsafe_code)]

mod claims;
mod faults;
mod fixture;
mod flips;
mod genuine;
mod intel_qvl;
mod layouts;
mod limits;
mod policy;
mod refusals;
mod said;
mod simulation;
mod tdx;
mod vectors;

use std::path::{Path, PathBuf};
use tcs_verifier::{Outcome, Policy, Verdict};

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

fn read(name: &str) -> Vec<u8> {
    std::fs::read(data(name)).unwrap()
}

/// Any key of the kind that quotes bind.
fn quote_public_key() -> tcs_evidence::QuotePublicKey {
    let head = "308201a2300d06092a864886f70d01010105000382018f003082018a0282018100";
    let spki = format!("{head}{}0203010001", "c5".repeat(384));
    tcs_evidence::QuotePublicKey::from_der(&hex::decode(spki).unwrap()).unwrap()
}

fn any_identity() -> Policy {
    Policy { any_identity: true, ..Policy::default() }
}

/// Code of the refusal and the checks that failed, which must be consistent with each other.
#[track_caller]
fn refused(verdict: &Verdict) -> (&'static str, Vec<&'static str>) {
    let error = verdict.accepted().expect_err("accepted");
    let failed: Vec<_> =
        verdict.checks().iter().filter(|c| c.outcome == Outcome::Failed).map(|c| c.id).collect();
    assert!(!failed.is_empty(), "{error}: no check failed");
    assert_eq!(verdict.clone().into_accepted().as_ref(), Err(error));
    (error.code(), failed)
}

/// Refused by exactly this check with exactly this code.
#[track_caller]
fn assert_refused(verdict: &Verdict, code: &str, check: &str) {
    let (found, failed) = refused(verdict);
    assert_eq!((found, failed.as_slice()), (code, [check].as_slice()), "{:?}", verdict.accepted());
}

/// Accepted, and no check failed or was left out.
#[track_caller]
fn assert_accepted(verdict: &Verdict) {
    assert!(verdict.accepted().is_ok(), "{:?}", verdict.accepted());
    for check in verdict.checks() {
        assert_eq!(check.outcome, Outcome::Passed, "{check:?}");
        assert!(!check.expected.is_empty() && !check.found.is_empty(), "{check:?}");
    }
}
