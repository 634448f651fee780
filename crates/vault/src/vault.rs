//! placeholder
use crate::{config::*, error::VaultError};
use media::{AccessUnit, GapReason, Micros, StreamId};
use std::{path::Path, sync::Arc};

/// The footage store. Clones share it; it closes when the last clone is dropped.
#[derive(Clone)]
pub struct Vault { _config: Arc<VaultConfig> }

impl Vault {
    /// Opens.
    pub fn open(config: VaultConfig) -> Result<Self, VaultError> { Ok(Self { _config: Arc::new(config) }) }
    /// Sets class and importance of a stream; before its first unit.
    pub fn set_policy(&self, _stream: StreamId, _policy: StreamPolicy) {}
    /// Takes a unit.
    pub fn accept(&self, _unit: AccessUnit) {}
    /// Starts a gap.
    pub fn gap(&self, _stream: StreamId, _from: Micros, _reason: GapReason) {}
    /// Everything accepted so far is written, synced and indexed when it returns.
    pub fn flush(&self) -> Result<(), VaultError> { Ok(()) }
    /// Reads.
    pub fn read(&self, _stream: StreamId, _from: Micros, _until: Micros) -> Result<Reader, VaultError> { Ok(Reader {}) }
    /// The timeline.
    pub fn spans(&self, _stream: StreamId, _from: Micros, _until: Micros) -> Result<Vec<Span>, VaultError> { Ok(vec![]) }
    /// Figures.
    pub fn stats(&self) -> Stats { Stats::default() }
    /// Destroys.
    pub fn destroy_expired(&self, _stream: StreamId, _before: Micros) -> Result<Destroyed, VaultError> { Ok(Destroyed::default()) }
    /// Volumes sealed after this number.
    pub fn sealed_volumes(&self, _after: u64) -> Result<Vec<SealedVolume>, VaultError> { Ok(vec![]) }
}

/// Iterator over [`Item`]s.
pub struct Reader {}
impl Iterator for Reader {
    type Item = Item;
    fn next(&mut self) -> Option<Item> { None }
}

/// Rebuilds the index.
pub fn rebuild_index(_dir: &Path) -> Result<(), VaultError> { Ok(()) }
