//! Simulated cameras: real RTSP servers whose pictures tell the time.
//!
//! The demo, the end-to-end tests and the bench need cameras that behave like those on a pole: RTSP with Digest
//! passwords, RTP over TCP and UDP, sender reports, a main and a sub stream, noise that costs real bits, and now and
//! then a fault. `camsim` draws a few street scenes, encodes them once into loops of exactly one minute, and serves
//! as many cameras from them as asked for. Frame `k` of the minute leaves when UTC is `k * 40 ms` into the minute, and
//! says so in the picture: whoever looks at a screenshot can tell how old each tile is ([`code`]).
//!
//! In the order a picture travels:
//! - [`code`]: the row of cells that carries the frame number, written and read back;
//! - [`draw`]: streets by night and day, and the overlay; [`footage`]: real clips instead;
//! - [`encode`], [`loops`], [`scenes`]: encoded once, kept in files;
//! - [`rtp`], [`camera`], [`entrance`]: from a frame that is due to packets;
//! - [`serve`], [`faults`]: the RTSP server, and what can be made to go wrong;
//! - [`wire`]: what a running camsim tells its starter, and the control port's client side.

pub mod camera;
pub mod code;
pub mod draw;
pub mod encode;
pub mod entrance;
pub mod faults;
pub mod footage;
pub mod loops;
pub mod rtp;
pub mod scenes;
pub mod serve;
pub mod wire;
