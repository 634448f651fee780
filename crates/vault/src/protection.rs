//! How keys at rest are protected beside the mode of their files: not at all, by a systemd credential, or inside a PKCS#11
//! token. What is sealed keeps its place and its size, so destroying it stays one overwrite.
//!
//! * **Credential.** Each slot is wrapped (AES-256 key wrap, RFC 3394) under a key of its own, HKDF-SHA-256(secret = the
//!   credential, salt = identity of the vault, info = `RTR slot` ‖ stream ‖ hour ‖ id). Who copies the disks without the
//!   credential (which systemd binds to the machine's TPM) has no key.
//! * **Token.** One AES-256 key per retention class and hour lives in the token, cannot be taken out of it, and seals the
//!   slots of that class and hour (AES-256-GCM, nonce = id ‖ stream, tag of 8 bytes; [`token::SealingKey`]). When the last of
//!   these slots is destroyed the key in the token is destroyed too: then not even a copy of the slots opens. Keys of cases
//!   have one key each, destroyed at release.
//!
//! Neither is a bearer of its own that could be backed up and prolong anything: a slot that is overwritten is gone.

use crate::{error::VaultError, volume::take};
use aws_lc_rs::{
    hkdf::{self, HKDF_SHA256, Salt},
    key_wrap::{AES_256, AesKek, KeyWrap},
};
use std::fmt;
use token::{SEAL_NONCE, SealingKey, Token, TokenError};
use zeroize::Zeroizing;

/// Bytes of a sealed key: the key and 8 bytes by which a wrong one is noticed.
pub(crate) const SEALED: usize = 40;
/// A credential must have at least this many bytes: it is a key, not a password.
const LEAST_CREDENTIAL: usize = 32;

/// What protects the keys at rest beside the mode of their files (0600).
#[derive(Clone, Default)]
pub enum Protection {
    /// Nothing: keys stand in their slots as they are.
    #[default]
    FileMode,
    /// A secret that is given to the process at its start and stands on none of its disks.
    Credential(Credential),
    /// Keys in a token.
    Token(Token),
}

impl fmt::Debug for Protection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FileMode => write!(f, "FileMode"),
            Self::Credential(_) => write!(f, "Credential(…)"),
            Self::Token(token) => write!(f, "Token({})", token.uri()),
        }
    }
}

/// A secret of at least 32 bytes.
#[derive(Clone)]
pub struct Credential(Zeroizing<[u8; 32]>);

impl Credential {
    /// The secret that these bytes are; none when they are too few to be one.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        (bytes.len() >= LEAST_CREDENTIAL)
            .then(|| Self(Zeroizing::new(blake3::derive_key("RTR vault key store credential v1", bytes))))
    }

    /// By which another one is noticed, without giving it away.
    pub(crate) fn check(&self) -> [u8; 8] {
        take(&blake3::derive_key("RTR vault key store credential check v1", &*self.0), 0)
    }

    fn kek(&self, vault: [u8; 16], label: &[&[u8]]) -> Result<AesKek, VaultError> {
        struct Length;
        impl hkdf::KeyType for Length {
            fn len(&self) -> usize {
                32
            }
        }
        let mut key = Zeroizing::new([0; 32]);
        Salt::new(HKDF_SHA256, &vault)
            .extract(&*self.0)
            .expand(label, Length)
            .and_then(|okm| okm.fill(&mut *key))
            .map_err(|_| VaultError::Random)?;
        AesKek::new(&AES_256, &*key).map_err(|_| VaultError::Random)
    }
}

/// How one key is sealed, as its bearer says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seal {
    Bare,
    Credential,
    Token,
}

impl Seal {
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Bare => 1,
            Self::Credential => 2,
            Self::Token => 3,
        }
    }

    pub(crate) fn of(code: u8) -> Option<Self> {
        [Self::Bare, Self::Credential, Self::Token].into_iter().find(|seal| seal.code() == code)
    }
}

/// What a key is for: it is bound to that, and no other key opens in its place.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose<'a> {
    /// A slot of the key store.
    Slot { class: u32, stream: u32, hour: u32, id: u64 },
    /// A case.
    Case(&'a str),
}

impl Purpose<'_> {
    /// The label of the key in the token that seals it.
    fn label(self, vault: [u8; 16]) -> String {
        let vault = u64::from_be_bytes(take(&vault, 0));
        match self {
            Self::Slot { class, hour, .. } => format!("rtr/{vault:016x}/{class}/{hour}"),
            Self::Case(id) => format!("rtr/{vault:016x}/case/{id}"),
        }
    }

    /// Everything it is bound to.
    fn context(self) -> Vec<u8> {
        match self {
            Self::Slot { stream, hour, id, .. } => {
                [&b"RTR slot"[..], &stream.to_le_bytes(), &hour.to_le_bytes(), &id.to_le_bytes()].concat()
            }
            Self::Case(id) => [b"RTR case", id.as_bytes()].concat(),
        }
    }

    /// A key in a token seals each slot once, and each case's key once.
    fn nonce(self) -> [u8; SEAL_NONCE] {
        match self {
            Self::Slot { stream, id, .. } => {
                take(&[&id.to_le_bytes()[..], &stream.to_le_bytes()].concat(), 0)
            }
            Self::Case(_) => [0; SEAL_NONCE],
        }
    }
}

fn sealed(error: &TokenError) -> VaultError {
    VaultError::Sealed(error.to_string())
}

impl Protection {
    /// How keys are sealed from now on.
    pub(crate) fn seal_kind(&self) -> Seal {
        match self {
            Self::FileMode => Seal::Bare,
            Self::Credential(_) => Seal::Credential,
            Self::Token(_) => Seal::Token,
        }
    }

    /// Seals a key; not called for bare ones.
    pub(crate) fn seal(
        &self,
        vault: [u8; 16],
        purpose: Purpose<'_>,
        key: &[u8; 32],
    ) -> Result<[u8; SEALED], VaultError> {
        match self {
            Self::FileMode => Err(VaultError::Sealed("no protection is configured".to_owned())),
            Self::Credential(credential) => {
                let mut out = [0; SEALED];
                credential
                    .kek(vault, &[&purpose.context()])?
                    .wrap(key, &mut out)
                    .map_err(|_| VaultError::Random)?;
                Ok(out)
            }
            Self::Token(token) => {
                let label = purpose.label(vault);
                let key_in_token = match SealingKey::find(token, &label).map_err(|e| sealed(&e))? {
                    Some(key) => key,
                    None => SealingKey::make(token, &label).map_err(|e| sealed(&e))?,
                };
                let out =
                    key_in_token.seal(purpose.nonce(), &purpose.context(), key).map_err(|e| sealed(&e))?;
                Ok(take(&out, 0))
            }
        }
    }

    /// Opens what `seal` sealed.
    ///
    /// # Errors
    /// [`VaultError::Sealed`] says what is missing: the credential or the token is not there, or is another one.
    pub(crate) fn open(
        &self,
        seal: Seal,
        vault: [u8; 16],
        purpose: Purpose<'_>,
        bytes: &[u8; SEALED],
    ) -> Result<Zeroizing<[u8; 32]>, VaultError> {
        match (seal, self) {
            (Seal::Credential, Self::Credential(credential)) => {
                let mut out = Zeroizing::new([0; SEALED]);
                let opened =
                    credential.kek(vault, &[&purpose.context()])?.unwrap(bytes, &mut *out).map_err(|_| {
                        VaultError::Sealed("the credential is not the one that sealed it".to_owned())
                    })?;
                Ok(Zeroizing::new(take(opened, 0)))
            }
            (Seal::Token, Self::Token(token)) => {
                let label = purpose.label(vault);
                let Some(key) = SealingKey::find(token, &label).map_err(|e| sealed(&e))? else {
                    return Err(VaultError::Sealed(format!(
                        "the token {} has no key `{label}`: it was destroyed, or this is another token",
                        token.uri()
                    )));
                };
                let opened = key.open(purpose.nonce(), &purpose.context(), bytes).map_err(|e| sealed(&e))?;
                Ok(Zeroizing::new(take(&opened, 0)))
            }
            (Seal::Credential, _) => {
                Err(VaultError::Sealed("it is sealed by a credential, and none is configured".to_owned()))
            }
            (Seal::Token, _) => {
                Err(VaultError::Sealed("it is sealed in a token, and none is configured".to_owned()))
            }
            (Seal::Bare, _) => Err(VaultError::Sealed("it is not sealed".to_owned())),
        }
    }

    /// Destroys the key in the token that sealed this; nothing without a token.
    pub(crate) fn destroy(&self, vault: [u8; 16], purpose: Purpose<'_>) -> Result<(), VaultError> {
        let Self::Token(token) = self else { return Ok(()) };
        SealingKey::destroy(token, &purpose.label(vault)).map(drop).map_err(|e| sealed(&e))
    }

    /// The retention class and hour of every key in the token that seals slots of this vault.
    pub(crate) fn hours_in_token(&self, vault: [u8; 16]) -> Result<Vec<(u32, u32)>, VaultError> {
        let Self::Token(token) = self else { return Ok(Vec::new()) };
        let prefix = format!("rtr/{:016x}/", u64::from_be_bytes(take(&vault, 0)));
        let labels = SealingKey::labels(token).map_err(|e| sealed(&e))?;
        let hour = |label: &String| {
            let (class, hour) = label.strip_prefix(&prefix)?.split_once('/')?;
            Some((class.parse().ok()?, hour.parse().ok()?))
        };
        Ok(labels.iter().filter_map(hour).collect())
    }
}
