//! The law, tested: scenarios that a jurist can read, properties over generated registers, the nights on which the clock
//! changes, what may enter the register, and what lies ahead. One binary, so that it links once.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::let_underscore_must_use,
    reason = "helpers of tests, where a panic is the message"
)]

mod answers;
mod basis;
mod common;
mod daylight_saving;
mod edges;
mod entry;
mod input;
mod looking_ahead;
mod properties;
mod records;
mod scenarios;
mod versions;
mod worlds;
