//! Certificates, as they are shown.

use crate::time::shown_seconds;
use aws_lc_rs::digest::{SHA256, digest};
use der::{Decode, Reader, SliceReader};
use serde_json::{Value, json};
use std::net::IpAddr;
use tcs_x509::{CaChain, Usage};
use x509_cert::Certificate as Parsed;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAltName};
use x509_cert::name::Name;

/// The label of certificates in PEM.
const LABEL: &str = "CERTIFICATE";

/// A certificate, parsed.
#[derive(Clone, Debug)]
pub struct Certificate {
    der: Vec<u8>,
    parsed: Parsed,
    /// The bytes that its signature covers.
    signed: Vec<u8>,
    /// SHA-256 of the DER, lower-case hex.
    pub fingerprint: String,
    /// The common name of the subject, if it has exactly one that can be read.
    pub common_name: Option<String>,
}

impl Certificate {
    /// Reads all certificates of a PEM text: one or more, and no other blocks.
    pub fn all(pem: &[u8]) -> Result<Vec<Self>, String> {
        let blocks = tcs_pem::all(pem, LABEL).map_err(|error| error.to_string())?;
        let read = |(number, der): (usize, zeroize::Zeroizing<Vec<u8>>)| {
            Self::from_der(&der).map_err(|error| format!("certificate {number}: {error}"))
        };
        (1..).zip(blocks).map(read).collect()
    }

    /// Reads a certificate.
    pub fn from_der(bytes: &[u8]) -> Result<Self, String> {
        let not_der = |error: der::Error| format!("it is not a DER certificate ({error})");
        let parsed = Parsed::from_der(bytes).map_err(not_der)?;
        let mut reader = SliceReader::new(bytes).map_err(not_der)?;
        let signed = reader.sequence(|inner| {
            let signed = inner.tlv_bytes()?.to_vec();
            inner.tlv_bytes()?;
            inner.tlv_bytes()?;
            Ok::<_, der::Error>(signed)
        });
        let signed = signed.map_err(not_der)?;
        Ok(Self {
            fingerprint: hex::encode(digest(&SHA256, bytes)),
            common_name: common_name(parsed.tbs_certificate().subject()),
            der: bytes.to_vec(),
            parsed,
            signed,
        })
    }

    /// Whether the key of another certificate, which must be a CA certificate, signed this one. The names
    /// must fit, too.
    #[must_use]
    pub fn is_signed_by(&self, other: &Self) -> bool {
        if self.parsed.tbs_certificate().issuer() != other.parsed.tbs_certificate().subject() {
            return false;
        }
        let (Ok(ca), Some(signature)) =
            (CaChain::from_accepted(&[&other.der]), self.parsed.signature().as_bytes())
        else {
            return false;
        };
        ca.verify(&self.signed, signature).is_ok()
    }

    /// The public key, DER `SubjectPublicKeyInfo`.
    #[must_use]
    pub fn public_key(&self) -> Option<Vec<u8>> {
        der::Encode::to_der(self.parsed.tbs_certificate().subject_public_key_info()).ok()
    }

    /// Subject, as RFC 4514 writes it; empty if it has no attributes.
    #[must_use]
    pub fn subject(&self) -> String {
        self.parsed.tbs_certificate().subject().to_string()
    }

    /// Issuer, as RFC 4514 writes it.
    #[must_use]
    pub fn issuer(&self) -> String {
        self.parsed.tbs_certificate().issuer().to_string()
    }

    /// Serial number, lower-case hex.
    #[must_use]
    pub fn serial(&self) -> String {
        hex::encode(self.parsed.tbs_certificate().serial_number().as_bytes())
    }

    /// First and last second in which it is valid, Unix seconds.
    #[must_use]
    pub fn validity(&self) -> (i64, i64) {
        let validity = self.parsed.tbs_certificate().validity();
        let seconds = |time: x509_cert::time::Time| i64::try_from(time.to_unix_duration().as_secs());
        (seconds(validity.not_before).unwrap_or(i64::MAX), seconds(validity.not_after).unwrap_or(i64::MAX))
    }

    /// The subject alternative names, each with its kind.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        match self.parsed.tbs_certificate().get_extension::<SubjectAltName>() {
            Ok(None) => Vec::new(),
            Ok(Some((_, SubjectAltName(names)))) => shown_names(&names),
            Err(_) => vec!["unreadable".to_owned()],
        }
    }

    /// The usages, by their Kubernetes names where they have one.
    #[must_use]
    pub fn usages(&self) -> Vec<String> {
        let certificate = self.parsed.tbs_certificate();
        let mut usages = Vec::new();
        match certificate.get_extension::<KeyUsage>() {
            Ok(None) => {}
            Ok(Some((_, usage))) => usages.extend(key_usages(usage)),
            Err(_) => usages.push("unreadable key usage".to_owned()),
        }
        match certificate.get_extension::<ExtendedKeyUsage>() {
            Ok(None) => {}
            Ok(Some((_, ExtendedKeyUsage(all)))) => usages.extend(all.iter().map(|id| {
                let known = Usage::names().find(|(_, usage)| usage.extended().as_ref() == Some(id));
                known.map_or_else(|| id.to_string(), |(name, _)| name.to_owned())
            })),
            Err(_) => usages.push("unreadable extended key usage".to_owned()),
        }
        usages
    }

    /// Whether it is a CA certificate.
    #[must_use]
    pub fn is_ca(&self) -> bool {
        let constraints = self.parsed.tbs_certificate().get_extension::<BasicConstraints>();
        constraints.ok().flatten().is_some_and(|(_, constraints)| constraints.ca)
    }

    /// The JSON document.
    #[must_use]
    pub fn document(&self) -> Value {
        let (not_before, not_after) = self.validity();
        json!({
            "subject": self.subject(),
            "commonName": self.common_name,
            "issuer": self.issuer(),
            "serialNumber": self.serial(),
            "notBefore": shown_seconds(not_before),
            "notAfter": shown_seconds(not_after),
            "names": self.names(),
            "usages": self.usages(),
            "isCa": self.is_ca(),
            "fingerprint": self.fingerprint,
        })
    }
}

/// The first certificate of a PEM text that somebody else wrote, if it can be read.
#[must_use]
pub fn first_of_pem(pem: &str) -> Option<Certificate> {
    Certificate::all(pem.as_bytes()).ok()?.into_iter().next()
}

fn common_name(subject: &Name) -> Option<String> {
    subject.common_name().ok().flatten().map(|name| name.value().into_owned())
}

fn key_usages(usage: KeyUsage) -> Vec<String> {
    let bits = [
        (usage.digital_signature(), "digital signature"),
        (usage.non_repudiation(), "content commitment"),
        (usage.key_encipherment(), "key encipherment"),
        (usage.data_encipherment(), "data encipherment"),
        (usage.key_agreement(), "key agreement"),
        (usage.key_cert_sign(), "cert sign"),
        (usage.crl_sign(), "crl sign"),
        (usage.encipher_only(), "encipher only"),
        (usage.decipher_only(), "decipher only"),
    ];
    bits.into_iter().filter(|(set, _)| *set).map(|(_, name)| name.to_owned()).collect()
}

/// Names as [`Certificate::names`] shows them.
#[must_use]
pub fn shown_names(names: &[GeneralName]) -> Vec<String> {
    names.iter().map(shown_name).collect()
}

fn shown_name(name: &GeneralName) -> String {
    match name {
        GeneralName::DnsName(name) => format!("DNS:{name}"),
        GeneralName::Rfc822Name(name) => format!("email:{name}"),
        GeneralName::UniformResourceIdentifier(name) => format!("URI:{name}"),
        GeneralName::IpAddress(bytes) => format!("IP:{}", shown_address(bytes.as_bytes())),
        GeneralName::DirectoryName(name) => format!("directory name:{name}"),
        GeneralName::RegisteredId(id) => format!("registered id:{id}"),
        GeneralName::OtherName(other) => format!("other name:{}", other.type_id),
        GeneralName::EdiPartyName(_) => "EDI party name".to_owned(),
    }
}

fn shown_address(bytes: &[u8]) -> String {
    let four = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    let address = four.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from));
    address.map_or_else(|_| hex::encode(bytes), |address| address.to_string())
}
