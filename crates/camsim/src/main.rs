//! Starts simulated cameras; see the library for what they do.

fn main() {}
