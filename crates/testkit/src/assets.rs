//! The control plane's programs: found, or built from published Go modules.

use crate::go_build::{GoProgram, Workshop, cache_folder, required_version};
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// The usual name of the variable for a directory with etcd, kube-apiserver and kubectl.
const OVERRIDE: &str = "KUBEBUILDER_ASSETS";

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
    let etcd = GoProgram {
        name: "etcd",
        package: "go.etcd.io/etcd/server/v3",
        version: &versions.etcd,
        variables: Vec::new(),
        time: "under a minute",
    };
    let programs = [
        etcd,
        versions.program("kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver", "about 5 minutes"),
        versions.program("kubectl", "k8s.io/kubernetes/cmd/kubectl", "about a minute"),
        versions.program(
            "kube-controller-manager",
            "k8s.io/kubernetes/cmd/kube-controller-manager",
            "about 2 minutes",
        ),
    ];
    let workshop = Workshop {
        module: &module,
        folder: &folder,
        what: "the control plane",
        alternative: ", or set KUBEBUILDER_ASSETS to a folder with etcd, kube-apiserver, kubectl and, if you can, \
                      kube-controller-manager",
    };
    workshop.complete(&programs, progress, || Ok(()))?;
    let [etcd, kube_apiserver, kubectl, kube_controller_manager] =
        programs.each_ref().map(|program| folder.join(program.name));
    Ok(Assets { etcd, kube_apiserver, kube_controller_manager: Some(kube_controller_manager), kubectl })
}

/// The Go module in this repository. testkit is never installed, so the path at which it was built still
/// exists.
fn module_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../hack/controlplane")
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
        Some(Self {
            kubernetes: required_version(go_mod, "k8s.io/kubernetes")?,
            etcd: required_version(go_mod, "go.etcd.io/etcd/server/v3")?,
        })
    }

    fn key(&self) -> String {
        format!("{}-etcd-{}", self.kubernetes, self.etcd)
    }

    /// A program of Kubernetes. Without its version it reports v0.0.0-master, and clients complain.
    fn program<'a>(&'a self, name: &'static str, package: &'a str, time: &'static str) -> GoProgram<'a> {
        let version = &self.kubernetes;
        let mut numbers = version.split('.');
        let (major, minor) = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
        let values =
            [("gitVersion", format!("v{version}")), ("gitMajor", major.into()), ("gitMinor", minor.into())];
        let variable =
            |(name, value): (&str, String)| (format!("k8s.io/component-base/version.{name}"), value);
        GoProgram { name, package, version, variables: values.map(variable).into(), time }
    }
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
    fn versions_are_those_of_the_module() {
        let versions = Versions::read(&module_folder()).unwrap();
        assert!(versions.kubernetes.starts_with("1."), "{}", versions.kubernetes);
        assert!(versions.etcd.starts_with("3."), "{}", versions.etcd);
        assert!(Versions::parse("module x\n").is_none());
    }

    #[test]
    fn kubernetes_programs_know_their_version() {
        let versions = Versions { kubernetes: "1.37.2".to_owned(), etcd: "3.7.0".to_owned() };
        let flags = versions.program("kubectl", "p", "").linker_flags();
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
}
