use aws_lc_rs::digest::{SHA256, digest};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tcs_enclave_rpc::{BeginProvisioning, Client, Endpoint, Request, Response};
use tcs_evidence::{SgxQuoteV3, report_data};

const PROGRAM: &str = env!("CARGO_BIN_EXE_tcs-enclave");
const WAIT: Duration = Duration::from_mins(1);

struct Running {
    child: Child,
    /// Its output until it listened.
    said: String,
    endpoint: Endpoint,
}

impl Running {
    fn start(program: &Path, listen: &str, platform: &Path) -> Self {
        let child = Command::new(program)
            .args(["--platform", "simulation", "--workers", "2", "--listen", listen, "--platform-dir"])
            .arg(platform)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let unknown = Endpoint::Unix(PathBuf::new());
        let mut running = Self { child, said: String::new(), endpoint: unknown };
        for line in BufReader::new(running.child.stderr.take().unwrap()).lines() {
            let line = line.unwrap();
            running.said.push_str(&line);
            if let Some((_, endpoint)) = line.split_once("listening on ") {
                running.endpoint = endpoint.parse().unwrap();
                return running;
            }
        }
        panic!("ended before it listened: {}", running.said);
    }

    fn call(&self, request: Request) -> Response {
        Client::connect(&self.endpoint, WAIT).unwrap().call(request, WAIT).unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[expect(clippy::disallowed_methods, reason = "a platform's collateral is made for the present")]
fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().try_into().unwrap()
}

#[test]
fn the_quote_is_over_the_programs_file_and_the_offered_key() {
    let dir = tempfile::tempdir().unwrap();
    let platform = dir.path().join("platform");
    tcs_sgx_sim::Platform::create(&platform, now()).unwrap();
    let socket = format!("unix:{}", dir.path().join("s").display());
    // A link of our own, because another build may replace the file of the program meanwhile.
    let links = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let program = links.path().join("tcs-enclave");
    std::fs::hard_link(PROGRAM, &program).unwrap();
    for listen in [socket.as_str(), "127.0.0.1:0", socket.as_str()] {
        let enclave = Running::start(&program, listen, &platform);
        assert!(enclave.said.contains("SIMULATED"), "{}", enclave.said);
        let Response::Identity(identity) = enclave.call(Request::Identity) else { panic!() };
        assert_eq!((identity.platform.as_str(), identity.simulated), ("simulation", true));
        assert!(identity.version.ends_with("+simulation"));

        let nonce = report_data::FIXED_NONCE;
        let begin =
            BeginProvisioning { issuer_uid: "uid".into(), nonce: nonce.to_vec().into(), renewal: false };
        let Response::Offer(offer) = enclave.call(Request::BeginProvisioning(begin)) else { panic!() };
        let quote = SgxQuoteV3::parse(&offer.evidence).unwrap();
        let file = digest(&SHA256, &std::fs::read(&program).unwrap());
        assert_eq!(quote.mrenclave().as_slice(), file.as_ref());
        assert!(quote.is_debug(), "a simulated enclave says that it protects nothing");
        let key = tcs_evidence::QuotePublicKey::from_der(&offer.public_key).unwrap();
        assert_eq!(quote.report_data(), report_data::ctk_v1(&key, &nonce));

        // The limit of the memory at rest.
        let status = std::fs::read_to_string(format!("/proc/{}/status", enclave.child.id())).unwrap();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        let resident: u64 = resident.trim().trim_end_matches(" kB").parse().unwrap();
        assert!(resident < 25 << 10, "{resident} KiB");
    }
}
