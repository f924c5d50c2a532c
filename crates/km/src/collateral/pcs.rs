//! Version 4 of the API of Intel's PCS and of every PCCS.

use super::error::{Error, FetchError};
use super::http::{Response, is_transient};
use super::obtained::Obtained;
use super::platform::PlatformKey;
use super::service::Service;
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::time::Duration;
use tcs_verifier::Collateral;

/// First wait between two attempts; each one after it is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(500);

/// The form that `tcs_verifier::Collateral::from_json` reads.
#[derive(Serialize)]
struct Bundle<'a> {
    pck_crl_issuer_chain: String,
    root_ca_crl: String,
    pck_crl: String,
    tcb_info_issuer_chain: String,
    /// The exact signed text.
    tcb_info: &'a str,
    tcb_info_signature: String,
    qe_identity_issuer_chain: String,
    /// The exact signed text.
    qe_identity: &'a str,
    qe_identity_signature: String,
}

#[derive(Deserialize)]
struct TcbInfo<'a> {
    #[serde(borrow, rename = "tcbInfo")]
    tcb_info: &'a RawValue,
    signature: String,
}

#[derive(Deserialize)]
struct QeIdentity<'a> {
    #[serde(borrow, rename = "enclaveIdentity")]
    enclave_identity: &'a RawValue,
    signature: String,
}

/// Fetches the four parts and puts them together.
pub fn fetch(service: &Service, key: PlatformKey, wait: &dyn Fn(Duration)) -> Result<Obtained, Error> {
    let (base, tee, update) = (&service.base, key.tee.name(), service.update.name());
    let get = |url: &str| retrying(service, url, wait);

    let pck_crl_url = format!("{base}/sgx/certification/v4/pckcrl?ca={}&encoding=der", key.ca.name());
    let pck_crl = get(&pck_crl_url)?;
    let root_crl_url =
        service.root_crl.clone().unwrap_or_else(|| format!("{base}/sgx/certification/v4/rootcacrl"));
    let root_crl = get(&root_crl_url)?;
    let fmspc = hex::encode_upper(key.fmspc);
    let tcb_url = format!("{base}/{tee}/certification/v4/tcb?fmspc={fmspc}&update={update}");
    let tcb = get(&tcb_url)?;
    let qe_url = format!("{base}/{tee}/certification/v4/qe/identity?update={update}");
    let qe = get(&qe_url)?;

    let malformed = |url: &str, cause: &str| Error::Fetch {
        kind: FetchError::Malformed,
        url: url.to_owned(),
        cause: cause.to_owned(),
    };
    let tcb_info: TcbInfo<'_> = serde_json::from_slice(&tcb.body)
        .map_err(|error| malformed(&tcb_url, &not_json("TCB info (tcbInfo and signature)", &error)))?;
    let qe_identity: QeIdentity<'_> = serde_json::from_slice(&qe.body).map_err(|error| {
        malformed(&qe_url, &not_json("a QE identity (enclaveIdentity and signature)", &error))
    })?;
    let bundle = Bundle {
        pck_crl_issuer_chain: chain(&pck_crl, &["SGX-PCK-CRL-Issuer-Chain"])
            .map_err(|cause| malformed(&pck_crl_url, &cause))?,
        root_ca_crl: crl(&root_crl.body).ok_or_else(|| malformed(&root_crl_url, "not a CRL"))?,
        pck_crl: crl(&pck_crl.body).ok_or_else(|| malformed(&pck_crl_url, "not a CRL"))?,
        tcb_info_issuer_chain: chain(&tcb, &["TCB-Info-Issuer-Chain", "SGX-TCB-Info-Issuer-Chain"])
            .map_err(|cause| malformed(&tcb_url, &cause))?,
        tcb_info: tcb_info.tcb_info.get(),
        tcb_info_signature: tcb_info.signature,
        qe_identity_issuer_chain: chain(&qe, &["SGX-Enclave-Identity-Issuer-Chain"])
            .map_err(|cause| malformed(&qe_url, &cause))?,
        qe_identity: qe_identity.enclave_identity.get(),
        qe_identity_signature: qe_identity.signature,
    };
    let json = serde_json::to_vec(&bundle).map_err(|error| malformed(base, &error.to_string()))?;
    let collateral = Collateral::from_json(&json).map_err(|error| malformed(base, &error.to_string()))?;
    let (source, warnings) = (base.clone(), service.warnings.clone());
    Ok(Obtained { json, collateral, source, warnings, is_copy: false, cache: None })
}

/// Says what the body is not, and where.
fn not_json(what: &str, error: &serde_json::Error) -> String {
    format!("the body is not {what} in JSON, at line {}, column {}", error.line(), error.column())
}

fn retrying(service: &Service, url: &str, wait: &dyn Fn(Duration)) -> Result<Response, Error> {
    let mut pause = FIRST_WAIT;
    let with_key = url.strip_prefix(&service.base).is_some_and(|path| path.starts_with('/'));
    for _ in 1..service.attempts {
        match service.client.get(url, with_key) {
            Err(error) if is_transient(&error) => {
                wait(pause);
                pause = pause.saturating_mul(2);
            }
            done => return done,
        }
    }
    service.client.get(url, with_key)
}

/// A header that carries a PEM chain, percent-encoded.
fn chain(response: &Response, names: &[&str]) -> Result<String, String> {
    let header = names.iter().find_map(|name| response.headers.get(*name));
    let header = header.ok_or_else(|| format!("the header {} is missing", names.first().unwrap_or(&"")))?;
    let text = header.to_str().ok().and_then(|text| percent_decode_str(text).decode_utf8().ok());
    text.map(std::borrow::Cow::into_owned)
        .ok_or_else(|| format!("the header {} is not text", names.first().unwrap_or(&"")))
}

/// A CRL as hex of its DER. Intel's PCS returns DER; a PCCS returns hex for the root's CRL, and older ones
/// for both.
fn crl(body: &[u8]) -> Option<String> {
    const SEQUENCE: u8 = 0x30;
    if let Ok(text) = std::str::from_utf8(body)
        && let Ok(der) = hex::decode(text.trim())
    {
        return der.starts_with(&[SEQUENCE]).then(|| hex::encode(der));
    }
    body.starts_with(&[SEQUENCE]).then(|| hex::encode(body))
}
