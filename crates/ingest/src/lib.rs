//! Ingest: how pictures come in and where they go.
//!
//! [`Ingest`] holds one RTSP session (retina) per open stream, on threads of its own, and reconnects for ever.
//! Each picture goes as an `AccessUnit` to the [`Hub`], which hands it to the recorder and, uncopied, to every
//! [`Subscription`]. Nothing here knows of cameras, people or permissions: a stream is connected exactly from
//! [`Ingest::open`] to [`Ingest::close`], and no picture captured at or after the closing instant leaves the hub.
//!
//! A frame travels `session` → `clock` (capture time) → `hub` → recorder and subscriptions. The modules in the
//! order in which a newcomer reads them:
//!
//! * [`state`]: what is known of a session, and why it is down
//! * [`hub`], [`subscription`]: groups of pictures in memory and their fan-out
//! * [`control`]: opening and closing streams
//! * `session`: one stream's connection; `backoff`, [`clock`] and `sockets` serve it
//! * `rounds`: the threads

mod backoff;
pub mod clock;
pub mod control;
pub mod hub;
mod rounds;
mod session;
mod sockets;
pub mod state;
pub mod subscription;

pub use control::{Ingest, IngestConfig, IngestError, SessionConfig, Transport};
pub use hub::{Hub, HubConfig, RecorderSink, StreamStats};
pub use state::{DownCause, SessionState};
pub use subscription::{Delivery, SubscribeOptions, Subscription};
