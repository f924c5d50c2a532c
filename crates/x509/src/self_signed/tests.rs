use super::*;
use rcgen::PublicKeyData as _;

const NOW: i64 = 1_795_000_000;

/// Whatever builds the bytes: what is outside the profile is not signed.
#[test]
fn x02_final_bytes_outside_the_ca_profile_are_refused_whatever_built_them() {
    let spki = rcgen::KeyPair::generate().unwrap().subject_public_key_info();
    let key = PublicKey::from_spki(&spki).unwrap();
    let subject = CaSubject { common_name: "CA", ..CaSubject::default() }.to_der().unwrap();
    let params = SelfSignedCa {
        subject: &subject,
        spki: &spki,
        lifetime: 86_400,
        path_length: Some(0),
        now: NOW,
        serial: [7; 16],
        earliest: NOW - 200,
    };
    let times = params.validity().unwrap();
    assert_eq!(times, Validity { not_before: NOW - 200, not_after: NOW + 86_400 });
    let verdict = |times, extensions: &[Vec<u8>]| {
        let extensions = encode::sequence(&extensions.iter().map(Vec::as_slice).collect::<Vec<_>>());
        let tbs = params.encode(&key, times, &extensions.unwrap()).unwrap();
        params.check_tbs(&tbs, &key).err()
    };
    let make = |id, critical, value: &[u8]| extension::encode(id, critical, value).unwrap();
    let id = encode::tlv(Tag::OctetString, &key.key_id()).unwrap();
    let good = [
        make(KEY_USAGE, true, b"\x03\x02\x01\x06"),
        make(BASIC_CONSTRAINTS, true, b"\x30\x06\x01\x01\xff\x02\x01\x00"),
        make(SUBJECT_KEY_ID, false, &id),
    ];
    assert_eq!(verdict(times, &good), None);
    assert_eq!(
        encode::sequence(&good.each_ref().map(Vec::as_slice)).unwrap(),
        params.extensions(&key).unwrap()
    );

    let because = |why| Some(Error::CheckFailed(why));
    let with = |at: usize, other: Vec<u8>| {
        let mut changed = good.clone();
        changed[at] = other;
        verdict(times, &changed)
    };
    let critical = because("the criticality of an extension is wrong");
    assert_eq!(with(0, make(KEY_USAGE, false, b"\x03\x02\x01\x06")), critical);
    assert_eq!(with(2, make(SUBJECT_KEY_ID, true, &id)), critical);
    let says = because("an extension differs from what was requested");
    assert_eq!(with(0, make(KEY_USAGE, true, b"\x03\x02\x02\x04")), says, "no cRLSign");
    assert_eq!(with(0, make(KEY_USAGE, true, b"\x03\x02\x01\x86")), says, "digitalSignature too");
    assert_eq!(with(1, make(BASIC_CONSTRAINTS, true, b"\x30\x03\x01\x01\xff")), says, "no path length");
    assert_eq!(with(1, make(BASIC_CONSTRAINTS, true, b"\x30\x00")), says, "no CA");
    assert_eq!(with(2, make(SUBJECT_KEY_ID, false, b"\x04\x01\x00")), says);
    let profile = because("the extensions are not those of the profile");
    assert_eq!(verdict(times, &good[..2]), profile);
    assert_eq!(verdict(times, &[&good[1..], &good[..1]].concat()), profile, "another order");
    let eku = make(extension::EXTENDED_KEY_USAGE, false, b"\x30\x06\x06\x04\x55\x1d\x25\x00");
    assert_eq!(verdict(times, &[good.as_slice(), &[eku]].concat()), profile);

    let longer = because("the lifetime differs");
    assert_eq!(verdict(Validity { not_after: times.not_after + 1, ..times }, &good), longer);
    assert_eq!(
        verdict(Validity { not_before: times.not_before - 1, ..times }, &good),
        because("it would begin before the earliest time")
    );
    assert_eq!(verdict(Validity { not_before: NOW + 1, ..times }, &good), because("its start"));
    let tbs = params.encode(&key, times, &params.extensions(&key).unwrap()).unwrap();
    let other = CaSubject { common_name: "other", ..CaSubject::default() }.to_der().unwrap();
    let other = SelfSignedCa { subject: &other, ..params };
    assert_eq!(other.check_tbs(&tbs, &key).err(), because("the subject differs"));
    let stranger = rcgen::KeyPair::generate().unwrap().subject_public_key_info();
    let stranger = PublicKey::from_spki(&stranger).unwrap();
    assert_eq!(params.check_tbs(&tbs, &stranger).err(), because("the key differs"));
    let serial = SelfSignedCa { serial: [8; 16], ..params };
    assert_eq!(serial.check_tbs(&tbs, &key).err(), because("the serial number differs"));
}
