//! The chain of a CA, as delivered (RFC 5280, section 6.1).

use super::certificate::CaCertificate;
use crate::validity::Validity;
use crate::{Error, name, san};

/// More certificates than any chain has in practice.
const MAX_CHAIN: usize = 8;

/// The issuing CA and the CAs above it.
#[derive(Clone, Debug)]
pub struct CaChain {
    issuing: CaCertificate,
    /// The CAs from the one that signed the issuing CA upwards.
    above: Vec<CaCertificate>,
    /// The self-signed certificate above the chain, if one was delivered and is not the issuing CA itself.
    root: Option<CaCertificate>,
    validity: Validity,
}

impl CaChain {
    /// Reads delivered certificates, DER: the issuing CA first, the rest in any order; at most 8, duplicates
    /// dropped. Each must be a CA certificate, valid at `now` (Unix seconds), signed by the next, and allowed
    /// by the path lengths and name constraints above it.
    pub fn from_delivered<C: AsRef<[u8]>>(certificates: &[C], now: i64) -> Result<Self, Error> {
        let certificates = Self::parse(certificates)?;
        for certificate in &certificates {
            certificate.check_validity(now)?;
        }
        Self::order(certificates)
    }

    /// Reads the certificates of a chain that was accepted before, DER. Everything that
    /// [`Self::from_delivered`] checks is checked except the validity, which was checked when the chain was
    /// accepted and is checked for every certificate that is issued.
    pub fn from_accepted<C: AsRef<[u8]>>(certificates: &[C]) -> Result<Self, Error> {
        Self::order(Self::parse(certificates)?)
    }

    fn parse<C: AsRef<[u8]>>(certificates: &[C]) -> Result<Vec<CaCertificate>, Error> {
        if certificates.len() > MAX_CHAIN {
            return Err(Error::ChainBroken("more than 8 certificates"));
        }
        let mut parsed: Vec<CaCertificate> = Vec::new();
        for certificate in certificates {
            let bytes = certificate.as_ref();
            if parsed.iter().all(|seen| seen.der != bytes) {
                parsed.push(CaCertificate::from_der(bytes)?);
            }
        }
        Ok(parsed)
    }

    /// Orders the certificates from the issuing CA upwards, and checks that they form a valid chain.
    fn order(mut rest: Vec<CaCertificate>) -> Result<Self, Error> {
        if rest.is_empty() {
            return Err(Error::CertificateMalformed("no certificate was given"));
        }
        let issuing = rest.remove(0);
        let mut above: Vec<CaCertificate> = Vec::new();
        loop {
            let top = above.last().unwrap_or(&issuing);
            let next = rest.iter().position(|next| next.subject == top.issuer);
            let Some(at) = next.filter(|_| !top.is_self_issued()) else { break };
            let next = rest.remove(at);
            top.check_signed_by(&next)?;
            above.push(next);
        }
        if !rest.is_empty() {
            return Err(Error::ChainBroken(
                "a certificate does not belong above the issuing CA; put the certificate of the issuing CA first",
            ));
        }
        check_path_lengths(&above)?;
        check_name_constraints(&issuing, &above)?;
        let validity = above.iter().fold(issuing.validity, |validity, certificate| Validity {
            not_before: validity.not_before.max(certificate.validity.not_before),
            not_after: validity.not_after.min(certificate.validity.not_after),
        });
        let top = above.last().unwrap_or(&issuing);
        if top.is_self_issued() {
            top.check_signed_by(top)?;
        }
        let root = above.pop_if(|top| top.is_self_issued());
        Ok(Self { issuing, above, root, validity })
    }

    /// The issuing CA.
    #[must_use]
    pub fn issuing(&self) -> &CaCertificate {
        &self.issuing
    }

    /// The issuing CA, then the intermediates. A self-signed certificate is included only if it is the
    /// issuing CA itself.
    pub fn chain(&self) -> impl Iterator<Item = &CaCertificate> {
        std::iter::once(&self.issuing).chain(&self.above)
    }

    /// Every certificate, including the self-signed root, as [`Self::from_delivered`] reads them.
    pub fn delivered(&self) -> impl Iterator<Item = &CaCertificate> {
        self.chain().chain(&self.root)
    }

    /// Whether the name constraints of every CA allow a certificate with this subject (DER `Name`) and these
    /// alternative names.
    pub(crate) fn allows_names(&self, subject: &[u8], names: &[san::Name<'_>]) -> bool {
        let mut constraints = self.delivered().filter_map(|ca| ca.constraints.as_ref());
        constraints.all(|constraints| constraints.allow(subject, names))
    }

    /// Whether a subject (DER `Name`) is the name of one of these CAs. A verifier that looks for a CA by its
    /// name would find it.
    pub(crate) fn has_name(&self, subject: &[u8]) -> bool {
        // A subject that cannot be read may be one.
        let Ok(subject) = name::rdns(subject) else { return true };
        self.delivered().any(|ca| ca.rdns == subject)
    }

    /// How many levels of CAs may exist below the issuing one, by the path lengths of all. `None` allows any
    /// number.
    pub(crate) fn room_below(&self) -> Option<u8> {
        let room = |(below, ca): (u8, &CaCertificate)| ca.path_length.map(|most| most.saturating_sub(below));
        (0u8..).zip(self.delivered()).filter_map(room).min()
    }

    /// Whether verifiers that trust both chains can find out which CA issued a certificate: by the CA's name
    /// or key identifier, or because the key is the same. If several CAs have the same name, the openssl
    /// command tries one of them, and no other if the signature does not fit.
    #[must_use]
    pub fn can_be_told_from(&self, other: &Self) -> bool {
        let differ = |one: &CaCertificate, two: &CaCertificate| {
            let ids = one.key_id.is_some() && two.key_id.is_some() && one.key_id != two.key_id;
            one.key == two.key || ids || one.rdns != two.rdns
        };
        differ(&self.issuing, &other.issuing) && differ(self.anchor(), other.anchor())
    }

    /// The trust anchor: the delivered self-signed certificate or, if there was none, the last of the chain.
    #[must_use]
    pub fn anchor(&self) -> &CaCertificate {
        self.root.as_ref().or(self.above.last()).unwrap_or(&self.issuing)
    }

    /// The latest start of any certificate of the chain, Unix seconds.
    #[must_use]
    pub fn not_before(&self) -> i64 {
        self.validity.not_before
    }

    /// The earliest end of any certificate of the chain, Unix seconds.
    #[must_use]
    pub fn not_after(&self) -> i64 {
        self.validity.not_after
    }

    /// Verifies a signature that was made with the issuing CA's key. This proves for every algorithm that a
    /// private key belongs to the certificate. Fails with `Signing`.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), Error> {
        self.issuing.key.verify(message, signature).map_err(|_| Error::Signing)
    }
}

fn check_path_lengths(above: &[CaCertificate]) -> Result<(), Error> {
    for (below, certificate) in (1usize..).zip(above) {
        if certificate.path_length.is_some_and(|allowed| usize::from(allowed) < below) {
            return Err(Error::ChainBroken("a path length does not allow the CAs below it"));
        }
    }
    Ok(())
}

/// RFC 5280, section 6.1.3 (b): a self-issued certificate may be anywhere in the chain.
fn check_name_constraints(issuing: &CaCertificate, above: &[CaCertificate]) -> Result<(), Error> {
    let all = std::iter::once(issuing).chain(above);
    for (depth, certificate) in above.iter().enumerate() {
        let Some(constraints) = &certificate.constraints else { continue };
        let mut lower = all.clone().take(depth.saturating_add(1)).filter(|lower| !lower.is_self_issued());
        if !lower.all(|lower| constraints.allow_ca(&lower.subject)) {
            return Err(Error::ChainBroken("a CA's name is outside the name constraints above it"));
        }
    }
    Ok(())
}
