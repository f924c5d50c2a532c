//! What a verdict says: Intel's result beneath a refusal of ours, every check before the one that failed, and
//! in our own words what was expected and found.

use crate::faults::{SERVICE_TD, faults, of_tdx_modules, vectors};
use crate::fixture::{DAY, Fixture, NOW, TD_PRODUCTION, production, trust_domain};
use crate::{any_identity, read};
use tcs_evidence::Evidence;
use tcs_sgx_sim::{CollateralOptions, Enclave, Options, QuoteShape, Td, TdVersion, Tee, Validity};
use tcs_verifier::{
    AcceptedIdentity, Class, Collateral, Error, Kss, Outcome, Policy, TdReference, TrustAnchor,
    TrustDomainPart, Verdict, Workload, inspect, verify,
};

#[test]
fn km_d1_intels_result_stands_beneath_a_refusal_of_ours() {
    let result = |fixture: &Fixture, td: &Td| {
        let verdict = fixture.with_policy(&fixture.td(td), &any_identity());
        (crate::refused(&verdict).0, verdict.qv_result().map(tcs_verifier::QvResult::name))
    };
    let service = Td { version: TdVersion::V5Td15, mr_service_td: SERVICE_TD, ..trust_domain() };
    let extended =
        Td { version: TdVersion::V5Td15Ex, td_attributes: TD_PRODUCTION | 1 << 17, ..service.clone() };
    let profiled = |bits| Td { td_attributes: TD_PRODUCTION | bits, ..trust_domain() };
    for (status, name) in [
        ("UpToDate", "SGX_QL_QV_RESULT_OK"),
        ("OutOfDate", "SGX_QL_QV_RESULT_OUT_OF_DATE"),
        ("ConfigurationNeeded", "SGX_QL_QV_RESULT_CONFIG_NEEDED"),
    ] {
        let fixture = Fixture::with(&Options { tcb_status: status.into(), ..Options::default() });
        for td in [&service, &extended] {
            assert_eq!(result(&fixture, td), ("TrustDomainRefused", Some(name)));
        }
        for bits in [1 << 4, 1 << 5, 1 << 6, 1 << 4 | 1] {
            assert_eq!(result(&fixture, &profiled(bits)), ("DebugEnclave", Some(name)), "{bits:#x}");
        }
        // The library that verifies does not say what is beneath these.
        for td in [Td { td_attributes: 0, ..trust_domain() }, profiled(1 << 29)] {
            assert_eq!(result(&fixture, &td), ("TrustDomainRefused", None));
        }
    }
    let revoked = Fixture::with(&Options { tcb_status: "Revoked".into(), ..Options::default() });
    assert_eq!(result(&revoked, &service).1, Some("SGX_QL_QV_RESULT_REVOKED"));
    // A forged quote is not genuine for Intel's library either.
    let fixture = Fixture::new();
    let mut forged = fixture.platform.td_quote(&service).unwrap();
    forged[100] ^= 1;
    let verdict = fixture.with_policy(&Evidence::TdxQuote(forged), &any_identity());
    assert_eq!(verdict.accepted().unwrap_err().code(), "TrustDomainRefused");
    assert_eq!(verdict.qv_result().unwrap().name(), "SGX_QL_QV_RESULT_INVALID_SIGNATURE");
}

/// There is no genuine quote of a debug enclave, so one is forged: Intel's library would refuse its signature
/// and say nothing of debug mode.
#[test]
fn km_d1_intels_result_stands_beneath_debug_mode_of_an_enclave() {
    const NOW: i64 = 1_750_377_600;
    for (name, at) in [("sgx_quote", 48 + 48), ("tdx_quote", 48 + 120)] {
        let collateral = Collateral::from_json(&read(&format!("dcap-qvl/{name}_collateral.json"))).unwrap();
        let mut quote = read(&format!("dcap-qvl/{name}"));
        quote[at] |= if name == "sgx_quote" { 0x02 } else { 0x01 };
        let evidence = Evidence::from_quote(quote).unwrap();
        let verdict = verify(&evidence, &collateral, &TrustAnchor::intel(), &any_identity(), NOW);
        crate::assert_refused(&verdict, "DebugEnclave", "debug");
        let result = verdict.qv_result().map(tcs_verifier::QvResult::name);
        assert_eq!(result, Some("SGX_QL_QV_RESULT_INVALID_SIGNATURE"), "{name}");
    }
}

/// Only these are made together, and so can be "not made" before one that failed.
const MADE_TOGETHER: [&str; 3] = ["signatures", "revocation", "quoting-enclave"];

#[test]
fn km_d2_every_check_before_the_failed_one_was_made() {
    let fixture = Fixture::new();
    let mut failures = 0;
    let modules = of_tdx_modules(&fixture).into_iter().map(|(what, verdict)| (what.to_owned(), verdict));
    for (what, verdict) in vectors().into_iter().chain(faults(&fixture)).chain(modules) {
        let Err(error) = verdict.accepted() else { continue };
        failures += 1;
        let checks = verdict.checks();
        let at = checks.iter().position(|check| check.outcome == Outcome::Failed).unwrap();
        let failed = &checks[at];
        assert!(!failed.expected.is_empty() && !failed.found.is_empty(), "{what}: {failed:?}");
        if verdict.claims().is_none() {
            assert_eq!(failed.found, error.to_string(), "{what}");
        }
        for before in &checks[..at] {
            let together = MADE_TOGETHER.contains(&before.id) && MADE_TOGETHER.contains(&failed.id);
            assert!(before.outcome == Outcome::Passed || together, "{what}: {before:?} before {failed:?}");
        }
    }
    assert!(failures > 60, "{failures}");
    let service = Td { version: TdVersion::V5Td15, mr_service_td: SERVICE_TD, ..trust_domain() };
    let verdict = fixture.with_policy(&fixture.td(&service), &any_identity());
    crate::assert_refused(&verdict, "TrustDomainRefused", "trust-domain");
}

#[test]
fn km_d3_the_earliest_expiration_is_the_last_second_that_is_accepted() {
    let part = |days| Validity { from: -DAY, until: days * DAY };
    let none = CollateralOptions::default();
    let ends = |fixture: &Fixture, options: &CollateralOptions| {
        let collateral = fixture.collateral(Tee::Sgx, options).unwrap();
        let evidence = fixture.sgx(&production());
        let at = |now: u64| {
            verify(&evidence, &collateral, &fixture.trust, &any_identity(), i64::try_from(now).unwrap())
        };
        let last = at(NOW.cast_unsigned()).claims().unwrap().window.earliest_expiration;
        assert!(at(last).accepted().is_ok(), "{options:?}: {:?}", at(last).accepted());
        assert_eq!(at(last + 1).accepted().unwrap_err().code(), "CollateralExpired", "{options:?}");
        last
    };
    let fixture = Fixture::new();
    for options in [
        CollateralOptions { tcb_info_validity: part(3), ..none.clone() },
        CollateralOptions { qe_identity_validity: part(3), ..none.clone() },
        CollateralOptions { root_crl_validity: part(3), ..none.clone() },
        CollateralOptions { pck_crl_validity: part(3), ..none.clone() },
        CollateralOptions { tcb_info_validity: part(3), pck_crl_validity: part(3), ..none.clone() },
        none.clone(),
    ] {
        ends(&fixture, &options);
    }
    // The certificates end before the collateral does.
    for options in [
        Options { certificate_days: 3, ..Options::default() },
        Options { root_days: 3, ..Options::default() },
        Options { certificate_days: 4, root_days: 3, ..Options::default() },
        Options { certificate_days: 3, root_days: 4, ..Options::default() },
    ] {
        let last = ends(&Fixture::with(&options), &none);
        assert_eq!(last, (NOW + 3 * DAY).cast_unsigned(), "{options:?}");
    }
}

#[test]
fn km_u2_a_chain_of_another_length_is_named() {
    let fixture = Fixture::new();
    let json: serde_json::Value =
        serde_json::from_str(&fixture.json(Tee::Sgx, &CollateralOptions::default())).unwrap();
    for (member, name) in [
        ("tcb_info_issuer_chain", "the TCB info's chain"),
        ("qe_identity_issuer_chain", "the QE identity's chain"),
        ("pck_crl_issuer_chain", "the PCK CRL's chain"),
    ] {
        let chain = json[member].as_str().unwrap();
        let one = chain.split_inclusive("-----END CERTIFICATE-----\n").next().unwrap();
        for (text, found) in [(String::new(), 0), (one.to_owned(), 1), (format!("{one}{chain}"), 3)] {
            let mut changed = json.clone();
            changed[member] = text.into();
            let error = Collateral::from_json(changed.to_string().as_bytes()).unwrap_err().to_string();
            let wanted = format!("{name} has {found} certificates, expected 2");
            assert!(error.contains(&wanted), "{member}: {error}");
        }
        let mut changed = json.clone();
        changed[member] = chain.replacen("MII", "AAA", 1).into();
        let error = Collateral::from_json(changed.to_string().as_bytes()).unwrap_err().to_string();
        assert!(error.contains(&format!("certificate 1 of {name}")), "{error}");
    }
    let pck = fixture.platform.pck_chain();
    for (chain, found) in [(String::new(), 0), (pck.repeat(2), 6)] {
        let shape = QuoteShape { certification_data: Some(chain.into()), ..QuoteShape::default() };
        let verdict = fixture.with_policy(&fixture.shaped(&production(), &shape), &any_identity());
        let error = verdict.accepted().unwrap_err().to_string();
        let wanted = format!("the certificate chain of the quote has {found} certificates, expected 3");
        assert!(error.contains(&wanted), "{error}");
    }
}

/// Words of dcap-qvl, webpki, der and `serde_json`.
const LIBRARIES: [&str; 16] = [
    "mismatch",
    "Failed to",
    "No matching",
    "CertRevoked",
    "Unsupported",
    "is enabled",
    "got ",
    "masked",
    "Unrecognized",
    "Invalid",
    "below minimum",
    "in quote_collateral",
    "DER byte",
    "ErrorKind",
    "EOF",
    "not enabled",
];

#[test]
fn km_u3_refusals_say_in_our_words_what_was_expected_and_found() {
    let fixture = Fixture::new();
    let mut said = Vec::new();
    let modules = of_tdx_modules(&fixture).into_iter().map(|(what, verdict)| (what.to_owned(), verdict));
    for (what, verdict) in vectors().into_iter().chain(faults(&fixture)).chain(modules) {
        let Err(error) = verdict.accepted() else { continue };
        let text = error.to_string();
        assert!(!LIBRARIES.iter().any(|word| text.contains(word)), "{what}: {text}");
        said.push(text);
    }
    for wanted in [
        "is for the FMSPC fafafafafafa, the platform's is 00606a000000",
        "is for the PCEID 0909, the platform's is 0000",
        "its TCB info is for TDX, the quote is of SGX",
        "its TCB info has the tcbType 7, expected 0",
        "the platform has CPUSVN ",
        "TEE_TCB_SVN_2 00000000000000000000000000000000; its lowest needs SGX ",
        "TEE_TCB_SVN 00000000000000000000000000000000; its lowest needs SGX ",
        &format!("the QE identity requires {}", "fb".repeat(32)),
        "its ISVPRODID is 1, the QE identity requires 4711",
        "its MISCSELECT is 01000000, the QE identity requires 00000000 under mask ffffffff",
        "its ATTRIBUTES is 31000000",
        "its ISVSVN is 1, the QE identity requires 8 or higher",
        &format!("its vendor is {}, expected Intel's, 939a7233f79c4ca9940a0db3957f0607", "fc".repeat(16)),
        "its QE identity is of QE in version 77, a quote of SGX needs QE in version 2",
        &format!("MRSIGNERSEAM of its TDX module is {}, Intel's TCB info requires ", "09".repeat(48)),
        "SEAMATTRIBUTES of its TDX module is 0100000000000000, Intel's TCB info requires 0000000000000000 under mask \
         ffffffffffffffff and no other bit",
        "its TCB info does not know the TDX module TDX_05 of the quote (TEE_TCB_SVN 0405",
        "its TCB info does not know the TDX module TDX_AB of the quote (TEE_TCB_SVN_2 04ab",
        "; it knows TDX_01",
        "the TDX module has TEE_TCB_SVN 0101",
        "the TDX module has TEE_TCB_SVN_2 0201",
        "whose first byte is its ISVSVN; its lowest level is 4",
        "its authentication data has 31 bytes, expected 32",
        "its TCB info lacks tdxModule, or ",
        &format!("MRSERVICETD is {}, expected only zeros", hex::encode(SERVICE_TD)),
        "TDATTRIBUTES.SEPT_VE_DISABLE is clear, expected set",
        "TDATTRIBUTES.MIGRATABLE is set, expected clear",
        "TDATTRIBUTES has the reserved bits 0000000000010000, expected none",
        "of the quote, by its attestation key",
        "of the quoting enclave's report, by the PCK certificate",
        "by Intel's CRLs",
        "component ",
    ] {
        assert!(said.iter().any(|text| text.contains(wanted)), "nothing says {wanted:?}: {said:#?}");
    }
    let accepted = AcceptedIdentity::Enclave { mrenclave: [8; 32], kss: Kss::default() };
    let policy = Policy { identities: vec![accepted], ..Policy::default() };
    let error =
        fixture.with_policy(&fixture.sgx(&production()), &policy).into_accepted().unwrap_err().to_string();
    let (found, expected) = (hex::encode([7; 32]), hex::encode([8; 32]));
    assert!(
        error.contains(&format!("MRENCLAVE {found}"))
            && error.contains(&format!("expected MRENCLAVE {expected}"))
    );
}

/// Whose fault it is decides what the key owner does: get other collateral, or refuse the machine.
#[test]
fn km_u3_a_fault_of_the_collateral_is_not_one_of_the_trust_domain() {
    let fixture = Fixture::new();
    for (what, verdict) in of_tdx_modules(&fixture) {
        crate::assert_refused(&verdict, "CollateralMalformed", "tcb-info-form");
        assert_eq!(verdict.accepted().unwrap_err().class(), Class::Collateral, "{what}");
    }
    let mut unknown = 0;
    for (what, verdict) in faults(&fixture) {
        let Err(error) = verdict.accepted() else { continue };
        if error.to_string().contains("does not know the TDX module") {
            crate::assert_refused(&verdict, "CollateralMismatch", "tcb-level");
            unknown += 1;
        }
        let Error::TrustDomainRefused { part, what: said } = error else { continue };
        let module = said.contains("TDX module");
        assert_eq!(module, *part == TrustDomainPart::TdxModule, "{what}: {said}");
    }
    assert_eq!(unknown, 2);
}

#[test]
fn km_u3_a_trust_domain_that_is_not_the_configured_one_says_where_it_differs() {
    let fixture = Fixture::new();
    let td = Td {
        mr_td: [1; 48],
        rtmr: [[2; 48], [3; 48], [4; 48], [5; 48]],
        mr_config_id: [6; 48],
        mr_owner: [7; 48],
        mr_owner_config: [8; 48],
        ..trust_domain()
    };
    let same = TdReference {
        mr_td: [1; 48],
        rtmrs: td.rtmr.map(Some),
        mr_config_id: Some([6; 48]),
        mr_owner: Some([7; 48]),
        mr_owner_config: Some([8; 48]),
    };
    let other = Some([9; 48]);
    let hex = |byte: u8| hex::encode([byte; 48]);
    for (reference, first, others) in [
        (TdReference { mr_td: [9; 48], ..same }, ("MRTD", 1), ""),
        (TdReference { rtmrs: [other; 4], ..same }, ("RTMR0", 2), "; RTMR1, RTMR2, RTMR3 differ, too"),
        (TdReference { rtmrs: [None, None, other, None], ..same }, ("RTMR2", 4), ""),
        (TdReference { mr_config_id: other, mr_owner: None, ..same }, ("MRCONFIGID", 6), ""),
        (
            TdReference { mr_owner: other, mr_owner_config: other, ..same },
            ("MROWNER", 7),
            "; MROWNERCONFIG differ, too",
        ),
    ] {
        let identities = vec![AcceptedIdentity::TrustDomain(Box::new(reference))];
        let policy = Policy { identities, ..Policy::default() };
        let error = fixture.with_policy(&fixture.td(&td), &policy).into_accepted().unwrap_err().to_string();
        let wanted = format!("{} is {}, expected {}{others}", first.0, hex(first.1), hex(9));
        assert!(error.ends_with(&wanted), "{error}");
    }
}

#[test]
fn km_u4_a_service_td_is_shown() {
    let fixture = Fixture::new();
    let td =
        Td { version: TdVersion::V5Td15, mr_service_td: SERVICE_TD, tee_tcb_svn2: [5; 16], ..trust_domain() };
    for version in [TdVersion::V5Td15, TdVersion::V5Td15Ex] {
        let td = Td { version, ..td.clone() };
        let Workload::TrustDomain(found) = inspect(&fixture.td(&td)).unwrap().workload else { panic!() };
        assert_eq!((found.mr_service_td, found.tee_tcb_svn_2), (Some(SERVICE_TD), Some([5; 16])));
    }
    for version in [TdVersion::V4, TdVersion::V5Td10] {
        let td = Td { version, ..td.clone() };
        let Workload::TrustDomain(found) = inspect(&fixture.td(&td)).unwrap().workload else { panic!() };
        assert_eq!((found.mr_service_td, found.tee_tcb_svn_2), (None, None));
    }
    let accepted = Td { mr_service_td: [0; 48], tee_tcb_svn2: trust_domain().tee_tcb_svn, ..td };
    let claims = fixture.with_policy(&fixture.td(&accepted), &any_identity()).into_accepted().unwrap();
    let Workload::TrustDomain(found) = claims.workload else { panic!() };
    assert_eq!((found.mr_service_td, found.tee_tcb_svn_2), (Some([0; 48]), Some(accepted.tee_tcb_svn2)));
}

#[test]
fn km_u10_the_table_names_bits() {
    let fixture = Fixture::new();
    let check = |verdict: &Verdict, id: &str| {
        let check = verdict.checks().iter().find(|check| check.id == id).unwrap().clone();
        (check.expected.into_owned(), check.found.into_owned())
    };
    let enclave = Enclave { flags: 0x15, xfrm: 0x07, miscselect: 1, ..production() };
    let verdict = fixture.with_policy(&fixture.sgx(&enclave), &any_identity());
    let (expected, found) = check(&verdict, "attributes");
    assert!(found.ends_with("(INIT, MODE64BIT, PROVISION_KEY, XFRM.X87, XFRM.SSE, XFRM.AVX)"), "{found}");
    let named = "(set: INIT, MODE64BIT; clear: PROVISION_KEY, EINITTOKEN_KEY)";
    assert!(expected.ends_with(named), "{expected}");
    // Bit 3 must be clear, too. It has no name, and is in the mask.
    let mut policy = any_identity();
    policy.sgx.attributes.mask[0] = 0x3d;
    let (expected, _) = check(&fixture.with_policy(&fixture.sgx(&enclave), &policy), "attributes");
    assert!(expected.contains("under mask 3d") && expected.ends_with(named), "{expected}");
    assert_eq!(check(&verdict, "misc-select"), ("any".into(), "01000000 (EXINFO)".into()));
    let Err(Error::AttributesRefused { found, .. }) = verdict.into_accepted() else { panic!() };
    assert!(found.contains("PROVISION_KEY"), "{found}");
    let td = Td { td_attributes: TD_PRODUCTION | 1 << 63, xfam: 0xe7, ..trust_domain() };
    let verdict = fixture.with_policy(&fixture.td(&td), &any_identity());
    assert_eq!(check(&verdict, "attributes").1, "0000001000000080 (SEPT_VE_DISABLE, PERFMON)");
    assert!(check(&verdict, "xfam").1.ends_with("(X87, SSE, AVX, OPMASK, ZMM_HI256, HI16_ZMM)"));
}

/// `docs/collateral.md`, "Roll-back": an older QE identity that has not expired is accepted, and its number
/// shows in the claims, which the policy can compare.
#[test]
fn km_u11_an_older_qe_identity_counts_by_its_number() {
    let fixture = Fixture::new();
    for (tcb_info, qe_identity) in [(17, 16), (16, 17), (17, 1), (18, 17), (17, 17)] {
        let options = CollateralOptions {
            tcb_info_evaluation: tcb_info,
            qe_identity_evaluation: qe_identity,
            ..CollateralOptions::default()
        };
        let collateral = fixture.collateral(Tee::Sgx, &options).unwrap();
        let appraise = |least| {
            let mut policy = any_identity();
            policy.tcb.min_evaluation_number = least;
            fixture.appraise(&fixture.sgx(&production()), &collateral, &policy).into_accepted()
        };
        let lower = tcb_info.min(qe_identity);
        let claims = appraise(None).unwrap();
        assert_eq!((claims.evaluation_number, claims.qe_evaluation_number), (lower, qe_identity));
        assert!(appraise(Some(lower)).is_ok());
        let refused = appraise(Some(lower + 1)).unwrap_err();
        assert_eq!(refused, Error::EvaluationNumberTooLow { found: lower, least: lower + 1 });
    }
}
