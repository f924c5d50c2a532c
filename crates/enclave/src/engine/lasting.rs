//! CAs that last: made here, sealed, and taken back after a restart.

use super::state::NotTaken;
use super::{Ca, Engine, check_clock, check_pair, check_uid, refusals, refuse};
use crate::RELEASE_DATE;
use crate::keys::{CaKey, KeyKind};
use crate::sealing::{Contents, Fault, Sealer};
use std::sync::Arc;
use tcs_enclave_rpc::{CaInfo, GenerateCa, Refusal, RefusalCode, RenewCa, Restore, Seal, Sealed};
use tcs_x509::{CaChain, CaSubject, SelfSignedCa};

/// What [`CaInfo::key_format`] says of a key that was made here.
pub(super) const GENERATED: &str = "generated";

impl Engine {
    pub(super) fn generate_ca(&self, ask: &GenerateCa) -> Result<CaInfo, Refusal> {
        check_uid(&ask.issuer_uid)?;
        let now = check_clock(ask.now)?;
        // Before the dear work; what counts is decided when the CA is taken.
        if self.state.ca(&ask.issuer_uid).is_some() {
            return Err(not_taken(NotTaken::Provisioned));
        }
        let policy = ask.policy.as_ref().map(super::policy).transpose()?;
        let depth = policy.as_ref().and_then(tcs_x509::Policy::ca_depth);
        if ask.path_length.zip(depth).is_some_and(|(path_length, depth)| depth > path_length) {
            return Err(refuse(
                RefusalCode::PolicyMalformed,
                "the policy cannot be read: its CA depth is more than the CA's path length allows",
            ));
        }
        let subject = CaSubject {
            common_name: &ask.subject.common_name,
            organizations: &ask.subject.organizations,
            organizational_units: &ask.subject.organizational_units,
            countries: &ask.subject.countries,
            localities: &ask.subject.localities,
            provinces: &ask.subject.provinces,
        };
        let subject = subject.to_der().map_err(refusals::x509)?;
        let key = generate(&ask.key_algorithm)?;
        let chain = self_sign(&key, &subject, ask.path_length, ask.lifetime, ask.now)?;
        let ca = Arc::new(Ca::new(key, chain, GENERATED, ask.policy.clone())?);
        let generation = self.state.take(&ask.issuer_uid, Arc::clone(&ca), now).map_err(not_taken)?;
        Ok(ca.info_of(generation))
    }

    /// Whatever was fixed when the CA was made is fixed for the next one, too; a CA that was delivered is not ours to renew.
    pub(super) fn renew_ca(&self, ask: &RenewCa) -> Result<CaInfo, Refusal> {
        check_uid(&ask.issuer_uid)?;
        let now = check_clock(ask.now)?;
        let (present, generation) =
            self.state.ca_to_seal(&ask.issuer_uid).ok_or_else(refusals::not_provisioned)?;
        if !present.is_generated() {
            return Err(refuse(
                RefusalCode::NotGenerated,
                "the CA key was delivered: its next certificate is its owner's to make",
            ));
        }
        let key = match &ask.new_key {
            Some(algorithm) => generate(algorithm)?,
            None => Arc::clone(&present.key),
        };
        let issuing = present.chain.issuing();
        let chain = self_sign(&key, issuing.subject_raw(), issuing.path_length(), ask.lifetime, ask.now)?;
        let ca = Arc::new(Ca::new(key, chain, GENERATED, present.rules.clone())?);
        let generation = self.state.follow(&ask.issuer_uid, generation, Arc::clone(&ca), now);
        Ok(ca.info_of(generation.map_err(not_taken)?))
    }

    /// Offers are never sealed: what is not delivered yet can be asked for again.
    pub(super) fn seal_ca(&self, ask: &Seal) -> Result<Sealed, Refusal> {
        check_uid(&ask.issuer_uid)?;
        let sealer = self.sealer()?;
        let (ca, generation) =
            self.state.ca_to_seal(&ask.issuer_uid).ok_or_else(refusals::not_provisioned)?;
        let pkcs8 = ca.key.to_pkcs8().map_err(refusals::internal)?;
        let contents = Contents {
            pkcs8: &pkcs8,
            chain: ca.chain.delivered().map(tcs_x509::CaCertificate::der).collect(),
            key_format: &ca.info.key_format,
            rules: ca.rules.clone(),
        };
        let blob = sealer.seal(&ask.issuer_uid, generation, &contents).map_err(refusals::internal)?;
        Ok(Sealed { blob: blob.into(), generation })
    }

    /// Everything but the clock is checked as if it came for the first time: the blob says only who sealed it. The validity was checked
    /// when the CA was taken, and issuing checks it each time. So a CA that has ended comes back to be renewed, and a clock that is
    /// wrong for a moment keeps no key away.
    pub(super) fn restore_ca(&self, ask: &Restore) -> Result<CaInfo, Refusal> {
        check_uid(&ask.issuer_uid)?;
        let opened = self.sealer()?.open(&ask.issuer_uid, &ask.blob).map_err(not_opened)?;
        let contents = opened.contents().ok_or_else(|| not_opened(Fault::Invalid))?;
        let chain = CaChain::from_accepted(&contents.chain).map_err(refusals::x509)?;
        let key = CaKey::from_pkcs8(contents.pkcs8).map_err(refusals::key)?;
        check_pair(&key, &chain)?;
        let ca = Arc::new(Ca::new(Arc::new(key), chain, contents.key_format, contents.rules)?);
        let restored = self.state.restore(&ask.issuer_uid, Arc::clone(&ca), opened.generation);
        Ok(ca.info_of(restored.map_err(not_taken)?))
    }

    fn sealer(&self) -> Result<&Sealer, Refusal> {
        self.sealer.as_ref().ok_or_else(|| refuse(RefusalCode::NoSealing, "the platform cannot seal"))
    }
}

fn generate(algorithm: &str) -> Result<Arc<CaKey>, Refusal> {
    let kind = KeyKind::named(algorithm).ok_or_else(|| {
        refuse(
            RefusalCode::PrivateKeyUnsupported,
            "CA keys that are made here are ECDSA-P256, ECDSA-P384, RSA-3072 or Ed25519",
        )
    })?;
    CaKey::generate(kind).map(Arc::new).map_err(refusals::internal)
}

fn self_sign(
    key: &CaKey,
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
        serial: super::issuing::serial()?,
        earliest: RELEASE_DATE,
    };
    certificate.sign(key).map_err(refusals::x509)
}

fn not_taken(reason: NotTaken) -> Refusal {
    match reason {
        NotTaken::Provisioned => refuse(RefusalCode::AlreadyProvisioned, "the issuer holds a CA key"),
        NotTaken::Full => refuse(RefusalCode::TooManyIssuers, "the enclave holds as many issuers as it can"),
        // Another renewal was faster, or the issuer is gone: whoever asked looks again.
        NotTaken::Changed => refuse(RefusalCode::AlreadyProvisioned, "the issuer's CA has changed meanwhile"),
        NotTaken::Old => refuse(
            RefusalCode::SealedBlobOld,
            "the sealed CA key is older than one that the issuer had since; restore the newest",
        ),
    }
}

fn not_opened(fault: Fault) -> Refusal {
    match fault {
        Fault::Invalid => refuse(
            RefusalCode::SealedBlobInvalid,
            "the sealed CA key is damaged or of a form that this version does not know",
        ),
        Fault::OtherIssuer => refuse(RefusalCode::SealedBlobForeign, "the sealed CA key is another issuer's"),
        Fault::OtherMachine => {
            refuse(RefusalCode::SealedBlobForeign, "the CA key was sealed on another machine")
        }
        Fault::OtherEnclave => refuse(
            RefusalCode::SealedBlobForeign,
            "the CA key was sealed by another enclave; another version of it is one",
        ),
    }
}
