//! PKCS#11 tokens of the key owner, over `cryptoki`.
//!
//! [`Module::load`] loads a library, [`Module::login`] finds a token by its
//! label and logs in, [`Token::wrap_for`] has the token wrap a private key for
//! the public key of a quote. Everything lives in session objects: nothing is
//! left in the token.
//!
//! ```no_run
//! # fn main() -> Result<(), tcs_pkcs11::Error> {
//! # let (modulus, pkcs8) = (&[0; 384], &[][..]);
//! let module = tcs_pkcs11::Module::load("/usr/lib/softhsm/libsofthsm2.so".as_ref())?;
//! let token = module.login("SgxOperator", &"123456789".to_owned().into())?;
//! let blob = token.wrap_for(modulus, &[1, 0, 1], pkcs8)?;
//! # Ok(())
//! # }
//! ```
//!
//! Written for SoftHSM2 2.6.1 and hardware of its kind.
#![deny(unsafe_code)]

mod error;
mod key;
mod module;
mod token;

pub use error::Error;
pub use module::Module;
pub use secrecy::SecretString;
pub use token::Token;
