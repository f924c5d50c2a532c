//! The honest simulator: what is accepted under its root, and nothing else.

use crate::fixture::{Fixture, NOW, production, trust_domain};
use crate::{any_identity, assert_accepted, assert_refused};
use tcs_sgx_sim::{CollateralOptions, Enclave, Td, Tee};
use tcs_verifier::{AcceptedIdentity, Kss, Policy, TrustAnchor, verify};

#[test]
fn debug_mode_is_admitted_under_the_simulated_root_and_said_so() {
    let fixture = Fixture::new();
    for evidence in [fixture.sgx(&Enclave::default()), fixture.td(&Td::default())] {
        let verdict = fixture.with_policy(&evidence, &any_identity());
        assert_accepted(&verdict);
        let claims = verdict.claims().unwrap();
        assert!(claims.simulated && claims.workload.is_debug());
        let check = verdict.checks().iter().find(|check| check.id == "debug").unwrap();
        assert_eq!(check.found, "debug mode, under a SIMULATED root");
        let root = verdict.checks().iter().find(|check| check.id == "trust-root").unwrap();
        assert_eq!(root.found, "a SIMULATED root");
    }
}

/// The exception applies to one root: neither Intel's nor another simulated one accepts this quote.
#[test]
fn the_exception_for_debug_never_reaches_a_quote_under_another_root() {
    let (own, other) = (Fixture::new(), Fixture::new());
    for tee in [Tee::Sgx, Tee::Tdx] {
        let collateral = own.collateral(tee, &CollateralOptions::default()).unwrap();
        let evidence = if tee == Tee::Sgx { own.sgx(&Enclave::default()) } else { own.td(&Td::default()) };
        for trust in [&TrustAnchor::intel(), &other.trust] {
            let verdict = verify(&evidence, &collateral, trust, &any_identity(), NOW);
            assert_refused(&verdict, "UntrustedRoot", "trust-root");
            assert!(verdict.claims().is_none());
        }
    }
}

#[test]
fn production_mode_under_the_simulated_root_is_simulated_all_the_same() {
    let fixture = Fixture::new();
    for evidence in [fixture.sgx(&production()), fixture.td(&trust_domain())] {
        let verdict = fixture.with_policy(&evidence, &any_identity());
        let claims = verdict.accepted().unwrap();
        assert!(claims.simulated && !claims.workload.is_debug());
    }
}

/// W-S2: the original's tools had no policy for the identity of the enclave. Here no enclave is accepted that
/// no policy names.
#[test]
fn w_s2_without_a_policy_nothing_is_accepted() {
    let fixture = Fixture::new();
    for evidence in [fixture.sgx(&production()), fixture.td(&trust_domain())] {
        let verdict = fixture.with_policy(&evidence, &Policy::default());
        assert_refused(&verdict, "NoIdentityConfigured", "identity");
    }
    let other = AcceptedIdentity::Enclave { mrenclave: [8; 32], kss: Kss::default() };
    let policy = Policy { identities: vec![other], ..Policy::default() };
    assert_refused(
        &fixture.with_policy(&fixture.sgx(&production()), &policy),
        "IdentityMismatch",
        "identity",
    );
}
