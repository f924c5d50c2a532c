//! Translates a container of a pod into a local program.

use super::settings::Settings;
use crate::process::Program;
use anyhow::{Context, Result, bail};
use k8s_openapi::api::core::v1::{Container as PodContainer, PodSpec};
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

/// The directory in which the in-cluster client looks for its token.
const TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// The container of the controller.
const CONTROLLER: &str = "tcs-issuer";

/// A container as a local program.
#[derive(Clone, Debug)]
pub struct Container {
    /// The container's name.
    pub name: String,
    executable: PathBuf,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
}

/// Each replacement: the original and what replaced it.
#[derive(Clone, Debug, Default)]
pub struct Replacements {
    /// Listen addresses: the one in the manifest, and the real one.
    pub addresses: BTreeMap<String, String>,
    /// One line for each replacement.
    pub said: Vec<String>,
}

impl Replacements {
    /// The same manifest address is the same real one in every container.
    fn address(&mut self, in_manifest: &str) -> Result<String> {
        if let Some(known) = self.addresses.get(in_manifest) {
            return Ok(known.clone());
        }
        let free = TcpListener::bind("127.0.0.1:0").context("find a free port")?.local_addr()?.to_string();
        self.said.push(format!("address {in_manifest} -> {free}"));
        self.addresses.insert(in_manifest.to_owned(), free.clone());
        Ok(free)
    }
}

impl Container {
    /// The program, with its log in `dir`.
    pub fn program(&self, dir: &Path) -> Program {
        let log = dir.join(format!("{}.log", self.name));
        let program = Program::new(&self.name, &self.executable, log).args(self.arguments.iter().cloned());
        self.environment.iter().fold(program, |program, (name, value)| program.env(name, value))
    }
}

/// Translates all containers of a pod.
pub fn translate(
    pod: &PodSpec,
    settings: &Settings,
    kubeconfig: &Path,
    replacements: &mut Replacements,
) -> Result<Vec<Container>> {
    pod.containers.iter().map(|container| one(container, settings, kubeconfig, replacements)).collect()
}

fn one(
    container: &PodContainer,
    settings: &Settings,
    kubeconfig: &Path,
    replacements: &mut Replacements,
) -> Result<Container> {
    let executable = settings.programs.path(&container.name);
    if !executable.is_file() {
        bail!("the Deployment has a container '{}', for which there is no program", container.name);
    }
    let image = container.image.as_deref().unwrap_or("(none)");
    replacements.said.push(format!("image {image} -> {}", executable.display()));
    let mounts = mounts(container, settings, replacements)?;
    let mut arguments = Vec::new();
    // The first word of `command` is the program inside the image.
    let command = container.command.iter().flatten().skip(1);
    for argument in command.chain(container.args.iter().flatten()) {
        let (flag, value) = argument.split_once('=').map_or((None, argument.as_str()), |(f, v)| (Some(f), v));
        if flag == Some("--platform") {
            let platform = settings.platform.display();
            arguments.push("--platform=simulation".to_owned());
            arguments.push(format!("--platform-dir={platform}"));
            replacements.said.push(format!("{argument} -> --platform=simulation --platform-dir={platform}"));
            continue;
        }
        let value = if is_listen_address(value) {
            replacements.address(value)?
        } else {
            replace_paths(value, &mounts)
        };
        arguments.push(flag.map_or_else(|| value.clone(), |flag| format!("{flag}={value}")));
    }
    if container.name == CONTROLLER {
        arguments.extend(settings.controller_arguments.iter().cloned());
        replacements.said.extend(settings.controller_arguments.iter().map(|one| format!("added: {one}")));
    }
    let mut environment = Vec::new();
    for variable in container.env.iter().flatten() {
        let value = match (&variable.value, &variable.value_from) {
            (Some(value), _) => replace_paths(value, &mounts),
            // Field references: only the pod's name is supported.
            (None, Some(_)) => "tcs-issuer-stand-in".to_owned(),
            (None, None) => String::new(),
        };
        environment.push((variable.name.clone(), value));
    }
    // Only a container into which the account's token is mounted may use it.
    let with_token = container.volume_mounts.iter().flatten().any(|mount| mount.mount_path == TOKEN);
    let credentials = if with_token { kubeconfig } else { Path::new("/dev/null") };
    let (name, shown) = (&container.name, credentials.display());
    replacements.said.push(format!("in-cluster credentials of {name} -> {shown}"));
    environment.push(("KUBECONFIG".into(), shown.to_string()));
    Ok(Container { name: container.name.clone(), executable, arguments, environment })
}

/// Mounted paths become directories. Containers that share a volume share its directory.
fn mounts(
    container: &PodContainer,
    settings: &Settings,
    replacements: &mut Replacements,
) -> Result<Vec<(String, String)>> {
    let mut mounts = Vec::new();
    for mount in container.volume_mounts.iter().flatten() {
        let folder = settings.dir.join("volumes").join(&mount.name);
        std::fs::create_dir_all(&folder)?;
        replacements.said.push(format!("mount {} -> {}", mount.mount_path, folder.display()));
        mounts.push((mount.mount_path.clone(), folder.display().to_string()));
    }
    Ok(mounts)
}

fn replace_paths(value: &str, mounts: &[(String, String)]) -> String {
    mounts.iter().fold(value.to_owned(), |value, (from, to)| match value.strip_prefix(from) {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => format!("{to}{rest}"),
        _ => value,
    })
}

fn is_listen_address(value: &str) -> bool {
    value.rsplit_once(':').is_some_and(|(host, port)| {
        matches!(host, "" | "127.0.0.1" | "0.0.0.0") && port.parse::<u16>().is_ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listen_addresses_and_mounted_paths_are_replaced() {
        assert!(is_listen_address(":8081") && is_listen_address("127.0.0.1:7443"));
        assert!(
            !is_listen_address("info") && !is_listen_address("example.com:80") && !is_listen_address("a:b")
        );
        let mounts = [("/run/tcs".to_owned(), "/tmp/x".to_owned())];
        assert_eq!(replace_paths("/run/tcs/s", &mounts), "/tmp/x/s");
        assert_eq!(replace_paths("/run/tcsx", &mounts), "/run/tcsx");
    }

    #[test]
    fn one_manifest_address_has_one_real_address() {
        let mut replacements = Replacements::default();
        let first = replacements.address(":8081").unwrap();
        assert_eq!(replacements.address(":8081").unwrap(), first);
        assert_ne!(replacements.address(":8080").unwrap(), first);
    }
}
