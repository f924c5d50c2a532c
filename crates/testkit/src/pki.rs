//! The control plane's own keys and certificates.
//!
//! They are made for every start and never leave its directory. etcd has a CA of its own: it accepts every
//! client certificate of its CA, and the cluster's CA also signs certificates for requests that users make.

use crate::private_file;
use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    IsCa, KeyPair, KeyUsagePurpose,
};
use std::path::{Path, PathBuf};

/// A certificate and its private key, as PEM files.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeyedCertificate {
    /// The certificate.
    pub certificate: PathBuf,
    /// The private key, PKCS#8.
    pub key: PathBuf,
}

/// The files of a control plane's PKI.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Pki {
    /// The cluster's CA: trusted for the API server and for clients, and the signer of the built-in
    /// CertificateSigningRequest signers.
    pub ca: KeyedCertificate,
    /// The API server's serving certificate.
    pub api_server: KeyedCertificate,
    /// A client in `system:masters`.
    pub admin: KeyedCertificate,
    /// The controller manager's client certificate.
    pub controller_manager: KeyedCertificate,
    /// The CA of etcd and of its only client.
    pub etcd_ca: KeyedCertificate,
    /// etcd's serving and peer certificate.
    pub etcd: KeyedCertificate,
    /// The API server's client certificate for etcd.
    pub etcd_client: KeyedCertificate,
    /// Signs ServiceAccount tokens.
    pub service_account_key: PathBuf,
    /// Verifies ServiceAccount tokens.
    pub service_account_public_key: PathBuf,
}

impl Pki {
    /// The files of the PKI in `dir`, whether they exist or not.
    #[must_use]
    pub fn at(dir: &Path) -> Self {
        let pair = |name: &str| KeyedCertificate {
            certificate: dir.join(format!("{name}.crt")),
            key: dir.join(format!("{name}.key")),
        };
        Self {
            ca: pair("ca"),
            api_server: pair("api-server"),
            admin: pair("admin"),
            controller_manager: pair("controller-manager"),
            etcd_ca: pair("etcd-ca"),
            etcd: pair("etcd"),
            etcd_client: pair("etcd-client"),
            service_account_key: dir.join("service-account.key"),
            service_account_public_key: dir.join("service-account.pub"),
        }
    }

    /// Makes a new PKI in `dir`, which replaces an earlier one.
    pub fn create(dir: &Path) -> Result<Self> {
        let pki = Self::at(dir);
        pki.write().context("make the control plane's certificates")?;
        Ok(pki)
    }

    fn write(&self) -> Result<()> {
        let names = ["127.0.0.1", "localhost", "kubernetes", "kubernetes.default"];
        let service = ["kubernetes.default.svc", "kubernetes.default.svc.cluster.local", "10.0.0.1"];
        let addresses: Vec<&str> = names.into_iter().chain(service).collect();
        let local = ["127.0.0.1", "localhost"];

        let ca = authority("kubernetes", &self.ca)?;
        issue(
            &ca,
            &self.api_server,
            "kube-apiserver",
            None,
            &addresses,
            &[ExtendedKeyUsagePurpose::ServerAuth],
        )?;
        let client = [ExtendedKeyUsagePurpose::ClientAuth];
        issue(&ca, &self.admin, "kubernetes-admin", Some("system:masters"), &[], &client)?;
        let controller_manager = "system:kube-controller-manager";
        issue(&ca, &self.controller_manager, controller_manager, None, &[], &client)?;

        let etcd_ca = authority("etcd", &self.etcd_ca)?;
        // etcd also connects to itself as a client, with its serving certificate.
        let both = [ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        issue(&etcd_ca, &self.etcd, "etcd", None, &local, &both)?;
        issue(&etcd_ca, &self.etcd_client, "kube-apiserver", None, &[], &client)?;

        let key = KeyPair::generate()?;
        private_file::replace(&self.service_account_key, key.serialize_pem().as_bytes())?;
        private_file::replace(&self.service_account_public_key, key.public_key_pem().as_bytes())
    }
}

/// Makes a serving certificate for the loopback interface and its CA in `dir`; the certificate, and that of
/// the CA as base64 of PEM, which is how an API server takes it.
pub(crate) fn serving(dir: &Path, name: &str) -> Result<(KeyedCertificate, String)> {
    let pair = |name: String| KeyedCertificate {
        certificate: dir.join(format!("{name}.crt")),
        key: dir.join(format!("{name}.key")),
    };
    let ca = authority(name, &pair(format!("{name}-ca")))?;
    let files = pair(name.to_owned());
    issue(&ca, &files, name, None, &["127.0.0.1", "localhost"], &[ExtendedKeyUsagePurpose::ServerAuth])?;
    let bundle = k8s_openapi::ByteString(ca.pem().into_bytes());
    let bundle = serde_json::to_value(bundle)?;
    Ok((files, bundle.as_str().unwrap_or_default().to_owned()))
}

fn authority(name: &str, files: &KeyedCertificate) -> Result<CertifiedIssuer<'static, KeyPair>> {
    let mut params = parameters(name, None, &[])?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
    private_file::replace(&files.certificate, issuer.pem().as_bytes())?;
    private_file::replace(&files.key, issuer.key().serialize_pem().as_bytes())?;
    Ok(issuer)
}

fn issue(
    issuer: &CertifiedIssuer<'_, KeyPair>,
    files: &KeyedCertificate,
    common_name: &str,
    organization: Option<&str>,
    names: &[&str],
    usages: &[ExtendedKeyUsagePurpose],
) -> Result<()> {
    let mut params = parameters(common_name, organization, names)?;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = usages.to_vec();
    params.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, issuer)?;
    private_file::replace(&files.certificate, certificate.pem().as_bytes())?;
    private_file::replace(&files.key, key.serialize_pem().as_bytes())
}

/// The validity stays that of rcgen (1975 to 4096), because these keys are deleted with their directory.
fn parameters(common_name: &str, organization: Option<&str>, names: &[&str]) -> Result<CertificateParams> {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = DistinguishedName::new();
    if let Some(organization) = organization {
        params.distinguished_name.push(DnType::OrganizationName, organization);
    }
    params.distinguished_name.push(DnType::CommonName, common_name);
    Ok(params)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn private_keys_are_their_owners_alone() {
        let dir = tempfile::tempdir().unwrap();
        let pki = Pki::create(dir.path()).unwrap();
        let keys = [&pki.ca.key, &pki.admin.key, &pki.etcd_ca.key, &pki.service_account_key];
        for key in keys {
            let mode = std::fs::metadata(key).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{}", key.display());
        }
    }

    #[test]
    fn every_start_has_its_own_ca() {
        let dir = tempfile::tempdir().unwrap();
        let first = std::fs::read(Pki::create(dir.path()).unwrap().ca.certificate).unwrap();
        let second = std::fs::read(Pki::create(dir.path()).unwrap().ca.certificate).unwrap();
        assert_ne!(first, second);
    }
}
