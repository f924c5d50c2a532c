//! A session with a token, logged in.

use crate::Error;
use crate::error::{answer, describe};
use crate::key::{MODULUS_LEN, PrivateKey, public_key};
use cryptoki::error::RvError;
use cryptoki::mechanism::rsa::{PkcsMgfType, PkcsOaepParams, PkcsOaepSource};
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::{Attribute, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;

/// A token to which this process is logged in. Dropping it logs out and closes the session,
/// which destroys everything that was created in it.
pub struct Token {
    session: Session,
}

impl Token {
    pub(crate) fn new(session: Session) -> Self {
        Self { session }
    }

    /// Has the token wrap a private key for the public key of a quote, in the format `kmra-v1`.
    ///
    /// `quote_modulus` and `quote_exponent` are the numbers of an RSA-3072 key, big-endian without leading
    /// zeros, `private_pkcs8` one unencrypted PKCS#8 structure (DER) of an RSA key or a P-256, P-384 or P-521
    /// key. The result is 384 bytes RSAES-OAEP (SHA-1, the only hash that SoftHSM2 2.6.1 supports) of an
    /// AES-256 key generated in the token, then AES-KWP (RFC 5649) of the token's own PKCS#8 of the private
    /// key, which SoftHSM2 pads with up to 7 zero bytes.
    ///
    /// Four session objects are created and destroyed, the private key among them. Keys in a token are not
    /// extractable, so the key is imported as an extractable object.
    pub fn wrap_for(
        &self,
        quote_modulus: &[u8; MODULUS_LEN],
        quote_exponent: &[u8],
        private_pkcs8: &[u8],
    ) -> Result<Vec<u8>, Error> {
        let private_key = PrivateKey::parse(private_pkcs8)?;

        let quote_key = self.import(&public_key(quote_modulus, quote_exponent))?;
        let kek = self.hold(self.session.generate_key(&Mechanism::AesKeyGen, &kek_template()))?;
        let private_key = self.import(private_key.template())?;

        let c2 = self.wrap(&Mechanism::AesKeyWrapPad, &kek, &private_key)?;
        let oaep = PkcsOaepParams::new(MechanismType::SHA1, PkcsMgfType::MGF1_SHA1, PkcsOaepSource::empty());
        let c1 = self.wrap(&Mechanism::RsaPkcsOaep(oaep), &quote_key, &kek)?;
        if c1.len() != MODULUS_LEN || !c2.len().is_multiple_of(8) {
            return Err(Error::TokenFailed {
                cause: "C_WrapKey returned a wrapped key of a wrong length".to_owned(),
            });
        }
        Ok([c1, c2].concat())
    }

    fn import(&self, template: &[Attribute]) -> Result<SessionObject<'_>, Error> {
        self.hold(self.session.create_object(template))
    }

    fn hold(&self, made: Result<ObjectHandle, cryptoki::error::Error>) -> Result<SessionObject<'_>, Error> {
        let handle = made.map_err(|error| operation_error(&error))?;
        Ok(SessionObject { session: &self.session, handle })
    }

    fn wrap(
        &self,
        mechanism: &Mechanism<'_>,
        by: &SessionObject<'_>,
        key: &SessionObject<'_>,
    ) -> Result<Vec<u8>, Error> {
        self.session.wrap_key(mechanism, by.handle, key.handle).map_err(|error| operation_error(&error))
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        // Closing the session is enough for SoftHSM2. If the token was removed, nothing can be sent to it.
        let _ = self.session.logout();
    }
}

/// An object of the session, which is destroyed at the end of the scope even if a later step fails.
struct SessionObject<'a> {
    session: &'a Session,
    handle: ObjectHandle,
}

impl Drop for SessionObject<'_> {
    fn drop(&mut self) {
        // An object that cannot be destroyed ends with its session.
        let _ = self.session.destroy_object(self.handle);
    }
}

/// The AES key that wraps the private key. It must be extractable, since it is wrapped itself.
fn kek_template() -> [Attribute; 8] {
    [
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::KeyType(KeyType::AES),
        Attribute::ValueLen(32.into()),
        Attribute::Token(false),
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(true),
        Attribute::Wrap(true),
    ]
}

/// Distinguishes what the token cannot do from what failed (PKCS #11 Base Specification 2.40, `C_WrapKey` and
/// `C_CreateObject`).
fn operation_error(error: &cryptoki::error::Error) -> Error {
    let cause = describe(error);
    match answer(error) {
        Some(
            RvError::MechanismInvalid
            | RvError::MechanismParamInvalid
            | RvError::ArgumentsBad
            | RvError::AttributeTypeInvalid
            | RvError::AttributeValueInvalid
            | RvError::CurveNotSupported
            | RvError::KeySizeRange
            | RvError::KeyNotWrappable
            | RvError::KeyUnextractable
            | RvError::FunctionNotSupported,
        ) => Error::TokenCannotWrap { cause },
        _ => Error::TokenFailed { cause },
    }
}
