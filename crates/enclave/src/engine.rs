//! Answers requests: state, provisioning and issuing.

mod issuing;
mod lasting;
mod provisioning;
mod refusals;
mod state;

use crate::keys::{self, CaKey};
use crate::platform::TeePlatform;
use crate::sealing::Sealer;
use crate::{Error, RELEASE_DATE, VERSION};
use state::State;
use std::sync::Arc;
use tcs_enclave_rpc::{
    CaInfo, Handler, Health, HealthReport, Identity, IssuerState, MAX_ISSUER_UID, Refusal, RefusalCode,
    Request, Response, Texts,
};
use tcs_x509::{CaChain, Policy, PolicyRules, Signer as _};

/// The enclave's engine. Nothing of it survives the process.
pub struct Engine {
    platform: Box<dyn TeePlatform>,
    boot_id: [u8; 16],
    sealer: Option<Sealer>,
    state: State<Ca>,
}

impl Engine {
    /// An engine that holds nothing yet.
    ///
    /// Fails if the system gives no random numbers, or the platform not the sealing key that it has.
    pub fn new(platform: Box<dyn TeePlatform>) -> Result<Self, Error> {
        let sealer = platform.sealing_key()?.map(Sealer::new).transpose()?;
        Ok(Self { platform, boot_id: keys::random()?, sealer, state: State::new() })
    }

    fn answer(&self, request: &Request) -> Result<Response, Refusal> {
        match request {
            Request::Identity => Ok(Response::Identity(self.identity())),
            Request::BeginProvisioning(begin) => self.begin_provisioning(begin).map(Response::Offer),
            Request::CompleteProvisioning(complete) => {
                self.complete_provisioning(complete).map(Response::Provisioned)
            }
            Request::Issue(issue) => self.issue_leaf(issue).map(Response::Issued),
            Request::Destroy(destroy) => {
                check_uid(&destroy.issuer_uid)?;
                self.state.destroy(&destroy.issuer_uid);
                Ok(Response::Destroyed)
            }
            Request::Health(health) => self.report_health(health).map(Response::Health),
            Request::GenerateCa(generate) => self.generate_ca(generate).map(Response::Provisioned),
            Request::Seal(seal) => self.seal_ca(seal).map(Response::Sealed),
            Request::Restore(restore) => self.restore_ca(restore).map(Response::Provisioned),
            Request::RenewCa(renew) => self.renew_ca(renew).map(Response::Provisioned),
            _ => Err(refuse(RefusalCode::MalformedMessage, "this version does not know the request")),
        }
    }

    fn identity(&self) -> Identity {
        let simulated = self.platform.is_simulated();
        Identity {
            boot_id: self.boot_id.to_vec().into(),
            version: VERSION.to_owned(),
            platform: self.platform.name().to_owned(),
            simulated,
            evidence_kind: self.platform.evidence_kind().to_owned(),
            assurance: if simulated { "simulated" } else { "enclave" }.to_owned(),
            sealing: self.sealer.is_some(),
        }
    }

    fn report_health(&self, request: &Health) -> Result<HealthReport, Refusal> {
        let only = request.issuer_uid.as_deref();
        if let Some(uid) = only {
            check_uid(uid)?;
        }
        let mut issuers = Vec::new();
        self.state.visit(only, |uid, held| {
            issuers.push(IssuerState {
                issuer_uid: uid.to_owned(),
                offer_id: held.offer.as_ref().map(|open| open.offer.id.to_vec().into()),
                ca_fingerprint: held.ca.as_ref().map(|ca| ca.info.fingerprint.clone()),
                ca: held.ca.as_ref().filter(|_| only.is_some()).map(|ca| ca.info_of(held.generation)),
            });
        });
        Ok(HealthReport { boot_id: self.boot_id.to_vec().into(), issuers })
    }
}

impl Handler for Engine {
    fn handle(&self, request: Request) -> Response {
        self.answer(&request).unwrap_or_else(Response::Refused)
    }
}

/// A CA whose key is held.
struct Ca {
    /// Shared with the certificate that follows this one, if the key stays.
    key: Arc<CaKey>,
    chain: CaChain,
    info: CaInfo,
    /// What was fixed when it was made, as it came and as it is judged by.
    rules: Option<tcs_enclave_rpc::Policy>,
    policy: Option<Policy>,
}

impl Ca {
    /// Fails if the rules that were fixed cannot be read.
    fn new(
        key: Arc<CaKey>,
        chain: CaChain,
        key_format: &str,
        rules: Option<tcs_enclave_rpc::Policy>,
    ) -> Result<Self, Refusal> {
        let policy = rules.as_ref().map(policy).transpose()?;
        let issuing = chain.issuing();
        let info = CaInfo {
            fingerprint: issuing.fingerprint().to_vec().into(),
            not_before: chain.not_before(),
            not_after: chain.not_after(),
            key_algorithm: issuing.key_algorithm(),
            chain: chain.chain().map(|certificate| certificate.der().to_vec().into()).collect(),
            anchors: vec![chain.anchor().der().to_vec().into()],
            key_format: key_format.to_owned(),
            generation: 0,
        };
        Ok(Self { key, chain, info, rules, policy })
    }

    /// Whether its key was made here.
    fn is_generated(&self) -> bool {
        self.info.key_format == lasting::GENERATED
    }

    /// What is told of it, with the generation that its key got.
    fn info_of(&self, generation: u64) -> CaInfo {
        CaInfo { generation, ..self.info.clone() }
    }
}

/// Reads rules as they came.
fn policy(rules: &tcs_enclave_rpc::Policy) -> Result<Policy, Refusal> {
    fn list(texts: Option<&Texts>) -> Option<&[String]> {
        texts.map(|Texts(all)| all.as_slice())
    }
    let rules = PolicyRules {
        dns_names: list(rules.dns_names.as_ref()),
        uris: list(rules.uris.as_ref()),
        ip_ranges: list(rules.ip_ranges.as_ref()),
        email_addresses: list(rules.email_addresses.as_ref()),
        common_names: list(rules.common_names.as_ref()),
        organizations: list(rules.organizations.as_ref()),
        organizational_units: list(rules.organizational_units.as_ref()),
        usages: list(rules.usages.as_ref()),
        key_algorithms: list(rules.key_algorithms.as_ref()),
        max_lifetime: rules.max_lifetime,
        ca_depth: rules.ca_depth,
    };
    Policy::new(&rules).map_err(refusals::x509)
}

/// The only proof of "same key" that holds for every algorithm (crypto reference, 2.5).
fn check_pair(key: &CaKey, chain: &CaChain) -> Result<(), Refusal> {
    let challenge: [u8; 32] = keys::random().map_err(refusals::internal)?;
    let signature = key.sign(&challenge).map_err(refusals::internal)?;
    chain
        .verify(&challenge, &signature)
        .map_err(|_| refuse(RefusalCode::KeyMismatch, "the private key does not belong to the certificate"))
}

/// Time comes from the untrusted side; before its own release this program cannot run.
fn check_clock(now: i64) -> Result<u64, Refusal> {
    if now < RELEASE_DATE {
        return Err(refuse(RefusalCode::ClockTooEarly, "the clock lies before the release of this program"));
    }
    u64::try_from(now).map_err(refusals::internal)
}

fn refuse(code: RefusalCode, message: &str) -> Refusal {
    Refusal::new(code, message)
}

/// Any text would do as a key; this keeps what cannot be a UID out of logs and maps.
fn check_uid(uid: &str) -> Result<(), Refusal> {
    let graphic = uid.bytes().all(|byte| byte.is_ascii_graphic());
    if graphic && (1..=MAX_ISSUER_UID).contains(&uid.len()) {
        Ok(())
    } else {
        Err(refuse(
            RefusalCode::MalformedMessage,
            "the issuer's UID must be 1 to 64 printable ASCII characters",
        ))
    }
}

#[cfg(test)]
mod tests;
