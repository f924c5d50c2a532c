//! From the offer to the CA key.

use super::state::{Begin, NoOffer, Offer, OpenOffer};
use super::{Ca, Engine, refusals, refuse};
use crate::keys::{self, CaKey, QuoteKey};
use std::sync::Arc;
use tcs_enclave_rpc::{BeginProvisioning, CaInfo, CompleteProvisioning, Refusal, RefusalCode};
use tcs_keywrap::WrapFormat;
use tcs_x509::CaChain;

impl Engine {
    pub(super) fn begin_provisioning(
        &self,
        request: &BeginProvisioning,
    ) -> Result<tcs_enclave_rpc::Offer, Refusal> {
        super::check_uid(&request.issuer_uid)?;
        let nonce: [u8; 32] = request
            .nonce
            .as_slice()
            .try_into()
            .map_err(|_| refuse(RefusalCode::MalformedMessage, "the nonce must have 32 bytes"))?;
        self.check_deliverable(&request.issuer_uid)?;
        let open = match self.state.begin(&request.issuer_uid, request.renewal) {
            Begin::Open(open) if open.offer.nonce == nonce => open,
            Begin::Open(_) => {
                return Err(refuse(
                    RefusalCode::MalformedMessage,
                    "the issuer's open offer was made with another nonce",
                ));
            }
            Begin::Provisioned => {
                return Err(refuse(RefusalCode::AlreadyProvisioned, "the issuer holds a CA key"));
            }
            Begin::Full => {
                return Err(refuse(
                    RefusalCode::TooManyIssuers,
                    "the enclave holds as many issuers as it can",
                ));
            }
            Begin::Make(turn) => turn.finish(self.make_offer(nonce)?).ok_or_else(|| {
                refuse(RefusalCode::UnknownOffer, "the issuer was destroyed while its offer was made")
            })?,
        };
        Ok(show_offer(&open))
    }

    /// What was fixed for a CA that was made here holds for the one that follows: that is made here, too.
    fn check_deliverable(&self, issuer: &str) -> Result<(), Refusal> {
        match self.state.ca(issuer) {
            Some(ca) if ca.is_generated() => {
                Err(refuse(RefusalCode::AlreadyProvisioned, "the issuer holds a CA that was made here"))
            }
            _ => Ok(()),
        }
    }

    fn make_offer(&self, nonce: [u8; 32]) -> Result<Offer, Refusal> {
        let key = QuoteKey::generate().map_err(refusals::internal)?;
        let id = keys::random().map_err(refusals::internal)?;
        let report_data = tcs_evidence::report_data::ctk_v1(key.public(), &nonce);
        let evidence = self
            .platform
            .evidence(&report_data)
            .map_err(|error| refuse(RefusalCode::EvidenceUnavailable, &error.to_string()))?;
        Ok(Offer { id, nonce, key, evidence })
    }

    /// Faults that show without the private key come first and are not counted; whatever touches the wrap is.
    pub(super) fn complete_provisioning(&self, request: &CompleteProvisioning) -> Result<CaInfo, Refusal> {
        let uid = &request.issuer_uid;
        super::check_uid(uid)?;
        let formats = formats(&request.formats)?;
        let offer = self.state.offer(uid, &request.offer_id).map_err(no_offer)?;
        tcs_keywrap::check_length(&request.wrapped_key).map_err(refusals::keywrap)?;
        let now = super::check_clock(request.now)?;
        let delivered: Vec<&[u8]> = request.chain.iter().map(|der| der.as_slice()).collect();
        let chain = CaChain::from_delivered(&delivered, request.now).map_err(refusals::x509)?;
        self.check_deliverable(uid)?;
        let present = self.state.ca(uid);
        if present.as_ref().is_some_and(|present| chain.issuing().der() == present.chain.issuing().der()) {
            return Err(refuse(
                RefusalCode::CertificateUnsupported,
                "this is the certificate of the present CA; deliver the next one",
            ));
        }
        if present.is_some_and(|present| !chain.can_be_told_from(&present.chain)) {
            return Err(refuse(
                RefusalCode::CertificateUnsupported,
                "the next CA certificate has the name of the present one, another key, and no subject key identifier to tell them \
                 apart: verifiers that trust both could try the wrong one; make it with another name, or both with the identifier",
            ));
        }

        let left = self.state.attempt(uid, &offer).map_err(no_offer)?;
        let counted = |refusal: Refusal| self.counted(uid, &offer, left, &refusal);
        let (key, format) = open_key(&offer, &request.wrapped_key, &formats, &chain).map_err(counted)?;
        let ca = Arc::new(Ca::new(Arc::new(key), chain, format.as_str(), None)?);
        let generation = self.state.accept(uid, &offer, Arc::clone(&ca), now).map_err(no_offer)?;
        Ok(ca.info_of(generation))
    }

    /// A refusal after the wrap was touched: says what is left of the offer, and closes it when nothing is.
    fn counted(&self, issuer: &str, offer: &Offer, left: u32, refusal: &Refusal) -> Refusal {
        let note = if left == 0 {
            self.state.exhaust(issuer, offer);
            "that was the last attempt, the offer is closed: attest and wrap again".to_owned()
        } else {
            format!("{left} more attempts")
        };
        let message = format!("{}; {note}", refusal.message);
        Refusal { code: refusal.code, message, offer_ended: left == 0 }
    }
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

/// Opens the wrap and proves that the key in it is the certificate's. The PKCS#8 is wiped on every way out.
fn open_key(
    offer: &Offer,
    wrapped: &[u8],
    formats: &[WrapFormat],
    chain: &CaChain,
) -> Result<(CaKey, WrapFormat), Refusal> {
    let unwrapped = tcs_keywrap::unwrap(offer.key.private(), wrapped, formats).map_err(refusals::keywrap)?;
    let key = CaKey::from_pkcs8(&unwrapped.pkcs8).map_err(refusals::key)?;
    super::check_pair(&key, chain)?;
    Ok((key, unwrapped.format))
}

fn formats(names: &[String]) -> Result<Vec<WrapFormat>, Refusal> {
    if names.is_empty() {
        return Ok(WrapFormat::ALL.to_vec());
    }
    let unknown = |_| refuse(RefusalCode::MalformedMessage, "a wrap format is not known");
    names.iter().map(|name| name.parse().map_err(unknown)).collect()
}

fn no_offer(reason: NoOffer) -> Refusal {
    match reason {
        NoOffer::Unknown => refuse(RefusalCode::UnknownOffer, "the issuer has no such open offer"),
        NoOffer::Exhausted => Refusal {
            offer_ended: true,
            ..refuse(
                RefusalCode::OfferExhausted,
                "the offer is closed after its last attempt: attest and wrap again",
            )
        },
        NoOffer::Provisioned => refuse(RefusalCode::AlreadyProvisioned, "the issuer holds a CA key"),
    }
}
