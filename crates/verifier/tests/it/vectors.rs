//! The 52 shared cases: verdicts of Intel's own library and of this verifier on the same bytes.

use crate::{any_identity, read};
use std::fmt::Write as _;
use tcs_evidence::Evidence;
use tcs_verifier::{Collateral, Error, TcbStatus, TrustAnchor, Verdict, verify};

/// Cases in which this verifier refuses what Intel's library accepts, and why.
const STRICTER: [(&str, &str); 6] = [
    ("auth_len_plus_trailing_inside", "Q16: a quote must account for each of its bytes"),
    ("qe_auth_0_bytes", "Q10: Intel's quoting enclave writes 32 bytes of authentication data, never none"),
    ("qe_auth_64_bytes", "Q11: Intel's quoting enclave writes 32 bytes of authentication data, never 64"),
    ("tcb_issue_in_future", "Q12: collateral from the future means a wrong clock here or there"),
    (
        "tcb_json_whitespace",
        "Q13: the signature covers the exact text; Intel's library verifies its own rewriting of it",
    ),
    ("trailing_bytes_after_quote", "Q16: a quote must account for each of its bytes"),
];

struct Case {
    name: String,
    now: i64,
    intel: String,
}

impl Case {
    fn all() -> Vec<Self> {
        let table = String::from_utf8(read("simulated/verdicts.tsv")).unwrap();
        let rows = table.lines().skip(1).map(|line| {
            let fields: Vec<&str> = line.split('\t').collect();
            Self { name: fields[0].into(), now: fields[1].parse().unwrap(), intel: fields[2].into() }
        });
        rows.collect()
    }

    fn file(&self, file: &str) -> Vec<u8> {
        read(&format!("simulated/{}/{file}", self.name))
    }

    /// The verdict under the case's own root with any identity. `Err` if the collateral or the quote cannot
    /// be read.
    fn appraise(&self) -> Result<Verdict, Error> {
        let trust = TrustAnchor::simulated(&self.file("root.der"))?;
        // A quote that is neither SGX of version 3 nor TDX is passed as the kind that the case is about.
        let quote = self.file("quote.bin");
        let evidence = Evidence::from_quote(quote.clone()).unwrap_or(Evidence::SgxQuote(quote));
        let collateral = Collateral::from_json(&self.file("collateral.json"))?;
        Ok(verify(&evidence, &collateral, &trust, &any_identity(), self.now))
    }

    /// The result of Intel's library: a status, or `Err` with the first of its steps that refused.
    fn intel(&self) -> Result<TcbStatus, String> {
        let steps: Vec<(&str, &str)> = self
            .intel
            .split(' ')
            .map(|step| step.split_once('=').unwrap())
            .map(|(step, answer)| (step, answer.split_once('(').unwrap().0))
            .collect();
        assert_eq!(steps.iter().map(|(step, _)| *step).collect::<Vec<_>>(), ["pck", "tcb", "qeid", "quote"]);
        if let Some((step, answer)) = steps[..3].iter().find(|(_, answer)| *answer != "OK") {
            return Err(format!("{step}: {answer}"));
        }
        match steps[3].1 {
            "OK" => Ok(TcbStatus::UpToDate),
            "TCB_SW_HARDENING_NEEDED" => Ok(TcbStatus::SwHardeningNeeded),
            "TCB_CONFIGURATION_NEEDED" => Ok(TcbStatus::ConfigurationNeeded),
            "TCB_CONFIGURATION_AND_SW_HARDENING_NEEDED" => Ok(TcbStatus::ConfigurationAndSwHardeningNeeded),
            "TCB_OUT_OF_DATE" => Ok(TcbStatus::OutOfDate),
            "TCB_OUT_OF_DATE_CONFIGURATION_NEEDED" => Ok(TcbStatus::OutOfDateConfigurationNeeded),
            refused => Err(format!("quote: {refused}")),
        }
    }
}

/// The result of this verifier: the status of a genuine quote, or the code of the refusal.
fn ours(outcome: &Result<Verdict, Error>) -> Result<TcbStatus, &'static str> {
    match outcome {
        Ok(verdict) => match verdict.claims() {
            Some(claims) => Ok(claims.status),
            None => Err(verdict.accepted().unwrap_err().code()),
        },
        Err(error) => Err(error.code()),
    }
}

#[test]
fn every_verdict_equals_intels_or_is_stricter_and_the_table_says_why() {
    let cases = Case::all();
    assert_eq!(cases.len(), 52);
    let mut table =
        String::from("| Case | Intel's library | Ours | Default policy | |\n|---|---|---|---|---|\n");
    let (mut equal, mut stricter) = (0, 0);
    for case in &cases {
        let (name, intel, outcome) = (case.name.as_str(), case.intel(), case.appraise());
        let ours = ours(&outcome);
        let why = STRICTER.iter().find(|(stricter, _)| *stricter == name).map_or("", |(_, why)| why);
        let note = match (&intel, &ours) {
            (Ok(status), Ok(own)) => {
                assert_eq!(status, own, "{name}");
                equal += 1;
                if name == "isv_debug" {
                    "Q9: only because the root is a simulated one; under Intel's refused as `DebugEnclave`"
                        .into()
                } else {
                    String::new()
                }
            }
            (Err(_), Err(_)) => {
                equal += 1;
                String::new()
            }
            (Ok(_), Err(_)) => {
                stricter += 1;
                assert!(!why.is_empty(), "{name} is stricter, and nobody says why");
                format!("**stricter**: {why}")
            }
            (Err(answer), Ok(status)) => panic!("{name}: accepted as {status:?}, Intel says {answer}"),
        };
        let policy = match &outcome {
            Ok(verdict) => {
                verdict.accepted().map_or_else(|error| format!("`{}`", error.code()), |_| "accepted".into())
            }
            Err(error) => format!("`{}`", error.code()),
        };
        let name_of = |status: &TcbStatus| status.intel_name().to_owned();
        writeln!(
            table,
            "| `{name}` | {} | {} | {policy} | {note} |",
            intel.as_ref().map_or_else(|answer| format!("refused, {}", answer.replace('_', "\\_")), name_of),
            ours.as_ref().map_or_else(|code| format!("refused, `{code}`"), name_of),
        )
        .unwrap();
    }
    assert_eq!((equal, stricter), (46, 6));
    writeln!(table, "\n{} cases: {equal} as Intel's library, {stricter} stricter.", cases.len()).unwrap();
    tcs_testkit::generated_docs::section("verification.md", "cases", &table).unwrap();
}

#[test]
fn refusals_have_the_code_of_their_cause() {
    for (name, code) in [
        ("ak_swap", "SignatureInvalid"),
        ("att_key_type_3", "QuoteRefused"),
        ("collateral_expired_40d", "CollateralExpired"),
        ("before_collateral_2d", "CollateralNotYetValid"),
        ("crl_expired", "CollateralExpired"),
        ("fmspc_mismatch", "CollateralMismatch"),
        ("isv_report_flip", "SignatureInvalid"),
        ("isv_sig_flip", "SignatureInvalid"),
        ("pck_ca_revoked", "Revoked"),
        ("pck_revoked", "Revoked"),
        ("qe_below_all", "QuotingEnclaveRefused"),
        ("qe_debug", "QuotingEnclaveRefused"),
        ("qe_json_edit", "SignatureInvalid"),
        ("qe_report_flip", "SignatureInvalid"),
        ("qe_revoked", "Revoked"),
        ("qe_vendor_id", "QuotingEnclaveRefused"),
        ("root_crl_wrong_key", "SignatureInvalid"),
        ("status_bogus", "CollateralMalformed"),
        ("status_revoked", "Revoked"),
        ("tcb_id_tdx", "CollateralMismatch"),
        ("tcb_not_supported", "TcbLevelNotSupported"),
        ("tcb_sig_flip", "SignatureInvalid"),
        ("tcb_signed_by_pck_leaf", "CollateralMalformed"),
        ("tcb_signer_revoked", "Revoked"),
        ("tee_type_tdx", "QuoteMalformed"),
        ("truncated_1", "QuoteMalformed"),
        ("version_4", "QuoteMalformed"),
    ] {
        let case = Case::all().into_iter().find(|case| case.name == name).unwrap();
        assert_eq!(ours(&case.appraise()), Err(code), "{name}");
    }
}
