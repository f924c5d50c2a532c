//! What every key provider must do. The tests of each provider call [`run`].

use super::{CaSigner, KeyError, KeyProvider};
use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    self, EcdsaKeyPair, Ed25519KeyPair, RsaKeyPair, UnparsedPublicKey, VerificationAlgorithm,
};
use tcs_keywrap::{Error as UnwrapError, WrapFormat};
use tcs_x509::KeyAlgorithm;

const MESSAGE: &[u8] = b"to be signed";

/// Runs all tests of the suite.
pub(crate) fn run(provider: &dyn KeyProvider) {
    quote_keys_are_new_each_time(provider);
    every_kind_of_ca_key_is_unwrapped_signs_and_is_restored(provider);
    what_cannot_be_unwrapped_is_refused_by_its_reason(provider);
    generated_ca_keys_sign_and_are_restored(provider);
}

fn quote_keys_are_new_each_time(provider: &dyn KeyProvider) {
    let [one, other] = [(); 2].map(|()| provider.generate_quote_key().unwrap());
    assert_ne!(one.public(), other.public());
}

fn every_kind_of_ca_key_is_unwrapped_signs_and_is_restored(provider: &dyn KeyProvider) {
    let quote_key = provider.generate_quote_key().unwrap();
    for (pkcs8, verify) in delivered_keys() {
        for format in WrapFormat::ALL {
            let wrapped = tcs_keywrap::wrap(quote_key.public().der(), *format, &pkcs8).unwrap();
            let unwrapped = quote_key.unwrap(&wrapped, WrapFormat::ALL).ok().unwrap();
            assert_eq!(unwrapped.format, *format);
            signs_and_is_restored(provider, &*unwrapped.signer, verify);
        }
    }
}

fn what_cannot_be_unwrapped_is_refused_by_its_reason(provider: &dyn KeyProvider) {
    let quote_key = provider.generate_quote_key().unwrap();
    let (pkcs8, _) = delivered_keys().remove(0);
    let wrap = |pkcs8: &[u8], format| tcs_keywrap::wrap(quote_key.public().der(), format, pkcs8).unwrap();
    let error = |wrapped: &[u8], allowed: &[WrapFormat]| quote_key.unwrap(wrapped, allowed).err().unwrap();

    let mut damaged = wrap(&pkcs8, WrapFormat::KmraV1Sha256);
    *damaged.last_mut().unwrap() ^= 1;
    assert!(matches!(error(&damaged, WrapFormat::ALL), KeyError::Unwrap(UnwrapError::WrappedKeyInvalid)));
    let forbidden = error(&wrap(&pkcs8, WrapFormat::KmraV1), &[WrapFormat::KmraV1Sha256]);
    assert!(matches!(forbidden, KeyError::Unwrap(UnwrapError::WrapFormatForbidden { .. })));
    // An RSA key with an empty private key: only its outer structure is right.
    let empty = [0x30, 0x14, 2, 1, 0, 0x30, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 1, 1, 5, 0, 4, 0];
    let empty = error(&wrap(&empty, WrapFormat::KmraV1Sha256), WrapFormat::ALL);
    assert!(matches!(empty, KeyError::Malformed));
    let k256 = EcdsaKeyPair::generate(&signature::ECDSA_P256K1_SHA256_ASN1_SIGNING).unwrap();
    let k256 = wrap(k256.to_pkcs8v1().unwrap().as_ref(), WrapFormat::KmraV1Sha256);
    assert!(matches!(error(&k256, WrapFormat::ALL), KeyError::Unsupported));
}

fn generated_ca_keys_sign_and_are_restored(provider: &dyn KeyProvider) {
    let rsa: &'static dyn VerificationAlgorithm = &signature::RSA_PKCS1_2048_8192_SHA256;
    for (algorithm, verify) in [
        (KeyAlgorithm::P256, &signature::ECDSA_P256_SHA256_ASN1 as &'static dyn VerificationAlgorithm),
        (KeyAlgorithm::P384, &signature::ECDSA_P384_SHA384_ASN1),
        (KeyAlgorithm::Rsa { bits: 3072 }, rsa),
        (KeyAlgorithm::Ed25519, &signature::ED25519),
    ] {
        // A token need not have every algorithm.
        let key = match provider.generate_ca_key(algorithm) {
            Err(KeyError::Unsupported) => continue,
            generated => generated.ok().unwrap(),
        };
        signs_and_is_restored(provider, &*key, verify);
        let other = provider.generate_ca_key(algorithm).ok().unwrap();
        assert_ne!(key.spki().unwrap(), other.spki().unwrap(), "{algorithm:?}");
    }
}

fn signs_and_is_restored(
    provider: &dyn KeyProvider,
    key: &dyn CaSigner,
    verify: &'static dyn VerificationAlgorithm,
) {
    let public = UnparsedPublicKey::new(verify, key.spki().unwrap());
    public.verify(MESSAGE, &key.sign(MESSAGE).unwrap()).unwrap();
    let restored = provider.restore_ca_key(&key.to_record().unwrap()).ok().unwrap();
    assert_eq!(restored.spki().unwrap(), key.spki().unwrap());
    public.verify(MESSAGE, &restored.sign(MESSAGE).unwrap()).unwrap();
}

/// A private key of every kind that can be delivered, PKCS#8, and how its signatures are verified.
fn delivered_keys() -> Vec<(Vec<u8>, &'static dyn VerificationAlgorithm)> {
    let ecdsa =
        |algorithm| EcdsaKeyPair::generate(algorithm).unwrap().to_pkcs8v1().unwrap().as_ref().to_vec();
    let ed25519 = Ed25519KeyPair::generate().unwrap().to_pkcs8v1().unwrap().as_ref().to_vec();
    let rsa: Pkcs8V1Der<'_> = RsaKeyPair::generate(KeySize::Rsa2048).unwrap().as_der().unwrap();
    vec![
        (ecdsa(&signature::ECDSA_P256_SHA256_ASN1_SIGNING), &signature::ECDSA_P256_SHA256_ASN1),
        (ecdsa(&signature::ECDSA_P384_SHA384_ASN1_SIGNING), &signature::ECDSA_P384_SHA384_ASN1),
        (ecdsa(&signature::ECDSA_P521_SHA512_ASN1_SIGNING), &signature::ECDSA_P521_SHA512_ASN1),
        (ed25519, &signature::ED25519),
        (rsa.as_ref().to_vec(), &signature::RSA_PKCS1_2048_8192_SHA256),
    ]
}
