//! The law as code: the facts that the municipalities and the police record, and one pure function from a request
//! and an instant to a [`Decision`].
//!
//! Nothing here reads a clock, a file or a socket. Read [`mod@decide`] first: it is the one room through which everything
//! passes, and it names the modules that hold the conditions. Around it: [`outlook`] looks ahead (what opens and closes when,
//! what a proposal would change), [`endings`] lists what ends soon, [`duties`] what is due, [`judgement`] says what recorded footage is in law, and [`entry`] what must
//! hold before a fact enters.

mod calendar;
mod conditions;
pub mod decide;
pub mod decision;
pub mod dossier;
pub mod duties;
pub mod endings;
pub mod entry;
pub mod facts;
mod geometry;
mod grounds;
pub mod ids;
pub mod judgement;
pub mod outlook;
mod people;
mod policy;
pub mod register;
pub mod request;
pub mod roles;
pub mod scenarios;
mod sentences;
mod spans;
pub mod statement;
mod windows;

pub use calendar::{Piece, footage_pieces, next_opening, open_intervals, retention_term};
pub use decide::decide;
pub use decision::{Decision, Denial, FactKind, FactRef, LogOperation, Obligations, Permit, ReasonCode};
pub use dossier::{DestroyGround, Export, ExportState, Hold, HoldState};
pub use facts::{Fact, FactBody, Role};
pub use ids::*;
pub use policy::Policy;
pub use register::{Register, RegisterError};
pub use request::{Action, Actor, Object, Request, Resolved};
pub use roles::ROLE_MATRIX;
pub use statement::{
    DisclosureDecision, LogPurpose, Operation, Proposal, Purpose, RecipientKind, Statement, Target,
};
