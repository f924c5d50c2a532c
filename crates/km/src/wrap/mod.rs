//! Wrapping a CA key for the key of a quote: what `km-wrap` does.
//!
//! With a PKCS#11 module the key is wrapped in a token, in the format `kmra-v1` (OAEP with SHA-1, the only
//! hash that SoftHSM2 supports). Without a module it is wrapped in memory, by default in the format
//! `kmra-v1-sha256`. The formats are in `docs/protocol.md`, "Wrapped keys".

mod cli;
mod error;
mod key_file;
mod pin;

pub use cli::Args;
pub use error::Error;

use crate::appraisal::{Appraiser, Clock};
use crate::io::Io;
use crate::{public_key, quote_file};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use key_file::{PrivateKey, read_private_key};
use std::path::Path;
use tcs_evidence::QuotePublicKey;
use tcs_evidence::report_data::FIXED_NONCE;
use tcs_keywrap::WrapFormat;
use tcs_pkcs11::Module;

/// Wraps the private key and writes one line of standard base64.
///
/// The order is: options, public key and, with `--quote`, its verification, PIN, private key, token. So the
/// public key that was verified is the one that is used, a faulty private key costs no attempt at the PIN,
/// and no private key is in memory while the user is prompted for the PIN.
pub fn run(args: Args, io: &mut Io<'_>) -> Result<(), Error> {
    let token = args.token()?;
    let public = public_key::read(&args.pubkey)?;
    expect(&public, args.pubkey_sha256.as_ref())?;
    if let Some(quote) = &args.quote {
        verify(&public, quote, &args, io)?;
    }
    let blob = if let Some((module, label)) = token {
        let pin = pin::read(args.pin, args.pin_file.as_deref(), &label)?;
        let private = read_private_key(&args.privkey)?;
        private.check_for_token()?;
        in_token(&module, &label, &pin, &public, &private)?
    } else {
        let private = read_private_key(&args.privkey)?;
        let format = args.format.unwrap_or(WrapFormat::KmraV1Sha256);
        tcs_keywrap::wrap(public.der(), format, &private.pkcs8)?
    };
    writeln!(io.out, "{}", STANDARD.encode(blob))?;
    io.out.flush()?;
    let verified = if args.quote.is_some() { "verified" } else { "not verified here" };
    io.say(&format!("SHA-256 of the public key, {verified}: {}", public_key::fingerprint(&public)));
    Ok(())
}

/// Refuses a public key whose SHA-256 is not the given one. Both values are public.
fn expect(public: &QuotePublicKey, digest: Option<&[u8; 32]>) -> Result<(), Error> {
    match digest {
        Some(expected) if *expected != public.sha256() => Err(Error::PublicKeyUnexpected {
            found: public_key::fingerprint(public),
            expected: hex::encode(expected),
        }),
        _ => Ok(()),
    }
}

/// Refuses a public key that no accepted quote binds.
fn verify(public: &QuotePublicKey, quote: &Path, args: &Args, io: &mut Io<'_>) -> Result<(), Error> {
    let appraiser = Appraiser::new(&args.appraisal())?;
    appraiser.caveats(true).iter().for_each(|caveat| io.warn(caveat));
    let evidence = quote_file::read(quote)?;
    let nonce = args.nonce.as_ref().unwrap_or(&FIXED_NONCE);
    let clock = Clock { now: io.now, wait: io.wait };
    let (found, result) = match appraiser.appraise(&evidence, Some((public, nonce)), clock) {
        Ok(found) => (found, Ok(())),
        Err(refused) => (refused.found, Err(refused.error)),
    };
    found.warnings.iter().for_each(|warning| io.warn(warning));
    Ok(result?)
}

fn in_token(
    module: &Path,
    label: &str,
    pin: &tcs_pkcs11::SecretString,
    public: &QuotePublicKey,
    private: &PrivateKey,
) -> Result<Vec<u8>, Error> {
    let token = Module::load(module)?.login(label, pin)?;
    Ok(token.wrap_for(public.modulus(), &QuotePublicKey::EXPONENT, &private.pkcs8)?)
}
