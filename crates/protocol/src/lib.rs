//! What travels between the daemon and its clients: the bodies of the HTTP API, the control messages and the binary
//! media messages of the one WebSocket, and the client that console, `rtrctl` and tests use.
//!
//! Ids are `mandate`'s, pictures are `media`'s; this crate adds only what travels.

pub mod api;
pub mod client;
pub mod socket;
pub mod wire;
