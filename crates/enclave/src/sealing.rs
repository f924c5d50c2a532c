//! Sealed CA keys: what only the same enclave on the same machine can open, for the same issuer.
//!
//! A blob is CBOR: version, header, AES-256-GCM ciphertext. The header is the additional data; the key is derived from the
//! platform's by HKDF-SHA-256 with a salt of the blob's own, so that no two blobs share key and nonce. That an old blob is
//! put back cannot be seen by whoever has no memory: [`Opened::generation`] is compared with what this process has seen.

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
/// More than any chain that is accepted.
const MAX_CERTIFICATES: usize = 16;

/// Seals and opens.
pub(crate) struct Sealer {
    platform: SealingKey,
    /// Names the platform's key without telling anything of it.
    key_id: [u8; 16],
}

/// What is sealed.
pub(crate) struct Contents<'a> {
    /// Unencrypted PKCS#8.
    pub(crate) pkcs8: &'a [u8],
    /// Certificates as they were delivered, DER.
    pub(crate) chain: Vec<&'a [u8]>,
    /// As [`tcs_enclave_rpc::CaInfo::key_format`].
    pub(crate) key_format: &'a str,
    /// The policy that was fixed when the CA was made.
    pub(crate) rules: Option<Policy>,
}

/// What was sealed. The key is wiped when this is dropped.
pub(crate) struct Opened {
    plain: Zeroizing<Vec<u8>>,
    /// Number of the key among the issuer's.
    pub(crate) generation: u64,
}

/// Why a blob was not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is damaged, or of a form that this version does not know.
    Invalid,
    /// It is another issuer's.
    OtherIssuer,
    /// It was sealed on another machine.
    OtherMachine,
    /// It was sealed by another enclave, for example by another version of it.
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
    pkcs8: &'a ByteSlice,
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

/// A length for HKDF.
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

    /// Seals for this issuer alone.
    pub(crate) fn seal(
        &self,
        issuer_uid: &str,
        generation: u64,
        contents: &Contents<'_>,
    ) -> Result<Vec<u8>, Error> {
        let plain = Plain {
            pkcs8: contents.pkcs8.into(),
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

        // Reserved at once: a buffer that grows leaves copies behind.
        let mut sealed = Zeroizing::new(Vec::with_capacity(MAX_SEALED_BLOB));
        write(&mut sealed)?;
        key.seal_in_place_append_tag(nonce, Aad::from(&header), &mut *sealed).map_err(|_| failed())?;
        let blob =
            Blob { version: VERSION, header: header.as_slice().into(), ciphertext: sealed.as_slice().into() };
        let blob = minicbor::to_vec(&blob).map_err(|_| failed())?;
        if blob.len() > MAX_SEALED_BLOB { Err(failed()) } else { Ok(blob) }
    }

    /// Opens what was sealed for this issuer by this enclave on this machine.
    pub(crate) fn open(&self, issuer_uid: &str, blob: &[u8]) -> Result<Opened, Fault> {
        if blob.len() > MAX_SEALED_BLOB {
            return Err(Fault::Invalid);
        }
        let blob: Blob<'_> = decode(blob).ok_or(Fault::Invalid)?;
        if blob.version != VERSION {
            return Err(Fault::Invalid);
        }
        let header: Header<'_> = decode(blob.header).ok_or(Fault::Invalid)?;
        if header.issuer_uid != issuer_uid {
            return Err(Fault::OtherIssuer);
        }
        if *header.measurement != self.platform.measurement {
            return Err(Fault::OtherEnclave);
        }
        if *header.key_id != self.key_id {
            return Err(Fault::OtherMachine);
        }
        let key = self.key(&header).ok_or(Fault::Invalid)?;
        let nonce = Nonce::assume_unique_for_key(*header.nonce);
        let mut plain = Zeroizing::new(blob.ciphertext.to_vec());
        let aad: &[u8] = blob.header;
        let length = key.open_in_place(nonce, Aad::from(aad), &mut plain).map_err(|_| Fault::Invalid)?.len();
        plain.truncate(length);
        let opened = Opened { plain, generation: header.generation };
        opened.contents().ok_or(Fault::Invalid)?;
        Ok(opened)
    }

    fn key(&self, header: &Header<'_>) -> Option<LessSafeKey> {
        let derived = Salt::new(HKDF_SHA256, header.salt.as_ref()).extract(self.platform.key.as_ref());
        let info = [INFO, self.platform.measurement.as_slice()];
        let key = UnboundKey::from(derived.expand(&info, &AES_256_GCM).ok()?);
        Some(LessSafeKey::new(key))
    }
}

impl Opened {
    pub(crate) fn contents(&self) -> Option<Contents<'_>> {
        let plain: Plain<'_> = decode(&self.plain)?;
        let chain = plain.chain.into_iter().map(|der| &**der).collect();
        Some(Contents { pkcs8: plain.pkcs8, chain, key_format: plain.key_format, rules: plain.rules })
    }
}

/// Nothing may follow, and nothing may be in it that this version does not know: it could be a rule.
fn decode<'b, T: Decode<'b, ()> + Encode<()>>(bytes: &'b [u8]) -> Option<T> {
    codec::decode_known(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealer(key: u8, measurement: u8) -> Sealer {
        let platform = SealingKey { key: Zeroizing::new([key; 32]), measurement: [measurement; 32] };
        Sealer::new(platform).unwrap()
    }

    const CONTENTS: (&[u8], &[u8], &str) = (b"the private key", b"a certificate", "generated");

    fn rules() -> Policy {
        Policy { max_lifetime: Some(600), ..Policy::default() }
    }

    fn sealed(by: &Sealer) -> Vec<u8> {
        let (pkcs8, certificate, key_format) = CONTENTS;
        by.seal("uid", 7, &Contents { pkcs8, chain: vec![certificate; 3], key_format, rules: Some(rules()) })
            .unwrap()
    }

    fn fault(by: &Sealer, issuer: &str, blob: &[u8]) -> Option<Fault> {
        by.open(issuer, blob).err()
    }

    #[test]
    fn what_is_sealed_is_opened_by_the_same_enclave_for_the_same_issuer_only() {
        let one = sealer(1, 1);
        let blob = sealed(&one);
        let opened = sealer(1, 1).open("uid", &blob).ok().unwrap();
        let contents = opened.contents().unwrap();
        assert_eq!((contents.pkcs8, contents.key_format, opened.generation), (CONTENTS.0, "generated", 7));
        assert_eq!((contents.chain.as_slice(), contents.rules), (&[CONTENTS.1; 3][..], Some(rules())));
        assert_eq!(fault(&one, "other", &blob), Some(Fault::OtherIssuer));
        assert_eq!(fault(&sealer(2, 1), "uid", &blob), Some(Fault::OtherMachine));
        assert_eq!(fault(&sealer(1, 2), "uid", &blob), Some(Fault::OtherEnclave));
    }

    #[test]
    fn a_blob_shows_nothing_of_the_key_and_never_repeats() {
        let one = sealer(9, 1);
        let (blob, again) = (sealed(&one), sealed(&one));
        assert_ne!(blob, again);
        for secret in [CONTENTS.0, &[9; 32]] {
            assert!(!blob.windows(8).any(|window| window == &secret[..8]));
        }
    }

    proptest::proptest! {
        /// Also what only this enclave could have sealed is read as if it were not to be trusted.
        #[test]
        fn whatever_was_sealed_is_read_or_refused(
            plain in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300),
            at in 0usize..400,
            to in proptest::prelude::any::<u8>(),
        ) {
            let one = sealer(1, 1);
            let good = one.open("uid", &sealed(&one)).ok().unwrap().plain;
            let mut changed = good.to_vec();
            if let Some(byte) = changed.get_mut(at) {
                *byte = to;
            }
            for plain in [plain.as_slice(), &changed, &good[..at.min(good.len())]] {
                let blob = one.seal_plain("uid", 7, |sealed| {
                    sealed.extend_from_slice(plain);
                    Ok(())
                });
                if let Ok(opened) = one.open("uid", &blob.unwrap()) {
                    proptest::prop_assert!(opened.contents().unwrap().chain.len() <= MAX_CERTIFICATES);
                }
            }
        }
    }

    /// What a newer version of the same signer sealed: a rule that this one does not know, or anything else.
    #[test]
    fn review_l3_a_sealed_policy_with_a_rule_that_nobody_knows_is_not_opened() {
        let one = sealer(1, 1);
        let good = one.open("uid", &sealed(&one)).ok().unwrap().plain.to_vec();
        let seal = |plain: &[u8]| {
            let write = |sealed: &mut Vec<u8>| {
                sealed.extend_from_slice(plain);
                Ok(())
            };
            one.seal_plain("uid", 7, write).unwrap()
        };
        assert_eq!(fault(&one, "uid", &seal(&good)), None);
        // The policy comes last: an array of seven, of which the last is the lifetime (0x19 0x02 0x58).
        let at = good.len() - 10;
        assert_eq!((good[at], &good[good.len() - 3..]), (0x87, &[0x19, 0x02, 0x58][..]));
        for (fields, more) in [(0x8c, &b"\xf6\xf6\xf6\xf6\x63new"[..]), (0x8c, b"\xf6\xf6\xf6\xf6\xf6")] {
            let mut grown = good.clone();
            grown[at] = fields;
            grown.extend(more);
            assert_eq!(fault(&one, "uid", &seal(&grown)), Some(Fault::Invalid), "{more:x?}");
        }
        // A fifth field beside the policy.
        let mut grown = good;
        assert_eq!(grown[0], 0x84);
        grown[0] = 0x85;
        grown.push(0x01);
        assert_eq!(fault(&one, "uid", &seal(&grown)), Some(Fault::Invalid));
    }

    #[test]
    fn every_changed_bit_and_every_cut_is_refused() {
        let one = sealer(1, 1);
        let blob = sealed(&one);
        for at in 0..blob.len() {
            for bit in 0..8 {
                let mut changed = blob.clone();
                changed[at] ^= 1 << bit;
                assert!(fault(&one, "uid", &changed).is_some(), "byte {at}, bit {bit}");
            }
            assert_eq!(fault(&one, "uid", &blob[..at]), Some(Fault::Invalid));
        }
        assert_eq!(fault(&one, "uid", &[blob.as_slice(), &[0]].concat()), Some(Fault::Invalid));
        assert_eq!(fault(&one, "uid", &vec![0; MAX_SEALED_BLOB + 1]), Some(Fault::Invalid));
    }

    /// The same blob under another header. Opened by `by`, whose own values the header may now name.
    fn relabelled(
        by: &Sealer,
        issuer: &str,
        blob: &[u8],
        relabel: impl FnOnce(&mut Header<'_>),
    ) -> Option<Fault> {
        let mut blob: Blob<'_> = decode(blob).unwrap();
        let mut header: Header<'_> = decode(blob.header).unwrap();
        relabel(&mut header);
        let header = minicbor::to_vec(&header).unwrap();
        blob.header = header.as_slice().into();
        fault(by, issuer, &minicbor::to_vec(&blob).unwrap())
    }

    /// W-D6: whoever keeps the blob can write the header that is asked for, and gains nothing: it is authenticated, too.
    #[test]
    fn w_d6_a_relabelled_blob_is_refused_where_its_header_fits() {
        let one = sealer(1, 1);
        let blob = sealed(&one);
        assert_eq!(relabelled(&one, "uid", &blob, |_| {}), None, "what is not changed opens");
        let invalid = Some(Fault::Invalid);
        assert_eq!(relabelled(&one, "other", &blob, |header| header.issuer_uid = "other"), invalid);
        for generation in [0, 6, 8, u64::MAX] {
            assert_eq!(relabelled(&one, "uid", &blob, |header| header.generation = generation), invalid);
        }
        // The same key in the hands of another enclave, as on a platform that keys by signer would be.
        let other = sealer(1, 2);
        assert_eq!(relabelled(&other, "uid", &blob, |header| header.measurement = [2; 32].into()), invalid);
        let other = sealer(2, 1);
        assert_eq!(relabelled(&other, "uid", &blob, |header| header.key_id = other.key_id.into()), invalid);
        assert_eq!(relabelled(&one, "uid", &blob, |header| header.salt = [0; 32].into()), invalid);
        assert_eq!(relabelled(&one, "uid", &blob, |header| header.nonce = [0; 12].into()), invalid);
    }
}
