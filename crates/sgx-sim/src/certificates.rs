//! The platform's certificates and CRLs.

use crate::clock::{self, DAY};
use crate::error::Error;
use crate::extension;
use crate::key::{Key, Keys};
use crate::options::{Names, Options};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CrlDistributionPoint,
    CustomExtension, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber,
};
use time::OffsetDateTime;

/// Serial numbers.
pub const ROOT: u64 = 1;
pub const PCK_CA: u64 = 2;
pub const PCK: u64 = 3;
pub const TCB_SIGNER: u64 = 4;

/// The certificates in PEM, and the root certificate also in DER.
pub struct Certificates {
    pub root_der: Vec<u8>,
    pub root: String,
    pub pck_ca: String,
    pub pck: String,
    pub tcb_signer: String,
}

impl Certificates {
    pub fn make(keys: &Keys, now: i64, options: &Options) -> Result<Self, Error> {
        let Options { names, ca, .. } = options;
        let life = |days| clock::period(now, -DAY, clock::days(days)?);
        let certified = life(options.certificate_days)?;

        let root = parameters(*names, names.root(), ROOT, life(options.root_days)?, names.root_crl_points());
        let root = authority(root, 1);
        let root_certificate = root.self_signed(&keys.root.pair)?;
        let root_issuer = Issuer::new(root, &keys.root.pair);
        let pck_ca = parameters(*names, names.pck_ca(*ca), PCK_CA, certified, names.root_crl_points());
        let pck_ca = authority(pck_ca, 0);
        let pck_ca_certificate = pck_ca.signed_by(&keys.pck_ca.pair, &root_issuer)?;
        let pck_issuer = Issuer::new(pck_ca, &keys.pck_ca.pair);

        let mut pck = parameters(*names, &options.pck_name, PCK, certified, names.pck_crl_points(*ca));
        pck.custom_extensions =
            vec![CustomExtension::from_oid_content(&extension::OID, extension::value(options)?)];
        let signer =
            parameters(*names, &options.tcb_signer_name, TCB_SIGNER, certified, names.root_crl_points());
        Ok(Self {
            root_der: root_certificate.der().to_vec(),
            root: root_certificate.pem(),
            pck_ca: pck_ca_certificate.pem(),
            pck: pck.signed_by(&keys.pck.pair, &pck_issuer)?.pem(),
            tcb_signer: signer.signed_by(&keys.tcb_signer.pair, &root_issuer)?.pem(),
        })
    }

    /// CA, root.
    pub fn pck_crl_chain(&self) -> String {
        self.pck_ca.clone() + &self.root
    }

    /// TCB signer, root.
    pub fn tcb_chain(&self) -> String {
        self.tcb_signer.clone() + &self.root
    }
}

/// A CRL by the issuer of this name and key. `validity`: thisUpdate and nextUpdate.
pub fn crl(
    (names, common_name, key): (Names, &str, &Key),
    validity: (OffsetDateTime, OffsetDateTime),
    number: u64,
    revoked: &[u64],
) -> Result<Vec<u8>, Error> {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = names.subject(common_name);
    parameters.key_usages = vec![KeyUsagePurpose::CrlSign];
    let issuer: Issuer<'_, &KeyPair> = Issuer::new(parameters, &key.pair);
    let entry = |serial: &u64| RevokedCertParams {
        serial_number: SerialNumber::from(*serial),
        revocation_time: validity.0,
        reason_code: None,
        invalidity_date: None,
    };
    let list = CertificateRevocationListParams {
        this_update: validity.0,
        next_update: validity.1,
        crl_number: SerialNumber::from(number),
        issuing_distribution_point: None,
        revoked_certs: revoked.iter().map(entry).collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    Ok(list.signed_by(&issuer)?.der().to_vec())
}

/// The extensions of an end entity.
fn parameters(
    names: Names,
    common_name: &str,
    serial: u64,
    (from, to): (OffsetDateTime, OffsetDateTime),
    crl_distribution_points: Vec<CrlDistributionPoint>,
) -> CertificateParams {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = names.subject(common_name);
    (parameters.not_before, parameters.not_after) = (from, to);
    parameters.serial_number = Some(SerialNumber::from(serial));
    parameters.is_ca = IsCa::ExplicitNoCa;
    parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::ContentCommitment];
    parameters.use_authority_key_identifier_extension = true;
    parameters.crl_distribution_points = crl_distribution_points;
    parameters
}

fn authority(mut parameters: CertificateParams, path_length: u8) -> CertificateParams {
    parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(path_length));
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    parameters
}
