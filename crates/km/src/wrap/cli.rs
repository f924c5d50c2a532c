//! Options of `km-wrap`.

use super::error::Error;
use crate::appraisal::Options;
use crate::version::VERSION;
use clap::Parser;
use secrecy::SecretString;
use std::path::PathBuf;
use tcs_keywrap::WrapFormat;

/// Wraps a CA private key for the public key of a verified quote.
///
/// Prints one line of base64, the value for `tls.key` of the delivery Secret. Whoever holds the private half
/// of --pubkey gets the CA key. Therefore use --quote and --policy: the quote is then verified first, and the
/// key is wrapped only if every check passes. Without them, verify with km-attest first and pass the SHA-256
/// that it printed to --pubkey-sha256.
#[derive(Parser)]
#[command(name = "km-wrap", version = VERSION, max_term_width = 100)]
pub struct Args {
    /// Public key of the quote: PEM, RSA-3072 (PUBLIC KEY).
    #[arg(long, value_name = "FILE")]
    pub(super) pubkey: PathBuf,

    /// Quote that must bind the public key: base64 text, or its raw bytes. Nothing is wrapped unless it is
    /// accepted.
    #[arg(long, value_name = "FILE")]
    pub(super) quote: Option<PathBuf>,

    /// Policy file (TOML) for --quote, the same as for km-attest. Default: the file that `KM_ATTEST_CONFIG`
    /// names.
    #[arg(long, value_name = "FILE", requires = "quote")]
    pub(super) policy: Option<PathBuf>,

    /// Nonce that the quote should bind, the same as for km-attest.
    #[arg(long, value_name = "NONCE", requires = "quote", value_parser = crate::nonce::parse)]
    pub(super) nonce: Option<[u8; 32]>,

    /// Collateral file, instead of the source that the policy file names.
    #[arg(long, value_name = "FILE", requires = "quote", conflicts_with = "pccs_url")]
    pub(super) collateral: Option<PathBuf>,

    /// PCCS that supplies the collateral, instead of the source that the policy file names.
    #[arg(long, value_name = "URL", requires = "quote")]
    pub(super) pccs_url: Option<String>,

    /// SHA-256 of the public key (DER), 64 hex digits, as km-attest prints it. Another key is refused.
    #[arg(long, value_name = "HEX", value_parser = sha256)]
    pub(super) pubkey_sha256: Option<[u8; 32]>,

    /// CA private key: PEM, unencrypted (PRIVATE KEY, RSA PRIVATE KEY or EC PRIVATE KEY).
    #[arg(long, value_name = "FILE")]
    pub(super) privkey: PathBuf,

    /// PKCS#11 module with the token that wraps the key. Without it, the key is wrapped in memory.
    #[arg(long, value_name = "SO", requires = "token")]
    pub(super) module: Option<PathBuf>,

    /// Label of the token.
    #[arg(long, value_name = "LABEL", requires = "module")]
    pub(super) token: Option<String>,

    /// User PIN of the token. Other users of the machine can see this option; --pin-file, the environment
    /// variable `KM_WRAP_PIN` or the prompt (if none of them is set) keep the PIN private.
    #[arg(long, value_name = "PIN", requires = "module", conflicts_with = "pin_file")]
    pub(super) pin: Option<SecretString>,

    /// File with the user PIN. One line end after the PIN is ignored.
    #[arg(long, value_name = "FILE", requires = "module")]
    pub(super) pin_file: Option<PathBuf>,

    /// Format of the wrapped key: kmra-v1-sha256 (default in memory) or kmra-v1 (OAEP with SHA-1; the only
    /// one in a token).
    #[arg(long, value_name = "NAME")]
    pub(super) format: Option<WrapFormat>,
}

impl Args {
    /// How the quote is appraised. Here it is not possible to accept every enclave, or to appraise at another
    /// time.
    pub(super) fn appraisal(&self) -> Options {
        // clap does not read the variable, because it would count as an option that requires --quote.
        let policy = self.policy.clone().or_else(|| std::env::var_os("KM_ATTEST_CONFIG").map(Into::into));
        Options {
            policy,
            collateral: self.collateral.clone(),
            pccs_url: self.pccs_url.clone(),
            ..Options::default()
        }
    }

    /// Module and label, if a token is to be used.
    pub(super) fn token(&self) -> Result<Option<(PathBuf, String)>, Error> {
        let (Some(module), Some(label)) = (&self.module, &self.token) else {
            return Ok(None);
        };
        if self.format == Some(WrapFormat::KmraV1Sha256) {
            return Err(Error::FormatNotInToken);
        }
        Ok(Some((module.clone(), label.clone())))
    }
}

fn sha256(text: &str) -> Result<[u8; 32], String> {
    let mut digest = [0; 32];
    hex::decode_to_slice(text, &mut digest).map_err(|_| "not 64 hex digits".to_owned())?;
    Ok(digest)
}
