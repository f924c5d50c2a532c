//! Supervised processes other than a control plane.

use std::time::{Duration, Instant};

use tcs_testkit::process::{Lifetime, Program, Supervised, wait_for};

const LIMIT: Duration = Duration::from_secs(10);

fn shell(dir: &tempfile::TempDir, script: &str) -> Program {
    Program::new("script", "/bin/sh", dir.path().join("log")).args(["-c", script])
}

fn wait_for_log(child: &Supervised, text: &str) {
    wait_for(LIMIT, text, || Ok(child.log_text()?.contains(text).then_some(()))).unwrap();
}

#[test]
fn the_starting_thread_may_end() {
    let dir = tempfile::tempdir().unwrap();
    let program = shell(&dir, "echo started; exec sleep 60");
    let start = move || {
        let child = program.spawn().unwrap();
        // If the thread ended earlier, the test could not see it: the child must have left its wrapper.
        wait_for_log(&child, "started");
        child
    };
    let mut child = std::thread::spawn(start).join().unwrap();
    assert!(child.wait(Duration::from_millis(200)).is_err(), "{}", child.log_text().unwrap());
    child.check_running().unwrap();
}

#[test]
fn a_deaf_child_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = shell(&dir, "trap '' TERM; echo deaf; while :; do sleep 1; done").spawn().unwrap();
    wait_for_log(&child, "deaf");
    let start = Instant::now();
    let status = child.end(Duration::from_millis(300)).unwrap();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9));
    assert!(start.elapsed() >= Duration::from_millis(300));
}

#[test]
fn an_early_end_is_told_with_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let mut first = shell(&dir, "echo of the first").spawn().unwrap();
    first.wait(LIMIT).unwrap();
    let mut second = shell(&dir, "echo something is wrong >&2; exit 3").spawn().unwrap();
    assert_eq!(second.wait(LIMIT).unwrap().code(), Some(3));
    let error = second.check_running().unwrap_err().to_string();
    assert!(error.contains("exit status: 3") && error.contains("something is wrong"), "{error}");
    assert!(!error.contains("of the first"), "{error}");
    // Nothing is sent to an ended process, because its pid may belong to another one by now.
    second.signal(tcs_testkit::process::Signal::KILL).unwrap();
}

#[test]
fn a_missing_program_is_told_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let error = Program::new("it", "/does/not/exist", dir.path().join("log")).spawn().unwrap_err();
    assert!(format!("{error:#}").contains("/does/not/exist"), "{error:#}");
}

#[test]
fn a_released_child_is_not_ended() {
    let dir = tempfile::tempdir().unwrap();
    let child = shell(&dir, "exec sleep 60").lifetime(Lifetime::Detached).spawn().unwrap();
    let identity = child.release();
    assert!(identity.is_running().unwrap());
    assert!(identity.end(LIMIT).unwrap());
    assert!(!identity.end(LIMIT).unwrap());
}

#[test]
fn waiting_ends_with_the_condition_the_error_or_the_time() {
    let mut looks = 0;
    let value = wait_for(LIMIT, "the third look", || {
        looks += 1;
        Ok((looks == 3).then_some(looks))
    });
    assert_eq!(value.unwrap(), 3);

    let failed = wait_for::<()>(LIMIT, "it", || anyhow::bail!("hopeless")).unwrap_err();
    assert_eq!(format!("{failed:#}"), "waiting for it: hopeless");

    let start = Instant::now();
    let late = wait_for::<()>(Duration::from_millis(50), "never", || Ok(None)).unwrap_err();
    assert!(late.to_string().contains("never"), "{late}");
    assert!(start.elapsed() < Duration::from_secs(2));
}
