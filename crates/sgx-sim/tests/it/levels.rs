//! TCB levels and the QE identity.

use crate::appraisal::{NOW, appraise, appraise_collateral, healthy, platform, refused, status};
use dcap_qvl::QuoteClaims;
use dcap_qvl::tcb_info::TcbStatus;
use tcs_sgx_sim::{
    CollateralOptions, Enclave, IsvTcbLevel, Options, QeIdentity, QuoteShape, TcbLevel, Td, Tee,
};

const BOTH: [Tee; 2] = [Tee::Sgx, Tee::Tdx];

fn with_levels(tee: Tee, levels: Vec<TcbLevel>) -> Result<QuoteClaims, String> {
    let options = CollateralOptions { tcb_levels: Some(levels), ..CollateralOptions::default() };
    appraise_collateral(&healthy(), tee, &options)
}

fn with_identity(tee: Tee, change: impl FnOnce(&mut QeIdentity)) -> Result<QuoteClaims, String> {
    let mut identity = QeIdentity::of(tee);
    change(&mut identity);
    let options = CollateralOptions { qe_identity: Some(identity), ..CollateralOptions::default() };
    appraise_collateral(&healthy(), tee, &options)
}

/// A quote whose quoting enclave differs.
fn with_qe(tee: Tee, change: impl FnOnce(&mut Enclave)) -> Result<QuoteClaims, String> {
    let platform = healthy();
    let mut qe = Enclave::quoting(tee);
    change(&mut qe);
    let shape = QuoteShape { qe: Some(qe), ..QuoteShape::default() };
    let quote = match tee {
        Tee::Sgx => platform.sgx_quote_shaped(&Enclave::default(), &shape),
        Tee::Tdx => platform.td_quote_shaped(&Td::default(), &shape),
    };
    let collateral = platform.collateral(NOW, tee, &CollateralOptions::default()).unwrap();
    appraise(&platform, &quote.unwrap(), &collateral)
}

#[test]
fn every_status_of_a_level() {
    for tee in BOTH {
        for (text, expected) in [
            ("UpToDate", TcbStatus::UpToDate),
            ("SWHardeningNeeded", TcbStatus::SWHardeningNeeded),
            ("ConfigurationNeeded", TcbStatus::ConfigurationNeeded),
            ("ConfigurationAndSWHardeningNeeded", TcbStatus::ConfigurationAndSWHardeningNeeded),
            ("OutOfDate", TcbStatus::OutOfDate),
            ("OutOfDateConfigurationNeeded", TcbStatus::OutOfDateConfigurationNeeded),
        ] {
            let advisories = vec!["INTEL-SA-00001".into(), "INTEL-SA-00002".into()];
            let level = TcbLevel { status: text.into(), advisories, ..TcbLevel::default() };
            status(with_levels(tee, vec![level]), expected, &["INTEL-SA-00001", "INTEL-SA-00002"]);
        }
        let level = |status: &str| vec![TcbLevel { status: status.into(), ..TcbLevel::default() }];
        refused(with_levels(tee, level("Revoked")), "TCB status is invalid: Revoked");
        refused(with_levels(tee, level("Bogus")), "unknown variant `Bogus`");
        refused(with_levels(tee, level("TDRelaunchAdvised")), "Unrecognized TCB status");
    }
}

#[test]
fn a_level_asks_for_each_of_its_numbers() {
    for tee in BOTH {
        for at in 0..16 {
            let mut level = TcbLevel::default();
            // A level without a higher number in component 4: a platform below that level is accepted as
            // well.
            let platform = if at == 4 {
                let mut options = Options::default();
                options.cpu_svn[at] -= 1;
                platform(&options)
            } else {
                level.components[at] += 1;
                healthy()
            };
            let options = CollateralOptions { tcb_levels: Some(vec![level]), ..CollateralOptions::default() };
            refused(appraise_collateral(&platform, tee, &options), "No matching TCB level found");
        }
        let level = TcbLevel { pce_svn: 14, ..TcbLevel::default() };
        refused(with_levels(tee, vec![level]), "No matching TCB level found");
        refused(with_levels(tee, Vec::new()), "No matching TCB level found");
    }
}

#[test]
fn the_first_level_that_is_met_counts() {
    let higher = TcbLevel { pce_svn: 14, ..TcbLevel::default() };
    let mut components = TcbLevel::default().components;
    components[0] = 4;
    let lower = TcbLevel {
        components,
        pce_svn: 11,
        date: "2021-11-10T00:00:00Z".into(),
        status: "OutOfDate".into(),
        advisories: vec!["INTEL-SA-00614".into()],
        ..TcbLevel::default()
    };
    for tee in BOTH {
        let claims = with_levels(tee, vec![higher.clone(), lower.clone()]).unwrap();
        assert_eq!((claims.tcb.status, claims.platform.tcb_date_tag), (TcbStatus::OutOfDate, 1_636_502_400));
        assert_eq!(claims.tcb.advisory_ids, ["INTEL-SA-00614"]);
        status(with_levels(tee, vec![TcbLevel::default(), lower.clone()]), TcbStatus::UpToDate, &[]);
        // The same level twice: Intel's own library refuses it, dcap-qvl does not.
        status(with_levels(tee, vec![TcbLevel::default(); 2]), TcbStatus::UpToDate, &[]);
    }
    let claims = with_levels(Tee::Sgx, vec![TcbLevel::default()]).unwrap();
    assert_eq!(claims.platform.tcb_date_tag, 1_710_288_000, "2024-03-13");
}

#[test]
fn a_quoting_enclave_that_is_out_of_date_is_felt() {
    let merged = |tee, platform: &str, qe: &str| {
        let level = TcbLevel {
            status: platform.into(),
            advisories: vec!["INTEL-SA-00001".into()],
            ..TcbLevel::default()
        };
        let mut identity = QeIdentity::of(tee);
        identity.levels[0].status = qe.into();
        identity.levels[0].advisories = vec!["INTEL-SA-00477".into()];
        let options = CollateralOptions {
            tcb_levels: Some(vec![level]),
            qe_identity: Some(identity),
            ..CollateralOptions::default()
        };
        appraise_collateral(&healthy(), tee, &options)
    };
    for tee in BOTH {
        for (platform, qe, expected) in [
            ("UpToDate", "OutOfDate", TcbStatus::OutOfDate),
            ("SWHardeningNeeded", "OutOfDate", TcbStatus::OutOfDate),
            ("ConfigurationNeeded", "OutOfDate", TcbStatus::OutOfDateConfigurationNeeded),
            ("ConfigurationAndSWHardeningNeeded", "OutOfDate", TcbStatus::OutOfDateConfigurationNeeded),
            ("SWHardeningNeeded", "UpToDate", TcbStatus::SWHardeningNeeded),
        ] {
            status(merged(tee, platform, qe), expected, &["INTEL-SA-00001", "INTEL-SA-00477"]);
        }
        refused(merged(tee, "UpToDate", "Revoked"), "TCB status is invalid: Revoked");
    }
}

#[test]
fn the_level_of_a_quoting_enclave_is_that_of_its_isv_svn() {
    let level = |isv_svn, status: &str, date: &str| IsvTcbLevel {
        isv_svn,
        status: status.into(),
        date: date.into(),
        ..IsvTcbLevel::default()
    };
    for tee in BOTH {
        let own = Enclave::quoting(tee).isv_svn;
        let levels = vec![
            level(own + 1, "UpToDate", "2025-01-01T00:00:00Z"),
            level(own - 1, "OutOfDate", "2020-11-11T00:00:00Z"),
        ];
        let claims = with_identity(tee, |identity| identity.levels = levels).unwrap();
        assert_eq!(claims.tcb.status, TcbStatus::OutOfDate);
        assert_eq!(claims.qe.tcb_level.tcb.isvsvn, own - 1);
        assert_eq!(claims.qe.tcb_level.tcb_date, "2020-11-11T00:00:00Z");
        let levels = vec![level(own + 1, "UpToDate", "2025-01-01T00:00:00Z")];
        refused(with_identity(tee, |identity| identity.levels = levels), "below minimum required");
        refused(with_qe(tee, |qe| qe.isv_svn -= 1), "below minimum required");
    }
}

#[test]
fn each_field_of_a_qe_identity_counts() {
    for tee in BOTH {
        refused(with_identity(tee, |identity| identity.id = "QVE".into()), "Unsupported QE Identity");
        refused(with_identity(tee, |identity| identity.version = 1), "Unsupported QE Identity");
        refused(with_identity(tee, |identity| identity.mrsigner[31] ^= 1), "MRSIGNER");
        refused(with_identity(tee, |identity| identity.isv_prod_id += 1), "ISVPRODID");
        refused(with_identity(tee, |identity| identity.miscselect = 1 << 24), "MISCSELECT");
        refused(with_identity(tee, |identity| identity.attributes[0] = 0x01), "ATTRIBUTES");
        refused(with_identity(tee, |identity| identity.attributes_mask[8] = 0xff), "ATTRIBUTES");
    }
}

#[test]
fn each_field_of_a_quoting_enclave_counts() {
    for tee in BOTH {
        refused(with_qe(tee, |qe| qe.mrsigner[31] ^= 1), "MRSIGNER");
        refused(with_qe(tee, |qe| qe.isv_prod_id += 1), "ISVPRODID");
        refused(with_qe(tee, |qe| qe.miscselect = 1 << 24), "MISCSELECT");
        refused(with_qe(tee, |qe| qe.flags = 0x01), "ATTRIBUTES");
        refused(with_qe(tee, |qe| qe.flags = 0x13), "Debug mode is enabled");
        // MODE64BIT and XFRM are outside the mask.
        assert!(with_qe(tee, |qe| (qe.flags, qe.xfrm) = (0x15, 0xe7)).is_ok());
    }
}

#[test]
fn masks_of_a_qe_identity_let_bits_pass() {
    for tee in BOTH {
        let miscselect = |mask| {
            with_identity(tee, |identity| (identity.miscselect, identity.miscselect_mask) = (1 << 24, mask))
        };
        assert!(miscselect(!(1 << 24)).is_ok());
        refused(miscselect(u32::MAX), "MISCSELECT");
        let attributes = |mask| {
            with_identity(tee, |identity| {
                (identity.attributes[0], identity.attributes_mask[0]) = (0x01, mask);
            })
        };
        assert!(attributes(0xeb).is_ok());
        refused(attributes(0xfb), "ATTRIBUTES");
    }
}
