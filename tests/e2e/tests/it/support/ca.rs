//! CAs of the key owner.

use crate::support::encoding::encode;
use crate::support::openssl::P256;
use crate::support::test_cluster::TestCluster;
use rcgen::{BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, KeyPair, KeyUsagePurpose};
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use tcs_testkit::process::run;

/// A CA of the key owner: files with the private key and with the certificate or chain, both PEM.
pub struct Ca {
    pub key: PathBuf,
    pub certificate: PathBuf,
}

impl Ca {
    /// A CA with a P-256 key.
    pub fn p256(cluster: &TestCluster) -> Self {
        Self::with(cluster, &P256, &[])
    }

    /// Makes a self-signed certificate with `openssl req -x509`, as the walk-through does. `key` are the
    /// options for the key, `options` others.
    pub fn with(cluster: &TestCluster, key: &[&str], options: &[&str]) -> Self {
        let ca = Self::in_new_folder(cluster);
        let mut openssl = Command::new("openssl");
        openssl.args(["req", "-x509", "-nodes", "-sha256", "-subj", "/CN=SGX.intel.com", "-days", "365"]);
        openssl.args(key).arg("-keyout").arg(&ca.key).arg("-out").arg(&ca.certificate);
        run(openssl.args(options)).unwrap();
        ca
    }

    /// A CA with this private key and this certificate or chain, both PEM.
    pub fn of_pem(cluster: &TestCluster, key: &str, certificate: &str) -> Self {
        let ca = Self::in_new_folder(cluster);
        fs::write(&ca.key, key).unwrap();
        fs::write(&ca.certificate, certificate).unwrap();
        ca
    }

    /// A CA below another one, which is below a self-signed root. Its certificates in this order, PEM.
    pub fn below_two(cluster: &TestCluster) -> (Self, [rcgen::Certificate; 3]) {
        let keys = [(); 3].map(|()| KeyPair::generate().unwrap());
        let root = parameters("root").self_signed(&keys[0]).unwrap();
        let above = rcgen::Issuer::new(parameters("root"), &keys[0]);
        let middle = parameters("middle").signed_by(&keys[1], &above).unwrap();
        let above = rcgen::Issuer::new(parameters("middle"), &keys[1]);
        let issuing = parameters("issuing").signed_by(&keys[2], &above).unwrap();
        let chain = [issuing, middle, root];
        let pem = chain.each_ref().map(rcgen::Certificate::pem).concat();
        (Self::of_pem(cluster, &keys[2].serialize_pem(), &pem), chain)
    }

    /// What `base64 -w 0` prints of the certificate: `tls.crt` of a delivery.
    pub fn certificate_text(&self) -> String {
        encode(&fs::read(&self.certificate).unwrap())
    }

    fn in_new_folder(cluster: &TestCluster) -> Self {
        let folder = cluster.new_folder("ca");
        Self { key: folder.join("ca-private.pem"), certificate: folder.join("ca-cert.pem") }
    }
}

fn parameters(name: &str) -> CertificateParams {
    let mut parameters = CertificateParams::new(Vec::new()).unwrap();
    parameters.distinguished_name = DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, name);
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.use_authority_key_identifier_extension = true;
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    parameters
}
