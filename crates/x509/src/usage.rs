//! Usages by their Kubernetes names (`certificates.k8s.io/v1` `KeyUsage`), and their form in a certificate.

use crate::{Error, encode, extension};
use der::asn1::{BitStringRef, ObjectIdentifier};

/// One usage. The variants are in the order of the key usage bits, then of the extended key usages as common
/// signers write them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the names are those of RFC 5280, sections 4.2.1.3 and 4.2.1.12")]
pub enum Usage {
    DigitalSignature,
    ContentCommitment,
    KeyEncipherment,
    DataEncipherment,
    KeyAgreement,
    CertSign,
    CrlSign,
    EncipherOnly,
    DecipherOnly,
    Any,
    ServerAuth,
    ClientAuth,
    CodeSigning,
    EmailProtection,
    IpsecEndSystem,
    IpsecTunnel,
    IpsecUser,
    Timestamping,
    OcspSigning,
    MicrosoftSgc,
    NetscapeSgc,
}

/// The 23 names: `signing` and `s/mime` are second names.
const NAMES: [(&str, Usage); 23] = [
    ("signing", Usage::DigitalSignature),
    ("digital signature", Usage::DigitalSignature),
    ("content commitment", Usage::ContentCommitment),
    ("key encipherment", Usage::KeyEncipherment),
    ("data encipherment", Usage::DataEncipherment),
    ("key agreement", Usage::KeyAgreement),
    ("cert sign", Usage::CertSign),
    ("crl sign", Usage::CrlSign),
    ("encipher only", Usage::EncipherOnly),
    ("decipher only", Usage::DecipherOnly),
    ("any", Usage::Any),
    ("server auth", Usage::ServerAuth),
    ("client auth", Usage::ClientAuth),
    ("code signing", Usage::CodeSigning),
    ("email protection", Usage::EmailProtection),
    ("s/mime", Usage::EmailProtection),
    ("ipsec end system", Usage::IpsecEndSystem),
    ("ipsec tunnel", Usage::IpsecTunnel),
    ("ipsec user", Usage::IpsecUser),
    ("timestamping", Usage::Timestamping),
    ("ocsp signing", Usage::OcspSigning),
    ("microsoft sgc", Usage::MicrosoftSgc),
    ("netscape sgc", Usage::NetscapeSgc),
];

impl Usage {
    /// Parses a Kubernetes name; `UsageUnknown` otherwise.
    pub fn parse(name: &str) -> Result<Self, Error> {
        NAMES.iter().find(|(known, _)| *known == name).map(|(_, usage)| *usage).ok_or(Error::UsageUnknown)
    }

    /// The names that are known, with their usages.
    pub fn names() -> impl Iterator<Item = (&'static str, Self)> {
        NAMES.into_iter()
    }

    /// Its first Kubernetes name.
    pub(crate) fn name(self) -> &'static str {
        NAMES.iter().find(|(_, usage)| *usage == self).map_or("unknown", |(name, _)| name)
    }

    /// Whether it would allow the key of the certificate to sign certificates or CRLs.
    #[must_use]
    pub fn is_signing(self) -> bool {
        matches!(self, Self::CertSign | Self::CrlSign)
    }

    /// Whether it is an extended key usage.
    pub(crate) fn is_extended(self) -> bool {
        self.extended().is_some()
    }

    pub(crate) fn key_usage_bit(self) -> Option<u8> {
        Some(match self {
            Self::DigitalSignature => 0,
            Self::ContentCommitment => 1,
            Self::KeyEncipherment => 2,
            Self::DataEncipherment => 3,
            Self::KeyAgreement => 4,
            Self::CertSign => extension::KEY_CERT_SIGN,
            Self::CrlSign => extension::CRL_SIGN,
            Self::EncipherOnly => 7,
            Self::DecipherOnly => 8,
            _ => return None,
        })
    }

    /// The identifier of an extended key usage.
    #[must_use]
    pub fn extended(self) -> Option<ObjectIdentifier> {
        Some(ObjectIdentifier::new_unwrap(match self {
            Self::Any => "2.5.29.37.0",
            Self::ServerAuth => "1.3.6.1.5.5.7.3.1",
            Self::ClientAuth => "1.3.6.1.5.5.7.3.2",
            Self::CodeSigning => "1.3.6.1.5.5.7.3.3",
            Self::EmailProtection => "1.3.6.1.5.5.7.3.4",
            Self::IpsecEndSystem => "1.3.6.1.5.5.7.3.5",
            Self::IpsecTunnel => "1.3.6.1.5.5.7.3.6",
            Self::IpsecUser => "1.3.6.1.5.5.7.3.7",
            Self::Timestamping => "1.3.6.1.5.5.7.3.8",
            Self::OcspSigning => "1.3.6.1.5.5.7.3.9",
            Self::MicrosoftSgc => "1.3.6.1.4.1.311.10.3.3",
            Self::NetscapeSgc => "2.16.840.1.113730.4.1",
            _ => return None,
        }))
    }
}

/// The value of keyUsage: a BIT STRING without trailing zero bits; `None` if no bit is set.
pub fn key_usage(usages: &[Usage]) -> Result<Option<Vec<u8>>, Error> {
    let bits: Vec<u8> = usages.iter().filter_map(|usage| usage.key_usage_bit()).collect();
    let Some(last) = bits.iter().max().copied() else { return Ok(None) };
    let mut bytes = [0u8; 2];
    for bit in &bits {
        if let Some(byte) = bytes.get_mut(usize::from(bit / 8)) {
            *byte |= 0x80 >> (bit % 8);
        }
    }
    let used = bytes.get(..=usize::from(last / 8)).ok_or(Error::Encoding)?;
    let value = BitStringRef::new(7 - last % 8, used).map_err(|_| Error::Encoding)?;
    encode::der(&value).map(Some)
}

/// The value of extKeyUsage, without duplicates, in the order of [`Usage`]; `None` if there is none.
pub fn extended_key_usage(usages: &[Usage]) -> Result<Option<Vec<u8>>, Error> {
    let mut sorted = usages.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    let parts = sorted.iter().filter_map(|usage| usage.extended()).map(|id| encode::der(&id));
    let parts = parts.collect::<Result<Vec<_>, _>>()?;
    if parts.is_empty() {
        return Ok(None);
    }
    let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
    encode::sequence(&parts).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use der::Decode as _;

    #[test]
    fn b06_usage_mapping() {
        let parsed: Vec<Usage> = NAMES.iter().map(|(name, _)| Usage::parse(name).unwrap()).collect();
        assert_eq!(parsed.len(), 23);
        assert_eq!(Usage::parse("signing"), Usage::parse("digital signature"));
        assert_eq!(Usage::parse("s/mime"), Usage::parse("email protection"));
        assert_eq!(Usage::parse("Server Auth"), Err(Error::UsageUnknown));
        let bits = [Usage::DigitalSignature, Usage::KeyEncipherment];
        assert_eq!(key_usage(&bits).unwrap().unwrap(), [0x03, 0x02, 0x05, 0xa0]);
        assert_eq!(key_usage(&[Usage::DecipherOnly]).unwrap().unwrap(), [0x03, 0x03, 0x07, 0x00, 0x80]);
        assert_eq!(key_usage(&[Usage::ServerAuth]).unwrap(), None);
        let twice = [Usage::ClientAuth, Usage::ServerAuth, Usage::ClientAuth];
        let ordered = extended_key_usage(&twice).unwrap().unwrap();
        assert_eq!(ordered, extended_key_usage(&[Usage::ServerAuth, Usage::ClientAuth]).unwrap().unwrap());
        assert_eq!(ordered.len(), 2 + 10 + 10);
        // Every name at once: each key usage bit, each extended usage once and in the field's order.
        assert_eq!(key_usage(&parsed).unwrap().unwrap(), [0x03, 0x03, 0x07, 0xff, 0x80]);
        let all = extended_key_usage(&parsed).unwrap().unwrap();
        let mut ids = Vec::<ObjectIdentifier>::from_der(&all).unwrap().into_iter().map(|id| id.to_string());
        assert_eq!(ids.next().unwrap(), "2.5.29.37.0");
        for last in 1..=9 {
            assert_eq!(ids.next().unwrap(), format!("1.3.6.1.5.5.7.3.{last}"));
        }
        let rest: Vec<String> = ids.collect();
        assert_eq!(rest, ["1.3.6.1.4.1.311.10.3.3", "2.16.840.1.113730.4.1"]);
    }
}
