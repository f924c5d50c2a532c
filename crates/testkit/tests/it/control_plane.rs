//! A real control plane, started and stopped in every possible way.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use tcs_testkit::process::{Identity, Program, run, wait_for};
use tcs_testkit::{Assets, ControlPlane, ensure_control_plane};

/// The directory in which a copy of this program starts a control plane (see [`copy`]).
const DIR: &str = "TCS_TESTKIT_DIR";
/// How long the kernel may take to remove killed processes.
const REMOVAL: Duration = Duration::from_secs(10);
/// How long controllers may take.
const SETTLE: Duration = Duration::from_mins(1);

fn assets() -> Assets {
    ensure_control_plane(|line| eprintln!("{line}")).unwrap()
}

fn identities(control_plane: &mut ControlPlane) -> Vec<Identity> {
    let identities: Vec<_> =
        control_plane.programs().iter().map(|program| program.identity().clone()).collect();
    assert!(identities.len() >= 2 && identities.iter().all(|identity| identity.is_running().unwrap()));
    identities
}

fn assert_gone(identities: &[Identity]) {
    assert!(!identities.is_empty());
    for identity in identities {
        identity.wait(REMOVAL).unwrap();
    }
}

/// This test program as another process, which runs only the test `test`.
fn copy(test: &str, dir: &Path) -> Program {
    Program::new(test, std::env::current_exe().unwrap(), dir.join("copy.log"))
        .args(["--exact", &format!("control_plane::{test}"), "--nocapture"])
        .env(DIR, dir)
}

/// Set only by the tests that run one of these as another process. In an ordinary run there is nothing to do.
fn given_dir() -> Option<std::path::PathBuf> {
    std::env::var_os(DIR).map(Into::into)
}

#[test]
fn a_namespace_ends_and_rbac_is_enforced() {
    let dir = tempfile::tempdir().unwrap();
    let start = Instant::now();
    let mut control_plane = ControlPlane::start(dir.path(), &assets()).unwrap();
    eprintln!("started in {:?}", start.elapsed());
    let identities = identities(&mut control_plane);
    let kubectl = |arguments: &[&str]| run(control_plane.kubectl().args(arguments));

    kubectl(&["create", "namespace", "one"]).unwrap();
    if control_plane.has_controller_manager() {
        wait_for(SETTLE, "the default ServiceAccount", || {
            Ok(kubectl(&["get", "serviceaccount", "default", "--namespace", "one"]).ok())
        })
        .unwrap();
        eprintln!("default ServiceAccount after {:?}", start.elapsed());
        kubectl(&["delete", "namespace", "one", "--wait=false"]).unwrap();
        wait_for(SETTLE, "namespace one to be gone", || {
            Ok(kubectl(&["get", "namespace", "one", "--ignore-not-found"])?.is_empty().then_some(()))
        })
        .unwrap();
        eprintln!("namespace gone after {:?}", start.elapsed());
    }

    kubectl(&["create", "serviceaccount", "reader", "--namespace", "default"]).unwrap();
    kubectl(&["create", "role", "reader", "--verb=get,list", "--resource=configmaps"]).unwrap();
    kubectl(&["create", "rolebinding", "reader", "--role=reader", "--serviceaccount=default:reader"])
        .unwrap();
    let reader = control_plane.service_account_kubeconfig("default", "reader").unwrap();
    let as_reader = |arguments: &[&str]| run(control_plane.kubectl_as(&reader).args(arguments));
    wait_for(SETTLE, "the role to apply", || Ok(as_reader(&["get", "configmaps"]).ok())).unwrap();
    let refusal = as_reader(&["get", "secrets"]).unwrap_err().to_string();
    assert!(
        refusal.contains("Forbidden") && refusal.contains("system:serviceaccount:default:reader"),
        "{refusal}"
    );
    assert!(as_reader(&["auth", "can-i", "get", "secrets"]).is_err());

    // A renewed token replaces the file that the kubeconfig names, and works.
    let token = dir.path().join("service-accounts/default.reader.token");
    let before = std::fs::read(&token).unwrap();
    // Tokens that were made within the same second are equal.
    wait_for(SETTLE, "another token", || {
        control_plane.renew_token("default", "reader", &token)?;
        Ok((std::fs::read(&token)? != before).then_some(()))
    })
    .unwrap();
    as_reader(&["get", "configmaps"]).unwrap();
    let nobody = control_plane.service_account_kubeconfig("default", "nobody").unwrap_err();
    assert!(format!("{nobody:#}").contains("default/nobody"), "{nobody:#}");

    let end = Instant::now();
    drop(control_plane);
    eprintln!("ended in {:?}", end.elapsed());
    assert!(identities.iter().all(|identity| !identity.is_running().unwrap()));
}

#[test]
fn a_panic_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (tell, told) = std::sync::mpsc::channel();
    let path = dir.path().to_owned();
    let thread = std::thread::spawn(move || {
        let mut control_plane = ControlPlane::start(&path, &assets()).unwrap();
        tell.send(identities(&mut control_plane)).unwrap();
        panic!("on purpose");
    });
    let identities = told.recv().unwrap();
    assert!(thread.join().is_err());
    assert!(identities.iter().all(|identity| !identity.is_running().unwrap()));
}

#[test]
fn sigkill_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut copy = copy("start_and_wait_for_the_end", dir.path()).spawn().unwrap();
    let ready = dir.path().join("ready");
    wait_for(SETTLE, "the copy to start a control plane", || {
        copy.check_running()?;
        Ok(ready.exists().then_some(()))
    })
    .unwrap();
    let records: Vec<_> = std::fs::read_dir(dir.path().join("records")).unwrap().collect();
    let identities: Vec<_> =
        records.into_iter().map(|record| Identity::load(&record.unwrap().path()).unwrap()).collect();
    assert!(identities.len() >= 2 && identities.iter().all(|identity| identity.is_running().unwrap()));
    copy.kill().unwrap();
    assert_gone(&identities);
}

#[test]
fn start_and_wait_for_the_end() {
    let Some(dir) = given_dir() else { return };
    let mut control_plane = ControlPlane::start(&dir.join("cluster"), &assets()).unwrap();
    for (index, identity) in identities(&mut control_plane).iter().enumerate() {
        identity.save(&dir.join(format!("records/{index}"))).unwrap();
    }
    std::fs::write(dir.join("ready"), "").unwrap();
    // If this is not killed, its end still stops the control plane.
    std::thread::sleep(SETTLE);
}

#[test]
fn without_go_the_message_says_what_to_do() {
    let cache = tempfile::tempdir().unwrap();
    let build = ["--exact", "control_plane::find_the_programs", "--nocapture"];
    let output = Command::new(std::env::current_exe().unwrap())
        .args(build)
        .env(DIR, cache.path())
        .env("PATH", cache.path())
        .env("XDG_CACHE_HOME", cache.path())
        .env("HOME", cache.path())
        .env_remove("KUBEBUILDER_ASSETS")
        .output()
        .unwrap();
    assert!(!output.status.success());
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("no `go` in PATH") && text.contains("KUBEBUILDER_ASSETS"), "{text}");
}

#[test]
fn find_the_programs() {
    if given_dir().is_some() {
        assets();
    }
}

#[test]
fn a_detached_one_outlives_its_starter() {
    let dir = tempfile::tempdir().unwrap();
    let cluster = dir.path().join("cluster");
    // This does not use `Program`, whose log is a file: the end of a pipe shows which processes hold it.
    let start = ["--exact", "control_plane::start_detached_and_leave", "--nocapture"];
    let output =
        Command::new(std::env::current_exe().unwrap()).args(start).env(DIR, &cluster).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let running = ControlPlane::running_recorded(&cluster).unwrap();
    // Stops them if an assertion below fails.
    let stop = StopOnDrop(&cluster);
    assert!(running.len() >= 2, "{running:?}");
    for (name, identity) in &running {
        // A program that nothing waited for may not have reached this point yet.
        wait_for(SETTLE, &format!("{name} to have a session of its own"), || {
            Ok((session_of(identity.pid()) == identity.pid()).then_some(()))
        })
        .unwrap();
    }
    let second = ControlPlane::start(&cluster, &assets()).unwrap_err();
    assert!(second.to_string().contains("already"), "{second}");
    let attached = ControlPlane::attach(&cluster, &assets()).unwrap();
    assert_eq!(run(attached.kubectl().args(["get", "--raw", "/readyz"])).unwrap(), "ok");
    drop(attached);
    assert!(running.iter().all(|(_, identity)| identity.is_running().unwrap()));

    let ended = ControlPlane::stop_recorded(&cluster).unwrap();
    assert_eq!(ended.len(), running.len(), "{ended:?}");
    let identities: Vec<_> = running.into_iter().map(|(_, identity)| identity).collect();
    assert!(identities.iter().all(|identity| !identity.is_running().unwrap()));
    assert!(ControlPlane::stop_recorded(&cluster).unwrap().is_empty());
    assert!(ControlPlane::attach(&cluster, &assets()).is_err());
    drop(stop);
}

#[test]
fn start_detached_and_leave() {
    let Some(dir) = given_dir() else { return };
    drop(ControlPlane::start_detached(&dir, &assets()).unwrap());
}

struct StopOnDrop<'a>(&'a Path);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        let _ = ControlPlane::stop_recorded(self.0);
    }
}

/// Field 6 of /proc/<pid>/stat; see proc(5).
fn session_of(pid: u32) -> u32 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, fields) = stat.rsplit_once(')').unwrap();
    fields.split_whitespace().nth(3).unwrap().parse().unwrap()
}
