//! `bench`: measurements. Limits apply to ratios within one run, never to times.

use crate::cargo::{cargo, run as run_command};
use crate::progress::progress;
use anyhow::{Result, bail, ensure};
use tcs_testkit::load::{Load, measure};
use tcs_testkit::repository;

/// What can be measured.
#[derive(Clone, Copy, clap::ValueEnum)]
pub enum Subject {
    /// Compare one verification of a quote with nine bare ECDSA P-256 verifications, and measure its memory
    Verifier,
    /// Compare issuing a certificate in the enclave with the bare primitives, and count its allocations
    Issue,
    /// Measure the memory of the controller under loads that strangers can make, with a real API server. It
    /// takes some minutes and several GiB of memory and disk
    Memory,
    /// Have signers empty a queue of 2,000 approved requests, on a real API server: the service with CAs of
    /// two algorithms, a bare writer and kube-controller-manager. It takes ten to twenty minutes
    Burst,
    /// Have the service and cert-manager's own CA issuer empty queues of 2,000 approved `CertificateRequests`
    /// in turn
    #[value(name = "certificaterequests")]
    CertificateRequests,
    /// Approve ten requests in a second, and measure how long each waits for its certificate
    Paced,
}

/// Objects of each load.
const OBJECTS: usize = 2000;

/// Runs a benchmark, and fails if a limit is exceeded. `load` is the only load of [`Subject::Memory`], or
/// `None` for all.
pub fn run(subject: Subject, load: Option<&str>) -> Result<()> {
    match subject {
        Subject::Verifier => run_command(
            cargo().args(["bench", "--quiet", "-p", "tcs-km", "--bench", "verifier"]),
            "the measurement of the verifier",
        ),
        Subject::Issue => run_command(
            cargo().args(["bench", "--quiet", "-p", "tcs-enclave", "--bench", "issue"]),
            "the measurement of issuing",
        ),
        Subject::Memory => memory(load),
        Subject::Burst => api_pace("burst"),
        Subject::CertificateRequests => api_pace("certificate-requests"),
        Subject::Paced => api_pace("paced"),
    }
}

/// The service as a release build on a simulated platform, beside others.
fn api_pace(subject: &str) -> Result<()> {
    crate::setup::ensure()?;
    let mut build = cargo();
    build.args(["build", "--release", "--quiet", "--target-dir", "target/simulation"]);
    build.args(["-p", "tcs-issuer", "-p", "tcs-enclave", "-p", "tcs-sgx-sim"]);
    run_command(build.args(["--features", "tcs-enclave/simulation"]), "the build of the service")?;
    let programs = repository().join("target/simulation/release");
    let mut bench = cargo();
    bench.args(["bench", "--quiet", "-p", "tcs-testkit", "--bench", "api_pace", "--", subject]);
    run_command(bench.arg("--programs").arg(programs), "the measurement of signers")
}

/// The controller of a release build, under each load on a control plane of its own.
fn memory(only: Option<&str>) -> Result<()> {
    let loads: Vec<_> =
        Load::ALL.into_iter().filter(|load| only.is_none_or(|only| only == format!("{load:?}"))).collect();
    ensure!(!loads.is_empty(), "no such load; there are {:?}", Load::ALL);
    crate::setup::ensure()?;
    run_command(
        cargo().args(["build", "--release", "--quiet", "-p", "tcs-issuer"]),
        "the build of the controller",
    )?;
    let controller = repository().join("target/release/tcs-issuer");
    let mut exceeded = Vec::new();
    for load in loads {
        let dir = tempfile::tempdir_in(repository().join("target"))?;
        let peak = measure(load, OBJECTS, &controller, dir.path(), progress)?;
        let (start, steady, limit) = (peak.start / 1024, peak.steady / 1024, load.limit());
        let line = format!(
            "{OBJECTS} {load:?}: {start} MiB at the start, {steady} MiB in steady state, limit {limit}"
        );
        println!("{line}");
        if peak.steady.max(peak.start) > limit * 1024 {
            exceeded.push(line);
        }
    }
    if !exceeded.is_empty() {
        bail!("more memory than allowed:\n{}", exceeded.join("\n"));
    }
    Ok(())
}
