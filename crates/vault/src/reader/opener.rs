//! Opening what a source holds: the volume's record, its key, its units. Keys are fetched chunk by chunk, so that what
//! is destroyed while a reader is open opens no more.

use super::sources::{Footage, Source};
use crate::{
    chunk,
    index::ChunkRef,
    keys,
    volume::{self, Kind, VolumeHead},
};
use media::{AccessUnit, GapReason, Parameters};
use std::{collections::HashMap, fs::File, sync::Arc};

/// What one reader keeps open, and the generations it has given out.
#[derive(Default)]
pub(super) struct Opener {
    volume: Option<(u64, File, VolumeHead, u64)>,
    parameters: HashMap<(u64, u64), Arc<Parameters>>,
    last_parameters: Option<Arc<Parameters>>,
}

impl Opener {
    /// The units of a source, or why there are none.
    pub(super) fn open(&mut self, footage: &Footage, source: Source) -> Result<Vec<AccessUnit>, GapReason> {
        match source {
            Source::Disk(chunk) => self.load(footage, &chunk),
            Source::Memory { units, .. } => Ok(self.renumbered(units)),
            Source::Held(n, held) => {
                let kept = footage.kept.get(n).ok_or(GapReason::Damaged)?;
                let parameters = kept.parameters(&held).ok_or(GapReason::Damaged)?;
                kept.units(&held, &Arc::new(parameters)).map(|units| self.renumbered(units))
            }
        }
    }

    fn load(&mut self, footage: &Footage, chunk: &ChunkRef) -> Result<Vec<AccessUnit>, GapReason> {
        if self.volume.as_ref().is_none_or(|(number, ..)| *number != chunk.volume) {
            let path = footage.shared.config.dir.join(volume::file_name(chunk.volume));
            let file = File::open(&path).map_err(|error| missing(footage, chunk.volume, &error))?;
            let head = VolumeHead::read(&file, &path).map_err(|_| GapReason::Damaged)?;
            self.volume = Some((chunk.volume, file, head, 0));
        }
        let Some((_, file, volume_head, size)) = &mut self.volume else { return Err(GapReason::Damaged) };
        if chunk.offset + chunk.total > *size {
            *size = file.metadata().map_err(|_| GapReason::Damaged)?.len();
        }
        let (head, bytes) = volume::read_raw(file, chunk.offset, *size).ok_or(GapReason::Damaged)?;
        if head.stream != footage.stream
            || head.from != chunk.from
            || !matches!(head.kind, Kind::Chunk { .. })
        {
            return Err(GapReason::Damaged);
        }
        let hour = keys::hour_of(head.from);
        let slot = footage.shared.keys().key(footage.stream, hour, head.key).map_err(|error| {
            // It lives, but what seals it is away: not destroyed, and not to be had.
            tracing::error!(stream = footage.stream.0, %error, "footage cannot be opened");
            GapReason::Damaged
        })?;
        let Some(slot) = slot else {
            // A flipped bit in the head must not pass for destruction.
            let whole = bytes.len().checked_sub(volume::LEAF).and_then(|end| bytes.split_at_checked(end));
            let whole = whole.is_some_and(|(content, leaf)| *blake3::hash(content).as_bytes() == leaf);
            return Err(if whole { GapReason::Destroyed } else { GapReason::Damaged });
        };
        let plain =
            chunk::open(bytes, head.number, &slot.key, &volume_head.salt).ok_or(GapReason::Damaged)?;
        let place = (chunk.volume, head.parameters);
        let parameters = if let Some(parameters) = self.parameters.get(&place) {
            Arc::clone(parameters)
        } else {
            let read = volume::read_record(file, head.parameters, *size)
                .filter(|(found, _)| found.kind == Kind::Parameters && found.stream == footage.stream)
                .and_then(|(_, body)| volume::decode_parameters(&body))
                .ok_or(GapReason::Damaged)?;
            let parameters = self.generation(read);
            self.parameters.insert(place, Arc::clone(&parameters));
            parameters
        };
        self.last_parameters = Some(Arc::clone(&parameters));
        chunk::parse_plain(&plain, footage.stream, head.units, &parameters).ok_or(GapReason::Damaged)
    }

    /// Generations count within one run of a stream; a reader crosses runs, so it counts on where they change and
    /// keeps the same ones when only the file changed.
    fn generation(&self, mut read: Parameters) -> Arc<Parameters> {
        if let Some(last) = &self.last_parameters {
            let stored = std::mem::replace(&mut read.generation, last.generation);
            if **last == read {
                return Arc::clone(last);
            }
            read.generation =
                if stored > last.generation { stored } else { last.generation.wrapping_add(1).max(1) };
        }
        Arc::new(read)
    }

    /// Units from memory, with the generation that follows what was read from disk.
    fn renumbered(&mut self, mut units: Vec<AccessUnit>) -> Vec<AccessUnit> {
        for unit in &mut units {
            match &self.last_parameters {
                None => self.last_parameters = Some(Arc::clone(&unit.parameters)),
                Some(last) if **last != *unit.parameters => {
                    self.last_parameters = Some(self.generation((*unit.parameters).clone()));
                }
                Some(_) => {}
            }
            if let Some(last) = &self.last_parameters {
                unit.parameters = Arc::clone(last);
            }
        }
        units
    }
}

/// Why a volume cannot be opened. One that was destroyed left the index before its file was unlinked; one that is lost is
/// still there.
fn missing(footage: &Footage, number: u64, error: &std::io::Error) -> GapReason {
    let lost = || footage.shared.reader().volume(number).map_or(true, |known| known.is_some());
    if error.kind() != std::io::ErrorKind::NotFound || lost() {
        tracing::error!(number, %error, "a volume cannot be opened");
        return GapReason::Damaged;
    }
    GapReason::Destroyed
}
