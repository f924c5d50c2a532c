//! A loaded library, its slots and tokens.

use crate::error::{answer, describe};
use crate::{Error, SecretString, Token};
use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::RvError;
use cryptoki::session::UserType;
use cryptoki::slot::Slot;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// A PKCS#11 library, loaded and initialised.
///
/// A library stays loaded until the process ends. Dropping the last handle of `cryptoki` would unload it
/// without `C_Finalize`, while its threads and exit handlers are still in the process. Loading the same path
/// again returns the same library.
#[derive(Clone)]
pub struct Module {
    context: Pkcs11,
}

static LOADED: Mutex<BTreeMap<PathBuf, Pkcs11>> = Mutex::new(BTreeMap::new());

impl Module {
    /// Loads and initialises the library at `path`.
    ///
    /// This runs the library's code in this process. Fails with [`Error::ModuleUnavailable`] if the library
    /// cannot be loaded or its `C_Initialize` fails (SoftHSM2: a missing `SOFTHSM2_CONF` or token directory).
    pub fn load(path: &Path) -> Result<Self, Error> {
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(context) = loaded.get(path) {
            return Ok(Self { context: context.clone() });
        }
        let unavailable = |error| Error::ModuleUnavailable { path: path.to_owned(), cause: describe(&error) };
        let context = Pkcs11::new(path).map_err(unavailable)?;
        match context.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
            Err(error) if !matches!(answer(&error), Some(RvError::CryptokiAlreadyInitialized)) => {
                // A library that did not start is not unloaded either, for the reason above.
                core::mem::forget(context);
                Err(unavailable(error))
            }
            _ => {
                loaded.insert(path.to_owned(), context.clone());
                Ok(Self { context })
            }
        }
    }

    /// Labels of the initialised tokens, in slot order.
    pub fn token_labels(&self) -> Result<Vec<String>, Error> {
        Ok(self.tokens()?.into_iter().map(|(_, label)| label).collect())
    }

    /// Logs in, as the user, to the token with this label.
    ///
    /// One attempt is made and never repeated: tokens count wrong PINs.
    pub fn login(&self, label: &str, pin: &SecretString) -> Result<Token, Error> {
        let slot = self.find(label)?;
        // A read-only session cannot write token objects, so nothing can be left behind.
        let session = self.context.open_ro_session(slot)?;
        match session.login(UserType::User, Some(pin)) {
            Ok(()) => Ok(Token::new(session)),
            Err(error) => Err(login_error(label, &error)),
        }
    }

    /// Initialises a free slot's token with a label and both PINs (for tests and development).
    ///
    /// PINs have 4 to 255 bytes on SoftHSM2. The slot number changes
    /// afterwards, so tokens are always found by label.
    pub fn init_token(
        &self,
        label: &str,
        so_pin: &SecretString,
        user_pin: &SecretString,
    ) -> Result<(), Error> {
        if label.is_empty() || label.len() > 32 {
            return Err(Error::LabelInvalid);
        }
        if self.tokens()?.iter().any(|(_, other)| other == label) {
            return Err(Error::TokenExists { label: label.to_owned() });
        }
        let slot = self.free_slot()?;
        self.context.init_token(slot, so_pin, label).map_err(|error| login_error(label, &error))?;
        let session = self.context.open_rw_session(self.find(label)?)?;
        session.login(UserType::So, Some(so_pin)).map_err(|error| login_error(label, &error))?;
        let set = session.init_pin(user_pin).map_err(|error| login_error(label, &error));
        session.logout()?;
        set
    }

    fn find(&self, label: &str) -> Result<Slot, Error> {
        let tokens = self.tokens()?;
        let mut matching = tokens.iter().filter(|(_, other)| other == label);
        match (matching.next(), matching.next()) {
            (Some((slot, _)), None) => Ok(*slot),
            (Some(_), Some(_)) => Err(Error::TokenAmbiguous { label: label.to_owned() }),
            (None, _) => Err(Error::TokenNotFound {
                label: label.to_owned(),
                found: tokens.into_iter().map(|(_, other)| other).collect(),
            }),
        }
    }

    fn tokens(&self) -> Result<Vec<(Slot, String)>, Error> {
        let slots = self.context.get_slots_with_token()?;
        // A slot that does not describe its token, for example because the token was just removed, counts as
        // empty.
        let infos =
            slots.into_iter().filter_map(|slot| Some((slot, self.context.get_token_info(slot).ok()?)));
        Ok(infos
            .filter(|(_, info)| info.token_initialized())
            .map(|(slot, info)| (slot, info.label().to_owned()))
            .collect())
    }

    fn free_slot(&self) -> Result<Slot, Error> {
        let slots = self.context.get_slots_with_token()?;
        slots
            .into_iter()
            .find(|slot| self.context.get_token_info(*slot).is_ok_and(|info| !info.token_initialized()))
            .ok_or(Error::NoFreeSlot)
    }
}

/// The meaning of a failed login (PKCS #11 Base Specification 2.40, `C_Login`).
fn login_error(label: &str, error: &cryptoki::error::Error) -> Error {
    let label = label.to_owned();
    match answer(error) {
        Some(RvError::PinIncorrect | RvError::PinInvalid | RvError::PinLenRange) => {
            Error::PinIncorrect { label }
        }
        Some(RvError::PinLocked | RvError::PinExpired | RvError::UserPinNotInitialized) => {
            Error::PinUnusable { label, cause: describe(error) }
        }
        Some(RvError::UserAlreadyLoggedIn | RvError::UserAnotherAlreadyLoggedIn) => {
            Error::AlreadyLoggedIn { label }
        }
        _ => Error::TokenFailed { cause: describe(error) },
    }
}
