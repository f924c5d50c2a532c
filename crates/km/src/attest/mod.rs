//! `km-attest`: says whether a public key belongs to an enclave that the key owner trusts, and shows what a
//! quote contains.

mod cli;
mod error;
mod inspect;
mod policy_template;
mod report;

pub use cli::Args;
pub use error::Error;

use crate::appraisal::{Appraiser, Binding, Clock, fetch_collateral};
use crate::io::Io;
use crate::{public_key, quote_file};
use cli::{AppraisalOptions, CollateralCommand, Command, PolicyCommand, Sources};
use report::Report;
use std::path::Path;
use tcs_evidence::QuotePublicKey;
use tcs_evidence::report_data::FIXED_NONCE;

/// Runs the command that the command line names.
pub fn run(args: &Args, io: &mut Io<'_>) -> Result<(), Error> {
    match &args.command {
        None => attest(args, io),
        Some(Command::Appraise { quote, appraisal }) => appraise(quote, appraisal, io),
        Some(Command::Inspect { quote, json }) => {
            let (evidence, behind) = quote_file::read_beginning(quote)?;
            inspect::run(&evidence, behind, *json, io.out)
        }
        Some(Command::Policy(PolicyCommand::New { from_quote, out })) => {
            policy_template::run(&quote_file::read(from_quote)?, out.as_deref(), io)
        }
        Some(Command::Collateral(CollateralCommand::Fetch { quote, out, sources })) => {
            fetch(quote, sources, out, io)
        }
        Some(Command::Completions { shell: name }) => {
            // clap_complete panics if it cannot write, so it writes to memory.
            let mut script = Vec::new();
            clap_complete::generate(*name, &mut cli::command(), "km-attest", &mut script);
            Ok(io.out.write_all(&script)?)
        }
        Some(Command::Man) => Ok(report::manual(io.out)?),
    }
}

/// The call of the original km-attest: public key, quote, enclave identity.
///
/// The first of the four output lines reports the binding, the others the rest. A line is printed only if its
/// check and all before it passed. The key that was verified is named by its SHA-256 on standard error, so
/// that the next step can be bound to it.
fn attest(args: &Args, io: &mut Io<'_>) -> Result<(), Error> {
    let (Some(pubkey), Some(quote)) = (&args.pubkey, &args.quote) else {
        return Err(Error::Usage("--pubkey and --quote are required"));
    };
    let options = &args.appraisal;
    if args.out_pubkey.is_some() && (options.any_identity || options.at.is_some()) {
        return Err(Error::Usage(
            "--out-pubkey does not go with --any-identity or --at: the file is for km-wrap, which accepts only \
             enclaves that the policy names, at this time",
        ));
    }
    let mut report = Report::new("attest", options, io.now);
    let result = (|| {
        let appraiser = prepare(options, true, io, &mut report)?;
        let key = public_key::read(pubkey)?;
        report.public_key = Some(public_key::fingerprint(&key));
        let evidence = quote_file::read(quote)?;
        let nonce = args.nonce.as_ref().unwrap_or(&FIXED_NONCE);
        let accepted = run_appraisal(&appraiser, &evidence, Some((&key, nonce)), io, &mut report);
        if !options.json && report.binding() == &Binding::Passed {
            writeln!(io.out, "Public key hash verification successful")?;
        }
        accepted?;
        if let Some(path) = &args.out_pubkey {
            write_key(path, &key)?;
        }
        if let (Some(status), false) = (report.status(), options.json) {
            writeln!(io.out, "{}", status.result().name())?;
            writeln!(io.out, "{}", status.text())?;
            writeln!(io.out, "Quote verification successful")?;
        }
        io.say(&format!("SHA-256 of the verified public key: {}", public_key::fingerprint(&key)));
        Ok(())
    })();
    finish(options, &report, result, io)
}

/// Appraises a quote without a public key. Prints none of the four lines, so that it cannot be mistaken for
/// [`attest`].
fn appraise(quote: &Path, options: &AppraisalOptions, io: &mut Io<'_>) -> Result<(), Error> {
    let mut report = Report::new("appraise", options, io.now);
    let result = (|| {
        let appraiser = prepare(options, false, io, &mut report)?;
        run_appraisal(&appraiser, &quote_file::read(quote)?, None, io, &mut report)
    })();
    if !options.json {
        report.write_appraisal(result.is_ok(), io.out)?;
    }
    finish(options, &report, result, io)
}

fn fetch(quote: &Path, sources: &Sources, out: &Path, io: &mut Io<'_>) -> Result<(), Error> {
    let clock = Clock { now: io.now, wait: io.wait };
    let (source, warnings) = fetch_collateral(&quote_file::read(quote)?, &sources.options(), out, clock)?;
    for warning in warnings {
        io.warn(&warning);
    }
    Ok(writeln!(io.out, "{}: collateral from {source}, not verified", out.display())?)
}

fn prepare(
    options: &AppraisalOptions,
    with_key: bool,
    io: &mut Io<'_>,
    report: &mut Report,
) -> Result<Appraiser, Error> {
    let appraiser = Appraiser::new(&options.options())?;
    report.simulated = appraiser.is_simulated();
    appraiser.caveats(with_key).iter().for_each(|caveat| io.warn(caveat));
    Ok(appraiser)
}

fn run_appraisal(
    appraiser: &Appraiser,
    evidence: &tcs_evidence::Evidence,
    binding: Option<(&QuotePublicKey, &[u8; 32])>,
    io: &mut Io<'_>,
    report: &mut Report,
) -> Result<(), Error> {
    let (found, result) = match appraiser.appraise(evidence, binding, Clock { now: io.now, wait: io.wait }) {
        Ok(found) => (found, Ok(())),
        Err(refused) => (refused.found, Err(refused.error.into())),
    };
    found.warnings.iter().for_each(|warning| io.warn(warning));
    report.found = Some(found);
    result
}

fn write_key(path: &Path, key: &QuotePublicKey) -> Result<(), Error> {
    public_key::write(path, key).map_err(|cause| Error::FileUnwritable {
        what: "public key",
        path: path.to_owned(),
        cause: cause.to_string(),
    })
}

fn finish(
    options: &AppraisalOptions,
    report: &Report,
    result: Result<(), Error>,
    io: &mut Io<'_>,
) -> Result<(), Error> {
    if options.json {
        report.write_json(result.as_ref().err(), io.out)?;
    }
    match (options.explain, options.json) {
        (false, _) => {}
        (true, false) => report.write_table(io.out)?,
        // Standard output is one JSON document.
        (true, true) => report.write_table(io.messages)?,
    }
    io.out.flush()?;
    result
}
