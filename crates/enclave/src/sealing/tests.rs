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
    let (key, certificate, key_format) = CONTENTS;
    by.seal("uid", 7, &Contents { key, chain: vec![certificate; 3], key_format, rules: Some(rules()) })
        .unwrap()
}

fn error(by: &Sealer, issuer: &str, blob: &[u8]) -> Option<SealError> {
    by.open(issuer, blob).err()
}

#[test]
fn what_is_sealed_is_opened_by_the_same_enclave_for_the_same_issuer_only() {
    let one = sealer(1, 1);
    let blob = sealed(&one);
    let opened = sealer(1, 1).open("uid", &blob).ok().unwrap();
    let contents = opened.contents().unwrap();
    assert_eq!((contents.key, contents.key_format, opened.generation), (CONTENTS.0, "generated", 7));
    assert_eq!((contents.chain.as_slice(), contents.rules), (&[CONTENTS.1; 3][..], Some(rules())));
    assert_eq!(error(&one, "other", &blob), Some(SealError::OtherIssuer));
    assert_eq!(error(&sealer(2, 1), "uid", &blob), Some(SealError::OtherMachine));
    assert_eq!(error(&sealer(1, 2), "uid", &blob), Some(SealError::OtherEnclave));
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
    /// Even what only this enclave could have sealed is read as untrusted bytes.
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

/// A newer version of the enclave may have sealed a rule, or anything else, that this version does not know.
#[test]
fn review_l3_a_sealed_policy_with_an_unknown_rule_is_not_opened() {
    let one = sealer(1, 1);
    let good = one.open("uid", &sealed(&one)).ok().unwrap().plain.to_vec();
    let seal = |plain: &[u8]| {
        let write = |sealed: &mut Vec<u8>| {
            sealed.extend_from_slice(plain);
            Ok(())
        };
        one.seal_plain("uid", 7, write).unwrap()
    };
    assert_eq!(error(&one, "uid", &seal(&good)), None);
    // The policy comes last: an array of seven, of which the last is the lifetime (0x19 0x02 0x58).
    let at = good.len() - 10;
    assert_eq!((good[at], &good[good.len() - 3..]), (0x87, &[0x19, 0x02, 0x58][..]));
    for (fields, more) in [(0x8c, &b"\xf6\xf6\xf6\xf6\x63new"[..]), (0x8c, b"\xf6\xf6\xf6\xf6\xf6")] {
        let mut grown = good.clone();
        grown[at] = fields;
        grown.extend(more);
        assert_eq!(error(&one, "uid", &seal(&grown)), Some(SealError::Invalid), "{more:x?}");
    }
    // A fifth field beside the policy.
    let mut grown = good;
    assert_eq!(grown[0], 0x84);
    grown[0] = 0x85;
    grown.push(0x01);
    assert_eq!(error(&one, "uid", &seal(&grown)), Some(SealError::Invalid));
}

#[test]
fn every_changed_bit_and_every_cut_is_refused() {
    let one = sealer(1, 1);
    let blob = sealed(&one);
    for at in 0..blob.len() {
        for bit in 0..8 {
            let mut changed = blob.clone();
            changed[at] ^= 1 << bit;
            assert!(error(&one, "uid", &changed).is_some(), "byte {at}, bit {bit}");
        }
        assert_eq!(error(&one, "uid", &blob[..at]), Some(SealError::Invalid));
    }
    assert_eq!(error(&one, "uid", &[blob.as_slice(), &[0]].concat()), Some(SealError::Invalid));
    assert_eq!(error(&one, "uid", &vec![0; MAX_SEALED_BLOB + 1]), Some(SealError::Invalid));
}

/// Why the same blob under another header does not open. The header may name the values of `by`, which opens
/// it.
fn relabelled(
    by: &Sealer,
    issuer: &str,
    blob: &[u8],
    relabel: impl FnOnce(&mut Header<'_>),
) -> Option<SealError> {
    let mut blob: Blob<'_> = decode(blob).unwrap();
    let mut header: Header<'_> = decode(blob.header).unwrap();
    relabel(&mut header);
    let header = minicbor::to_vec(&header).unwrap();
    blob.header = header.as_slice().into();
    error(by, issuer, &minicbor::to_vec(&blob).unwrap())
}

/// W-D6: whoever stores the blob can write any header, and gains nothing, because the header is
/// authenticated.
#[test]
fn w_d6_a_relabelled_blob_is_refused_where_its_header_fits() {
    let one = sealer(1, 1);
    let blob = sealed(&one);
    assert_eq!(relabelled(&one, "uid", &blob, |_| {}), None, "what is not changed opens");
    let invalid = Some(SealError::Invalid);
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
