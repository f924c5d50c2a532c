//! What Intel's own library checks and dcap-qvl does not: Q1 to Q8 of the quote-verification reference, section 4 (Q16,
//! bytes that nothing accounts for, is the layout's in `tcs-evidence`). Everything here only refuses; nothing is accepted
//! because of it.

use crate::Error;
use crate::backend::AwsLc;
use crate::certificate::{Certified, PckCa, is_named, read_chain_of};
use crate::collateral::Collateral;
use crate::trust::{TrustRoot, public_key};
use crate::validity;
use dcap_qvl::PckIdentity;
use der::Encode;
use std::collections::BTreeSet;

/// SGX extension of a PCK certificate: the SVN of component 1; 16 follow each other.
const COMPONENT_OID: &str = "1.2.840.113741.1.13.1.2";

/// The chain of a quote: PCK certificate, PCK CA, root. Longer and shorter ones are refused (Q8).
pub struct PckChain([Certified; 3]);

impl PckChain {
    pub fn read(text: &[u8]) -> Result<Self, Error> {
        read_chain_of(text).map(Self).map_err(Error::QuoteMalformed)
    }

    fn leaf(&self) -> &Certified {
        let [leaf, ..] = &self.0;
        leaf
    }

    /// All chains end in the trusted root's key, and the PCK CRL is that of the quote's PCK CA.
    pub fn check_root(&self, collateral: &Collateral, trust: &TrustRoot) -> Result<(), Error> {
        let root =
            public_key(trust.certificate()).ok_or(Error::TrustRootUnusable("not a DER certificate"))?;
        let [_, pck_ca, pck_root] = &self.0;
        let [crl_issuer, crl_root] = &collateral.pck_crl_chain;
        let [_, tcb_root] = &collateral.tcb_info_chain;
        let [_, qe_root] = collateral.qe_identity_chain();
        for (name, last) in [
            ("the certificate chain of the quote", pck_root),
            ("the TCB info's chain", tcb_root),
            ("the QE identity's chain", qe_root),
            ("the PCK CRL's chain", crl_root),
        ] {
            if last.der != trust.certificate() && key_of(last)? != root {
                return Err(Error::UntrustedRoot(name));
            }
        }
        if crl_issuer.der != pck_ca.der && key_of(crl_issuer)? != key_of(pck_ca)? {
            return Err(Error::CollateralMismatch("the PCK CRL of another CA".into()));
        }
        Ok(())
    }

    /// The leaves have the names that Intel gives them (Q5, Q6), and the PCK CA is one of Intel's two.
    pub fn check_names(&self, collateral: &Collateral) -> Result<PckCa, Error> {
        if !is_named(&self.leaf().certificate, "Intel SGX PCK Certificate") {
            return Err(Error::QuoteRefused("its leaf is not a PCK certificate by name".into()));
        }
        for [signer, _] in [&collateral.tcb_info_chain, collateral.qe_identity_chain()] {
            if !is_named(&signer.certificate, "Intel SGX TCB Signing") {
                return Err(Error::CollateralMalformed(
                    "its signer is not a TCB signing certificate by name".into(),
                ));
            }
        }
        PckCa::of(&self.leaf().certificate).ok_or_else(|| {
            Error::QuoteRefused("its PCK certificate is of neither the Processor nor the Platform CA".into())
        })
    }

    /// Everything is valid at `now`, the root itself included (Q7, Q12, Q14).
    pub fn check_times(&self, collateral: &Collateral, trust: &TrustRoot, now: u64) -> Result<(), Error> {
        let root = trust.read().ok_or(Error::TrustRootUnusable("not a DER certificate"))?;
        validity::check("the root certificate", validity::certificate(&root), now)?;
        for (what, chain) in [
            ("a certificate of the quote", self.0.as_slice()),
            ("a certificate of the TCB info's chain", &collateral.tcb_info_chain),
            ("a certificate of the QE identity's chain", collateral.qe_identity_chain()),
            ("a certificate of the PCK CRL's chain", &collateral.pck_crl_chain),
        ] {
            for entry in chain {
                validity::check(what, validity::certificate(&entry.certificate), now)?;
            }
        }
        validity::check("the TCB info", collateral.tcb_info_window, now)?;
        validity::check("the QE identity", collateral.qe_identity_window, now)?;
        validity::check("the root CA's CRL", collateral.root_crl_window, now)?;
        validity::check("the PCK CA's CRL", collateral.pck_crl_window, now)
    }

    /// dcap-qvl judges CPUSVN, Intel the 16 components beside it: neither may be lower than the other says (Q4).
    pub fn check_components(&self, cpu_svn: &[u8; 16]) -> Result<(), Error> {
        let refused =
            || Error::QuoteRefused("the SVN components of its certificate do not fit CPUSVN".into());
        let extension =
            dcap_qvl::intel::parse_pck_extension_with::<AwsLc>(&self.leaf().der).map_err(|_| refused())?;
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
}

/// The TCB info is that of the platform's PCE (Q1); its FMSPC is judged by dcap-qvl.
pub fn check_pce(collateral: &Collateral, pck: &PckIdentity) -> Result<(), Error> {
    if hex::decode(&collateral.tcb_info.pce_id).ok().as_ref() != Some(&pck.pce_id) {
        return Err(Error::CollateralMismatch("another PCEID".into()));
    }
    Ok(())
}

/// The TCB info is of the version (Q15) and type (Q2) that are known and has no level twice (Q3).
pub fn check_tcb_info(collateral: &Collateral) -> Result<(), Error> {
    let tcb_info = &collateral.tcb_info;
    if tcb_info.version != 3 {
        return Err(Error::CollateralMalformed("TCB info of another version than 3".into()));
    }
    if tcb_info.tcb_type != 0 {
        return Err(Error::CollateralMalformed("TCB info of an unknown tcbType".into()));
    }
    let mut seen = BTreeSet::new();
    for level in &tcb_info.tcb_levels {
        let svns = |components: &[dcap_qvl::TcbComponents]| -> Vec<u8> {
            components.iter().map(|component| component.svn).collect()
        };
        let tcb = &level.tcb;
        if !seen.insert((svns(&tcb.sgx_components), svns(&tcb.tdx_components), tcb.pce_svn)) {
            return Err(Error::CollateralMalformed("TCB info with a level twice".into()));
        }
    }
    Ok(())
}

fn key_of(certified: &Certified) -> Result<Vec<u8>, Error> {
    let info = certified.certificate.tbs_certificate().subject_public_key_info();
    info.to_der().map_err(|_| Error::QuoteMalformed("a certificate's key cannot be read".into()))
}
