//! Wrapping a CA key for the key of a quote: what `km-wrap` does.
//!
//! With a PKCS#11 module the wrap is made in a token, in the format `kmra-v1`
//! (SHA-1 OAEP: all that SoftHSM2 knows); without one it is made in memory,
//! by default as `kmra-v1-sha256`.

mod cli;
mod error;
mod key_file;
mod pem;
mod pin;

pub use cli::Args;
pub use error::Error;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use key_file::{PrivateKey, read_private_key, read_public_key};
use std::path::Path;
use tcs_keywrap::WrapFormat;
use tcs_pkcs11::Module;

/// Wraps the private key and gives one line of standard base64, without a line end.
///
/// Options first, then both key files, then the PIN, then the token: a faulty
/// key file costs no attempt at the PIN.
pub fn run(args: Args) -> Result<String, Error> {
    let token = args.token()?;
    let public = read_public_key(&args.pubkey)?;
    let private = read_private_key(&args.privkey)?;
    let blob = match token {
        Some((module, label)) => {
            private.check_for_token()?;
            let pin = pin::read(args.pin, args.pin_file.as_deref(), &label)?;
            in_token(&module, &label, &pin, &public, &private)?
        }
        None => tcs_keywrap::wrap(&public, args.format.unwrap_or(WrapFormat::KmraV1Sha256), &private.pkcs8)?,
    };
    Ok(STANDARD.encode(blob))
}

fn in_token(
    module: &Path,
    label: &str,
    pin: &tcs_pkcs11::SecretString,
    public: &[u8],
    private: &PrivateKey,
) -> Result<Vec<u8>, Error> {
    let token = Module::load(module)?.login(label, pin)?;
    Ok(token.wrap_for(public, &private.pkcs8)?)
}
