//! TCB info, QE identity and the file that holds all collateral.

use crate::certificates::{Authorities, EARLY};
use crate::{Error, Options, extension, quote};
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

/// The collateral file: the JSON form that the field's verifiers read (PEM and JSON as text, bytes in hex).
pub fn json(authorities: &Authorities, now: i64, options: &Options) -> Result<String, Error> {
    let tcb_info = tcb_info(now, options)?;
    let qe_identity = qe_identity(now, options)?;
    // A signature covers the exact text.
    let sign = |text: &str| authorities.tcb_signer.sign(text.as_bytes()).map(hex::encode);
    let collateral = json!({
        "pck_crl_issuer_chain": authorities.pck_crl_chain(),
        "root_ca_crl": hex::encode(&authorities.root_crl),
        "pck_crl": hex::encode(&authorities.pck_crl),
        "tcb_info_issuer_chain": authorities.tcb_chain(),
        "tcb_info_signature": sign(&tcb_info)?,
        "tcb_info": tcb_info,
        "qe_identity_issuer_chain": authorities.tcb_chain(),
        "qe_identity_signature": sign(&qe_identity)?,
        "qe_identity": qe_identity,
    });
    Ok(format!("{collateral:#}\n"))
}

fn tcb_info(now: i64, options: &Options) -> Result<String, Error> {
    let (issued, next) = window(now, options)?;
    let components: Vec<Value> = extension::CPU_SVN.iter().map(|svn| json!({ "svn": svn })).collect();
    let mut level = json!({
        "tcb": { "sgxtcbcomponents": components, "pcesvn": extension::PCE_SVN },
        "tcbDate": "2024-03-13T00:00:00Z",
        "tcbStatus": options.tcb_status,
    });
    if let (Some(level), false) = (level.as_object_mut(), options.advisories.is_empty()) {
        level.insert("advisoryIDs".into(), json!(options.advisories));
    }
    let info = json!({
        "id": "SGX", "version": 3, "issueDate": issued, "nextUpdate": next,
        "fmspc": hex::encode_upper(extension::FMSPC), "pceId": hex::encode_upper(extension::PCE_ID),
        "tcbType": 0, "tcbEvaluationDataNumber": 17, "tcbLevels": [level],
    });
    Ok(info.to_string())
}

fn qe_identity(now: i64, options: &Options) -> Result<String, Error> {
    let (issued, next) = window(now, options)?;
    let identity = json!({
        "id": "QE", "version": 2, "issueDate": issued, "nextUpdate": next, "tcbEvaluationDataNumber": 17,
        "miscselect": "00000000", "miscselectMask": "FFFFFFFF",
        "attributes": "11000000000000000000000000000000", "attributesMask": "FBFFFFFFFFFFFFFF0000000000000000",
        "mrsigner": hex::encode_upper(quote::qe_signer()), "isvprodid": quote::QE_PROD_ID,
        "tcbLevels": [{
            "tcb": { "isvsvn": quote::QE_SVN }, "tcbDate": "2024-03-13T00:00:00Z", "tcbStatus": "UpToDate",
        }],
    });
    Ok(identity.to_string())
}

fn window(now: i64, options: &Options) -> Result<(String, String), Error> {
    let now = OffsetDateTime::from_unix_timestamp(now).map_err(|_| Error::Time)?;
    Ok((text(now - EARLY), text(now + Duration::days(options.collateral_days))))
}

/// RFC 3339, whole seconds, UTC.
fn text(time: OffsetDateTime) -> String {
    let (date, hour, minute, second) = (time.date(), time.hour(), time.minute(), time.second());
    let (year, month, day) = (date.year(), u8::from(date.month()), date.day());
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}
