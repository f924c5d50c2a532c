//! Refusals of dcap-qvl in our own words. The library has texts only, and its version is pinned: a part of
//! each text is known here, and says nothing else than which check failed. What was expected and found is
//! taken from the quote and the collateral. A text that is not known remains a refusal.

use crate::Error;
use crate::checks::CheckId;
use crate::claims::Enclave;
use crate::collateral::Collateral;
use crate::pck_chain::PckChain;
use tcs_evidence::{Quote, SignatureData};

/// Vendor of Intel's quoting enclave.
const INTEL_QE: &str = "939a7233f79c4ca9940a0db3957f0607";

/// What was verified.
pub struct Subject<'a> {
    pub quote: &'a Quote<'a>,
    pub signature_data: &'a SignatureData<'a>,
    pub collateral: &'a Collateral,
    pub chain: &'a PckChain<'a>,
}

/// Makes an error of a library's refusal.
type Explain = fn(&Subject<'_>) -> Error;

/// Words of dcap-qvl's texts, the check to which each belongs, and its error. The first row with a match
/// decides.
const ROWS: [(&str, CheckId, Explain); 34] = [
    ("TCB status is invalid: Revoked", CheckId::Revocation, |_| {
        Error::Revoked(
            "the TCB level of the platform, its TDX module or its quoting enclave, by Intel's TCB info"
                .into(),
        )
    }),
    ("Revoked", CheckId::Revocation, |_| {
        Error::Revoked("a certificate of the quote or of the collateral, by Intel's CRLs".into())
    }),
    ("UnknownIssuer", CheckId::Signatures, |_| Error::UntrustedRoot("a certificate chain")),
    ("Signature is invalid for tcb_info", CheckId::Signatures, |_| signature("of the TCB info")),
    ("Signature is invalid for qe_identity", CheckId::Signatures, |_| signature("of the QE identity")),
    ("Signature is invalid for qe_report", CheckId::Signatures, |_| {
        signature("of the quoting enclave's report, by the PCK certificate")
    }),
    ("ISV enclave report signature", CheckId::Signatures, |_| {
        signature("of the quote, by its attestation key")
    }),
    ("QE report hash mismatch", CheckId::Signatures, |_| {
        signature(
            "the quoting enclave's report holds the hash of another attestation key or authentication data",
        )
    }),
    ("InvalidCrlSignature", CheckId::Signatures, |_| signature("of a CRL")),
    ("InvalidSignature", CheckId::Signatures, |_| signature("of a certificate or a CRL")),
    ("Fmspc mismatch", CheckId::CollateralPlatform, fmspc),
    ("TCB info in the collateral", CheckId::CollateralPlatform, tee),
    ("QE Identity id/version", CheckId::QuotingEnclave, qe_identity_form),
    ("UnknownRevocationStatus", CheckId::Revocation, |_| {
        Error::CollateralMismatch("none of its CRLs is of the issuer of a certificate".into())
    }),
    ("TDX TCB (TEE_TCB_SVN2)", CheckId::TcbLevel, |subject| tcb_level(subject, true)),
    ("below minimum required from TDX module", CheckId::TcbLevel, tdx_module_level),
    ("No matching TCB level", CheckId::TcbLevel, |subject| tcb_level(subject, false)),
    ("QE MRSIGNER", CheckId::QuotingEnclave, |subject| {
        quoting_enclave(subject, "MRSIGNER", |found, collateral| {
            (hex::encode(found.mrsigner), hex::encode(collateral.qe_identity.mrsigner))
        })
    }),
    ("QE ISVPRODID", CheckId::QuotingEnclave, |subject| {
        quoting_enclave(subject, "ISVPRODID", |found, collateral| {
            (found.isv_prod_id.to_string(), collateral.qe_identity.isvprodid.to_string())
        })
    }),
    ("QE MISCSELECT", CheckId::QuotingEnclave, |subject| {
        quoting_enclave(subject, "MISCSELECT", |found, collateral| {
            let wanted = &collateral.qe_identity;
            (hex::encode(found.misc_select), under_mask(&wanted.miscselect, &wanted.miscselect_mask))
        })
    }),
    ("QE ATTRIBUTES", CheckId::QuotingEnclave, |subject| {
        quoting_enclave(subject, "ATTRIBUTES", |found, collateral| {
            let wanted = &collateral.qe_identity;
            (hex::encode(found.attributes), under_mask(&wanted.attributes, &wanted.attributes_mask))
        })
    }),
    ("QE ISVSVN", CheckId::QuotingEnclave, |subject| {
        quoting_enclave(subject, "ISVSVN", |found, collateral| {
            let least = collateral.qe_identity.tcb_levels.iter().map(|level| level.tcb.isvsvn).min();
            (found.isv_svn.to_string(), format!("{} or higher", least.unwrap_or_default()))
        })
    }),
    ("QE report validation", CheckId::QuotingEnclave, |_| {
        Error::QuotingEnclaveRefused("it is in debug mode".into())
    }),
    ("QE vendor", CheckId::QuotingEnclave, |subject| {
        let found = hex::encode(subject.quote.header().qe_vendor_id());
        Error::QuotingEnclaveRefused(format!("its vendor is {found}, expected Intel's, {INTEL_QE}"))
    }),
    ("QE auth data", CheckId::QuotingEnclave, |_| {
        Error::QuotingEnclaveRefused("its authentication data has another length than 32 bytes".into())
    }),
    ("in QE Identity", CheckId::QuotingEnclave, |_| {
        malformed("a level of the QE identity has a status that Intel does not use there")
    }),
    ("Unrecognized TCB status", CheckId::TcbInfoForm, |_| {
        malformed("a level of the TCB info or of a TDX module has a status that Intel does not use there")
    }),
    ("signer must be issued directly", CheckId::Signatures, |_| {
        malformed("the signer of the TCB info or QE identity is not issued by the root itself")
    }),
    ("component count mismatch", CheckId::TcbInfoForm, |_| {
        malformed("a level of the TCB info has another number of components than 16")
    }),
    ("TDX module MRSIGNER", CheckId::TrustDomain, tdx_module_signer),
    ("SEAMATTRIBUTES", CheckId::TrustDomain, |_| {
        Error::TrustDomainRefused("SEAMATTRIBUTES of its TDX module are not those of Intel's TCB info".into())
    }),
    ("attestation key type", CheckId::Signatures, |subject| {
        let found = subject.quote.header().attestation_key_type();
        Error::QuoteRefused(format!("its attestation key is of type {found}, expected 2 (ECDSA on P-256)"))
    }),
    ("PCK cert format", CheckId::Signatures, |_| {
        Error::QuoteRefused("its certification data is not of type 5 (PCK certificate chain)".into())
    }),
    ("CRL", CheckId::Signatures, |_| malformed("a CRL is not in Intel's form")),
];

/// Words of texts about the form of the collateral that no row above names.
const COLLATERAL: [&str; 7] =
    ["TCBInfo", "TCB Info", "TcbInfo", "QeIdentity", "QE Identity", "Crl", "tdxModule"];
/// Words of texts about the trust domain that no row above names.
const TRUST_DOMAIN: [&str; 8] = [
    "Debug mode is enabled",
    "TD profiling",
    "TD attributes",
    "TD migration",
    "SERVTD_EXT",
    "SEPT_VE_DISABLE",
    "MR service TD",
    "TDX module",
];

/// The check and the error for a refusal of dcap-qvl with this text.
pub fn explain(text: &str, subject: &Subject<'_>) -> (CheckId, Error) {
    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    if let Some((_, id, explain)) = ROWS.iter().find(|(word, _, _)| text.contains(word)) {
        return (*id, explain(subject));
    }
    if has(&TRUST_DOMAIN) {
        let what = "it or its TDX module has a property that no policy accepts";
        return (CheckId::TrustDomain, Error::TrustDomainRefused(what.into()));
    }
    if has(&COLLATERAL) {
        return (CheckId::Signatures, malformed("a part of it is not in Intel's form"));
    }
    let what = "its form, or that of a certificate, is not Intel's";
    (CheckId::Signatures, Error::QuoteRefused(what.into()))
}

fn signature(what: &str) -> Error {
    Error::SignatureInvalid(what.to_owned())
}

fn malformed(what: &str) -> Error {
    Error::CollateralMalformed(what.to_owned())
}

fn tee_name(subject: &Subject<'_>) -> &'static str {
    if matches!(subject.quote, Quote::Sgx(_)) { "SGX" } else { "TDX" }
}

fn fmspc(subject: &Subject<'_>) -> Error {
    let found = known_hex(&subject.collateral.tcb_info.fmspc);
    let expected = subject.chain.extension().map_or_else(|_| "unknown".into(), |pck| hex::encode(pck.fmspc));
    Error::CollateralMismatch(format!("its TCB info is for the FMSPC {found}, the platform's is {expected}"))
}

fn tee(subject: &Subject<'_>) -> Error {
    let other =
        if matches!(subject.quote, Quote::Sgx(_)) { "another TEE" } else { "SGX, or too old for TDX" };
    let other = if subject.collateral.tcb_info.id == "TDX" { "TDX" } else { other };
    Error::CollateralMismatch(format!("its TCB info is for {other}, the quote is of {}", tee_name(subject)))
}

fn qe_identity_form(subject: &Subject<'_>) -> Error {
    let version = subject.collateral.qe_identity.version;
    let (expected, versions) =
        if matches!(subject.quote, Quote::Sgx(_)) { ("QE", "2") } else { ("TD_QE", "2 or 3") };
    let named = if subject.collateral.qe_identity.id == expected { expected } else { "another enclave" };
    Error::CollateralMismatch(format!(
        "its QE identity is of {named} in version {version}, a quote of {} needs {expected} in version {versions}",
        tee_name(subject)
    ))
}

/// The SVNs of the platform and those of the lowest level.
fn tcb_level(subject: &Subject<'_>, now: bool) -> Error {
    let mut found = subject.chain.extension().map_or_else(
        |_| "SVNs that cannot be read".to_owned(),
        |pck| format!("CPUSVN {}, PCESVN {}", hex::encode(pck.cpu_svn), pck.pce_svn),
    );
    let mut tdx = false;
    if let Quote::Tdx(quote) = subject.quote {
        let report = quote.report();
        let (name, svn) = match report.tee_tcb_svn_2() {
            Some(svn) if now => ("TEE_TCB_SVN_2", svn),
            _ => ("TEE_TCB_SVN", report.tee_tcb_svn()),
        };
        found = format!("{found}, {name} {}", hex::encode(svn));
        tdx = true;
    }
    let lowest = subject.collateral.tcb_info.tcb_levels.last().map_or_else(
        || "it lists none".to_owned(),
        |level| {
            let svns = |components: &[dcap_qvl::tcb_info::TcbComponents]| {
                hex::encode(components.iter().map(|component| component.svn).collect::<Vec<_>>())
            };
            let tcb = &level.tcb;
            let more = if tdx { format!(", TDX {}", svns(&tcb.tdx_components)) } else { String::new() };
            format!("its lowest needs SGX {}, PCESVN {}{more}", svns(&tcb.sgx_components), tcb.pce_svn)
        },
    );
    Error::TcbLevelNotSupported(format!("the platform has {found}; {lowest}"))
}

fn tdx_module_level(subject: &Subject<'_>) -> Error {
    let Quote::Tdx(quote) = subject.quote else { return tcb_level(subject, false) };
    let svn = quote.report().tee_tcb_svn();
    let identity = subject.collateral.tcb_info.tdx_module_identity(&svn).ok().flatten();
    let least = identity.and_then(|identity| identity.tcb_levels.iter().map(|level| level.tcb.isvsvn).min());
    let least = least.map_or_else(|| "none".to_owned(), |least| least.to_string());
    Error::TcbLevelNotSupported(format!(
        "the TDX module has TEE_TCB_SVN {}, whose first byte is its ISVSVN; its lowest level is {least}",
        hex::encode(svn)
    ))
}

fn tdx_module_signer(subject: &Subject<'_>) -> Error {
    let Quote::Tdx(quote) = subject.quote else { return Error::TrustDomainRefused("its TDX module".into()) };
    let tcb_info = &subject.collateral.tcb_info;
    let identity = tcb_info.tdx_module_identity(&quote.report().tee_tcb_svn()).ok().flatten();
    let signer = identity
        .map(|identity| identity.mrsigner.as_str())
        .or_else(|| tcb_info.tdx_module.as_ref().map(|module| module.mrsigner.as_str()));
    Error::TrustDomainRefused(format!(
        "MRSIGNERSEAM of its TDX module is {}, expected {}",
        hex::encode(quote.report().mr_signer_seam()),
        known_hex(signer.unwrap_or_default())
    ))
}

fn quoting_enclave(
    subject: &Subject<'_>,
    field: &str,
    both: fn(&Enclave, &Collateral) -> (String, String),
) -> Error {
    let (found, expected) = both(&subject.signature_data.qe_report().into(), subject.collateral);
    Error::QuotingEnclaveRefused(format!("its {field} is {found}, the QE identity requires {expected}"))
}

fn under_mask(value: &[u8], mask: &[u8]) -> String {
    format!("{} under mask {}", hex::encode(value), hex::encode(mask))
}

/// A text of the collateral that should be hex, in lower case; nothing else is repeated.
fn known_hex(text: &str) -> String {
    hex::decode(text).map_or_else(|_| "unknown".to_owned(), hex::encode)
}
