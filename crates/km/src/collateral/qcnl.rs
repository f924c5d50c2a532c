//! `/etc/sgx_default_qcnl.conf`, the settings of Intel's quote provider library: JSON with comments, or
//! `KEY=value` in the form of releases before DCAP 1.12. Only the address of the service and the number of
//! attempts are read.

use super::error::Error;
use crate::files::read_limited;
use jsonc_parser::{ParseOptions, parse_to_serde_value};
use serde::Deserialize;
use std::path::Path;

/// Longest file, in bytes.
const MAX_FILE: u64 = 64 * 1024;

/// What the file says.
pub struct Qcnl {
    pub url: String,
    pub attempts: Option<u32>,
}

/// Keys of Intel's file. Other keys have no meaning here and are ignored.
#[derive(Default, Deserialize)]
struct File {
    pccs_url: Option<String>,
    use_secure_cert: Option<bool>,
    collateral_service: Option<String>,
    retry_times: Option<u32>,
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
    let url = url.ok_or_else(|| malformed("neither collateral_service nor pccs_url".into()))?;
    // Intel counts repetitions. This module allows 10 attempts at most.
    let attempts = file.retry_times.map(|times| times.saturating_add(1).min(10));
    Ok(Qcnl { url, attempts })
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
    let mut file = File::default();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (key, value) = line.split_once('=').ok_or("neither JSON nor KEY=value")?;
        match key.trim() {
            "PCCS_URL" => file.pccs_url = Some(value.trim().to_owned()),
            "USE_SECURE_CERT" => file.use_secure_cert = Some(!value.trim().eq_ignore_ascii_case("false")),
            _ => {}
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
