//! What is published: the bundle of trust anchors and certificates. The openssl command checks them.

use std::path::PathBuf;
use std::process::Command;
use tcs_enclave_rpc::{ByteVec, Issued};

pub struct Leaf {
    /// The certificate with its intermediates, PEM.
    file: PathBuf,
    not_after: i64,
}

/// How strictly openssl verifies.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Verification {
    Default,
    /// With `-x509_strict`: the CA certificates are our own.
    Strict,
    /// With the intermediates that a server sends, which are not trusted.
    WithIntermediates,
}

pub struct Published {
    /// `ca.crt`.
    pub bundle: String,
    pub leaves: Vec<Leaf>,
    /// How many certificates were published.
    pub count: usize,
    dir: tempfile::TempDir,
    verification: Verification,
}

impl Published {
    pub fn new(verification: Verification) -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { bundle: String::new(), leaves: Vec::new(), count: 0, dir, verification }
    }

    /// The certificates of the bundle, PEM.
    pub fn anchors(&self) -> Vec<String> {
        self.bundle.split_inclusive("-----END CERTIFICATE-----\n").map(str::to_owned).collect()
    }

    pub fn add(&mut self, issued: &Issued) {
        let pem = |der: &ByteVec| {
            pem_rfc7468::encode_string("CERTIFICATE", pem_rfc7468::LineEnding::LF, der).unwrap()
        };
        let file = self.dir.path().join(format!("leaf-{}", self.count));
        std::fs::write(&file, issued.chain.iter().map(pem).collect::<String>()).unwrap();
        self.count += 1;
        self.leaves.push(Leaf { file, not_after: issued.not_after });
    }

    /// openssl, trusting the bundle, accepts every certificate that has not expired.
    pub fn check(&mut self, now: i64) {
        self.leaves.retain(|leaf| leaf.not_after >= now);
        let bundle = self.dir.path().join("bundle");
        std::fs::write(&bundle, &self.bundle).unwrap();
        let mut openssl = Command::new("openssl");
        openssl.args(["verify", "-purpose", "sslserver", "-attime", &now.to_string(), "-CAfile"]).arg(bundle);
        if self.verification == Verification::Strict {
            openssl.arg("-x509_strict");
        }
        if self.verification == Verification::WithIntermediates {
            for leaf in &self.leaves {
                openssl.arg("-untrusted").arg(&leaf.file);
            }
        }
        openssl.args(self.leaves.iter().map(|leaf| &leaf.file));
        let output = openssl.output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(self.leaves.is_empty() || output.status.success(), "at {now}: {text}\n{}", self.bundle);
    }
}
