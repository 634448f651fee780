//! Pictures: street scenes drawn in Rust, and the overlay that tells the time.
//!
//! A scene is one still backdrop, ray-cast once with its buildings, paving and light, kept in several copies that differ
//! in sensor noise; every frame is a copy of one of them with the people and vehicles of that moment drawn on top.
//! That costs a few milliseconds a frame and still gives an encoder what a real night camera gives it.
//!
//! - [`canvas`]: planes of a picture and anti-aliased shapes; [`lens`]: the street's metres to the picture's pixels;
//! - [`town`]: what stands still; [`people`], [`traffic`]: what moves; [`street`]: the four scenes;
//! - [`overlay`]: the row of cells and the seconds.

pub mod canvas;
pub mod lens;
pub mod overlay;
pub mod people;
pub mod street;
pub mod town;
pub mod traffic;

pub use canvas::{Canvas, Ink};
pub use street::{Street, StreetKind};
