//! Provisioning: from the offer to the CA key.

use super::Engine;
use super::checks::{check_clock, check_uid};
use super::issuing_ca::{IssuingCa, check_key_matches};
use super::refusals::{self, refuse};
use super::slow_calls::SlowCallError;
use super::state::{BeginOffer, Offer, OfferError, OfferReservation, OpenOffer};
use crate::keys::{self, KeyProvider, UnwrappedCaKey};
use crate::platform::TeePlatform;
use std::sync::Arc;
use tcs_enclave_rpc::{BeginProvisioning, CaInfo, CompleteProvisioning, Refusal, RefusalCode};
use tcs_keywrap::WrapFormat;
use tcs_x509::CaChain;

impl Engine {
    pub(super) fn begin_provisioning(
        &self,
        request: &BeginProvisioning,
    ) -> Result<tcs_enclave_rpc::Offer, Refusal> {
        check_uid(&request.issuer_uid)?;
        let nonce: [u8; 32] = request
            .nonce
            .as_slice()
            .try_into()
            .map_err(|_| refuse(RefusalCode::MalformedMessage, "the nonce must have 32 bytes"))?;
        self.check_deliverable(&request.issuer_uid)?;
        let patience = self.offers.limit();
        let open = match self.state.begin_offer(&request.issuer_uid, request.renewal, patience) {
            BeginOffer::Open(open) if open.offer.nonce == nonce => open,
            BeginOffer::Open(_) => {
                return Err(refuse(
                    RefusalCode::MalformedMessage,
                    "the issuer's open offer was made with another nonce",
                ));
            }
            BeginOffer::Provisioned => {
                return Err(refuse(RefusalCode::AlreadyProvisioned, "the issuer already has a CA key"));
            }
            BeginOffer::Full => {
                return Err(refuse(
                    RefusalCode::TooManyIssuers,
                    "the enclave already holds the maximum number of issuers",
                ));
            }
            BeginOffer::Overdue => return Err(late_offer(SlowCallError::TimedOut)),
            BeginOffer::Make(reservation) => self.make_offer(&request.issuer_uid, reservation, nonce)?,
        };
        Ok(show_offer(&open))
    }

    /// What was fixed for a generated CA also applies to the next one, so the next one must be generated,
    /// too.
    fn check_deliverable(&self, issuer: &str) -> Result<(), Refusal> {
        match self.state.ca(issuer) {
            Some(ca) if ca.is_generated() => Err(refuse(
                RefusalCode::AlreadyProvisioned,
                "the issuer already has a CA that was made in the enclave",
            )),
            _ => Ok(()),
        }
    }

    /// An offer that is made too late is kept for the next request.
    fn make_offer(
        &self,
        issuer: &str,
        reservation: OfferReservation<IssuingCa>,
        nonce: [u8; 32],
    ) -> Result<OpenOffer, Refusal> {
        let (keys, platform) = (Arc::clone(&self.keys), Arc::clone(&self.platform));
        let number = reservation.number();
        let made = self.offers.run(move || {
            let offer = new_offer(&*keys, &*platform, nonce)?;
            reservation.fulfil(offer).ok_or_else(|| {
                refuse(RefusalCode::UnknownOffer, "the issuer was destroyed while its offer was made")
            })
        });
        made.unwrap_or_else(|error| {
            self.state.set_overdue(issuer, number);
            Err(late_offer(error))
        })
    }

    /// What can be refused without the private key is refused first and not counted. Every refusal after the
    /// start of the unwrapping is counted.
    pub(super) fn complete_provisioning(&self, request: &CompleteProvisioning) -> Result<CaInfo, Refusal> {
        let uid = &request.issuer_uid;
        check_uid(uid)?;
        let formats = formats(&request.formats)?;
        let offer = self.state.offer(uid, &request.offer_id).map_err(no_offer)?;
        tcs_keywrap::check_length(&request.wrapped_key).map_err(refusals::keywrap)?;
        let now = check_clock(request.now)?;
        let delivered: Vec<&[u8]> = request.chain.iter().map(|der| der.as_slice()).collect();
        let chain = CaChain::from_delivered(&delivered, request.now).map_err(refusals::x509)?;
        self.check_deliverable(uid)?;
        check_next_ca(self.state.ca(uid).as_deref(), &chain)?;

        let left = self.state.count_attempt(uid, &offer).map_err(no_offer)?;
        let counted = |refusal: Refusal| self.counted(uid, &offer, left, &refusal);
        let key = unwrap_key(&offer, &request.wrapped_key, &formats, &chain).map_err(counted)?;
        let ca = Arc::new(IssuingCa::new(key.signer, chain, key.format.as_str(), None)?);
        let generation = self.state.install_delivered(uid, &offer, Arc::clone(&ca), now).map_err(no_offer)?;
        Ok(ca.info(generation))
    }

    /// A refusal after the start of the unwrapping. It says how many attempts are left, and closes the offer
    /// if none is left.
    fn counted(&self, issuer: &str, offer: &Offer, left: u32, refusal: &Refusal) -> Refusal {
        let note = if left == 0 {
            self.state.close_exhausted(issuer, offer);
            "that was the last attempt, the offer is closed: attest and wrap again".to_owned()
        } else {
            format!("{left} more attempts")
        };
        let message = format!("{}; {note}", refusal.message);
        Refusal { code: refusal.code, message, offer_ended: left == 0 }
    }
}

fn new_offer(keys: &dyn KeyProvider, platform: &dyn TeePlatform, nonce: [u8; 32]) -> Result<Offer, Refusal> {
    let key = keys.generate_quote_key().map_err(refusals::internal)?;
    let id = keys::random().map_err(refusals::internal)?;
    let report_data = tcs_evidence::report_data::ctk_v1(key.public(), &nonce);
    let evidence = platform
        .evidence(&report_data)
        .map_err(|error| refuse(RefusalCode::EvidenceUnavailable, &error.to_string()))?;
    Ok(Offer { id, nonce, key, evidence })
}

fn late_offer(error: SlowCallError) -> Refusal {
    refusals::slow_call(
        error,
        "the key and the evidence of the offer",
        "if this lasts, check what makes quotes on the node",
    )
}

fn show_offer(open: &OpenOffer) -> tcs_enclave_rpc::Offer {
    let offer = &open.offer;
    tcs_enclave_rpc::Offer {
        offer_id: offer.id.to_vec().into(),
        public_key: offer.key.public().der().to_vec().into(),
        evidence_kind: offer.evidence.kind().to_owned(),
        evidence: offer.evidence.bytes().to_vec().into(),
        attempts_left: open.attempts_left,
    }
}

/// Lets the key of the offer unwrap the delivered key, and checks that the result belongs to the certificate.
fn unwrap_key(
    offer: &Offer,
    wrapped: &[u8],
    formats: &[WrapFormat],
    chain: &CaChain,
) -> Result<UnwrappedCaKey, Refusal> {
    let key = offer.key.unwrap(wrapped, formats).map_err(refusals::key)?;
    check_key_matches(&*key.signer, chain)?;
    Ok(key)
}

/// Refuses the certificate of the current CA, and one that verifiers could not distinguish from it.
fn check_next_ca(current: Option<&IssuingCa>, next: &CaChain) -> Result<(), Refusal> {
    let Some(current) = current else { return Ok(()) };
    if next.issuing().der() == current.chain.issuing().der() {
        return Err(refuse(
            RefusalCode::CertificateUnsupported,
            "this is the certificate of the current CA; deliver that of the next one",
        ));
    }
    if !next.can_be_told_from(&current.chain) {
        return Err(refuse(
            RefusalCode::CertificateUnsupported,
            "the next CA certificate has the name of the current one, another key, and no subject key identifier to tell them \
             apart: verifiers that trust both could try the wrong one; make it with another name, or both with the identifier",
        ));
    }
    Ok(())
}

fn formats(names: &[String]) -> Result<Vec<WrapFormat>, Refusal> {
    if names.is_empty() {
        return Ok(WrapFormat::ALL.to_vec());
    }
    let unknown = |_| refuse(RefusalCode::MalformedMessage, "a wrap format is not known");
    names.iter().map(|name| name.parse().map_err(unknown)).collect()
}

fn no_offer(reason: OfferError) -> Refusal {
    match reason {
        OfferError::Unknown => refuse(RefusalCode::UnknownOffer, "the issuer has no such open offer"),
        OfferError::Exhausted => Refusal {
            offer_ended: true,
            ..refuse(
                RefusalCode::OfferExhausted,
                "the offer is closed after its last attempt: attest and wrap again",
            )
        },
        OfferError::Provisioned => refuse(RefusalCode::AlreadyProvisioned, "the issuer already has a CA key"),
    }
}
