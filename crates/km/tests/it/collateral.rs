//! Sources of collateral with a PCCS of the tests that works properly.

use crate::support::collateral::{DAY, Fixture};
use crate::support::programs::km_attest;
use std::cell::RefCell;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;
use tcs_evidence::Evidence;
use tcs_km::collateral::{Obtain, PlatformKey, Settings};
use tcs_sgx_sim::{CollateralOptions, Td, Tee};
use tcs_testkit::pccs::{Fault, Pccs};
use tcs_verifier::{Policy, TrustAnchor, inspect, verify};

#[test]
fn texts_of_a_pccs_come_through_byte_for_byte() {
    let fixture = Fixture::new();
    // A parser would lose these spaces, and with them the signature.
    let mut odd = fixture.healthy();
    odd.tcb_info = odd.tcb_info.replacen('{', "{ \n ", 1);
    odd.tcb_info_signature = fixture.platform.sign_tcb_info(&odd.tcb_info).unwrap();
    let pccs = Pccs::http(odd.clone()).unwrap();
    let obtained = fixture.ask(&pccs).unwrap();
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
    assert!(fixture.appraise(&obtained).accepted().is_ok());
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
    let fixture = Fixture::new();
    let pccs = Pccs::http(fixture.issue(Tee::Tdx, &CollateralOptions::default())).unwrap();
    let td = Evidence::TdxQuote(fixture.platform.td_quote(&Td::default()).unwrap());
    let settings = format!("pccs_url = '{}/tdx/certification/v4/'\nupdate = 'early'\n", pccs.url());
    let obtained = fixture.get_for(&td, &settings, fixture.now).unwrap();
    let trust = TrustAnchor::simulated(fixture.platform.root_certificate()).unwrap();
    let policy = Policy { any_identity: true, ..Policy::default() };
    assert!(verify(&td, &obtained.collateral, &trust, &policy, fixture.now).accepted().is_ok());
    let asked: Vec<String> = pccs.requests().into_iter().map(|request| request.target).collect();
    assert_eq!(asked[2], "/tdx/certification/v4/tcb?fmspc=00606A000000&update=early");
    assert_eq!(asked[3], "/tdx/certification/v4/qe/identity?update=early");
}

#[test]
fn intels_form_has_the_root_crl_elsewhere_and_takes_a_key() {
    let fixture = Fixture::new();
    let healthy = fixture.healthy();
    let (pccs, elsewhere) = (Pccs::http(healthy.clone()).unwrap(), Pccs::http(healthy).unwrap());
    fixture.write("key", "s3cr3t-subscription\n");
    let settings = format!(
        "pcs_url = '{}/sgx/certification/v4/'\nroot_crl_url = '{}/IntelSGXRootCA.der'\napi_key_file = \
         'key'\n",
        pccs.url(),
        elsewhere.url()
    );
    let obtained = fixture.get(&settings).unwrap();
    assert!(fixture.appraise(&obtained).accepted().is_ok());
    let has_key =
        |head: &str| head.to_ascii_lowercase().contains("ocp-apim-subscription-key: s3cr3t-subscription\r\n");
    let (requests, others) = (pccs.requests(), elsewhere.requests());
    assert!(requests.len() == 3 && requests.iter().all(|request| has_key(&request.head)));
    // The key is for the service only, not for the server with the root CA's CRL.
    assert_eq!((others.len(), others[0].target.as_str()), (1, "/IntelSGXRootCA.der"));
    assert!(!has_key(&others[0].head));
    // It never appears in a message.
    pccs.fail(Fault::Status(401));
    let error = fixture.get(&settings).map(|obtained| obtained.source).unwrap_err();
    assert!(!format!("{error} {error:?} {}", error.advice()).contains("s3cr3t"), "{error}");
    fixture.write("key", "");
    assert_eq!(fixture.get(&settings).err().unwrap().code(), "CollateralSettings");
}

#[test]
fn settings_of_the_quote_provider_library_are_taken_over() {
    let fixture = Fixture::new();
    let pccs = Pccs::https(fixture.healthy()).unwrap();
    fixture.write("ca.pem", pccs.ca_pem());
    let conf = |secure: bool| {
        format!(
            "{{ // *** keys are case sensitive\n \"pccs_url\": \"{}/sgx/certification/v4/\"\n ,\"use_secure_cert\": \
             {secure}\n ,\"retry_times\": 0\n}}",
            pccs.url()
        )
    };
    fixture.write("qcnl.conf", conf(true));
    assert!(
        fixture
            .appraise(&fixture.get("qcnl = 'qcnl.conf'\nca_file = 'ca.pem'\n").unwrap())
            .accepted()
            .is_ok()
    );
    fixture.write("qcnl.conf", conf(false));
    assert_eq!(fixture.get("qcnl = 'qcnl.conf'\n").err().unwrap().code(), "QcnlInsecure");
    assert!(fixture.get("qcnl = 'qcnl.conf'\nca_file = 'ca.pem'\n").is_ok());
}

#[test]
fn a_bundle_file_needs_no_network() {
    let fixture = Fixture::new();
    fixture.write("bundle.json", fixture.healthy().to_json());
    let obtained = fixture.get("file = 'bundle.json'\n").unwrap();
    assert!(fixture.appraise(&obtained).accepted().is_ok());
    assert_eq!(Path::new(&obtained.source), fixture.path("bundle.json"));
    assert_eq!(fixture.get("file = 'absent'\n").err().unwrap().code(), "CollateralUnreadable");
    fixture.write("bundle.json", "{}");
    assert_eq!(fixture.get("file = 'bundle.json'\n").err().unwrap().code(), "CollateralMalformed");
}

#[test]
fn a_busy_service_is_asked_again_each_time_later() {
    let fixture = Fixture::new();
    let pccs = Pccs::http(fixture.healthy()).unwrap();
    pccs.fail(Fault::Busy(2));
    let text = format!("proxy = 'none'\npccs_url = '{}'\n", pccs.url());
    let key = PlatformKey::of(&inspect(&fixture.sgx()).unwrap());
    let waits = RefCell::new(Vec::new());
    let wait = |pause: Duration| waits.borrow_mut().push(pause);
    let obtain = Obtain { folder: fixture.dir.path(), now: fixture.now, copies: true, wait: &wait };
    let obtained = obtain.get(&toml::from_str(&text).unwrap(), key).unwrap();
    assert!(fixture.appraise(&obtained).accepted().is_ok());
    assert_eq!(*waits.borrow(), [Duration::from_millis(500), Duration::from_secs(1)]);
    // The wait is limited.
    pccs.fail(Fault::Status(503));
    let settings = toml::from_str(&format!("{text}attempts = 4\n")).unwrap();
    let before = pccs.requests().len();
    assert_eq!(obtain.get(&settings, key).err().unwrap().code(), "CollateralServerError");
    assert_eq!(pccs.requests().len(), before + 4);
}

#[test]
fn a_proxy_is_asked_instead() {
    let fixture = Fixture::new();
    // Any server can be the proxy: it records what is requested.
    let proxy = Pccs::http(fixture.healthy()).unwrap();
    proxy.fail(Fault::Status(502));
    let settings: Settings = toml::from_str(&format!(
        "pccs_url = 'https://pccs.example:8081'\nproxy = '{}'\nattempts = 1\n",
        proxy.url()
    ))
    .unwrap();
    let key = PlatformKey::of(&inspect(&fixture.sgx()).unwrap());
    let obtain = Obtain { folder: fixture.dir.path(), now: fixture.now, copies: true, wait: &|_| {} };
    let error = obtain.get(&settings, key).map(|obtained| obtained.source).unwrap_err();
    // The proxy is what does not work, and no answer of a PCCS is wrong.
    assert_eq!((error.code(), error.exit().status()), ("CollateralConnect", 5), "{error}");
    assert_eq!(proxy.requests()[0].target, "pccs.example:8081");
    for socks in ["socks5://127.0.0.1:1", "socks4://127.0.0.1:1", "socks5h://127.0.0.1:1"] {
        let settings: Settings =
            toml::from_str(&format!("pccs_url = 'https://pccs.example'\nproxy = '{socks}'\n")).unwrap();
        let error = obtain.get(&settings, key).map(|obtained| obtained.source).unwrap_err();
        assert!(error.code() == "CollateralSettings" && error.to_string().contains("SOCKS"), "{error}");
    }
}

/// The program asks the environment's proxy for other machines, unless `NO_PROXY` or the settings say
/// otherwise. All forms of `NO_PROXY` are in the tests of `collateral/proxy`.
#[test]
fn case_p08_the_proxy_of_the_environment_is_for_https_to_other_machines() {
    let fixture = Fixture::new();
    let (pccs, proxy) = (Pccs::http(fixture.healthy()).unwrap(), Pccs::http(fixture.healthy()).unwrap());
    proxy.fail(Fault::Status(502));
    fixture.write("quote", fixture.sgx().bytes());
    let fetch = |url: &str, setting: &str, variables: &[(&str, &str)]| {
        let policy =
            format!("[collateral]\npccs_url = '{url}'\nattempts = 1\ntimeout_seconds = 20\n{setting}");
        fixture.write("policy.toml", policy);
        let mut command = km_attest();
        command.args(["collateral", "fetch", "--quote", "quote", "--out", "out", "--policy", "policy.toml"]);
        command.current_dir(fixture.dir.path()).env_clear().envs(variables.iter().copied());
        let before = proxy.requests().len();
        let status = command.output().unwrap().status.code();
        (status, proxy.requests().len() > before)
    };
    let url = proxy.url();
    let all: Vec<(&str, &str)> =
        ["ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "http_proxy"].map(|name| (name, url.as_str())).to_vec();
    assert_eq!(fetch(&pccs.url(), "", &all), (Some(0), false), "http on this machine");
    // The name does not exist, so that only the proxy could reach it.
    let elsewhere = "https://pccs.invalid:8081";
    assert_eq!(fetch(elsewhere, "", &all), (Some(5), true));
    assert_eq!(proxy.requests().last().unwrap().target, "pccs.invalid:8081");
    for name in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        assert_eq!(fetch(elsewhere, "", &[(name, &url)]), (Some(5), true), "{name}");
    }
    for name in ["HTTP_PROXY", "http_proxy"] {
        assert_eq!(fetch(elsewhere, "", &[(name, &url)]), (Some(5), false), "{name}");
    }
    assert_eq!(fetch(elsewhere, "proxy = 'none'", &all), (Some(5), false));
    let direct = [("HTTPS_PROXY", url.as_str()), ("NO_PROXY", "10.0.0.0/8, .invalid:8081")];
    assert_eq!(fetch(elsewhere, "", &direct), (Some(5), false));
    assert_eq!(fetch("https://pccs.invalid:8082", "", &direct), (Some(5), true));
}

#[test]
fn the_cache_holds_as_long_as_the_collateral_says() {
    let fixture = Fixture::new();
    let pccs = Pccs::http(fixture.issue(Tee::Sgx, &CollateralOptions::valid_for_days(2))).unwrap();
    let ask = |more: &str, now| {
        let settings = format!("pccs_url = '{}'\ncache = 'cache'\nattempts = 1\n{more}", pccs.url());
        fixture.get_for(&fixture.sgx(), &settings, now).map(|obtained| {
            obtained.keep().unwrap();
            obtained.source
        })
    };
    // Collateral that was not found to be genuine is not stored.
    let settings = format!("pccs_url = '{}'\ncache = 'cache'\nattempts = 1\n", pccs.url());
    fixture.get(&settings).unwrap();
    assert!(!fixture.path("cache").exists());
    // The copy was written after this test began.
    let soon = fixture.now + 30;
    let cached = |source: &str| source.ends_with("(cache)");
    assert!(!cached(&ask("", fixture.now).unwrap()));
    assert!(cached(&ask("", soon).unwrap()));
    assert_eq!(pccs.requests().len(), 8);
    let files: Vec<_> = std::fs::read_dir(fixture.path("cache")).unwrap().map(|file| file.unwrap()).collect();
    assert_eq!(files.len(), 1);
    assert_eq!(files[0].metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::metadata(fixture.path("cache")).unwrap().permissions().mode() & 0o777, 0o700);

    // A copy of another update channel, an older copy and an expired copy are not used.
    pccs.fail(Fault::Status(500));
    assert!(ask("update = 'early'\n", soon).is_err());
    assert!(ask("cache_hours = 0\n", soon).is_err());
    assert!(ask("", fixture.now + DAY + 60).is_err());
    assert!(cached(&ask("cache_hours = 100\n", fixture.now + DAY + 60).unwrap()));
    assert!(ask("cache_hours = 100\n", fixture.now + 2 * DAY + 60).is_err());
    // If the clock went back, no copy is young enough.
    assert!(ask("", fixture.now - DAY).is_err());

    // A damaged copy is fetched again.
    std::fs::write(files[0].path(), "{}").unwrap();
    assert!(ask("", soon).is_err());
    pccs.fail(Fault::None);
    assert!(!cached(&ask("", fixture.now).unwrap()));
    assert!(cached(&ask("", soon).unwrap()));
}
