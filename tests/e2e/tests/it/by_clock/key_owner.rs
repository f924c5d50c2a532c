//! The key owner, who makes a new CA each time that one is requested.

use crate::by_clock::time::DAY;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use rcgen::{BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, KeyPair};
use std::collections::BTreeMap;
use std::time::Duration;
use tcs_api::v1alpha1::{QuoteAttestation, QuoteAttestationStatus, QuoteCondition, SecretEntry};
use tcs_keywrap::WrapFormat;

/// What kind of CA the key owner makes.
pub enum KeyOwner {
    /// The issuer is self-signed, so nobody delivers.
    Nobody,
    /// A new key and certificate of the same name.
    NewKey,
    /// A new certificate of this key.
    SameKey(Box<KeyPair>),
    /// A new intermediate below this root.
    BelowRoot(Box<KeyPair>),
}

/// A CA that the key owner made.
struct NewCa {
    /// Private key, PKCS #8 DER.
    key: Vec<u8>,
    /// Certificates, PEM, the issuing one first.
    chain: String,
}

impl KeyOwner {
    /// Answers an offer for a signer: writes the status of the attestation and returns the Secret, whose
    /// version is `number`. With `mistaken` the key in it is not that of the certificate. `Nobody` answers
    /// nothing.
    pub fn deliver(
        &self,
        attestation: &mut QuoteAttestation,
        signer: String,
        number: u64,
        mistaken: bool,
        now: i64,
    ) -> Option<Secret> {
        let NewCa { key, chain } = self.new_ca(now)?;
        let key = if mistaken { KeyPair::generate().unwrap().serialize_der() } else { key };
        let spki = pem_rfc7468::decode_vec(&attestation.spec.public_key.0).unwrap().1;
        let wrapped = tcs_keywrap::wrap(&spki, WrapFormat::KmraV1Sha256, &key).unwrap();
        let mut secret = Secret::default();
        secret.metadata.uid = Some("secret".into());
        secret.metadata.resource_version = Some(number.to_string());
        secret.data = Some(BTreeMap::from([
            ("tls.key".to_owned(), ByteString(STANDARD.encode(wrapped).into_bytes())),
            ("tls.crt".to_owned(), ByteString(STANDARD.encode(chain).into_bytes())),
        ]));
        let ready = QuoteCondition {
            type_: Some("CASecretReady".into()),
            status: Some("true".into()),
            ..QuoteCondition::default()
        };
        let entry = SecretEntry { secret_name: "wrapped".into(), secret_type: Some("KMRA".into()) };
        attestation.status = Some(QuoteAttestationStatus {
            conditions: vec![ready],
            secrets: BTreeMap::from([(signer, entry)]),
        });
        Some(secret)
    }

    fn new_ca(&self, now: i64) -> Option<NewCa> {
        let fresh = KeyPair::generate().unwrap();
        let (key, chain) = match self {
            Self::Nobody => return None,
            Self::NewKey => {
                let certificate = parameters("CA", now).self_signed(&fresh).unwrap();
                (&fresh, certificate.pem())
            }
            Self::SameKey(key) => {
                let certificate = parameters("CA", now).self_signed(key.as_ref()).unwrap();
                (key.as_ref(), certificate.pem())
            }
            Self::BelowRoot(root_key) => {
                let mut root = parameters("Root", now);
                root.serial_number = Some(1u64.into());
                (root.not_before, root.not_after) =
                    (rcgen::date_time_ymd(2026, 1, 1), rcgen::date_time_ymd(2040, 1, 1));
                let certificate = root.clone().self_signed(root_key.as_ref()).unwrap();
                let above = rcgen::Issuer::from_params(&root, root_key.as_ref());
                let below = parameters("Intermediate", now).signed_by(&fresh, &above).unwrap();
                (&fresh, below.pem() + &certificate.pem())
            }
        };
        Some(NewCa { key: key.serialize_der(), chain })
    }
}

/// A CA certificate that is valid from a day ago, for 400 days.
fn parameters(name: &str, now: i64) -> CertificateParams {
    let since_1970 = Duration::from_secs(u64::try_from(now - DAY).unwrap());
    let start = rcgen::date_time_ymd(1970, 1, 1) + since_1970;
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, name);
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.use_authority_key_identifier_extension = true;
    (parameters.not_before, parameters.not_after) = (start, start + Duration::from_hours(400 * 24));
    parameters
}
