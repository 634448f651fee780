//! The seam through which tests make the disk fail or hang. Production passes none.

use std::io;

/// A step of the writer that can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskStep {
    /// Opening the sequence file to be written.
    Open,
    /// Writing a batch to the sequence file.
    Write,
    /// Syncing it.
    Sync,
}

/// Called before each step, on the writer's thread; may block to play a slow disk.
pub trait DiskFaults: Send + Sync {
    /// `Err` is taken for the disk's own answer.
    fn before(&self, step: DiskStep) -> io::Result<()>;
}
