//! Files that people have, read as Intel's library reads them.

use super::*;

/// The settings, and the warnings.
fn from_text(text: impl AsRef<[u8]>, has_ca: bool) -> (Result<Qcnl, Error>, Vec<String>) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    let mut warnings = Vec::new();
    (read(file.path(), has_ca, &mut warnings), warnings)
}

/// Address and attempts of a file that is read without a warning.
fn settings(text: impl AsRef<[u8]>) -> (String, Option<u32>) {
    let (found, warnings) = from_text(text, false);
    assert_eq!(warnings, Vec::<String>::new());
    let found = found.unwrap();
    (found.url, found.attempts)
}

/// In the shape of the file that Intel's packages install.
const JSON: &str = r#"{
  // *** the keys are case sensitive
  "pccs_url": "https://pccs:8081/sgx/certification/v4/"
  // To accept insecure HTTPS certificate, set this option to false
  ,"use_secure_cert": true
  ,"retry_times": 6
  ,"retry_delay": 10
  /* ,"collateral_service": "https://elsewhere" */
  ,"pck_cache_expire_hours": 168
}"#;

#[test]
fn the_file_of_intels_packages_is_read() {
    assert_eq!(settings(JSON), ("https://pccs:8081/sgx/certification/v4/".into(), Some(7)));
    let service = JSON.replace("/* ,", ",").replace(" */", "");
    assert_eq!(settings(service).0, "https://elsewhere");
    let old =
        "# PCCS server address\nPCCS_URL=https://pccs:8081/sgx/certification/v4/\nUSE_SECURE_CERT=TRUE\n";
    assert_eq!(settings(old).0, "https://pccs:8081/sgx/certification/v4/");
}

#[test]
fn an_unchecked_certificate_is_refused_unless_its_ca_is_named() {
    let json = JSON.replace("true", "false");
    let old = "PCCS_URL=https://pccs:8081/sgx/certification/v4/\nUSE_SECURE_CERT=FALSE\n";
    let again = format!("{old}USE_SECURE_CERT=TRUE\n");
    for text in [json.as_str(), old, &again, "USE_SECURE_CERT = false"] {
        assert_eq!(from_text(text, false).0.unwrap_err().code(), "QcnlInsecure", "{text}");
        assert!(from_text(text, true).0.is_ok(), "{text}");
    }
    // The library knows no other spelling, and checks the certificate.
    assert_eq!(settings("PCCS_URL=https://b\nUSE_SECURE_CERT=False\n").0, "https://b");
}

/// The files of `tests/data/qcnl` and more of their kinds.
#[test]
fn case_p03_p04_the_older_form_is_read_as_the_library_reads_it() {
    let data = |name: &str| {
        std::fs::read_to_string(format!("{}/tests/data/qcnl/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
    };
    let (service, stray) = (data("qcnl-legacy-cs.conf"), data("qcnl-legacy-stray.conf"));
    let local = "http://127.0.0.1:19100/sgx/certification/v4/";
    let cases: [(&str, &str, Option<u32>, &str); 19] = [
        (&service, local, Some(1), ""),
        (&stray, local, None, "line 3 of "),
        ("COLLATERAL_SERVICE=https://a\r\nPCCS_URL=https://b\r\n", "https://a", None, ""),
        ("PCCS_URL=https://b\nRETRY_TIMES=6\nRETRY_DELAY=10\n", "https://b", Some(7), ""),
        ("\t PCCS_URL\t= https://b # no comment\n", "https://b#nocomment", None, ""),
        ("PCCS_URL=https://b/?a=b\n", "https://b/?a=b", None, ""),
        ("pccs_url=https://a\nPCCS_URL=https://b\n", "https://b", None, "line 1 of "),
        ("export PCCS_URL=https://a\n[x]\nPCCS_URL=https://b\n\n", "https://b", None, "lines 1, 2 of "),
        ("PCCS_URL=https://b\nPCCS_URL=https://c\nRETRY_TIMES=99\n", "https://c", Some(10), ""),
        // Whatever is not JSON is of the older form.
        ("// Server\nPCCS_URL=https://b\n", "https://b", None, "line 1 of "),
        ("{\nPCCS_URL=https://b\n", "https://b", None, "line 1 of "),
        // The integer at the beginning counts; without one, the line is skipped.
        ("PCCS_URL=https://b\nRETRY_TIMES=6 # six\n", "https://b", Some(7), ""),
        ("PCCS_URL=https://b\nRETRY_TIMES=+2.9\n", "https://b", Some(3), ""),
        ("PCCS_URL=https://b\nRETRY_TIMES=-1\n", "https://b", Some(10), ""),
        ("RETRY_TIMES=5\nRETRY_TIMES=\nPCCS_URL=https://b\n", "https://b", Some(6), "line 2 of "),
        ("PCCS_URL=https://b\nRETRY_TIMES=many\n", "https://b", None, "line 2 of "),
        ("PCCS_URL=https://b\nRETRY_TIMES\n", "https://b", None, "line 2 of "),
        ("PCCS_URL=https://b\nRETRY_TIMES=99999999999\n", "https://b", None, "line 2 of "),
        ("PCCS_URL=https://b\nLOCAL_CACHE_ONLY=TRUE\n", "https://b", None, ""),
    ];
    for (text, url, attempts, warned) in cases {
        let (found, warnings) = from_text(text, false);
        let found = found.unwrap();
        assert_eq!((found.url.as_str(), found.attempts), (url, attempts), "{text}");
        assert_eq!(warnings.len(), usize::from(!warned.is_empty()), "{text}: {warnings:?}");
        assert!(warnings.iter().all(|warning| warning.starts_with(warned)), "{text}: {warnings:?}");
    }
}

/// The library looks at bytes only.
#[test]
fn case_p03_p04_a_file_need_not_be_utf_8() {
    for text in [
        &b"# Schl\xfcssel\nPCCS_URL=https://b\n"[..],
        b"PCCS_URL=https://b\n#\xff\xfe\n",
        b"{ // Schl\xfcssel\n \"pccs_url\": \"https://b\" }",
        b"{ \"pccs_url\": \"https://b\", \"note\": \"\xe9\" }",
    ] {
        assert_eq!(settings(text).0, "https://b");
    }
}

#[test]
fn case_p03_p04_members_of_another_type_are_ignored() {
    for (text, url, attempts, ignored) in [
        (r#"{"pccs_url": "https://b", "retry_times": "6"}"#, "https://b", None, "retry_times"),
        (r#"{"pccs_url": "https://b", "retry_times": 6.5}"#, "https://b", None, "retry_times"),
        (r#"{"pccs_url": "https://b", "retry_times": 4294967296}"#, "https://b", None, "retry_times"),
        (r#"{"pccs_url": "https://b", "retry_times": -1}"#, "https://b", Some(10), ""),
        (r#"{"pccs_url": "https://b", "use_secure_cert": "false"}"#, "https://b", None, "use_secure_cert"),
        (r#"{"pccs_url": "https://b", "use_secure_cert": 0}"#, "https://b", None, "use_secure_cert"),
        (r#"{"pccs_url": "https://b", "collateral_service": null}"#, "https://b", None, "collateral_service"),
        (r#"{"pccs_url": ["https://b"], "collateral_service": "https://a"}"#, "https://a", None, "pccs_url"),
        (r#"{"pccs_url": "https://b", "pccs_url": "https://c"}"#, "https://b", None, ""),
        (r#"{"pccs_url": "https://b", "custom_request_options": {"get_cert": []}}"#, "https://b", None, ""),
    ] {
        let (found, warnings) = from_text(text, false);
        let found = found.unwrap();
        assert_eq!((found.url.as_str(), found.attempts), (url, attempts), "{text}");
        assert_eq!(warnings.len(), usize::from(!ignored.is_empty()), "{text}: {warnings:?}");
        assert!(warnings.iter().all(|warning| warning.starts_with(ignored)), "{text}: {warnings:?}");
    }
}

#[test]
fn case_p03_p04_without_a_service_the_librarys_default_is_asked() {
    for text in
        ["", "\n \n", "{}", "# nothing\n", "// nothing\n", r#"{"use_secure_cert": true}"#, "RETRY_DELAY=3\n"]
    {
        let (found, warnings) = from_text(text, false);
        assert_eq!(found.unwrap().url, DEFAULT_URL, "{text}");
        assert!(warnings.len() == 1 && warnings[0].ends_with(DEFAULT_URL), "{text}: {warnings:?}");
    }
    let (found, warnings) = from_text(r#"{"pccs_url": 1}"#, false);
    assert_eq!((found.unwrap().url.as_str(), warnings.len()), (DEFAULT_URL, 2), "{warnings:?}");
}

#[test]
fn case_p03_p04_many_skipped_lines_are_one_warning() {
    let (found, warnings) = from_text("x\n".repeat(32_000) + "PCCS_URL=https://b\n", false);
    assert_eq!(found.unwrap().url, "https://b");
    assert_eq!(warnings.len(), 1);
    assert!(
        warnings[0].starts_with("32000 lines of ") && warnings[0].contains("skipped, first 1, 2, 3, "),
        "{warnings:?}"
    );
    let (refused, warnings) = from_text("x\n".repeat(32_768), false);
    assert!(refused.unwrap_err().to_string().len() < 1_000 && warnings.is_empty());
}

/// The library would ask its default for these. Nobody means that who wrote them.
#[test]
fn case_p03_p04_what_says_nothing_in_either_form_is_refused() {
    for (text, said) in [
        ("{", "line 1 is skipped"),
        ("nonsense", "line 1 is skipped"),
        ("[1]", "it is JSON, but not an object"),
        ("/", "line 1 is skipped"),
        ("PCS_URL=https://b\n", "line 1 is skipped"),
        ("{\"pccs_url\": \"https://b\"\n\"retry_times\": 1}", "lines 1, 2 are skipped"),
    ] {
        let error = from_text(text, false).0.unwrap_err();
        assert_eq!(error.code(), "QcnlMalformed", "{text}");
        assert!(error.to_string().contains(said) && !error.to_string().contains('\n'), "{error}");
    }
    let absent = read(Path::new("/nonexistent"), false, &mut Vec::new());
    assert_eq!(absent.unwrap_err().code(), "CollateralUnreadable");
    assert_eq!(from_text(vec![b'#'; 65_537], false).0.unwrap_err().code(), "CollateralUnreadable");
}
