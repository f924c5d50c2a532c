use super::tee_platform::{Assurance, SealingKey, TeePlatform};
use crate::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use tcs_evidence::{Evidence, SgxQuoteV3};

/// Where Gramine shows its attestation files.
const TREE: &str = "/dev/attestation";

/// SGX under Gramine, through its attestation files (Gramine documentation, "Attestation and Secret
/// Provisioning").
///
/// Written from Gramine's source. It has never run on SGX hardware.
pub struct Gramine {
    tree: PathBuf,
    /// Held while a quote is made. The files belong to the whole process: without the lock, one thread could
    /// get a quote over another thread's data.
    quoting: Mutex<()>,
}

impl Gramine {
    /// The platform of the running process.
    #[must_use]
    pub fn new() -> Self {
        Self::at(TREE)
    }

    /// The same, with its files in another place.
    #[must_use]
    pub fn at(tree: impl AsRef<Path>) -> Self {
        Self { tree: tree.as_ref().to_owned(), quoting: Mutex::new(()) }
    }

    fn quote(&self, report_data: &[u8; 64]) -> Result<Vec<u8>, Error> {
        let _quoting = self.quoting.lock().unwrap_or_else(PoisonError::into_inner);
        // One write of all 64 bytes, because each write replaces the whole value. Errors of quoting appear
        // when `quote` is opened.
        fs::write(self.tree.join("user_report_data"), report_data)
            .map_err(|source| Error::PlatformUnavailable { what: "writing user_report_data", source })?;
        fs::read(self.tree.join("quote"))
            .map_err(|source| Error::PlatformUnavailable { what: "reading the quote", source })
    }
}

impl Default for Gramine {
    fn default() -> Self {
        Self::new()
    }
}

impl TeePlatform for Gramine {
    fn name(&self) -> &'static str {
        "gramine"
    }

    fn evidence_kind(&self) -> &'static str {
        Evidence::SGX_QUOTE_V3
    }

    fn assurance(&self) -> Assurance {
        Assurance::Enclave
    }

    fn evidence(&self, report_data: &[u8; 64]) -> Result<Evidence, Error> {
        let mut quote = self.quote(report_data)?;
        let length =
            SgxQuoteV3::true_length(&quote).ok_or(Error::EvidenceUnusable("the quote is too short"))?;
        quote.truncate(length);
        let parsed = SgxQuoteV3::parse(&quote)
            .map_err(|_| Error::EvidenceUnusable("it is not an SGX quote of version 3"))?;
        if parsed.report_data() != *report_data {
            return Err(Error::EvidenceUnusable("the quote covers other report data than requested"));
        }
        Ok(Evidence::SgxQuote(quote))
    }

    /// Gramine has sealing keys (`/dev/attestation/keys/_sgx_mrenclave`); they are not used yet.
    fn sealing_key(&self) -> Result<Option<SealingKey>, Error> {
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT_DATA: [u8; 64] = [7; 64];

    /// A tree whose quote was made over `report_data`.
    fn tree(report_data: [u8; 64], signature: u32, tail: usize) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let mut quote = vec![0; 368];
        quote[0] = 3;
        quote.extend_from_slice(&report_data);
        quote.extend_from_slice(&signature.to_le_bytes());
        quote.extend_from_slice(&vec![1; tail]);
        fs::write(dir.path().join("quote"), quote).unwrap();
        dir
    }

    #[test]
    fn the_quote_is_trimmed_and_the_report_data_written_whole() {
        let dir = tree(REPORT_DATA, 10, 300);
        let evidence = Gramine::at(dir.path()).evidence(&REPORT_DATA).unwrap();
        assert_eq!(evidence.bytes().len(), 446);
        assert_eq!(evidence.kind(), Gramine::at(dir.path()).evidence_kind());
        assert_eq!(fs::read(dir.path().join("user_report_data")).unwrap(), REPORT_DATA);
    }

    #[test]
    fn a_quote_over_something_else_is_refused() {
        let code =
            |dir: &tempfile::TempDir| Gramine::at(dir.path()).evidence(&REPORT_DATA).unwrap_err().code();
        assert_eq!(code(&tree([8; 64], 10, 10)), "EvidenceUnusable");
        assert_eq!(code(&tree(REPORT_DATA, 11, 10)), "EvidenceUnusable");
        assert_eq!(code(&tree(REPORT_DATA, u32::MAX, 10)), "EvidenceUnusable");
        assert_eq!(code(&tree(REPORT_DATA, 20_000, 20_000)), "EvidenceUnusable");
        assert_eq!(code(&tempfile::tempdir().unwrap()), "PlatformUnavailable");
    }
}
