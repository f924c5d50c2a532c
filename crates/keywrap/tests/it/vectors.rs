//! Stored keys that SoftHSM2 and pyca/cryptography wrapped, and our own.

use super::{b64, kwp, p256_pkcs8, quote_key, quote_spki, spki_of, stored};
use aws_lc_rs::rsa::{OAEP_SHA1_MGF1SHA1, OaepPrivateDecryptingKey};
use tcs_keywrap::{Error, OAEP_LEN, WrapFormat, check_length, unwrap, wrap};

#[test]
fn opens_what_softhsm_wrapped() {
    let stored = stored();
    for case in stored["cases"].as_array().unwrap() {
        let blob = b64(&case["tls_key_kwp_softhsm_b64"]);
        let der = b64(&case["ca_pkcs8_der_b64"]);
        assert_eq!(der.len() as u64, case["der_len"].as_u64().unwrap());
        assert_eq!((blob.len() - OAEP_LEN) as u64, case["kwp_len"].as_u64().unwrap());
        check_length(&blob).unwrap();
        let opened = unwrap(&quote_key(), &blob, WrapFormat::ALL).unwrap();
        assert_eq!(opened.format, WrapFormat::KmraV1);
        // SoftHSM2's 5 and 2 zero bytes were removed.
        assert!(*opened.pkcs8 == der);
    }
}

#[test]
fn the_stored_parts_fit_together() {
    let stored = stored();
    let swk = hex::decode(stored["swk_hex"].as_str().unwrap()).unwrap();
    let c1 = b64(&stored["wrapped_swk_oaep_sha1_b64"]);
    let key = OaepPrivateDecryptingKey::new(quote_key()).unwrap();
    let mut out = [0; OAEP_LEN];
    assert_eq!(key.decrypt(&OAEP_SHA1_MGF1SHA1, &c1, &mut out, None).unwrap(), swk);
    assert_eq!(spki_of(&quote_key()), quote_spki());
    for case in stored["cases"].as_array().unwrap() {
        let mut padded = b64(&case["ca_pkcs8_der_b64"]);
        padded.resize(padded.len().next_multiple_of(8), 0);
        assert_eq!([&c1[..], &kwp(&swk, &padded)].concat(), b64(&case["tls_key_kwp_softhsm_b64"]));
    }
}

/// The form of iSecL is not one of the formats. In these cases its length alone shows that.
#[test]
fn w_s7_refuses_the_gcm_form() {
    for case in stored()["cases"].as_array().unwrap() {
        let blob = b64(&case["tls_key_aes_gcm_b64"]);
        let error = unwrap(&quote_key(), &blob, WrapFormat::ALL).err().unwrap();
        assert_eq!(error, Error::WrappedKeyLength { len: blob.len() });
        // If its length happens to fit, it does not open.
        let fitting = &blob[..blob.len() - (blob.len() - OAEP_LEN) % 8];
        let error = unwrap(&quote_key(), fitting, WrapFormat::ALL).err().unwrap();
        assert_eq!(error, Error::WrappedKeyInvalid);
    }
}

#[test]
fn opens_what_it_wrapped_in_both_formats() {
    let stored = stored();
    let mut payloads: Vec<Vec<u8>> =
        stored["cases"].as_array().unwrap().iter().map(|case| b64(&case["ca_pkcs8_der_b64"])).collect();
    payloads.push(p256_pkcs8());
    for format in WrapFormat::ALL {
        for payload in &payloads {
            let blob = wrap(&quote_spki(), *format, payload).unwrap();
            assert_eq!(blob.len(), OAEP_LEN + payload.len().next_multiple_of(8) + 8);
            let opened = unwrap(&quote_key(), &blob, &[*format]).unwrap();
            assert!(opened.format == *format && *opened.pkcs8 == *payload);
            // KWP is deterministic, so the second part differs only if the AES key does.
            let again = wrap(&quote_spki(), *format, payload).unwrap();
            assert_ne!(blob[OAEP_LEN..], again[OAEP_LEN..], "the AES key is fresh");
        }
    }
}

#[test]
fn format_names_are_stable() {
    for (name, format) in [("kmra-v1", WrapFormat::KmraV1), ("kmra-v1-sha256", WrapFormat::KmraV1Sha256)] {
        assert_eq!((format.to_string().as_str(), name.parse()), (name, Ok(format)));
    }
    assert_eq!("kmra-v2".parse::<WrapFormat>(), Err(Error::UnknownFormat));
}
