use super::tee_platform::{Assurance, SealingKey, TeePlatform};
use crate::Error;
use aws_lc_rs::{digest, hkdf};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;
use tcs_evidence::Evidence;
use tcs_sgx_sim::Platform;
use zeroize::Zeroizing;

/// How often a quote that hangs looks whether it still does.
const HANGING_QUOTE_PAUSE: Duration = Duration::from_millis(50);

/// A simulated SGX platform. It protects nothing.
///
/// Its MRENCLAVE is the SHA-256 of the running program's file, so that whoever built the file can pin it. If
/// its directory contains a file `without-sealing`, it cannot seal, like the Gramine platform in this
/// version. As long as it contains a file `hanging-quotes`, no quote is finished, as when the service that
/// makes quotes hangs.
pub struct Simulation {
    folder: PathBuf,
    platform: Platform,
    mrenclave: [u8; 32],
    seals: bool,
}

impl Simulation {
    /// Opens the simulated platform in this directory, and measures the running program.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let platform = Platform::open(folder).map_err(|error| Error::Simulation(error.to_string()))?;
        let mrenclave = measure_self()
            .map_err(|source| Error::PlatformUnavailable { what: "measuring the running program", source })?;
        let seals = !folder.join("without-sealing").exists();
        Ok(Self { folder: folder.to_owned(), platform, mrenclave, seals })
    }
}

impl TeePlatform for Simulation {
    fn name(&self) -> &'static str {
        "simulation"
    }

    fn evidence_kind(&self) -> &'static str {
        Evidence::SGX_QUOTE_V3
    }

    fn assurance(&self) -> Assurance {
        Assurance::Simulated
    }

    fn evidence(&self, report_data: &[u8; 64]) -> Result<Evidence, Error> {
        while self.folder.join("hanging-quotes").exists() {
            thread::sleep(HANGING_QUOTE_PAUSE);
        }
        let quote = self.platform.quote(self.mrenclave, *report_data);
        quote.map(Evidence::SgxQuote).map_err(|error| Error::Simulation(error.to_string()))
    }

    /// Like the key that EGETKEY derives from MRENCLAVE: another program or another platform gets another
    /// key.
    fn sealing_key(&self) -> Result<Option<SealingKey>, Error> {
        if !self.seals {
            return Ok(None);
        }
        let secret = hkdf::Salt::new(hkdf::HKDF_SHA256, b"tcs simulated sealing key");
        let mut key = Zeroizing::new([0; 32]);
        secret
            .extract(self.platform.sealing_secret())
            .expand(&[&self.mrenclave], hkdf::HKDF_SHA256)
            .and_then(|derived| derived.fill(key.as_mut()))
            .map_err(|_| Error::Crypto("deriving the sealing key"))?;
        Ok(Some(SealingKey { key, measurement: self.mrenclave }))
    }
}

fn measure_self() -> io::Result<[u8; 32]> {
    let mut program = File::open("/proc/self/exe")?;
    let mut context = digest::Context::new(&digest::SHA256);
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = program.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        context.update(buffer.get(..read).unwrap_or_default());
    }
    context.finish().as_ref().try_into().map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RELEASE_DATE;

    #[test]
    fn the_sealing_key_is_the_folders_own_and_the_same_after_every_start() {
        let dir = tempfile::tempdir().unwrap();
        let (one, other) = (dir.path().join("one"), dir.path().join("other"));
        for folder in [&one, &other] {
            Platform::create(folder, RELEASE_DATE).unwrap();
        }
        let key = |folder| Simulation::open(folder).unwrap().sealing_key().unwrap().unwrap();
        let (first, again, foreign) = (key(&one), key(&one), key(&other));
        assert_eq!((first.key.as_ref(), first.measurement), (again.key.as_ref(), again.measurement));
        assert_ne!(first.key, foreign.key);
        assert_eq!(first.measurement, foreign.measurement, "the program is the same");
        assert_ne!(first.key.as_ref(), &[0; 32]);
        std::fs::write(one.join("without-sealing"), "").unwrap();
        assert!(Simulation::open(&one).unwrap().sealing_key().unwrap().is_none());
    }

    #[test]
    fn review_l8_quotes_hang_as_long_as_the_file_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("platform");
        Platform::create(&folder, RELEASE_DATE).unwrap();
        let (platform, file) = (Simulation::open(&folder).unwrap(), folder.join("hanging-quotes"));
        std::fs::write(&file, "").unwrap();
        thread::scope(|scope| {
            let hanging = scope.spawn(|| platform.evidence(&[7; 64]));
            // Much longer than it takes to make a quote.
            thread::sleep(10 * HANGING_QUOTE_PAUSE);
            let is_made = hanging.is_finished();
            std::fs::remove_file(&file).unwrap();
            assert!(hanging.join().unwrap().is_ok() && !is_made, "made before the file was removed");
        });
    }
}
