//! Where acceptance ends: exact lengths, keys instead of certificates, and the texts of each check.

use crate::fixture::{Fixture, production, trust_domain};
use crate::{any_identity, assert_accepted, assert_refused, read};
use serde_json::Value;
use std::fmt::Write as _;
use tcs_evidence::{Evidence, MAX_QUOTE};
use tcs_sgx_sim::{CollateralOptions, Enclave, QuoteShape, Td, Tee};
use tcs_verifier::{
    AcceptedIdentity, Collateral, Kss, MAX_COLLATERAL, Masked, Outcome, PckCa, PlatformPolicy, Policy,
    SgxPolicy, TcbPolicy, TcbStatus, TdReference, TdxPolicy, TrustAnchor, Verdict, verify,
};

const SUMMER: i64 = 1_750_377_600;

#[test]
fn collateral_may_have_1_mib_and_no_byte_more() {
    let mut json = read("dcap-qvl/sgx_quote_collateral.json");
    json.resize(MAX_COLLATERAL, b' ');
    assert!(Collateral::from_json(&json).is_ok());
    json.push(b' ');
    assert_eq!(Collateral::from_json(&json).unwrap_err().code(), "CollateralMalformed");
    // Much longer ones are refused, too.
    json.resize(2 * MAX_COLLATERAL, b' ');
    assert_eq!(Collateral::from_json(&json).unwrap_err().code(), "CollateralMalformed");
}

#[test]
fn quotes_may_have_16_kib_and_no_byte_more() {
    let fixture = Fixture::new();
    let filled = |length: usize| {
        let chain = fixture.platform.pck_chain();
        let bare = fixture.sgx(&production()).bytes().len() - chain.len();
        let mut chain = chain.into_bytes();
        chain.resize(length - bare, b'\n');
        let shape = QuoteShape { certification_data: Some(chain), ..QuoteShape::default() };
        let evidence = fixture.shaped(&production(), &shape);
        assert_eq!(evidence.bytes().len(), length);
        evidence
    };
    let appraise = |length| fixture.with_policy(&filled(length), &any_identity());
    assert_accepted(&appraise(MAX_QUOTE));
    assert_refused(&appraise(MAX_QUOTE + 1), "QuoteMalformed", "quote-layout");
    assert!(Evidence::from_quote(filled(MAX_QUOTE + 1).bytes().to_vec()).is_err());
}

/// The root and the PCK CA are recognized by their keys: another certificate of the same key in a chain, as
/// when Intel renews one, changes nothing. The trusted copy is verified, and this one is not.
#[test]
fn a_certificate_of_the_same_key_changes_nothing() {
    let evidence = Evidence::from_quote(read("dcap-qvl/tdx_quote")).unwrap();
    let json: Value = serde_json::from_slice(&read("dcap-qvl/tdx_quote_collateral.json")).unwrap();
    let appraise = |json: &Value| {
        let collateral = Collateral::from_json(json.to_string().as_bytes()).unwrap();
        verify(&evidence, &collateral, &TrustAnchor::intel(), &any_identity(), SUMMER)
    };
    let sound = appraise(&json);
    assert_accepted(&sound);
    for (chain, at) in [
        ("pck_crl_issuer_chain", 0),
        ("pck_crl_issuer_chain", 1),
        ("tcb_info_issuer_chain", 1),
        ("qe_identity_issuer_chain", 1),
    ] {
        let mut blocks = pem::parse_many(json[chain].as_str().unwrap()).unwrap();
        let mut der = blocks[at].contents().to_vec();
        // The last bit of its signature.
        *der.last_mut().unwrap() ^= 1;
        blocks[at] = pem::Pem::new("CERTIFICATE", der);
        let mut other = json.clone();
        other[chain] = pem::encode_many(&blocks).into();
        let verdict = appraise(&other);
        assert_accepted(&verdict);
        assert_eq!((verdict.claims(), verdict.checks()), (sound.claims(), sound.checks()), "{chain} {at}");
    }
}

#[test]
fn names_of_outcomes_and_cas() {
    let outcomes = [Outcome::Passed, Outcome::Failed, Outcome::NotMade].map(Outcome::name);
    assert_eq!(outcomes, ["passed", "failed", "not made"]);
    assert_eq!([PckCa::Processor, PckCa::Platform].map(PckCa::name), ["processor", "platform"]);
}

/// `id: expected | found`, a line for each check.
fn texts(verdict: &Verdict) -> String {
    verdict.checks().iter().fold(String::new(), |mut text, check| {
        writeln!(text, "{}: {} | {}", check.id, check.expected, check.found).unwrap();
        text
    })
}

/// The expected and found texts of the checks from the TCB status on, by which people decide.
#[track_caller]
fn assert_texts(verdict: &Verdict, expected: &str) {
    let texts = texts(verdict);
    let policy = &texts[texts.find("tcb-status: ").unwrap()..];
    assert_eq!(policy, expected);
}

fn genuine(file: &str, policy: &Policy) -> Verdict {
    let evidence = Evidence::from_quote(read(&format!("dcap-qvl/{file}"))).unwrap();
    let collateral = Collateral::from_json(&read(&format!("dcap-qvl/{file}_collateral.json"))).unwrap();
    verify(&evidence, &collateral, &TrustAnchor::intel(), policy, SUMMER)
}

#[test]
fn texts_of_an_sgx_quote() {
    let all = texts(&genuine("sgx_quote", &any_identity()));
    assert_eq!(all, include_str!("../data/texts/sgx.txt"));
    let identity = AcceptedIdentity::Signer {
        mrsigner: [1; 32],
        isv_prod_id: 2,
        min_isv_svn: 3,
        kss: Kss {
            config_id: Some([4; 64]),
            min_config_svn: Some(5),
            isv_ext_prod_id: Some([6; 16]),
            isv_family_id: Some([7; 16]),
        },
    };
    let policy = Policy {
        identities: vec![identity],
        tcb: TcbPolicy {
            accepted_statuses: vec![TcbStatus::UpToDate, TcbStatus::OutOfDate],
            accepted_advisories: vec!["A".into(), "B".into()],
            min_tcb_date: Some(1_700_000_000),
            min_evaluation_number: Some(99),
        },
        sgx: SgxPolicy {
            misc_select: Masked { value: [1, 2, 3, 4], mask: [0xff; 4] },
            ..SgxPolicy::default()
        },
        platform: PlatformPolicy {
            ppids: vec![[1; 16]],
            instances: vec![[2; 16]],
            fmspcs: vec![[3; 6], [4; 6]],
        },
        ..Policy::default()
    };
    assert_texts(&genuine("sgx_quote", &policy), include_str!("../data/texts/sgx-policy.txt"));
}

#[test]
fn texts_of_a_tdx_quote() {
    let all = texts(&genuine("tdx_quote", &any_identity()));
    assert_eq!(all, include_str!("../data/texts/tdx.txt"));
    let reference = TdReference {
        mr_td: [1; 48],
        rtmrs: [Some([2; 48]), None, Some([3; 48]), None],
        mr_config_id: Some([4; 48]),
        mr_owner: Some([5; 48]),
        mr_owner_config: Some([6; 48]),
    };
    let policy = Policy {
        identities: vec![AcceptedIdentity::TrustDomain(Box::new(reference))],
        tdx: TdxPolicy {
            td_attributes: Masked { value: [1; 8], mask: [2; 8] },
            xfam: Masked { value: [3; 8], mask: [4; 8] },
            mr_seams: vec![[7; 48]],
        },
        platform: PlatformPolicy {
            instances: vec![[2; 16]],
            fmspcs: vec![[3; 6]],
            ..PlatformPolicy::default()
        },
        ..Policy::default()
    };
    assert_texts(&genuine("tdx_quote", &policy), include_str!("../data/texts/tdx-policy.txt"));
}

#[test]
fn texts_of_several_identities_and_of_none() {
    let enclave = |mrenclave| AcceptedIdentity::Enclave { mrenclave, kss: Kss::default() };
    let expected = |identities: Vec<AcceptedIdentity>| {
        let verdict = genuine("sgx_quote", &Policy { identities, ..Policy::default() });
        let check = verdict.checks().iter().find(|check| check.id == "identity").unwrap();
        check.expected.clone()
    };
    assert_eq!(expected(vec![]), "none configured");
    assert!(expected(vec![enclave([1; 32])]).contains(&hex::encode([1; 32])));
    assert_eq!(expected(vec![enclave([1; 32]), enclave([2; 32])]), "one of 2 configured");
}

/// Texts of a simulated platform's checks that do not occur for genuine quotes.
#[test]
fn texts_under_a_simulated_root() {
    let fixture = Fixture::new();
    let found = |evidence: &Evidence, id: &str| {
        let verdict = fixture.with_policy(evidence, &any_identity());
        verdict.checks().iter().find(|check| check.id == id).unwrap().found.clone()
    };
    assert_eq!(found(&fixture.sgx(&Enclave::default()), "debug"), "debug mode, under a SIMULATED root");
    assert_eq!(found(&fixture.td(&trust_domain()), "debug"), "not in debug mode");
    assert_eq!(found(&fixture.td(&trust_domain()), "trust-root"), "a SIMULATED root");
    let revoked =
        CollateralOptions { revoked: vec![tcs_sgx_sim::Revoked::PckLeaf], ..CollateralOptions::default() };
    let collateral = fixture.collateral(Tee::Sgx, &revoked).unwrap();
    let verdict = fixture.appraise(&fixture.sgx(&production()), &collateral, &any_identity());
    assert_eq!(crate::refused(&verdict).1, ["revocation"]);
}

/// Refusals of the cryptographic verification are shown at the check to which they belong.
#[test]
fn each_refusal_stands_at_its_check() {
    let fixture = Fixture::new();
    // Migratable.
    let sound = trust_domain();
    let td = fixture.td(&Td { td_attributes: sound.td_attributes | 1 << 29, ..sound });
    assert_refused(&fixture.with_policy(&td, &any_identity()), "TrustDomainRefused", "trust-domain");
    for options in [
        CollateralOptions { pck_crl_number: 1 << 40, ..CollateralOptions::default() },
        CollateralOptions { root_crl_number: 1 << 40, ..CollateralOptions::default() },
    ] {
        let error = fixture.collateral(Tee::Sgx, &options).unwrap_err();
        assert_eq!(error.code(), "CollateralMalformed");
    }
    for number in [0, 1, u64::from(u32::MAX)] {
        let options = CollateralOptions {
            pck_crl_number: number,
            root_crl_number: number,
            ..CollateralOptions::default()
        };
        let verdict = fixture.with_collateral(&options);
        assert_accepted(&verdict);
        let claims = verdict.claims().unwrap();
        assert_eq!(u64::from(claims.pck_crl_number), number);
        assert_eq!(u64::from(claims.root_ca_crl_number), number);
    }
}
