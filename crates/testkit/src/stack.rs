//! Everything that the walk-through needs: control plane, stand-in for the node, simulated platform, SoftHSM2
//! token, tools on the PATH, and an environment file that refers to them.

use crate::control_plane::ControlPlane;
use crate::node::{NodeStandIn, Settings};
use crate::process::{Lifetime, run};
use crate::programs::{Programs, repository};
use crate::{Assets, ensure_control_plane};
use anyhow::{Context, Result, bail};
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

/// The token of the walk-through.
const TOKEN: &str = "SgxOperator";
/// The PIN of the walk-through. It is public; the token contains nothing.
const PIN: &str = "123456789";
/// The path of the module in the walk-through.
const MODULE: &str = "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so";

/// A directory with everything that belongs to one stack.
#[derive(Clone, Debug)]
pub struct Layout {
    dir: PathBuf,
}

impl Layout {
    /// The layout below `dir`.
    #[must_use]
    pub fn at(dir: &Path) -> Self {
        Self { dir: dir.to_owned() }
    }

    /// The directory of the control plane.
    #[must_use]
    pub fn cluster(&self) -> PathBuf {
        self.dir.join("cluster")
    }

    /// The directory of the simulated platform. Only its part `public` is for key owners.
    #[must_use]
    pub fn platform(&self) -> PathBuf {
        self.dir.join("platform")
    }

    /// The programs as they were when the stack started.
    #[must_use]
    pub fn programs(&self) -> PathBuf {
        self.dir.join("programs")
    }

    /// Directory for the PATH.
    #[must_use]
    pub fn bin(&self) -> PathBuf {
        self.dir.join("bin")
    }

    /// The directory of the stand-in.
    #[must_use]
    pub fn node(&self) -> PathBuf {
        self.dir.join("node")
    }

    /// The key owner's files: km-attest's settings, SoftHSM2's settings and tokens.
    #[must_use]
    pub fn key_owner(&self) -> PathBuf {
        self.dir.join("key-owner")
    }

    /// The file to `source`.
    #[must_use]
    pub fn env_file(&self) -> PathBuf {
        self.dir.join("env")
    }
}

/// A stack whose control plane runs.
pub struct Stack {
    /// The control plane.
    pub cluster: Arc<ControlPlane>,
    /// Where things are.
    pub layout: Layout,
    /// The programs that it runs.
    pub programs: Programs,
}

impl Stack {
    /// Builds what is missing, starts the control plane in `dir` and sets up the rest.
    pub fn start(dir: &Path, lifetime: Lifetime, mut progress: impl FnMut(&str)) -> Result<Self> {
        if !Path::new(MODULE).is_file() {
            bail!("there is no {MODULE}; install the Debian package softhsm2 (apt-get install softhsm2)");
        }
        let assets = ensure_control_plane(&mut progress)?;
        progress("building the programs (a few minutes the first time)…");
        let built = Programs::build()?;
        let layout = Layout::at(dir);
        fs::create_dir_all(dir)?;
        let programs = built.pin_into(&layout.programs())?;
        progress("starting etcd, kube-apiserver and kube-controller-manager…");
        let cluster = match lifetime {
            Lifetime::WithParent => ControlPlane::start(&layout.cluster(), &assets)?,
            Lifetime::Detached => ControlPlane::start_detached(&layout.cluster(), &assets)?,
        };
        progress("making a simulated SGX platform and a SoftHSM2 token…");
        run(Command::new(programs.path("tcs-sgx-sim")).arg("init").arg(layout.platform()))?;
        fs::create_dir_all(layout.node())?;
        let stack = Self { cluster: Arc::new(cluster), layout, programs };
        stack.make_token()?;
        stack.write_attest_settings()?;
        stack.fill_path(&assets)?;
        stack.write_env()?;
        Ok(stack)
    }

    /// Starts the stand-in for the node in this process.
    #[must_use]
    pub fn node(&self) -> NodeStandIn {
        NodeStandIn::start(Arc::clone(&self.cluster), self.node_settings())
    }

    /// The settings of a stand-in in another process.
    #[must_use]
    pub fn node_settings(&self) -> Settings {
        node_settings(&self.layout)
    }

    /// A bash that has read the environment file, in the root of the repository.
    #[must_use]
    pub fn shell(&self) -> Command {
        let mut shell = Command::new("bash");
        shell.env("BASH_ENV", self.layout.env_file()).current_dir(repository());
        shell
    }

    fn make_token(&self) -> Result<()> {
        let dir = self.layout.key_owner();
        let tokens = dir.join("tokens");
        fs::create_dir_all(&tokens)?;
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o700))?;
        let settings = format!(
            "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\nslots.mechanisms = ALL\n",
            tokens.display()
        );
        fs::write(self.softhsm_conf(), settings)?;
        // The PIN is the public one of the walk-through; that of the security officer is never used again.
        let so_pin = hex::encode(rand_bytes()?);
        let mut command = Command::new("softhsm2-util");
        command.args(["--init-token", "--free", "--label", TOKEN, "--pin", PIN, "--so-pin", &so_pin]);
        run(command.env("SOFTHSM2_CONF", self.softhsm_conf()))?;
        Ok(())
    }

    fn softhsm_conf(&self) -> PathBuf {
        self.layout.key_owner().join("softhsm2.conf")
    }

    fn attest_settings(&self) -> PathBuf {
        self.layout.key_owner().join("km-attest.toml")
    }

    /// The key owner gets only the public part of the platform, and the measurement of the file that is
    /// started.
    fn write_attest_settings(&self) -> Result<()> {
        let (public, owner) = (self.layout.platform().join("public"), self.layout.key_owner());
        for file in ["root.der", "collateral.json"] {
            fs::copy(public.join(file), owner.join(file))
                .with_context(|| format!("the platform's {file}"))?;
        }
        let measured = hex::encode(self.programs.measurement("tcs-enclave")?);
        let text = format!(
            "# The enclave that this key owner trusts: SHA-256 of the program file (simulation).\n[[identity]]\n\
             mrenclave = \"{measured}\"\n\n[collateral]\nfile = \"collateral.json\"\n\n\
             # A simulated platform protects nothing. Both settings are needed, and a build with the feature.\n\
             [simulation]\nroot = \"root.der\"\nallow = true\n"
        );
        fs::write(self.attest_settings(), text)?;
        Ok(())
    }

    fn fill_path(&self, assets: &Assets) -> Result<()> {
        let bin = self.layout.bin();
        fs::create_dir_all(&bin)?;
        symlink(&assets.kubectl, bin.join("kubectl"))?;
        for name in ["km-attest", "km-wrap", "kubectl-tcs"] {
            symlink(self.programs.path(name), bin.join(name))?;
        }
        // Keeps PATH and SOFTHSM2_CONF. For root, or without sudo, it just runs the command.
        let sudo = "#!/bin/sh\nreal=$(PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin command -v sudo)\n\
                    if [ \"$(id -u)\" = 0 ] || [ -z \"$real\" ]; then exec \"$@\"; fi\n\
                    exec \"$real\" env \"PATH=$PATH\" \"SOFTHSM2_CONF=$SOFTHSM2_CONF\" \"$@\"\n";
        fs::write(bin.join("sudo"), sudo)?;
        fs::set_permissions(bin.join("sudo"), fs::Permissions::from_mode(0o755))?;
        Ok(())
    }

    fn write_env(&self) -> Result<()> {
        let quote = |path: &Path| format!("'{}'", path.display().to_string().replace('\'', r"'\''"));
        let text = format!(
            "export KUBECONFIG={}\nexport PATH={}:\"$PATH\"\nexport SOFTHSM2_CONF={}\nexport KM_ATTEST_CONFIG={}\n",
            quote(&self.cluster.admin_kubeconfig()),
            quote(&self.layout.bin()),
            quote(&self.softhsm_conf()),
            quote(&self.attest_settings()),
        );
        fs::write(self.layout.env_file(), text)?;
        Ok(())
    }
}

/// The settings of a stand-in for the node, from the layout alone.
#[must_use]
pub fn node_settings(layout: &Layout) -> Settings {
    Settings {
        dir: layout.node(),
        programs: Programs::at(&layout.programs()),
        platform: layout.platform(),
        controller_arguments: Vec::new(),
        server: None,
    }
}

fn rand_bytes() -> Result<[u8; 8]> {
    let mut bytes = [0; 8];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| anyhow::anyhow!("no random numbers"))?;
    Ok(bytes)
}
