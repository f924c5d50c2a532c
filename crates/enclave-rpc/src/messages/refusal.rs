//! Refusals and their stable codes.

use core::fmt;
use minicbor::{Decode, Encode};

/// A refusal: a stable code and one sentence for people. Never carries secrets. Names from requests and
/// certificates are quoted: escaped, and at most 100 characters of each.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Refusal {
    /// Stable code.
    #[n(0)]
    pub code: RefusalCode,
    /// What happened and what to do, in one sentence.
    #[n(1)]
    pub message: String,
    /// Whether this closed the offer, or the offer was closed after its last refused delivery, so that the
    /// key must be wrapped for a new one. False if the field is absent.
    #[n(2)]
    #[cbor(default)]
    pub offer_ended: bool,
}

impl Refusal {
    /// A refusal with this code that does not end an offer.
    #[must_use]
    pub fn new(code: RefusalCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), offer_ended: false }
    }
}

macro_rules! refusal_codes {
    ($($(#[doc = $doc:literal])+ $n:literal $name:ident,)+) => {
        /// Why a request was refused. Names are stable: they appear in conditions, Events and metrics.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode)]
        #[cbor(index_only)]
        #[non_exhaustive]
        pub enum RefusalCode { $($(#[doc = $doc])+ #[n($n)] $name,)+ }

        impl RefusalCode {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The code as it appears in conditions, Events and metrics.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)+ }
            }
        }
    };
}

refusal_codes! {
    /// The frame or message could not be decoded, or a field has a wrong shape.
    0 MalformedMessage,
    /// The work queue is full; send the request again later.
    1 Busy,
    /// An error inside the enclave. The request changed nothing, except that a delivery may have cost an
    /// attempt.
    2 Internal,
    /// The enclave holds its maximum number of issuers.
    3 TooManyIssuers,
    /// The platform made no evidence.
    4 EvidenceUnavailable,
    /// The platform made no evidence, or the key provider no key, in time. Nothing was done yet; send the
    /// request again later.
    5 TimedOut,

    /// No offer with this id is open for the issuer.
    10 UnknownOffer,
    /// The offer was closed after its last refused delivery; request a new one.
    11 OfferExhausted,
    /// The issuer already holds a CA key.
    12 AlreadyProvisioned,
    /// The wrapped key has an impossible length.
    13 WrappedKeyLength,
    /// The wrapped key does not open with the key of this offer (one code for all faults of OAEP and KWP).
    14 WrappedKeyInvalid,
    /// The format in which the key was wrapped is not allowed for this issuer.
    15 WrapFormatForbidden,
    /// What was unwrapped is not an unencrypted PKCS#8 private key.
    16 PrivateKeyMalformed,
    /// The private key's algorithm or size is not supported.
    17 PrivateKeyUnsupported,
    /// The private key does not belong to the certificate.
    18 KeyMismatch,
    /// A delivered certificate cannot be parsed.
    19 CertificateMalformed,
    /// A delivered certificate is not a CA certificate.
    20 CertificateNotCa,
    /// The CA certificate (or one above it) has expired.
    21 CertificateExpired,
    /// The CA certificate is not valid yet.
    22 CertificateNotYetValid,
    /// The CA certificate's key or signature algorithm is not supported or too weak.
    23 CertificateUnsupported,
    /// The delivered certificates do not form a chain.
    24 ChainBroken,
    /// The platform cannot seal.
    25 NoSealing,
    /// A sealed CA key cannot be opened: it is damaged or has an unknown form.
    26 SealedBlobInvalid,
    /// A CA key was sealed for another issuer, on another machine or by another enclave.
    27 SealedBlobForeign,
    /// A sealed CA key is older than one that this process has held.
    28 SealedBlobOld,
    /// The CA was delivered, so only its owner can renew it.
    29 NotGenerated,

    /// The enclave holds no CA key for the issuer.
    40 NotProvisioned,
    /// The request cannot be parsed.
    41 RequestMalformed,
    /// The request's signature is wrong (proof of possession).
    42 RequestSignatureInvalid,
    /// The request's key or signature algorithm is not supported or too weak.
    43 RequestKeyUnsupported,
    /// A CA certificate was requested and may not be issued.
    44 RequestForCa,
    /// A usage is unknown.
    45 UsageUnknown,
    /// Certificate or CRL signing was requested, or a usage outside the extended key usages of the CA.
    46 UsageForbidden,
    /// A name in the request is reserved, empty, too long, not valid for its kind, or outside the name
    /// constraints of the CA.
    47 IdentityForbidden,
    /// The requested lifetime cannot be granted.
    48 LifetimeInvalid,
    /// The CA certificate has expired.
    49 CaExpired,
    /// The caller's clock is before the start of the CA's validity or the release of the enclave.
    50 ClockTooEarly,
    /// A rule of the issuer's policy does not allow the certificate; the message names the rule.
    51 PolicyRefused,
    /// The rules of a policy cannot be read.
    52 PolicyMalformed,
    /// Extensions of the PKCS#10 request contradict the Kubernetes object.
    53 ExtensionMismatch,
    /// The CA expires before the shortest lifetime that the request API allows.
    54 CaEndsSoon,
}

impl fmt::Display for RefusalCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
