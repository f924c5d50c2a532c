use super::*;
use crate::{Error, Policy};

fn enclave() -> Enclave {
    Enclave {
        mrenclave: [1; 32],
        mrsigner: [2; 32],
        isv_prod_id: 3,
        isv_svn: 4,
        attributes: [5; 16],
        misc_select: [0; 4],
        config_id: [6; 64],
        config_svn: 7,
        isv_ext_prod_id: [8; 16],
        isv_family_id: [9; 16],
    }
}

fn td() -> TrustDomain {
    TrustDomain {
        mr_td: [1; 48],
        rtmrs: [[10; 48], [11; 48], [12; 48], [13; 48]],
        mr_config_id: [2; 48],
        mr_owner: [3; 48],
        mr_owner_config: [4; 48],
        mr_seam: [5; 48],
        td_attributes: [0; 8],
        xfam: [0; 8],
        tee_tcb_svn: [0; 16],
        tee_tcb_svn_2: None,
        mr_service_td: None,
    }
}

fn appraise(identities: Vec<AcceptedIdentity>, found: &Workload) -> Result<(), Error> {
    Policy { identities, ..Policy::default() }.check_identity(found)
}

fn signer(mrsigner: u8, isv_prod_id: u16, min_isv_svn: u16) -> AcceptedIdentity {
    let kss = Kss::default();
    AcceptedIdentity::Signer { mrsigner: [mrsigner; 32], isv_prod_id, min_isv_svn, kss }
}

#[test]
fn an_empty_list_accepts_nothing() {
    for found in [Workload::Enclave(enclave()), Workload::TrustDomain(Box::new(td()))] {
        assert_eq!(appraise(vec![], &found), Err(Error::NoIdentityConfigured));
        let any = Policy { any_identity: true, ..Policy::default() };
        assert_eq!(any.check_identity(&found), Ok(()));
    }
}

#[test]
fn an_enclave_is_measured_and_a_signer_needs_product_and_version() {
    let found = Workload::Enclave(enclave());
    let exact = |byte| AcceptedIdentity::Enclave { mrenclave: [byte; 32], kss: Kss::default() };
    assert_eq!(appraise(vec![exact(1)], &found), Ok(()));
    assert_eq!(appraise(vec![exact(9), signer(2, 3, 4)], &found), Ok(()));
    assert_eq!(appraise(vec![signer(2, 3, 1)], &found), Ok(()));
    for wrong in [exact(2), signer(1, 3, 4), signer(2, 4, 4), signer(2, 2, 4), signer(2, 3, 5)] {
        assert_eq!(appraise(vec![wrong], &found).unwrap_err().code(), "IdentityMismatch");
    }
}

#[test]
fn kss_fields_are_compared_where_they_are_named() {
    let found = Workload::Enclave(enclave());
    let none = Kss::default();
    let appraise = |kss: Kss| {
        let both = [
            AcceptedIdentity::Enclave { mrenclave: [1; 32], kss },
            AcceptedIdentity::Signer { mrsigner: [2; 32], isv_prod_id: 3, min_isv_svn: 4, kss },
        ];
        let [one, other] = both.map(|identity| appraise(vec![identity], &found).is_ok());
        assert_eq!(one, other);
        one
    };
    assert!(
        appraise(Kss { config_id: Some([6; 64]), ..none })
            && !appraise(Kss { config_id: Some([0; 64]), ..none })
    );
    assert!(
        appraise(Kss { min_config_svn: Some(7), ..none })
            && appraise(Kss { min_config_svn: Some(6), ..none })
    );
    assert!(!appraise(Kss { min_config_svn: Some(8), ..none }));
    assert!(appraise(Kss { isv_ext_prod_id: Some([8; 16]), ..none }));
    assert!(!appraise(Kss { isv_ext_prod_id: Some([9; 16]), ..none }));
    assert!(appraise(Kss { isv_family_id: Some([9; 16]), ..none }));
    assert!(!appraise(Kss { isv_family_id: Some([8; 16]), ..none }));
}

#[test]
fn a_trust_domain_is_measured_field_by_field() {
    let found = Workload::TrustDomain(Box::new(td()));
    let good = TdReference {
        mr_td: [1; 48],
        rtmrs: td().rtmrs.map(Some),
        mr_config_id: Some([2; 48]),
        mr_owner: Some([3; 48]),
        mr_owner_config: Some([4; 48]),
    };
    let appraise =
        |reference: TdReference| appraise(vec![AcceptedIdentity::TrustDomain(Box::new(reference))], &found);
    assert_eq!(appraise(good), Ok(()));
    let least =
        TdReference { rtmrs: [None; 4], mr_config_id: None, mr_owner: None, mr_owner_config: None, ..good };
    assert_eq!(appraise(least), Ok(()));
    let mut wrong = vec![
        TdReference { mr_td: [2; 48], ..good },
        TdReference { mr_config_id: Some([9; 48]), ..good },
        TdReference { mr_owner: Some([9; 48]), ..good },
        TdReference { mr_owner_config: Some([9; 48]), ..good },
    ];
    for at in 0..4 {
        let mut rtmrs = good.rtmrs;
        rtmrs[at] = Some([9; 48]);
        wrong.push(TdReference { rtmrs, ..good });
    }
    for reference in wrong {
        assert_eq!(appraise(reference).unwrap_err().code(), "IdentityMismatch", "{reference:?}");
    }
}

#[test]
fn an_enclave_is_no_trust_domain() {
    let reference = AcceptedIdentity::TrustDomain(Box::new(TdReference {
        mr_td: [1; 48],
        rtmrs: [None; 4],
        mr_config_id: None,
        mr_owner: None,
        mr_owner_config: None,
    }));
    assert!(appraise(vec![reference], &Workload::Enclave(enclave())).is_err());
    let exact = AcceptedIdentity::Enclave { mrenclave: [1; 32], kss: Kss::default() };
    assert!(appraise(vec![exact], &Workload::TrustDomain(Box::new(td()))).is_err());
}

#[test]
fn what_was_found_names_kss_only_where_it_is_on() {
    let mut found = enclave();
    found.attributes[0] = 0x05;
    assert!(!describe(&Workload::Enclave(found)).contains("CONFIGID"));
    found.attributes[0] = 0x85;
    let text = describe(&Workload::Enclave(found));
    assert!(text.contains("CONFIGID 0606") && text.ends_with("CONFIGSVN 7"), "{text}");
}
