//! Reads a quote without verifying it.

use crate::Error;
use crate::certificate::{ParsedCertificate, PckCa, read_chain};
use crate::claims::{Enclave, Platform, Workload};
use crate::sgx_extension::SgxExtension;
use crate::validity::Validity;
use der::Decode;
use tcs_evidence::{Evidence, Quote};
use x509_cert::Certificate;

/// The contents of a quote. **Nothing is verified**: anybody can write a quote with these contents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// Version of the layout.
    pub version: u16,
    /// Attestation key type; 2 is ECDSA on P-256.
    pub attestation_key_type: u16,
    /// Vendor of the quoting enclave.
    pub qe_vendor_id: [u8; 16],
    /// Data that the quoting enclave wrote for its own use.
    pub user_data: [u8; 20],
    /// What made the quote.
    pub workload: Workload,
    /// `report_data`.
    pub report_data: [u8; 64],
    /// The quoting enclave.
    pub quoting_enclave: Enclave,
    /// Certificates of the chain, leaf first.
    pub certificates: Vec<CertificateSummary>,
    /// What the PCK certificate says about the machine.
    pub platform: Platform,
}

/// The parts of a certificate that people compare.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateSummary {
    /// Subject (RFC 4514).
    pub subject: String,
    /// Issuer (RFC 4514).
    pub issuer: String,
    /// Serial number, hex.
    pub serial_number: String,
    /// First second of the validity, Unix time.
    pub not_before: u64,
    /// Last second of the validity, Unix time.
    pub not_after: u64,
}

/// Reads a quote and its certificates. Verifies nothing.
pub fn inspect(evidence: &Evidence) -> Result<Inspection, Error> {
    let malformed = |error: tcs_evidence::Error| Error::QuoteMalformed(error.to_string());
    let quote = evidence.quote().map_err(malformed)?;
    let signature_data = quote.signature_data().map_err(malformed)?;
    let chain = read_chain("the certificate chain of the quote", signature_data.pck_chain())
        .map_err(Error::QuoteMalformed)?;
    let leaf = chain.first().ok_or_else(|| {
        Error::QuoteMalformed("the certificate chain of the quote has 0 certificates, expected 3".into())
    })?;
    let ca = PckCa::of(leaf).ok_or_else(|| {
        Error::QuoteRefused("its PCK certificate is of neither the Processor nor the Platform CA".into())
    })?;
    let extension = SgxExtension::read(leaf)?;
    let summary = |parsed: &ParsedCertificate| {
        let certificate = Certificate::from_der(&parsed.der)
            .map_err(|_| Error::QuoteMalformed("a certificate of its chain is not in DER".into()))?;
        let Validity { not_before, not_after } = parsed.validity;
        let tbs = certificate.tbs_certificate();
        Ok(CertificateSummary {
            subject: tbs.subject().to_string(),
            issuer: tbs.issuer().to_string(),
            serial_number: hex::encode(tbs.serial_number().as_bytes()),
            not_before,
            not_after,
        })
    };
    let header = quote.header();
    Ok(Inspection {
        version: header.version(),
        attestation_key_type: header.attestation_key_type(),
        qe_vendor_id: header.qe_vendor_id(),
        user_data: header.user_data(),
        workload: match &quote {
            Quote::Sgx(quote) => Workload::Enclave(quote.report().into()),
            Quote::Tdx(quote) => Workload::TrustDomain(Box::new(quote.report().into())),
        },
        report_data: quote.report_data(),
        quoting_enclave: signature_data.qe_report().into(),
        certificates: chain.iter().map(summary).collect::<Result<_, Error>>()?,
        platform: extension.platform(ca),
    })
}
