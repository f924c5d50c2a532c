//! A CA whose key the enclave holds.

use super::checks::parse_policy;
use super::refusals::{self, refuse};
use crate::keys::{self, CaSigner};
use std::sync::Arc;
use tcs_enclave_rpc::{ByteVec, CaInfo, Refusal, RefusalCode};
use tcs_x509::{CaChain, Policy};

/// The value of [`CaInfo::key_format`] for a key that was generated in the enclave.
pub(super) const GENERATED: &str = "generated";

/// The issuing CA of an issuer.
pub(super) struct IssuingCa {
    /// Shared with the CA that replaces this one, if the key stays.
    pub(super) key: Arc<dyn CaSigner>,
    pub(super) chain: CaChain,
    /// The policy that was fixed when the CA was made, as the message contained it. It is sealed in this
    /// form.
    pub(super) rules: Option<tcs_enclave_rpc::Policy>,
    /// The same, parsed.
    pub(super) policy: Option<Policy>,
    /// Its `generation` is 0 until the CA is installed.
    info: CaInfo,
}

impl IssuingCa {
    /// Fails if the rules that were fixed cannot be parsed.
    pub(super) fn new(
        key: Arc<dyn CaSigner>,
        chain: CaChain,
        key_format: &str,
        rules: Option<tcs_enclave_rpc::Policy>,
    ) -> Result<Self, Refusal> {
        let policy = rules.as_ref().map(parse_policy).transpose()?;
        let issuing = chain.issuing();
        let info = CaInfo {
            fingerprint: issuing.fingerprint().to_vec().into(),
            not_before: chain.not_before(),
            not_after: chain.not_after(),
            key_algorithm: issuing.key_algorithm().to_string(),
            chain: chain.chain().map(|certificate| certificate.der().to_vec().into()).collect(),
            anchors: vec![chain.anchor().der().to_vec().into()],
            key_format: key_format.to_owned(),
            generation: 0,
        };
        Ok(Self { key, chain, rules, policy, info })
    }

    /// Whether its key was generated in the enclave.
    pub(super) fn is_generated(&self) -> bool {
        self.info.key_format == GENERATED
    }

    /// As [`CaInfo::key_format`].
    pub(super) fn key_format(&self) -> &str {
        &self.info.key_format
    }

    /// As [`CaInfo::fingerprint`].
    pub(super) fn fingerprint(&self) -> &ByteVec {
        &self.info.fingerprint
    }

    /// Its description for callers, with the generation of its key.
    pub(super) fn info(&self, generation: u64) -> CaInfo {
        CaInfo { generation, ..self.info.clone() }
    }
}

/// Checks that the key belongs to the certificate of the issuing CA. A signature over a challenge proves it
/// for every algorithm, whereas the public half that a private key names can be wrong.
pub(super) fn check_key_matches(key: &dyn CaSigner, chain: &CaChain) -> Result<(), Refusal> {
    let challenge: [u8; 32] = keys::random().map_err(refusals::internal)?;
    let signature = key.sign(&challenge).map_err(refusals::internal)?;
    chain
        .verify(&challenge, &signature)
        .map_err(|_| refuse(RefusalCode::KeyMismatch, "the private key does not belong to the certificate"))
}
