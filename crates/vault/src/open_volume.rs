//! A volume that is being written: its file, what stands in it already, and the records that are written once a volume.

use crate::{
    error::VaultError,
    keys::{self, SlotKey},
    staging::{Staging, VolumeFile},
    volume::{self, BLOCK, Kind, RecordHead, VolumeHead},
};
use media::{Micros, Parameters, StreamId};
use std::{collections::HashMap, sync::Arc, time::Instant};

/// A volume that is being written.
pub(crate) struct OpenVolume {
    pub(crate) head: VolumeHead,
    pub(crate) file: VolumeFile,
    /// Where the next write goes: a block's border.
    pub(crate) size: u64,
    /// Everything before it is on its way to the index.
    pub(crate) scanned: u64,
    /// When it was made.
    pub(crate) since: Instant,
    pub(crate) next_record: u64,
    pub(crate) records: Vec<(u64, [u8; 32])>,
    pub(crate) parameters: HashMap<StreamId, (Arc<Parameters>, u64)>,
    /// Key ids whose commitment stands in this volume, and where.
    pub(crate) keys: HashMap<u64, u64>,
    pub(crate) newest: Micros,
    pub(crate) dirty: bool,
    /// Units written to it since its last sync that succeeded. With several classes one volume may fail and others not.
    pub(crate) unsynced: u64,
}

impl OpenVolume {
    /// An empty volume.
    pub(crate) fn new(head: VolumeHead, file: VolumeFile) -> Self {
        Self {
            head,
            file,
            size: BLOCK,
            scanned: BLOCK,
            since: Instant::now(),
            next_record: 0,
            records: Vec::new(),
            parameters: HashMap::new(),
            keys: HashMap::new(),
            newest: Micros(i64::MIN),
            dirty: false,
            unsynced: 0,
        }
    }

    /// Syncs it. Gives how many units became safe by that.
    pub(crate) fn sync(&mut self) -> Result<u64, VaultError> {
        self.file.sync()?;
        self.dirty = false;
        Ok(std::mem::take(&mut self.unsynced))
    }

    /// The offset of the parameters record for these parameters, appended when the volume has none yet.
    pub(crate) fn place_parameters(
        &mut self,
        buffer: &mut Staging,
        stream: StreamId,
        parameters: &Arc<Parameters>,
    ) -> u64 {
        if let Some((known, at)) = self.parameters.get(&stream)
            && (Arc::ptr_eq(known, parameters) || known == parameters)
        {
            return *at;
        }
        let at = self.size + buffer.len() as u64;
        let body = volume::encode_parameters(parameters);
        let head = RecordHead::plain(Kind::Parameters, stream, self.next_record, body.len() as u32);
        self.next_record += 1;
        let leaf = volume::append_plain(buffer.out(), &head, &body);
        self.records.push((at, leaf));
        self.parameters.insert(stream, (Arc::clone(parameters), at));
        at
    }

    /// Says which key seals what follows, once a volume.
    pub(crate) fn place_key(&mut self, buffer: &mut Staging, stream: StreamId, hour: u32, slot: &SlotKey) {
        if self.keys.contains_key(&slot.id) {
            return;
        }
        let at = self.size + buffer.len() as u64;
        let mut head = RecordHead::plain(Kind::Key, stream, self.next_record, 32);
        head.from = Micros(i64::from(hour) * keys::HOUR);
        head.until = head.from.plus(keys::HOUR);
        head.key = slot.id;
        self.next_record += 1;
        let leaf = volume::append_plain(buffer.out(), &head, keys::commitment(&slot.key).as_bytes());
        self.records.push((at, leaf));
        self.keys.insert(slot.id, at);
    }
}
