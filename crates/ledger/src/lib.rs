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

pub mod canonical;
mod config;
pub mod entry;
mod error;
mod faults;
mod index;
pub mod ledger;
mod looks;
pub mod note;
mod offsets;
mod opening;
mod privacy;
mod progress;
mod publish;
pub mod published;
pub mod purge;
mod sequence;
mod sequencer;
mod shared;
mod spool;
#[doc(hidden)]
pub mod synthetic;
pub mod tiles;
pub mod tree;
pub mod verify;

pub use config::{LedgerConfig, LedgerHealth, Receipt};
pub use entry::{
    Actor, Change, Clock, Entry, Justification, LegalContext, Object, Operation, Origin, Outcome, Recipient,
};
pub use error::LedgerError;
pub use faults::{DiskFaults, DiskStep};
pub use index::{Filter, Index, Indexed};
pub use ledger::Ledger;
pub use looks::OpenLook;
pub use note::{LogKey, WitnessKey};
pub use privacy::{Details, DetailsReader, MonthKeys, Opening};
pub use published::{Proven, Published, leaves_in_order};
pub use purge::Purge;
pub use tree::{ConsistencyProof, InclusionProof, KeptProof};
pub use verify::{Known, Verified, VerifyError, inspect, verify};
