//! Validity, revocation and signatures.

use crate::appraisal::{
    DAY, NOW, appraise, appraise_at, appraise_collateral, collateral, healthy, refused, sgx,
};
use tcs_sgx_sim::{Collateral, CollateralOptions, Revoked, Tee, Validity};

/// Sets one of the four validity periods.
type Window = fn(&mut CollateralOptions) -> &mut Validity;

/// Changes one part.
type Fault = fn(&mut Collateral);

/// Each part with its refusal before its start and after its end. dcap-qvl does not refuse a CRL before its
/// start.
const WINDOWS: [(Window, Option<&str>, &str); 4] = [
    (
        |options| &mut options.tcb_info_validity,
        Some("TCBInfo issue date is in the future"),
        "TCBInfo expired",
    ),
    (
        |options| &mut options.qe_identity_validity,
        Some("QE Identity issue date is in the future"),
        "QE Identity expired",
    ),
    (|options| &mut options.root_crl_validity, None, "CrlExpired"),
    (|options| &mut options.pck_crl_validity, None, "CrlExpired"),
];

#[test]
fn each_document_has_its_own_window() {
    let platform = healthy();
    for (window, early, late) in WINDOWS {
        for tee in [Tee::Sgx, Tee::Tdx] {
            let mut options = CollateralOptions::default();
            *window(&mut options) = Validity::days(-1);
            refused(appraise_collateral(&platform, tee, &options), late);
            *window(&mut options) = Validity { from: 60, until: DAY };
            match early {
                Some(early) => refused(appraise_collateral(&platform, tee, &options), early),
                None => assert!(appraise_collateral(&platform, tee, &options).is_ok()),
            }
        }
        // Both ends in the claims, to the second: everything else ends later and begins earlier.
        let mut options = CollateralOptions::default();
        *window(&mut options) = Validity { from: -5, until: 7 };
        let claims = appraise_collateral(&platform, Tee::Sgx, &options).unwrap();
        let seconds = |seconds| u64::try_from(NOW + seconds).unwrap();
        assert_eq!((claims.latest_issue_date, claims.earliest_expiration_date), (seconds(-5), seconds(7)));
    }
}

#[test]
fn all_windows_at_once() {
    let platform = healthy();
    let collateral = platform.collateral(NOW, Tee::Sgx, &CollateralOptions::valid_for_days(3)).unwrap();
    appraise_at(&platform, &sgx(&platform), &collateral, NOW + 3 * DAY - 1).unwrap();
    refused(appraise_at(&platform, &sgx(&platform), &collateral, NOW + 3 * DAY + 1), "xpired");
    refused(appraise_at(&platform, &sgx(&platform), &collateral, NOW - DAY - 1), "in the future");
    let expired = platform.collateral(NOW, Tee::Sgx, &CollateralOptions::valid_for_days(-40)).unwrap();
    refused(appraise(&platform, &sgx(&platform), &expired), "xpired");
}

#[test]
fn what_is_revoked_is_refused() {
    let platform = healthy();
    for revoked in [Revoked::PckLeaf, Revoked::PckCa, Revoked::TcbSigner, Revoked::Root] {
        for tee in [Tee::Sgx, Tee::Tdx] {
            let options = CollateralOptions { revoked: vec![revoked], ..CollateralOptions::default() };
            refused(appraise_collateral(&platform, tee, &options), "CertRevoked");
        }
        // Each certificate is in the CRL of its issuer, and in no other.
        let options = CollateralOptions { revoked: vec![revoked], ..CollateralOptions::default() };
        let collateral = platform.collateral(NOW, Tee::Sgx, &options).unwrap();
        let listed = |crl: &[u8]| {
            crate::openssl::run(&["crl", "-inform", "DER", "-noout", "-text"], crl)
                .matches("Serial Number")
                .count()
        };
        let in_root = usize::from(revoked != Revoked::PckLeaf);
        assert_eq!((listed(&collateral.root_ca_crl), listed(&collateral.pck_crl)), (in_root, 1 - in_root));
    }
}

#[test]
fn crl_and_evaluation_numbers_are_in_the_claims() {
    let options = CollateralOptions {
        root_crl_number: 5,
        pck_crl_number: 300,
        tcb_info_evaluation: 21,
        qe_identity_evaluation: 22,
        ..CollateralOptions::default()
    };
    for tee in [Tee::Sgx, Tee::Tdx] {
        let claims = appraise_collateral(&healthy(), tee, &options).unwrap();
        assert_eq!((claims.platform.root_ca_crl_num, claims.platform.pck_crl_num), (5, 300));
        assert_eq!((claims.tcb.eval_data_number, claims.qe.tcb_eval_data_number), (21, 22));
    }
    let claims = appraise_collateral(&healthy(), Tee::Sgx, &CollateralOptions::default()).unwrap();
    assert_eq!((claims.platform.root_ca_crl_num, claims.platform.pck_crl_num), (1, 1));
    assert_eq!((claims.tcb.eval_data_number, claims.qe.tcb_eval_data_number), (17, 17));
}

#[test]
fn every_signature_counts() {
    let platform = healthy();
    let quote = sgx(&platform);
    let good = collateral(&platform, Tee::Sgx);
    let faults: [(Fault, &str); 6] = [
        (|part| part.tcb_info_signature[40] ^= 1, "Signature is invalid for tcb_info"),
        (|part| part.qe_identity_signature[40] ^= 1, "Signature is invalid for qe_identity"),
        (|part| part.tcb_info = part.tcb_info.replace("\"svn\":255", "\"svn\":254"), "invalid for tcb_info"),
        (|part| part.qe_identity = part.qe_identity.replace(":8}", ":7}"), "invalid for qe_identity"),
        (|part| *part.root_ca_crl.last_mut().unwrap() ^= 1, "Failed to parse root CA CRL"),
        (|part| *part.pck_crl.last_mut().unwrap() ^= 1, "InvalidCrlSignatureForPublicKey"),
    ];
    for (fault, reason) in faults {
        let mut bad = good.clone();
        fault(&mut bad);
        assert_ne!(bad, good);
        refused(appraise(&platform, &quote, &bad), reason);
    }
    // CRLs of another CA with the same names.
    let stranger = collateral(&healthy(), Tee::Sgx);
    let bad = Collateral { root_ca_crl: stranger.root_ca_crl, ..good.clone() };
    refused(appraise(&platform, &quote, &bad), "InvalidCrlSignatureForPublicKey");
    let bad = Collateral { pck_crl: stranger.pck_crl, ..good };
    refused(appraise(&platform, &quote, &bad), "InvalidCrlSignatureForPublicKey");
}

#[test]
fn other_wordings_can_be_signed() {
    let platform = healthy();
    let mut collateral = collateral(&platform, Tee::Sgx);
    collateral.tcb_info = collateral.tcb_info.replace(',', ", ");
    refused(appraise(&platform, &sgx(&platform), &collateral), "Signature is invalid for tcb_info");
    collateral.tcb_info_signature = platform.sign_tcb_info(&collateral.tcb_info).unwrap();
    appraise(&platform, &sgx(&platform), &collateral).unwrap();
    collateral.qe_identity = collateral.qe_identity.replace(',', ", ");
    refused(appraise(&platform, &sgx(&platform), &collateral), "Signature is invalid for qe_identity");
    collateral.qe_identity_signature = platform.sign_qe_identity(&collateral.qe_identity).unwrap();
    appraise(&platform, &sgx(&platform), &collateral).unwrap();
}

#[test]
fn a_pck_certificate_signs_no_tcb_info() {
    let platform = healthy();
    let mut collateral = collateral(&platform, Tee::Sgx);
    collateral.tcb_info_signature = platform.sign_by_pck(collateral.tcb_info.as_bytes()).unwrap();
    refused(appraise(&platform, &sgx(&platform), &collateral), "Signature is invalid for tcb_info");
    collateral.tcb_info_issuer_chain = platform.pck_chain();
    refused(appraise(&platform, &sgx(&platform), &collateral), "issued directly by the root CA");
}
