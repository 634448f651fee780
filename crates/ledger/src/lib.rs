//! The ledger: the append-only log of every look, refusal, change and destruction (Wpg 32a), kept so that the
//! police can check it without trusting whoever hosts the machine.
//!
//! An [`Entry`] becomes one leaf of canonical JSON in an RFC 6962 Merkle tree. [`Ledger::append`] returns only
//! when the leaf is durable; the tree, its C2SP tiles and the signed checkpoint follow within a second and can
//! always be rebuilt from the one file that counts, the sequence file. Persons never stand in a leaf by name:
//! they appear as pseudonyms of the month, and free text as salted commitments, opened only with the month's key.
//!
//! A newcomer reads: [`entry`] (what is said), [`ledger`](mod@ledger) (the writer and its promises), `sequence`
//! (the file), [`tree`] and [`tiles`] (what outsiders verify), [`note`] (who signed it), [`verify`](mod@verify).
//!
//! Without the feature `writer` only the reading half is built: notes, tree, tiles, proofs, verification. It needs no
//! database and no runtime, so that the police's witness stays small.

pub mod canonical;
#[cfg(feature = "writer")]
mod carry;
#[cfg(feature = "writer")]
mod config;
pub mod entry;
pub mod epoch;
mod error;
#[cfg(feature = "writer")]
mod faults;
#[cfg(feature = "writer")]
mod former;
#[cfg(feature = "writer")]
mod index;
pub mod leaf;
#[cfg(feature = "writer")]
pub mod ledger;
#[cfg(feature = "writer")]
mod looks;
pub mod note;
#[cfg(feature = "writer")]
mod offsets;
#[cfg(feature = "writer")]
mod opening;
#[cfg(feature = "writer")]
mod privacy;
#[cfg(feature = "writer")]
mod progress;
#[cfg(feature = "writer")]
mod publish;
pub mod published;
#[cfg(feature = "writer")]
pub mod purge;
#[cfg(feature = "writer")]
mod sequence;
#[cfg(feature = "writer")]
mod sequencer;
#[cfg(feature = "writer")]
mod shared;
#[cfg(feature = "writer")]
mod spool;
#[cfg(feature = "writer")]
#[doc(hidden)]
pub mod synthetic;
pub mod tiles;
pub mod tree;
pub mod verify;

#[cfg(feature = "writer")]
pub use carry::Owed;
#[cfg(feature = "writer")]
pub use config::{LedgerConfig, LedgerHealth, Receipt};
pub use entry::{
    Actor, Change, Clock, Entry, Justification, LegalContext, Object, Operation, Origin, Outcome, Recipient,
};
pub use error::LedgerError;
#[cfg(feature = "writer")]
pub use faults::{DiskFaults, DiskStep};
#[cfg(feature = "writer")]
pub use former::Former;
#[cfg(feature = "writer")]
pub use index::{Filter, Index, Indexed};
pub use leaf::Leaf;
#[cfg(feature = "writer")]
pub use ledger::Ledger;
#[cfg(feature = "writer")]
pub use looks::OpenLook;
pub use note::{LogKey, WitnessKey};
#[cfg(feature = "writer")]
pub use privacy::{Details, DetailsReader, MonthKeys, Opening};
pub use published::{Proven, Published, leaves_in_order};
#[cfg(feature = "writer")]
pub use purge::Purge;
pub use tree::{ConsistencyProof, InclusionProof, KeptProof};
pub use verify::{Known, Verified, VerifyError, inspect, verify};
