//! The footage store: encrypted, log-structured, and able to lose its keys on time.
//!
//! [`Vault::accept`] takes access units from the cameras' threads and touches neither disk nor SQL. One writer
//! thread gathers what came in, seals it chunk by chunk under keys that live one hour each, and appends it to a
//! volume; once a second it syncs. A second thread commits the index. Footage is never changed: it ends when the
//! slots of its keys are overwritten ([`Vault::destroy_expired`]). Whatever was not recorded is a gap with a reason.
//!
//! The vault reads no clock: every instant comes with a unit or an argument (µs UTC).
//!
//! What needs no key (volumes, index, recovery) is the crate [`volumes`]; this one adds the keys and the threads.
//!
//! Order of reading: `config` (what the outside sees); `chunk`, `keys`, `slot` and `protection`
//! (the formats, byte by byte);
//! `queue`, `writer`, `staging`, `tidy` (the way in); `timeline`, `passes`, `reader` (the way out); `vault` (opening and
//! destruction), `holds` (footage secured for a case).

mod chunk;
mod config;
#[cfg(test)]
mod golden;
mod holds;
mod indexing;
mod keys;
mod open_volume;
mod passes;
#[cfg(test)]
mod powercut;
mod protection;
mod queue;
mod reader;
mod slot;
mod staging;
mod tidy;
mod timeline;
mod vault;
mod writer;

use volumes::{error, identity, index, recovery, volume};

pub use config::{
    Destroyed, Direction, Held, Item, KeyName, Loss, Pictures, Span, SpanKind, Stats, StreamPolicy,
    VaultConfig,
};
pub use error::VaultError;
pub use holds::HeldReader;
pub use protection::{Credential, Protection};
pub use reader::Reader;
pub use vault::Vault;
pub use volumes::{recovery::rebuild_index, volume::SealedVolume};
