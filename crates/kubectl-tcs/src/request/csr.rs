//! The PKCS#10 request (RFC 2986), encoded by the types of `x509-cert`.

use super::key::NewKey;
use crate::error::Error;
use der::asn1::{Any, BitString, OctetString, SetOfVec, Utf8StringRef};
use der::{Decode, Encode};
use spki::SubjectPublicKeyInfoOwned;
use x509_cert::attr::{Attribute, AttributeTypeAndValue};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::name::{Name, RdnSequence, RelativeDistinguishedName};
use x509_cert::request::{CertReq, CertReqInfo, ExtensionReq, Version};

/// A signed request for these names, PEM. The reader of the signer checks it first, so that whatever it would
/// refuse is refused before anything is sent.
pub fn build(key: &NewKey, common_name: Option<&str>, names: &[GeneralName]) -> Result<Vec<u8>, Error> {
    let encoding = |error: der::Error| Error::RequestNotMade(format!("it cannot be encoded ({error})"));
    let request = encode(key, common_name, names).map_err(encoding)??;
    tcs_x509::CertificateRequest::from_der(&request)
        .map_err(|error| Error::RequestNotMade(format!("the signer would refuse it: {error}")))?;
    Ok(tcs_pem::encode("CERTIFICATE REQUEST", &request).into_bytes())
}

fn encode(
    key: &NewKey,
    common_name: Option<&str>,
    names: &[GeneralName],
) -> Result<Result<Vec<u8>, Error>, der::Error> {
    let subject = subject(common_name)?;
    let mut attributes = SetOfVec::new();
    if !names.is_empty() {
        let is_critical = subject.is_empty();
        attributes.insert(extension_request(names, is_critical)?)?;
    }
    let public_key = SubjectPublicKeyInfoOwned::from_der(key.spki())?;
    let info = CertReqInfo { version: Version::V1, subject, public_key, attributes };
    let signature = match key.sign(&info.to_der()?) {
        Ok(signature) => BitString::from_bytes(&signature)?,
        Err(error) => return Ok(Err(error)),
    };
    CertReq { info, algorithm: key.algorithm(), signature }.to_der().map(Ok)
}

/// A subject with this common name or, without one, no attributes.
fn subject(common_name: Option<&str>) -> Result<Name, der::Error> {
    let mut all = RdnSequence::default();
    if let Some(text) = common_name {
        let value = Any::encode_from(&Utf8StringRef::new(text)?)?;
        let attribute = AttributeTypeAndValue { oid: const_oid::db::rfc4519::CN, value };
        let mut set = SetOfVec::new();
        set.insert(attribute)?;
        all.push(RelativeDistinguishedName::from(set));
    }
    Name::from_der(&all.to_der()?)
}

/// RFC 5280, section 4.2.1.6: the alternative names are critical if the subject is empty.
fn extension_request(names: &[GeneralName], critical: bool) -> Result<Attribute, der::Error> {
    let value = OctetString::new(SubjectAltName(names.to_vec()).to_der()?)?;
    let extn_id = const_oid::db::rfc5280::ID_CE_SUBJECT_ALT_NAME;
    ExtensionReq(vec![Extension { extn_id, critical, extn_value: value }]).try_into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::KeyChoice;
    use der::asn1::Ia5String;
    use tcs_x509::CertificateRequest;

    fn dns(name: &str) -> GeneralName {
        GeneralName::DnsName(Ia5String::new(name).unwrap())
    }

    fn read(pem: &[u8]) -> CertificateRequest {
        CertificateRequest::from_der(&tcs_pem::one(pem, "CERTIFICATE REQUEST").unwrap()).unwrap()
    }

    #[test]
    fn requests_of_every_algorithm_prove_possession() {
        for choice in [KeyChoice::EcdsaP256, KeyChoice::EcdsaP384, KeyChoice::Rsa3072, KeyChoice::Ed25519] {
            let key = NewKey::generate(choice).unwrap();
            let request = read(&build(&key, Some("a.example"), &[dns("a.example")]).unwrap());
            assert_eq!(request.spki_raw(), key.spki());
            assert!(!request.is_subject_empty() && request.san_raw().is_some() && !request.requests_ca());
            let private = tcs_pem::private_key(key.pem().as_bytes()).unwrap();
            assert_eq!(private.encoding, tcs_pem::PrivateKeyEncoding::Pkcs8);
        }
    }

    #[test]
    fn a_request_may_have_no_subject() {
        let key = NewKey::generate(KeyChoice::EcdsaP256).unwrap();
        let address = GeneralName::from("10.1.2.3".parse::<std::net::IpAddr>().unwrap());
        assert!(read(&build(&key, None, &[address]).unwrap()).is_subject_empty());
    }

    #[test]
    fn what_the_signer_would_refuse_is_never_sent() {
        let key = NewKey::generate(KeyChoice::EcdsaP256).unwrap();
        for names in [dns("*"), dns("a..b"), dns("10.1.2.3")] {
            let error = build(&key, None, &[names]).unwrap_err();
            assert_eq!(error.code(), "RequestNotMade");
        }
        let error = build(&key, Some("system:masters"), &[]).unwrap_err();
        assert!(error.to_string().contains("system:"), "{error}");
    }
}
