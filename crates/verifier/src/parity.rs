//! What Intel's own library checks and dcap-qvl does not: Q1 to Q8 of the quote-verification reference, section 4 (Q16,
//! bytes that nothing accounts for, is the layout's in `tcs-evidence`). Everything here only refuses; nothing is accepted
//! because of it.

use crate::Error;
use crate::certificate::{BEGIN_CERTIFICATE, Certified, PckCa, read_chain_of, read_one};
use crate::claims::Window;
use crate::collateral::Collateral;
use crate::sgx_extension::SgxExtension;
use crate::trust::{Anchor, TrustRoot};
use crate::validity;
use dcap_qvl::TcbInfo;
use std::borrow::Cow;

/// The chain of a quote: PCK certificate, PCK CA, root. Longer and shorter ones are refused (Q8).
pub struct PckChain<'c> {
    leaf: Certified,
    /// PCK CA and root; as a rule those that came with the collateral.
    above: Cow<'c, [Certified; 2]>,
}

impl<'c> PckChain<'c> {
    pub fn read(text: &[u8], collateral: &'c Collateral) -> Result<Self, Error> {
        // The PCK CRL's chain is as a rule the end of the quote's, word for word, and was read before.
        let known = collateral.parts.pck_crl_issuer_chain.as_bytes().trim_ascii_end();
        let whole = text.strip_suffix(&[0]).unwrap_or(text).trim_ascii_end();
        if let Some(leaf) = whole.strip_suffix(known).and_then(read_one)
            && known.starts_with(BEGIN_CERTIFICATE)
        {
            return Ok(Self { leaf, above: Cow::Borrowed(&collateral.pck_crl_chain) });
        }
        let [leaf, ca, root] = read_chain_of(text).map_err(Error::QuoteMalformed)?;
        Ok(Self { leaf, above: Cow::Owned([ca, root]) })
    }

    /// What the PCK certificate says of its platform.
    pub fn extension(&self) -> Result<SgxExtension, Error> {
        SgxExtension::read(&self.leaf)
    }

    /// All chains end in the trusted root's key, and the PCK CRL is that of the quote's PCK CA.
    pub fn check_root(&self, collateral: &Collateral, trust: &TrustRoot) -> Result<(), Error> {
        let root = &trust.anchor()?.key;
        let [pck_ca, pck_root] = &*self.above;
        let [crl_issuer, crl_root] = &collateral.pck_crl_chain;
        let [_, tcb_root] = &collateral.tcb_info_chain;
        let [_, qe_root] = collateral.qe_identity_chain();
        for (name, last) in [
            ("the certificate chain of the quote", pck_root),
            ("the TCB info's chain", tcb_root),
            ("the QE identity's chain", qe_root),
            ("the PCK CRL's chain", crl_root),
        ] {
            if last.der != trust.certificate() && last.key != *root {
                return Err(Error::UntrustedRoot(name));
            }
        }
        if crl_issuer.der != pck_ca.der && crl_issuer.key != pck_ca.key {
            return Err(Error::CollateralMismatch("the PCK CRL of another CA".into()));
        }
        Ok(())
    }

    /// The leaves have the names that Intel gives them (Q5, Q6), and the PCK CA is one of Intel's two.
    pub fn check_names(&self, collateral: &Collateral) -> Result<PckCa, Error> {
        if !self.leaf.is_named("Intel SGX PCK Certificate") {
            return Err(Error::QuoteRefused("its leaf is not a PCK certificate by name".into()));
        }
        for [signer, _] in [&collateral.tcb_info_chain, collateral.qe_identity_chain()] {
            if !signer.is_named("Intel SGX TCB Signing") {
                return Err(Error::CollateralMalformed(
                    "its signer is not a TCB signing certificate by name".into(),
                ));
            }
        }
        PckCa::of(&self.leaf).ok_or_else(|| {
            Error::QuoteRefused("its PCK certificate is of neither the Processor nor the Platform CA".into())
        })
    }

    /// Everything is valid at `now`, the root itself included (Q7, Q12, Q14).
    pub fn check_times(&self, collateral: &Collateral, trust: &TrustRoot, now: u64) -> Result<(), Error> {
        validity::check("the root certificate", trust.anchor()?.window, now)?;
        for (what, chain) in [
            ("a certificate of the quote", std::slice::from_ref(&self.leaf)),
            ("a certificate of the quote", self.above.as_slice()),
            ("a certificate of the TCB info's chain", &collateral.tcb_info_chain),
            ("a certificate of the QE identity's chain", collateral.qe_identity_chain()),
            ("a certificate of the PCK CRL's chain", &collateral.pck_crl_chain),
        ] {
            for entry in chain {
                validity::check(what, entry.window, now)?;
            }
        }
        validity::check("the TCB info", collateral.tcb_info_window, now)?;
        validity::check("the QE identity", collateral.qe_identity_window, now)?;
        validity::check("the root CA's CRL", collateral.root_crl_window, now)?;
        validity::check("the PCK CA's CRL", collateral.pck_crl_window, now)
    }

    /// From when to when everything holds that was verified: what Intel's library reports as dates of the collateral.
    pub fn window(&self, collateral: &Collateral, trust: &Anchor) -> Window {
        let (leaf, [pck_ca, _]) = (&self.leaf, &*self.above);
        let [tcb_signer, _] = &collateral.tcb_info_chain;
        let [qe_signer, _] = collateral.qe_identity_chain();
        // At its nextUpdate a CRL has ended; here it is the end that is written in it.
        let crl = |(from, until): (u64, u64)| (from, until.saturating_add(1));
        let windows = [leaf, pck_ca, tcb_signer, qe_signer]
            .map(|entry| entry.window)
            .into_iter()
            .chain([trust.window])
            .chain([collateral.tcb_info_window, collateral.qe_identity_window])
            .chain([crl(collateral.root_crl_window), crl(collateral.pck_crl_window)]);
        let mut all = Window { earliest_issue: u64::MAX, latest_issue: 0, earliest_expiration: u64::MAX };
        for (from, until) in windows {
            all.earliest_issue = all.earliest_issue.min(from);
            all.latest_issue = all.latest_issue.max(from);
            all.earliest_expiration = all.earliest_expiration.min(until);
        }
        all
    }
}

/// dcap-qvl judges CPUSVN, Intel the 16 components beside it: neither may be lower than the other says (Q4).
pub fn check_components(extension: &SgxExtension) -> Result<(), Error> {
    if extension.components.iter().zip(extension.cpu_svn).all(|(svn, cpu)| *svn >= cpu) {
        return Ok(());
    }
    Err(Error::QuoteRefused("the SVN components of its certificate do not fit CPUSVN".into()))
}

/// The TCB info is that of the platform's PCE (Q1); its FMSPC is judged by dcap-qvl.
pub fn check_pce(collateral: &Collateral, pck: SgxExtension) -> Result<SgxExtension, Error> {
    if hex::decode(&collateral.tcb_info.pce_id).ok().as_deref() != Some(&pck.pce_id) {
        return Err(Error::CollateralMismatch("another PCEID".into()));
    }
    Ok(pck)
}

/// The TCB info is of the version (Q15) and type (Q2) that are known and has no level twice (Q3).
pub fn check_tcb_info(collateral: &Collateral) -> Result<(), Error> {
    collateral.tcb_info_fault.map_or(Ok(()), |fault| Err(Error::CollateralMalformed(fault.into())))
}

/// What [`check_tcb_info`] refuses. The levels must be sorted, so that equal ones stand beside each other.
pub fn tcb_info_fault(tcb_info: &TcbInfo) -> Option<&'static str> {
    if tcb_info.version != 3 {
        return Some("TCB info of another version than 3");
    }
    if tcb_info.tcb_type != 0 {
        return Some("TCB info of an unknown tcbType");
    }
    // SGX is judged by its own components alone, whatever else stands in a level.
    let is_tdx = tcb_info.id == "TDX";
    let twice = tcb_info.tcb_levels.iter().zip(tcb_info.tcb_levels.iter().skip(1)).any(|(one, next)| {
        let (one, next) = (&one.tcb, &next.tcb);
        one.sgx_components == next.sgx_components
            && one.pce_svn == next.pce_svn
            && (!is_tdx || one.tdx_components == next.tdx_components)
    });
    twice.then_some("TCB info with a level twice")
}
