//! The footage store: encrypted, log-structured, and able to lose its keys on time.
//!
//! [`Vault::accept`] takes access units from the cameras' threads and touches neither disk nor SQL. One writer
//! thread gathers what came in, seals it chunk by chunk under keys that live one hour each, and appends it to a
//! volume; once a second it syncs. A second thread commits the index. Footage is never changed: it ends when the
//! slots of its keys are overwritten ([`Vault::destroy_expired`]). Whatever was not recorded is a gap with a reason.
//!
//! The vault reads no clock: every instant comes with a unit or an argument (µs UTC).
//!
//! Order of reading: `config` (what the outside sees); `volume`, `chunk` and `keys` (the formats, byte by byte);
//! `queue`, `writer`, `staging`, `index` (the way in); `timeline`, `reader` (the way out); `identity`, `recovery`, `vault`
//! (opening, recovery, destruction).

mod chunk;
mod config;
mod error;
#[cfg(test)]
mod golden;
mod identity;
mod index;
mod keys;
mod queue;
mod reader;
mod recovery;
mod staging;
mod timeline;
mod vault;
mod volume;
mod writer;

pub use config::{Destroyed, Item, SealedVolume, Span, SpanKind, Stats, StreamPolicy, VaultConfig};
pub use error::VaultError;
pub use reader::Reader;
pub use recovery::rebuild_index;
pub use vault::Vault;
