//! Sealing with AES-256-GCM (NIST SP 800-38D) by a key that cannot leave the token, and can be destroyed in it.

use crate::{
    error::TokenError,
    token::{Class, Failure, Token},
};
use cryptoki::{
    error::{Error, RvError},
    mechanism::{Mechanism, aead::GcmParams},
    object::{Attribute, AttributeType, KeyType, ObjectClass},
};
use zeroize::Zeroizing;

/// Bytes of a nonce.
pub const SEAL_NONCE: usize = 12;
/// Bytes of the tag behind what is sealed. Eight, so that a sealed key fits where a bare one was: a caller seals few
/// things under one key and checks what it opens by a commitment of its own (SP 800-38D, appendix C).
pub const SEAL_TAG: usize = 8;

/// A sealing key in a token.
#[derive(Clone)]
pub struct SealingKey {
    token: Token,
    label: String,
}

impl SealingKey {
    /// Makes a key in the token, not extractable, under a label that is free.
    ///
    /// # Errors
    /// [`TokenError::KeyExists`]; [`TokenError::Failed`].
    pub fn make(token: &Token, label: &str) -> Result<Self, TokenError> {
        let made = token.with(|open| {
            if open.find(Class::Secret, label)?.is_some() {
                return Ok(false);
            }
            let template = [
                Attribute::Token(true),
                Attribute::Private(true),
                Attribute::Sensitive(true),
                Attribute::Extractable(false),
                Attribute::KeyType(KeyType::AES),
                Attribute::ValueLen(32.into()),
                Attribute::Encrypt(true),
                Attribute::Decrypt(true),
                Attribute::Id(label.as_bytes().to_vec()),
                Attribute::Label(label.as_bytes().to_vec()),
            ];
            open.session.generate_key(&Mechanism::AesKeyGen, &template).map(|_| true)
        });
        match made {
            Ok(true) => Ok(Self { token: token.clone(), label: label.to_owned() }),
            Ok(false) => Err(TokenError::KeyExists { token: token.name(), key: label.to_owned() }),
            Err(failure) => Err(failure.of(token)),
        }
    }

    /// The key of this label; none when there is none, or it was destroyed.
    ///
    /// # Errors
    /// [`TokenError::WrongKey`] when it can be read out of the token; [`TokenError::Failed`].
    pub fn find(token: &Token, label: &str) -> Result<Option<Self>, TokenError> {
        let found = token.with(|open| {
            let Some(key) = open.find(Class::Secret, label)? else { return Ok(None) };
            open.session
                .get_attributes(key, &[AttributeType::Extractable, AttributeType::Sensitive])
                .map(Some)
        });
        let Some(attributes) = found.map_err(|failure| failure.of(token))? else { return Ok(None) };
        if attributes.iter().any(|a| matches!(a, Attribute::Extractable(true) | Attribute::Sensitive(false)))
        {
            let why = "it can be read out of the token; make one that cannot".to_owned();
            return Err(TokenError::WrongKey { token: token.name(), key: label.to_owned(), why });
        }
        Ok(Some(Self { token: token.clone(), label: label.to_owned() }))
    }

    /// The labels of all keys in the token that could be sealing keys.
    ///
    /// # Errors
    /// [`TokenError::Failed`].
    pub fn labels(token: &Token) -> Result<Vec<String>, TokenError> {
        let labels = token.with(|open| {
            let keys = [Attribute::Token(true), Attribute::Class(ObjectClass::SECRET_KEY)];
            let mut labels = Vec::new();
            for key in open.session.find_objects(&keys)? {
                for attribute in open.session.get_attributes(key, &[AttributeType::Label])? {
                    if let Attribute::Label(label) = attribute {
                        labels.extend(String::from_utf8(label));
                    }
                }
            }
            Ok(labels)
        });
        labels.map_err(|failure| failure.of(token))
    }

    /// Its label.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Seals: the ciphertext, then the tag of [`SEAL_TAG`] bytes. One nonce is used for one thing only.
    ///
    /// # Errors
    /// [`TokenError::NoKey`] when the key is gone, [`TokenError::Failed`] when the token is.
    pub fn seal(&self, nonce: [u8; SEAL_NONCE], context: &[u8], plain: &[u8]) -> Result<Vec<u8>, TokenError> {
        let context = not_empty(context);
        let sealed = self.token.with(|open| {
            let Some(key) = open.find(Class::Secret, &self.label)? else { return Ok(None) };
            let mut nonce = nonce;
            let gcm = GcmParams::new(&mut nonce, &context, (SEAL_TAG as u64 * 8).into())?;
            open.session.encrypt(&Mechanism::AesGcm(gcm), key, plain).map(Some)
        });
        let sealed = sealed.map_err(|failure| failure.of(&self.token))?.ok_or_else(|| self.gone())?;
        if sealed.len() != plain.len() + SEAL_TAG {
            return Err(self.token.failed(format!("it sealed {} bytes as {}", plain.len(), sealed.len())));
        }
        Ok(sealed)
    }

    /// Opens what [`SealingKey::seal`] gave for the same nonce and context.
    ///
    /// # Errors
    /// [`TokenError::NotOpened`] when anything differs, [`TokenError::NoKey`] when the key is gone,
    /// [`TokenError::Failed`] when the token is.
    pub fn open(
        &self,
        nonce: [u8; SEAL_NONCE],
        context: &[u8],
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, TokenError> {
        let context = not_empty(context);
        let plain = self.token.with(|open| {
            let Some(key) = open.find(Class::Secret, &self.label)? else { return Ok(None) };
            let mut nonce = nonce;
            let gcm = GcmParams::new(&mut nonce, &context, (SEAL_TAG as u64 * 8).into())?;
            open.session
                .decrypt(&Mechanism::AesGcm(gcm), key, sealed)
                .map(|plain| Some(Zeroizing::new(plain)))
        });
        match plain {
            Ok(plain) => plain.ok_or_else(|| self.gone()),
            // Which of these a token says for a wrong tag is its maker's choice.
            Err(Failure::Token(Error::Pkcs11(
                RvError::EncryptedDataInvalid
                | RvError::EncryptedDataLenRange
                | RvError::DataInvalid
                | RvError::GeneralError
                | RvError::FunctionFailed,
                _,
            ))) => Err(TokenError::NotOpened { token: self.token.name(), key: self.label.clone() }),
            Err(failure) => Err(failure.of(&self.token)),
        }
    }

    /// Destroys the key in the token: what it sealed opens no more, there or anywhere. Destroying one that is gone is
    /// no error.
    ///
    /// # Errors
    /// [`TokenError::Failed`].
    pub fn destroy(token: &Token, label: &str) -> Result<bool, TokenError> {
        token.with(|open| open.destroy(Class::Secret, label)).map_err(|failure| failure.of(token))
    }

    fn gone(&self) -> TokenError {
        TokenError::NoKey { token: self.token.name(), key: self.label.clone() }
    }
}

/// SoftHSM ends the whole process on GCM without associated data, so there is always some.
fn not_empty(context: &[u8]) -> Vec<u8> {
    [b"RTR", context].concat()
}
