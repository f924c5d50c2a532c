//! kubectl plugin of the Trusted Certificate Service: what its issuers and requests do, and why, for people
//! and for scripts. `kubectl tcs` finds the program `kubectl-tcs` on the PATH.
//!
//! Each command is a module with a function `run`: it reads from the cluster, decides in pure functions, and
//! writes lines, a table or one JSON document. What others wrote is escaped when it is written
//! ([`output`]). `docs/kubectl-tcs.md` is generated from the command line by [`page`].
#![forbid(unsafe_code)]

pub mod certificate;
pub mod cli;
pub mod cluster;
pub mod command;
pub mod doctor;
pub mod error;
pub mod exit;
pub mod inspect;
pub mod issuers;
pub mod output;
pub mod page;
pub mod renew;
pub mod request;
pub mod shell;
pub mod status;
pub mod time;
pub mod why;

use cli::{Args, Verb};
use cluster::Cluster;
use error::Error;
use jiff::Timestamp;
use output::Output;

/// Runs a command at this time.
pub async fn run(args: &Args, now: Timestamp, output: &mut Output<'_>) -> Result<(), Error> {
    let connect = || Cluster::connect(&args.options);
    match &args.verb {
        Verb::Status(verb) => status::run(verb, &connect().await?, now, output).await,
        Verb::Why(verb) => why::run(verb, &connect().await?, now, output).await,
        Verb::Request(verb) => request::run(verb, &connect().await?, output).await,
        Verb::Renew(verb) => renew::run(verb, &connect().await?, now, output).await,
        Verb::Inspect(verb) => inspect::run(verb, &args.options, now, output).await,
        Verb::Doctor => doctor::run(&connect().await?, output).await,
        Verb::Completion { shell } => shell::completion(*shell, output),
        Verb::Man => shell::manual(output),
    }
}
