//! What a hold keeps, chunk by chunk, for readers that go to an instant: only the heads are read until a chunk is opened.

use super::{Claim, Claims, ENTRY, HELD_MAGIC, cipher, claims_of, folders, ids, key_of, nonce};
use crate::{
    chunk,
    error::VaultError,
    index::ChunkRef,
    protection::Protection,
    volume::{self, RecordHead, take, u32_at, u64_at},
};
use aws_lc_rs::aead::{Aad, LessSafeKey};
use media::{AccessUnit, GapReason, Micros, Parameters, StreamId};
use std::{collections::HashMap, fs::File, os::unix::fs::FileExt, path::PathBuf, sync::Arc};
use zeroize::Zeroizing;

/// A chunk that a hold keeps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeldChunk {
    /// Where it stood when it was recorded; from when to when it may be read.
    pub(crate) at: ChunkRef,
    /// Where its entry lies in `held`.
    entry: u64,
    /// Its place among the claims.
    place: usize,
    parameters: u64,
}

/// An open hold.
pub(crate) struct Kept {
    claims: Claims,
    /// None: only its ciphertext is looked at.
    cipher: Option<LessSafeKey>,
    folders: [PathBuf; 2],
    files: Vec<File>,
    chunks: Vec<HeldChunk>,
    /// Entries of codec parameters, by volume and offset.
    parameters: HashMap<(u64, u64), u64>,
}

/// A chunk's record with its head, and the record of its codec parameters.
type Records = (RecordHead, Vec<u8>, Option<Vec<u8>>);

impl Kept {
    /// Opens a hold and reads what its entries say.
    ///
    /// # Errors
    /// [`VaultError::NoSuchHold`]; what the token said that seals its key.
    pub(crate) fn open(
        protection: &Protection,
        vault: [u8; 16],
        key_dirs: &[PathBuf; 2],
        id: &str,
    ) -> Result<Self, VaultError> {
        let mut kept = Self::look(key_dirs, id)?;
        let key = key_of(protection, vault, &kept.folders, id)?;
        kept.cipher = Some(cipher(&*key.ok_or_else(|| VaultError::NoSuchHold(id.to_owned()))?)?);
        Ok(kept)
    }

    /// The same without its key: nothing in it opens.
    fn look(key_dirs: &[PathBuf; 2], id: &str) -> Result<Self, VaultError> {
        let folders = folders(key_dirs, id)?;
        let claims = claims_of(&folders).ok_or_else(|| VaultError::NoSuchHold(id.to_owned()))?;
        let files = folders.iter().filter_map(|folder| File::open(folder.join("held")).ok()).collect();
        let (chunks, parameters) = (Vec::new(), HashMap::new());
        let mut kept = Self { claims, cipher: None, folders, files, chunks, parameters };
        kept.scan();
        Ok(kept)
    }

    /// The ciphertext of every hold of a stream, but one.
    pub(super) fn all(key_dirs: &[PathBuf; 2], stream: StreamId, except: &str) -> Vec<Self> {
        let others = ids(key_dirs).into_iter().filter(|id| id != except);
        let found = others.filter_map(|id| Self::look(key_dirs, &id).ok());
        found.filter(|kept| kept.claims.stream == stream).collect()
    }

    fn scan(&mut self) {
        let places: HashMap<(u64, u64), usize> =
            self.claims.list.iter().enumerate().map(|(n, claim)| ((claim.volume, claim.offset), n)).collect();
        let mut at = HELD_MAGIC.len() as u64;
        while let Some((kind, volume, offset, length, head)) = self.head(at) {
            if kind == 2 {
                self.parameters.insert((volume, offset), at);
            } else if let (Some(place), Some(mut chunk)) =
                (places.get(&(volume, offset)), ChunkRef::of(volume, offset, &head))
            {
                let (from, until) = (self.claims.from, self.claims.until);
                // Pictures outside the hold are nobody's: a chunk that begins before it does not begin with a key frame.
                chunk.starts_with_key &= chunk.from >= from;
                (chunk.from, chunk.until) = (chunk.from.max(from), chunk.until.min(until));
                if chunk.from < chunk.until {
                    let parameters = head.parameters;
                    self.chunks.push(HeldChunk { at: chunk, entry: at, place: *place, parameters });
                }
            }
            at += ENTRY as u64 + length;
        }
        self.chunks.sort_by_key(|chunk| (chunk.at.from, chunk.at.volume, chunk.at.offset));
    }

    /// What stands before an entry's record, and the record's own head, from whichever copy has them.
    fn head(&self, at: u64) -> Option<(u32, u64, u64, u64, RecordHead)> {
        self.files.iter().find_map(|file| {
            let mut bytes = [0; ENTRY + volume::RECORD_HEAD];
            file.read_exact_at(&mut bytes, at).ok()?;
            let record = RecordHead::decode(bytes.get(ENTRY..)?)?;
            let (kind, length) = (u32_at(&bytes, 0), u64_at(&bytes, 24));
            let fits = length >= volume::OVERHEAD as u64
                && length <= u64::from(volume::LONGEST_BODY) + volume::OVERHEAD as u64;
            fits.then(|| (kind, u64_at(&bytes, 8), u64_at(&bytes, 16), length, record))
        })
    }

    /// The record of an entry, from whichever copy proves whole.
    fn record(&self, at: u64) -> Option<Vec<u8>> {
        self.files.iter().find_map(|file| {
            let mut head = [0; ENTRY];
            file.read_exact_at(&mut head, at).ok()?;
            let length = u64_at(&head, 24);
            if length > u64::from(volume::LONGEST_BODY) + volume::OVERHEAD as u64 {
                return None;
            }
            let mut record = vec![0; length as usize];
            file.read_exact_at(&mut record, at + ENTRY as u64).ok()?;
            let (content, leaf) = record.split_at_checked(record.len().checked_sub(volume::LEAF)?)?;
            (*blake3::hash(content).as_bytes() == leaf).then_some(record)
        })
    }

    /// Its chunks, in order of time.
    pub(crate) fn chunks(&self) -> &[HeldChunk] {
        &self.chunks
    }

    /// Those that have something between two instants.
    pub(super) fn within(&self, (from, until): (Micros, Micros)) -> impl Iterator<Item = &HeldChunk> {
        self.chunks.iter().filter(move |chunk| chunk.at.from < until && chunk.at.until > from)
    }

    /// A chunk's key, and its claim without it.
    pub(super) fn claim(&self, chunk: &HeldChunk) -> Option<(Claim, Zeroizing<[u8; 32]>)> {
        let claim = self.claims.list.get(chunk.place)?;
        let mut wrapped = Zeroizing::new(claim.wrapped);
        let place = Aad::from(claim.place());
        let key = self.cipher.as_ref()?.open_in_place(nonce(chunk.place), place, &mut *wrapped).ok()?;
        Some((Claim { wrapped: [0; 48], ..claim.clone() }, Zeroizing::new(take(key, 0))))
    }

    /// A chunk's records as they stood in the volume.
    pub(super) fn records(&self, volume: u64, offset: u64) -> Option<Records> {
        let chunk =
            self.chunks.iter().find(|chunk| (chunk.at.volume, chunk.at.offset) == (volume, offset))?;
        let record = self.record(chunk.entry)?;
        let described = self.parameters.get(&(volume, chunk.parameters)).and_then(|at| self.record(*at));
        Some((RecordHead::decode(&record)?, record, described))
    }

    /// The codec parameters of a chunk.
    pub(crate) fn parameters(&self, chunk: &HeldChunk) -> Option<Parameters> {
        let record = self.record(*self.parameters.get(&(chunk.at.volume, chunk.parameters))?)?;
        volume::decode_parameters(record.get(volume::PREFIX..record.len().checked_sub(volume::LEAF)?)?)
    }

    /// A chunk's pictures inside the hold, or why there are none.
    pub(crate) fn units(
        &self,
        chunk: &HeldChunk,
        parameters: &Arc<Parameters>,
    ) -> Result<Vec<AccessUnit>, GapReason> {
        // Released meanwhile: what this reader has in memory opens nothing either.
        if !self.folders.iter().any(|folder| folder.join("key").exists()) {
            return Err(GapReason::Destroyed);
        }
        let open = || {
            let record = self.record(chunk.entry)?;
            let head = RecordHead::decode(&record)?;
            let (_, key) = self.claim(chunk)?;
            let plain = chunk::open_by(record, head.number, &key)?;
            chunk::parse_plain(&plain, self.claims.stream, head.units, parameters)
        };
        let mut units: Vec<AccessUnit> = open().ok_or(GapReason::Damaged)?;
        let (from, until) = (self.claims.from, self.claims.until);
        units.retain(|unit| unit.captured >= from && unit.captured < until);
        Ok(units)
    }
}
