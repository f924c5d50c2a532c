//! Collateral: what Intel publishes about platforms (RFC 9334: endorsements and reference values).

use crate::Error;
use crate::certificate::{ParsedCertificate, read_chain_of};
use crate::tcb_info;
use crate::validity::Validity;
use dcap_qvl::{QeIdentity, QuoteCollateralV3, TcbInfo};
use der::Decode;
use der::asn1::ObjectIdentifier;
use serde_json::error::Category;
use x509_cert::crl::CertificateList;

/// cRLNumber (RFC 5280, section 5.2.3).
const CRL_NUMBER: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.20");

/// The longest collateral that is accepted, in bytes. Real collateral has 15 to 25 KiB.
pub const MAX_COLLATERAL: usize = 1024 * 1024;

/// TCB info, QE identity, both CRLs and the chains of their issuers, parsed once. Only [`crate::verify`]
/// verifies them.
#[derive(Clone, Debug)]
pub struct Collateral {
    /// What dcap-qvl verifies. Of the chains of TCB info and QE identity it has the signer's certificate
    /// only, and no other chain: [`Self::for_dcap`].
    parts: QuoteCollateralV3,
    /// Levels in the order in which Intel's library tries them.
    pub(crate) tcb_info: TcbInfo,
    /// Why the form of the TCB info is refused, computed once.
    tcb_info_fault: Option<String>,
    pub(crate) qe_identity: QeIdentity,
    pub(crate) root_crl_number: u32,
    pub(crate) pck_crl_number: u32,
    pub(crate) tcb_info_validity: Validity,
    pub(crate) qe_identity_validity: Validity,
    pub(crate) root_crl_validity: Validity,
    pub(crate) pck_crl_validity: Validity,
    pub(crate) tcb_info_chain: [ParsedCertificate; 2],
    /// `None`: the same text as the TCB info's chain, as Intel publishes it.
    pub(crate) qe_identity_chain: Option<[ParsedCertificate; 2]>,
    pub(crate) pck_crl_chain: [ParsedCertificate; 2],
    /// The text of `pck_crl_chain`.
    pub(crate) pck_crl_chain_text: String,
}

impl Collateral {
    /// Reads the JSON form of dcap-qvl's `QuoteCollateralV3`, at most [`MAX_COLLATERAL`] bytes: chains as
    /// PEM, TCB info and QE identity as the exact signed texts, signatures and CRLs (DER) as hex.
    ///
    /// A member `pck_certificate_chain` is ignored: the quote carries its own chain, and there must be only
    /// one. Every chain must have exactly two certificates, the signer's and the root's
    /// (`docs/conformance.md`, Q8).
    pub fn from_json(json: &[u8]) -> Result<Self, Error> {
        if json.len() > MAX_COLLATERAL {
            return Err(Error::CollateralMalformed("longer than 1 MiB".into()));
        }
        let mut parts: QuoteCollateralV3 =
            serde_json::from_slice(json).map_err(|error| malformed("the collateral", &error))?;
        parts.pck_certificate_chain = None;

        let mut tcb_info: TcbInfo =
            serde_json::from_str(&parts.tcb_info).map_err(|error| malformed("TCB info", &error))?;
        let qe_identity: QeIdentity =
            serde_json::from_str(&parts.qe_identity).map_err(|error| malformed("QE identity", &error))?;
        let tcb_info_fault = tcb_info::sort_and_check(&mut tcb_info);
        let root_crl = read_crl("the root CA's CRL", &parts.root_ca_crl)?;
        let pck_crl = read_crl("the PCK CA's CRL", &parts.pck_crl)?;
        let chain = |what: &str, text: &str| {
            read_chain_of::<2>(what, text.as_bytes()).map_err(Error::CollateralMalformed)
        };
        let same_signer = parts.qe_identity_issuer_chain == parts.tcb_info_issuer_chain;
        let tcb_info_chain = chain("the TCB info's chain", &parts.tcb_info_issuer_chain)?;
        let qe_identity_chain = if same_signer {
            None
        } else {
            Some(chain("the QE identity's chain", &parts.qe_identity_issuer_chain)?)
        };
        let pck_crl_chain = chain("the PCK CRL's chain", &parts.pck_crl_issuer_chain)?;
        // Below the trust anchor dcap-qvl needs no root, and it would decode each text at every verification.
        parts.tcb_info_issuer_chain = signer(&tcb_info_chain);
        parts.qe_identity_issuer_chain = signer(qe_identity_chain.as_ref().unwrap_or(&tcb_info_chain));
        Ok(Self {
            tcb_info_validity: Validity::parse("the TCB info", &tcb_info.issue_date, &tcb_info.next_update)?,
            qe_identity_validity: Validity::parse(
                "the QE identity",
                &qe_identity.issue_date,
                &qe_identity.next_update,
            )?,
            root_crl_validity: root_crl.validity,
            pck_crl_validity: pck_crl.validity,
            root_crl_number: root_crl.number,
            pck_crl_number: pck_crl.number,
            tcb_info_fault,
            tcb_info_chain,
            qe_identity_chain,
            pck_crl_chain,
            pck_crl_chain_text: std::mem::take(&mut parts.pck_crl_issuer_chain),
            tcb_info,
            qe_identity,
            parts,
        })
    }

    /// The period in which TCB info, QE identity and both CRLs are all valid; after it, fresh collateral is
    /// needed. The certificate chains are not taken into account, and nothing is verified.
    #[must_use]
    pub fn validity(&self) -> Validity {
        let parts = [
            self.tcb_info_validity,
            self.qe_identity_validity,
            self.root_crl_validity,
            self.pck_crl_validity,
        ];
        let all = Validity { not_before: 0, not_after: u64::MAX };
        parts.into_iter().fold(all, |all, part| Validity {
            not_before: all.not_before.max(part.not_before),
            not_after: all.not_after.min(part.not_after),
        })
    }

    /// Refuses TCB info of an unknown form (`docs/conformance.md`, Q2, Q3 and Q15).
    pub(crate) fn check_tcb_info(&self) -> Result<(), Error> {
        self.tcb_info_fault.as_ref().map_or(Ok(()), |fault| Err(Error::CollateralMalformed(fault.clone())))
    }

    /// Refuses TCB info for another PCEID than the platform's (`docs/conformance.md`, Q1). dcap-qvl compares
    /// the FMSPC.
    pub(crate) fn check_pce_id(&self, pce_id: [u8; 2]) -> Result<(), Error> {
        if hex::decode(&self.tcb_info.pce_id).ok().as_deref() != Some(&pce_id) {
            let found = hex::decode(&self.tcb_info.pce_id).map_or_else(|_| "unknown".into(), hex::encode);
            let expected = hex::encode(pce_id);
            return Err(Error::CollateralMismatch(format!(
                "its TCB info is for the PCEID {found}, the platform's is {expected}"
            )));
        }
        Ok(())
    }

    /// The collateral for dcap-qvl, with the PCK certificate and the PCK CA's certificate of a quote as PEM.
    /// These were read and checked before, so that the quote's own text is not read a second time.
    pub(crate) fn for_dcap(&self, pck_chain: String) -> QuoteCollateralV3 {
        QuoteCollateralV3 { pck_certificate_chain: Some(pck_chain), ..self.parts.clone() }
    }

    pub(crate) fn qe_identity_chain(&self) -> &[ParsedCertificate; 2] {
        self.qe_identity_chain.as_ref().unwrap_or(&self.tcb_info_chain)
    }
}

/// The first certificate of a chain, in PEM.
fn signer([signer, _root]: &[ParsedCertificate; 2]) -> String {
    signer.to_pem()
}

/// The parts of a CRL that this crate uses.
struct Crl {
    validity: Validity,
    number: u32,
}

fn read_crl(what: &'static str, crl: &[u8]) -> Result<Crl, Error> {
    let malformed = |why: &str| Error::CollateralMalformed(format!("{what}: {why}"));
    let list: CertificateList =
        CertificateList::from_der(crl).map_err(|_| malformed("it is not a CRL in DER"))?;
    let list = list.tbs_cert_list;
    let next = list.next_update.ok_or_else(|| malformed("it has no nextUpdate"))?;
    let number = list.crl_extensions.iter().flatten().find(|extension| extension.extn_id == CRL_NUMBER);
    let number = number.ok_or_else(|| malformed("it has no number"))?;
    let number =
        u32::from_der(number.extn_value.as_bytes()).map_err(|_| malformed("its number is not below 2^32"))?;
    let validity = Validity {
        not_before: list.this_update.to_unix_duration().as_secs(),
        // webpki takes a CRL as expired at its nextUpdate. Certificates and Intel's texts are valid in their
        // last second.
        not_after: next.to_unix_duration().as_secs().saturating_sub(1),
    };
    Ok(Crl { validity, number })
}

/// Says where and how JSON is wrong, without repeating its text as the messages of the reader do.
fn malformed(what: &str, error: &serde_json::Error) -> Error {
    let how = match error.classify() {
        Category::Data => "a member that is missing, unknown or of another type",
        Category::Eof => "it ends too early",
        _ => "it is not JSON",
    };
    let (line, column) = (error.line(), error.column());
    Error::CollateralMalformed(format!("{what}: {how}, at line {line}, column {column}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dcap_qvl_is_given_only_the_certificates_below_the_trust_anchor() {
        let json = include_bytes!("../tests/data/dcap-qvl/sgx_quote_collateral.json");
        let collateral = Collateral::from_json(json).unwrap();
        let parts = collateral.for_dcap("the quote's".into());
        let signer = collateral.tcb_info_chain[0].der.as_slice();
        for chain in [&parts.tcb_info_issuer_chain, &parts.qe_identity_issuer_chain] {
            let found: Vec<_> =
                pem::parse_many(chain).unwrap().iter().map(|block| block.contents().to_vec()).collect();
            assert_eq!(found, [signer]);
        }
        assert_eq!(parts.pck_crl_issuer_chain, "");
        assert_eq!(parts.pck_certificate_chain.as_deref(), Some("the quote's"));
    }
}
