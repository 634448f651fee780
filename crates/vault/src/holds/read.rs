//! A hold read as it stands, from its first picture to its last: what exports are made of.

use super::{Claim, Claims, ENTRY, HELD_MAGIC, cipher, claims_of, folders, key_of, nonce};
use crate::{
    chunk,
    config::Item,
    error::VaultError,
    protection::Protection,
    volume::{self, Kind, RecordHead, take, u32_at, u64_at},
};
use aws_lc_rs::aead::{Aad, LessSafeKey};
use media::{AccessUnit, GapReason, Micros, Parameters};
use std::{
    collections::{HashMap, VecDeque},
    fs::File,
    os::unix::fs::FileExt,
    path::PathBuf,
    sync::Arc,
};
use zeroize::Zeroizing;

/// What a hold keeps, frame by frame, in order (where the clock had been set back one pass after the other): nothing before its first instant and nothing at or after its end.
pub struct HeldReader {
    claims: Claims,
    cipher: LessSafeKey,
    /// The copies of `held`; the second is asked where the first is damaged.
    files: Vec<File>,
    at: u64,
    next: usize,
    parameters: HashMap<(u64, u64), Arc<Parameters>>,
    ready: VecDeque<Item>,
    /// Up to here something was given or told.
    told: Micros,
    /// Capture time of the picture read last.
    last: Option<Micros>,
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
            told: claims.from,
            claims,
            cipher,
            files,
            at: HELD_MAGIC.len() as u64,
            next: 0,
            parameters: HashMap::new(),
            ready: VecDeque::new(),
            last: None,
            generation: 0,
        })
    }

    /// The next entry of whichever copy proves whole: kind, volume, offset, record. Steps over one that is rotten in both,
    /// if either still says what it was.
    fn entry(&mut self) -> Result<(u32, u64, u64, Vec<u8>), Rotten> {
        let mut rotten = Rotten::default();
        for file in &self.files {
            let mut head = [0; ENTRY];
            if file.read_exact_at(&mut head, self.at).is_err() {
                continue;
            }
            let (kind, volume, offset, length) =
                (u32_at(&head, 0), u64_at(&head, 8), u64_at(&head, 16), u64_at(&head, 24));
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
                return Ok((kind, volume, offset, record));
            }
            let claimed =
                |claim: &Claim| (claim.volume, claim.offset, claim.total) == (volume, offset, length);
            let place = self.claims.list.iter().skip(self.next).position(claimed);
            if kind == 2 || place.is_some() {
                // Whose chunk it was is sure; when it was is in its head, if that is whole.
                let range = RecordHead::decode(&record).map(|head| (head.from, head.until));
                rotten = Rotten {
                    next: Some(self.at + ENTRY as u64 + length),
                    claim: place.map(|place| self.next + place),
                    range: range.filter(|(from, until)| kind == 1 && from < until),
                };
            }
        }
        Err(rotten)
    }

    /// Takes one entry; `Err` is a stretch that is lost.
    fn take(&mut self) -> Result<(), Item> {
        let (kind, volume, offset, record) = match self.entry() {
            Ok(entry) => entry,
            Err(rotten) => return self.step_over(&rotten),
        };
        let damaged = |reader: &Self, head: Option<&RecordHead>| {
            reader.damaged(head.map(|head| (head.from, head.until)))
        };
        let Some(head) = RecordHead::decode(&record) else { return Err(damaged(self, None)) };
        if kind == 2 {
            // What cannot be understood here costs the chunks that it describes, and those are told.
            self.learn((volume, offset), &record);
            return Ok(());
        }
        let mut waiting = self.claims.list.iter().skip(self.next);
        let Some(place) = waiting.position(|claim| (claim.volume, claim.offset) == (volume, offset)) else {
            return Err(damaged(self, Some(&head)));
        };
        let place = self.next + place;
        self.next = place + 1;
        let Some(mut units) = self.units(place, &head, record) else {
            return Err(damaged(self, Some(&head)));
        };
        let (from, until) = (self.claims.from, self.claims.until);
        if let Some(first) = units.first_mut() {
            // Another pass over the same time: the clock had been set back.
            first.discontinuity |= first.captured < self.last.unwrap_or(first.captured);
        }
        self.last = units.last().map(|unit| unit.captured);
        self.told = head.until.min(until);
        self.ready.extend(
            units.into_iter().filter(|unit| unit.captured >= from && unit.captured < until).map(Item::Unit),
        );
        Ok(())
    }

    fn step_over(&mut self, rotten: &Rotten) -> Result<(), Item> {
        let Some(next) = rotten.next else {
            // Neither copy says where the rest begins.
            self.next = self.claims.list.len();
            return Err(Item::Gap { from: self.told, until: self.claims.until, reason: GapReason::Damaged });
        };
        self.at = next;
        let Some(claim) = rotten.claim else { return Ok(()) };
        self.next = claim + 1;
        Err(self.damaged(rotten.range))
    }

    /// A stretch inside the hold that did not open.
    fn damaged(&self, range: Option<(Micros, Micros)>) -> Item {
        let (first, last) = (self.claims.from, self.claims.until);
        let (from, until) = range.unwrap_or((self.told, self.told));
        Item::Gap {
            from: from.clamp(first, last),
            until: until.clamp(first, last),
            reason: GapReason::Damaged,
        }
    }

    fn learn(&mut self, at: (u64, u64), record: &[u8]) {
        let body = record.len().checked_sub(volume::LEAF).and_then(|end| record.get(volume::PREFIX..end));
        let Some(mut parameters) = body.and_then(volume::decode_parameters) else { return };
        // Generations count within a run; here each set of parameters is the next one.
        let known = self.parameters.values().find(|known| known.record == parameters.record);
        let shared = if let Some(known) = known {
            Arc::clone(known)
        } else {
            self.generation += 1;
            parameters.generation = self.generation;
            Arc::new(parameters)
        };
        self.parameters.insert(at, shared);
    }

    fn units(&self, place: usize, head: &RecordHead, record: Vec<u8>) -> Option<Vec<AccessUnit>> {
        let claim = self.claims.list.get(place).filter(|_| matches!(head.kind, Kind::Chunk { .. }))?;
        let mut wrapped = Zeroizing::new(claim.wrapped);
        let key = self.cipher.open_in_place(nonce(place), Aad::from(claim.place()), &mut *wrapped).ok()?;
        let plain = chunk::open_by(record, head.number, &take(key, 0))?;
        let parameters = self.parameters.get(&(claim.volume, head.parameters))?;
        chunk::parse_plain(&plain, self.claims.stream, head.units, parameters)
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
            if let Err(lost) = self.take() {
                if let Item::Gap { until, .. } = &lost {
                    self.told = *until;
                }
                return Some(lost);
            }
        }
    }
}

/// An entry that neither copy proves.
#[derive(Default)]
struct Rotten {
    /// Where the next entry begins; none when that is lost too.
    next: Option<u64>,
    /// Which claim it was for; none: codec parameters.
    claim: Option<usize>,
    /// From when to when it was.
    range: Option<(Micros, Micros)>,
}
