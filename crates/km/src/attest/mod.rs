//! Verification of a quote: is this public key one of an enclave that the key owner trusts?

mod cli;
mod config;
mod error;

pub use cli::Args;
pub use error::Error;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use config::Config;
use std::fs::File;
use std::io::{Read as _, Write};
use std::path::Path;
use tcs_evidence::report_data::FIXED_NONCE;
use tcs_evidence::{Evidence, MAX_QUOTE, SgxQuoteV3};
use tcs_verifier::{Claims, Collateral, MAX_COLLATERAL, Workload, check_binding, verify};

/// Longest public key file, in bytes.
const MAX_PUBLIC_KEY: u64 = 16 * 1024;

/// Runs the checks at `now` (Unix seconds): public key hash, quote, enclave identity.
///
/// The lines of success go to `out`, each when its check has passed and none after one that failed; warnings go to
/// `warnings`.
pub fn run(args: &Args, now: i64, out: &mut dyn Write, warnings: &mut dyn Write) -> Result<(), Error> {
    let mut config = Config::load(args.config.as_deref())?;
    config.policy.any_identity = args.any_identity;
    // Whoever cannot be warned is not shielded from the result: the warnings are also in the settings they wrote.
    let mut warn = |text: &str| drop(writeln!(warnings, "km-attest: warning: {text}"));
    if config.trust.is_simulated() {
        warn(
            "SIMULATION: a simulated root is trusted; the quote and the key it binds are NOT protected by any hardware",
        );
    }
    if args.any_identity {
        warn("every enclave is accepted (--any-identity): the key can belong to anybody's program");
    }
    let spki = read_public_key(&args.pubkey)?;
    let evidence = read_quote(&args.quote)?;

    let quote = SgxQuoteV3::parse(evidence.bytes())
        .map_err(|error| Error::QuoteMalformed { path: args.quote.clone(), found: error.to_string() })?;
    check_binding(&quote.report_data(), &spki, &FIXED_NONCE).map_err(Error::Refused)?;
    writeln!(out, "Public key hash verification successful")?;

    // Without settings nobody is trusted yet, which is the first thing to tell; collateral would be the second.
    if !config.given && !args.any_identity {
        return Err(Error::Refused(tcs_verifier::Error::NoIdentityConfigured));
    }
    let collateral = read_collateral(&config)?;
    let verdict = verify(&evidence, &collateral, &config.trust, &config.policy, now);
    let claims = verdict.into_accepted().map_err(Error::Refused)?;
    if args.any_identity {
        warn(&describe(&claims));
    }
    writeln!(out, "{}", claims.status.result().name())?;
    writeln!(out, "{}", claims.status.text())?;
    writeln!(out, "Quote verification successful")?;
    out.flush()?;
    Ok(())
}

fn describe(claims: &Claims) -> String {
    let Workload::Enclave(found) = &claims.workload else { return "accepted trust domain".into() };
    format!(
        "accepted enclave: MRENCLAVE {}, MRSIGNER {}, ISVPRODID {}, ISVSVN {}",
        hex::encode(found.mrenclave),
        hex::encode(found.mrsigner),
        found.isv_prod_id,
        found.isv_svn
    )
}

/// A PEM `PUBLIC KEY` as DER `SubjectPublicKeyInfo`.
fn read_public_key(path: &Path) -> Result<Vec<u8>, Error> {
    let bytes = read_limited(path, MAX_PUBLIC_KEY)
        .map_err(|cause| Error::PublicKeyUnreadable { path: path.to_owned(), cause: cause.to_string() })?;
    match pem_rfc7468::decode_vec(bytes.trim_ascii()) {
        Ok(("PUBLIC KEY", der)) => Ok(der),
        _ => Err(Error::PublicKeyMalformed { path: path.to_owned() }),
    }
}

/// Base64 text (line ends are ignored) or raw bytes; those begin with version 3, which no text does.
fn read_quote(path: &Path) -> Result<Evidence, Error> {
    // Base64 with line ends is less than twice as long as what it encodes.
    let limit = u64::try_from(MAX_QUOTE).unwrap_or(u64::MAX).saturating_mul(2);
    let bytes = read_limited(path, limit)
        .map_err(|cause| Error::QuoteUnreadable { path: path.to_owned(), cause: cause.to_string() })?;
    if bytes.starts_with(&[3, 0]) {
        return Ok(Evidence::SgxQuote(bytes));
    }
    let text: Vec<u8> = bytes.into_iter().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect();
    let malformed =
        |_| Error::QuoteMalformed { path: path.to_owned(), found: "it is neither base64 nor raw".into() };
    Ok(Evidence::SgxQuote(STANDARD.decode(text).map_err(malformed)?))
}

fn read_collateral(config: &Config) -> Result<Collateral, Error> {
    let path = config.collateral.as_deref().ok_or(Error::CollateralNotConfigured)?;
    let json = read_limited(path, u64::try_from(MAX_COLLATERAL).unwrap_or(u64::MAX))
        .map_err(|cause| Error::CollateralUnreadable { path: path.to_owned(), cause: cause.to_string() })?;
    Collateral::from_json(&json).map_err(Error::Refused)
}

/// Reads a file of at most `limit` bytes.
fn read_limited(path: &Path, limit: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > limit {
        return Err(std::io::Error::other(format!("longer than {limit} bytes")));
    }
    Ok(bytes)
}
