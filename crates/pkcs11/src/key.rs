//! Keys as templates of session objects.

use crate::Error;
use cryptoki::object::{Attribute, KeyType, ObjectClass};
use der::asn1::{AnyRef, ObjectIdentifier, OctetStringRef, UintRef};
use der::{Decode, Encode, Reader, SliceReader};
use spki::AlgorithmIdentifierRef;
use zeroize::Zeroize;

/// rsaEncryption, RFC 8017 appendix A.1.
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
/// id-ecPublicKey, RFC 5480 section 2.1.1.
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
/// secp256r1, secp384r1, secp521r1, RFC 5480 section 2.1.1.1.
const CURVES: [ObjectIdentifier; 3] = [
    ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7"),
    ObjectIdentifier::new_unwrap("1.3.132.0.34"),
    ObjectIdentifier::new_unwrap("1.3.132.0.35"),
];
/// id-Ed25519, RFC 8410 section 3.
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
/// Modulus of the quote's key in bytes.
pub const MODULUS_LEN: usize = 384;

/// The quote's public key, which may wrap.
pub(crate) fn public_key(modulus: &[u8; MODULUS_LEN], exponent: &[u8]) -> Vec<Attribute> {
    vec![
        Attribute::Class(ObjectClass::PUBLIC_KEY),
        Attribute::KeyType(KeyType::RSA),
        Attribute::Token(false),
        Attribute::Private(false),
        Attribute::Wrap(true),
        Attribute::Modulus(modulus.to_vec()),
        Attribute::PublicExponent(exponent.to_vec()),
    ]
}

/// A private key that can be wrapped. Its components are wiped when it is dropped.
pub(crate) struct PrivateKey(Vec<Attribute>);

impl PrivateKey {
    pub(crate) fn parse(pkcs8: &[u8]) -> Result<Self, Error> {
        let (algorithm, key) = read_pkcs8(pkcs8).map_err(|_| Error::PrivateKeyMalformed)?;
        let components = match algorithm.oid {
            RSA => rsa_components(key).map_err(|_| Error::PrivateKeyMalformed)?,
            EC => ec_components(&algorithm, key)?,
            ED25519 => return Err(Error::PrivateKeyUnsupported { what: "an Ed25519 key" }),
            _ => return Err(Error::PrivateKeyUnsupported { what: "keys of this algorithm" }),
        };
        let mut key = Self(components);
        key.0.extend([
            Attribute::Class(ObjectClass::PRIVATE_KEY),
            Attribute::Token(false),
            Attribute::Private(true),
            Attribute::Sensitive(true),
            Attribute::Extractable(true),
        ]);
        Ok(key)
    }

    pub(crate) fn template(&self) -> &[Attribute] {
        &self.0
    }
}

impl Drop for PrivateKey {
    fn drop(&mut self) {
        for attribute in &mut self.0 {
            match attribute {
                Attribute::PrivateExponent(secret)
                | Attribute::Prime1(secret)
                | Attribute::Prime2(secret)
                | Attribute::Exponent1(secret)
                | Attribute::Exponent2(secret)
                | Attribute::Coefficient(secret)
                | Attribute::Value(secret) => secret.zeroize(),
                _ => {}
            }
        }
    }
}

/// `PrivateKeyInfo`, RFC 5208 section 5; what RFC 5958 adds after the key is not needed.
fn read_pkcs8(pkcs8: &[u8]) -> der::Result<(AlgorithmIdentifierRef<'_>, &[u8])> {
    let mut reader = SliceReader::new(pkcs8)?;
    let found = reader.sequence(|reader| {
        u8::decode(reader)?;
        let algorithm = AlgorithmIdentifierRef::decode(reader)?;
        let key = <&OctetStringRef>::decode(reader)?;
        skip_rest(reader)?;
        Ok::<_, der::Error>((algorithm, key.as_bytes()))
    })?;
    reader.finish()?;
    Ok(found)
}

/// `RSAPrivateKey`, RFC 8017 appendix A.1.2, with all parts of the Chinese remainder theorem.
fn rsa_components(key: &[u8]) -> der::Result<Vec<Attribute>> {
    let make: [fn(Vec<u8>) -> Attribute; 8] = [
        Attribute::Modulus,
        Attribute::PublicExponent,
        Attribute::PrivateExponent,
        Attribute::Prime1,
        Attribute::Prime2,
        Attribute::Exponent1,
        Attribute::Exponent2,
        Attribute::Coefficient,
    ];
    let mut reader = SliceReader::new(key)?;
    let parts = reader.sequence(|reader| {
        u8::decode(reader)?;
        let mut parts = [UintRef::new(&[])?; 8];
        for part in &mut parts {
            *part = UintRef::decode(reader)?;
        }
        Ok::<_, der::Error>(parts)
    })?;
    reader.finish()?;
    let mut components = vec![Attribute::KeyType(KeyType::RSA)];
    components.extend(make.iter().zip(parts).map(|(make, part)| make(part.as_bytes().to_vec())));
    Ok(components)
}

/// `ECPrivateKey`, RFC 5915 section 3. The algorithm names the curve.
fn ec_components(algorithm: &AlgorithmIdentifierRef<'_>, key: &[u8]) -> Result<Vec<Attribute>, Error> {
    let curve = algorithm.parameters_oid().map_err(|_| Error::PrivateKeyMalformed)?;
    if !CURVES.contains(&curve) {
        return Err(Error::PrivateKeyUnsupported { what: "EC keys on other curves" });
    }
    let parse = || {
        let mut reader = SliceReader::new(key)?;
        let value = reader.sequence(|reader| {
            u8::decode(reader)?;
            let value = <&OctetStringRef>::decode(reader)?;
            skip_rest(reader)?;
            Ok::<_, der::Error>(value.as_bytes())
        })?;
        reader.finish()?;
        Ok::<_, der::Error>((curve.to_der()?, value))
    };
    let (params, value) = parse().map_err(|_| Error::PrivateKeyMalformed)?;
    Ok(vec![Attribute::KeyType(KeyType::EC), Attribute::EcParams(params), Attribute::Value(value.to_vec())])
}

fn skip_rest<'a>(reader: &mut impl Reader<'a>) -> der::Result<()> {
    while !reader.is_finished() {
        AnyRef::decode(reader)?;
    }
    Ok(())
}
