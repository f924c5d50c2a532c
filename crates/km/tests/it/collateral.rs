//! Sources of collateral against a PCCS of our own: what comes out of a healthy one, and every way in which
//! it can fail.

use std::cell::RefCell;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use tcs_evidence::Evidence;
use tcs_km::collateral::{Error, Numbers, Obtain, Obtained, PlatformKey, Settings, Update, advance};
use tcs_sgx_sim::{Collateral, CollateralOptions, Enclave, Platform, Td, Tee};
use tcs_testkit::pccs::{Fault, Pccs};
use tcs_verifier::{Policy, TrustAnchor, Verdict, inspect, verify};
use tempfile::TempDir;

const DAY: i64 = 86_400;

struct Bench {
    dir: TempDir,
    platform: Platform,
    now: i64,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        #[expect(
            clippy::disallowed_methods,
            reason = "the cache compares file times, which are the system's"
        )]
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        let now = i64::try_from(now).unwrap();
        let platform = Platform::create(&dir.path().join("platform"), now).unwrap();
        Self { dir, platform, now }
    }

    fn issue(&self, tee: Tee, options: &CollateralOptions) -> Collateral {
        self.platform.collateral(self.now, tee, options).unwrap()
    }

    fn healthy(&self) -> Collateral {
        self.issue(Tee::Sgx, &CollateralOptions::default())
    }

    fn sgx(&self) -> Evidence {
        Evidence::SgxQuote(self.platform.sgx_quote(&Enclave::default()).unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), text).unwrap();
    }

    /// Settings in TOML; no proxy of the machine that runs the tests.
    fn get_for(&self, evidence: &Evidence, settings: &str, now: i64) -> Result<Obtained, Error> {
        let settings: Settings = toml::from_str(&format!("proxy = 'none'\n{settings}")).unwrap();
        let key = PlatformKey::of(&inspect(evidence).unwrap());
        let wait = |_| panic!("one attempt does not wait");
        Obtain { folder: self.dir.path(), now, copies: true, wait: &wait }.get(&settings, key)
    }

    fn get(&self, settings: &str) -> Result<Obtained, Error> {
        self.get_for(&self.sgx(), settings, self.now)
    }

    /// One attempt at this PCCS.
    fn ask(&self, pccs: &Pccs) -> Result<Obtained, Error> {
        self.get(&format!("pccs_url = '{}'\nattempts = 1\ntimeout_seconds = 20\n", pccs.url()))
    }

    fn appraise(&self, obtained: &Obtained) -> Verdict {
        let trust = TrustAnchor::simulated(self.platform.root_certificate()).unwrap();
        let policy = Policy { any_identity: true, ..Policy::default() };
        verify(&self.sgx(), &obtained.collateral, &trust, &policy, self.now)
    }
}

/// The code of the failure; whatever failed, the message names the address and the advice the way without a
/// network.
#[track_caller]
fn assert_fault(result: Result<Obtained, Error>, code: &str, pccs: &Pccs) {
    let error = result.map(|obtained| obtained.source).unwrap_err();
    assert_eq!(error.code(), code, "{error}");
    assert!(error.to_string().contains(&pccs.url()), "{error}");
    assert!(
        error.advice().contains("km-attest collateral fetch --quote FILE --out FILE"),
        "{}",
        error.advice()
    );
    assert_eq!(error.exit().status(), 5);
}

#[test]
fn texts_of_a_pccs_come_through_byte_for_byte() {
    let bench = Bench::new();
    // Spaces that a parser would lose, and with them the signature.
    let mut odd = bench.healthy();
    odd.tcb_info = odd.tcb_info.replacen('{', "{ \n ", 1);
    odd.tcb_info_signature = bench.platform.sign_tcb_info(&odd.tcb_info).unwrap();
    let pccs = Pccs::http(odd.clone()).unwrap();
    let obtained = bench.ask(&pccs).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&obtained.json).unwrap();
    let expected: serde_json::Value = serde_json::from_str(&odd.to_json()).unwrap();
    for member in [
        "tcb_info",
        "qe_identity",
        "tcb_info_issuer_chain",
        "qe_identity_issuer_chain",
        "pck_crl_issuer_chain",
        "root_ca_crl",
        "pck_crl",
        "tcb_info_signature",
        "qe_identity_signature",
    ] {
        assert_eq!(json[member], expected[member], "{member}");
    }
    assert!(bench.appraise(&obtained).accepted().is_ok());
    assert_eq!(obtained.source, pccs.url());
    let asked: Vec<String> = pccs.requests().into_iter().map(|request| request.target).collect();
    assert_eq!(
        asked,
        [
            "/sgx/certification/v4/pckcrl?ca=platform&encoding=der",
            "/sgx/certification/v4/rootcacrl",
            "/sgx/certification/v4/tcb?fmspc=00606A000000&update=standard",
            "/sgx/certification/v4/qe/identity?update=standard",
        ]
    );
}

#[test]
fn a_trust_domain_has_collateral_of_its_own() {
    let bench = Bench::new();
    let pccs = Pccs::http(bench.issue(Tee::Tdx, &CollateralOptions::default())).unwrap();
    let td = Evidence::TdxQuote(bench.platform.td_quote(&Td::default()).unwrap());
    let settings = format!("pccs_url = '{}/tdx/certification/v4/'\nupdate = 'early'\n", pccs.url());
    let obtained = bench.get_for(&td, &settings, bench.now).unwrap();
    let trust = TrustAnchor::simulated(bench.platform.root_certificate()).unwrap();
    let policy = Policy { any_identity: true, ..Policy::default() };
    assert!(verify(&td, &obtained.collateral, &trust, &policy, bench.now).accepted().is_ok());
    let asked: Vec<String> = pccs.requests().into_iter().map(|request| request.target).collect();
    assert_eq!(asked[2], "/tdx/certification/v4/tcb?fmspc=00606A000000&update=early");
    assert_eq!(asked[3], "/tdx/certification/v4/qe/identity?update=early");
}

#[test]
fn intels_form_has_the_root_crl_elsewhere_and_takes_a_key() {
    let bench = Bench::new();
    let healthy = bench.healthy();
    let (pccs, elsewhere) = (Pccs::http(healthy.clone()).unwrap(), Pccs::http(healthy).unwrap());
    bench.write("key", "s3cr3t-subscription\n");
    let settings = format!(
        "pcs_url = '{}/sgx/certification/v4/'\nroot_crl_url = '{}/IntelSGXRootCA.der'\napi_key_file = \
         'key'\n",
        pccs.url(),
        elsewhere.url()
    );
    let obtained = bench.get(&settings).unwrap();
    assert!(bench.appraise(&obtained).accepted().is_ok());
    let has_key =
        |head: &str| head.to_ascii_lowercase().contains("ocp-apim-subscription-key: s3cr3t-subscription\r\n");
    let (requests, others) = (pccs.requests(), elsewhere.requests());
    assert!(requests.len() == 3 && requests.iter().all(|request| has_key(&request.head)));
    // The key is for the service, not for whoever has the root CA's CRL.
    assert_eq!((others.len(), others[0].target.as_str()), (1, "/IntelSGXRootCA.der"));
    assert!(!has_key(&others[0].head));
    // Never in what people see.
    pccs.fail(Fault::Status(401));
    let error = bench.get(&settings).map(|obtained| obtained.source).unwrap_err();
    assert!(!format!("{error} {error:?} {}", error.advice()).contains("s3cr3t"), "{error}");
    bench.write("key", "");
    assert_eq!(bench.get(&settings).err().unwrap().code(), "CollateralSettings");
}

#[test]
fn settings_of_the_quote_provider_library_are_taken_over() {
    let bench = Bench::new();
    let pccs = Pccs::https(bench.healthy()).unwrap();
    bench.write("ca.pem", pccs.ca_pem());
    let conf = |secure: bool| {
        format!(
            "{{ // *** keys are case sensitive\n \"pccs_url\": \"{}/sgx/certification/v4/\"\n ,\"use_secure_cert\": \
             {secure}\n ,\"retry_times\": 0\n}}",
            pccs.url()
        )
    };
    bench.write("qcnl.conf", conf(true));
    assert!(
        bench.appraise(&bench.get("qcnl = 'qcnl.conf'\nca_file = 'ca.pem'\n").unwrap()).accepted().is_ok()
    );
    bench.write("qcnl.conf", conf(false));
    assert_eq!(bench.get("qcnl = 'qcnl.conf'\n").err().unwrap().code(), "QcnlInsecure");
    assert!(bench.get("qcnl = 'qcnl.conf'\nca_file = 'ca.pem'\n").is_ok());
}

#[test]
fn a_bundle_file_needs_no_network() {
    let bench = Bench::new();
    bench.write("bundle.json", bench.healthy().to_json());
    let obtained = bench.get("file = 'bundle.json'\n").unwrap();
    assert!(bench.appraise(&obtained).accepted().is_ok());
    assert_eq!(Path::new(&obtained.source), bench.path("bundle.json"));
    assert_eq!(bench.get("file = 'absent'\n").err().unwrap().code(), "CollateralUnreadable");
    bench.write("bundle.json", "{}");
    assert_eq!(bench.get("file = 'bundle.json'\n").err().unwrap().code(), "CollateralMalformed");
}

#[test]
fn fault_404_the_service_does_not_know_the_platform() {
    let bench = Bench::new();
    let pccs = Pccs::http(bench.healthy()).unwrap();
    for status in [404, 410] {
        pccs.fail(Fault::Status(status));
        assert_fault(bench.ask(&pccs), "CollateralNotFound", &pccs);
    }
    // Asking again would not help.
    let before = pccs.requests().len();
    let error = bench.get(&format!("pccs_url = '{}'\nattempts = 5\n", pccs.url())).err().unwrap();
    assert_eq!((error.code(), pccs.requests().len()), ("CollateralNotFound", before + 1));
}

#[test]
fn fault_500_and_other_statuses() {
    let bench = Bench::new();
    let pccs = Pccs::http(bench.healthy()).unwrap();
    for status in [500, 503, 400, 401, 403, 429, 204] {
        pccs.fail(Fault::Status(status));
        let result = bench.ask(&pccs);
        assert!(result.as_ref().err().unwrap().to_string().contains(&status.to_string()));
        assert_fault(result, "CollateralServerError", &pccs);
    }
}

#[test]
fn a_busy_service_is_asked_again_each_time_later() {
    let bench = Bench::new();
    let pccs = Pccs::http(bench.healthy()).unwrap();
    pccs.fail(Fault::Busy(2));
    let text = format!("proxy = 'none'\npccs_url = '{}'\n", pccs.url());
    let key = PlatformKey::of(&inspect(&bench.sgx()).unwrap());
    let waits = RefCell::new(Vec::new());
    let wait = |pause: Duration| waits.borrow_mut().push(pause);
    let obtain = Obtain { folder: bench.dir.path(), now: bench.now, copies: true, wait: &wait };
    let obtained = obtain.get(&toml::from_str(&text).unwrap(), key).unwrap();
    assert!(bench.appraise(&obtained).accepted().is_ok());
    assert_eq!(*waits.borrow(), [Duration::from_millis(500), Duration::from_secs(1)]);
    // And not for ever.
    pccs.fail(Fault::Status(503));
    let settings = toml::from_str(&format!("{text}attempts = 4\n")).unwrap();
    let before = pccs.requests().len();
    assert_eq!(obtain.get(&settings, key).err().unwrap().code(), "CollateralServerError");
    assert_eq!(pccs.requests().len(), before + 4);
}

#[test]
fn fault_slow_ends_after_the_time_allowed() {
    let bench = Bench::new();
    let pccs = Pccs::http(bench.healthy()).unwrap();
    pccs.fail(Fault::Slow);
    let settings = format!("pccs_url = '{}'\nattempts = 1\ntimeout_seconds = 1\n", pccs.url());
    assert_fault(bench.get(&settings), "CollateralTimeout", &pccs);
}

#[test]
fn fault_cut_off_is_no_answer() {
    let bench = Bench::new();
    let pccs = Pccs::http(bench.healthy()).unwrap();
    pccs.fail(Fault::CutOff);
    assert_fault(bench.ask(&pccs), "CollateralTruncated", &pccs);
}

#[test]
fn fault_wrong_json_is_no_answer() {
    let bench = Bench::new();
    let pccs = Pccs::http(bench.healthy()).unwrap();
    pccs.fail(Fault::WrongJson);
    assert_fault(bench.ask(&pccs), "CollateralResponseMalformed", &pccs);
    pccs.fail(Fault::NoChains);
    assert_fault(bench.ask(&pccs), "CollateralResponseMalformed", &pccs);
    // In the right form, but with a status that Intel does not have.
    pccs.fail(Fault::None);
    let mut level = bench.platform.tcb_level();
    level.status = "Fine".into();
    let options = CollateralOptions { tcb_levels: Some(vec![level]), ..CollateralOptions::default() };
    pccs.serve(bench.issue(Tee::Sgx, &options));
    assert_fault(bench.ask(&pccs), "CollateralResponseMalformed", &pccs);
}

#[test]
fn an_answer_that_is_too_long_is_not_read_to_its_end() {
    let bench = Bench::new();
    let pccs = Pccs::http(bench.healthy()).unwrap();
    pccs.fail(Fault::TooLong);
    assert_fault(bench.ask(&pccs), "CollateralTooLong", &pccs);
}

#[test]
fn a_redirect_is_not_followed() {
    let bench = Bench::new();
    let pccs = Pccs::http(bench.healthy()).unwrap();
    pccs.fail(Fault::Redirect);
    assert_fault(bench.ask(&pccs), "CollateralServerError", &pccs);
    assert_eq!(pccs.requests().len(), 1);
}

#[test]
fn fault_stale_collateral_is_refused_by_verification() {
    let bench = Bench::new();
    let pccs = Pccs::http(bench.issue(Tee::Sgx, &CollateralOptions::valid_for_days(-1))).unwrap();
    let obtained = bench.ask(&pccs).unwrap();
    assert_eq!(bench.appraise(&obtained).accepted().unwrap_err().code(), "CollateralExpired");
}

#[test]
fn fault_wrong_signature_is_refused_by_verification() {
    let bench = Bench::new();
    let mut forged = bench.healthy();
    forged.tcb_info =
        forged.tcb_info.replace("\"tcbEvaluationDataNumber\":17", "\"tcbEvaluationDataNumber\":18");
    let pccs = Pccs::http(forged).unwrap();
    let obtained = bench.ask(&pccs).unwrap();
    assert_eq!(bench.appraise(&obtained).accepted().unwrap_err().code(), "SignatureInvalid");
}

#[test]
fn fault_rolled_back_collateral_is_refused_by_the_state() {
    let bench = Bench::new();
    let (new, old) = (
        CollateralOptions { root_crl_number: 3, pck_crl_number: 3, ..CollateralOptions::default() },
        CollateralOptions { root_crl_number: 3, pck_crl_number: 2, ..CollateralOptions::default() },
    );
    let pccs = Pccs::http(bench.issue(Tee::Sgx, &new)).unwrap();
    let key = PlatformKey::of(&inspect(&bench.sgx()).unwrap());
    let remember = || {
        let verdict = bench.appraise(&bench.ask(&pccs).unwrap());
        let claims = verdict.accepted().unwrap();
        advance(&bench.path("state"), key, Update::Standard, &claims.root_key_id, Numbers::of(claims))
    };
    remember().unwrap();
    pccs.serve(bench.issue(Tee::Sgx, &old));
    let error = remember().unwrap_err();
    assert!(matches!(error, Error::Rollback { number: "PCK CRL number", found: 2, seen: 3, .. }), "{error}");
    for evaluation in [
        CollateralOptions { tcb_info_evaluation: 16, ..new.clone() },
        CollateralOptions { qe_identity_evaluation: 16, ..new.clone() },
    ] {
        pccs.serve(bench.issue(Tee::Sgx, &evaluation));
        assert_eq!(remember().unwrap_err().code(), "CollateralRollback");
    }
    pccs.serve(bench.issue(Tee::Sgx, &new));
    remember().unwrap();
    // The TCB info is seen for itself, also where the QE identity's number is the lower one.
    pccs.serve(bench.issue(Tee::Sgx, &CollateralOptions { tcb_info_evaluation: 18, ..new.clone() }));
    remember().unwrap();
    pccs.serve(bench.issue(Tee::Sgx, &new));
    let error = remember().unwrap_err();
    assert!(matches!(error, Error::Rollback { found: 17, seen: 18, .. }), "{error}");
}

#[test]
fn fault_tls_by_an_unknown_ca() {
    let bench = Bench::new();
    let pccs = Pccs::https(bench.healthy()).unwrap();
    assert_fault(bench.ask(&pccs), "CollateralTls", &pccs);
    assert!(pccs.requests().is_empty());
    let other = Pccs::https(bench.healthy()).unwrap();
    bench.write("ca.pem", other.ca_pem());
    let settings = format!("pccs_url = '{}'\nca_file = 'ca.pem'\nattempts = 1\n", pccs.url());
    assert_fault(bench.get(&settings), "CollateralTls", &pccs);
    bench.write("ca.pem", pccs.ca_pem());
    assert!(bench.appraise(&bench.get(&settings).unwrap()).accepted().is_ok());
    bench.write("ca.pem", "no certificate");
    assert_eq!(bench.get(&settings).err().unwrap().code(), "CollateralSettings");
}

#[test]
fn nobody_there_is_no_connection() {
    let bench = Bench::new();
    let url = Pccs::http(bench.healthy()).unwrap().url();
    let error = bench.get(&format!("pccs_url = '{url}'\nattempts = 1\n")).err().unwrap();
    assert_eq!(error.code(), "CollateralConnect", "{error}");
}

#[test]
fn a_proxy_is_asked_instead() {
    let bench = Bench::new();
    // Any server will do: it sees what it is asked for.
    let proxy = Pccs::http(bench.healthy()).unwrap();
    proxy.fail(Fault::Status(502));
    let settings: Settings = toml::from_str(&format!(
        "pccs_url = 'https://pccs.example:8081'\nproxy = '{}'\nattempts = 1\n",
        proxy.url()
    ))
    .unwrap();
    let key = PlatformKey::of(&inspect(&bench.sgx()).unwrap());
    let obtain = Obtain { folder: bench.dir.path(), now: bench.now, copies: true, wait: &|_| {} };
    let error = obtain.get(&settings, key).map(|obtained| obtained.source).unwrap_err();
    // It is the proxy that does not work, and no answer of a PCCS that is wrong.
    assert_eq!((error.code(), error.exit().status()), ("CollateralConnect", 5), "{error}");
    assert_eq!(proxy.requests()[0].target, "pccs.example:8081");
    for socks in ["socks5://127.0.0.1:1", "socks4://127.0.0.1:1", "socks5h://127.0.0.1:1"] {
        let settings: Settings =
            toml::from_str(&format!("pccs_url = 'https://pccs.example'\nproxy = '{socks}'\n")).unwrap();
        let error = obtain.get(&settings, key).map(|obtained| obtained.source).unwrap_err();
        assert!(error.code() == "CollateralSettings" && error.to_string().contains("SOCKS"), "{error}");
    }
}

/// The environment's proxy holds for the program unless the settings switch it off.
#[test]
fn proxy_none_means_none_whatever_the_environment_says() {
    let bench = Bench::new();
    let (pccs, proxy) = (Pccs::http(bench.healthy()).unwrap(), Pccs::http(bench.healthy()).unwrap());
    proxy.fail(Fault::Status(502));
    bench.write("quote", bench.sgx().bytes());
    let fetch = |setting: &str| {
        bench.write(
            "policy.toml",
            format!("[collateral]\npccs_url = '{}'\nattempts = 1\n{setting}", pccs.url()),
        );
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_km-attest"));
        command.args(["collateral", "fetch", "--quote", "quote", "--out", "out", "--policy", "policy.toml"]);
        command.current_dir(bench.dir.path()).env_remove("NO_PROXY").env_remove("no_proxy");
        for name in ["ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY"] {
            command.env(name, proxy.url()).env_remove(name.to_lowercase());
        }
        command.output().unwrap().status.code()
    };
    assert_eq!(fetch(""), Some(5));
    assert!(!proxy.requests().is_empty() && pccs.requests().is_empty());
    assert_eq!(fetch("proxy = 'none'"), Some(0));
}

#[test]
fn the_cache_holds_as_long_as_the_collateral_says() {
    let bench = Bench::new();
    let pccs = Pccs::http(bench.issue(Tee::Sgx, &CollateralOptions::valid_for_days(2))).unwrap();
    let ask = |more: &str, now| {
        let settings = format!("pccs_url = '{}'\ncache = 'cache'\nattempts = 1\n{more}", pccs.url());
        bench.get_for(&bench.sgx(), &settings, now).map(|obtained| {
            obtained.keep().unwrap();
            obtained.source
        })
    };
    // What was not found genuine is not kept.
    let settings = format!("pccs_url = '{}'\ncache = 'cache'\nattempts = 1\n", pccs.url());
    bench.get(&settings).unwrap();
    assert!(!bench.path("cache").exists());
    // The copy is written after this test began.
    let soon = bench.now + 30;
    let cached = |source: &str| source.ends_with("(cache)");
    assert!(!cached(&ask("", bench.now).unwrap()));
    assert!(cached(&ask("", soon).unwrap()));
    assert_eq!(pccs.requests().len(), 8);
    let files: Vec<_> = std::fs::read_dir(bench.path("cache")).unwrap().map(|file| file.unwrap()).collect();
    assert_eq!(files.len(), 1);
    assert_eq!(files[0].metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::metadata(bench.path("cache")).unwrap().permissions().mode() & 0o777, 0o700);

    // Another channel, an older copy, and one past its window are none.
    pccs.fail(Fault::Status(500));
    assert!(ask("update = 'early'\n", soon).is_err());
    assert!(ask("cache_hours = 0\n", soon).is_err());
    assert!(ask("", bench.now + DAY + 60).is_err());
    assert!(cached(&ask("cache_hours = 100\n", bench.now + DAY + 60).unwrap()));
    assert!(ask("cache_hours = 100\n", bench.now + 2 * DAY + 60).is_err());
    // A clock that went back: nothing is younger than nothing.
    assert!(ask("", bench.now - DAY).is_err());

    // A damaged copy is fetched again.
    std::fs::write(files[0].path(), "{}").unwrap();
    assert!(ask("", soon).is_err());
    pccs.fail(Fault::None);
    assert!(!cached(&ask("", bench.now).unwrap()));
    assert!(cached(&ask("", soon).unwrap()));
}
