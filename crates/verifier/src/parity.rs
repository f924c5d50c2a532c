//! What Intel's own library checks and dcap-qvl does not: Q1 to Q8 and Q16 of the quote-verification reference,
//! section 4. Everything here only refuses; nothing is accepted because of it.

use crate::Error;
use crate::backend::AwsLc;
use crate::trust::{TrustRoot, public_key};
use dcap_qvl::{PckIdentity, QeIdentity, QuoteCollateralV3, TcbInfo};
use der::{DateTime, Decode};
use std::collections::BTreeSet;
use x509_cert::Certificate;
use x509_cert::crl::CertificateList;

/// SGX extension of a PCK certificate: the SVN of component 1; 16 follow each other.
const COMPONENT_OID: &str = "1.2.840.113741.1.13.1.2";
/// Header and report 432 bytes, then the length of the signature data.
const SIGNATURE_DATA: usize = 436;
/// Signature 64, attestation key 64, QE report 384, its signature 64.
const BEFORE_AUTH_DATA: usize = 576;
/// Certification data is a PEM chain: leaf, CA, root.
const PCK_CHAIN: u16 = 5;

/// The certificate chains of a quote and its collateral, leaf first, of exactly the lengths that Intel's have.
pub struct Chains {
    pck: Vec<Certified>,
    tcb_info: Vec<Certified>,
    qe_identity: Vec<Certified>,
    pck_crl: Vec<Certified>,
}

struct Certified {
    der: Vec<u8>,
    certificate: Certificate,
}

impl Chains {
    /// Reads the chains with the PEM reader that dcap-qvl uses. A chain that is longer than Intel's is refused (Q8), and
    /// so is a quote with bytes that nothing accounts for (Q16).
    pub fn read(quote: &[u8], collateral: &QuoteCollateralV3) -> Result<Self, Error> {
        let malformed = Error::CollateralMalformed;
        Ok(Self {
            pck: chain::<3>(pck_chain(quote)?).map_err(Error::QuoteMalformed)?,
            tcb_info: chain::<2>(collateral.tcb_info_issuer_chain.as_bytes()).map_err(malformed)?,
            qe_identity: chain::<2>(collateral.qe_identity_issuer_chain.as_bytes()).map_err(malformed)?,
            pck_crl: chain::<2>(collateral.pck_crl_issuer_chain.as_bytes()).map_err(malformed)?,
        })
    }

    /// All chains end in the trusted root's key, and the leaves have the names that Intel gives them (Q5, Q6).
    pub fn check(&self, trust: &TrustRoot) -> Result<(), Error> {
        let root =
            public_key(trust.certificate()).ok_or(Error::TrustRootUnusable("not a DER certificate"))?;
        for (name, chain) in [
            ("the certificate chain of the quote", &self.pck),
            ("the TCB info's chain", &self.tcb_info),
            ("the QE identity's chain", &self.qe_identity),
            ("the PCK CRL's chain", &self.pck_crl),
        ] {
            let key = chain.last().and_then(|last| public_key(&last.der));
            if key.is_none_or(|key| key != root) {
                return Err(Error::UntrustedRoot(name));
            }
        }
        if !is_named(&self.pck, "Intel SGX PCK Certificate") {
            return Err(Error::QuoteRefused("its leaf is not a PCK certificate by name".into()));
        }
        if [&self.tcb_info, &self.qe_identity].iter().any(|chain| !is_named(chain, "Intel SGX TCB Signing")) {
            return Err(Error::CollateralMalformed(
                "its signer is not a TCB signing certificate by name".into(),
            ));
        }
        Ok(())
    }

    /// Everything is valid at `now`, the root itself included (Q7).
    pub fn check_times(
        &self,
        collateral: &QuoteCollateralV3,
        trust: &TrustRoot,
        now: u64,
    ) -> Result<(), Error> {
        let root = Certificate::from_der(trust.certificate())
            .map_err(|_| Error::TrustRootUnusable("not a DER certificate"))?;
        check_certificate("the root certificate", &root, now)?;
        for (what, chain) in [
            ("a certificate of the quote", &self.pck),
            ("a certificate of the TCB info's chain", &self.tcb_info),
            ("a certificate of the QE identity's chain", &self.qe_identity),
            ("a certificate of the PCK CRL's chain", &self.pck_crl),
        ] {
            for entry in chain {
                check_certificate(what, &entry.certificate, now)?;
            }
        }
        let tcb_info = tcb_info(collateral)?;
        check_texts("the TCB info", &tcb_info.issue_date, &tcb_info.next_update, now)?;
        let qe: QeIdentity = serde_json::from_str(&collateral.qe_identity)
            .map_err(|error| Error::CollateralMalformed(format!("QE identity: {error}")))?;
        check_texts("the QE identity", &qe.issue_date, &qe.next_update, now)?;
        check_crl("the root CA's CRL", &collateral.root_ca_crl, now)?;
        check_crl("the PCK CA's CRL", &collateral.pck_crl, now)
    }

    /// The TCB info is that of this platform and sound (Q1, Q2, Q3), and the certificate does not contradict itself (Q4).
    pub fn check_platform(&self, collateral: &QuoteCollateralV3, pck: &PckIdentity) -> Result<(), Error> {
        let tcb_info = tcb_info(collateral)?;
        if hex::decode(&tcb_info.pce_id).ok().as_ref() != Some(&pck.pce_id) {
            return Err(Error::CollateralMismatch("another PCEID".into()));
        }
        if tcb_info.tcb_type != 0 {
            return Err(Error::CollateralMalformed("TCB info of an unknown tcbType".into()));
        }
        let mut seen = BTreeSet::new();
        for level in &tcb_info.tcb_levels {
            let components: Vec<u8> =
                level.tcb.sgx_components.iter().map(|component| component.svn).collect();
            if !seen.insert((components, level.tcb.pce_svn)) {
                return Err(Error::CollateralMalformed("TCB info with a level twice".into()));
            }
        }
        let leaf = self.pck.first().map(|leaf| leaf.der.as_slice()).unwrap_or_default();
        check_components(leaf, &pck.cpu_svn)
    }
}

/// dcap-qvl judges CPUSVN, Intel the 16 components beside it: neither may be lower than the other says.
fn check_components(leaf: &[u8], cpu_svn: &[u8; 16]) -> Result<(), Error> {
    let refused = || Error::QuoteRefused("the SVN components of its certificate do not fit CPUSVN".into());
    let extension = dcap_qvl::intel::parse_pck_extension_with::<AwsLc>(leaf).map_err(|_| refused())?;
    for (number, cpu) in (1..).zip(cpu_svn) {
        let oid = format!("{COMPONENT_OID}.{number}").parse().map_err(|_| refused())?;
        // The content of an INTEGER; one above 127 has a leading zero byte.
        match extension.get_value(&oid).ok().flatten().as_deref() {
            Some([svn] | [0, svn]) if svn >= cpu => {}
            _ => return Err(refused()),
        }
    }
    Ok(())
}

/// The certification data of a quote, once its lengths add up.
fn pck_chain(quote: &[u8]) -> Result<&[u8], Error> {
    let malformed = |what: &str| Error::QuoteMalformed(what.to_owned());
    let short = || malformed("its signature data are too short");
    let rest = quote.get(SIGNATURE_DATA..).and_then(|data| data.get(BEFORE_AUTH_DATA..)).ok_or_else(short)?;
    let (length, rest) = rest.split_first_chunk::<2>().ok_or_else(short)?;
    let rest = rest.get(usize::from(u16::from_le_bytes(*length))..).ok_or_else(short)?;
    let (kind, rest) = rest.split_first_chunk::<2>().ok_or_else(short)?;
    let (length, chain) = rest.split_first_chunk::<4>().ok_or_else(short)?;
    if u16::from_le_bytes(*kind) != PCK_CHAIN {
        return Err(malformed("it carries no certificate chain (type 5)"));
    }
    if usize::try_from(u32::from_le_bytes(*length)) != Ok(chain.len()) {
        return Err(malformed("the length of its certificate chain does not fit"));
    }
    Ok(chain)
}

fn chain<const LEN: usize>(text: &[u8]) -> Result<Vec<Certified>, String> {
    let blocks = pem::parse_many(text).map_err(|error| format!("a certificate chain: {error}"))?;
    if blocks.len() != LEN {
        return Err(format!("a certificate chain of {} certificates, not {LEN}", blocks.len()));
    }
    let read = |block: pem::Pem| {
        let der = block.into_contents();
        let certificate = Certificate::from_der(&der).map_err(|error| format!("a certificate: {error}"))?;
        Ok(Certified { der, certificate })
    };
    blocks.into_iter().map(read).collect()
}

fn is_named(chain: &[Certified], name: &str) -> bool {
    let subject = chain.first().map(|leaf| leaf.certificate.tbs_certificate().subject());
    subject
        .and_then(|subject| subject.common_name().ok().flatten())
        .is_some_and(|found| found.value() == name)
}

fn tcb_info(collateral: &QuoteCollateralV3) -> Result<TcbInfo, Error> {
    serde_json::from_str(&collateral.tcb_info)
        .map_err(|error| Error::CollateralMalformed(format!("TCB info: {error}")))
}

fn check_certificate(what: &'static str, certificate: &Certificate, now: u64) -> Result<(), Error> {
    let validity = certificate.tbs_certificate().validity();
    let seconds = |time: &x509_cert::time::Time| time.to_unix_duration().as_secs();
    check_window(what, seconds(&validity.not_before), seconds(&validity.not_after), now)
}

fn check_crl(what: &'static str, crl: &[u8], now: u64) -> Result<(), Error> {
    let list: CertificateList = CertificateList::from_der(crl)
        .map_err(|error| Error::CollateralMalformed(format!("{what}: {error}")))?;
    let list = list.tbs_cert_list;
    let next = list.next_update.ok_or_else(|| Error::CollateralMalformed(format!("{what} names no end")))?;
    let (from, next) = (list.this_update.to_unix_duration().as_secs(), next.to_unix_duration().as_secs());
    // For webpki a CRL has ended at its nextUpdate; certificates and Intel's texts are valid at their last second.
    check_window(what, from, next.saturating_sub(1), now)
}

/// `issueDate` and `nextUpdate`: RFC 3339 in UTC, as Intel writes them.
fn check_texts(what: &'static str, issue_date: &str, next_update: &str, now: u64) -> Result<(), Error> {
    let seconds = |text: &str| match text.parse::<DateTime>() {
        Ok(time) => Ok(time.unix_duration().as_secs()),
        Err(_) => {
            Err(Error::CollateralMalformed(format!("{what}: a date is not in the form 2026-01-31T23:59:59Z")))
        }
    };
    check_window(what, seconds(issue_date)?, seconds(next_update)?, now)
}

fn check_window(what: &'static str, from: u64, until: u64, now: u64) -> Result<(), Error> {
    if now < from {
        return Err(Error::CollateralNotYetValid { what, from, now });
    }
    if now > until {
        return Err(Error::CollateralExpired { what, until, now });
    }
    Ok(())
}
