//! PEM texts: whatever is read is what Go's `encoding/pem` finds, block for block; all readers of a public
//! key agree.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sha2::{Digest as _, Sha256};
use std::sync::{LazyLock, Mutex};
use tcs_evidence::QuotePublicKey;
use tcs_go_oracle::GoOracle;

static GO_ORACLE: LazyLock<Mutex<GoOracle>> = LazyLock::new(|| Mutex::new(GoOracle::start().unwrap()));

fn sha256(der: &[u8]) -> String {
    hex::encode(Sha256::digest(der))
}

fuzz_target!(|data: &[u8]| {
    let key = tcs_km::public_key::parse(data);
    let request = tcs_pem::certificate_request(data);
    let Ok(blocks) = tcs_pem::blocks(data) else {
        assert!(key.is_err() && request.is_err());
        assert!(tcs_pem::all(data, "CERTIFICATE").is_err() && tcs_pem::private_key(data).is_err());
        return;
    };
    if blocks.is_empty() {
        return;
    }
    // Go finds no boundary after a byte order mark; openssl does, and finds nothing else.
    let text = data.strip_prefix("\u{feff}".as_bytes()).unwrap_or(data);
    let found = GO_ORACLE.lock().unwrap().pem(text).unwrap();
    assert_eq!(found.len(), blocks.len());
    for (block, (label, hash)) in blocks.iter().zip(&found) {
        assert_eq!(block.label.replace(',', ";"), *label);
        if label == "PUBLIC KEY" {
            // Go returns how it would write the key; ours has one encoding only.
            if let Ok(key) = QuotePublicKey::from_der(&block.der) {
                assert_eq!(sha256(key.der()), *hash);
            }
        } else {
            assert_eq!(sha256(&block.der), *hash);
        }
    }
    if let Ok(key) = key {
        assert_eq!(found, [("PUBLIC KEY".to_owned(), sha256(key.der()))]);
        assert_eq!(QuotePublicKey::from_der(key.der()), Ok(key));
    }
    if let Ok(request) = request {
        assert_eq!(found, [("CERTIFICATE REQUEST".to_owned(), sha256(&request))]);
    }
});
