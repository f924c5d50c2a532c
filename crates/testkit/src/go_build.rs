//! Builds Go programs once and keeps them in the user's cache.

use crate::process::{Program, Supervised, tail, wait_for};
use anyhow::{Context, Result, anyhow, bail};
use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Longer than any build takes, so that a hung download ends at some time.
const BUILD_LIMIT: Duration = Duration::from_hours(1);

/// How often a build that takes minutes reports that it continues.
const REMINDER: Duration = Duration::from_mins(1);

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

/// The version of a module that a go.mod requires, without the leading `v`.
pub(crate) fn required_version(go_mod: &str, module: &str) -> Option<String> {
    go_mod.lines().find_map(|line| {
        let mut words = line.split_whitespace().skip_while(|word| *word == "require");
        (words.next() == Some(module)).then(|| words.next()?.strip_prefix('v').map(str::to_owned))?
    })
}

/// A folder of the cache in which programs are built.
pub(crate) struct Workshop<'a> {
    /// The Go module from which they are built.
    pub module: &'a Path,
    /// Where they are put.
    pub folder: &'a Path,
    /// What they are, for messages.
    pub what: &'static str,
    /// What to do where Go is not installed, other than to install it; may be empty.
    pub alternative: &'static str,
}

/// A program of a Go module.
pub(crate) struct GoProgram<'a> {
    pub name: &'static str,
    pub package: &'a str,
    pub version: &'a str,
    /// The values of variables of its packages.
    pub variables: Vec<(String, String)>,
    /// How long a build takes the first time, for messages.
    pub time: &'static str,
}

impl Workshop<'_> {
    /// Builds the programs that are missing. `before` runs first, if any is, under the lock of the folder.
    pub fn complete(
        &self,
        programs: &[GoProgram<'_>],
        progress: &mut dyn FnMut(&str),
        before: impl FnOnce() -> Result<()>,
    ) -> Result<()> {
        let Self { folder, .. } = self;
        fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
        let missing = |program: &&GoProgram<'_>| !folder.join(program.name).is_file();
        // A program appears by a rename when it is complete, so a complete directory needs no lock.
        if !programs.iter().any(|program| missing(&program)) {
            return Ok(());
        }
        let _lock = self.lock(progress)?;
        // Another process may have built them meanwhile.
        if programs.iter().any(|program| missing(&program)) {
            self.check_go()?;
            before()?;
        }
        programs.iter().filter(missing).try_for_each(|program| self.build(program, progress))
    }

    /// A call of Go in the module. The user's own settings could select another module, or a vendor
    /// directory.
    pub fn go(&self) -> Command {
        let mut command = Command::new("go");
        command.current_dir(self.module).envs(ENVIRONMENT);
        command
    }

    /// The lock ends with the returned file, or with the process.
    fn lock(&self, progress: &mut dyn FnMut(&str)) -> Result<File> {
        let path = self.folder.join(".lock");
        let file = File::create(&path).with_context(|| format!("create {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => {
                progress(&format!("another process is building {}; waiting for it", self.what));
                file.lock()
            }
            Err(TryLockError::Error(error)) => Err(error),
        }
        .with_context(|| format!("lock {}", path.display()))?;
        Ok(file)
    }

    fn build(&self, program: &GoProgram<'_>, progress: &mut dyn FnMut(&str)) -> Result<()> {
        let GoProgram { name, package, version, time, .. } = program;
        let Self { folder, module, .. } = self;
        progress(&format!("building {name} {version} ({time} the first time)…"));
        let start = Instant::now();
        let unfinished = folder.join(format!(".{name}.unfinished"));
        let flags = ["build", "-buildvcs=false", "-trimpath", "-ldflags", &program.linker_flags(), "-o"];
        let build = Program::new("go build", "go", folder.join(format!("{name}.build.log")))
            .args(flags)
            .arg(&unfinished)
            .arg(*package)
            .directory(*module);
        let build = ENVIRONMENT.iter().fold(build, |build, (name, value)| build.env(name, value));
        wait_with_reminders(&mut build.spawn()?, name, start, progress)
            .with_context(|| format!("build {name} {version} from {}", module.display()))?;
        fs::rename(&unfinished, folder.join(name)).with_context(|| format!("put {name} into its place"))?;
        progress(&format!("built {name} in {} s", start.elapsed().as_secs()));
        Ok(())
    }

    fn check_go(&self) -> Result<()> {
        let found = Command::new("go").arg("version").output();
        found.map(drop).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => anyhow!(
                "there is no `go` in PATH; install Go (https://go.dev/dl, the version in {}/go.mod or later) to build \
                 {}{}",
                self.module.display(),
                self.what,
                self.alternative
            ),
            _ => anyhow!(error).context("run go version"),
        })
    }
}

/// The environment of each call of Go.
const ENVIRONMENT: [(&str, &str); 3] = [("GOFLAGS", ""), ("GOWORK", "off"), ("CGO_ENABLED", "0")];

impl GoProgram<'_> {
    pub fn linker_flags(&self) -> String {
        let mut flags = "-s -w".to_owned();
        for (variable, value) in &self.variables {
            flags.extend([" -X ", variable, "=", value]);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_come_from_go_mod() {
        let go_mod =
            "require k8s.io/kubernetes v1.2.3\nrequire (\n\tgo.etcd.io/etcd/server/v3 v3.4.5 // why\n)\n";
        assert_eq!(required_version(go_mod, "k8s.io/kubernetes").as_deref(), Some("1.2.3"));
        assert_eq!(required_version(go_mod, "go.etcd.io/etcd/server/v3").as_deref(), Some("3.4.5"));
        assert_eq!(required_version("module x\n", "x"), None);
    }

    #[test]
    fn a_second_builder_waits() {
        let dir = tempfile::tempdir().unwrap();
        let workshop =
            Workshop { module: dir.path(), folder: dir.path(), what: "the programs", alternative: "" };
        let first = workshop.lock(&mut |line| panic!("{line}")).unwrap();
        let (told, waiting) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            let second = scope.spawn(|| workshop.lock(&mut |line| told.send(line.to_owned()).unwrap()));
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
