use std::process::Command;

/// Runs the program with arguments with which it must exit at once. Returns its exit status and its output.
fn run(arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_tcs-enclave")).args(arguments).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).unwrap())
}

#[test]
fn the_platform_is_never_guessed() {
    let (status, said) = run(&["--listen", "127.0.0.1:0"]);
    assert_eq!((status, said.contains("--platform")), (Some(2), true), "{said}");
    let (status, said) = run(&["--listen", "127.0.0.1:0", "--platform", "sgx"]);
    assert_eq!((status, said.contains("`sgx` is unknown")), (Some(2), true), "{said}");
    let (status, said) = run(&["--listen", "127.0.0.1:0", "--platform", "simulation"]);
    let expected = if cfg!(feature = "simulation") { "--platform-dir" } else { "is not in this build" };
    assert_eq!((status, said.contains(expected)), (Some(2), true), "{said}");
    let (status, said) =
        run(&["--listen", "127.0.0.1:0", "--platform", "gramine", "--platform-dir", "/nowhere"]);
    assert_eq!((status, said.contains("takes no --platform-dir")), (Some(2), true), "{said}");
}

#[test]
fn the_program_listens_on_loopback_only() {
    let (status, said) = run(&["--listen", "0.0.0.0:7443", "--platform", "gramine"]);
    assert_eq!((status, said.contains("not a loopback address")), (Some(2), true), "{said}");
}

#[test]
fn the_version_says_whether_it_can_simulate() {
    let (status, said) = run(&["--version"]);
    let suffix = if cfg!(feature = "simulation") { "+simulation" } else { "" };
    assert_eq!(status, Some(0));
    assert_eq!(said.trim(), format!("tcs-enclave {}{suffix}", env!("CARGO_PKG_VERSION")));
}
