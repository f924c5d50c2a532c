//! What the programs say about quotes of a simulated platform, in a build with the feature `simulation`.

use crate::support::attest::{BOUND, COLLATERAL, Fixture, SIMULATION, assert_accepted, assert_refused};
use crate::support::programs::{km_wrap, openssl, stderr};
use tcs_sgx_sim::{CollateralOptions, Options};

/// The advice is a line that makes the quote acceptable.
#[test]
fn km_u1_a_missing_advisory_is_named_with_the_line_to_add() {
    let all = ["INTEL-SA-00219", "INTEL-SA-00334", "INTEL-SA-00615"];
    for status in ["SWHardeningNeeded", "ConfigurationAndSWHardeningNeeded", "ConfigurationNeeded"] {
        let advisories = all.map(ToOwned::to_owned).to_vec();
        let fixture =
            Fixture::with(0, &Options { tcb_status: status.into(), advisories, ..Options::default() });
        let configure = |line: &str| {
            let statuses = format!("accepted_statuses = [\"UpToDate\", \"{status}\"]");
            fixture.configure(&format!("{}[tcb]\n{statuses}\n{line}\n", Fixture::identity()));
        };
        for accepted in [&[][..], &all[..1], &all[1..2], &all[..2], &all[1..]] {
            let line = format!("accepted_advisories = {accepted:?}");
            configure(&line);
            let output = fixture.run(&[]);
            assert_refused(&output, 4, "TcbStatusRefused", BOUND);
            let said = stderr(&output);
            let missing: Vec<&str> = all.into_iter().filter(|id| !accepted.contains(id)).collect();
            assert!(said.contains(&format!("the policy does not accept {};", missing.join(", "))), "{said}");
            let advice = said.split("[tcb] of the policy file: ").nth(1).unwrap().trim_end();
            configure(advice);
            assert_eq!(fixture.run(&[]).status.code(), Some(0), "{advice}");
        }
    }
    // A status that is not accepted is named as such.
    let old = Fixture::with(0, &Options { tcb_status: "OutOfDate".into(), ..Options::default() });
    let said = stderr(&old.run(&[]));
    assert!(said.contains("the policy accepts only UpToDate, SWHardeningNeeded"), "{said}");
}

#[test]
fn warnings_of_a_refused_appraisal_are_written_by_km_wrap() {
    let fixture = Fixture::new();
    openssl(&fixture.path(""), "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out ca.key");
    let pccs = tcs_testkit::Pccs::http(fixture.issue(&CollateralOptions::default())).unwrap();
    fixture.write("qcnl.conf", format!("PCCS_URL={}\nend of file\n", pccs.url()));
    let collateral = "[collateral]\nqcnl = \"qcnl.conf\"\nproxy = \"none\"\ncache = \"ca.key/cache\"\n";
    let other = format!("[[identity]]\nmrenclave = \"{}\"\n", "00".repeat(32));
    fixture.configure_with(&other, collateral, SIMULATION);
    let mut command = km_wrap();
    command.args([
        "--pubkey",
        "key.pem",
        "--privkey",
        "ca.key",
        "--quote",
        "quote",
        "--policy",
        "attest.toml",
    ]);
    let output = command.current_dir(fixture.path("")).output().unwrap();
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(4), "{said}");
    assert!(said.contains("km-wrap: warning: line 2 of "), "{said}");
    assert!(said.contains("km-wrap: warning: the collateral could not be stored in the cache"), "{said}");
    assert!(said.contains("error[IdentityMismatch]"), "{said}");
}

/// A copy in the cache may be older than what was seen since by another policy; the service decides.
#[test]
fn a_copy_that_goes_back_is_fetched_again_once() {
    let fixture = Fixture::new();
    let issue =
        |pck_crl_number| fixture.issue(&CollateralOptions { pck_crl_number, ..CollateralOptions::default() });
    let pccs = tcs_testkit::Pccs::http(issue(4)).unwrap();
    let settings = |more: &str| {
        let url = pccs.url();
        let text =
            format!("[collateral]\npccs_url = \"{url}\"\nproxy = \"none\"\nstate = \"state.json\"\n{more}");
        fixture.configure_with(&Fixture::identity(), &text, SIMULATION);
    };
    settings("cache = \"cache\"\n");
    assert_accepted(&fixture.run(&[]));
    pccs.serve(issue(5));
    settings("");
    assert_accepted(&fixture.run(&[]));
    // Now the copy is older than the state, and the service has newer collateral.
    settings("cache = \"cache\"\n");
    let asked = pccs.requests().len();
    let said = assert_accepted(&fixture.run(&[]));
    assert!(
        said.contains("the copy in the cache is not used: ") && said.contains("PCK CRL number is 4"),
        "{said}"
    );
    assert_eq!(pccs.requests().len(), asked + 4);
    assert_accepted(&fixture.run(&[]));
    assert_eq!(pccs.requests().len(), asked + 4, "the new copy is used");
    // The service itself goes back: it is asked once, and refused.
    pccs.serve(issue(6));
    settings("");
    assert_accepted(&fixture.run(&[]));
    pccs.serve(issue(5));
    settings("cache = \"cache\"\n");
    let asked = pccs.requests().len();
    let output = fixture.run(&[]);
    assert_refused(&output, 5, "CollateralRollback", BOUND);
    assert_eq!(pccs.requests().len(), asked + 4);
    assert!(stderr(&output).contains("early collateral as standard"), "{}", stderr(&output));
    // Without a service there is no other collateral than the copy.
    drop(pccs);
    assert_refused(&fixture.run(&[]), 5, "CollateralConnect", BOUND);
}

/// `docs/collateral.md`, "Roll-back": an older QE identity is refused as soon as a newer one was seen.
#[test]
fn km_u11_a_state_file_refuses_an_older_qe_identity() {
    let fixture = Fixture::new();
    let issue = |qe_identity_evaluation| {
        fixture.issue(&CollateralOptions { qe_identity_evaluation, ..CollateralOptions::default() })
    };
    let pccs = tcs_testkit::Pccs::http(issue(16)).unwrap();
    let url = pccs.url();
    let settings = |more: &str| {
        let text = format!("[collateral]\npccs_url = \"{url}\"\nproxy = \"none\"\n{more}");
        fixture.configure_with(&Fixture::identity(), &text, SIMULATION);
    };
    settings("");
    assert_accepted(&fixture.run(&[]));
    settings("state = \"state.json\"\n");
    assert_accepted(&fixture.run(&[]));
    pccs.serve(issue(17));
    assert_accepted(&fixture.run(&[]));
    pccs.serve(issue(16));
    let output = fixture.run(&[]);
    assert_refused(&output, 5, "CollateralRollback", BOUND);
    assert!(stderr(&output).contains("QE identity's evaluation number is 16, and 17 was seen"));
    fixture.configure_with(
        &Fixture::identity(),
        &format!("{COLLATERAL}[tcb]\nmin_evaluation_number = 18\n"),
        SIMULATION,
    );
    assert_refused(&fixture.run(&[]), 4, "EvaluationNumberTooLow", BOUND);
}
