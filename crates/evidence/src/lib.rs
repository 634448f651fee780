//! Footage requests and what comes out of them: the package, its manifest, its verifier.
//!
//! This room is laid out and still empty: requests and packages are built on the vault's holds and exports, which come
//! first. It will know nothing of HTTP.
