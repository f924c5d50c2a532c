//! What both measurements need.

use super::contestant::{CaKey, Contestant};
use super::driver::Driver;
use super::stage::{Stage, end, signer};
use anyhow::Result;
use std::fs;
use std::path::Path;
use tokio::runtime::Runtime;

/// A control plane with issuers, and who makes requests there.
pub struct Bench {
    /// For everything that waits.
    pub runtime: Runtime,
    /// Makes requests.
    pub driver: Driver,
    /// The control plane.
    pub stage: Stage,
}

impl Bench {
    /// Starts a control plane in `dir`.
    pub fn new(programs: &Path, dir: &Path) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let stage = Stage::start(programs, dir)?;
        let driver = Driver::new(runtime.block_on(stage.client())?)?;
        Ok(Self { runtime, driver, stage })
    }

    /// Makes the issuers, and has one of them issue the certificate that the bare writer writes.
    pub fn make_issuers(&self, keys: &[CaKey]) -> Result<()> {
        let processes = Contestant::Tcs(CaKey::P256).start(&self.stage)?;
        for key in keys {
            self.stage.make_issuers(&[key.issuer().to_owned()], *key)?;
        }
        let sample = self.runtime.block_on(self.sample())?;
        fs::write(self.stage.sample_certificate(), sample)?;
        end(processes)
    }

    async fn sample(&self) -> Result<Vec<u8>> {
        let mut certificates = self.driver.watch().await?;
        let signer = signer(CaKey::P256.issuer());
        self.driver.fill("sample", std::iter::once(signer)).await?;
        let seen = certificates.next().await?;
        let pem = self.driver.certificate(&seen.name).await?;
        self.driver.clear().await?;
        Ok(pem)
    }
}
