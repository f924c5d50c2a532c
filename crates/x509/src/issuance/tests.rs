use super::tbs::{authority_key_id, validity};
use super::*;
use crate::extension::{
    self, AUTHORITY_KEY_ID, BASIC_CONSTRAINTS, EXTENDED_KEY_USAGE, KEY_USAGE, SUBJECT_ALT_NAME,
    SUBJECT_KEY_ID,
};
use crate::validity::{LONGEST_LIFETIME, Validity};
use crate::{CertificateProfile, CertificateRequest, Policy, PolicyRules, encode};
use der::Tag;
use rcgen::{CertificateParams, IsCa, KeyPair};

const NOW: i64 = 1_795_000_000;

fn request() -> CertificateRequest {
    let parameters = CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
    let der = parameters.serialize_request(&KeyPair::generate().unwrap()).unwrap().der().to_vec();
    CertificateRequest::from_der(&der).unwrap()
}

fn chain() -> CaChain {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    parameters.distinguished_name.push(rcgen::DnType::CommonName, "CA");
    parameters.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let der = parameters.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec();
    CaChain::from_delivered(&[der], NOW).unwrap()
}

#[test]
fn x02_w_d8_final_bytes_outside_the_profile_are_refused_whatever_built_them() {
    let (request, ca) = (request(), chain());
    let lifetime = Some(LONGEST_LIFETIME);
    let params = IssuanceRequest {
        profile: CertificateProfile::KubernetesCsr,
        request: &request,
        usages: &[],
        lifetime,
        now: NOW,
        serial: [7; 16],
        earliest: 0,
        fixed: None,
        narrowing: None,
        is_ca: false,
    };
    let times = validity(&params, &ca).unwrap();
    let verdict = |times, extensions: &[Vec<u8>]| {
        let parts: Vec<&[u8]> = extensions.iter().map(Vec::as_slice).collect();
        let tbs = Tbs::encode(&params, &ca, times, &encode::sequence(&parts).unwrap()).unwrap();
        check_tbs(&tbs, &params, &ca).err()
    };
    let make = |id, critical, value: &[u8]| extension::encode(id, critical, value).unwrap();
    let usage = make(KEY_USAGE, true, b"\x03\x02\x05\xa0");
    let no_ca = make(BASIC_CONSTRAINTS, true, b"\x30\x00");
    let names = make(SUBJECT_ALT_NAME, false, request.san_raw().unwrap());
    let authority = make(AUTHORITY_KEY_ID, false, &authority_key_id(&ca).unwrap().unwrap());
    let good = [usage.clone(), no_ca.clone(), authority.clone(), names.clone()];
    assert_eq!(verdict(times, &good), None);

    let with = |at: usize, other: Vec<u8>| {
        let mut changed = good.clone();
        changed[at] = other;
        verdict(times, &changed)
    };
    let because = |why| Some(Error::CheckFailed(why));
    let ca_true = make(BASIC_CONSTRAINTS, true, b"\x30\x03\x01\x01\xff");
    assert_eq!(with(1, ca_true), because("it is a CA certificate"));
    let mild = make(BASIC_CONSTRAINTS, false, b"\x30\x00");
    assert_eq!(with(1, mild), because("basicConstraints is not critical"));
    assert_eq!(verdict(times, &[usage.clone(), names.clone()]), because("no basicConstraints"));
    for signing in [b"\x03\x02\x02\xa4", b"\x03\x02\x01\xa2"] {
        let signing = make(KEY_USAGE, true, signing);
        assert_eq!(
            with(0, signing),
            because("the key usage must be critical, and only a CA may sign certificates")
        );
    }
    let wider = make(KEY_USAGE, true, b"\x03\x02\x03\xa8");
    assert_eq!(with(0, wider), because("the key usage differs"));
    let any = make(EXTENDED_KEY_USAGE, false, b"\x30\x06\x06\x04\x55\x1d\x25\x00");
    assert_eq!(with(3, any), because("the extended key usages differ"));
    let key_id = make(SUBJECT_KEY_ID, false, b"\x04\x01\x00");
    assert_eq!(with(2, key_id), because("the subject key identifier differs"));
    let policies = make(extension::CERTIFICATE_POLICIES, false, b"\x30\x00");
    assert_eq!(with(3, policies), because("an extension is not in the profile"));
    let critical = make(SUBJECT_ALT_NAME, true, request.san_raw().unwrap());
    assert_eq!(with(3, critical), because("the criticality of the alternative names is wrong"));
    let other = make(SUBJECT_ALT_NAME, false, b"\x30\x03\x82\x01x");
    assert_eq!(with(3, other), because("the alternative names differ"));
    assert_eq!(with(3, no_ca.clone()), because("an extension occurs twice"));
    let order = because("the extensions are in another order");
    assert_eq!(verdict(times, &[no_ca.clone(), usage.clone(), authority, names.clone()]), order);
    let other = because("the authority key identifier differs");
    assert_eq!(verdict(times, &[usage, no_ca, names]), other, "it has none");
    assert_eq!(with(2, make(AUTHORITY_KEY_ID, false, b"\x30\x03\x80\x01x")), other);
    let critical = make(AUTHORITY_KEY_ID, true, &authority_key_id(&ca).unwrap().unwrap());
    assert_eq!(with(2, critical), because("the criticality of an extension is wrong"));

    // ecdsa-with-SHA256 made ecdsa-with-SHA384.
    let extensions = encode::sequence(&good.each_ref().map(Vec::as_slice)).unwrap();
    let mut tbs = Tbs::encode(&params, &ca, times, &extensions).unwrap();
    let at = tbs.der.windows(4).position(|bytes| bytes == b"\x3d\x04\x03\x02").unwrap();
    tbs.der[at + 3] = 3;
    assert_eq!(check_tbs(&tbs, &params, &ca).err(), because("the signature algorithm differs"));

    assert_eq!(
        verdict(Validity { not_after: times.not_after + 1, ..times }, &good),
        because("its lifetime would be too long")
    );
    assert_eq!(
        verdict(Validity { not_after: times.not_before, ..times }, &good),
        because("its validity is empty")
    );
    let end = ca.not_after();
    assert_eq!(
        verdict(Validity { not_before: end - 600, not_after: end + 1 }, &good),
        because("it would outlive the CA")
    );
}

#[test]
fn x02_final_bytes_of_a_ca_below_are_refused_unless_they_are_what_was_fixed() {
    let (request, ca) = (request(), chain());
    let [one, two, three] = [1, 2, 3]
        .map(|depth| Policy::new(&PolicyRules { ca_depth: Some(depth), ..PolicyRules::default() }).unwrap());
    let params = IssuanceRequest {
        profile: CertificateProfile::CertManager,
        request: &request,
        usages: &[],
        lifetime: None,
        now: NOW,
        serial: [7; 16],
        earliest: 0,
        fixed: Some(&two),
        narrowing: None,
        is_ca: true,
    };
    let times = validity(&params, &ca).unwrap();
    let verdict = |params: &IssuanceRequest<'_>, extensions: &[Vec<u8>]| {
        let parts: Vec<&[u8]> = extensions.iter().map(Vec::as_slice).collect();
        let tbs = Tbs::encode(params, &ca, times, &encode::sequence(&parts).unwrap()).unwrap();
        check_tbs(&tbs, params, &ca).err()
    };
    let make = |id, critical, value: &[u8]| extension::encode(id, critical, value).unwrap();
    let id = encode::tlv(Tag::OctetString, &params.key_id().unwrap()).unwrap();
    let good = [
        make(KEY_USAGE, true, b"\x03\x02\x02\xa4"),
        make(BASIC_CONSTRAINTS, true, b"\x30\x06\x01\x01\xff\x02\x01\x01"),
        make(SUBJECT_KEY_ID, false, &id),
        make(AUTHORITY_KEY_ID, false, &authority_key_id(&ca).unwrap().unwrap()),
        make(SUBJECT_ALT_NAME, false, request.san_raw().unwrap()),
    ];
    assert_eq!(verdict(&params, &good), None);
    assert_eq!(
        verdict(&IssuanceRequest { is_ca: false, ..params }, &good),
        Some(Error::CheckFailed("it is a CA certificate"))
    );
    let because = |why| Some(Error::CheckFailed(why));
    let deep = because("it would allow more levels of CAs below it than are permitted");
    for (fixed, narrowing) in
        [(None, None), (None, Some(&three)), (Some(&one), Some(&three)), (Some(&three), Some(&one))]
    {
        assert_eq!(verdict(&IssuanceRequest { fixed, narrowing, ..params }, &good), deep);
    }
    let with = |at: usize, other: Vec<u8>| {
        let mut changed = good.clone();
        changed[at] = other;
        verdict(&params, &changed)
    };
    let any_depth = make(BASIC_CONSTRAINTS, true, b"\x30\x03\x01\x01\xff");
    assert_eq!(with(1, any_depth), because("only a CA certificate has a path length"));
    let leaf = make(BASIC_CONSTRAINTS, true, b"\x30\x00");
    assert_eq!(with(1, leaf), because("it is not a CA certificate"));
    assert_eq!(with(2, make(SUBJECT_KEY_ID, true, &id)), because("the criticality of an extension is wrong"));
    let usage = because("the key usage must be critical, and only a CA may sign certificates");
    assert_eq!(with(0, make(KEY_USAGE, true, b"\x03\x02\x05\xa0")), usage, "no signing at all");
    let wider = because("the key usage differs");
    assert_eq!(with(0, make(KEY_USAGE, true, b"\x03\x02\x01\xa6")), wider, "CRLs, unasked");
    let key_id = because("the subject key identifier differs");
    assert_eq!(with(2, make(SUBJECT_KEY_ID, false, b"\x04\x01\x00")), key_id);
    assert_eq!(verdict(&params, &[&good[..2], &good[3..]].concat()), key_id, "it has none");
}
