//! A running control plane.

mod api_server;
mod arguments;

use crate::assets::Assets;
use crate::kubeconfig::{self, Renewal};
use crate::pki::Pki;
use crate::ports::free_ports;
use crate::process::{Identity, Lifetime, Program, Supervised, run, wait_for};
use anyhow::{Context, Result, bail};
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long each program may take until it serves requests.
const START_LIMIT: Duration = Duration::from_mins(1);

/// How long a program may take to end by itself before it is killed.
const STOP_GRACE: Duration = Duration::from_secs(2);

/// How many starts fail before a clash of ports is taken for another error.
const ATTEMPTS: u32 = 5;

/// In the order in which they are started. They are stopped in the reverse order.
const PROGRAMS: [&str; 3] = ["etcd", API_SERVER, "kube-controller-manager"];
const API_SERVER: &str = "kube-apiserver";

/// etcd, kube-apiserver and kube-controller-manager, serving on loopback.
///
/// Everything is in one directory: `admin.kubeconfig`, `logs/`, `pki/`, `etcd/` and, of a detached one,
/// `pids/`. Dropping the value stops the programs, unless they were started detached.
#[derive(Debug)]
pub struct ControlPlane {
    // Declared before the programs, because the thread talks to the API server until it is stopped.
    renewal: Renewal,
    programs: Mutex<Programs>,
    /// The API server as it was started; `None` if another process did that.
    api_server: Option<Program>,
    assets: Assets,
    layout: Layout,
    server: String,
}

impl ControlPlane {
    /// Starts a control plane in `dir` that stops with the returned value, and with this process, however
    /// that ends.
    ///
    /// An earlier control plane's data in `dir` is discarded. Fails if one that was started detached still
    /// runs there.
    pub fn start(dir: &Path, assets: &Assets) -> Result<Self> {
        Self::start_as(dir, assets, Lifetime::WithParent, free_ports)
    }

    /// Starts a control plane in `dir` that continues after this process, until
    /// [`ControlPlane::stop_recorded`].
    ///
    /// Dropping the returned value, or one from [`ControlPlane::attach`], does not stop it.
    pub fn start_detached(dir: &Path, assets: &Assets) -> Result<Self> {
        let control_plane = Self::start_as(dir, assets, Lifetime::Detached, free_ports)?;
        for program in std::mem::take(&mut control_plane.lock_programs().0) {
            let _ = program.release();
        }
        Ok(control_plane)
    }

    /// The running control plane that any process started detached in `dir`.
    pub fn attach(dir: &Path, assets: &Assets) -> Result<Self> {
        let running = Self::running_recorded(dir)?;
        if !running.iter().any(|(name, _)| name == API_SERVER) {
            bail!("no control plane runs in {}", dir.display());
        }
        let layout = Layout::new(dir)?;
        let server = kubeconfig::server(&layout.admin_kubeconfig())?;
        Ok(Self::assemble(Programs::default(), None, assets, layout, server))
    }

    /// Stops a control plane that any process started detached in `dir`.
    ///
    /// Returns the names of the programs that were still running.
    pub fn stop_recorded(dir: &Path) -> Result<Vec<String>> {
        let layout = Layout::new(dir)?;
        let mut ended = Vec::new();
        for name in PROGRAMS.iter().rev() {
            let record = layout.pid(name);
            if !record.exists() {
                continue;
            }
            if Identity::load(&record)?.end(STOP_GRACE).with_context(|| format!("stop {name}"))? {
                ended.push((*name).to_owned());
            }
            fs::remove_file(&record).with_context(|| format!("remove {}", record.display()))?;
        }
        Ok(ended)
    }

    /// The programs of a detached control plane in `dir` that run now.
    pub fn running_recorded(dir: &Path) -> Result<Vec<(String, Identity)>> {
        let layout = Layout::new(dir)?;
        let mut running = Vec::new();
        for name in PROGRAMS {
            let record = layout.pid(name);
            if record.exists() {
                let identity = Identity::load(&record)?;
                if identity.is_running()? {
                    running.push((name.to_owned(), identity));
                }
            }
        }
        Ok(running)
    }

    /// The API server's URL.
    #[must_use]
    pub fn server(&self) -> &str {
        &self.server
    }

    /// The absolute path of the directory in which it was started.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.layout.0
    }

    /// The directory with the logs of the programs.
    #[must_use]
    pub fn logs(&self) -> PathBuf {
        self.layout.logs()
    }

    /// Its keys and certificates.
    #[must_use]
    pub fn pki(&self) -> Pki {
        Pki::at(&self.layout.pki())
    }

    /// A kubeconfig with a client certificate in `system:masters`.
    #[must_use]
    pub fn admin_kubeconfig(&self) -> PathBuf {
        self.layout.admin_kubeconfig()
    }

    /// kubectl as the administrator.
    #[must_use]
    pub fn kubectl(&self) -> Command {
        self.kubectl_as(&self.admin_kubeconfig())
    }

    /// kubectl with another kubeconfig.
    #[must_use]
    pub fn kubectl_as(&self, kubeconfig: &Path) -> Command {
        kubeconfig::kubectl(&self.assets.kubectl, kubeconfig)
    }

    /// A kubeconfig that acts as an existing ServiceAccount, with a token file.
    ///
    /// The token is renewed in the background for as long as this value exists.
    pub fn service_account_kubeconfig(&self, namespace: &str, name: &str) -> Result<PathBuf> {
        let (path, token) = self.layout.service_account(namespace, name);
        self.renew_token(namespace, name, &token)?;
        kubeconfig::write_token_file(&path, &self.server, &self.pki(), namespace, &token)?;
        self.renewal.add(namespace, name, &token)?;
        Ok(path)
    }

    /// Replaces `file` with a new ServiceAccount token, valid for [`kubeconfig::TOKEN_LIFETIME`].
    pub fn renew_token(&self, namespace: &str, name: &str, file: &Path) -> Result<()> {
        kubeconfig::renew_token(&self.assets.kubectl, &self.admin_kubeconfig(), namespace, name, file)
    }

    /// Whether namespaces finish deleting, owner references are collected and namespaces get their `default`
    /// ServiceAccount.
    #[must_use]
    pub fn has_controller_manager(&self) -> bool {
        self.assets.kube_controller_manager.is_some()
    }

    /// The names of the programs that this value stops.
    pub fn programs(&mut self) -> &mut [Supervised] {
        &mut self.programs.get_mut().unwrap_or_else(PoisonError::into_inner).0
    }

    fn lock_programs(&self) -> MutexGuard<'_, Programs> {
        self.programs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start_as(
        dir: &Path,
        assets: &Assets,
        lifetime: Lifetime,
        mut choose_ports: impl FnMut() -> Result<Ports>,
    ) -> Result<Self> {
        let running = Self::running_recorded(dir)?;
        if let Some((name, identity)) = running.first() {
            bail!(
                "a control plane runs in {} already ({name} has pid {}); stop it first",
                dir.display(),
                identity.pid()
            );
        }
        let layout = Layout::new(dir)?;
        Pki::create(&layout.pki())?;
        let mut attempt = 1;
        loop {
            let mut programs = Programs::default();
            match Self::try_start(&mut programs, assets, &layout, lifetime, choose_ports()?) {
                Ok((server, api_server)) => {
                    return Ok(Self::assemble(programs, Some(api_server), assets, layout, server));
                }
                // A port is free when it is chosen, and may be taken before it is used.
                Err(_) if attempt < ATTEMPTS && programs.any_port_taken() => attempt += 1,
                Err(error) => return Err(error.context("start a control plane")),
            }
        }
    }

    fn assemble(
        programs: Programs,
        api_server: Option<Program>,
        assets: &Assets,
        layout: Layout,
        server: String,
    ) -> Self {
        let log = layout.log("token-renewal");
        let renewal = Renewal::new(assets.kubectl.clone(), layout.admin_kubeconfig(), log);
        let programs = Mutex::new(programs);
        Self { renewal, programs, api_server, assets: assets.clone(), layout, server }
    }

    /// Starts the programs, adds each to `programs`, and returns the API server's URL and program.
    fn try_start(
        programs: &mut Programs,
        assets: &Assets,
        layout: &Layout,
        lifetime: Lifetime,
        ports: Ports,
    ) -> Result<(String, Program)> {
        if layout.etcd().exists() {
            fs::remove_dir_all(layout.etcd()).context("discard the earlier state")?;
        }
        let [client, peer, secure] = ports;
        let pki = Pki::at(&layout.pki());
        let server = format!("https://127.0.0.1:{secure}");
        let admin = layout.admin_kubeconfig();
        kubeconfig::write_certificate(&admin, &server, &pki, &pki.admin)?;
        let starting = Starting { layout, lifetime };

        let etcd = arguments::etcd(&layout.etcd(), &pki, client, peer)?;
        programs.start(&starting, "etcd", &assets.etcd, etcd)?;
        // An API server that finds no etcd pauses for a second.
        programs.wait_until("etcd to listen", || accepts(client))?;

        let api_server = arguments::api_server(&pki, client, secure)?;
        let api_server = programs.start(&starting, API_SERVER, &assets.kube_apiserver, api_server)?;
        // kubectl costs more than a look at the port does while the server needs the processor.
        programs.wait_until("kube-apiserver to listen", || accepts(secure))?;
        programs.wait_until_ready(&assets.kubectl, &admin)?;

        if let Some(executable) = &assets.kube_controller_manager {
            let kubeconfig = layout.controller_manager_kubeconfig();
            kubeconfig::write_certificate(&kubeconfig, &server, &pki, &pki.controller_manager)?;
            let arguments = arguments::controller_manager(&pki, &kubeconfig)?;
            programs.start(&starting, "kube-controller-manager", executable, arguments)?;
        }
        Ok((server, api_server))
    }
}

/// What all programs of one start have in common.
struct Starting<'a> {
    layout: &'a Layout,
    lifetime: Lifetime,
}

/// The started programs. Dropping stops them, the last one first.
#[derive(Debug, Default)]
struct Programs(Vec<Supervised>);

impl Programs {
    fn start(
        &mut self,
        starting: &Starting<'_>,
        name: &str,
        executable: &Path,
        arguments: Vec<String>,
    ) -> Result<Program> {
        let Starting { layout, lifetime } = starting;
        let program = Program::new(name, executable, layout.log(name)).args(arguments).lifetime(*lifetime);
        let started = self.0.push_mut(program.spawn()?);
        if *lifetime == Lifetime::Detached {
            started.identity().save(&layout.pid(name))?;
        }
        Ok(program)
    }

    fn wait_until_ready(&mut self, kubectl: &Path, admin: &Path) -> Result<()> {
        let mut ready = kubeconfig::kubectl(kubectl, admin);
        ready.args(["get", "--raw", "/readyz"]);
        self.wait_until("kube-apiserver to be ready", || run(&mut ready).is_ok())
    }

    fn wait_until(&mut self, what: &str, mut probe: impl FnMut() -> bool) -> Result<()> {
        wait_for(START_LIMIT, what, || {
            // All programs are checked first: whatever answers on the port of a program that ended is another
            // program.
            for program in &mut self.0 {
                program.check_running()?;
            }
            Ok(probe().then_some(()))
        })
    }

    fn any_port_taken(&self) -> bool {
        self.0.iter().any(Supervised::is_port_taken)
    }
}

impl Drop for Programs {
    fn drop(&mut self) {
        while let Some(program) = self.0.pop() {
            drop(program);
        }
    }
}

/// The layout of a control plane's directory, which is an absolute path.
#[derive(Debug)]
struct Layout(PathBuf);

impl Layout {
    fn new(dir: &Path) -> Result<Self> {
        Ok(Self(std::path::absolute(dir).with_context(|| format!("resolve {}", dir.display()))?))
    }

    fn admin_kubeconfig(&self) -> PathBuf {
        self.0.join("admin.kubeconfig")
    }

    fn controller_manager_kubeconfig(&self) -> PathBuf {
        self.0.join("controller-manager.kubeconfig")
    }

    fn etcd(&self) -> PathBuf {
        self.0.join("etcd")
    }

    fn log(&self, name: &str) -> PathBuf {
        self.logs().join(format!("{name}.log"))
    }

    fn logs(&self) -> PathBuf {
        self.0.join("logs")
    }

    fn pid(&self, name: &str) -> PathBuf {
        self.0.join("pids").join(name)
    }

    fn pki(&self) -> PathBuf {
        self.0.join("pki")
    }

    /// The kubeconfig and the token file of a ServiceAccount.
    fn service_account(&self, namespace: &str, name: &str) -> (PathBuf, PathBuf) {
        // The name of a namespace contains no dot, so no two accounts share a file.
        let file = self.0.join("service-accounts").join(format!("{namespace}.{name}"));
        (file.with_added_extension("kubeconfig"), file.with_added_extension("token"))
    }
}

/// For etcd's clients, for its peers, and for the API server.
type Ports = [u16; 3];

fn accepts(port: u16) -> bool {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assets::ensure_control_plane;
    use std::net::TcpListener;

    #[test]
    fn a_taken_port_is_replaced_by_another() {
        let assets = ensure_control_plane(|line| eprintln!("{line}")).unwrap();
        let other = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let taken = other.local_addr().unwrap().port();
        for place in [0, 2] {
            let dir = tempfile::tempdir().unwrap();
            let mut choices = 0;
            let choose = || {
                let mut ports = free_ports()?;
                choices += 1;
                if choices == 1 {
                    ports[place] = taken;
                }
                Ok(ports)
            };
            let start = std::time::Instant::now();
            let started = ControlPlane::start_as(dir.path(), &assets, Lifetime::WithParent, choose);
            drop(started.unwrap());
            // This is noticed at once, not after something else has waited long enough.
            assert!(start.elapsed() < START_LIMIT, "port {place}");
            assert_eq!(choices, 2, "port {place}");
        }
    }

    #[test]
    fn service_accounts_do_not_share_files() {
        let layout = Layout::new(Path::new("/d")).unwrap();
        let (kubeconfig, token) = layout.service_account("a", "b.c");
        assert_eq!(kubeconfig, Path::new("/d/service-accounts/a.b.c.kubeconfig"));
        assert_eq!(token, Path::new("/d/service-accounts/a.b.c.token"));
    }
}
