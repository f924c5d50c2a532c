//! A certificate request in PEM, as the request APIs of Kubernetes carry it in `spec.request`: one block
//! (RFC 7468, section 7).

/// Maximum length of a request as DER, in bytes. The enclave has the same limit.
const MAX_REQUEST: usize = 1024 * 1024;

/// The DER of a request in PEM. The text must contain exactly one block: an approver sees the first block
/// that *their* reader finds, and what is signed must be what the approver saw.
pub fn certificate_request(pem: &[u8]) -> Result<Vec<u8>, RequestError> {
    if pem.len() > MAX_REQUEST.saturating_mul(2) {
        return Err(RequestError::TooLong);
    }
    // The API server and approvers read requests with Go, which finds no boundary directly after a byte order
    // mark.
    if pem.starts_with("\u{feff}".as_bytes()) {
        return Err(RequestError::Pem(crate::Error::BoundaryMalformed { line: 1 }));
    }
    let request = crate::one(pem, "CERTIFICATE REQUEST")?;
    if request.len() > MAX_REQUEST { Err(RequestError::TooLong) } else { Ok(request.to_vec()) }
}

/// Why `spec.request` cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// It is longer than the enclave accepts.
    #[error("spec.request is longer than 1 MiB")]
    TooLong,
    /// It is not one PEM block.
    #[error("spec.request is not one PEM block CERTIFICATE REQUEST: {0}")]
    Pem(#[from] crate::Error),
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    /// The PEM forms in the vectors of `tcs-x509`, with the results of Go. A form that Go does not read is
    /// not read here.
    #[test]
    fn requests_come_in_the_pem_forms_that_go_reads() {
        // Go reads these, which have two blocks and headers.
        const STRICTER: [&str; 2] = ["103-pem-two-blocks.pem", "105-pem-headers.pem"];
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../x509/tests/data/csr");
        let results = std::fs::read(folder.join("verdicts.json")).unwrap();
        let results: Vec<serde_json::Value> = serde_json::from_slice(&results).unwrap();
        let mut forms = 0;
        for result in &results {
            let file = result["file"].as_str().unwrap();
            if !file.contains("-pem-") {
                continue;
            }
            forms += 1;
            let go = result["cert_manager_1_14_raw"]["ok"].as_bool().unwrap();
            let read = certificate_request(&std::fs::read(folder.join(file)).unwrap()).is_ok();
            assert_eq!(read, go && !STRICTER.contains(&file), "{file}");
        }
        assert_eq!(forms, 14);
    }

    #[test]
    fn a_request_is_the_only_block_that_every_reader_finds() {
        let block = |body: &str| {
            format!("-----BEGIN CERTIFICATE REQUEST-----\n{body}\n-----END CERTIFICATE REQUEST-----\n")
        };
        let read = |pem: String| certificate_request(pem.as_bytes()).ok();
        assert_eq!(read(format!("text\n{}", block("AQI="))), Some(vec![1, 2]));
        let long = STANDARD.encode([7; 600]);
        assert_eq!(read(block(&long)), Some(vec![7; 600]), "one long line");
        assert_eq!(read(block("AQI=").replace("CERTIFICATE REQUEST", "CERTIFICATE")), None);
        assert!(certificate_request(b"\x30\x00").unwrap_err().to_string().contains("no PEM block"));
        // Go finds the second block, because the first does not begin a line. An approver would see that one.
        assert_eq!(read(format!("x{}{}", block("AQI="), block("AwQ="))), None);
        assert_eq!(read(block("AQI=") + &block("AwQ=")), None, "two blocks");
        let long = block(&STANDARD.encode(vec![0; MAX_REQUEST + 1]));
        assert_eq!(certificate_request(long.as_bytes()), Err(RequestError::TooLong));
    }

    #[test]
    fn w_s7_short_texts_are_refused() {
        for length in 0..=40 {
            for byte in [0, b'A', b'=', b'-', b' ', 0x7f, 0x80, 0xff] {
                assert!(certificate_request(&vec![byte; length]).is_err(), "{length} times {byte:x}");
            }
        }
    }
}
