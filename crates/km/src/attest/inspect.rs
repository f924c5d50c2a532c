//! `inspect`: the contents of a quote and its certificates, which are not verified.

use super::error::Error;
use super::report::{Fields, enclave, platform, workload, write_document};
use crate::appraisal;
use serde_json::Value;
use std::io::Write;
use tcs_evidence::Evidence;
use tcs_verifier::{CertificateSummary, Inspection, inspect};

/// Version of the JSON document.
const JSON_VERSION: u32 = 1;

/// `behind`: how many bytes follow the quote in its file.
pub fn run(evidence: &Evidence, behind: usize, json: bool, out: &mut dyn Write) -> Result<(), Error> {
    let inspection = inspect(evidence).map_err(appraisal::Error::Refused)?;
    let fields = fields(&inspection, behind);
    if json {
        let certificates = inspection.certificates.iter().map(|entry| certificate(entry).json());
        let mut document = fields.value("version", JSON_VERSION).json();
        if let Value::Object(members) = &mut document {
            members.insert("certificates".into(), certificates.collect());
        }
        return Ok(write_document(&document, out)?);
    }
    writeln!(out, "NOT VERIFIED: anybody can write a quote that says this")?;
    if behind > 0 {
        writeln!(out, "{behind} bytes follow the quote: no verification accepts it with them")?;
    }
    fields.write(out)?;
    for entry in &inspection.certificates {
        Fields::new().group("certificate", certificate(entry)).write(out)?;
    }
    Ok(())
}

fn fields(inspection: &Inspection, behind: usize) -> Fields {
    Fields::new()
        .value("verified", false)
        .value("bytesBehindQuote", behind)
        .value("quoteVersion", inspection.version)
        .value("attestationKeyType", inspection.attestation_key_type)
        .hex("qeVendorId", inspection.qe_vendor_id)
        .hex("userData", inspection.user_data)
        .hex("reportData", inspection.report_data)
        .group("workload", workload(&inspection.workload))
        .group("quotingEnclave", enclave(&inspection.quoting_enclave))
        .group("platform", platform(&inspection.platform))
}

fn certificate(entry: &CertificateSummary) -> Fields {
    Fields::new()
        .value("subject", entry.subject.as_str())
        .value("issuer", entry.issuer.as_str())
        .value("serialNumber", entry.serial_number.as_str())
        .time("notBefore", entry.not_before)
        .time("notAfter", entry.not_after)
}
