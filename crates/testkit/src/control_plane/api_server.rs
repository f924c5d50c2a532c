//! Ends the API server as a crash does, and starts it again.

use super::{API_SERVER, ControlPlane};
use anyhow::{Context as _, Result};

impl ControlPlane {
    /// Kills the API server (SIGKILL) and waits until it has ended. etcd and the controller manager go on.
    ///
    /// # Errors
    ///
    /// If this value did not start it.
    pub fn kill_api_server(&self) -> Result<()> {
        let mut programs = self.lock_programs();
        let running = programs.0.iter_mut().find(|program| program.name() == API_SERVER);
        running.context("this value runs no API server")?.kill()?;
        Ok(())
    }

    /// Starts the API server again, at the same address and with the same data, and waits until it is ready.
    ///
    /// # Errors
    ///
    /// If this value did not start it before, or it does not become ready in time.
    pub fn start_api_server(&self) -> Result<()> {
        let program = self.api_server.as_ref().context("this value runs no API server")?;
        let mut programs = self.lock_programs();
        let ended = programs.0.iter_mut().find(|program| program.name() == API_SERVER);
        *ended.context("this value runs no API server")? = program.spawn()?;
        programs.wait_until_ready(&self.assets.kubectl, &self.admin_kubeconfig())
    }
}
