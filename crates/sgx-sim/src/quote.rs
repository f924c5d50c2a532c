//! Quotes of version 3 by the simulated quoting enclave.

use crate::{Error, Platform, extension};
use aws_lc_rs::digest::{SHA256, digest};

pub const QE_PROD_ID: u16 = 1;
pub const QE_SVN: u16 = 8;
/// Verifiers look at the vendor before anything else, so this must be Intel's and cannot be a mark.
const QE_VENDOR: [u8; 16] =
    [0x93, 0x9a, 0x72, 0x33, 0xf7, 0x9c, 0x4c, 0xa9, 0x94, 0x0a, 0x0d, 0xb3, 0x95, 0x7f, 0x06, 0x07];
const USER_DATA: &[u8; 20] = b"SIMULATION NOT A TEE";
/// INIT, DEBUG, MODE64BIT: a simulated enclave is always a debug enclave.
const ENCLAVE_FLAGS: u8 = 0x07;
/// INIT, `PROVISION_KEY`: as the real quoting enclave has.
const QE_FLAGS: u8 = 0x11;
/// No product of anyone's.
const PROD_ID: u16 = 0xffff;

/// The simulated quoting enclave's signer.
pub fn qe_signer() -> [u8; 32] {
    sha256(b"tcs-simulated-quoting-enclave")
}

/// Header, report, signature, attestation key, QE report and its signature, authentication data, PCK chain.
pub fn build(platform: &Platform, mrenclave: [u8; 32], report_data: [u8; 64]) -> Result<Vec<u8>, Error> {
    let mut quote = Vec::with_capacity(5 * 1024);
    quote.extend(3u16.to_le_bytes());
    quote.extend(2u16.to_le_bytes()); // ECDSA-P256
    quote.extend(0u32.to_le_bytes());
    quote.extend(QE_SVN.to_le_bytes());
    quote.extend(extension::PCE_SVN.to_le_bytes());
    quote.extend(QE_VENDOR);
    quote.extend(USER_DATA);
    let signer = sha256(b"tcs-simulated-signer");
    quote.extend(report(ENCLAVE_FLAGS, mrenclave, signer, PROD_ID, 1, report_data));

    let mut signature = platform.attestation.sign(&quote)?;
    let point = platform.attestation.point()?;
    let authentication: Vec<u8> = (0..32).collect();
    signature.extend(point);
    let mut bound = [0; 64];
    let hash = sha256(&[point.as_slice(), &authentication].concat());
    for (to, from) in bound.iter_mut().zip(hash) {
        *to = from;
    }
    let measurement = sha256(b"tcs-simulated-quoting-enclave-code");
    let qe_report = report(QE_FLAGS, measurement, qe_signer(), QE_PROD_ID, QE_SVN, bound);
    signature.extend(&qe_report);
    signature.extend(platform.pck.sign(&qe_report)?);
    signature.extend(32u16.to_le_bytes());
    signature.extend(authentication);
    signature.extend(5u16.to_le_bytes()); // PCK chain, PEM
    signature.extend(length(platform.pck_chain.len())?);
    signature.extend(platform.pck_chain.as_bytes());

    quote.extend(length(signature.len())?);
    quote.extend(signature);
    Ok(quote)
}

/// A report body, 384 bytes.
fn report(
    flags: u8,
    mrenclave: [u8; 32],
    mrsigner: [u8; 32],
    prod_id: u16,
    svn: u16,
    report_data: [u8; 64],
) -> Vec<u8> {
    let mut body = Vec::with_capacity(384);
    body.extend(extension::CPU_SVN);
    body.extend([0; 32]); // MISCSELECT and reserved
    body.push(flags);
    body.extend([0; 7]);
    body.extend([3, 0, 0, 0, 0, 0, 0, 0]); // XFRM: legacy and SSE
    body.extend(mrenclave);
    body.extend([0; 32]);
    body.extend(mrsigner);
    body.extend([0; 96]);
    body.extend(prod_id.to_le_bytes());
    body.extend(svn.to_le_bytes());
    body.extend([0; 60]);
    body.extend(report_data);
    body
}

fn length(length: usize) -> Result<[u8; 4], Error> {
    u32::try_from(length).map(u32::to_le_bytes).map_err(|_| Error::Key)
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    for (to, from) in hash.iter_mut().zip(digest(&SHA256, bytes).as_ref()) {
        *to = *from;
    }
    hash
}
