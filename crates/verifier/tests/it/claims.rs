//! This crate computes the claims itself, because dcap-qvl reads both CRLs a second time for its own. Both
//! must have the same claims for the same bytes.

use crate::fixture::{Fixture, NOW, production, trust_domain};
use crate::{any_identity, read};
use aws_lc_rs::digest::{SHA256, SHA384, digest};
use dcap_qvl::config::{Config, CryptoProvider};
use dcap_qvl::signature::DerSigEncoder;
use dcap_qvl::verify::QuoteVerifier;
use dcap_qvl::x509::X509CertBackend;
use dcap_qvl::{PckCertFlag, QuoteClaims, QuoteCollateralV3, QuotePolicy};
use rustls_pki_types::SignatureVerificationAlgorithm;
use tcs_evidence::Evidence;
use tcs_sgx_sim::{
    CollateralOptions, Enclave, IsvTcbLevel, Options, PckCa, QeIdentity, Td, TdVersion, TdxModuleIdentity,
    Tee, Validity,
};
use tcs_verifier::{Claims, Collateral, TrustAnchor, verify};

struct AwsLc;

impl Config for AwsLc {
    type X509 = X509CertBackend;
    type SigEncoder = DerSigEncoder;
    type Crypto = Self;
}

impl CryptoProvider for AwsLc {
    fn sig_algo() -> &'static dyn SignatureVerificationAlgorithm {
        webpki::aws_lc_rs::ECDSA_P256_SHA256
    }

    fn sha256(data: &[u8]) -> [u8; 32] {
        digest(&SHA256, data).as_ref().try_into().unwrap()
    }

    fn sha384(data: &[u8]) -> [u8; 48] {
        digest(&SHA384, data).as_ref().try_into().unwrap()
    }
}

fn flag(flag: PckCertFlag) -> Option<bool> {
    match flag {
        PckCertFlag::True => Some(true),
        PckCertFlag::False => Some(false),
        PckCertFlag::Undefined => None,
    }
}

/// Everything that both report must be the same.
#[track_caller]
fn assert_same(ours: &Claims, theirs: &QuoteClaims, what: &str) {
    let (platform, pck) = (&ours.platform, &theirs.platform.pck);
    assert_eq!(ours.status.intel_name(), theirs.tcb.status.to_string(), "{what}");
    assert_eq!(ours.advisory_ids, theirs.tcb.advisory_ids, "{what}");
    assert_eq!(ours.tcb_date, theirs.platform.tcb_date_tag, "{what}");
    assert_eq!(ours.qe_status.intel_name(), theirs.qe.tcb_level.tcb_status.to_string(), "{what}");
    assert_eq!(ours.qe_advisory_ids, theirs.qe.tcb_level.advisory_ids, "{what}");
    let qe_date: der::DateTime = theirs.qe.tcb_level.tcb_date.parse().unwrap();
    assert_eq!(ours.qe_tcb_date, qe_date.unix_duration().as_secs(), "{what}");
    assert_eq!(ours.evaluation_number, theirs.tcb.eval_data_number, "{what}");
    assert_eq!(ours.qe_evaluation_number, theirs.qe.tcb_eval_data_number, "{what}");
    assert_eq!(ours.root_ca_crl_number, theirs.platform.root_ca_crl_num, "{what}");
    assert_eq!(ours.pck_crl_number, theirs.platform.pck_crl_num, "{what}");
    assert_eq!(ours.root_key_id.as_slice(), theirs.platform.root_key_id, "{what}");
    assert_eq!(platform.fmspc, pck.fmspc, "{what}");
    assert_eq!(platform.ppid.as_slice(), pck.ppid, "{what}");
    assert_eq!(platform.pce_id.as_slice(), pck.pce_id, "{what}");
    assert_eq!((platform.cpu_svn, platform.pce_svn), (pck.cpu_svn, pck.pce_svn), "{what}");
    assert_eq!(platform.sgx_type, pck.sgx_type, "{what}");
    assert_eq!(platform.platform_instance, pck.platform_instance_id, "{what}");
    assert_eq!(platform.dynamic_platform, flag(pck.dynamic_platform), "{what}");
    assert_eq!(platform.cached_keys, flag(pck.cached_keys), "{what}");
    assert_eq!(platform.smt_enabled, flag(pck.smt_enabled), "{what}");
    assert_eq!(ours.window.earliest_issue, theirs.earliest_issue_date, "{what}");
    assert_eq!(ours.window.latest_issue, theirs.latest_issue_date, "{what}");
    // A CRL is not valid any more at its nextUpdate, which dcap-qvl and Intel report as its end.
    let later = theirs.earliest_expiration_date - ours.window.earliest_expiration;
    assert!(later <= 1, "{what}: {later}");
}

/// Appraises with both, and returns whether the evidence was genuine for this crate.
#[track_caller]
fn compare(evidence: &Evidence, json: &[u8], root: &[u8], trust: &TrustAnchor, now: i64, what: &str) -> bool {
    let Ok(collateral) = Collateral::from_json(json) else { return false };
    let verdict = verify(evidence, &collateral, trust, &any_identity(), now);
    let Some(ours) = verdict.claims() else { return false };
    let mut parts: QuoteCollateralV3 = serde_json::from_slice(json).unwrap();
    parts.pck_certificate_chain = None;
    let now = u64::try_from(now).unwrap();
    let theirs = QuoteVerifier::<AwsLc>::new_with_config(root.to_vec())
        .allow_debug(trust.is_simulated())
        .verify_with_policy(evidence.bytes(), &parts, now, &QuotePolicy::claims_only(now))
        .unwrap();
    assert_same(ours, &theirs, what);
    true
}

#[test]
fn claims_of_genuine_quotes_are_dcap_qvls() {
    let root = include_bytes!("../../src/intel-sgx-root-ca.der");
    for (name, now) in
        [("sgx_quote", 1_750_377_600), ("tdx_quote", 1_750_377_600), ("tdx_quote_td15ex", 1_792_454_400)]
    {
        let evidence = Evidence::from_quote(read(&format!("dcap-qvl/{name}"))).unwrap();
        let json = read(&format!("dcap-qvl/{name}_collateral.json"));
        assert!(compare(&evidence, &json, root, &TrustAnchor::intel(), now, name));
    }
}

#[test]
fn claims_of_the_shared_cases_are_dcap_qvls() {
    let table = String::from_utf8(read("simulated/verdicts.tsv")).unwrap();
    let mut genuine = 0;
    for name in table.lines().skip(1).map(|line| line.split('\t').next().unwrap()) {
        let file = |file: &str| read(&format!("simulated/{name}/{file}"));
        let (quote, root) = (file("quote.bin"), file("root.der"));
        let evidence = Evidence::from_quote(quote.clone()).unwrap_or(Evidence::SgxQuote(quote));
        let now = String::from_utf8(file("time")).unwrap().trim().parse().unwrap();
        let trust = TrustAnchor::simulated(&root).unwrap();
        genuine += usize::from(compare(&evidence, &file("collateral.json"), &root, &trust, now, name));
    }
    assert_eq!(genuine, 11);
}

/// Levels in every order, with the platform at each of them; different dates; and every validity that can be
/// the first to end.
#[test]
fn claims_of_simulated_platforms_are_dcap_qvls() {
    for (ca, smt_enabled) in [(PckCa::Platform, true), (PckCa::Platform, false), (PckCa::Processor, false)] {
        let fixture = Fixture::with(&Options { ca, smt_enabled, sgx_type: 2, ..Options::default() });
        let own = fixture.platform.tcb_level();
        let mut levels = Vec::new();
        for (number, (component, pce_svn, tdx)) in
            [(0, 0, 0), (0, 1, 0), (1, 0, 0), (1, 1, 1), (0, 0, 1), (2, 0, 0)].into_iter().enumerate()
        {
            let mut level = own.clone();
            level.components[3] -= component;
            level.pce_svn -= pce_svn;
            level.tdx_components[2] -= tdx;
            level.date = format!("20{}-02-03T00:00:00Z", 24 - number);
            level.status = if number == 0 { "UpToDate" } else { "OutOfDate" }.into();
            level.advisories = vec![format!("INTEL-SA-0000{number}")];
            levels.push(level);
        }
        let module = |date: &str, status: &str| TdxModuleIdentity {
            levels: vec![IsvTcbLevel {
                isv_svn: 4,
                date: date.into(),
                status: status.into(),
                advisories: vec!["INTEL-SA-00777".into()],
            }],
            ..TdxModuleIdentity::default()
        };
        let modules =
            [module("2020-01-01T00:00:00Z", "OutOfDate"), module("2026-01-01T00:00:00Z", "UpToDate")];
        let qe = |tee| QeIdentity {
            levels: [(9, "2024-04-04T00:00:00Z", "UpToDate"), (1, "2019-04-04T00:00:00Z", "OutOfDate")]
                .map(|(isv_svn, date, status)| IsvTcbLevel {
                    isv_svn,
                    date: date.into(),
                    status: status.into(),
                    advisories: vec!["INTEL-SA-00888".into()],
                })
                .to_vec(),
            ..QeIdentity::of(tee)
        };
        let mut compared = 0;
        for dropped in 0..levels.len() {
            // Without the highest levels the platform is at a lower one. The rest is in rotated order.
            let mut rest = levels[dropped..].to_vec();
            rest.reverse();
            for (tee, module) in [(Tee::Sgx, &modules[0]), (Tee::Tdx, &modules[0]), (Tee::Tdx, &modules[1])] {
                let options = CollateralOptions {
                    tcb_levels: Some(rest.clone()),
                    qe_identity: (dropped % 2 == 1).then(|| qe(tee)),
                    tdx_module_identities: vec![module.clone()],
                    tcb_info_evaluation: 18,
                    root_crl_number: 3,
                    pck_crl_number: 4,
                    tcb_info_validity: Validity { from: -7, until: 1000 + i64::try_from(dropped).unwrap() },
                    pck_crl_validity: Validity { from: -5, until: if dropped > 2 { 900 } else { 5000 } },
                    ..CollateralOptions::default()
                };
                let evidence = if tee == Tee::Sgx {
                    fixture.sgx(&Enclave { ..production() })
                } else {
                    fixture.td(&Td { version: TdVersion::V5Td10, ..trust_domain() })
                };
                let json = fixture.json(tee, &options);
                let root = fixture.platform.root_certificate();
                let what = format!("{ca:?}, {tee:?}, without {dropped}");
                compared +=
                    usize::from(compare(&evidence, json.as_bytes(), root, &fixture.trust, NOW, &what));
            }
        }
        // Two of the six levels differ for TDX only, so for SGX one level is listed twice (Q3).
        assert_eq!(compared, 3 * levels.len() - 1);
    }
}
