//! kubeconfig files and the ServiceAccount tokens behind them.

use crate::pki::{KeyedCertificate, Pki};
use crate::private_file;
use crate::process::run;
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The lifetime that is requested for ServiceAccount tokens.
pub const TOKEN_LIFETIME: Duration = Duration::from_hours(1);

/// Tokens are renewed at half of their lifetime, so that time is left to try again.
const PACE: Pace = Pace { renew: Duration::from_mins(30), retry: Duration::from_secs(5) };

/// kubectl with a kubeconfig, and without any of the user's own configuration.
#[must_use]
pub fn kubectl(program: &Path, kubeconfig: &Path) -> Command {
    let mut command = Command::new(program);
    command.arg("--kubeconfig").arg(kubeconfig);
    if let Some(dir) = kubeconfig.parent() {
        command.arg("--cache-dir").arg(dir.join("kubectl-cache"));
    }
    command.env_remove("KUBECONFIG").env("KUBERC", "off");
    command
}

/// Requests a new token (`kubectl create token`, the TokenRequest API) and replaces `token_file` with it.
///
/// The token is valid for [`TOKEN_LIFETIME`]. Whoever supervises it should renew it at half of that time.
pub fn renew_token(
    kubectl_program: &Path,
    admin_kubeconfig: &Path,
    namespace: &str,
    name: &str,
    token_file: &Path,
) -> Result<()> {
    let duration = format!("--duration={}s", TOKEN_LIFETIME.as_secs());
    let mut command = kubectl(kubectl_program, admin_kubeconfig);
    command.args(["create", "token", name, "--namespace", namespace, &duration]);
    let token =
        run(&mut command).with_context(|| format!("get a token for ServiceAccount {namespace}/{name}"))?;
    private_file::replace(token_file, token.trim().as_bytes())
}

/// Writes a kubeconfig with a client certificate.
pub(crate) fn write_certificate(
    path: &Path,
    server: &str,
    pki: &Pki,
    client: &KeyedCertificate,
) -> Result<()> {
    let user = json!({
        "client-certificate": text(&client.certificate)?,
        "client-key": text(&client.key)?,
    });
    write(path, server, pki, "default", &user)
}

/// Writes a kubeconfig with a token that is read from a file.
pub(crate) fn write_token_file(
    path: &Path,
    server: &str,
    pki: &Pki,
    namespace: &str,
    token_file: &Path,
) -> Result<()> {
    write(path, server, pki, namespace, &json!({ "tokenFile": text(token_file)? }))
}

fn write(path: &Path, server: &str, pki: &Pki, namespace: &str, user: &Value) -> Result<()> {
    let cluster = json!({ "server": server, "certificate-authority": text(&pki.ca.certificate)? });
    let context = json!({ "cluster": "control-plane", "user": "user", "namespace": namespace });
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{ "name": "control-plane", "cluster": cluster }],
        "users": [{ "name": "user", "user": user }],
        "contexts": [{ "name": "control-plane", "context": context }],
        "current-context": "control-plane",
    });
    // JSON is YAML, and its quoting holds for every path.
    private_file::replace(path, serde_json::to_string_pretty(&config)?.as_bytes())
}

/// The API server's URL in a kubeconfig that this module wrote.
pub(crate) fn server(path: &Path) -> Result<String> {
    let read = || -> Result<Option<String>> {
        let config: Value = serde_json::from_slice(&std::fs::read(path)?)?;
        Ok(config.pointer("/clusters/0/cluster/server").and_then(Value::as_str).map(str::to_owned))
    };
    let server = read().with_context(|| format!("read {}", path.display()))?;
    server.with_context(|| format!("{} names no server", path.display()))
}

/// Writes a copy of a kubeconfig that this module wrote, beside it, with another URL of the API server.
pub(crate) fn with_server(path: &Path, server: &str) -> Result<PathBuf> {
    let copy = || -> Result<PathBuf> {
        let mut config: Value = serde_json::from_slice(&std::fs::read(path)?)?;
        *config.pointer_mut("/clusters/0/cluster/server").context("it names no server")? = json!(server);
        let copy = path.with_added_extension("copy");
        private_file::replace(&copy, serde_json::to_string_pretty(&config)?.as_bytes())?;
        Ok(copy)
    };
    copy().with_context(|| format!("copy {}", path.display()))
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().with_context(|| format!("{} is not valid text", path.display()))
}

/// Renews ServiceAccount tokens on a thread of its own for as long as it exists.
#[derive(Debug)]
pub(crate) struct Renewal {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Shared {
    kubectl: PathBuf,
    admin_kubeconfig: PathBuf,
    log: PathBuf,
    pace: Pace,
    state: Mutex<State>,
    changed: Condvar,
}

/// How long to wait before the next renewal, after one that worked and one that failed.
#[derive(Clone, Copy, Debug)]
struct Pace {
    renew: Duration,
    retry: Duration,
}

#[derive(Debug, Default)]
struct State {
    tokens: Vec<Token>,
    stopped: bool,
}

#[derive(Clone, Debug)]
struct Token {
    namespace: String,
    name: String,
    file: PathBuf,
    due: Instant,
}

impl Renewal {
    pub(crate) fn new(kubectl: PathBuf, admin_kubeconfig: PathBuf, log: PathBuf) -> Self {
        Self::with_pace(kubectl, admin_kubeconfig, log, PACE)
    }

    fn with_pace(kubectl: PathBuf, admin_kubeconfig: PathBuf, log: PathBuf, pace: Pace) -> Self {
        let (state, changed) = (Mutex::default(), Condvar::new());
        let shared = Arc::new(Shared { kubectl, admin_kubeconfig, log, pace, state, changed });
        Self { shared, thread: Mutex::new(None) }
    }

    /// Renews a token that was just made, from now on.
    pub(crate) fn add(&self, namespace: &str, name: &str, file: &Path) -> Result<()> {
        let token = Token {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            file: file.to_owned(),
            due: Instant::now() + self.shared.pace.renew,
        };
        let mut state = self.shared.lock();
        state.tokens.retain(|known| known.file != token.file);
        state.tokens.push(token);
        drop(state);
        self.shared.changed.notify_all();

        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if thread.is_none() {
            let shared = Arc::clone(&self.shared);
            let builder = std::thread::Builder::new().name("token renewal".to_owned());
            *thread = Some(builder.spawn(move || shared.renew_until_stopped())?);
        }
        Ok(())
    }
}

impl Drop for Renewal {
    fn drop(&mut self) {
        self.shared.lock().stopped = true;
        self.shared.changed.notify_all();
        let thread = self.thread.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(thread) = thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn renew_until_stopped(&self) {
        let mut state = self.lock();
        while !state.stopped {
            let now = Instant::now();
            let next = state.tokens.iter().min_by_key(|token| token.due).cloned();
            state = match next {
                Some(token) if token.due <= now => {
                    drop(state);
                    let due = self.renew(&token);
                    let mut state = self.lock();
                    for known in state.tokens.iter_mut().filter(|known| known.file == token.file) {
                        known.due = due;
                    }
                    state
                }
                next => {
                    let pause = next.map_or(TOKEN_LIFETIME, |token| token.due - now);
                    let waited = self.changed.wait_timeout(state, pause);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    /// Renews one token. Returns when to do so again.
    fn renew(&self, token: &Token) -> Instant {
        let Token { namespace, name, file, .. } = token;
        match renew_token(&self.kubectl, &self.admin_kubeconfig, namespace, name, file) {
            Ok(()) => Instant::now() + self.pace.renew,
            Err(error) => {
                self.note(&format!("{error:#}\n"));
                Instant::now() + self.pace.retry
            }
        }
    }

    /// A library does not write to its caller's terminal.
    fn note(&self, line: &str) {
        use std::io::Write;
        let log = std::fs::OpenOptions::new().create(true).append(true).open(&self.log);
        let _ = log.and_then(|mut log| log.write_all(line.as_bytes()));
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::process::wait_for;

    const LIMIT: Duration = Duration::from_secs(10);

    /// A stand-in for kubectl that fails at first, and then prints another token each time.
    const KUBECTL: &str = r#"#!/bin/sh
cd "${0%/*}" || exit 1
echo call >> calls
[ "$(wc -l < calls)" -gt 2 ] || { echo refused >&2; exit 1; }
wc -l < calls
"#;

    #[test]
    fn tokens_are_renewed_until_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        std::fs::write(path("kubectl"), KUBECTL).unwrap();
        std::fs::set_permissions(path("kubectl"), std::fs::Permissions::from_mode(0o700)).unwrap();
        let short = Duration::from_millis(20);
        let pace = Pace { renew: short, retry: short };
        let renewal = Renewal::with_pace(path("kubectl"), path("admin"), path("log"), pace);
        renewal.add("default", "reader", &path("token")).unwrap();

        // The first two calls fail, so the first token is 3.
        wait_for(LIMIT, "a token after the first", || {
            let token = std::fs::read_to_string(path("token")).ok();
            Ok(token.and_then(|token| token.parse::<u32>().ok()).filter(|token| *token > 3))
        })
        .unwrap();
        let log = std::fs::read_to_string(path("log")).unwrap();
        assert!(log.contains("default/reader") && log.contains("refused"), "{log}");

        drop(renewal);
        let calls = std::fs::read(path("calls")).unwrap();
        std::thread::sleep(short * 5);
        assert_eq!(std::fs::read(path("calls")).unwrap(), calls);
    }

    #[test]
    fn the_server_is_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("kubeconfig");
        let pki = Pki::at(dir.path());
        write_token_file(&path, "https://127.0.0.1:1", &pki, "default", &dir.path().join("token")).unwrap();
        assert_eq!(server(&path).unwrap(), "https://127.0.0.1:1");
        let copy = with_server(&path, "http://127.0.0.1:2").unwrap();
        assert_eq!(server(&copy).unwrap(), "http://127.0.0.1:2");
        assert_eq!(server(&path).unwrap(), "https://127.0.0.1:1");
        std::fs::write(&path, "{}").unwrap();
        assert!(server(&path).unwrap_err().to_string().contains("names no server"));
    }
}
