//! The programs themselves, as `cargo build --workspace` builds them, with the features of all crates of the
//! workspace together.

use der::Decode as _;
use std::collections::BTreeSet;
use std::process::Command;
use x509_cert::Certificate;

const INTEL_ROOT: &[u8] = include_bytes!("../../../verifier/src/intel-sgx-root-ca.der");

/// Both verify quotes.
const PROGRAMS: [&str; 2] = [env!("CARGO_BIN_EXE_km-attest"), env!("CARGO_BIN_EXE_km-wrap")];

fn programs() -> impl Iterator<Item = Vec<u8>> {
    PROGRAMS.iter().map(|path| std::fs::read(path).unwrap())
}

fn holds(program: &[u8], text: &str) -> bool {
    program.windows(text.len()).any(|window| window == text.as_bytes())
}

/// Everything in the program that can be read as a DER certificate.
fn certificates(program: &[u8]) -> BTreeSet<Vec<u8>> {
    let mut found = BTreeSet::new();
    for at in 0..program.len().saturating_sub(4) {
        // SEQUENCE of SEQUENCE, both with two bytes of length, as every certificate between 256 bytes and 64
        // KiB has.
        if program[at..].starts_with(&[0x30, 0x82]) && program[at + 4..].starts_with(&[0x30, 0x82]) {
            let length = 4 + usize::from(u16::from_be_bytes([program[at + 2], program[at + 3]]));
            if let Some(der) = program.get(at..at + length)
                && Certificate::from_der(der).is_ok()
            {
                found.insert(der.to_vec());
            }
        }
    }
    found
}

/// This also holds for the build with the feature, which reads its root from a file and contains none.
#[test]
fn the_programs_carry_intels_root_and_no_other() {
    for program in programs() {
        assert_eq!(certificates(&program), BTreeSet::from([INTEL_ROOT.to_vec()]));
    }
}

/// Names of the simulator's symbols, and words that only its own code contains.
#[test]
fn the_programs_hold_no_code_of_the_simulator() {
    for program in programs() {
        // The search does find something: symbols of the verifier.
        assert!(holds(&program, "tcs_verifier"));
        for trace in ["tcs_sgx_sim", "tcs-simulated", "SIMULATED-PPID", "SIMULATION PCK", "rcgen"] {
            assert!(!holds(&program, trace), "{trace}");
        }
    }
}

#[cfg(not(feature = "simulation"))]
#[test]
fn without_the_feature_no_word_about_accepting_a_simulated_root() {
    for program in programs() {
        assert!(holds(&program, "this build trusts only Intel's root"));
        assert!(!holds(&program, "+simulation"));
    }
}

#[cfg(feature = "simulation")]
#[test]
fn with_the_feature_the_version_says_so() {
    assert!(programs().all(|program| holds(&program, "+simulation")));
}

#[test]
fn the_version_is_that_of_the_build() {
    for path in PROGRAMS {
        let output = Command::new(path).arg("--version").output().unwrap();
        let version = String::from_utf8(output.stdout).unwrap();
        assert_eq!(version.trim_end().ends_with("+simulation"), cfg!(feature = "simulation"), "{version}");
    }
}
