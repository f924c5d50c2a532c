//! CAs that are generated in the enclave, and their renewal.

use super::Engine;
use super::checks::{check_clock, check_uid, parse_policy, serial};
use super::issuing_ca::{GENERATED, IssuingCa};
use super::refusals::{self, refuse};
use super::state::InstallError;
use crate::RELEASE_DATE;
use crate::keys::{CaSigner, KeyError};
use std::sync::Arc;
use tcs_enclave_rpc::{CaInfo, GenerateCa, Refusal, RefusalCode, RenewCa};
use tcs_x509::{CaChain, CaSubject, KeyAlgorithm, SelfSignedCa};

/// The algorithms of CA keys that can be generated.
const ALGORITHMS: [KeyAlgorithm; 4] =
    [KeyAlgorithm::P256, KeyAlgorithm::P384, KeyAlgorithm::Rsa { bits: 3072 }, KeyAlgorithm::Ed25519];

impl Engine {
    pub(super) fn generate_ca(&self, request: &GenerateCa) -> Result<CaInfo, Refusal> {
        check_uid(&request.issuer_uid)?;
        let now = check_clock(request.now)?;
        // Checked before the expensive work. Whether the CA is accepted is decided when it is installed.
        if self.state.ca(&request.issuer_uid).is_some() {
            return Err(refusals::not_installed(InstallError::Provisioned));
        }
        let policy = request.policy.as_ref().map(parse_policy).transpose()?;
        let depth = policy.as_ref().and_then(tcs_x509::Policy::ca_depth);
        if request.path_length.zip(depth).is_some_and(|(path_length, depth)| depth > path_length) {
            return Err(refuse(
                RefusalCode::PolicyMalformed,
                "the policy cannot be read: its caDepth is more than the path length of the CA allows",
            ));
        }
        let subject = CaSubject {
            common_name: &request.subject.common_name,
            organizations: &request.subject.organizations,
            organizational_units: &request.subject.organizational_units,
            countries: &request.subject.countries,
            localities: &request.subject.localities,
            provinces: &request.subject.provinces,
        };
        let subject = subject.to_der().map_err(refusals::x509)?;
        let key = self.generate_key(&request.key_algorithm)?;
        let chain = self_sign(&*key, &subject, request.path_length, request.lifetime, request.now)?;
        let ca = Arc::new(IssuingCa::new(key, chain, GENERATED, request.policy.clone())?);
        let installed = self.state.install_generated(&request.issuer_uid, Arc::clone(&ca), now);
        Ok(ca.info(installed.map_err(refusals::not_installed)?))
    }

    /// What was fixed when the CA was generated is also fixed for the next one. Only the owner of a delivered
    /// CA can make its next certificate.
    pub(super) fn renew_ca(&self, request: &RenewCa) -> Result<CaInfo, Refusal> {
        check_uid(&request.issuer_uid)?;
        let now = check_clock(request.now)?;
        let (current, generation) =
            self.state.current_ca(&request.issuer_uid).ok_or_else(refusals::not_provisioned)?;
        if !current.is_generated() {
            return Err(refuse(
                RefusalCode::NotGenerated,
                "the CA key was delivered, so only its owner can renew the certificate",
            ));
        }
        let key = match &request.new_key {
            Some(algorithm) => self.generate_key(algorithm)?,
            None => Arc::clone(&current.key),
        };
        let issuing = current.chain.issuing();
        let (subject, path_length) = (issuing.subject_raw(), issuing.path_length());
        let chain = self_sign(&*key, subject, path_length, request.lifetime, request.now)?;
        let ca = Arc::new(IssuingCa::new(key, chain, GENERATED, current.rules.clone())?);
        let replaced = self.state.replace(&request.issuer_uid, generation, Arc::clone(&ca), now);
        Ok(ca.info(replaced.map_err(refusals::not_installed)?))
    }

    fn generate_key(&self, name: &str) -> Result<Arc<dyn CaSigner>, Refusal> {
        let mut algorithms = ALGORITHMS.into_iter();
        let algorithm = algorithms.find(|algorithm| algorithm.to_string() == name);
        let generated = match algorithm {
            Some(algorithm) => {
                let keys = Arc::clone(&self.keys);
                let called = self.ca_keys.run(move || keys.generate_ca_key(algorithm));
                called.map_err(|error| {
                    refusals::slow_call(error, "the CA key", "if this lasts, check what holds the keys")
                })?
            }
            None => Err(KeyError::Unsupported),
        };
        generated.map_err(|error| match error {
            KeyError::Unsupported => refuse(
                RefusalCode::PrivateKeyUnsupported,
                "CA keys that are generated here are ECDSA-P256, ECDSA-P384, RSA-3072 or Ed25519",
            ),
            other => refusals::key(other),
        })
    }
}

fn self_sign(
    key: &dyn CaSigner,
    subject: &[u8],
    path_length: Option<u8>,
    lifetime: u64,
    now: i64,
) -> Result<CaChain, Refusal> {
    let certificate = SelfSignedCa {
        subject,
        spki: &key.spki().map_err(refusals::internal)?,
        lifetime,
        path_length,
        now,
        serial: serial()?,
        earliest: RELEASE_DATE,
    };
    certificate.sign(key).map_err(refusals::x509)
}
