//! `rtrd`: the daemon. It pulls the cameras, records them, and hands out pictures; nothing leaves it without a decision
//! of the law and an entry in the log.
//!
//! Read in this order:
//!
//! * [`gate`]: the one function through which every look and act passes, and the leases it hands out
//! * [`journal`]: the register's facts, event by event, each with its leaf in the ledger
//! * [`recorder`], [`streams`], [`losses`]: which cameras are connected and recorded, and when; what a slow disk cost
//! * [`retention`], [`guard`], [`holds`]: how footage dies on time, by which time, and what is kept for a case
//! * [`protection`]: what seals the keys of footage at rest; [`roots`]: what proves later that footage is what was recorded
//! * [`captured`]: under which basis footage was captured, and what turned out to lack one
//! * [`tally`], [`report`]: figures without persons
//! * [`exports`]: footage requests and the files that come out of them
//! * [`identity`], [`tls`]: who somebody is, and over which wire
//! * [`api`]: the table of endpoints, problems, the OpenAPI document
//! * [`media_socket`], `live`, `replay`: pictures on the wire, a range of footage in its lawful `pieces`; `receipts`: what
//!   a client may keep of its looks
//! * [`events`]: which event stands in the log under which name; [`custody`], `witnessing`, [`epoch`], [`synchronisation`]: the
//!   log's own care
//! * [`incidents`], [`metrics`], [`server`], `schedule`, [`clock`], [`log`]: the rest of the house

// Before the others: its `println!` is theirs.
#[macro_use]
mod output;

pub mod api;
pub mod captured;
pub mod clock;
mod coalesce;
pub mod custody;
pub mod epoch;
pub mod events;
pub mod exports;
pub mod gate;
pub mod guard;
pub mod holds;
pub mod identity;
pub mod incidents;
pub mod journal;
mod live;
pub mod log;
pub mod losses;
pub mod media_socket;
pub mod metrics;
mod pieces;
pub mod protection;
mod receipts;
pub mod recorder;
mod replay;
pub mod report;
pub mod retention;
pub mod roots;
mod schedule;
pub mod server;
mod store;
pub mod streams;
pub mod synchronisation;
pub mod tally;
#[cfg(test)]
mod testing;
pub mod tls;
mod witnessing;
