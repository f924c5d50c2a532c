use super::*;

fn dns(permitted: &[&str], excluded: &[&str]) -> NameConstraints {
    let all = |names: &[&str]| names.iter().map(|name| Subtree::Dns((*name).to_owned())).collect();
    NameConstraints { permitted: all(permitted), excluded: all(excluded) }
}

fn uri_name(text: &str) -> crate::uri::UriName<'_> {
    crate::uri::UriName::parse(text).unwrap()
}

const NOBODY: &[u8] = &[0x30, 0x00];

#[test]
fn there_are_at_most_256_of_a_kind() {
    let value = |count: usize| {
        let subtree = crate::encode::sequence(&[b"\x82\x01a"]).unwrap();
        let list = crate::encode::tlv(context_tag(0), &subtree.repeat(count)).unwrap();
        crate::encode::sequence(&[&list]).unwrap()
    };
    assert!(NameConstraints::parse(&value(MAX_SUBTREES)).is_ok());
    assert!(NameConstraints::parse(&value(MAX_SUBTREES + 1)).is_err());
}

#[test]
fn exclusions_hold_in_any_letter_case_and_for_every_wildcard() {
    let allow = |constraints: &NameConstraints, name: &str| constraints.allow(NOBODY, &[Name::Dns(name)]);
    let outside = dns(&[], &["admin.corp.example"]);
    for bad in ["ADMIN.corp.example", "*.CORP.example", "adm*.corp.example", "*min.corp.example", "*.Example"]
    {
        assert!(!allow(&outside, bad), "{bad}");
    }
    assert!(allow(&outside, "*.other.example") && allow(&outside, "web.corp.example"));
}

#[test]
fn a_uri_without_a_host_that_is_a_name_is_outside_where_uris_are_constrained() {
    let uri = |base: &str| vec![Subtree::Uri(base.to_owned())];
    let inside = NameConstraints { permitted: uri("a.example"), excluded: Vec::new() };
    let outside = NameConstraints { permitted: Vec::new(), excluded: uri("corp.example") };
    let odd =
        ["https:/a.example/x://a.example/", "https://10.0.0.1/", "https://[2001:db8::1]:8/", "urn:a.example"];
    for constraints in [&inside, &outside] {
        for bad in odd {
            assert!(!constraints.allow(NOBODY, &[Name::Uri(uri_name(bad))]), "{bad}");
        }
    }
    assert!(inside.allow(NOBODY, &[Name::Uri(uri_name("https://a.example:8/x"))]));
    assert!(outside.allow(NOBODY, &[Name::Uri(uri_name("https://a.example/"))]));
}

#[test]
fn dns_names_lie_in_subtrees_by_whole_labels() {
    let allow = |constraints: &NameConstraints, name: &str| constraints.allow(NOBODY, &[Name::Dns(name)]);
    let inside = dns(&["a.example"], &[]);
    for good in ["a.example", "B.A.Example", "*.a.example"] {
        assert!(allow(&inside, good), "{good}");
    }
    for bad in ["xa.example", "example", "b.example", "a.example.evil"] {
        assert!(!allow(&inside, bad), "{bad}");
    }
    let outside = dns(&[], &["a.example"]);
    assert!(allow(&outside, "b.example"));
    for bad in ["a.example", "x.a.example", "A.EXAMPLE", "*.example"] {
        assert!(!allow(&outside, bad), "{bad}");
    }
    let both = dns(&["example"], &["a.example"]);
    assert!(allow(&both, "b.example") && !allow(&both, "a.example"));
    assert!(allow(&dns(&[".example"], &[]), "a.example") && !allow(&dns(&[".example"], &[]), "example"));
    // Names of another kind are free.
    assert!(inside.allow(NOBODY, &[Name::Email("x@b.example")]));
}

#[test]
fn mailboxes_hosts_of_uris_and_addresses_lie_in_their_subtrees() {
    let one = |subtree: Subtree, name: Name<'_>| {
        let constraints = NameConstraints { permitted: vec![subtree], excluded: vec![] };
        constraints.allow(NOBODY, &[name])
    };
    let email = |base: &str, address| one(Subtree::Email(base.into()), Name::Email(address));
    assert!(
        email("a.example", "x@A.example")
            && email(".example", "x@a.example")
            && email("x@a.example", "x@a.example")
    );
    assert!(
        !email("a.example", "x@b.a.example")
            && !email(".a.example", "x@a.example")
            && !email("x@a.example", "y@a.example")
    );
    let uri = |base: &str, uri| one(Subtree::Uri(base.into()), Name::Uri(uri_name(uri)));
    assert!(uri("a.example", "https://a.example:8443/x") && uri(".example", "spiffe://a.example/x"));
    assert!(!uri("a.example", "https://b.example/a.example") && !uri("a.example", "urn:a.example"));
    assert!(!uri("a.example", "https://a.example@b.example/"));
    let v4 = || Subtree::Ip { address: vec![10, 0, 0, 0], mask: vec![255, 0, 0, 0] };
    let ip = |address: &str| one(v4(), Name::Ip(address.parse().unwrap()));
    assert!(ip("10.1.2.3") && !ip("::ffff:10.1.2.3") && !ip("11.0.0.1") && !ip("2001:db8::1"));
    assert!(!one(Subtree::Other(0), Name::Other(0)) && one(Subtree::Other(0), Name::Other(8)));
    let excluded = NameConstraints { permitted: vec![], excluded: vec![Subtree::Uri("a.example".into())] };
    assert!(!excluded.allow(NOBODY, &[Name::Uri(uri_name("urn:x"))]), "who knows where that leads");
}

#[test]
fn a_ca_may_have_a_dotted_name_below_constraints_of_hosts() {
    let subject = crate::CaSubject { common_name: "ca1.corp.example", ..crate::CaSubject::default() };
    let subject = subject.to_der().unwrap();
    let inside = dns(&["a.example"], &[]);
    assert!(inside.allow_subject(&subject));
    assert!(!inside.allow(&subject, &[]), "a leaf's is taken for a host");
    let directory = NameConstraints {
        permitted: vec![],
        excluded: vec![Subtree::Directory(DirectoryName::parse(&subject).unwrap())],
    };
    assert!(!directory.allow_subject(&subject));
}

#[test]
fn other_names_could_be_mailboxes_and_are_outside_where_those_are_constrained() {
    let emails = |permitted: Vec<Subtree>, excluded| NameConstraints { permitted, excluded };
    let base = || vec![Subtree::Email("a.example".into())];
    for constraints in [emails(base(), vec![]), emails(vec![], base())] {
        assert!(!constraints.allow(NOBODY, &[Name::Other(OTHER_NAME)]));
        assert!(constraints.allow(NOBODY, &[Name::Other(8)]), "a registered id is none");
    }
    assert!(dns(&["a.example"], &[]).allow(NOBODY, &[Name::Other(OTHER_NAME)]));
}

#[test]
fn what_cannot_be_read_is_no_constraint() {
    let subtrees = |tag: u8, bases: &[&[u8]]| {
        let inner: Vec<u8> = bases
            .iter()
            .flat_map(|base| [&[0x30, u8::try_from(base.len()).unwrap()], *base].concat())
            .collect();
        [&[tag, u8::try_from(inner.len()).unwrap()], inner.as_slice()].concat()
    };
    let all = |parts: &[Vec<u8>]| {
        let inner = parts.concat();
        [&[0x30, u8::try_from(inner.len()).unwrap()], inner.as_slice()].concat()
    };
    let good = subtrees(0xa0, &[b"\x82\x01a"]);
    assert_eq!(NameConstraints::parse(&all(std::slice::from_ref(&good))), Ok(dns(&["a"], &[])));
    let excluded = subtrees(0xa1, &[b"\x82\x01b", b"\x82\x01c"]);
    assert_eq!(NameConstraints::parse(&all(&[good.clone(), excluded.clone()])), Ok(dns(&["a"], &["b", "c"])));
    for bad in [
        all(&[]),
        all(&[excluded, good.clone()]),
        all(&[good.clone(), good]),
        all(&[subtrees(0xa0, &[])]),
        // minimum 1; an address without a mask; a tag that no name has.
        all(&[subtrees(0xa0, &[b"\x82\x01a\x80\x01\x01"])]),
        all(&[subtrees(0xa0, &[b"\x87\x04\x0a\x00\x00\x00"])]),
        all(&[subtrees(0xa0, &[b"\x8f\x01a"])]),
        // Bases that no name can match: a dot at the end, a wildcard, two dots, a mailbox without a user or a
        // host.
        all(&[subtrees(0xa1, &[b"\x82\x02a."])]),
        all(&[subtrees(0xa1, &[b"\x82\x03*.a"])]),
        all(&[subtrees(0xa1, &[b"\x82\x04a..b"])]),
        all(&[subtrees(0xa1, &[b"\x82\x01."])]),
        all(&[subtrees(0xa1, &[b"\x81\x00"])]),
        all(&[subtrees(0xa1, &[b"\x86\x00"])]),
        all(&[subtrees(0xa1, &[b"\x81\x02@a"])]),
        all(&[subtrees(0xa1, &[b"\x81\x02a@"])]),
        all(&[subtrees(0xa1, &[b"\x86\x09https://a"])]),
        all(&[subtrees(0xa1, &[b"\x87\x08\x0a\x00\x00\x00\xff\x00\xff\x00"])]),
        all(&[subtrees(0xa1, &[b"\x87\x08\x0a\x00\x00\x00\x7f\x00\x00\x00"])]),
        b"\x30\x80".to_vec(),
    ] {
        assert!(NameConstraints::parse(&bad).is_err(), "{bad:x?}");
    }
}
