//! Reads what a key owner delivered: a Secret with base64 text in `tls.key` and `tls.crt`
//! (provisioning-protocol reference, sections 1 and 4). Pure.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;

/// Longest decoded wrapped key: 384 bytes OAEP and a wrapped RSA-8192 key need about 6 KiB.
const MAX_WRAPPED_KEY: usize = 16 * 1024;
/// Longest decoded `tls.crt`.
const MAX_CERTIFICATES: usize = 256 * 1024;

/// A delivery whose outer layers could be read; nothing about its content is checked yet.
#[derive(Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The wrapped key: 384 bytes OAEP, then AES-KWP of the PKCS#8.
    pub wrapped_key: Vec<u8>,
    /// The certificates of `tls.crt`, DER, in their order.
    pub chain: Vec<Vec<u8>>,
}

/// What is wrong with a delivery's outer layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeliveryError {
    /// `tls.key` is missing or empty.
    #[error("the Secret has no `tls.key`; it must hold the line that km-wrap printed")]
    MissingKey,
    /// `tls.key` is not base64 text.
    #[error("`tls.key` is not base64 text; put the line that km-wrap printed there as it is")]
    CorruptKey,
    /// `tls.crt` is missing or empty.
    #[error("the Secret has no `tls.crt`; it must hold the CA certificate, PEM in base64 text")]
    MissingCertificate,
    /// `tls.crt` is not base64 text of PEM certificates.
    #[error("`tls.crt` is not base64 text of PEM certificates (base64 -w 0 < ca-cert.pem)")]
    CorruptCertificate,
}

impl DeliveryError {
    /// Stable code, as it stands in conditions and Events.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::MissingKey => "MissingKey",
            Self::CorruptKey => "CorruptKey",
            Self::MissingCertificate => "MissingCertificate",
            Self::CorruptCertificate => "CorruptCertificate",
        }
    }
}

/// Takes the outer layers off: base64 text, and for the certificates PEM.
pub fn read(secret: &Secret) -> Result<Delivery, DeliveryError> {
    let field = |name: &str| {
        let value = secret.data.as_ref().and_then(|data| data.get(name));
        value.map(|ByteString(bytes)| bytes.as_slice()).filter(|bytes| !bytes.is_empty())
    };
    let key = field("tls.key").ok_or(DeliveryError::MissingKey)?;
    let wrapped_key = decode_base64(key, MAX_WRAPPED_KEY).ok_or(DeliveryError::CorruptKey)?;
    let certificates = field("tls.crt").ok_or(DeliveryError::MissingCertificate)?;
    let pem = decode_base64(certificates, MAX_CERTIFICATES).ok_or(DeliveryError::CorruptCertificate)?;
    let chain = pem_blocks(&pem, "CERTIFICATE").ok_or(DeliveryError::CorruptCertificate)?;
    Ok(Delivery { wrapped_key, chain })
}

/// Standard base64 with padding; CR and LF are skipped as Go's decoder skips them (W-R7).
fn decode_base64(text: &[u8], longest: usize) -> Option<Vec<u8>> {
    if text.len() > longest.saturating_mul(2) {
        return None;
    }
    let dense: Vec<u8> = text.iter().copied().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect();
    let decoded = STANDARD.decode(dense).ok()?;
    (!decoded.is_empty() && decoded.len() <= longest).then_some(decoded)
}

/// All PEM blocks with this label, DER; text between blocks is skipped, any other block or a broken one is refused.
fn pem_blocks(text: &[u8], label: &str) -> Option<Vec<Vec<u8>>> {
    let text = core::str::from_utf8(text).ok()?;
    let mut blocks = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find("-----BEGIN ") {
        let block = rest.get(start..)?;
        let end = block.find("-----END ")?;
        let after = block.get(end..)?;
        let length = end.checked_add(after.find('\n').map_or(after.len(), |newline| newline + 1))?;
        let (found, der) = pem_rfc7468::decode_vec(block.get(..length)?.trim_end().as_bytes()).ok()?;
        if found != label {
            return None;
        }
        blocks.push(der);
        rest = block.get(length..)?;
    }
    (!blocks.is_empty()).then_some(blocks)
}

/// The first PEM block of a `CertificateSigningRequest`, DER: label `CERTIFICATE REQUEST`, text before it is skipped.
#[must_use]
pub fn read_request(pem: &[u8]) -> Option<Vec<u8>> {
    let mut blocks = pem_blocks(pem, "CERTIFICATE REQUEST")?;
    (!blocks.is_empty()).then(|| blocks.swap_remove(0))
}

#[cfg(test)]
mod tests {
    use super::*;
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
    fn the_documents_layers_come_off() {
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
    fn each_broken_layer_has_its_code() {
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
            let error = read(&secret(key, certificate)).err().map(DeliveryError::code);
            assert_eq!(error, Some(code), "{key:?} {certificate:?}");
        }
    }

    #[test]
    fn a_request_is_the_first_block_with_the_right_label() {
        let pem = "text\n-----BEGIN CERTIFICATE REQUEST-----\nAQI=\n-----END CERTIFICATE REQUEST-----\n";
        assert_eq!(read_request(pem.as_bytes()), Some(vec![1, 2]));
        assert_eq!(read_request(pem.replace("CERTIFICATE REQUEST", "CERTIFICATE").as_bytes()), None);
        assert_eq!(read_request(b"\x30\x00"), None);
    }
}
