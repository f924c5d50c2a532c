//! The kubeconfig.

use super::causes::with_causes;
use crate::cli::Options;
use crate::error::Error;
use kube::Config;
use kube::config::{KubeConfigOptions, Kubeconfig};
use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Where the configuration comes from.
#[derive(Debug, PartialEq, Eq)]
enum Source {
    /// These files. Where two of them say the same, the first decides.
    Files(Vec<PathBuf>),
    /// The ServiceAccount of the pod.
    Pod,
}

/// The configuration that the options name: `--kubeconfig`, else KUBECONFIG or `~/.kube/config`, else that of
/// the pod.
pub async fn load(options: &Options) -> Result<Config, Error> {
    let error = |error: &dyn std::error::Error| Error::Kubeconfig(with_causes(error));
    let default = std::env::home_dir().map(|home| home.join(".kube").join("config"));
    let files = match source(options.kubeconfig.as_deref(), std::env::var_os("KUBECONFIG"), default)? {
        Source::Files(files) => files,
        Source::Pod if options.context.is_some() => {
            return Err(Error::Kubeconfig("there is none, so there is no context".to_owned()));
        }
        Source::Pod => return Config::incluster().map_err(|why| error(&why)),
    };
    let mut merged = Kubeconfig::default();
    for file in files {
        let read = Kubeconfig::read_from(file).and_then(|read| merged.merge(read));
        merged = read.map_err(|why| error(&why))?;
    }
    if let Some(context) = &options.context {
        check_context(context, &merged)?;
    }
    let choice = KubeConfigOptions { context: options.context.clone(), ..KubeConfigOptions::default() };
    Config::from_custom_kubeconfig(merged, &choice).await.map_err(|why| error(&why))
}

/// As kubectl, the files of KUBECONFIG that do not exist are left out. But another identity than that of the
/// files is used only if no file was named: a mistake in a path must not make the program act for the pod.
fn source(
    option: Option<&Path>,
    variable: Option<OsString>,
    default: Option<PathBuf>,
) -> Result<Source, Error> {
    let is_missing = |path: &PathBuf| path.metadata().is_err_and(|why| why.kind() == ErrorKind::NotFound);
    if let Some(path) = option {
        return Ok(Source::Files(vec![path.to_owned()]));
    }
    let variable = variable.unwrap_or_default();
    let named: Vec<PathBuf> =
        std::env::split_paths(&variable).filter(|path| !path.as_os_str().is_empty()).collect();
    if named.is_empty() {
        let default = default.filter(|path| !is_missing(path));
        return Ok(default.map_or(Source::Pod, |path| Source::Files(vec![path])));
    }
    let existing: Vec<PathBuf> = named.into_iter().filter(|path| !is_missing(path)).collect();
    if existing.is_empty() {
        return Err(Error::Kubeconfig(format!(
            "no file that KUBECONFIG names exists: {}",
            variable.display()
        )));
    }
    Ok(Source::Files(existing))
}

/// The context must be one of the file.
fn check_context(context: &str, file: &Kubeconfig) -> Result<(), Error> {
    let known: Vec<&str> = file.contexts.iter().map(|known| known.name.as_str()).collect();
    if known.contains(&context) {
        return Ok(());
    }
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    Err(Error::Kubeconfig(format!("it has no context {context:?}; it has: {known}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_account_of_the_pod_is_used_only_if_no_file_was_named() {
        let folder = tempfile::tempdir().unwrap();
        let (there, missing) = (folder.path().join("there"), folder.path().join("missing"));
        std::fs::write(&there, "").unwrap();
        let list = |paths: &[&PathBuf]| Some(std::env::join_paths(paths).unwrap());
        let files = |path: &PathBuf| Source::Files(vec![path.clone()]);
        assert_eq!(source(Some(&missing), None, None).unwrap(), files(&missing));
        assert_eq!(source(None, list(&[&missing, &there]), None).unwrap(), files(&there));
        let error = source(None, list(&[&missing]), Some(there.clone())).unwrap_err();
        assert_eq!(error.code(), "KubeconfigUnusable");
        assert_eq!(source(None, Some(":".into()), Some(there.clone())).unwrap(), files(&there));
        assert_eq!(source(None, None, Some(missing)).unwrap(), Source::Pod);
        assert_eq!(source(None, None, None).unwrap(), Source::Pod);
    }
}
