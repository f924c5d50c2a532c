//! Q1 to Q16 of `docs/conformance.md`: what Intel's quote verification library (QVL) checks and dcap-qvl does
//! not, and what this verifier refuses beyond both. The simulator makes the input with one fault; everything
//! else in it is valid.

use crate::fixture::{DAY, Fixture, production, trust_domain};
use crate::{any_identity, assert_accepted, assert_refused};
use serde_json::Value;
use tcs_evidence::Evidence;
use tcs_sgx_sim::{CollateralOptions, Options, QeIdentity, QuoteShape, Tee, Validity};
use tcs_verifier::{Collateral, Error, TrustAnchor, Verdict, verify};

/// Valid collateral with one member of its JSON changed.
fn edited(fixture: &Fixture, member: &str, edit: impl FnOnce(&str) -> String) -> Result<Verdict, Error> {
    let mut json: Value =
        serde_json::from_str(&fixture.json(Tee::Sgx, &CollateralOptions::default())).unwrap();
    let before = json[member].as_str().unwrap().to_owned();
    let after = edit(&before);
    assert_ne!(before, after);
    json[member] = after.into();
    let collateral = Collateral::from_json(json.to_string().as_bytes())?;
    Ok(fixture.appraise(&fixture.sgx(&production()), &collateral, &any_identity()))
}

fn shaped(shape: &QuoteShape) -> Verdict {
    let fixture = Fixture::new();
    fixture.with_policy(&fixture.shaped(&production(), shape), &any_identity())
}

#[test]
fn a_sound_platform_passes_every_check() {
    assert_accepted(&Fixture::new().with_collateral(&CollateralOptions::default()));
}

#[test]
fn q1_pceid_of_the_tcb_info_is_that_of_the_platform() {
    let options = CollateralOptions { pce_id: Some([1, 0]), ..CollateralOptions::default() };
    assert_refused(&Fixture::new().with_collateral(&options), "CollateralMismatch", "collateral-platform");
    // This also holds if the PCEID of the platform is not 0000.
    let fixture = Fixture::with(&Options { pce_id: [1, 0], ..Options::default() });
    assert_accepted(&fixture.with_collateral(&CollateralOptions::default()));
}

#[test]
fn q2_tcb_type_is_known() {
    let options = CollateralOptions { tcb_type: 1, ..CollateralOptions::default() };
    assert_refused(&Fixture::new().with_collateral(&options), "CollateralMalformed", "tcb-info-form");
}

#[test]
fn q3_no_tcb_level_stands_twice() {
    let fixture = Fixture::new();
    let (own, mut lower) = (fixture.platform.tcb_level(), fixture.platform.tcb_level());
    lower.pce_svn -= 1;
    lower.status = "OutOfDate".into();
    let with = |levels: &[_]| {
        fixture.with_collateral(&CollateralOptions {
            tcb_levels: Some(levels.to_vec()),
            ..CollateralOptions::default()
        })
    };
    assert_accepted(&with(&[own.clone(), lower.clone()]));
    let mut twice = own.clone();
    twice.status = "OutOfDate".into();
    assert_refused(&with(&[own.clone(), lower, twice]), "CollateralMalformed", "tcb-info-form");

    // The levels of a trust domain are also distinguished by their TDX components.
    let with = |levels: &[_]| {
        let options = CollateralOptions { tcb_levels: Some(levels.to_vec()), ..CollateralOptions::default() };
        let collateral = fixture.collateral(Tee::Tdx, &options).unwrap();
        fixture.appraise(&fixture.td(&trust_domain()), &collateral, &any_identity())
    };
    let mut lower = own.clone();
    lower.tdx_components[2] -= 1;
    assert_accepted(&with(&[own.clone(), lower.clone()]));
    assert_refused(&with(&[own.clone(), lower, own]), "CollateralMalformed", "tcb-info-form");
}

#[test]
fn q4_components_are_not_below_cpusvn() {
    for at in 0..16 {
        let sound = Options { cpu_svn: [9; 16], components: [9; 16], ..Options::default() };
        let mut lower = sound.clone();
        lower.components[at] -= 1;
        let verdict = Fixture::with(&lower).with_collateral(&CollateralOptions::default());
        assert_refused(&verdict, "QuoteRefused", "svn-components");
        // Components above CPUSVN are read differently by Intel's library, but never to the platform's
        // advantage here.
        let mut higher = sound;
        higher.components[at] = 200;
        assert_accepted(&Fixture::with(&higher).with_collateral(&CollateralOptions::default()));
    }
}

#[test]
fn q5_the_leaf_is_a_pck_certificate_by_name() {
    let fixture =
        Fixture::with(&Options { pck_name: "Intel SGX PCK Certificat".into(), ..Options::default() });
    let verdict = fixture.with_collateral(&CollateralOptions::default());
    assert_refused(&verdict, "QuoteRefused", "certificate-names");
}

#[test]
fn q6_the_tcb_signer_is_one_by_name() {
    let fixture =
        Fixture::with(&Options { tcb_signer_name: "Intel SGX TCB Signing 2".into(), ..Options::default() });
    let verdict = fixture.with_collateral(&CollateralOptions::default());
    assert_refused(&verdict, "CollateralMalformed", "certificate-names");
}

#[test]
fn q7_the_trust_anchor_itself_has_not_expired() {
    let fixture = Fixture::with(&Options { root_days: -1, ..Options::default() });
    let verdict = fixture.with_collateral(&CollateralOptions::default());
    assert_refused(&verdict, "CollateralExpired", "validity");
    let error = verdict.accepted().unwrap_err();
    assert!(matches!(error, Error::CollateralExpired { what: "the root certificate", .. }), "{error}");
}

#[test]
fn q8_chains_have_no_certificate_too_many_or_too_few() {
    let fixture = Fixture::new();
    let root = fixture.platform.pck_chain();
    let root = &root[root.rfind("-----BEGIN").unwrap()..];
    for chain in ["tcb_info_issuer_chain", "qe_identity_issuer_chain", "pck_crl_issuer_chain"] {
        let long = edited(&fixture, chain, |text| format!("{text}{root}"));
        assert_eq!(long.unwrap_err().code(), "CollateralMalformed", "{chain}");
        let short = edited(&fixture, chain, |text| text[..text.rfind("-----BEGIN").unwrap()].into());
        assert_eq!(short.unwrap_err().code(), "CollateralMalformed", "{chain}");
    }
    let own = fixture.platform.pck_chain();
    for chain in [format!("{own}{root}"), own[..own.rfind("-----BEGIN").unwrap()].to_owned(), String::new()] {
        let shape = QuoteShape { certification_data: Some(chain.into()), ..QuoteShape::default() };
        let verdict = fixture.with_policy(&fixture.shaped(&production(), &shape), &any_identity());
        assert_refused(&verdict, "QuoteMalformed", "chain-form");
    }
}

/// Q9, the exception for simulated roots and its limits: `simulation.rs`, and `appraisal.rs` for Intel's
/// root.
#[test]
fn q9_debug_is_a_check_of_its_own() {
    let verdict = Fixture::new().with_collateral(&CollateralOptions::default());
    let check = verdict.checks().iter().find(|check| check.id == "debug").unwrap();
    assert_eq!(check.found, "not in debug mode");
}

#[test]
fn q10_authentication_data_of_0_bytes_is_refused() {
    let verdict = shaped(&QuoteShape { auth_data: Vec::new(), ..QuoteShape::default() });
    assert_refused(&verdict, "QuotingEnclaveRefused", "quoting-enclave");
}

#[test]
fn q11_authentication_data_of_64_bytes_is_refused() {
    let verdict = shaped(&QuoteShape { auth_data: vec![1; 64], ..QuoteShape::default() });
    assert_refused(&verdict, "QuotingEnclaveRefused", "quoting-enclave");
}

#[test]
fn q12_collateral_from_the_future_is_refused() {
    let future = Validity { from: 60, until: 30 * DAY };
    for options in [
        CollateralOptions { tcb_info_validity: future, ..CollateralOptions::default() },
        CollateralOptions { qe_identity_validity: future, ..CollateralOptions::default() },
        CollateralOptions { root_crl_validity: future, ..CollateralOptions::default() },
        CollateralOptions { pck_crl_validity: future, ..CollateralOptions::default() },
    ] {
        let verdict = Fixture::new().with_collateral(&options);
        assert_refused(&verdict, "CollateralNotYetValid", "validity");
    }
}

#[test]
fn q13_the_signed_texts_are_taken_to_the_letter() {
    for member in ["tcb_info", "qe_identity"] {
        let verdict = edited(&Fixture::new(), member, |text| text.replacen(':', ": ", 1)).unwrap();
        assert_refused(&verdict, "SignatureInvalid", "signatures");
    }
}

#[test]
fn q14_expired_collateral_is_refused_each_part_by_its_name() {
    let expired = Validity::days(-1);
    for (options, what) in [
        (CollateralOptions { tcb_info_validity: expired, ..CollateralOptions::default() }, "the TCB info"),
        (
            CollateralOptions { qe_identity_validity: expired, ..CollateralOptions::default() },
            "the QE identity",
        ),
        (
            CollateralOptions { root_crl_validity: expired, ..CollateralOptions::default() },
            "the root CA's CRL",
        ),
        (CollateralOptions { pck_crl_validity: expired, ..CollateralOptions::default() }, "the PCK CA's CRL"),
    ] {
        let verdict = Fixture::new().with_collateral(&options);
        assert_refused(&verdict, "CollateralExpired", "validity");
        let error = verdict.accepted().unwrap_err();
        assert!(matches!(error, Error::CollateralExpired { what: found, .. } if *found == what), "{error}");
    }
    let fixture = Fixture::with(&Options { certificate_days: -1, ..Options::default() });
    assert_refused(&fixture.with_collateral(&CollateralOptions::default()), "CollateralExpired", "validity");
}

#[test]
fn q14_the_last_second_is_accepted_and_the_next_refused() {
    let fixture = Fixture::new();
    let at = |until, now| {
        let validity = Validity { from: -DAY, until };
        let options = CollateralOptions {
            tcb_info_validity: validity,
            qe_identity_validity: validity,
            ..CollateralOptions::default()
        };
        let collateral = fixture.collateral(Tee::Sgx, &options).unwrap();
        verify(
            &fixture.sgx(&production()),
            &collateral,
            &fixture.trust,
            &any_identity(),
            crate::fixture::NOW + now,
        )
    };
    assert_accepted(&at(100, 100));
    assert_refused(&at(100, 101), "CollateralExpired", "validity");
    assert_accepted(&at(100, -DAY));
    assert_refused(&at(100, -DAY - 1), "CollateralNotYetValid", "validity");
    // A CRL has expired at its nextUpdate.
    let end = |now| {
        let options = CollateralOptions {
            pck_crl_validity: Validity { from: -DAY, until: 100 },
            ..CollateralOptions::default()
        };
        let collateral = fixture.collateral(Tee::Sgx, &options).unwrap();
        verify(
            &fixture.sgx(&production()),
            &collateral,
            &fixture.trust,
            &any_identity(),
            crate::fixture::NOW + now,
        )
    };
    assert_accepted(&end(99));
    assert_refused(&end(100), "CollateralExpired", "validity");
}

#[test]
fn q15_sgx_in_other_versions_and_old_tcb_info_are_refused() {
    for version in [4, 5] {
        let verdict = shaped(&QuoteShape { sgx_layout: version, ..QuoteShape::default() });
        assert_refused(&verdict, "QuoteMalformed", "quote-layout");
    }
    // Passed as a TDX quote of that version.
    let fixture = Fixture::new();
    for version in [4, 5] {
        let shape = QuoteShape { sgx_layout: version, ..QuoteShape::default() };
        let quote = Evidence::TdxQuote(fixture.platform.sgx_quote_shaped(&production(), &shape).unwrap());
        assert_refused(&fixture.with_policy(&quote, &any_identity()), "QuoteMalformed", "quote-layout");
    }
    let options = CollateralOptions { tcb_info_version: 2, ..CollateralOptions::default() };
    assert_refused(&fixture.with_collateral(&options), "CollateralMalformed", "tcb-info-form");
    let identity = QeIdentity { version: 1, ..QeIdentity::of(Tee::Sgx) };
    let options = CollateralOptions { qe_identity: Some(identity), ..CollateralOptions::default() };
    assert_refused(&fixture.with_collateral(&options), "CollateralMismatch", "quoting-enclave");
}

#[test]
fn q16_every_byte_of_a_quote_is_accounted_for() {
    for shape in [
        QuoteShape { trailing: vec![0], ..QuoteShape::default() },
        QuoteShape { trailing_inside: vec![0], ..QuoteShape::default() },
    ] {
        assert_refused(&shaped(&shape), "QuoteMalformed", "quote-layout");
    }
}

/// A quote whose embedded chain ends in a copy of the trusted root, but was never signed by it.
#[test]
fn a_borrowed_root_certificate_is_no_proof() {
    let (own, foreign) = (Fixture::new(), Fixture::new());
    let last = |chain: &str| chain.rfind("-----BEGIN").unwrap();
    let (trusted, forged) = (own.platform.pck_chain(), foreign.platform.pck_chain());
    let forged = format!("{}{}", &forged[..last(&forged)], &trusted[last(&trusted)..]);
    let shape = QuoteShape { certification_data: Some(forged.into()), ..QuoteShape::default() };
    let evidence = foreign.shaped(&production(), &shape);
    let collateral = own.collateral(Tee::Sgx, &CollateralOptions::default()).unwrap();
    let verdict = own.appraise(&evidence, &collateral, &any_identity());
    assert_refused(&verdict, "CollateralMismatch", "trust-root");

    // If the forger's PCK CRL is in the collateral, the signatures show it.
    let mut json: Value = serde_json::from_str(&own.json(Tee::Sgx, &CollateralOptions::default())).unwrap();
    let theirs: Value = serde_json::from_str(&foreign.json(Tee::Sgx, &CollateralOptions::default())).unwrap();
    let issuer = theirs["pck_crl_issuer_chain"].as_str().unwrap();
    json["pck_crl_issuer_chain"] =
        format!("{}{}", &issuer[..last(issuer)], &trusted[last(&trusted)..]).into();
    json["pck_crl"] = theirs["pck_crl"].clone();
    let collateral = Collateral::from_json(json.to_string().as_bytes()).unwrap();
    let verdict = own.appraise(&evidence, &collateral, &any_identity());
    let error = verdict.accepted().unwrap_err();
    assert!(matches!(error.code(), "UntrustedRoot" | "SignatureInvalid"), "{error}");
}

/// Collateral for the right platform by another root: each chain is checked, not only that of the quote.
#[test]
fn each_chain_ends_in_the_trusted_root() {
    let (own, foreign) = (Fixture::new(), Fixture::new());
    let json = |fixture: &Fixture| -> Value {
        serde_json::from_str(&fixture.json(Tee::Sgx, &CollateralOptions::default())).unwrap()
    };
    let theirs = json(&foreign);
    for (chain, what) in [
        ("tcb_info_issuer_chain", "the TCB info's chain"),
        ("qe_identity_issuer_chain", "the QE identity's chain"),
        ("pck_crl_issuer_chain", "the PCK CRL's chain"),
    ] {
        let mut mixed = json(&own);
        mixed[chain] = theirs[chain].clone();
        let collateral = Collateral::from_json(mixed.to_string().as_bytes()).unwrap();
        let verdict = own.appraise(&own.sgx(&production()), &collateral, &any_identity());
        assert_refused(&verdict, "UntrustedRoot", "trust-root");
        assert_eq!(*verdict.accepted().unwrap_err(), Error::UntrustedRoot(what));
    }
    let collateral = own.collateral(Tee::Sgx, &CollateralOptions::default()).unwrap();
    let verdict = own.appraise(&foreign.sgx(&production()), &collateral, &any_identity());
    assert_eq!(*verdict.accepted().unwrap_err(), Error::UntrustedRoot("the certificate chain of the quote"));
    let verdict = verify(
        &own.sgx(&production()),
        &collateral,
        &TrustAnchor::intel(),
        &any_identity(),
        crate::fixture::NOW,
    );
    assert_refused(&verdict, "UntrustedRoot", "trust-root");
}
