//! The ciphertext side of the footage store: everything that can be said of it without a key.
//!
//! `vault` writes and reads footage with these formats and holds the keys; `rtrctl` checks and mends with them and can
//! hold none, because this crate has none. Order of reading: [`volume`] (the file, byte by byte), [`identity`] (which
//! vault a folder is, and who has it open), [`open`] (which volumes a start must look at), [`index`] (where what lies), [`recovery`] (after a crash, and the index made
//! anew), [`check`] (is all of it as it should be).

pub mod check;
pub mod error;
pub mod identity;
pub mod index;
pub mod open;
pub mod recovery;
pub mod volume;

pub use error::VaultError;
