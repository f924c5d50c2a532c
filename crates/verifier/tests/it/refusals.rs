//! All other refusals of evidence that looks genuine, with one change each.

use crate::fixture::{Fixture, NOW, production};
use crate::{any_identity, assert_refused};
use tcs_evidence::Evidence;
use tcs_evidence::report_data::{FIXED_NONCE, ctk_v1};
use tcs_sgx_sim::{
    CollateralOptions, Enclave, IsvTcbLevel, Options, PckCa as SimulatedCa, QeIdentity, QuoteShape, Revoked,
    Tee,
};
use tcs_verifier::{Class, Collateral, Error, Outcome, PckCa, QvResult, check_binding, inspect, verify};

#[test]
fn revoked_certificates_and_levels_are_refused_as_such() {
    let fixture = Fixture::new();
    for revoked in [Revoked::PckLeaf, Revoked::PckCa, Revoked::TcbSigner, Revoked::Root] {
        let options = CollateralOptions { revoked: vec![revoked], ..CollateralOptions::default() };
        let verdict = fixture.with_collateral(&options);
        assert_refused(&verdict, "Revoked", "revocation");
        assert_eq!(verdict.qv_result(), Some(QvResult::Revoked), "{revoked:?}");
    }
    let revoked = Fixture::with(&Options { tcb_status: "Revoked".into(), ..Options::default() });
    assert_refused(&revoked.with_collateral(&CollateralOptions::default()), "Revoked", "revocation");
}

#[test]
fn a_platform_at_no_level_is_refused() {
    let fixture = Fixture::new();
    let mut level = fixture.platform.tcb_level();
    level.pce_svn += 1;
    let options = CollateralOptions { tcb_levels: Some(vec![level]), ..CollateralOptions::default() };
    let verdict = fixture.with_collateral(&options);
    assert_refused(&verdict, "TcbLevelNotSupported", "tcb-level");
    assert_eq!(verdict.qv_result(), Some(QvResult::Unspecified));
    // The checks after it are reported as not made.
    let identity = verdict.checks().iter().find(|check| check.id == "identity").unwrap();
    assert_eq!((identity.outcome, &*identity.found), (Outcome::NotMade, ""));
}

#[test]
fn quoting_enclaves_that_are_not_the_published_ones_are_refused() {
    let fixture = Fixture::new();
    let own = Enclave::quoting(Tee::Sgx);
    for qe in [
        Enclave { mrsigner: [1; 32], ..own.clone() },
        Enclave { isv_prod_id: 2, ..own.clone() },
        Enclave { miscselect: 1, ..own.clone() },
        Enclave { flags: own.flags | 0x20, ..own.clone() },
        Enclave { flags: own.flags | 0x02, ..own.clone() },
        Enclave { isv_svn: 1, ..own.clone() },
    ] {
        let shape = QuoteShape { qe: Some(qe.clone()), ..QuoteShape::default() };
        let verdict = fixture.with_policy(&fixture.shaped(&production(), &shape), &any_identity());
        assert_refused(&verdict, "QuotingEnclaveRefused", "quoting-enclave");
    }
    let shape = QuoteShape { vendor_id: [0; 16], ..QuoteShape::default() };
    let verdict = fixture.with_policy(&fixture.shaped(&production(), &shape), &any_identity());
    assert_refused(&verdict, "QuotingEnclaveRefused", "quoting-enclave");
    let revoked = IsvTcbLevel { status: "Revoked".into(), ..IsvTcbLevel::default() };
    let identity = QeIdentity { levels: vec![revoked], ..QeIdentity::of(Tee::Sgx) };
    let options = CollateralOptions { qe_identity: Some(identity), ..CollateralOptions::default() };
    assert_refused(&fixture.with_collateral(&options), "Revoked", "revocation");
}

#[test]
fn forged_signatures_are_refused() {
    let fixture = Fixture::new();
    let swapped = QuoteShape { ak_swap: true, ..QuoteShape::default() };
    let verdict = fixture.with_policy(&fixture.shaped(&production(), &swapped), &any_identity());
    assert_refused(&verdict, "SignatureInvalid", "signatures");
    assert_eq!(verdict.qv_result(), Some(QvResult::InvalidSignature));
    for byte in [8, 112, 440, 600] {
        let mut quote = fixture.sgx(&production()).bytes().to_vec();
        quote[byte] ^= 1;
        let verdict = fixture.with_policy(&Evidence::SgxQuote(quote), &any_identity());
        assert_refused(&verdict, "SignatureInvalid", "signatures");
    }
}

#[test]
fn quotes_of_another_form_are_refused() {
    let fixture = Fixture::new();
    for shape in [
        QuoteShape { key_type: 3, ..QuoteShape::default() },
        QuoteShape { version: Some(2), ..QuoteShape::default() },
        QuoteShape { tee_type: Some(0x81), ..QuoteShape::default() },
        QuoteShape { certification_type: 4, ..QuoteShape::default() },
    ] {
        let verdict = fixture.with_policy(&fixture.shaped(&production(), &shape), &any_identity());
        let (code, _) = crate::refused(&verdict);
        assert!(matches!(code, "QuoteMalformed" | "QuoteRefused"), "{shape:?}: {code}");
    }
}

#[test]
fn collateral_of_another_platform_family_is_refused() {
    let options = CollateralOptions { fmspc: Some([1; 6]), ..CollateralOptions::default() };
    let verdict = Fixture::new().with_collateral(&options);
    assert_refused(&verdict, "CollateralMismatch", "collateral-platform");
    let options = CollateralOptions { tcb_info_id: Some("TDX".into()), ..CollateralOptions::default() };
    let verdict = Fixture::new().with_collateral(&options);
    assert_eq!(verdict.accepted().unwrap_err().class(), Class::Collateral);
}

#[test]
fn collateral_that_cannot_be_read_is_refused() {
    for json in [b"".as_slice(), b"{}", b"[]", &vec![b' '; 1024 * 1024 + 1]] {
        assert_eq!(Collateral::from_json(json).unwrap_err().code(), "CollateralMalformed");
    }
}

#[test]
fn both_pck_cas_are_told_apart() {
    for (ca, expected, instance) in
        [(SimulatedCa::Platform, PckCa::Platform, true), (SimulatedCa::Processor, PckCa::Processor, false)]
    {
        let options = Options { ca, dynamic_platform: true, smt_enabled: true, ..Options::default() };
        let fixture = Fixture::with(&options);
        let verdict = fixture.with_collateral(&CollateralOptions::default());
        let platform = &verdict.accepted().unwrap().platform;
        assert_eq!(platform.ca, expected);
        assert_eq!(platform.platform_instance.is_some(), instance);
        let flags = (platform.dynamic_platform, platform.cached_keys, platform.smt_enabled);
        assert_eq!(flags, if instance { (Some(true), Some(false), Some(true)) } else { (None, None, None) });
    }
}

/// Every claim has the value that was put into the quote.
#[test]
fn claims_are_what_the_platform_was_made_with() {
    let options = Options {
        fmspc: [1, 2, 3, 4, 5, 6],
        pce_id: [7, 8],
        ppid: [9; 16],
        platform_instance: [10; 16],
        sgx_type: 2,
        pce_svn: 11,
        ..Options::default()
    };
    let fixture = Fixture::with(&options);
    let collateral = fixture
        .collateral(
            Tee::Sgx,
            &CollateralOptions {
                tcb_info_evaluation: 20,
                qe_identity_evaluation: 19,
                root_crl_number: 5,
                pck_crl_number: 6,
                ..CollateralOptions::default()
            },
        )
        .unwrap();
    let enclave = Enclave {
        isv_prod_id: 21,
        isv_svn: 22,
        xfrm: 0xe7,
        miscselect: 1,
        config_id: [23; 64],
        config_svn: 24,
        isv_ext_prod_id: [25; 16],
        isv_family_id: [26; 16],
        ..production()
    };
    let verdict = fixture.appraise(&fixture.sgx(&enclave), &collateral, &any_identity());
    let claims = verdict.accepted().unwrap();
    let platform = &claims.platform;
    assert_eq!((platform.fmspc, platform.pce_id, platform.ppid), ([1, 2, 3, 4, 5, 6], [7, 8], [9; 16]));
    assert_eq!((platform.platform_instance, platform.sgx_type, platform.pce_svn), (Some([10; 16]), 2, 11));
    assert_eq!(platform.cpu_svn, options.cpu_svn);
    assert_eq!(
        (claims.evaluation_number, claims.tcb_info_evaluation_number, claims.qe_evaluation_number),
        (19, 20, 19)
    );
    assert_eq!((claims.root_ca_crl_number, claims.pck_crl_number), (5, 6));
    // 2024-03-13T00:00:00Z.
    assert_eq!((claims.tcb_date, claims.qe_tcb_date), (1_710_288_000, 1_710_288_000));
    let window = claims.window;
    // A CRL is not valid any more at its nextUpdate.
    assert_eq!(i64::try_from(window.earliest_expiration), Ok(NOW + 30 * 86_400 - 1));
    assert!(window.earliest_issue <= window.latest_issue);
    let tcs_verifier::Workload::Enclave(found) = &claims.workload else { panic!() };
    assert_eq!((found.isv_prod_id, found.isv_svn, found.misc_select), (21, 22, [1, 0, 0, 0]));
    assert_eq!(found.attributes, [5, 0, 0, 0, 0, 0, 0, 0, 0xe7, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!((found.config_id, found.config_svn), ([23; 64], 24));
    assert_eq!((found.isv_ext_prod_id, found.isv_family_id), ([25; 16], [26; 16]));
    assert_eq!((found.mrenclave, claims.report_data), ([7; 32], [9; 64]));

    // Without verification, the same quote shows the same contents.
    let inspection = inspect(&fixture.sgx(&enclave)).unwrap();
    assert_eq!(inspection.workload, claims.workload);
    assert_eq!(inspection.platform, claims.platform);
    assert_eq!((inspection.version, inspection.attestation_key_type), (3, 2));
    assert_eq!(inspection.report_data, claims.report_data);
    assert_eq!(inspection.certificates.len(), 3);
    assert!(inspection.certificates[0].subject.contains("Intel SGX PCK Certificate"));
    assert_eq!(inspection.certificates[1].subject, inspection.certificates[0].issuer);
    assert_eq!(inspection.quoting_enclave.isv_svn, 8);
}

#[test]
fn the_binding_is_to_one_key_and_nonce() {
    let key = crate::quote_public_key();
    let bound = ctk_v1(&key, &FIXED_NONCE);
    assert_eq!(check_binding(&bound, &key, &FIXED_NONCE), Ok(()));
    assert_eq!(check_binding(&bound, &key, &[0; 32]), Err(Error::BindingMismatch));
    for byte in 0..64 {
        let mut other = bound;
        other[byte] ^= 1;
        assert_eq!(check_binding(&other, &key, &FIXED_NONCE), Err(Error::BindingMismatch), "{byte}");
    }
}

/// One collateral object, many verdicts: nothing is carried over from one to the next.
#[test]
fn a_verdict_does_not_depend_on_the_one_before() {
    let fixture = Fixture::new();
    let collateral = fixture.collateral(Tee::Sgx, &CollateralOptions::default()).unwrap();
    let good = fixture.sgx(&production());
    let mut forged = good.bytes().to_vec();
    forged[112] ^= 1;
    let appraise =
        |evidence: &Evidence, now| verify(evidence, &collateral, &fixture.trust, &any_identity(), now);
    let first = appraise(&good, NOW);
    assert!(appraise(&Evidence::SgxQuote(forged), NOW).accepted().is_err());
    assert!(appraise(&good, NOW + 400 * 86_400).accepted().is_err());
    assert_eq!(appraise(&good, NOW).claims(), first.claims());
}
