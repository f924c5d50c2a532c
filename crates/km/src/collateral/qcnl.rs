//! `/etc/sgx_default_qcnl.conf`, the settings of Intel's quote provider library: JSON with comments, or
//! `KEY=value` in the form of releases before DCAP 1.12. Only the addresses of the services, the number of
//! attempts and whether the server's certificate is checked are read.

use super::error::Error;
use crate::files::read_limited;
use jsonc_parser::{ParseOptions, parse_to_serde_value};
use serde::Deserialize;
use std::path::Path;

/// Longest file, in bytes.
const MAX_FILE: u64 = 64 * 1024;

/// Keys of the older form that have no meaning here.
const UNUSED: [&str; 6] = [
    "PCCS_API_VERSION",
    "RETRY_DELAY",
    "LOCAL_PCK_URL",
    "LOCAL_PCK_RETRY_DELAY",
    "PCK_CACHE_EXPIRE_HOURS",
    "VERIFY_COLLATERAL_CACHE_EXPIRE_HOURS",
];

/// What the file says.
pub struct Qcnl {
    pub url: String,
    pub attempts: Option<u32>,
    /// Lines that were skipped, in a whole sentence each.
    pub warnings: Vec<String>,
}

/// Keys of Intel's file. Other keys have no meaning here and are ignored.
#[derive(Default, Deserialize)]
struct File {
    pccs_url: Option<String>,
    use_secure_cert: Option<bool>,
    collateral_service: Option<String>,
    retry_times: Option<u32>,
    /// Numbers of the lines of the older form that are not known.
    #[serde(skip)]
    skipped: Vec<usize>,
}

/// Reads the file. `has_ca`: the settings name a CA file, so that the server's certificate is checked against
/// it.
pub fn read(path: &Path, has_ca: bool) -> Result<Qcnl, Error> {
    let malformed = |cause: String| Error::QcnlMalformed { path: path.to_owned(), cause };
    let bytes = read_limited(path, MAX_FILE)
        .map_err(|cause| Error::Unreadable { path: path.to_owned(), cause: cause.to_string() })?;
    let text = String::from_utf8(bytes).map_err(|_| malformed("not UTF-8".into()))?;
    let file = parse(&text).map_err(malformed)?;
    if file.use_secure_cert == Some(false) && !has_ca {
        return Err(Error::QcnlInsecure { path: path.to_owned() });
    }
    let url = file.collateral_service.or(file.pccs_url);
    let warnings: Vec<String> = file.skipped.iter().map(|line| skipped(path, *line)).collect();
    let url = url.ok_or_else(|| {
        let skipped = warnings.first().map_or_else(String::new, |first| format!("; {first}"));
        malformed(format!("it names neither collateral_service nor pccs_url{skipped}"))
    })?;
    // Intel counts repetitions. This module allows 10 attempts at most.
    let attempts = file.retry_times.map(|times| times.saturating_add(1).min(10));
    Ok(Qcnl { url, attempts, warnings })
}

fn skipped(path: &Path, line: usize) -> String {
    format!(
        "line {line} of {} is skipped, as the quote provider library does: it is neither a comment nor KEY=value \
         with a known key",
        path.display()
    )
}

fn parse(text: &str) -> Result<File, String> {
    if text.trim_start().starts_with(['{', '/']) {
        let options = ParseOptions {
            allow_comments: true,
            allow_trailing_commas: true,
            allow_loose_object_property_names: false,
            allow_missing_commas: false,
            allow_single_quoted_strings: false,
            allow_hexadecimal_numbers: false,
            allow_unary_plus_numbers: false,
        };
        return parse_to_serde_value(text, &options).map_err(|error| error.to_string().replace('\n', " "));
    }
    legacy(text)
}

/// `KEY=value` as the library reads it: without any white space, keys in capital letters. It skips lines that
/// it does not know; here each of them gives a warning, too.
fn legacy(text: &str) -> Result<File, String> {
    let mut file = File::default();
    for (number, line) in (1usize..).zip(text.lines()) {
        let line: String = line.chars().filter(|c| !c.is_whitespace()).collect();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (key, value) = line.split_once('=').unwrap_or((&line, ""));
        match key {
            "PCCS_URL" => file.pccs_url = Some(value.to_owned()),
            "COLLATERAL_SERVICE" => file.collateral_service = Some(value.to_owned()),
            "USE_SECURE_CERT" => file.use_secure_cert = Some(!value.eq_ignore_ascii_case("false")),
            "RETRY_TIMES" => {
                let times =
                    value.parse().map_err(|_| format!("line {number}: RETRY_TIMES is not a number"))?;
                file.retry_times = Some(times);
            }
            _ if UNUSED.contains(&key) => {}
            _ => file.skipped.push(number),
        }
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        file
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
        let found = read(write(JSON).path(), false).unwrap();
        assert_eq!(found.url, "https://pccs:8081/sgx/certification/v4/");
        assert_eq!(found.attempts, Some(7));
        let service = JSON.replace("/* ,", ",").replace(" */", "");
        assert_eq!(read(write(&service).path(), false).unwrap().url, "https://elsewhere");
        let old =
            "# PCCS server address\nPCCS_URL=https://pccs:8081/sgx/certification/v4/\nUSE_SECURE_CERT=TRUE\n";
        assert_eq!(read(write(old).path(), false).unwrap().url, "https://pccs:8081/sgx/certification/v4/");
    }

    #[test]
    fn an_unchecked_certificate_is_refused_unless_its_ca_is_named() {
        let json = JSON.replace("true", "false");
        let old = "PCCS_URL=https://pccs:8081/sgx/certification/v4/\nUSE_SECURE_CERT=FALSE\n";
        for text in [json.as_str(), old] {
            assert_eq!(read(write(text).path(), false).err().unwrap().code(), "QcnlInsecure");
            assert!(read(write(text).path(), true).is_ok());
        }
    }

    /// The files of `tests/data/qcnl` and more of their kinds.
    #[test]
    fn case_p03_p04_the_older_form_is_read_as_the_library_reads_it() {
        let data = |name: &str| {
            std::fs::read_to_string(format!("{}/tests/data/qcnl/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
        };
        let (service, stray) = (data("qcnl-legacy-cs.conf"), data("qcnl-legacy-stray.conf"));
        let cases: [(&str, &str, Option<u32>, usize); 9] = [
            (&service, "http://127.0.0.1:19100/sgx/certification/v4/", Some(1), 0),
            (&stray, "http://127.0.0.1:19100/sgx/certification/v4/", None, 1),
            ("COLLATERAL_SERVICE=https://a\r\nPCCS_URL=https://b\r\n", "https://a", None, 0),
            ("PCCS_URL=https://b\nRETRY_TIMES=6\nRETRY_DELAY=10\n", "https://b", Some(7), 0),
            ("\t PCCS_URL\t= https://b # no comment\n", "https://b#nocomment", None, 0),
            ("PCCS_URL=https://b/?a=b\n", "https://b/?a=b", None, 0),
            ("pccs_url=https://a\nPCCS_URL=https://b\n", "https://b", None, 1),
            ("export PCCS_URL=https://a\n[section]\nPCCS_URL=https://b\n\n", "https://b", None, 2),
            ("PCCS_URL=https://b\nPCCS_URL=https://c\nRETRY_TIMES=99\n", "https://c", Some(10), 0),
        ];
        for (text, url, attempts, skipped) in cases {
            let found = read(write(text).path(), false).unwrap();
            assert_eq!((found.url.as_str(), found.attempts), (url, attempts), "{text}");
            assert_eq!(found.warnings.len(), skipped, "{text}: {:?}", found.warnings);
        }
        let warnings = read(write(&stray).path(), false).unwrap().warnings;
        assert!(warnings[0].starts_with("line 3 of "), "{warnings:?}");
        let wrong = read(write("PCCS_URL=https://b\nRETRY_TIMES=many\n").path(), false).err().unwrap();
        assert!(
            wrong.code() == "QcnlMalformed" && wrong.to_string().contains("line 2: RETRY_TIMES"),
            "{wrong}"
        );
        let none = read(write("PCS_URL=https://b\n").path(), false).err().unwrap().to_string();
        assert!(none.contains("neither") && none.contains("line 1 of "), "{none}");
    }

    #[test]
    fn what_it_would_not_read_either_is_refused() {
        for text in
            ["", "{", "{}", "{\"pccs_url\": 1}", "nonsense", "[1]", "/", "{\"use_secure_cert\": true}"]
        {
            let error = read(write(text).path(), false).err().unwrap();
            assert_eq!(error.code(), "QcnlMalformed", "{text}");
            assert!(!error.to_string().contains('\n'), "{error}");
        }
        assert_eq!(read(Path::new("/nonexistent"), false).err().unwrap().code(), "CollateralUnreadable");
    }
}
