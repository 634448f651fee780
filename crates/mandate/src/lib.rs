//! The law as code: the facts that the municipalities and the police record, and one pure function from a request
//! and an instant to a [`Decision`].
//!
//! Nothing here reads a clock, a file or a socket.

pub mod decision;
pub mod facts;
pub mod ids;
pub mod request;

pub use decision::{FactKind, FactRef, ReasonCode};
pub use facts::{Fact, FactBody, Role};
pub use ids::*;
pub use request::{Action, Actor, Object, Request, Resolved};
