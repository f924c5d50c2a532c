//! Simulated quotes: the shared vectors, and the simulator of this workspace.

use crate::{any_identity, read};
use tcs_evidence::Evidence;
use tcs_evidence::report_data::FIXED_NONCE;
use tcs_verifier::{
    AcceptedIdentity, Class, Collateral, Error, Policy, TcbStatus, TrustRoot, Verdict, check_binding, verify,
};

/// 2026-09-21T14:13:20Z, the time of most vectors.
const NOW: i64 = 1_790_000_000;

struct Case {
    evidence: Evidence,
    collateral: Result<Collateral, Error>,
    root: Vec<u8>,
    now: i64,
}

impl Case {
    fn load(name: &str) -> Self {
        let file = |file: &str| read(&format!("simulated/{name}/{file}"));
        Self {
            evidence: Evidence::SgxQuote(file("quote.bin")),
            collateral: Collateral::from_json(&file("collateral.json")),
            root: file("root.der"),
            now: String::from_utf8(file("time")).unwrap().trim().parse().unwrap(),
        }
    }

    fn judge(self, policy: &Policy) -> Result<Verdict, Error> {
        verify(&self.evidence, &self.collateral?, &TrustRoot::simulated(&self.root)?, policy, self.now)
    }
}

fn refusal(name: &str) -> (&'static str, Class) {
    let error = Case::load(name).judge(&any_identity()).unwrap_err();
    (error.code(), error.class())
}

#[test]
fn good_quotes_are_accepted_and_said_to_be_simulated() {
    for name in ["ok", "ok_processor_like_no_flags", "isv_debug"] {
        let verdict = Case::load(name).judge(&any_identity()).unwrap();
        assert_eq!(verdict.status, TcbStatus::UpToDate, "{name}");
        assert_eq!(verdict.status.result_name(), "SGX_QL_QV_RESULT_OK");
        assert_eq!(verdict.status.text(), "Quote is correct, platform contains latest TCB.");
        assert!(verdict.simulated, "{name}");
        // A simulated root is the one thing that admits debug enclaves.
        assert_eq!(verdict.identity.debug, name == "isv_debug");
        assert!(verdict.valid_until >= 1_790_000_000);
    }
}

#[test]
fn q1_to_q8_what_only_intels_library_refuses_is_refused() {
    assert_eq!(refusal("pceid_mismatch"), ("CollateralMismatch", Class::Collateral));
    assert_eq!(refusal("tcb_type_1"), ("CollateralMalformed", Class::Collateral));
    assert_eq!(refusal("tcb_duplicate_level"), ("CollateralMalformed", Class::Collateral));
    assert_eq!(refusal("comps_lower_than_cpusvn"), ("QuoteRefused", Class::Verification));
    assert_eq!(refusal("pck_cn_wrong"), ("QuoteRefused", Class::Verification));
    assert_eq!(refusal("tcb_signer_cn_wrong"), ("CollateralMalformed", Class::Collateral));
    // Of the anchor itself, not only of its copy in the chains.
    let expired = Case::load("root_expired").judge(&any_identity());
    assert!(matches!(expired, Err(Error::CollateralExpired { what: "the root certificate", .. })));
    assert_eq!(refusal("tcb_appended_intruder_chain_root"), ("CollateralMalformed", Class::Collateral));
}

#[test]
fn q16_bytes_that_nothing_accounts_for_are_refused() {
    assert_eq!(refusal("auth_len_plus_trailing_inside"), ("QuoteMalformed", Class::Verification));
    assert_eq!(refusal("trailing_bytes_after_quote"), ("QuoteMalformed", Class::Verification));
}

#[test]
fn what_is_revoked_forged_or_out_of_time_is_refused_by_its_name() {
    assert_eq!(refusal("pck_revoked"), ("Revoked", Class::Verification));
    assert_eq!(refusal("qe_revoked"), ("Revoked", Class::Verification));
    assert_eq!(refusal("isv_report_flip"), ("SignatureInvalid", Class::Verification));
    assert_eq!(refusal("root_crl_wrong_key"), ("SignatureInvalid", Class::Verification));
    assert_eq!(refusal("fmspc_mismatch"), ("CollateralMismatch", Class::Collateral));
    assert_eq!(refusal("crl_expired"), ("CollateralExpired", Class::Collateral));
    assert_eq!(refusal("tcb_issue_in_future"), ("CollateralNotYetValid", Class::Collateral));
}

#[test]
fn platforms_that_are_not_up_to_date_are_refused_by_policy() {
    for (name, status) in [
        ("status_swh", "SWHardeningNeeded"),
        ("tcb_out_of_date", "OutOfDate"),
        ("qe_out_of_date", "OutOfDate"),
    ] {
        let error = Case::load(name).judge(&any_identity()).unwrap_err();
        assert!(
            matches!(error, Error::TcbStatusRefused { status: found, .. } if found == status),
            "{name}: {error}"
        );
    }
}

#[test]
fn a_simulated_quote_is_refused_under_intels_root() {
    for name in ["ok", "isv_debug"] {
        let case = Case::load(name);
        let collateral = case.collateral.unwrap();
        let error =
            verify(&case.evidence, &collateral, &TrustRoot::intel(), &any_identity(), case.now).unwrap_err();
        assert_eq!((error.code(), error.class()), ("UntrustedRoot", Class::Verification), "{name}");
    }
}

#[test]
fn collateral_that_cannot_be_read_is_refused() {
    for json in [b"".as_slice(), b"{}", &vec![b' '; 1024 * 1024 + 1]] {
        assert_eq!(Collateral::from_json(json).unwrap_err().code(), "CollateralMalformed");
    }
}

/// The simulator of this workspace makes what this verifier accepts, under its own root only.
#[test]
fn the_simulator_is_accepted_under_its_own_root_only() {
    let dir = tempfile::tempdir().unwrap();
    let platform = tcs_sgx_sim::Platform::create(dir.path(), NOW).unwrap();
    let quote = platform.quote([7; 32], [9; 64]).unwrap();
    let evidence = Evidence::SgxQuote(quote.clone());
    let public = |name: &str| std::fs::read(dir.path().join("public").join(name)).unwrap();
    let collateral = Collateral::from_json(&public("collateral.json")).unwrap();
    let own = TrustRoot::simulated(&public("root.der")).unwrap();

    let pin = |byte| Policy {
        identities: vec![AcceptedIdentity::Enclave { mrenclave: [byte; 32] }],
        ..Policy::default()
    };
    let verdict = verify(&evidence, &collateral, &own, &pin(7), NOW).unwrap();
    assert_eq!(verdict.report_data, [9; 64]);
    assert!(verdict.simulated && verdict.identity.debug);
    let refused =
        |trust: &TrustRoot, policy: &Policy| verify(&evidence, &collateral, trust, policy, NOW).unwrap_err();
    assert_eq!(refused(&own, &pin(8)).code(), "IdentityMismatch");
    assert_eq!(refused(&own, &Policy::default()), Error::NoIdentityConfigured);
    assert_eq!(refused(&TrustRoot::intel(), &pin(7)).code(), "UntrustedRoot");
    let other = TrustRoot::simulated(&read("simulated/ok/root.der")).unwrap();
    assert_eq!(refused(&other, &pin(7)).code(), "UntrustedRoot");
}

/// Advisories are in the verdict, and the verdict holds until the collateral ends.
#[test]
fn accepted_advisories_and_the_end_are_in_the_verdict() {
    let dir = tempfile::tempdir().unwrap();
    let advisories = vec!["INTEL-SA-00334".to_owned(), "INTEL-SA-00615".to_owned()];
    let options = tcs_sgx_sim::Options {
        tcb_status: "SWHardeningNeeded".into(),
        advisories: advisories.clone(),
        ..tcs_sgx_sim::Options::default()
    };
    let platform = tcs_sgx_sim::Platform::create_with(dir.path(), NOW, &options).unwrap();
    let evidence = Evidence::SgxQuote(platform.quote([7; 32], [9; 64]).unwrap());
    let public = |name: &str| std::fs::read(dir.path().join("public").join(name)).unwrap();
    let collateral = Collateral::from_json(&public("collateral.json")).unwrap();
    let trust = TrustRoot::simulated(&public("root.der")).unwrap();
    let judge = |accepted: &[String], now| {
        let policy = Policy { accepted_advisories: accepted.to_vec(), ..any_identity() };
        verify(&evidence, &collateral, &trust, &policy, now)
    };
    assert_eq!(judge(&advisories[..1], NOW).unwrap_err().code(), "TcbStatusRefused");
    let verdict = judge(&advisories, NOW).unwrap();
    assert_eq!((verdict.status, verdict.advisory_ids), (TcbStatus::SwHardeningNeeded, advisories.clone()));
    let end = NOW + 30 * 86_400;
    assert_eq!(i64::try_from(verdict.valid_until), Ok(end));
    assert!(judge(&advisories, end - 1).is_ok());
    // At its nextUpdate a CRL has ended.
    for late in [end, end + 1] {
        assert_eq!(judge(&advisories, late).unwrap_err().code(), "CollateralExpired");
    }
}

/// A quote whose embedded chain ends in a copy of the trusted root, but was never signed by it.
#[test]
fn a_borrowed_root_certificate_is_no_proof() {
    let own = Case::load("ok");
    let (foreign_dir, own_collateral) = (tempfile::tempdir().unwrap(), own.collateral.unwrap());
    let foreign = tcs_sgx_sim::Platform::create(foreign_dir.path(), NOW).unwrap();
    let quote = foreign.quote([7; 32], [9; 64]).unwrap();
    let begin = b"-----BEGIN CERTIFICATE-----";
    let last = |bytes: &[u8]| bytes.windows(begin.len()).rposition(|window| window == begin).unwrap();
    let trusted = own.evidence.bytes();
    let mut forged = quote[..last(&quote)].to_vec();
    forged.extend_from_slice(&trusted[last(trusted)..]);
    // Both length fields: signature data, then certification data behind 32 bytes of authentication data.
    for at in [432, 436 + 576 + 2 + 32 + 2] {
        let length = u32::try_from(forged.len() - at - 4).unwrap();
        forged[at..at + 4].copy_from_slice(&length.to_le_bytes());
    }
    let trust = TrustRoot::simulated(&own.root).unwrap();
    let error =
        verify(&Evidence::SgxQuote(forged), &own_collateral, &trust, &any_identity(), NOW).unwrap_err();
    assert_eq!(error.code(), "UntrustedRoot");
}

#[test]
fn the_binding_is_to_one_key_and_nonce() {
    let pem = "-----BEGIN PUBLIC KEY-----\nMDwwDQYJKoZIhvcNAQEBBQADKwAwKAIhAMv2Qe2Q8mWQz1vOyqqq0Iq3b1dGYcLB\nq3SgkXXo5s5hAgMBAAE=\n-----END PUBLIC KEY-----\n";
    let spki = pem::parse(pem).unwrap().into_contents();
    let bound = tcs_evidence::report_data::ctk_v1(&spki, &FIXED_NONCE).unwrap();
    assert_eq!(check_binding(&bound, &spki, &FIXED_NONCE), Ok(()));
    assert_eq!(check_binding(&bound, &spki, &[0; 32]), Err(Error::BindingMismatch));
    let mut tail = bound;
    tail[63] = 1;
    assert_eq!(check_binding(&tail, &spki, &FIXED_NONCE), Err(Error::BindingMismatch));
    let error = check_binding(&bound, b"no key", &FIXED_NONCE).unwrap_err();
    assert_eq!((error.code(), error.class()), ("PublicKeyMalformed", Class::PublicKey));
}
