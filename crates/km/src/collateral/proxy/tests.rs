//! Compared with Go, and with curl where both read the environment in the same way.

use super::*;
use std::process::Command;
use tcs_go_oracle::GoOracle;
use tcs_testkit::pccs::{Fault, Pccs};

fn environment(proxy: &str, no_proxy: &str) -> Proxies {
    Proxies::Environment(Environment::read(|name| match name {
        "HTTPS_PROXY" => Some(proxy.to_owned()),
        "NO_PROXY" => Some(no_proxy.to_owned()),
        _ => None,
    }))
}

/// `NO_PROXY`, an address, and whether curl (7.88) knows the form, too.
const CASES: [(&str, &str, bool); 49] = [
    ("", "https://pccs.example:8081/x", true),
    ("127.0.0.0/8", "https://127.0.0.1:8081", false),
    ("", "https://127.0.0.1:8081", false),
    ("", "https://127.9.9.9", false),
    ("", "https://localhost:8081", false),
    ("", "https://[::1]:8081", false),
    ("", "https://localhost.example", true),
    ("10.0.0.0/8", "https://10.1.2.3:8081", true),
    ("10.0.0.9/8", "https://10.1.2.3", true),
    ("10.0.0.0/8", "https://11.1.2.3", true),
    ("10.0.0.0/33", "https://10.1.2.3", true),
    ("10.0.0.0/8", "https://a.10.example", true),
    ("192.168.1.7", "https://192.168.1.7:8081", true),
    ("192.168.1.7:8081", "https://192.168.1.7:8081", false),
    ("192.168.1.7:8082", "https://192.168.1.7:8081", false),
    ("fd00::/8", "https://[fd00::7]:8081", false),
    ("fd00::7", "https://[fd00::7]:8081", false),
    ("[fd00::7]:8081", "https://[fd00::7]:8081", false),
    ("[fd00::7]:8082", "https://[fd00::7]:8081", false),
    ("pccs.example", "https://pccs.example:8081", true),
    ("pccs.example", "https://PCCS.example:8081", true),
    ("PCCS.EXAMPLE", "https://pccs.example:8081", true),
    ("example", "https://pccs.example:8081", true),
    ("ample", "https://pccs.example:8081", true),
    (".example", "https://pccs.example:8081", true),
    (".pccs.example", "https://pccs.example:8081", false),
    ("*.example", "https://pccs.example:8081", false),
    ("*.pccs.example", "https://pccs.example:8081", false),
    ("pccs.example:8081", "https://pccs.example:8081", false),
    ("pccs.example:8082", "https://pccs.example:8081", false),
    ("pccs.example:443", "https://pccs.example", false),
    (".example:8081", "https://pccs.example:8081", false),
    ("a.example, pccs.example", "https://pccs.example:8081", true),
    ("a.example ,\tpccs.example , ", "https://pccs.example:8081", true),
    ("a.example,b.example", "https://pccs.example:8081", true),
    ("*", "https://pccs.example:8081", true),
    (",,:,8081", "https://pccs.example:8081", false),
    // IPv4 addresses written as those of IPv6.
    ("", "https://[::ffff:127.0.0.1]:8081", false),
    ("", "https://[::ffff:7f00:1]", false),
    ("", "https://[::ffff:128.0.0.1]", false),
    ("10.0.0.0/8", "https://[::ffff:10.1.2.3]:8081", false),
    ("10.0.0.0/8", "https://[::ffff:11.1.2.3]:8081", false),
    ("192.168.1.7", "https://[::ffff:192.168.1.7]:8081", false),
    ("::ffff:192.168.1.7", "https://192.168.1.7:8081", false),
    ("[::ffff:192.168.1.7]:8081", "https://192.168.1.7:8081", false),
    ("::ffff:10.0.0.0/104", "https://10.1.2.3", false),
    ("::ffff:10.0.0.0/104", "https://11.1.2.3", false),
    ("::ffff:10.0.0.0/104", "https://[::ffff:10.1.2.3]", false),
    ("::/0", "https://10.1.2.3", false),
];

/// Blanks between entries that no comma separates: curl takes them, Go does not (`docs/collateral.md`).
const BLANKS: [(&str, &str, bool); 5] = [
    ("a.example pccs.example", "https://pccs.example:8081", true),
    ("pccs.example a.example", "https://pccs.example:8081", true),
    ("a.example  b.example", "https://pccs.example:8081", false),
    ("10.0.0.0/8 192.168.1.7", "https://192.168.1.7", true),
    (" \t ", "https://pccs.example:8081", false),
];

#[test]
fn case_p08_the_environment_is_read_as_go_reads_it() {
    let mut go = GoOracle::start().unwrap();
    for (no_proxy, url, _) in CASES {
        let ours = environment("http://proxy.example:3128", no_proxy).of(url).unwrap();
        let ours = ours.map_or(String::new(), |proxy| proxy.uri().to_string());
        let theirs = go.proxy("http://proxy.example:3128", no_proxy, url).unwrap();
        assert_eq!(ours.trim_end_matches('/'), theirs, "{no_proxy:?} for {url}");
    }
    for proxy in [
        "proxy.example:3128",
        "proxy.example",
        "proxy.example/",
        "127.0.0.1:3128/",
        "proxy.example:3128/path",
        "user:secret@proxy.example:3128/",
        "http://proxy.example",
        "http://proxy.example:3128/",
        "https://proxy.example:8443",
        "10.0.0.1:3128",
        "[fd00::1]:3128/",
    ] {
        let ours = environment(proxy, "").of("https://pccs.example").unwrap().unwrap();
        let theirs: Uri = go.proxy(proxy, "", "https://pccs.example").unwrap().parse().unwrap();
        assert_eq!((ours.uri().scheme(), ours.uri().authority()), (theirs.scheme(), theirs.authority()));
    }
}

#[test]
fn case_p08_curl_reads_the_same() {
    let options = tcs_sgx_sim::CollateralOptions::default();
    let dir = tempfile::tempdir().unwrap();
    let platform = tcs_sgx_sim::Platform::create(&dir.path().join("platform"), 1_795_000_000).unwrap();
    let proxy = Pccs::http(platform.collateral(1_795_000_000, tcs_sgx_sim::Tee::Sgx, &options).unwrap());
    let proxy = proxy.unwrap();
    proxy.fail(Fault::Status(502));
    for (no_proxy, url, direct) in BLANKS {
        assert_eq!(environment("http://a", no_proxy).of(url).unwrap().is_none(), direct, "{no_proxy:?}");
    }
    let blanks = BLANKS.into_iter().map(|(no_proxy, url, _)| (no_proxy, url, true));
    for (no_proxy, url, _) in CASES.into_iter().filter(|(_, _, same)| *same).chain(blanks) {
        let ours = environment(&proxy.url(), no_proxy).of(url).unwrap().is_some();
        let before = proxy.requests().len();
        let mut curl = Command::new("curl");
        curl.env_clear().env("HTTPS_PROXY", proxy.url()).env("NO_PROXY", no_proxy);
        // Without the proxy, the name leads to a port on which nobody listens.
        let hosts = "::127.0.0.1:1";
        let status = curl.args(["--disable", "--silent", "--connect-to", hosts, url]).status().unwrap();
        assert!(!status.success());
        assert_eq!(ours, proxy.requests().len() > before, "{no_proxy:?} for {url}");
    }
}

#[test]
fn case_p08_the_first_variable_that_is_set_counts() {
    let of = |variables: &[(&str, &str)], url: &str| {
        let read = |name: &str| {
            let found = variables.iter().find(|(variable, _)| *variable == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let proxy = Proxies::Environment(Environment::read(read)).of(url);
        proxy
            .map_err(|error| {
                assert!(
                    error.to_string().starts_with("the environment variable HTTPS_PROXY must be "),
                    "{error}"
                );
                assert!(error.advice().starts_with("correct or unset the variable"), "{}", error.advice());
                assert_eq!(error.exit().status(), 2);
                error.code()
            })
            .map(|proxy| proxy.map(|proxy| proxy.host().to_owned()))
    };
    let url = "https://pccs.example";
    let is = |name: &str| Ok(Some(name.to_owned()));
    assert_eq!(of(&[], url), Ok(None));
    assert_eq!(of(&[("HTTP_PROXY", "http://a"), ("http_proxy", "http://a")], url), Ok(None));
    assert_eq!(of(&[("https_proxy", "http://b"), ("HTTPS_PROXY", "http://a")], url), is("a"));
    assert_eq!(of(&[("https_proxy", "http://b"), ("HTTPS_PROXY", "")], url), is("b"));
    assert_eq!(of(&[("ALL_PROXY", "http://c"), ("https_proxy", "http://b")], url), is("b"));
    assert_eq!(of(&[("ALL_PROXY", "http://c")], url), is("c"));
    assert_eq!(of(&[("all_proxy", "http://d")], url), is("d"));
    assert_eq!(of(&[("HTTPS_PROXY", "http://a"), ("no_proxy", "example")], url), Ok(None));
    assert_eq!(of(&[("HTTPS_PROXY", "http://a"), ("NO_PROXY", "b"), ("no_proxy", "example")], url), is("a"));
    // Without TLS only this machine is asked, and never through a proxy.
    assert_eq!(of(&[("HTTPS_PROXY", "http://a"), ("ALL_PROXY", "http://c")], "http://127.0.0.1:1"), Ok(None));
    // A proxy that cannot be used is an error, and not a reason to ask directly.
    assert_eq!(of(&[("HTTPS_PROXY", "socks5://a:1")], url), Err("CollateralSettings"));
    assert_eq!(of(&[("HTTPS_PROXY", "http://")], url), Err("CollateralSettings"));
    assert_eq!(of(&[("HTTPS_PROXY", "socks5://a:1"), ("NO_PROXY", "*")], url), Ok(None));
}

/// What is sent without TLS must not leave this machine, whatever the settings say.
#[test]
fn an_address_without_tls_is_never_asked_through_a_proxy() {
    for setting in ["http://proxy.example:3128", "https://proxy.example", "proxy.example:3128/"] {
        let proxies = Proxies::new(Some(setting)).unwrap();
        for url in ["http://127.0.0.1:8081/x", "http://localhost:8081", "http://[::1]:8081"] {
            assert!(proxies.of(url).unwrap().is_none(), "{setting} for {url}");
        }
        assert_eq!(proxies.of("https://pccs.example").unwrap().unwrap().host(), "proxy.example");
        assert!(proxies.of("https://127.0.0.1:8081").unwrap().is_some());
    }
    let error = Proxies::new(Some("socks5://user:hunter2@a:1")).err().unwrap();
    assert!(
        error.advice().contains("section [collateral]") && !error.to_string().contains("hunter2"),
        "{error}"
    );
}
