//! Reads what a key owner delivered: a Secret with base64 text in `tls.key` and `tls.crt`. Pure.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;

/// Longest decoded wrapped key: 384 bytes OAEP and a wrapped RSA-8192 key need about 6 KiB.
const MAX_WRAPPED_KEY: usize = 16 * 1024;
/// Longest decoded `tls.crt`.
const MAX_CERTIFICATES: usize = 256 * 1024;

/// More certificates than any chain in the field has; the enclave takes as many.
const MAX_CHAIN: usize = 8;
/// Longest request, DER; the enclave takes as much.
const MAX_REQUEST: usize = 1024 * 1024;

/// A delivery whose outer layers could be read; nothing about its content is checked yet.
#[derive(Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The wrapped key: 384 bytes OAEP, then AES-KWP of the PKCS#8.
    pub wrapped_key: Vec<u8>,
    /// The certificates of `tls.crt`, DER, in their order.
    pub chain: Vec<Vec<u8>>,
}

/// What is wrong with a delivery's outer layers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
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
    /// `tls.crt` is not base64 text.
    #[error("`tls.crt` is not base64 text of PEM certificates (base64 -w 0 < ca-cert.pem)")]
    CorruptCertificate,
    /// The text in `tls.crt` is not PEM certificates.
    #[error("`tls.crt` is not base64 text of PEM certificates (base64 -w 0 < ca-cert.pem): {0}")]
    CorruptPem(tcs_pem::Error),
    /// `tls.crt` holds more certificates than a chain can have.
    #[error(
        "`tls.crt` holds more than 8 certificates; deliver the issuing CA and what is above it, not a bundle"
    )]
    TooManyCertificates,
}

impl DeliveryError {
    /// Stable code, as it stands in conditions and Events.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::MissingKey => "MissingKey",
            Self::CorruptKey => "CorruptKey",
            Self::MissingCertificate => "MissingCertificate",
            Self::CorruptCertificate | Self::CorruptPem(_) => "CorruptCertificate",
            Self::TooManyCertificates => "TooManyCertificates",
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
    let chain = tcs_pem::all(&pem, "CERTIFICATE").map_err(DeliveryError::CorruptPem)?;
    if chain.len() > MAX_CHAIN {
        return Err(DeliveryError::TooManyCertificates);
    }
    Ok(Delivery { wrapped_key, chain: chain.iter().map(|der| der.to_vec()).collect() })
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

/// The PEM block of a `CertificateSigningRequest`, DER. Exactly one: approvers look at the first that *their* reader
/// finds, and what is signed must be what they saw.
pub fn read_request(pem: &[u8]) -> Result<Vec<u8>, RequestError> {
    if pem.len() > MAX_REQUEST.saturating_mul(2) {
        return Err(RequestError::TooLong);
    }
    // Go, which reads requests for the API server and for approvers, finds no boundary behind a byte order mark.
    if pem.starts_with("\u{feff}".as_bytes()) {
        return Err(RequestError::Pem(tcs_pem::Error::BoundaryMalformed { line: 1 }));
    }
    let request = tcs_pem::one(pem, "CERTIFICATE REQUEST")?;
    if request.len() > MAX_REQUEST { Err(RequestError::TooLong) } else { Ok(request.to_vec()) }
}

/// Why `spec.request` of a `CertificateSigningRequest` cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// It is longer than the enclave takes.
    #[error("spec.request is longer than 1 MiB")]
    TooLong,
    /// It is not one PEM block.
    #[error("spec.request is not one PEM block CERTIFICATE REQUEST: {0}")]
    Pem(#[from] tcs_pem::Error),
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

    /// The PEM forms of the vectors of `tcs-x509`, with Go's verdicts: none is read that Go does not read.
    #[test]
    fn requests_come_in_the_pem_forms_that_go_reads() {
        // Read by Go: two blocks, headers.
        const STRICTER: [&str; 2] = ["103-pem-two-blocks.pem", "105-pem-headers.pem"];
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../x509/tests/data/csr");
        let verdicts = std::fs::read(folder.join("verdicts.json")).unwrap();
        let verdicts: Vec<serde_json::Value> = serde_json::from_slice(&verdicts).unwrap();
        let mut forms = 0;
        for verdict in &verdicts {
            let file = verdict["file"].as_str().unwrap();
            if !file.contains("-pem-") {
                continue;
            }
            forms += 1;
            let go = verdict["cert_manager_1_14_raw"]["ok"].as_bool().unwrap();
            let read = read_request(&std::fs::read(folder.join(file)).unwrap()).is_ok();
            assert_eq!(read, go && !STRICTER.contains(&file), "{file}");
        }
        assert_eq!(forms, 14);
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
            let error = read(&secret(key, certificate)).err().map(|error| error.code());
            assert_eq!(error, Some(code), "{key:?} {certificate:?}");
        }
    }

    #[test]
    fn a_request_is_the_one_block_that_every_reader_finds() {
        let block = |body: &str| {
            format!("-----BEGIN CERTIFICATE REQUEST-----\n{body}\n-----END CERTIFICATE REQUEST-----\n")
        };
        let read = |pem: String| read_request(pem.as_bytes()).ok();
        assert_eq!(read(format!("text\n{}", block("AQI="))), Some(vec![1, 2]));
        let long = STANDARD.encode([7; 600]);
        assert_eq!(read(block(&long)), Some(vec![7; 600]), "one long line");
        assert_eq!(read(block("AQI=").replace("CERTIFICATE REQUEST", "CERTIFICATE")), None);
        assert!(read_request(b"\x30\x00").unwrap_err().to_string().contains("no PEM block"));
        // Go finds the second block of this, because the first does not begin a line; approvers see that one.
        assert_eq!(read(format!("x{}{}", block("AQI="), block("AwQ="))), None);
        assert_eq!(read(block("AQI=") + &block("AwQ=")), None, "two blocks");
        let long = block(&STANDARD.encode(vec![0; MAX_REQUEST + 1]));
        assert_eq!(read_request(long.as_bytes()), Err(RequestError::TooLong));
    }

    #[test]
    fn a_bundle_is_refused_before_it_reaches_the_enclave() {
        let many = "-----BEGIN CERTIFICATE-----\nAQ==\n-----END CERTIFICATE-----\n".repeat(9);
        let error = read(&secret(Some("AAAA"), Some(&STANDARD.encode(many)))).err().map(|error| error.code());
        assert_eq!(error, Some("TooManyCertificates"));
    }

    /// What stands in the two fields, byte for byte, and the code of the refusal.
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
                // Any bytes may be a wrapped key; the enclave looks at their number.
                let expected = (length == 0).then_some("MissingKey");
                assert_eq!(code_of(encoded.as_bytes(), certificate.as_bytes()), expected);
                let expected = if length == 0 { "MissingCertificate" } else { "CorruptCertificate" };
                for value in [&raw[..], encoded.as_bytes()] {
                    assert_eq!(code_of(key.as_bytes(), value), Some(expected), "{length} times {byte:x}");
                }
                assert!(read_request(&raw).is_err());
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
