//! The chain of a CA, as delivered (RFC 5280, section 6.1).

use super::certificate::CaCertificate;
use super::label::Labelled;
use super::path;
use crate::validity::Validity;
use crate::{Error, Usage, name, san};

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
    /// Reads delivered certificates, DER: one of the issuing CA first, the rest in any order; at most 8,
    /// duplicates dropped. Each must be a CA certificate and above the issuing CA. The chain is a path among
    /// them (`docs/ca-certificates.md`, "Which chain is published") whose certificates are valid at `now`
    /// (Unix seconds), signed by the next, and allowed by the path lengths and name constraints above. The
    /// signature of the last one is not verified: it is the trust anchor.
    pub fn from_delivered<C: AsRef<[u8]>>(certificates: &[C], now: i64) -> Result<Self, Error> {
        Self::choose(certificates, Some(now))
    }

    /// Reads the certificates of a chain that was accepted before, DER. Everything that
    /// [`Self::from_delivered`] checks is checked except the validity, which was checked when the chain was
    /// accepted and is checked for every certificate that is issued.
    pub fn from_accepted<C: AsRef<[u8]>>(certificates: &[C]) -> Result<Self, Error> {
        Self::choose(certificates, None)
    }

    fn choose<C: AsRef<[u8]>>(certificates: &[C], now: Option<i64>) -> Result<Self, Error> {
        if certificates.len() > MAX_CHAIN {
            let why = format!("{} certificates were given, at most 8 are read", certificates.len());
            return Err(Error::ChainBroken(why.into()));
        }
        let mut parsed: Vec<Labelled> = Vec::new();
        for (position, bytes) in (1usize..).zip(certificates) {
            if parsed.iter().all(|seen| seen.certificate.der != bytes.as_ref()) {
                parsed.push(Labelled::parse(bytes.as_ref(), position)?);
            }
        }
        let mut path = path::choose(&parsed, now)?.into_iter();
        let Some(issuing) = path.next() else {
            return Err(Error::CertificateMalformed("no certificate was given".into()));
        };
        let mut above: Vec<CaCertificate> = path.collect();
        let validity = above.iter().fold(issuing.validity, |validity, certificate| Validity {
            not_before: validity.not_before.max(certificate.validity.not_before),
            not_after: validity.not_after.min(certificate.validity.not_after),
        });
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

    /// Fails with `UsageOutsideCa` if a certificate with these usages lies outside the extended key usages of
    /// the issuing CA or of one above it, except for the self-signed root. Certificates without extended key
    /// usages are allowed: openssl and Go accept them for the usages of the CA.
    pub(crate) fn check_usages(&self, usages: &[Usage]) -> Result<(), Error> {
        for ca in self.chain() {
            if let Some(usage) = ca.forbidden_usage(usages) {
                let why = format!(
                    "'{}' is not among the extended key usages of the CA certificate {}, so that verifiers refuse it",
                    usage.name(),
                    ca.subject_shown()
                );
                return Err(Error::UsageOutsideCa(why.into()));
            }
        }
        Ok(())
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
