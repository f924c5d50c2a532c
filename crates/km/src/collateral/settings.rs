//! `[collateral]` of the policy file.

use super::cache::Cache;
use super::error::Error;
use super::http::{Client, check_address};
use super::platform::PlatformKey;
use super::qcnl;
use super::service::{Service, Update};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Intel's Provisioning Certification Service.
const PCS: &str = "https://api.trustedservices.intel.com";
/// Where Intel publishes the CRL of its root (CRL distribution point of the root certificate).
const ROOT_CRL: &str = "https://certificates.trustedservices.intel.com/IntelSGXRootCA.der";

/// The section `[collateral]`: one source, and how it is queried. Every key is in `docs/collateral.md`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    file: Option<PathBuf>,
    pccs_url: Option<String>,
    pcs_url: Option<String>,
    qcnl: Option<PathBuf>,
    root_crl_url: Option<String>,
    ca_file: Option<PathBuf>,
    api_key_file: Option<PathBuf>,
    proxy: Option<String>,
    #[serde(default)]
    update: Update,
    timeout_seconds: Option<u64>,
    attempts: Option<u32>,
    cache: Option<PathBuf>,
    cache_hours: Option<u64>,
    state: Option<PathBuf>,
}

/// Where to get collateral, with everything that the settings say about it.
pub(super) enum Source {
    File(PathBuf),
    Service(Service),
}

impl Settings {
    /// The same settings with this file as the source.
    #[must_use]
    pub fn with_file(self, file: PathBuf) -> Self {
        Self { file: Some(file), pccs_url: None, pcs_url: None, qcnl: None, ..self }
    }

    /// The same settings with this PCCS as the source.
    #[must_use]
    pub fn with_pccs_url(self, url: String) -> Self {
        Self { file: None, pccs_url: Some(url), pcs_url: None, qcnl: None, api_key_file: None, ..self }
    }

    /// The state file with the numbers that were seen before, if the settings name one.
    #[must_use]
    pub fn state(&self, folder: &Path) -> Option<PathBuf> {
        self.state.as_ref().map(|path| folder.join(path))
    }

    /// Which collateral is requested.
    #[must_use]
    pub fn update(&self) -> Update {
        self.update
    }

    pub(super) fn cache(&self, folder: &Path, service: &Service, key: PlatformKey) -> Option<Cache> {
        let hours = self.cache_hours.unwrap_or(24);
        self.cache.as_ref().map(|path| Cache::new(&folder.join(path), service, key, hours))
    }

    pub(super) fn source(&self, folder: &Path) -> Result<Source, Error> {
        match (&self.file, &self.pccs_url, &self.pcs_url, &self.qcnl) {
            (Some(file), None, None, None) => Ok(Source::File(folder.join(file))),
            (None, Some(url), None, None) => {
                self.service(folder, url, self.root_crl_url.clone(), None).map(Source::Service)
            }
            (None, None, Some(url), None) => {
                let root_crl = self.root_crl_url.clone().unwrap_or_else(|| ROOT_CRL.into());
                self.service(folder, url, Some(root_crl), None).map(Source::Service)
            }
            (None, None, None, Some(path)) => {
                let found = qcnl::read(&folder.join(path), self.ca_file.is_some())?;
                let service = self.service(folder, &found.url, self.root_crl_url.clone(), found.attempts)?;
                Ok(Source::Service(Service { warnings: found.warnings, ..service }))
            }
            _ => Err(Error::Settings("name exactly one of file, pccs_url, pcs_url and qcnl".into())),
        }
    }

    fn service(
        &self,
        folder: &Path,
        url: &str,
        root_crl: Option<String>,
        attempts: Option<u32>,
    ) -> Result<Service, Error> {
        let base = base(url)?;
        // Intel's own service publishes the CRL at another address, whichever key named the service.
        let root_crl = root_crl.or_else(|| (base == PCS).then(|| ROOT_CRL.to_owned()));
        if let Some(root_crl) = &root_crl {
            check_address(root_crl)?;
        }
        let attempts = self.attempts.or(attempts).unwrap_or(3);
        if !(1..=10).contains(&attempts) {
            return Err(Error::Settings("attempts must be 1 to 10".into()));
        }
        let seconds = self.timeout_seconds.unwrap_or(10);
        if !(1..=600).contains(&seconds) {
            return Err(Error::Settings("timeout_seconds must be 1 to 600".into()));
        }
        let client = Client::new(
            Duration::from_secs(seconds),
            self.ca_file.as_ref().map(|path| folder.join(path)).as_deref(),
            self.api_key_file.as_ref().map(|path| folder.join(path)).as_deref(),
            self.proxy.as_deref(),
        )?;
        let warnings = Vec::new();
        Ok(Service { base, root_crl, update: self.update, attempts, client, warnings })
    }
}

/// The address without `/sgx/certification/v4`, with which the addresses in Intel's own settings end.
fn base(url: &str) -> Result<String, Error> {
    check_address(url)?;
    let url = url.trim_end_matches('/');
    for tee in ["sgx", "tdx"] {
        if let Some((base, rest)) = url.split_once(&format!("/{tee}/certification")) {
            if rest == "/v4" {
                return Ok(base.to_owned());
            }
            return Err(Error::Settings(format!("{url}: only version 4 of the API is supported")));
        }
    }
    Ok(url.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(text: &str) -> Settings {
        toml::from_str(text).unwrap()
    }

    fn service(text: &str) -> Result<Service, Error> {
        match settings(text).source(Path::new("/folder"))? {
            Source::Service(service) => Ok(service),
            Source::File(path) => panic!("{}", path.display()),
        }
    }

    #[test]
    fn exactly_one_source_is_named() {
        for text in ["", "file = 'a'\npccs_url = 'https://b'\n", "pcs_url = 'https://a'\nqcnl = 'a'\n"] {
            assert_eq!(
                settings(text).source(Path::new("")).err().unwrap().code(),
                "CollateralSettings",
                "{text}"
            );
        }
        let named = settings("pccs_url = 'https://b'\nstate = 'state.json'\n");
        let Source::File(path) = named.clone().with_file("x".into()).source(Path::new("/f")).unwrap() else {
            panic!()
        };
        assert_eq!(path, Path::new("/f/x"));
        assert_eq!(
            named.clone().with_file("x".into()).state(Path::new("/f")).unwrap(),
            Path::new("/f/state.json")
        );
        assert_eq!(named.with_pccs_url("https://c".into()).pccs_url.unwrap(), "https://c");
    }

    #[test]
    fn addresses_are_taken_with_and_without_the_path_of_the_api() {
        for url in [
            "https://pccs:8081",
            "https://pccs:8081/",
            "https://pccs:8081/sgx/certification/v4",
            "https://pccs:8081/sgx/certification/v4/",
            "https://pccs:8081/tdx/certification/v4/",
        ] {
            assert_eq!(service(&format!("pccs_url = '{url}'")).unwrap().base, "https://pccs:8081");
        }
        let old = service("pccs_url = 'https://pccs:8081/sgx/certification/v3/'").err().unwrap();
        assert!(old.to_string().contains("only version 4"), "{old}");
    }

    #[test]
    fn intels_service_has_its_root_crl_elsewhere() {
        let pcs = service(&format!("pcs_url = '{PCS}/sgx/certification/v4/'")).unwrap();
        assert_eq!((pcs.base.as_str(), pcs.root_crl.as_deref()), (PCS, Some(ROOT_CRL)));
        assert_eq!(service("pccs_url = 'https://a'").unwrap().root_crl, None);
        for url in [PCS.to_owned(), format!("{PCS}/"), format!("{PCS}/sgx/certification/v4/")] {
            let named = service(&format!("pccs_url = '{url}'")).unwrap();
            assert_eq!(named.root_crl.as_deref(), Some(ROOT_CRL), "{url}");
        }
        let mirror = service("pcs_url = 'https://a'\nroot_crl_url = 'https://b/root.der'\n").unwrap();
        assert_eq!(mirror.root_crl.unwrap(), "https://b/root.der");
    }

    #[test]
    fn limits_of_the_settings() {
        for text in ["attempts = 0", "attempts = 11", "timeout_seconds = 0", "timeout_seconds = 601"] {
            let error = service(&format!("pccs_url = 'https://a'\n{text}\n")).err().unwrap();
            assert_eq!(
                (error.code(), error.exit()),
                ("CollateralSettings", crate::exit::Exit::Usage),
                "{text}"
            );
        }
        assert_eq!(service("pccs_url = 'https://a'\nupdate = 'early'\n").unwrap().update, Update::Early);
        assert!(toml::from_str::<Settings>("update = 'later'").is_err());
        assert_eq!(service("pccs_url = 'https://a'").unwrap().attempts, 3);
    }
}
