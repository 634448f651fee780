//! The operator's window: a calm wall of live tiles, the reason behind every tile that is closed, and one key to
//! everything that matters.
//!
//! State lives in [`model`]; rooms draw from it and hand back [`command::Command`]s, which [`app`] applies between
//! frames. [`net`] speaks with the daemon on its own thread, [`video`] decodes on its own threads; everything else
//! runs on the window's one thread. [`receipts`] checks what the daemon says of its log. The console is untrusted: what it hides, the daemon refuses.

pub mod app;
pub mod cameras;
pub mod chrome;
pub mod command;
pub mod feeds;
pub mod gallery;
pub mod health;
pub mod i18n;
pub mod incidents;
pub mod layout;
pub mod login;
pub mod model;
pub mod net;
pub mod overlays;
pub mod receipts;
pub mod replay;
pub mod report;
pub mod theme;
pub mod tile;
pub mod time;
pub mod video;
pub mod wall;
pub mod why;
pub mod widgets;
