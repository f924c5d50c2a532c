//! Quotes by the simulated quoting enclaves: header, report body, signature data (`sgx_quote_3.h`,
//! `sgx_quote_4.h`, `sgx_quote_5.h`).

mod digest;
mod enclave;
mod shape;
mod td;

pub use enclave::Enclave;
pub use shape::QuoteShape;
pub use td::{TEE_TCB_SVN, Td, TdVersion, module_signer};

use crate::error::Error;
use crate::key::Key;
use crate::parts::PlatformParts;
use crate::tee::Tee;

const USER_DATA: &[u8; 20] = b"SIMULATION NOT A TEE";
/// Type of the certification data that contains the QE report and the certification data proper.
const QE_REPORT_CERTIFICATION_DATA: u16 = 6;

/// What is quoted, and in which format.
struct Subject {
    tee: Tee,
    /// Version of the quote's layout: 3, 4 or 5.
    version: u16,
    /// Type of the body, which only version 5 contains.
    body_type: u16,
    body: Vec<u8>,
}

/// A quote of an enclave.
pub fn of_enclave(platform: &PlatformParts, enclave: &Enclave, shape: &QuoteShape) -> Result<Vec<u8>, Error> {
    let body = enclave.report(platform.options.cpu_svn);
    build(platform, &Subject { tee: Tee::Sgx, version: shape.sgx_layout, body_type: 1, body }, shape)
}

/// A quote of a trust domain.
pub fn of_td(platform: &PlatformParts, td: &Td, shape: &QuoteShape) -> Result<Vec<u8>, Error> {
    let (version, body_type) = td.version.layout();
    build(platform, &Subject { tee: Tee::Tdx, version, body_type, body: td.report() }, shape)
}

fn build(platform: &PlatformParts, subject: &Subject, shape: &QuoteShape) -> Result<Vec<u8>, Error> {
    let qe = shape.qe.clone().unwrap_or_else(|| Enclave::quoting(subject.tee));
    let mut quote = header(platform, subject, &qe, shape);
    if subject.version == 5 {
        quote.extend(subject.body_type.to_le_bytes());
        quote.extend(length(subject.body.len())?);
    }
    quote.extend(&subject.body);

    let stranger = if shape.ak_swap { Some(Key::make()?) } else { None };
    let signer = stranger.as_ref().unwrap_or(&platform.keys.attestation);
    let mut signature = signer.sign(&quote)?;
    signature.extend(signer.point()?);
    let certification = certification(platform, qe, shape)?;
    if subject.version > 3 {
        signature.extend(QE_REPORT_CERTIFICATION_DATA.to_le_bytes());
        signature.extend(length(certification.len())?);
    }
    signature.extend(certification);
    signature.extend(&shape.trailing_inside);

    quote.extend(length(signature.len())?);
    quote.extend(signature);
    quote.extend(&shape.trailing);
    Ok(quote)
}

/// 48 bytes. Versions 4 and 5 leave the place of the two SVNs unused.
fn header(platform: &PlatformParts, subject: &Subject, qe: &Enclave, shape: &QuoteShape) -> Vec<u8> {
    let (kind, qe_svn, pce_svn) = match subject.tee {
        Tee::Sgx => (0, qe.isv_svn, platform.options.pce_svn),
        Tee::Tdx => (0x81, 0, 0),
    };
    let mut header = Vec::with_capacity(6 * 1024);
    header.extend(shape.version.unwrap_or(subject.version).to_le_bytes());
    header.extend(shape.key_type.to_le_bytes());
    header.extend(shape.tee_type.unwrap_or(kind).to_le_bytes());
    header.extend(qe_svn.to_le_bytes());
    header.extend(pce_svn.to_le_bytes());
    header.extend(shape.vendor_id);
    header.extend(USER_DATA);
    header
}

/// QE report and its signature, authentication data, PCK chain. The report binds the platform's attestation
/// key.
fn certification(platform: &PlatformParts, mut qe: Enclave, shape: &QuoteShape) -> Result<Vec<u8>, Error> {
    let point = platform.keys.attestation.point()?;
    let bound = digest::sha256(&[point.as_slice(), &shape.auth_data].concat());
    qe.report_data = [0; 64];
    for (to, from) in qe.report_data.iter_mut().zip(bound) {
        *to = from;
    }
    let mut data = qe.report(platform.options.cpu_svn);
    data.extend(platform.keys.pck.sign(&data)?);
    let authentication = u16::try_from(shape.auth_data.len()).map_err(|_| Error::TooLong)?;
    data.extend(authentication.to_le_bytes());
    data.extend(&shape.auth_data);
    data.extend(shape.certification_type.to_le_bytes());
    let own = || platform.pck_chain().into_bytes();
    let chain = shape.certification_data.clone().unwrap_or_else(own);
    data.extend(length(chain.len())?);
    data.extend(chain);
    Ok(data)
}

fn length(length: usize) -> Result<[u8; 4], Error> {
    u32::try_from(length).map(u32::to_le_bytes).map_err(|_| Error::TooLong)
}
