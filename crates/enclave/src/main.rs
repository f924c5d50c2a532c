//! The program of the enclave: parses its command line, hardens the process, and serves.
#![forbid(unsafe_code)]

use anyhow::Context as _;
use clap::{CommandFactory as _, Parser, error::ErrorKind};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tcs_enclave::keys::SoftwareKeys;
use tcs_enclave::platform::{self, Assurance, PlatformOptions};
use tcs_enclave::request_log::RequestLog;
use tcs_enclave::{Engine, VERSION, hardening};
use tcs_enclave_rpc::{Endpoint, Handler, Server, ServerHandle, ServerOptions};

/// How long requests in flight may take after SIGTERM. A quote or a key may hang for longer.
const GRACE: Duration = Duration::from_secs(5);

/// The enclave of the Trusted Certificate Service: it holds CA keys, checks certificate requests and signs.
#[derive(Parser)]
#[command(name = "tcs-enclave", version = VERSION)]
struct Arguments {
    /// Where to listen: `unix:/path` or a loopback address such as `127.0.0.1:7443`.
    #[arg(long)]
    listen: Endpoint,
    /// Platform that this program runs on. There is no default.
    #[arg(long)]
    platform: String,
    /// Directory of the simulated platform.
    #[arg(long)]
    platform_dir: Option<PathBuf>,
    /// Number of threads that answer requests. Default: one per core.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=256))]
    workers: Option<u16>,
    /// Write a line to the log for each request, with the number that the controller's log shows at level
    /// debug. It costs time, so it is for the search for a fault.
    #[arg(long)]
    log_requests: bool,
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tcs_enclave::log(format_args!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let options = PlatformOptions { folder: arguments.platform_dir };
    let platform = match platform::open(&arguments.platform, &options) {
        Ok(platform) => platform,
        Err(error) if error.is_usage() => Arguments::command().error(ErrorKind::InvalidValue, error).exit(),
        Err(error) => return Err(error.into()),
    };
    for missing in hardening::harden() {
        tcs_enclave::log(missing);
    }
    if platform.assurance() == Assurance::Simulated {
        tcs_enclave::log(
            "*** SIMULATED PLATFORM: keys are NOT protected. For tests and demonstrations only. ***",
        );
    }
    let engine = Engine::new(platform, Box::new(SoftwareKeys))?;
    let engine: Arc<dyn Handler> =
        if arguments.log_requests { Arc::new(RequestLog(engine)) } else { Arc::new(engine) };
    let server =
        Server::bind(&arguments.listen).with_context(|| format!("cannot listen on {}", arguments.listen))?;
    tcs_enclave::log(format_args!(
        "{VERSION}, platform {}, listening on {}",
        arguments.platform,
        server.endpoint()
    ));
    let mut options = ServerOptions::default();
    if let Some(workers) = arguments.workers {
        options.workers = workers.into();
    }
    end_on_signal(server.handle())?;
    server.run(&engine, &options)?;
    Ok(())
}

/// Ends the program on SIGTERM and SIGINT. The kernel delivers neither to process 1 of a container that does
/// not ask for it (`pid_namespaces(7)`). Gramine passes SIGTERM on if its manifest sets
/// `sys.enable_sigterm_injection`.
fn end_on_signal(server: ServerHandle) -> anyhow::Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGINT]).context("cannot receive signals")?;
    let waiting = move || {
        if signals.forever().next().is_some() {
            server.stop();
            std::thread::sleep(GRACE);
            std::process::exit(0);
        }
    };
    std::thread::Builder::new().name("signals".into()).spawn(waiting).context("cannot start a thread")?;
    Ok(())
}
