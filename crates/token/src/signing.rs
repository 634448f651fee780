//! Signing with Ed25519 (CKM_EDDSA, PKCS#11 v3.0 section 2.3.14; RFC 8032).

use crate::{
    error::TokenError,
    token::{Class, Token},
};
use cryptoki::{
    error::Error,
    mechanism::{
        Mechanism,
        eddsa::{EddsaParams, EddsaSignatureScheme},
    },
    object::{Attribute, AttributeType, KeyType},
};

/// How a token is told that the curve is edwards25519: as an object identifier (RFC 8410), which the standard settled
/// on, and as a printable string, which older libraries want (SoftHSM 2.6 among them).
const CURVES: [&[u8]; 2] = [&[0x06, 0x03, 0x2b, 0x65, 0x70], b"\x13\x0cedwards25519"];

/// A signing key in a token. The private half never leaves it.
#[derive(Clone)]
pub struct SigningKey {
    token: Token,
    label: String,
    public: [u8; 32],
}

impl SigningKey {
    /// Makes a key pair in the token, not extractable, under a label that is free.
    ///
    /// # Errors
    /// [`TokenError::KeyExists`]; [`TokenError::Failed`] when the token does not know Ed25519.
    pub fn make(token: &Token, label: &str) -> Result<Self, TokenError> {
        let outcome = token.with(|open| {
            if open.find(Class::Private, label)?.is_some() {
                return Ok(false);
            }
            let name = || Attribute::Label(label.as_bytes().to_vec());
            let private = [
                Attribute::Token(true),
                Attribute::Private(true),
                Attribute::Sensitive(true),
                Attribute::Extractable(false),
                Attribute::Sign(true),
                Attribute::Id(label.as_bytes().to_vec()),
                name(),
            ];
            let mut refused = Error::NotSupported;
            for curve in CURVES {
                let public = [
                    Attribute::Token(true),
                    Attribute::Private(false),
                    Attribute::Verify(true),
                    Attribute::EcParams(curve.to_vec()),
                    Attribute::Id(label.as_bytes().to_vec()),
                    name(),
                ];
                match open.session.generate_key_pair(&Mechanism::EccEdwardsKeyPairGen, &public, &private) {
                    Ok(_) => return Ok(true),
                    Err(error) => refused = error,
                }
            }
            Err(refused)
        });
        match outcome {
            Ok(true) => Self::find(token, label),
            Ok(false) => Err(TokenError::KeyExists { token: token.name(), key: label.to_owned() }),
            Err(failure) => Err(failure.of(token)),
        }
    }

    /// The key pair of this label.
    ///
    /// # Errors
    /// [`TokenError::NoKey`]; [`TokenError::WrongKey`] when it is no Ed25519 key, or can be read out of the token.
    pub fn find(token: &Token, label: &str) -> Result<Self, TokenError> {
        let wrong = |why: &str| TokenError::WrongKey {
            token: token.name(),
            key: label.to_owned(),
            why: why.to_owned(),
        };
        let attributes = token.with(|open| {
            let (Some(private), Some(public)) =
                (open.find(Class::Private, label)?, open.find(Class::Public, label)?)
            else {
                return Ok(None);
            };
            let kept = [AttributeType::Extractable, AttributeType::Sensitive, AttributeType::KeyType];
            let mut found = open.session.get_attributes(private, &kept)?;
            found.extend(open.session.get_attributes(public, &[AttributeType::EcPoint])?);
            Ok(Some(found))
        });
        let attributes = attributes
            .map_err(|failure| failure.of(token))?
            .ok_or_else(|| TokenError::NoKey { token: token.name(), key: label.to_owned() })?;
        let mut public = None;
        for attribute in attributes {
            match attribute {
                Attribute::Extractable(true) | Attribute::Sensitive(false) => {
                    return Err(wrong("it can be read out of the token; make one that cannot"));
                }
                Attribute::KeyType(kind) if kind != KeyType::EC_EDWARDS => {
                    return Err(wrong("it is not an Ed25519 key"));
                }
                Attribute::EcPoint(point) => public = point_of(&point),
                _ => {}
            }
        }
        let public = public.ok_or_else(|| wrong("its public half is not one of Ed25519"))?;
        Ok(Self { token: token.clone(), label: label.to_owned(), public })
    }

    /// The public key (RFC 8032 section 5.1.5).
    pub fn public(&self) -> [u8; 32] {
        self.public
    }

    /// Signs (RFC 8032 section 5.1.6). Blocks for the token: a millisecond in software, tens of them in a smart card.
    ///
    /// # Errors
    /// [`TokenError::NoKey`] when the key is gone, [`TokenError::Failed`] when the token is.
    pub fn sign(&self, message: &[u8]) -> Result<[u8; 64], TokenError> {
        let signature = self.token.with(|open| {
            let Some(key) = open.find(Class::Private, &self.label)? else { return Ok(None) };
            let scheme = Mechanism::Eddsa(EddsaParams::new(EddsaSignatureScheme::Pure));
            open.session.sign(&scheme, key, message).map(Some)
        });
        let signature = signature.map_err(|failure| failure.of(&self.token))?;
        let signature = signature
            .ok_or_else(|| TokenError::NoKey { token: self.token.name(), key: self.label.clone() })?;
        let length = signature.len();
        signature
            .try_into()
            .map_err(|_| self.token.failed(format!("its signature has {length} bytes, not 64")))
    }
}

/// The 32 bytes of the public key: bare, or in the DER octet string that PKCS#11 asks for.
fn point_of(bytes: &[u8]) -> Option<[u8; 32]> {
    let bare = match bytes {
        [0x04, 0x20, rest @ ..] => rest,
        bare => bare,
    };
    bare.try_into().ok()
}
