//! A hold read as it stands, from its first picture to its last: what exports are made of.

use super::{Claims, ENTRY, HELD_MAGIC, cipher, claims_of, folders, key_of, nonce};
use crate::{
    chunk,
    config::Item,
    error::VaultError,
    protection::Protection,
    volume::{self, Kind, RecordHead, take, u32_at, u64_at},
};
use aws_lc_rs::aead::{Aad, LessSafeKey};
use media::{GapReason, Parameters};
use std::{
    collections::{HashMap, VecDeque},
    fs::File,
    os::unix::fs::FileExt,
    path::PathBuf,
    sync::Arc,
};
use zeroize::Zeroizing;

/// What a hold keeps, frame by frame, in order: nothing before its first instant and nothing at or after its end.
pub struct HeldReader {
    claims: Claims,
    cipher: LessSafeKey,
    /// The copies of `held`; the second is asked where the first is damaged.
    files: Vec<File>,
    at: u64,
    next: usize,
    parameters: HashMap<(u64, u64), Arc<Parameters>>,
    ready: VecDeque<Item>,
    generation: u16,
}

impl HeldReader {
    pub(crate) fn open(
        protection: &Protection,
        vault: [u8; 16],
        key_dirs: &[PathBuf; 2],
        id: &str,
    ) -> Result<Self, VaultError> {
        let folders = folders(key_dirs, id)?;
        let missing = || VaultError::NoSuchHold(id.to_owned());
        let claims = claims_of(&folders).ok_or_else(missing)?;
        let cipher = cipher(&*key_of(protection, vault, &folders, id)?.ok_or_else(missing)?)?;
        let files = folders.iter().filter_map(|folder| File::open(folder.join("held")).ok()).collect();
        Ok(Self {
            claims,
            cipher,
            files,
            at: HELD_MAGIC.len() as u64,
            next: 0,
            parameters: HashMap::new(),
            ready: VecDeque::new(),
            generation: 0,
        })
    }

    /// The next entry of whichever copy proves whole: kind, volume, offset, record.
    fn entry(&mut self) -> Option<(u32, u64, u64, Vec<u8>)> {
        for file in &self.files {
            let mut head = [0; ENTRY];
            if file.read_exact_at(&mut head, self.at).is_err() {
                continue;
            }
            let length = u64_at(&head, 24);
            if length > u64::from(volume::LONGEST_BODY) + volume::OVERHEAD as u64 {
                continue;
            }
            let mut record = vec![0; length as usize];
            if file.read_exact_at(&mut record, self.at + ENTRY as u64).is_err() {
                continue;
            }
            let content = record.len().checked_sub(volume::LEAF).and_then(|end| record.split_at_checked(end));
            if content.is_some_and(|(content, leaf)| *blake3::hash(content).as_bytes() == leaf) {
                self.at += ENTRY as u64 + length;
                return Some((u32_at(&head, 0), u64_at(&head, 8), u64_at(&head, 16), record));
            }
        }
        None
    }

    fn take(&mut self) -> Option<()> {
        let (kind, volume, offset, record) = self.entry()?;
        let head = RecordHead::decode(&record)?;
        if kind == 2 {
            let end = record.len().checked_sub(volume::LEAF)?;
            let mut parameters = volume::decode_parameters(record.get(volume::PREFIX..end)?)?;
            // Generations count within a run; here each set of parameters is the next one.
            let known = self.parameters.values().find(|known| known.record == parameters.record);
            let shared = if let Some(known) = known {
                Arc::clone(known)
            } else {
                self.generation += 1;
                parameters.generation = self.generation;
                Arc::new(parameters)
            };
            self.parameters.insert((volume, offset), shared);
            return Some(());
        }
        let place =
            self.claims.list.iter().skip(self.next).position(|c| (c.volume, c.offset) == (volume, offset))?;
        let place = self.next + place;
        let claim = self.claims.list.get(place)?;
        self.next = place + 1;
        let mut wrapped = Zeroizing::new(claim.wrapped);
        let key = self.cipher.open_in_place(nonce(place), Aad::from(claim.place()), &mut *wrapped).ok()?;
        let plain = chunk::open_by(record, head.number, &take(key, 0))?;
        let parameters = self.parameters.get(&(volume, head.parameters))?;
        let (from, until) = (self.claims.from, self.claims.until);
        let units = chunk::parse_plain(&plain, self.claims.stream, head.units, parameters)?;
        self.ready.extend(
            units.into_iter().filter(|unit| unit.captured >= from && unit.captured < until).map(Item::Unit),
        );
        matches!(head.kind, Kind::Chunk { .. }).then_some(())
    }
}

impl Iterator for HeldReader {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        loop {
            if let Some(item) = self.ready.pop_front() {
                return Some(item);
            }
            if self.next >= self.claims.list.len() {
                return None;
            }
            if self.take().is_none() {
                // Neither copy gives the rest.
                let until = self.claims.until;
                self.next = self.claims.list.len();
                return Some(Item::Gap { from: until, until, reason: GapReason::Damaged });
            }
        }
    }
}
