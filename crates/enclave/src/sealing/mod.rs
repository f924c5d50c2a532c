//! Sealed CA keys, which only the same enclave on the same machine can open, for the same issuer
//! (docs/protocol.md, "Sealed CA keys").
//!
//! A blob is CBOR: version, header, AES-256-GCM ciphertext. The header is the additional data. The key is
//! derived from the platform's key by HKDF-SHA-256 (RFC 5869) with a salt for each blob, so that no two blobs
//! share a key and a nonce. Without memory nobody can notice that an old blob was put back, so
//! [`Unsealed::generation`] is compared with what this process has held.

use crate::Error;
use crate::keys::random;
use crate::platform::SealingKey;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use minicbor::bytes::{ByteArray, ByteSlice};
use minicbor::{Decode, Decoder, Encode};
use tcs_enclave_rpc::{MAX_SEALED_BLOB, Policy, codec};
use zeroize::Zeroizing;

const VERSION: u8 = 1;
const INFO: &[u8] = b"tcs-sealed-ca-v1";
const KEY_ID_INFO: &[u8] = b"tcs-sealed-ca-v1 key id";
/// More certificates than an accepted chain can have.
const MAX_CERTIFICATES: usize = 16;

/// Seals and opens CA keys.
pub(crate) struct Sealer {
    platform: SealingKey,
    /// Identifies the platform's key without revealing anything about it.
    key_id: [u8; 16],
}

/// What is sealed.
pub(crate) struct Contents<'a> {
    /// The record of the key ([`crate::keys::CaSigner::to_record`]). For a software key it is unencrypted
    /// PKCS#8.
    pub(crate) key: &'a [u8],
    /// Certificates as they were delivered, DER.
    pub(crate) chain: Vec<&'a [u8]>,
    /// As [`tcs_enclave_rpc::CaInfo::key_format`].
    pub(crate) key_format: &'a str,
    /// The policy that was fixed when the CA was made.
    pub(crate) rules: Option<Policy>,
}

/// A blob that was opened. The key is wiped when this is dropped.
pub(crate) struct Unsealed {
    plain: Zeroizing<Vec<u8>>,
    /// Number of the key among those of the issuer. It grows with every new key.
    pub(crate) generation: u64,
}

/// Why a blob does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SealError {
    /// It is damaged, or has a form that this version does not know.
    Invalid,
    /// It belongs to another issuer.
    OtherIssuer,
    /// It was sealed on another machine.
    OtherMachine,
    /// It was sealed by another enclave, for example by another version of the program.
    OtherEnclave,
}

#[derive(Encode, Decode)]
struct Blob<'a> {
    #[n(0)]
    version: u8,
    /// A [`Header`].
    #[b(1)]
    header: &'a ByteSlice,
    #[b(2)]
    ciphertext: &'a ByteSlice,
}

#[derive(Encode, Decode)]
struct Header<'a> {
    #[b(0)]
    issuer_uid: &'a str,
    #[n(1)]
    generation: u64,
    #[n(2)]
    measurement: ByteArray<32>,
    #[n(3)]
    key_id: ByteArray<16>,
    #[n(4)]
    salt: ByteArray<32>,
    #[n(5)]
    nonce: ByteArray<12>,
}

#[derive(Encode, Decode)]
struct Plain<'a> {
    #[b(0)]
    key_record: &'a ByteSlice,
    #[b(1)]
    #[cbor(decode_with = "certificates")]
    chain: Vec<&'a ByteSlice>,
    #[b(2)]
    key_format: &'a str,
    #[n(3)]
    rules: Option<Policy>,
}

fn certificates<'b, C>(
    decoder: &mut Decoder<'b>,
    _: &mut C,
) -> Result<Vec<&'b ByteSlice>, minicbor::decode::Error> {
    decoder.array_iter()?.take(MAX_CERTIFICATES).collect()
}

/// A length of HKDF output, in bytes.
struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

impl Sealer {
    pub(crate) fn new(platform: SealingKey) -> Result<Self, Error> {
        let mut key_id = [0; 16];
        Salt::new(HKDF_SHA256, &[])
            .extract(platform.key.as_ref())
            .expand(&[KEY_ID_INFO], Length(16))
            .and_then(|derived| derived.fill(&mut key_id))
            .map_err(|_| Error::Crypto("naming the sealing key"))?;
        Ok(Self { platform, key_id })
    }

    /// Seals a CA for this issuer.
    pub(crate) fn seal(
        &self,
        issuer_uid: &str,
        generation: u64,
        contents: &Contents<'_>,
    ) -> Result<Vec<u8>, Error> {
        let plain = Plain {
            key_record: contents.key.into(),
            chain: contents.chain.iter().map(|der| (*der).into()).collect(),
            key_format: contents.key_format,
            rules: contents.rules.clone(),
        };
        self.seal_plain(issuer_uid, generation, |sealed| {
            minicbor::encode(&plain, sealed).map_err(|_| Error::Crypto("sealing"))
        })
    }

    fn seal_plain(
        &self,
        issuer_uid: &str,
        generation: u64,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), Error>,
    ) -> Result<Vec<u8>, Error> {
        let failed = || Error::Crypto("sealing");
        let header = Header {
            issuer_uid,
            generation,
            measurement: self.platform.measurement.into(),
            key_id: self.key_id.into(),
            salt: random()?.into(),
            nonce: random()?.into(),
        };
        let key = self.key(&header).ok_or_else(failed)?;
        let nonce = Nonce::assume_unique_for_key(*header.nonce);
        let header = minicbor::to_vec(&header).map_err(|_| failed())?;

        // Reserved at once, because a growing buffer leaves copies of the key behind.
        let mut sealed = Zeroizing::new(Vec::with_capacity(MAX_SEALED_BLOB));
        write(&mut sealed)?;
        key.seal_in_place_append_tag(nonce, Aad::from(&header), &mut *sealed).map_err(|_| failed())?;
        let blob =
            Blob { version: VERSION, header: header.as_slice().into(), ciphertext: sealed.as_slice().into() };
        let blob = minicbor::to_vec(&blob).map_err(|_| failed())?;
        if blob.len() > MAX_SEALED_BLOB { Err(failed()) } else { Ok(blob) }
    }

    /// Opens what this enclave sealed for this issuer on this machine.
    pub(crate) fn open(&self, issuer_uid: &str, blob: &[u8]) -> Result<Unsealed, SealError> {
        if blob.len() > MAX_SEALED_BLOB {
            return Err(SealError::Invalid);
        }
        let blob: Blob<'_> = decode(blob).ok_or(SealError::Invalid)?;
        if blob.version != VERSION {
            return Err(SealError::Invalid);
        }
        let header: Header<'_> = decode(blob.header).ok_or(SealError::Invalid)?;
        if header.issuer_uid != issuer_uid {
            return Err(SealError::OtherIssuer);
        }
        if *header.measurement != self.platform.measurement {
            return Err(SealError::OtherEnclave);
        }
        if *header.key_id != self.key_id {
            return Err(SealError::OtherMachine);
        }
        let key = self.key(&header).ok_or(SealError::Invalid)?;
        let nonce = Nonce::assume_unique_for_key(*header.nonce);
        let mut plain = Zeroizing::new(blob.ciphertext.to_vec());
        let aad: &[u8] = blob.header;
        let length =
            key.open_in_place(nonce, Aad::from(aad), &mut plain).map_err(|_| SealError::Invalid)?.len();
        plain.truncate(length);
        let opened = Unsealed { plain, generation: header.generation };
        opened.contents().ok_or(SealError::Invalid)?;
        Ok(opened)
    }

    fn key(&self, header: &Header<'_>) -> Option<LessSafeKey> {
        let derived = Salt::new(HKDF_SHA256, header.salt.as_ref()).extract(self.platform.key.as_ref());
        let info = [INFO, self.platform.measurement.as_slice()];
        let key = UnboundKey::from(derived.expand(&info, &AES_256_GCM).ok()?);
        Some(LessSafeKey::new(key))
    }
}

impl Unsealed {
    pub(crate) fn contents(&self) -> Option<Contents<'_>> {
        let plain: Plain<'_> = decode(&self.plain)?;
        let chain = plain.chain.into_iter().map(|der| &**der).collect();
        Some(Contents { key: plain.key_record, chain, key_format: plain.key_format, rules: plain.rules })
    }
}

/// Nothing may follow the value, and it may contain nothing that this version does not know, because that
/// could be a rule.
fn decode<'b, T: Decode<'b, ()> + Encode<()>>(bytes: &'b [u8]) -> Option<T> {
    codec::decode_known(bytes).ok()
}

#[cfg(test)]
mod tests;
