//! The kubeconfig.

use super::causes::with_causes;
use crate::cli::Options;
use crate::error::Error;
use kube::Config;
use kube::config::{KubeConfigOptions, Kubeconfig};

/// The configuration that the options name: `--kubeconfig`, else KUBECONFIG or `~/.kube/config`, else that of
/// the pod.
pub async fn load(options: &Options) -> Result<Config, Error> {
    let error = |error: &dyn std::error::Error| Error::Kubeconfig(with_causes(error));
    let file = match &options.kubeconfig {
        Some(path) => Kubeconfig::read_from(path).map_err(|why| error(&why))?,
        None => match Kubeconfig::read() {
            Ok(file) => file,
            // Inside of a pod there is no file.
            Err(why) => {
                let in_pod = (options.context.is_none()).then(|| Config::incluster().ok()).flatten();
                return in_pod.ok_or_else(|| error(&why));
            }
        },
    };
    if let Some(context) = &options.context {
        check_context(context, &file)?;
    }
    let choice = KubeConfigOptions { context: options.context.clone(), ..KubeConfigOptions::default() };
    Config::from_custom_kubeconfig(file, &choice).await.map_err(|why| error(&why))
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
