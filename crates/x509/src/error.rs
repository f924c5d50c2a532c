use std::borrow::Cow;

/// Why something was refused. Names from the input are quoted in texts: escaped, and at most 100 characters
/// of each.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The request is not a PKCS#10 request in DER, or contradicts itself.
    #[error("the certificate request cannot be read: {0}")]
    RequestMalformed(&'static str),
    /// The request is not signed with its own key.
    #[error("the certificate request is not signed with the key that it contains")]
    RequestSignatureInvalid,
    /// The request's key or signature is too weak, or of an unsupported algorithm.
    #[error("the certificate request's key or signature is not supported: {0}")]
    RequestKeyUnsupported(&'static str),
    /// A CA certificate is requested, in the PKCS#10 request or outside of it, and may not be issued.
    #[error("a CA certificate is requested: {0}")]
    RequestForCa(&'static str),
    /// A name of a usage is not one that Kubernetes knows.
    #[error("a usage is unknown")]
    UsageUnknown,
    /// Certificate or CRL signing was requested.
    #[error("'cert sign' and 'crl sign' are for CA certificates only; request the certificate without them")]
    UsageForbidden,
    /// A usage is requested that the extended key usages of the CA, or of one above it, do not contain.
    #[error("the CA may not issue certificates with this usage: {0}")]
    UsageOutsideCa(Cow<'static, str>),
    /// The key usages or basic constraints in the PKCS#10 request contradict the Kubernetes object.
    #[error("the key usages or basic constraints in the request contradict its spec")]
    ExtensionMismatch,
    /// A name is empty, reserved or not acceptable.
    #[error("the requested identity is refused: {0}")]
    IdentityForbidden(Cow<'static, str>),
    /// The rules of a policy cannot be read.
    #[error("the policy cannot be read: {0}")]
    PolicyMalformed(&'static str),
    /// A rule of a policy does not allow it.
    #[error("the policy of the issuer does not allow this certificate (rule: {0})")]
    PolicyRefused(&'static str),
    /// The requested lifetime cannot be granted.
    #[error("the requested lifetime is too short; the minimum is 600 seconds, or one hour for pods")]
    LifetimeInvalid,
    /// The lifetime of a self-signed CA would be too short or too long.
    #[error("the lifetime of a CA must be one hour to 20 years, and its end not beyond the year 9999")]
    CaLifetimeInvalid,
    /// The CA's validity has ended.
    #[error("the CA certificate has expired")]
    CaExpired,
    /// The CA's validity ends before the shortest lifetime of the profile.
    #[error("the CA certificate expires before the shortest allowed lifetime would end")]
    CaEndsSoon,
    /// The clock is before the start of the CA or before this release.
    #[error("the clock is before the start of the CA certificate or before this release")]
    ClockTooEarly,
    /// A CA certificate cannot be read.
    #[error("a CA certificate cannot be read: {0}")]
    CertificateMalformed(Cow<'static, str>),
    /// The certificate is not a CA certificate.
    #[error("the certificate is not a CA certificate: {0}")]
    CertificateNotCa(Cow<'static, str>),
    /// A CA certificate has expired.
    #[error("a CA certificate has expired: {0}")]
    CertificateExpired(Cow<'static, str>),
    /// A CA certificate is not valid yet.
    #[error("a CA certificate is not valid yet: {0}")]
    CertificateNotYetValid(Cow<'static, str>),
    /// A CA certificate contains something that is not supported.
    #[error("a CA certificate is not supported: {0}")]
    CertificateUnsupported(Cow<'static, str>),
    /// The certificates do not form a chain.
    #[error("the CA certificates do not form a chain: {0}")]
    ChainBroken(Cow<'static, str>),
    /// The certificate that would be signed is not what was requested and allowed, or what was signed is not
    /// what was checked.
    #[error("the certificate would not be what was requested and allowed: {0}")]
    CheckFailed(&'static str),
    /// The signer failed.
    #[error("the certificate could not be signed")]
    Signing,
    /// A value cannot be encoded.
    #[error("a value cannot be encoded")]
    Encoding,
}

impl Error {
    /// Stable code.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::RequestMalformed(_) => "RequestMalformed",
            Self::RequestSignatureInvalid => "RequestSignatureInvalid",
            Self::RequestKeyUnsupported(_) => "RequestKeyUnsupported",
            Self::RequestForCa(_) => "RequestForCa",
            Self::UsageUnknown => "UsageUnknown",
            Self::UsageForbidden | Self::UsageOutsideCa(_) => "UsageForbidden",
            Self::ExtensionMismatch => "ExtensionMismatch",
            Self::IdentityForbidden(_) => "IdentityForbidden",
            Self::PolicyMalformed(_) => "PolicyMalformed",
            Self::PolicyRefused(_) => "PolicyRefused",
            Self::LifetimeInvalid | Self::CaLifetimeInvalid => "LifetimeInvalid",
            Self::CaExpired => "CaExpired",
            Self::CaEndsSoon => "CaEndsSoon",
            Self::ClockTooEarly => "ClockTooEarly",
            Self::CertificateMalformed(_) => "CertificateMalformed",
            Self::CertificateNotCa(_) => "CertificateNotCa",
            Self::CertificateExpired(_) => "CertificateExpired",
            Self::CertificateNotYetValid(_) => "CertificateNotYetValid",
            Self::CertificateUnsupported(_) => "CertificateUnsupported",
            Self::ChainBroken(_) => "ChainBroken",
            Self::CheckFailed(_) => "CheckFailed",
            Self::Signing => "Signing",
            Self::Encoding => "Encoding",
        }
    }
}

/// Fails with `CheckFailed` if a certificate that would be signed is not what it should be.
pub(crate) fn ensure(good: bool, why: &'static str) -> Result<(), Error> {
    if good { Ok(()) } else { Err(Error::CheckFailed(why)) }
}

/// DER that is read with a plain `?` is that of a request. Readers of certificates map the error themselves.
impl From<der::Error> for Error {
    fn from(_: der::Error) -> Self {
        Self::RequestMalformed("it is not DER")
    }
}
