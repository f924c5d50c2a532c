//! The control plane's programs: found, or built from published Go modules.

use crate::process::{Program, Supervised, tail, wait_for};
use anyhow::{Context, Result, anyhow, bail};
use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// The usual name of the variable for a directory with etcd, kube-apiserver and kubectl.
const OVERRIDE: &str = "KUBEBUILDER_ASSETS";

/// Longer than any build takes, so that a hung download ends at some time.
const BUILD_LIMIT: Duration = Duration::from_hours(1);

/// How often a build that takes minutes reports that it continues.
const REMINDER: Duration = Duration::from_mins(1);

/// Where the programs of a control plane are.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Assets {
    /// etcd.
    pub etcd: PathBuf,
    /// kube-apiserver.
    pub kube_apiserver: PathBuf,
    /// kube-controller-manager. Without it namespaces never finish deleting, owner references are not
    /// collected, no namespace gets its `default` ServiceAccount, and the built-in signers of a
    /// CertificateSigningRequest do not sign.
    pub kube_controller_manager: Option<PathBuf>,
    /// kubectl.
    pub kubectl: PathBuf,
}

/// Finds the programs of the control plane, and builds those that are missing.
///
/// A directory named by `KUBEBUILDER_ASSETS` takes precedence. Otherwise they are built from
/// `hack/controlplane` into `$XDG_CACHE_HOME/tcs/controlplane` (`~/.cache/…`), once for each version, which
/// takes about eight minutes on two cores. `progress` receives lines for the user.
pub fn ensure_control_plane(mut progress: impl FnMut(&str)) -> Result<Assets> {
    match std::env::var_os(OVERRIDE).filter(|folder| !folder.is_empty()) {
        Some(folder) => from_folder(Path::new(&folder), &mut progress),
        None => from_cache(&cache_folder()?.join("controlplane"), &mut progress),
    }
}

fn from_folder(folder: &Path, progress: &mut dyn FnMut(&str)) -> Result<Assets> {
    let find = |name: &str| Some(folder.join(name)).filter(|path| path.is_file());
    let require = |name: &str| {
        find(name).with_context(|| {
            format!(
                "{OVERRIDE} is set to {}, which holds no {name}; add it, or unset {OVERRIDE} to build the programs",
                folder.display()
            )
        })
    };
    let assets = Assets {
        etcd: require("etcd")?,
        kube_apiserver: require("kube-apiserver")?,
        kube_controller_manager: find("kube-controller-manager"),
        kubectl: require("kubectl")?,
    };
    if assets.kube_controller_manager.is_none() {
        progress(&format!(
            "{} holds no kube-controller-manager: namespaces never finish deleting, owner references are not \
             collected, default ServiceAccounts are not made, built-in certificate signers do not sign",
            folder.display()
        ));
    }
    Ok(assets)
}

fn from_cache(cache: &Path, progress: &mut dyn FnMut(&str)) -> Result<Assets> {
    let module = module_folder();
    let versions = Versions::read(&module)?;
    let folder = cache.join(versions.key());
    fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
    let programs = [
        GoProgram {
            name: "etcd",
            package: "go.etcd.io/etcd/server/v3".to_owned(),
            version: &versions.etcd,
            time: "under a minute",
        },
        GoProgram::kubernetes("kube-apiserver", &versions, "about 5 minutes"),
        GoProgram::kubernetes("kubectl", &versions, "about a minute"),
        GoProgram::kubernetes("kube-controller-manager", &versions, "about 2 minutes"),
    ];
    let [etcd, kube_apiserver, kubectl, kube_controller_manager] =
        programs.each_ref().map(|program| folder.join(program.name));
    let missing = |program: &&GoProgram<'_>| !folder.join(program.name).is_file();

    // A program appears by a rename when it is complete, so a complete directory needs no lock.
    if programs.iter().any(|program| missing(&program)) {
        let _lock = lock(&folder, progress)?;
        for program in programs.iter().filter(missing) {
            program.build(&module, &folder, progress)?;
        }
    }
    Ok(Assets { etcd, kube_apiserver, kube_controller_manager: Some(kube_controller_manager), kubectl })
}

/// The Go module in this repository. testkit is never installed, so the path at which it was built still
/// exists.
fn module_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../hack/controlplane")
}

/// Where programs are kept that this repository builds once: `$XDG_CACHE_HOME/tcs` (`~/.cache/tcs`).
pub fn cache_folder() -> Result<PathBuf> {
    cache_folder_from(std::env::var_os("XDG_CACHE_HOME"), std::env::var_os("HOME"))
}

fn cache_folder_from(xdg: Option<OsString>, home: Option<OsString>) -> Result<PathBuf> {
    // The XDG base directory specification: a relative path is to be ignored.
    let absolute = |path: Option<OsString>| path.map(PathBuf::from).filter(|path| path.is_absolute());
    let base = absolute(xdg).or_else(|| absolute(home).map(|home| home.join(".cache")));
    let base =
        base.context("neither XDG_CACHE_HOME nor HOME is set; one is needed to keep built programs")?;
    Ok(base.join("tcs"))
}

/// The lock ends with the returned file, or with the process.
fn lock(folder: &Path, progress: &mut dyn FnMut(&str)) -> Result<File> {
    let path = folder.join(".lock");
    let file = File::create(&path).with_context(|| format!("create {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => return Ok(file),
        Err(TryLockError::WouldBlock) => {
            progress("another process is building the control plane; waiting for it");
            file.lock()
        }
        Err(TryLockError::Error(error)) => Err(error),
    }
    .with_context(|| format!("lock {}", path.display()))?;
    Ok(file)
}

/// The pinned versions, without the leading `v`.
struct Versions {
    kubernetes: String,
    etcd: String,
}

impl Versions {
    fn read(module: &Path) -> Result<Self> {
        let path = module.join("go.mod");
        let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        Self::parse(&text)
            .with_context(|| format!("{} requires no k8s.io/kubernetes or no etcd", path.display()))
    }

    fn parse(go_mod: &str) -> Option<Self> {
        let required = |module: &str| {
            go_mod.lines().find_map(|line| {
                let mut words = line.split_whitespace().skip_while(|word| *word == "require");
                (words.next() == Some(module)).then(|| words.next()?.strip_prefix('v').map(str::to_owned))?
            })
        };
        Some(Self {
            kubernetes: required("k8s.io/kubernetes")?,
            etcd: required("go.etcd.io/etcd/server/v3")?,
        })
    }

    fn key(&self) -> String {
        format!("{}-etcd-{}", self.kubernetes, self.etcd)
    }
}

struct GoProgram<'a> {
    name: &'static str,
    package: String,
    version: &'a str,
    time: &'static str,
}

impl<'a> GoProgram<'a> {
    fn kubernetes(name: &'static str, versions: &'a Versions, time: &'static str) -> Self {
        let package = format!("k8s.io/kubernetes/cmd/{name}");
        Self { name, package, version: &versions.kubernetes, time }
    }

    fn build(&self, module: &Path, folder: &Path, progress: &mut dyn FnMut(&str)) -> Result<()> {
        let Self { name, package, version, time } = self;
        progress(&format!("building {name} {version} ({time} the first time)…"));
        check_go()?;
        let start = Instant::now();
        let unfinished = folder.join(format!(".{name}.unfinished"));
        let mut build = Program::new("go build", "go", folder.join(format!("{name}.build.log")))
            .args(["build", "-buildvcs=false", "-trimpath", "-ldflags", &self.linker_flags(), "-o"])
            .arg(&unfinished)
            .arg(package)
            .directory(module)
            // The user's own settings could select another module, or a vendor directory.
            .env("GOFLAGS", "")
            .env("GOWORK", "off")
            .env("CGO_ENABLED", "0")
            .spawn()?;
        wait_with_reminders(&mut build, name, start, progress)
            .with_context(|| format!("build {name} {version} from {}", module.display()))?;
        fs::rename(&unfinished, folder.join(name)).with_context(|| format!("put {name} into its place"))?;
        progress(&format!("built {name} in {} s", start.elapsed().as_secs()));
        Ok(())
    }

    /// Without its version a Kubernetes program reports v0.0.0-master, and clients complain.
    fn linker_flags(&self) -> String {
        let mut flags = "-s -w".to_owned();
        if self.package.starts_with("k8s.io/") {
            let mut numbers = self.version.split('.');
            let (major, minor) = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
            let values = [
                ("gitVersion", format!("v{}", self.version)),
                ("gitMajor", major.into()),
                ("gitMinor", minor.into()),
            ];
            for (variable, value) in values {
                flags.extend([" -X k8s.io/component-base/version.", variable, "=", &value]);
            }
        }
        flags
    }
}

fn wait_with_reminders(
    build: &mut Supervised,
    name: &str,
    start: Instant,
    progress: &mut dyn FnMut(&str),
) -> Result<()> {
    let mut reminder = REMINDER;
    let status = wait_for(BUILD_LIMIT, "go build", || {
        if start.elapsed() >= reminder {
            progress(&format!("still building {name} ({} s)…", reminder.as_secs()));
            reminder += REMINDER;
        }
        build.exited()
    })?;
    if !status.success() {
        let text = build.log_text()?;
        bail!(
            "go build failed: {status}; its log is {} and ends in:\n{}",
            build.log().display(),
            tail(&text, 2_000)
        );
    }
    Ok(())
}

fn check_go() -> Result<()> {
    let found = Command::new("go").arg("version").output();
    found.map(drop).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => anyhow!(
            "there is no `go` in PATH; install Go (https://go.dev/dl, the version in hack/controlplane/go.mod or \
             later) to build the control plane, or set {OVERRIDE} to a folder with etcd, kube-apiserver, kubectl \
             and, if you can, kube-controller-manager"
        ),
        _ => anyhow!(error).context("run go version"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touch(folder: &Path, names: &[&str]) {
        for name in names {
            fs::write(folder.join(name), "").unwrap();
        }
    }

    #[test]
    fn versions_come_from_go_mod() {
        let versions = Versions::read(&module_folder()).unwrap();
        assert!(versions.kubernetes.starts_with("1."), "{}", versions.kubernetes);
        assert!(versions.etcd.starts_with("3."), "{}", versions.etcd);
        let go_mod =
            "require k8s.io/kubernetes v1.2.3\nrequire (\n\tgo.etcd.io/etcd/server/v3 v3.4.5 // why\n)\n";
        assert_eq!(Versions::parse(go_mod).unwrap().key(), "1.2.3-etcd-3.4.5");
        assert!(Versions::parse("module x\n").is_none());
    }

    #[test]
    fn kubernetes_programs_know_their_version() {
        let versions = Versions { kubernetes: "1.37.2".to_owned(), etcd: "3.7.0".to_owned() };
        let flags = GoProgram::kubernetes("kubectl", &versions, "").linker_flags();
        assert!(flags.ends_with("gitVersion=v1.37.2 -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=37"), "{flags}");
    }

    #[test]
    fn a_given_folder_may_lack_the_controller_manager_only() {
        let dir = tempfile::tempdir().unwrap();
        let mut lines = Vec::new();
        touch(dir.path(), &["etcd", "kubectl"]);
        let error = from_folder(dir.path(), &mut |line| lines.push(line.to_owned())).unwrap_err();
        assert!(error.to_string().contains("kube-apiserver"), "{error}");

        touch(dir.path(), &["kube-apiserver"]);
        let assets = from_folder(dir.path(), &mut |line| lines.push(line.to_owned())).unwrap();
        assert_eq!(assets.kube_controller_manager, None);
        assert!(lines.iter().any(|line| line.contains("namespaces never finish deleting")), "{lines:?}");
    }

    #[test]
    fn a_complete_cache_is_used_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join(Versions::read(&module_folder()).unwrap().key());
        fs::create_dir_all(&folder).unwrap();
        touch(&folder, &["etcd", "kube-apiserver", "kube-controller-manager", "kubectl"]);
        let assets = from_cache(dir.path(), &mut |line| panic!("{line}")).unwrap();
        assert_eq!(assets.kubectl, folder.join("kubectl"));
    }

    #[test]
    fn a_second_builder_waits() {
        let dir = tempfile::tempdir().unwrap();
        let first = lock(dir.path(), &mut |line| panic!("{line}")).unwrap();
        let (told, waiting) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            let second = scope.spawn(|| lock(dir.path(), &mut |line| told.send(line.to_owned()).unwrap()));
            assert!(waiting.recv().unwrap().contains("another process"));
            assert!(!second.is_finished());
            drop(first);
            second.join().unwrap().unwrap();
        });
    }

    #[test]
    fn the_cache_follows_xdg() {
        let folder = |xdg: &str, home: &str| cache_folder_from(Some(xdg.into()), Some(home.into())).unwrap();
        assert_eq!(folder("/x", "/h"), Path::new("/x/tcs"));
        assert_eq!(folder("x", "/h"), Path::new("/h/.cache/tcs"));
        assert!(cache_folder_from(None, None).is_err());
    }
}
