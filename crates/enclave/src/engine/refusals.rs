//! Maps the errors of the modules and crates below to refusals.

use super::slow_calls::{MAX_RUNNING, SlowCallError};
use super::state::InstallError;
use crate::keys::KeyError;
use crate::sealing::SealError;
use std::fmt::Display;
use tcs_enclave_rpc::{Refusal, RefusalCode};

pub(super) fn refuse(code: RefusalCode, message: &str) -> Refusal {
    Refusal::new(code, message)
}

/// An error that no input should cause. Its text is written only to the log of this process.
pub(super) fn internal(error: impl Display) -> Refusal {
    crate::log(format_args!("internal fault: {error}"));
    refuse(RefusalCode::Internal, "a fault inside the enclave")
}

/// There is no result of a call that makes `what`. `advice` says what to do if that does not pass.
pub(super) fn slow_call(error: SlowCallError, what: &str, advice: &str) -> Refusal {
    match error {
        SlowCallError::TimedOut => refuse(
            RefusalCode::TimedOut,
            &format!("{what} could not be made in time; send the request again later, and {advice}"),
        ),
        SlowCallError::Busy => refuse(
            RefusalCode::Busy,
            &format!(
                "{what} cannot be made while {MAX_RUNNING} earlier requests are unfinished; send the request again \
                 later, and {advice}"
            ),
        ),
        SlowCallError::Panicked => internal(format_args!("a panic while making {what}")),
    }
}

pub(super) fn not_provisioned() -> Refusal {
    refuse(RefusalCode::NotProvisioned, "the enclave holds no CA key for the issuer")
}

pub(super) fn x509(error: tcs_x509::Error) -> Refusal {
    use tcs_x509::Error;
    let code = match error {
        Error::RequestMalformed(_) => RefusalCode::RequestMalformed,
        Error::RequestSignatureInvalid => RefusalCode::RequestSignatureInvalid,
        Error::RequestKeyUnsupported(_) => RefusalCode::RequestKeyUnsupported,
        Error::RequestForCa(_) => RefusalCode::RequestForCa,
        Error::UsageUnknown => RefusalCode::UsageUnknown,
        Error::UsageForbidden | Error::UsageOutsideCa(_) => RefusalCode::UsageForbidden,
        Error::IdentityForbidden(_) => RefusalCode::IdentityForbidden,
        Error::LifetimeInvalid | Error::CaLifetimeInvalid => RefusalCode::LifetimeInvalid,
        Error::PolicyRefused(_) => RefusalCode::PolicyRefused,
        Error::PolicyMalformed(_) => RefusalCode::PolicyMalformed,
        Error::ExtensionMismatch => RefusalCode::ExtensionMismatch,
        Error::CaExpired => RefusalCode::CaExpired,
        Error::CaEndsSoon => RefusalCode::CaEndsSoon,
        Error::ClockTooEarly => RefusalCode::ClockTooEarly,
        Error::CertificateMalformed(_) => RefusalCode::CertificateMalformed,
        Error::CertificateNotCa(_) => RefusalCode::CertificateNotCa,
        Error::CertificateExpired(_) => RefusalCode::CertificateExpired,
        Error::CertificateNotYetValid(_) => RefusalCode::CertificateNotYetValid,
        Error::CertificateUnsupported(_) => RefusalCode::CertificateUnsupported,
        Error::ChainBroken(_) => RefusalCode::ChainBroken,
        // `CheckFailed`, `Signing` and `Encoding` mean a fault in the enclave. New variants are internal
        // until they have a code of their own.
        _ => return internal(error),
    };
    refuse(code, &error.to_string())
}

pub(super) fn keywrap(error: tcs_keywrap::Error) -> Refusal {
    use tcs_keywrap::Error;
    let code = match error {
        Error::WrappedKeyLength { .. } => RefusalCode::WrappedKeyLength,
        Error::WrappedKeyInvalid => RefusalCode::WrappedKeyInvalid,
        Error::WrapFormatForbidden { .. } => RefusalCode::WrapFormatForbidden,
        Error::PrivateKeyMalformed { .. } => RefusalCode::PrivateKeyMalformed,
        Error::PrivateKeyUnsupported { .. } => RefusalCode::PrivateKeyUnsupported,
        // The other errors concern the public key and the names of formats, and unwrapping does not cause
        // them.
        _ => return internal(error),
    };
    refuse(code, &error.to_string())
}

pub(super) fn key(error: KeyError) -> Refusal {
    match error {
        KeyError::Unwrap(error) => keywrap(error),
        KeyError::Malformed => refuse(RefusalCode::PrivateKeyMalformed, "the private key is damaged"),
        KeyError::Unsupported => refuse(
            RefusalCode::PrivateKeyUnsupported,
            "the private key is not RSA of 2048 to 8192 bits, P-256, P-384, P-521 or Ed25519",
        ),
        KeyError::Provider(error) => internal(error),
    }
}

pub(super) fn not_installed(error: InstallError) -> Refusal {
    match error {
        InstallError::Provisioned => {
            refuse(RefusalCode::AlreadyProvisioned, "the issuer already has a CA key")
        }
        InstallError::Full => {
            refuse(RefusalCode::TooManyIssuers, "the enclave already holds the maximum number of issuers")
        }
        // Another renewal was faster, or the issuer was destroyed. The caller has to look again.
        InstallError::Changed => {
            refuse(RefusalCode::AlreadyProvisioned, "the issuer's CA has changed meanwhile")
        }
        InstallError::Old => refuse(
            RefusalCode::SealedBlobOld,
            "the issuer has had a newer CA key since; restore the newest one",
        ),
    }
}

pub(super) fn not_opened(error: SealError) -> Refusal {
    match error {
        SealError::Invalid => refuse(
            RefusalCode::SealedBlobInvalid,
            "the sealed CA key is damaged, or has a form that this version does not know",
        ),
        SealError::OtherIssuer => {
            refuse(RefusalCode::SealedBlobForeign, "the sealed CA key belongs to another issuer")
        }
        SealError::OtherMachine => {
            refuse(RefusalCode::SealedBlobForeign, "the CA key was sealed on another machine")
        }
        SealError::OtherEnclave => refuse(
            RefusalCode::SealedBlobForeign,
            "the CA key was sealed by another enclave; each version of the program is a different enclave",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names of the codes are the same on both sides, so that the documentation needs one table.
    #[test]
    fn codes_keep_their_names() {
        use tcs_keywrap::Error as K;
        use tcs_x509::Error as X;
        for error in [
            X::RequestMalformed(""),
            X::RequestSignatureInvalid,
            X::RequestKeyUnsupported(""),
            X::RequestForCa("x"),
            X::UsageUnknown,
            X::UsageForbidden,
            X::UsageOutsideCa("".into()),
            X::IdentityForbidden("".into()),
            X::LifetimeInvalid,
            X::ExtensionMismatch,
            X::CaExpired,
            X::CaEndsSoon,
            X::ClockTooEarly,
            X::CertificateMalformed("".into()),
            X::CertificateNotCa("".into()),
            X::CertificateExpired("".into()),
            X::CertificateNotYetValid("".into()),
            X::CertificateUnsupported("".into()),
            X::ChainBroken("".into()),
        ] {
            assert_eq!(x509(error.clone()).code.as_str(), error.code());
        }
        for error in [X::CheckFailed("detail"), X::Signing, X::Encoding] {
            assert_eq!(
                (x509(error.clone()).code, x509(error).message.contains("detail")),
                (RefusalCode::Internal, false)
            );
        }
        for error in [
            K::WrappedKeyLength { len: 0 },
            K::WrappedKeyInvalid,
            K::WrapFormatForbidden { format: tcs_keywrap::WrapFormat::KmraV1 },
            K::PrivateKeyMalformed { found: "" },
            K::PrivateKeyUnsupported { what: "" },
        ] {
            assert_eq!(keywrap(error.clone()).code.as_str(), error.code());
        }
        assert_eq!(keywrap(K::Internal).code, RefusalCode::Internal);
    }
}
