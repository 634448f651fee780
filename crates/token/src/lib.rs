//! Keys that never leave a PKCS#11 token: signing (Ed25519) and sealing (AES-256-GCM).
//!
//! A token (a hardware module, a smart card, SoftHSM in tests) makes the key, marks it as not extractable, and does the
//! work inside. The program asks; it never has the key. Who carries the token away, or destroys a key in it, ends
//! what the key could open or sign, and no copy of a disk brings it back.
//!
//! Which token and which key is one line, a PKCS#11 URI (RFC 7512):
//!
//! ```text
//! pkcs11:token=RTR;object=log?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=credential:rtr-pin
//! ```
//!
//! The PIN comes from a file that only its owner reads, or from a systemd credential, never from the command line or
//! the environment, where other processes of the machine could see it.
//!
//! Order of reading: `uri` (where a key is), `token` (the open module), `signing`, `sealing`, [`softhsm`] (a token in a
//! folder, for tests and trials).

mod error;
mod sealing;
mod signing;
pub mod softhsm;
mod token;
mod uri;

pub use error::TokenError;
pub use sealing::{SEAL_NONCE, SEAL_TAG, SealingKey};
pub use signing::SigningKey;
pub use token::Token;
pub use uri::{PinSource, TokenUri};
