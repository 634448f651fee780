//! Footage secured for a case, as the outside asks for it.

use super::Vault;
use crate::{
    config::Held,
    error::VaultError,
    holds::{self, HeldReader, Kept},
    index::{ChunkRef, MINUTE},
    passes::pass_by_pass,
};
use media::{Micros, StreamId};
use std::collections::BTreeSet;

/// Chunks end within a second of their start, a last picture's duration aside (µs).
const LONGEST_CHUNK: i64 = 10_000_000;

impl Vault {
    /// Secures what a stream has in an interval (µs UTC) under a name (lower case letters, digits, `-`): when this returns,
    /// exactly these frames can be read by [`Vault::read_hold`] until the hold is released, whatever happens to the hour's
    /// keys, to the volumes, or to one of the two devices.
    ///
    /// # Errors
    /// [`VaultError::HoldExists`]; else what the disk said. After an error nothing is held.
    pub fn hold(&self, id: &str, stream: StreamId, from: Micros, until: Micros) -> Result<Held, VaultError> {
        self.hold_also(id, stream, from, until, &[])
    }

    /// The same, for footage of which some is kept by other holds only: it is secured for this case as well.
    ///
    /// # Errors
    /// As [`Vault::hold`]; [`VaultError::NoSuchHold`] for those others.
    pub fn hold_also(
        &self,
        id: &str,
        stream: StreamId,
        from: Micros,
        until: Micros,
        others: &[String],
    ) -> Result<Held, VaultError> {
        let shared = &self.inner.shared;
        let kept: Vec<Kept> = others.iter().map(|other| shared.kept(other)).collect::<Result<_, _>>()?;
        self.flush()?;
        let chunks = self.chunks_of(stream, from, until)?;
        let wanted: BTreeSet<u64> = chunks.iter().map(|chunk| chunk.volume).collect();
        shared.pin(&wanted);
        let held = holds::secure(shared, id, stream, (from, until), &chunks, &kept);
        shared.unpin(&wanted);
        if let Err(error) = held {
            if !matches!(error, VaultError::HoldExists(_)) {
                drop(holds::release(&shared.config.protection, shared.identity, &shared.config.keys, id));
            }
            return Err(error);
        }
        self.held(id).ok_or_else(|| VaultError::NoSuchHold(id.to_owned()))
    }

    /// Every chunk of a stream that has something between two instants, pass by pass: those of the index, and those that only
    /// memory knows, because they lie in a volume whose sync failed.
    fn chunks_of(&self, stream: StreamId, from: Micros, until: Micros) -> Result<Vec<ChunkRef>, VaultError> {
        let shared = &self.inner.shared;
        let minutes = (from.plus(-LONGEST_CHUNK).0.div_euclid(MINUTE), until.0.div_euclid(MINUTE));
        // Memory first: what leaves it is in the index by then.
        let memory = shared.queues.known(stream).map(|queue| queue.lock().chunks.clone()).unwrap_or_default();
        let indexed = shared.reader().chunks(stream, minutes)?;
        let mut chunks: Vec<ChunkRef> = indexed.into_iter().chain(memory).collect();
        chunks.retain(|chunk| chunk.from < until && chunk.until > from);
        chunks.sort_by_key(|chunk| (chunk.volume, chunk.offset));
        chunks.dedup_by_key(|chunk| (chunk.volume, chunk.offset));
        Ok(pass_by_pass(chunks))
    }

    /// Ends a hold: its keys are overwritten in both copies, its ciphertext removed. What is not yet past its term stays
    /// readable by its hour's key.
    ///
    /// # Errors
    /// [`VaultError::NoSuchHold`]; else what the disk said.
    pub fn release(&self, id: &str) -> Result<(), VaultError> {
        let shared = &self.inner.shared;
        holds::release(&shared.config.protection, shared.identity, &shared.config.keys, id)
    }

    /// One hold.
    pub fn held(&self, id: &str) -> Option<Held> {
        holds::one(&self.inner.shared.config.keys, id.to_owned())
    }

    /// Every hold.
    pub fn holds(&self) -> Vec<Held> {
        holds::list(&self.inner.shared.config.keys)
    }

    /// Reads what a hold keeps, exactly from its first instant to its end.
    ///
    /// # Errors
    /// [`VaultError::NoSuchHold`] when there is none or its keys are gone.
    pub fn read_hold(&self, id: &str) -> Result<HeldReader, VaultError> {
        let shared = &self.inner.shared;
        HeldReader::open(&shared.config.protection, shared.identity, &shared.config.keys, id)
    }
}
