//! What can go wrong with a token, and what to do about it.

use std::path::PathBuf;

/// Why a token, or a key in it, cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The address of the key is not one.
    #[error(
        "`{uri}` does not say where a key is: {why}. Expected, for example, `pkcs11:token=RTR;object=log?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=credential:rtr-pin`"
    )]
    Uri {
        /// What was given, without a PIN.
        uri: String,
        /// What is wrong with it.
        why: String,
    },
    /// The PIN cannot be read.
    #[error("the PIN of the token cannot be read from {place}: {why}")]
    Pin {
        /// The file or credential.
        place: String,
        /// What is wrong with it.
        why: String,
    },
    /// The library of the token cannot be loaded.
    #[error("the token's library {} cannot be used: {why}. Is the package of the token's maker installed?", path.display())]
    Module {
        /// The library.
        path: PathBuf,
        /// What the loader or the library said.
        why: String,
    },
    /// The library knows no such token.
    #[error("no token {wanted} is present; present: {present}. Is it plugged in, and initialised?")]
    NoToken {
        /// What was looked for.
        wanted: String,
        /// What is there.
        present: String,
    },
    /// The token refuses the PIN. Not tried again: a token locks itself after a few wrong ones.
    #[error("the token {token} refuses the PIN from {place}: {why}")]
    Refused {
        /// Which token.
        token: String,
        /// Where the PIN came from.
        place: String,
        /// What it said.
        why: String,
    },
    /// The token has no such key.
    #[error("the token {token} has no key named `{key}`")]
    NoKey {
        /// Which token.
        token: String,
        /// Its label.
        key: String,
    },
    /// There is such a key already.
    #[error(
        "the token {token} already has a key named `{key}`; choose another name, so that none is overwritten"
    )]
    KeyExists {
        /// Which token.
        token: String,
        /// Its label.
        key: String,
    },
    /// The key is there but not what is needed.
    #[error("the key `{key}` in the token {token} is not usable: {why}")]
    WrongKey {
        /// Which token.
        token: String,
        /// Its label.
        key: String,
        /// What is wrong with it.
        why: String,
    },
    /// What was sealed is not what this key sealed.
    #[error(
        "the key `{key}` in the token {token} does not open this: it was sealed by another key, or changed"
    )]
    NotOpened {
        /// Which token.
        token: String,
        /// Its label.
        key: String,
    },
    /// The token failed.
    #[error("the token {token} failed: {why}")]
    Failed {
        /// Which token.
        token: String,
        /// What it said.
        why: String,
    },
}
