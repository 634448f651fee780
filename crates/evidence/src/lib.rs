//! Footage requests (beeldaanvragen) and what comes out of them: the request in its simplest lawful form, and the plan of
//! its files. It knows nothing of HTTP, of storage, or of who may do what: the daemon asks the gate before each step here.
//!
//! * [`request`]: asked, approved or refused (refusals are kept), fetched, closed; what each step needs
//! * [`files`]: which pictures go into which file, and what is left out and why
//!
//! Packages with manifest, signature and verifier come later, on top of the same files.

pub mod files;
pub mod request;

pub use files::{Placed, Planner};
pub use request::{
    Asked, ExportFile, FootageRequest, HeldStretch, LeftOut, NewFootageRequest, RequestError, RequestState,
};
