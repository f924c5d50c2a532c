//! The platform's PKI. Names that a verifier looks for stay (PCK leaf, TCB signer, the word Platform); all others, and
//! O and OU everywhere, say what this is.

use crate::{Error, Options, extension, key::Key};
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertificateRevocationListParams, CustomExtension,
    DistinguishedName, DnType, IsCa, Issuer, KeyIdMethod, KeyUsagePurpose, SerialNumber,
};
use time::{Duration, OffsetDateTime};

const MARK: &str = "TCS SIMULATION - NOT A TEE";
/// Certificates and collateral begin a day early, for clocks that lag.
pub const EARLY: Duration = Duration::days(1);
const LIFE: Duration = Duration::days(3650);

/// Everything that signs, and what it signed.
pub struct Authorities {
    pub root: Key,
    pub platform_ca: Key,
    pub pck: Key,
    pub tcb_signer: Key,
    pub attestation: Key,
    pub root_certificate: Certificate,
    pub platform_ca_certificate: Certificate,
    pub pck_certificate: Certificate,
    pub tcb_signer_certificate: Certificate,
    pub root_crl: Vec<u8>,
    pub pck_crl: Vec<u8>,
}

impl Authorities {
    pub fn make(now: i64, options: &Options) -> Result<Self, Error> {
        let now = OffsetDateTime::from_unix_timestamp(now).map_err(|_| Error::Time)?;
        let (root, platform_ca, pck) = (Key::make()?, Key::make()?, Key::make()?);
        let (tcb_signer, attestation) = (Key::make()?, Key::make()?);

        let root_parameters = parameters("TCS SIMULATION ROOT - NOT A TEE", Some(1), now, 1);
        let root_certificate = root_parameters.self_signed(&root.pair)?;
        let root_issuer = Issuer::new(root_parameters, &root.pair);
        let ca_parameters = parameters("TCS Simulated PCK Platform CA", Some(0), now, 2);
        let platform_ca_certificate = ca_parameters.signed_by(&platform_ca.pair, &root_issuer)?;
        let ca_issuer = Issuer::new(ca_parameters, &platform_ca.pair);

        let mut leaf = parameters("Intel SGX PCK Certificate", None, now, 3);
        leaf.custom_extensions =
            vec![CustomExtension::from_oid_content(&extension::OID, extension::value()?)];
        let pck_certificate = leaf.signed_by(&pck.pair, &ca_issuer)?;
        let signer = parameters("Intel SGX TCB Signing", None, now, 4);
        let tcb_signer_certificate = signer.signed_by(&tcb_signer.pair, &root_issuer)?;

        let (root_crl, pck_crl) = (crl(&root_issuer, now, options)?, crl(&ca_issuer, now, options)?);
        Ok(Self {
            root,
            platform_ca,
            pck,
            tcb_signer,
            attestation,
            root_certificate,
            platform_ca_certificate,
            pck_certificate,
            tcb_signer_certificate,
            root_crl,
            pck_crl,
        })
    }

    /// Leaf, CA, root: what a quote carries.
    pub fn pck_chain(&self) -> String {
        self.pck_certificate.pem() + &self.pck_crl_chain()
    }

    /// CA, root.
    pub fn pck_crl_chain(&self) -> String {
        self.platform_ca_certificate.pem() + &self.root_certificate.pem()
    }

    /// TCB signer, root.
    pub fn tcb_chain(&self) -> String {
        self.tcb_signer_certificate.pem() + &self.root_certificate.pem()
    }
}

fn parameters(name: &str, path_length: Option<u8>, now: OffsetDateTime, serial: u64) -> CertificateParams {
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, name);
    subject.push(DnType::OrganizationName, MARK);
    subject.push(DnType::OrganizationalUnitName, MARK);
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = subject;
    parameters.not_before = now - EARLY;
    parameters.not_after = now + LIFE;
    parameters.serial_number = Some(SerialNumber::from(serial));
    parameters.use_authority_key_identifier_extension = true;
    if let Some(length) = path_length {
        parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(length));
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    } else {
        parameters.is_ca = IsCa::ExplicitNoCa;
        parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::ContentCommitment];
    }
    parameters
}

fn crl(
    issuer: &Issuer<'_, &rcgen::KeyPair>,
    now: OffsetDateTime,
    options: &Options,
) -> Result<Vec<u8>, Error> {
    let list = CertificateRevocationListParams {
        this_update: now - EARLY,
        next_update: now + Duration::days(options.collateral_days),
        crl_number: SerialNumber::from(1u64),
        issuing_distribution_point: None,
        revoked_certs: Vec::new(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    Ok(list.signed_by(issuer)?.der().to_vec())
}
