//! The certificate chain of a quote, and the checks of chains that Intel's library makes beyond dcap-qvl
//! (`docs/conformance.md`, Q5 to Q8, Q12 and Q14). These checks only refuse; nothing is accepted because of
//! them.

use crate::Error;
use crate::certificate::{BEGIN_CERTIFICATE, ParsedCertificate, PckCa, read_chain_of, read_one};
use crate::claims::CollateralWindow;
use crate::collateral::Collateral;
use crate::sgx_extension::SgxExtension;
use crate::trust_anchor::{AnchorCertificate, TrustAnchor};
use crate::validity::Validity;
use std::borrow::Cow;

/// The chain of a quote: PCK certificate, PCK CA, root. Longer and shorter chains are refused (Q8).
pub struct PckChain<'c> {
    leaf: ParsedCertificate,
    /// PCK CA and root; usually those of the collateral.
    above: Cow<'c, [ParsedCertificate; 2]>,
}

impl<'c> PckChain<'c> {
    pub fn read(text: &[u8], collateral: &'c Collateral) -> Result<Self, Error> {
        // The PCK CRL's chain is usually the end of the quote's chain, byte for byte, and was parsed before.
        let known = collateral.pck_crl_chain_text.as_bytes().trim_ascii_end();
        let whole = text.strip_suffix(&[0]).unwrap_or(text).trim_ascii_end();
        if let Some(leaf) = whole.strip_suffix(known).and_then(read_one)
            && known.starts_with(BEGIN_CERTIFICATE)
        {
            return Ok(Self { leaf, above: Cow::Borrowed(&collateral.pck_crl_chain) });
        }
        let [leaf, ca, root] =
            read_chain_of("the certificate chain of the quote", text).map_err(Error::QuoteMalformed)?;
        Ok(Self { leaf, above: Cow::Owned([ca, root]) })
    }

    /// The SGX extension of the PCK certificate.
    pub fn extension(&self) -> Result<SgxExtension, Error> {
        SgxExtension::read(&self.leaf)
    }

    /// The PCK certificate and the PCK CA's certificate, in PEM, for dcap-qvl.
    pub fn to_pem(&self) -> String {
        let [ca, _root] = &*self.above;
        self.leaf.to_pem() + &ca.to_pem()
    }

    /// All chains end in the key of the trust anchor, and the PCK CRL was issued by the quote's PCK CA.
    pub fn check_root(&self, collateral: &Collateral, trust: &TrustAnchor) -> Result<(), Error> {
        let root = &trust.parsed()?.key;
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
            return Err(Error::CollateralMismatch(
                "its PCK CRL was issued by another CA than the one that issued the quote's PCK certificate"
                    .into(),
            ));
        }
        Ok(())
    }

    /// The leaves have the names that Intel gives them (Q5, Q6), and the PCK CA is one of Intel's two.
    pub fn check_names(&self, collateral: &Collateral) -> Result<PckCa, Error> {
        if !self.leaf.is_named("Intel SGX PCK Certificate") {
            return Err(Error::QuoteRefused(
                "the common name of its leaf is not \"Intel SGX PCK Certificate\"".into(),
            ));
        }
        for [signer, _] in [&collateral.tcb_info_chain, collateral.qe_identity_chain()] {
            if !signer.is_named("Intel SGX TCB Signing") {
                return Err(Error::CollateralMalformed(
                    "the common name of its signer is not \"Intel SGX TCB Signing\"".into(),
                ));
            }
        }
        PckCa::of(&self.leaf).ok_or_else(|| {
            Error::QuoteRefused("its PCK certificate is of neither the Processor nor the Platform CA".into())
        })
    }

    /// Everything is valid at `now` (Unix seconds), including the trust anchor itself (Q7, Q12, Q14).
    pub fn check_times(&self, collateral: &Collateral, trust: &TrustAnchor, now: u64) -> Result<(), Error> {
        trust.parsed()?.validity.check("the root certificate", now)?;
        for (what, chain) in [
            ("a certificate of the quote", std::slice::from_ref(&self.leaf)),
            ("a certificate of the quote", self.above.as_slice()),
            ("a certificate of the TCB info's chain", &collateral.tcb_info_chain),
            ("a certificate of the QE identity's chain", collateral.qe_identity_chain()),
            ("a certificate of the PCK CRL's chain", &collateral.pck_crl_chain),
        ] {
            for entry in chain {
                entry.validity.check(what, now)?;
            }
        }
        collateral.tcb_info_validity.check("the TCB info", now)?;
        collateral.qe_identity_validity.check("the QE identity", now)?;
        collateral.root_crl_validity.check("the root CA's CRL", now)?;
        collateral.pck_crl_validity.check("the PCK CA's CRL", now)
    }

    /// When all parts of the collateral were issued and until when they are valid: the certificates, the
    /// trust anchor, TCB info, QE identity and both CRLs.
    pub fn collateral_window(&self, collateral: &Collateral, anchor: &AnchorCertificate) -> CollateralWindow {
        let (leaf, [pck_ca, _]) = (&self.leaf, &*self.above);
        let [tcb_signer, _] = &collateral.tcb_info_chain;
        let [qe_signer, _] = collateral.qe_identity_chain();
        let periods = [leaf, pck_ca, tcb_signer, qe_signer]
            .map(|entry| entry.validity)
            .into_iter()
            .chain([anchor.validity])
            .chain([collateral.tcb_info_validity, collateral.qe_identity_validity])
            .chain([collateral.root_crl_validity, collateral.pck_crl_validity]);
        let mut all =
            CollateralWindow { earliest_issue: u64::MAX, latest_issue: 0, earliest_expiration: u64::MAX };
        for Validity { not_before, not_after } in periods {
            all.earliest_issue = all.earliest_issue.min(not_before);
            all.latest_issue = all.latest_issue.max(not_before);
            all.earliest_expiration = all.earliest_expiration.min(not_after);
        }
        all
    }
}
