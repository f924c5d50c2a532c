//! Refusals of a quote's TDX module: what the TCB info says about it, and what was found.

use crate::error::{Error, TrustDomainPart};
use crate::subject::{Subject, known_hex, under_mask};
use dcap_qvl::TcbInfo;
use dcap_qvl::tcb_info::TdxModuleIdentity;
use tcs_evidence::TdReport;

/// The TCB info knows no module of this version.
pub fn unknown(subject: &Subject<'_>) -> Error {
    let tcb_info = &subject.collateral.tcb_info;
    let lookups = report(subject).into_iter().flat_map(svns);
    let missing = lookups.into_iter().find(|(_, svn)| tcb_info.tdx_module_identity(svn).is_err());
    let found = missing.map_or_else(
        || "of the quote".to_owned(),
        |(name, svn)| {
            let [_, version, ..] = svn;
            format!("TDX_{version:02X} of the quote ({name} {})", hex::encode(svn))
        },
    );
    let known: Vec<String> = tcb_info.tdx_module_identities.iter().map(id).collect();
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    Error::CollateralMismatch(format!("its TCB info does not know the TDX module {found}; it knows {known}"))
}

/// The module is below every level of its identity.
pub fn below_every_level(subject: &Subject<'_>) -> Error {
    let tcb_info = &subject.collateral.tcb_info;
    for (name, svn) in report(subject).into_iter().flat_map(svns) {
        let Ok(Some(identity)) = tcb_info.tdx_module_identity(&svn) else { continue };
        if identity.tcb_levels.iter().any(|level| level.shortfall(&svn).is_none()) {
            continue;
        }
        let least = identity.tcb_levels.iter().map(|level| level.tcb.isvsvn).min();
        let least = least.map_or_else(|| "none".to_owned(), |least| least.to_string());
        return Error::TcbLevelNotSupported(format!(
            "the TDX module has {name} {}, whose first byte is its ISVSVN; its lowest level is {least}",
            hex::encode(svn)
        ));
    }
    Error::TcbLevelNotSupported("the TDX module is below every level of its identity".into())
}

/// The module is not signed by the signer that the TCB info names.
pub fn signer(subject: &Subject<'_>) -> Error {
    refused(subject, "MRSIGNERSEAM", |report, expected| {
        (hex::encode(report.mr_signer_seam()), known_hex(expected.mrsigner))
    })
}

/// The module has other attributes than the TCB info requires.
pub fn attributes(subject: &Subject<'_>) -> Error {
    refused(subject, "SEAMATTRIBUTES", |report, expected| {
        let bytes = |text: &str| hex::decode(text).unwrap_or_default();
        let wanted = under_mask(&bytes(expected.attributes), &bytes(expected.attributes_mask));
        (hex::encode(report.seam_attributes()), format!("{wanted} and no other bit"))
    })
}

/// What the TCB info requires of a module, each in hex.
struct Expected<'a> {
    mrsigner: &'a str,
    attributes: &'a str,
    attributes_mask: &'a str,
}

/// Of the identity of the module's version, or of `tdxModule` for version 0.
fn expected<'a>(tcb_info: &'a TcbInfo, tee_tcb_svn: &[u8; 16]) -> Option<Expected<'a>> {
    if let Some(found) = tcb_info.tdx_module_identity(tee_tcb_svn).ok()? {
        return Some(Expected {
            mrsigner: &found.mrsigner,
            attributes: &found.attributes,
            attributes_mask: &found.attributes_mask,
        });
    }
    tcb_info.tdx_module.as_ref().map(|found| Expected {
        mrsigner: &found.mrsigner,
        attributes: &found.attributes,
        attributes_mask: &found.attributes_mask,
    })
}

fn refused(
    subject: &Subject<'_>,
    field: &str,
    both: fn(TdReport<'_>, &Expected<'_>) -> (String, String),
) -> Error {
    let report = report(subject);
    let expected = report.and_then(|report| expected(&subject.collateral.tcb_info, &report.tee_tcb_svn()));
    let what = match (report, expected) {
        (Some(report), Some(wanted)) => {
            let (found, wanted) = both(report, &wanted);
            format!("{field} of its TDX module is {found}, Intel's TCB info requires {wanted}")
        }
        _ => format!("{field} of its TDX module is not that of Intel's TCB info"),
    };
    Error::TrustDomainRefused { part: TrustDomainPart::TdxModule, what }
}

fn report<'a>(subject: &Subject<'a>) -> Option<TdReport<'a>> {
    match subject.quote {
        tcs_evidence::Quote::Tdx(quote) => Some(quote.report()),
        tcs_evidence::Quote::Sgx(_) => None,
    }
}

/// The SVNs by which the module is looked up, in this order: those at launch, and, if the report has them,
/// those when the quote was made.
fn svns(report: TdReport<'_>) -> impl Iterator<Item = (&'static str, [u8; 16])> {
    let now = report.tee_tcb_svn_2().map(|svn| ("TEE_TCB_SVN_2", svn));
    std::iter::once(("TEE_TCB_SVN", report.tee_tcb_svn())).chain(now)
}

/// `TDX_` and two hex digits; nothing else is repeated.
fn id(identity: &TdxModuleIdentity) -> String {
    let version = identity.id.get(4..).and_then(|text| u8::from_str_radix(text, 16).ok());
    version.map_or_else(|| "one without a version".to_owned(), |version| format!("TDX_{version:02X}"))
}
