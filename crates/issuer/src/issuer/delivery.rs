//! Reads a delivery: a Secret with base64 text in `tls.key` and `tls.crt` (`docs/protocol.md`, "Delivery
//! Secret"). Pure.

use crate::base64_text;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use tcs_api::reasons;

/// Maximum length of the decoded wrapped key, in bytes. An RSA-8192 key needs about 6 KiB.
const MAX_WRAPPED_KEY: usize = 16 * 1024;
/// Maximum length of the decoded `tls.crt`, in bytes.
const MAX_CERTIFICATES: usize = 256 * 1024;
/// Maximum number of certificates. The enclave has the same limit.
const MAX_CHAIN: usize = 8;

/// A delivery whose encoding was read. The enclave checks its content.
#[derive(Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The wrapped key (`docs/protocol.md`, "Wrapped keys").
    pub wrapped_key: Vec<u8>,
    /// The certificates of `tls.crt` as DER, in the same order.
    pub chain: Vec<Vec<u8>>,
}

/// Why the encoding of a delivery cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeliveryError {
    /// `tls.key` is missing or empty.
    #[error("the Secret has no `tls.key`; it must contain the line that km-wrap printed")]
    MissingKey,
    /// `tls.key` is not base64 text.
    #[error("`tls.key` is not base64 text; it must contain exactly the line that km-wrap printed")]
    CorruptKey,
    /// `tls.crt` is missing or empty.
    #[error("the Secret has no `tls.crt`; it must contain the CA certificate as base64 text of PEM")]
    MissingCertificate,
    /// `tls.crt` is not base64 text.
    #[error("`tls.crt` is not base64 text of PEM certificates (base64 -w 0 < ca-cert.pem)")]
    CorruptCertificate,
    /// The text in `tls.crt` is not PEM certificates.
    #[error("`tls.crt` is not base64 text of PEM certificates (base64 -w 0 < ca-cert.pem): {0}")]
    CorruptPem(tcs_pem::Error),
    /// `tls.crt` contains more certificates than a chain can have.
    #[error(
        "`tls.crt` contains more than 8 certificates; deliver the issuing CA and the certificates above it, not a bundle"
    )]
    TooManyCertificates,
}

impl DeliveryError {
    /// Stable code for conditions and Events.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::MissingKey => reasons::MISSING_KEY,
            Self::CorruptKey => reasons::CORRUPT_KEY,
            Self::MissingCertificate => reasons::MISSING_CERTIFICATE,
            Self::CorruptCertificate | Self::CorruptPem(_) => reasons::CORRUPT_CERTIFICATE,
            Self::TooManyCertificates => reasons::TOO_MANY_CERTIFICATES,
        }
    }
}

/// Decodes the base64 text and, for the certificates, the PEM.
pub fn read(secret: &Secret) -> Result<Delivery, DeliveryError> {
    let field = |name: &str| {
        let value = secret.data.as_ref().and_then(|data| data.get(name));
        value.map(|ByteString(bytes)| bytes.as_slice()).filter(|bytes| !bytes.is_empty())
    };
    let key = field("tls.key").ok_or(DeliveryError::MissingKey)?;
    let wrapped_key = base64_text::decode(key, MAX_WRAPPED_KEY).ok_or(DeliveryError::CorruptKey)?;
    let certificates = field("tls.crt").ok_or(DeliveryError::MissingCertificate)?;
    let pem = base64_text::decode(certificates, MAX_CERTIFICATES).ok_or(DeliveryError::CorruptCertificate)?;
    let chain = tcs_pem::all(&pem, "CERTIFICATE").map_err(DeliveryError::CorruptPem)?;
    if chain.len() > MAX_CHAIN {
        return Err(DeliveryError::TooManyCertificates);
    }
    Ok(Delivery { wrapped_key, chain: chain.iter().map(|der| der.to_vec()).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use std::collections::BTreeMap;

    fn secret(key: Option<&str>, certificate: Option<&str>) -> Secret {
        let mut data = BTreeMap::new();
        for (name, value) in [("tls.key", key), ("tls.crt", certificate)] {
            if let Some(value) = value {
                data.insert(name.to_owned(), ByteString(value.as_bytes().to_vec()));
            }
        }
        Secret { data: Some(data), ..Secret::default() }
    }

    fn certificate_text() -> String {
        STANDARD.encode("-----BEGIN CERTIFICATE-----\nAQIDBA==\n-----END CERTIFICATE-----\n")
    }

    #[test]
    fn the_encoding_of_the_walk_through_is_read() {
        let key = STANDARD.encode([7u8; 400]);
        let delivery = read(&secret(Some(&key), Some(&certificate_text()))).unwrap();
        assert_eq!(delivery.wrapped_key, vec![7u8; 400]);
        assert_eq!(delivery.chain, vec![vec![1, 2, 3, 4]]);
    }

    #[test]
    fn w_r7_wrapped_base64_lines_are_accepted() {
        let key = STANDARD.encode([7u8; 400]);
        let lines: Vec<&str> = key.as_bytes().chunks(76).map(|c| core::str::from_utf8(c).unwrap()).collect();
        let delivery = read(&secret(Some(&(lines.join("\r\n") + "\n")), Some(&certificate_text()))).unwrap();
        assert_eq!(delivery.wrapped_key, vec![7u8; 400]);
    }

    #[test]
    fn several_certificates_keep_their_order() {
        let two = "# issuing\n-----BEGIN CERTIFICATE-----\nAQ==\n-----END CERTIFICATE-----\n\
                   # root\n-----BEGIN CERTIFICATE-----\nAg==\n-----END CERTIFICATE-----";
        let delivery = read(&secret(Some("AAAA"), Some(&STANDARD.encode(two)))).unwrap();
        assert_eq!(delivery.chain, vec![vec![1], vec![2]]);
    }

    #[test]
    fn each_broken_encoding_has_its_code() {
        let good = certificate_text();
        let private = STANDARD.encode("-----BEGIN PRIVATE KEY-----\nAQ==\n-----END PRIVATE KEY-----\n");
        let cases = [
            (None, Some(good.as_str()), "MissingKey"),
            (Some(""), Some(good.as_str()), "MissingKey"),
            (Some("km-wrap: error"), Some(good.as_str()), "CorruptKey"),
            (Some("AAAA"), None, "MissingCertificate"),
            (Some("AAAA"), Some("-----BEGIN CERTIFICATE-----"), "CorruptCertificate"),
            (Some("AAAA"), Some("AAAA"), "CorruptCertificate"),
            (Some("AAAA"), Some(private.as_str()), "CorruptCertificate"),
        ];
        for (key, certificate, code) in cases {
            let error = read(&secret(key, certificate)).err().map(|error| error.code());
            assert_eq!(error, Some(code), "{key:?} {certificate:?}");
        }
    }

    #[test]
    fn a_bundle_is_refused_before_it_reaches_the_enclave() {
        let many = "-----BEGIN CERTIFICATE-----\nAQ==\n-----END CERTIFICATE-----\n".repeat(9);
        let error = read(&secret(Some("AAAA"), Some(&STANDARD.encode(many)))).err().map(|error| error.code());
        assert_eq!(error, Some("TooManyCertificates"));
    }

    /// The code of the error for these two fields.
    fn code_of(key: &[u8], certificate: &[u8]) -> Option<&'static str> {
        let data = [("tls.key", key), ("tls.crt", certificate)];
        let data = data.map(|(name, value)| (name.to_owned(), ByteString(value.to_vec())));
        read(&Secret { data: Some(data.into()), ..Secret::default() }).err().map(|error| error.code())
    }

    #[test]
    fn w_s7_fields_of_every_short_length_are_read_or_refused_by_name() {
        let (certificate, key) = (certificate_text(), STANDARD.encode([7; 400]));
        for length in 0..=40 {
            for byte in [0, b'A', b'=', b'-', b' ', 0x7f, 0x80, 0xff] {
                let raw = vec![byte; length];
                let encoded = STANDARD.encode(&raw);
                let expected = match (length, byte) {
                    (0, _) => Some("MissingKey"),
                    (_, b'A') if length % 4 == 0 => None,
                    _ => Some("CorruptKey"),
                };
                assert_eq!(code_of(&raw, certificate.as_bytes()), expected, "{length} times {byte:x}");
                // Any bytes may be a wrapped key; the enclave checks their length.
                let expected = (length == 0).then_some("MissingKey");
                assert_eq!(code_of(encoded.as_bytes(), certificate.as_bytes()), expected);
                let expected = if length == 0 { "MissingCertificate" } else { "CorruptCertificate" };
                for value in [&raw[..], encoded.as_bytes()] {
                    assert_eq!(code_of(key.as_bytes(), value), Some(expected), "{length} times {byte:x}");
                }
            }
        }
    }

    #[test]
    fn w_s7_a_certificate_cut_anywhere_is_corrupt() {
        let pem = "-----BEGIN CERTIFICATE-----\nAQIDBA==\n-----END CERTIFICATE-----";
        let key = STANDARD.encode([7; 400]);
        for length in 1..pem.len() {
            let cut = STANDARD.encode(&pem[..length]);
            assert_eq!(code_of(key.as_bytes(), cut.as_bytes()), Some("CorruptCertificate"), "{length}");
        }
        assert_eq!(code_of(key.as_bytes(), STANDARD.encode(pem).as_bytes()), None);
    }
}
