//! `km-attest`: is this public key one of an enclave that the key owner trusts, and what is to be known of a quote?

mod cli;
mod error;
mod files;
mod inspect;
mod instant;
mod judge;
mod pin;
mod report;
mod settings;

pub use cli::Args;
pub use error::Error;
pub use settings::Settings;

use cli::{CollateralCommand, Command, Judging, PolicyCommand};
pub(crate) use files::read_limited;
use files::{read_public_key, read_quote};
use judge::{Binding, Judgement};
use report::Report;
use std::io::Write;
use std::path::Path;
use std::time::Duration;
use tcs_evidence::report_data::FIXED_NONCE;

/// Where results and warnings go, and what time it is.
pub struct Shell<'a> {
    /// Unix seconds.
    pub now: i64,
    /// Waits between two attempts to reach a service.
    pub wait: &'a dyn Fn(Duration),
    /// Standard output: results.
    pub out: &'a mut dyn Write,
    /// Standard error: warnings. Whoever cannot be warned is not shielded from the result.
    pub warnings: &'a mut dyn Write,
}

impl Shell<'_> {
    fn warn(&mut self, text: &str) {
        // Names of files and hosts may hold line ends and escape sequences.
        let text: String = text.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
        let _ = writeln!(self.warnings, "km-attest: warning: {text}");
    }
}

/// Does what the command line asks for.
pub fn run(args: &Args, shell: &mut Shell<'_>) -> Result<(), Error> {
    match &args.command {
        None => {
            let (Some(pubkey), Some(quote)) = (&args.pubkey, &args.quote) else {
                return Err(Error::Usage("--pubkey and --quote are needed"));
            };
            attest(pubkey, quote, args.nonce.as_ref().unwrap_or(&FIXED_NONCE), &args.judging, shell)
        }
        Some(Command::Appraise { quote, judging }) => appraise(quote, judging, shell),
        Some(Command::Inspect { quote, json }) => inspect::run(&read_quote(quote)?, *json, shell.out),
        Some(Command::Policy(PolicyCommand::New { from_quote, out })) => {
            pin::run(&read_quote(from_quote)?, out.as_deref(), shell)
        }
        Some(Command::Collateral(CollateralCommand::Fetch { quote, out, sources })) => {
            judge::fetch(&read_quote(quote)?, sources, out, shell)
        }
        Some(Command::Completions { shell: name }) => {
            // It panics where it cannot write, so it writes to memory.
            let mut script = Vec::new();
            clap_complete::generate(*name, &mut cli::command(), "km-attest", &mut script);
            Ok(shell.out.write_all(&script)?)
        }
        Some(Command::Man) => Ok(report::manual(shell.out)?),
    }
}

/// The document's call: public key hash, quote, enclave identity.
///
/// Each of the four lines goes out when its check has passed, and none after one that failed.
fn attest(
    pubkey: &Path,
    quote: &Path,
    nonce: &[u8; 32],
    judging: &Judging,
    shell: &mut Shell<'_>,
) -> Result<(), Error> {
    let mut report = Report::new("attest", judging, shell.now);
    let result = (|| {
        let judgement = Judgement::prepare(judging, shell, &mut report)?;
        let spki = read_public_key(pubkey)?;
        let evidence = read_quote(quote)?;
        report.binding = judge::binding(&evidence, &spki, nonce);
        if let Binding::Failed(error) = &report.binding {
            return Err(Error::Refused(error.clone()));
        }
        if !judging.json {
            writeln!(shell.out, "Public key hash verification successful")?;
        }
        judgement.judge(&evidence, shell, &mut report)?;
        if let (Some(status), false) = (report.status(), judging.json) {
            writeln!(shell.out, "{}", status.result().name())?;
            writeln!(shell.out, "{}", status.text())?;
            writeln!(shell.out, "Quote verification successful")?;
        }
        Ok(())
    })();
    finish(judging, &report, result, shell)
}

/// A quote without a public key. Prints none of the four lines, so that nobody takes it for the other call.
fn appraise(quote: &Path, judging: &Judging, shell: &mut Shell<'_>) -> Result<(), Error> {
    let mut report = Report::new("appraise", judging, shell.now);
    let result = (|| {
        let judgement = Judgement::prepare(judging, shell, &mut report)?;
        let evidence = read_quote(quote)?;
        judgement.judge(&evidence, shell, &mut report)
    })();
    if !judging.json {
        report.write_appraisal(result.is_ok(), shell.out)?;
    }
    finish(judging, &report, result, shell)
}

fn finish(
    judging: &Judging,
    report: &Report,
    result: Result<(), Error>,
    shell: &mut Shell<'_>,
) -> Result<(), Error> {
    if judging.json {
        report.write_json(result.as_ref().err(), shell.out)?;
    } else if judging.explain {
        report.write_table(shell.out)?;
    }
    shell.out.flush()?;
    result
}
