//! Sources of the PIN. Other users can see arguments, so there are other sources (`docs/conformance.md`,
//! W-S8).

use super::error::Error;
use crate::files::read_secret;
use secrecy::{ExposeSecret, SecretString};
use std::io::IsTerminal;
use std::path::Path;

/// Environment variable with the PIN.
const VARIABLE: &str = "KM_WRAP_PIN";
/// Maximum length of a PIN file in bytes; SoftHSM2 accepts PINs of up to 255.
const MAX_PIN_FILE_LEN: usize = 1024;

/// The first of: `--pin`, `--pin-file`, `KM_WRAP_PIN`, a prompt on the terminal.
pub(super) fn read(
    option: Option<SecretString>,
    file: Option<&Path>,
    label: &str,
) -> Result<SecretString, Error> {
    let pin = match (option, file, std::env::var_os(VARIABLE)) {
        (Some(pin), _, _) => pin,
        (None, Some(path), _) => from_file(path)?,
        (None, None, Some(value)) => {
            value.into_string().map(Into::into).map_err(|_| unreadable(VARIABLE, "it is not UTF-8"))?
        }
        // A script without a terminal must not hang.
        (None, None, None) if std::io::stdin().is_terminal() => {
            rpassword::prompt_password(format!("PIN of the token {label:?}: "))
                .map(Into::into)
                .map_err(|error| unreadable("the terminal", &error.to_string()))?
        }
        (None, None, None) => return Err(Error::PinMissing { label: label.to_owned() }),
    };
    if pin.expose_secret().is_empty() {
        return Err(Error::PinMissing { label: label.to_owned() });
    }
    Ok(pin)
}

fn from_file(path: &Path) -> Result<SecretString, Error> {
    let name = path.display().to_string();
    let bytes = read_secret(path, MAX_PIN_FILE_LEN).map_err(|error| unreadable(&name, &error.to_string()))?;
    let text = std::str::from_utf8(&bytes).map_err(|_| unreadable(&name, "it is not UTF-8"))?;
    let line = text.strip_suffix('\n').unwrap_or(text);
    Ok(line.strip_suffix('\r').unwrap_or(line).to_owned().into())
}

fn unreadable(source_name: &str, cause: &str) -> Error {
    Error::PinUnreadable { source_name: source_name.to_owned(), cause: cause.to_owned() }
}
