//! The key store: one random key per stream and hour, in a slot that is overwritten in place when its time has come.
//!
//! Two files named `slots` in two folders (on two devices, in no backup), 0600. Nothing else bears a key, and none is
//! derived from a master: what can be derived cannot be destroyed.
//!
//! Head, 64 bytes: `RTRKEYS1` (8), format version (u32, 2; version 1 had bare slots only and is taken over), 0 (u32), identity
//! of the vault (16), identity of the key store (16, random; the same in both copies), how often it was opened (u64), what a
//! credential is known by (8; 0: none sealed it). The copy that was opened less often was away meanwhile and is made equal to
//! the other, never believed. Then slots of 64 bytes ([`crate::slot`]).
//!
//! A key is used only after both copies are synced, and destroyed in both. So a slot that is in use in one copy and
//! free in the other was either never used or is being destroyed: it is destroyed at the next start. A slot that is
//! damaged in one copy is mended from the other, and a copy that is missing altogether is made anew. Where both are missing
//! the vault says so and makes a new key store: what was recorded before opens no more, what comes is recorded. Should a copy
//! of the old one turn up again, its identity differs and the vault refuses to start with a mixture.
//!
//! Slots may be sealed ([`crate::protection`]). Bare ones are sealed in place when a protection is first configured. What
//! is sealed by something that is not there opens no more until it is, dies on time all the same, and nothing else depends
//! on it.

use crate::{
    error::{At, VaultError},
    protection::{Protection, Seal},
    slot::{FREE, Place, SLOT, Slot},
    volume::{take, u64_at, version_of},
};
use media::StreamId;
use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet, HashMap},
    fs::{self, File, OpenOptions},
    ops::Range,
    os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};
use zeroize::Zeroizing;

const MAGIC: [u8; 8] = *b"RTRKEYS1";
const VERSION: u32 = 2;
/// The versions whose slots this program understands.
const OLDEST: u32 = 1;
/// Files grow by this many slots, so that most new keys change no file size.
const GROWTH: u64 = 1024;
/// Opened keys that are kept in memory, so that a token is not asked for each chunk that is read.
const OPENED: usize = 4096;

/// Microseconds in an hour.
pub(crate) const HOUR: i64 = 3_600_000_000;

/// A key and the slot id that chunks name it by.
pub(crate) struct SlotKey {
    pub(crate) id: u64,
    pub(crate) key: Zeroizing<[u8; 32]>,
}

/// A key in use: what it is, and where.
type Entry = (Place, u64);

/// The open key store. Callers hold it under one mutex: that orders use against destruction.
pub(crate) struct KeyStore {
    vault: [u8; 16],
    protection: Protection,
    copies: [(File, PathBuf); 2],
    /// In use: (stream, hour) → keys, oldest first.
    live: BTreeMap<(u32, u32), Vec<Entry>>,
    free: BTreeSet<u64>,
    slots: u64,
    /// Names of the keys whose destruction failed in a copy, by id: nothing opens with them any more.
    dying: HashMap<u64, String>,
    /// Sealed keys that were opened, by id.
    opened: HashMap<u64, Zeroizing<[u8; 32]>>,
    /// Retention class and hour of each key in the token, and how many slots it seals; with none left it is to be destroyed.
    in_token: BTreeMap<(u32, u32), u64>,
    at_opening: AtOpening,
    syncs: AtomicU64,
}

/// What was found when the store was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct AtOpening {
    /// Keys were lost: both copies were gone.
    pub(crate) lost: bool,
    /// In how many slots the copies differed.
    pub(crate) mended: u64,
    /// How many keys are sealed by something that is not there.
    pub(crate) sealed_away: u64,
}

/// What stands in the head of a copy beside what every copy has.
struct Head {
    store: [u8; 16],
    opened: u64,
    credential: [u8; 8],
}

impl Head {
    fn of(bytes: &[u8]) -> Option<Self> {
        (!bytes.is_empty()).then(|| Self {
            store: take(bytes, 32),
            opened: u64_at(bytes, 48),
            credential: take(bytes, 56),
        })
    }
}

impl KeyStore {
    /// Opens both copies. `fresh` says that the vault has never had footage, so that missing keys are no loss.
    pub(crate) fn open(
        dirs: &[PathBuf; 2],
        vault: [u8; 16],
        fresh: bool,
        protection: Protection,
    ) -> Result<Self, VaultError> {
        let [first, second] = dirs;
        let mut made = [0; 16];
        aws_lc_rs::rand::fill(&mut made).map_err(|_| VaultError::Random)?;
        let (a, a_bytes) = open_copy(first, vault)?;
        let (b, b_bytes) = open_copy(second, vault)?;
        let (a_head, b_head) = (Head::of(&a_bytes), Head::of(&b_bytes));
        let lost = !fresh && a_head.is_none() && b_head.is_none();
        if lost {
            tracing::error!(
                first = %first.display(), second = %second.display(),
                "THE KEYS ARE GONE in both places: older footage opens no more. Is a disk not mounted? New footage gets new keys"
            );
        }
        if let (Some(a), Some(b)) = (&a_head, &b_head)
            && a.store != b.store
        {
            return Err(VaultError::KeyStoresDiffer { first: first.clone(), second: second.clone() });
        }
        let opened = |head: &Option<Head>| head.as_ref().map_or(0, |head| head.opened);
        let (a_opened, b_opened) = (opened(&a_head), opened(&b_head));
        let credential =
            [&a_head, &b_head].into_iter().flatten().map(|head| head.credential).max().unwrap_or_default();
        let store_id = a_head.or(b_head).map_or(made, |head| head.store);
        let slots = (a_bytes.len().max(b_bytes.len()).saturating_sub(SLOT) / SLOT) as u64;
        let mut store = Self {
            vault,
            protection,
            copies: [a, b],
            live: BTreeMap::new(),
            free: BTreeSet::new(),
            slots,
            dying: HashMap::new(),
            opened: HashMap::new(),
            in_token: BTreeMap::new(),
            at_opening: AtOpening { lost, ..AtOpening::default() },
            syncs: AtomicU64::new(0),
        };
        for ((file, path), bytes) in store.copies.iter().zip([&a_bytes, &b_bytes]) {
            // A copy that was just made, or whose growth a crash cut short, gets the length of the other.
            let has = bytes.len().max(SLOT);
            let lacks = (position(slots) as usize).saturating_sub(has);
            file.write_all_at(&vec![0; lacks], has as u64).at(path)?;
        }
        let mut mended = 0;
        for number in 0..slots {
            let at = (number as usize + 1) * SLOT;
            let (a, b) = (take::<SLOT>(&a_bytes, at), take::<SLOT>(&b_bytes, at));
            let whole = |slot: &[u8; SLOT]| matches!(Slot::parse(slot), Slot::Live(_));
            let kept = match a_opened.cmp(&b_opened) {
                Ordering::Greater if whole(&a) => a,
                Ordering::Less if whole(&b) => b,
                Ordering::Equal => match (Slot::parse(&a), Slot::parse(&b)) {
                    (Slot::Live(_), Slot::Live(_) | Slot::Damaged) => a,
                    (Slot::Damaged, Slot::Live(_)) => b,
                    _ => FREE,
                },
                _ => FREE,
            };
            let kept = Zeroizing::new(kept);
            for (copy, bytes) in [(0, &a), (1, &b)] {
                if *bytes != *kept {
                    mended += 1;
                    store.write_slot(copy, number, &kept)?;
                }
            }
            match Slot::parse(&kept) {
                Slot::Live(place) => store.put(place, number),
                _ => drop(store.free.insert(number)),
            }
        }
        drop((Zeroizing::new(a_bytes), Zeroizing::new(b_bytes)));
        if mended > 0 {
            tracing::warn!(
                slots = mended,
                "the two copies of the key store differed and were brought into line"
            );
        }
        store.at_opening.mended = mended;
        let credential = store.known_credential(credential)?;
        store.seal_what_is_bare()?;
        for (file, path) in &store.copies {
            file.write_all_at(&VERSION.to_le_bytes(), 8).at(path)?;
            file.write_all_at(&store_id, 32).at(path)?;
            file.write_all_at(&(a_opened.max(b_opened) + 1).to_le_bytes(), 48).at(path)?;
            file.write_all_at(&credential, 56).at(path)?;
        }
        store.sync()?;
        store.look_at_token()?;
        Ok(store)
    }

    /// What was found when it was opened.
    pub(crate) fn at_opening(&self) -> AtOpening {
        self.at_opening
    }

    /// Syncs since it was opened.
    pub(crate) fn syncs(&self) -> u64 {
        self.syncs.load(Relaxed)
    }

    fn put(&mut self, place: Place, number: u64) {
        if place.seal == Seal::Token {
            *self.in_token.entry((place.class, place.hour)).or_default() += 1;
        }
        self.live.entry((place.stream, place.hour)).or_default().push((place, number));
    }

    fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.live.values().flatten()
    }

    /// What the heads shall know the credential by. Refuses another one than the keys were sealed by.
    fn known_credential(&self, stored: [u8; 8]) -> Result<[u8; 8], VaultError> {
        let Protection::Credential(credential) = &self.protection else { return Ok(stored) };
        let given = credential.check();
        let in_use = self.entries().any(|(place, _)| place.seal == Seal::Credential);
        if in_use && stored != given {
            let [(_, first), _] = &self.copies;
            return Err(VaultError::AnotherCredential(first.clone()));
        }
        Ok(given)
    }

    /// Seals keys that stand bare from before a protection was configured: over the bare ones, copy by copy. A crash in
    /// between leaves one copy sealed and the other bare, the same key in both, and the next start goes on.
    fn seal_what_is_bare(&mut self) -> Result<(), VaultError> {
        let seal = self.protection.seal_kind();
        let bare = |(place, _): &&Entry| place.seal == Seal::Bare && seal != Seal::Bare;
        let bare: Vec<Entry> = self.entries().filter(bare).copied().collect();
        for (place, number) in &bare {
            let Some(key) = self.read(place, *number)? else { continue };
            let sealed = Place { seal, ..*place };
            let slot = sealed.encode(self.vault, &self.protection, &key)?;
            self.write_slot(0, *number, &slot)?;
            self.write_slot(1, *number, &slot)?;
            if let Some(keys) = self.live.get_mut(&(place.stream, place.hour)) {
                keys.retain(|(other, _)| other.id != place.id);
            }
            self.put(sealed, *number);
        }
        if !bare.is_empty() {
            self.sync()?;
            tracing::info!(keys = bare.len(), "keys that stood bare in the key store are sealed now");
        }
        Ok(())
    }

    /// Which keys cannot be opened now, and which keys in the token seal nothing any more.
    fn look_at_token(&mut self) -> Result<(), VaultError> {
        let there: BTreeSet<_> = self.protection.hours_in_token(self.vault)?.into_iter().collect();
        let away = |place: &Place| match (place.seal, &self.protection) {
            (Seal::Bare, _) | (Seal::Credential, Protection::Credential(_)) => false,
            (Seal::Token, Protection::Token(_)) => !there.contains(&(place.class, place.hour)),
            _ => true,
        };
        self.at_opening.sealed_away = self.entries().filter(|(place, _)| away(place)).count() as u64;
        if self.at_opening.sealed_away > 0 {
            tracing::error!(
                keys = self.at_opening.sealed_away,
                protection = ?self.protection,
                "KEYS ARE SEALED by a credential or token that is not configured or not this one: their footage opens no more \
                 until it is. New footage gets new keys, and what is due is destroyed all the same"
            );
        }
        // Where both copies were gone they may come back: what seals them must not be destroyed for that.
        if !self.at_opening.lost {
            for place in there {
                self.in_token.entry(place).or_default();
            }
            self.sweep_token();
        }
        Ok(())
    }

    /// Destroys the keys in the token that seal nothing any more. What fails is tried again.
    fn sweep_token(&mut self) {
        let idle: Vec<_> =
            self.in_token.iter().filter(|(_, slots)| **slots == 0).map(|(place, _)| *place).collect();
        for (class, hour) in idle {
            let of_hour = Place { seal: Seal::Token, class, stream: 0, hour, id: 0 };
            match self.protection.destroy(self.vault, of_hour.purpose()) {
                Ok(()) => drop(self.in_token.remove(&(class, hour))),
                Err(error) => {
                    tracing::error!(%error, "a key in the token that seals nothing any more could not be destroyed; it is tried again");
                    return;
                }
            }
        }
    }

    /// In how many slots the copies differ now; more than none is an alarm.
    pub(crate) fn differing(&self) -> Result<u64, VaultError> {
        let [a, b] = self.copies.each_ref().map(|(_, path)| fs::read(path).at(path));
        let (a, b) = (Zeroizing::new(a?), Zeroizing::new(b?));
        let differ = a.chunks(SLOT).zip(b.chunks(SLOT)).skip(1).filter(|(a, b)| a != b).count() as u64;
        Ok(differ + u64::from(a.len() != b.len()))
    }

    /// The streams that have keys.
    pub(crate) fn streams(&self) -> BTreeSet<u32> {
        self.live.keys().map(|(stream, _)| *stream).collect()
    }

    /// The hours for which a stream has a key, oldest first.
    pub(crate) fn hours(&self, stream: StreamId) -> Vec<u32> {
        self.live.range((stream.0, 0)..=(stream.0, u32::MAX)).map(|((_, hour), _)| *hour).collect()
    }

    /// The shortest retention class (days) of a stream's keys of an hour.
    pub(crate) fn class(&self, stream: StreamId, hour: u32) -> Option<u32> {
        self.live.get(&(stream.0, hour))?.iter().map(|(place, _)| place.class).min()
    }

    /// The keys of a stream for these hours: hour, id, and the commitment where the key opens.
    pub(crate) fn names(
        &mut self,
        stream: StreamId,
        hours: Range<u32>,
    ) -> Vec<(u32, u64, Option<blake3::Hash>)> {
        let named: Vec<_> = self.of(stream, hours).map(|(place, _)| *place).collect();
        named
            .into_iter()
            .map(|place| {
                let key = self.key(stream, place.hour, place.id).ok().flatten();
                (place.hour, place.id, key.map(|key| commitment(&key.key)))
            })
            .collect()
    }

    fn of(&self, stream: StreamId, hours: Range<u32>) -> impl Iterator<Item = &Entry> {
        self.live
            .range((stream.0, hours.start)..(stream.0, hours.end.max(hours.start)))
            .flat_map(|(_, keys)| keys)
    }

    /// The keys of these streams and hours, made where there are none that open, sealed for their retention class; both
    /// copies are synced before it returns.
    ///
    /// # Errors
    /// Why some could not be made; the others are there all the same.
    pub(crate) fn ensure(&mut self, wanted: &BTreeMap<(u32, u32), u32>) -> Result<(), VaultError> {
        let mut new = Vec::new();
        for ((stream, hour), class) in wanted {
            // One whose seal is away since a restart inside its hour seals nothing more: it gets a successor.
            match self.current(StreamId(*stream), *hour) {
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => new.push(((*stream, *hour), *class)),
            }
        }
        if new.is_empty() {
            return Ok(());
        }
        let (mut made, mut unsealed) = (Vec::new(), Ok(()));
        if let Err(error) = self.make(&new, &mut made, &mut unsealed) {
            // Written or not, nobody used them: the next overwrites them.
            self.free.extend(made.into_iter().map(|(_, number)| number));
            return Err(error);
        }
        for (place, number) in made {
            self.put(place, number);
        }
        unsealed
    }

    /// Makes these keys; what cannot be sealed is left out, and `unsealed` says why.
    fn make(
        &mut self,
        new: &[((u32, u32), u32)],
        made: &mut Vec<Entry>,
        unsealed: &mut Result<(), VaultError>,
    ) -> Result<(), VaultError> {
        for ((stream, hour), class) in new {
            let mut random = Zeroizing::new([0; 40]);
            aws_lc_rs::rand::fill(&mut *random).map_err(|_| VaultError::Random)?;
            let place = Place {
                seal: self.protection.seal_kind(),
                class: class & 0xff_ffff,
                stream: *stream,
                hour: *hour,
                id: u64_at(&*random, 32),
            };
            let slot = match place.encode(self.vault, &self.protection, &Zeroizing::new(take(&*random, 0))) {
                Ok(slot) => slot,
                Err(error) => {
                    *unsealed = Err(error);
                    continue;
                }
            };
            let number = self.free_slot()?;
            made.push((place, number));
            self.write_slot(0, number, &slot)?;
            self.write_slot(1, number, &slot)?;
        }
        self.sync()
    }

    /// The key to write with: one that opens, where the hour has several. None when it was never made or is destroyed.
    ///
    /// # Errors
    /// [`VaultError::Sealed`] when none of them opens.
    pub(crate) fn current(&mut self, stream: StreamId, hour: u32) -> Result<Option<SlotKey>, VaultError> {
        let known = self.live.get(&(stream.0, hour)).into_iter().flatten();
        let ids: Vec<u64> = known.map(|(place, _)| place.id).rev().collect();
        let mut found = Ok(None);
        for id in ids {
            match self.key(stream, hour, id) {
                Ok(Some(key)) => return Ok(Some(key)),
                Ok(None) => {}
                Err(error) => found = Err(error),
            }
        }
        found
    }

    /// The key that a chunk names; none when it is destroyed.
    ///
    /// # Errors
    /// [`VaultError::Sealed`] when it lives but what seals it is not there.
    pub(crate) fn key(
        &mut self,
        stream: StreamId,
        hour: u32,
        id: u64,
    ) -> Result<Option<SlotKey>, VaultError> {
        let found =
            self.live.get(&(stream.0, hour)).and_then(|keys| keys.iter().find(|(place, _)| place.id == id));
        let Some((place, number)) = found.copied().filter(|_| !self.dying.contains_key(&id)) else {
            return Ok(None);
        };
        if let Some(key) = self.opened.get(&id) {
            return Ok(Some(SlotKey { id, key: key.clone() }));
        }
        let Some(key) = self.read(&place, number)? else { return Ok(None) };
        if place.seal != Seal::Bare {
            if self.opened.len() >= OPENED {
                self.opened.clear();
            }
            self.opened.insert(id, key.clone());
        }
        Ok(Some(SlotKey { id, key }))
    }

    /// Reads a key from whichever copy has it whole.
    fn read(&self, place: &Place, number: u64) -> Result<Option<Zeroizing<[u8; 32]>>, VaultError> {
        for (file, _) in &self.copies {
            let mut slot = Zeroizing::new(FREE);
            if file.read_exact_at(&mut *slot, position(number)).is_ok()
                && Slot::parse(&slot) == Slot::Live(*place)
            {
                return place.open(self.vault, &self.protection, &slot).map(Some);
            }
        }
        Ok(None)
    }

    /// Overwrites every slot of the stream for these hours (end exclusive), in both copies, and syncs; destroys keys in the
    /// token that then seal nothing. Gives the hours and the commitments of the keys (BLAKE3 in derive-key mode, context
    /// `RTR vault slot key commitment v1`), or `id …` for one that could not be opened: destroying waits for no token.
    ///
    /// # Errors
    /// What the disk of a copy said. These keys are then gone from memory and from the other copy, and nothing opens with
    /// them; asking again overwrites what is left and gives what both times destroyed.
    pub(crate) fn destroy(
        &mut self,
        stream: StreamId,
        hours: Range<u32>,
    ) -> Result<Vec<(u32, String)>, VaultError> {
        let due: Vec<Entry> = self.of(stream, hours).copied().collect();
        if due.is_empty() {
            self.sweep_token();
            return Ok(Vec::new());
        }
        for (place, _) in &due {
            if !self.dying.contains_key(&place.id) {
                let key = self.key(stream, place.hour, place.id).ok().flatten();
                let commitment = key.map(|key| commitment(&key.key).to_hex().to_string());
                let name = commitment.unwrap_or_else(|| format!("id {:016x}", place.id));
                self.dying.insert(place.id, name);
                self.opened.remove(&place.id);
            }
        }
        // Copy by copy, each synced: at no instant may a key survive in a copy that a later start would trust. A copy that
        // fails keeps nothing alive in the other.
        let overwritten = [0, 1].map(|copy| self.overwrite(copy, &due));
        overwritten.into_iter().collect::<Result<(), _>>()?;
        let mut gone = Vec::new();
        for (place, number) in due {
            gone.extend(self.dying.remove(&place.id).map(|name| (place.hour, name)));
            self.live.remove(&(stream.0, place.hour));
            self.free.insert(number);
            if place.seal == Seal::Token
                && let Some(slots) = self.in_token.get_mut(&(place.class, place.hour))
            {
                *slots = slots.saturating_sub(1);
            }
        }
        self.sweep_token();
        Ok(gone)
    }

    /// Overwrites these slots in one copy and syncs it: every one that can be, whatever the others do.
    fn overwrite(&self, copy: usize, due: &[Entry]) -> Result<(), VaultError> {
        let written = due.iter().map(|(_, number)| self.write_slot(copy, *number, &FREE));
        let written = written.fold(Ok(()), Result::and);
        let synced = self.sync_copy(copy);
        written.and(synced)
    }

    fn free_slot(&mut self) -> Result<u64, VaultError> {
        if let Some(number) = self.free.pop_first() {
            return Ok(number);
        }
        let first = self.slots;
        for (file, path) in &self.copies {
            // Written, not only set as a length: a key must never fail for want of disk in the middle of an hour.
            let room = vec![0; GROWTH as usize * SLOT];
            #[cfg(test)]
            crate::powercut::Act::Write(path, position(first), &room).happens()?;
            file.write_all_at(&room, position(first)).at(path)?;
        }
        self.slots += GROWTH;
        self.free.extend(first + 1..self.slots);
        Ok(first)
    }

    fn write_slot(&self, copy: usize, number: u64, slot: &[u8; SLOT]) -> Result<(), VaultError> {
        let Some((file, path)) = self.copies.get(copy) else { return Ok(()) };
        #[cfg(test)]
        crate::powercut::Act::Write(path, position(number), slot).happens()?;
        file.write_all_at(slot, position(number)).at(path)
    }

    fn sync(&self) -> Result<(), VaultError> {
        [0, 1].into_iter().try_for_each(|copy| self.sync_copy(copy))
    }

    fn sync_copy(&self, copy: usize) -> Result<(), VaultError> {
        let Some((file, path)) = self.copies.get(copy) else { return Ok(()) };
        self.syncs.fetch_add(1, Relaxed);
        #[cfg(test)]
        crate::powercut::Act::Sync(path).happens()?;
        rustix::fs::fdatasync(file).at(path)
    }
}

/// What says which key it was without giving it away.
pub(crate) fn commitment(key: &[u8; 32]) -> blake3::Hash {
    blake3::Hash::from_bytes(blake3::derive_key("RTR vault slot key commitment v1", key))
}

fn position(number: u64) -> u64 {
    (number + 1) * SLOT as u64
}

/// Opens one copy, made when missing, and gives its bytes as they were (none when it was just made).
fn open_copy(dir: &Path, vault: [u8; 16]) -> Result<((File, PathBuf), Vec<u8>), VaultError> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).at(dir)?;
    let path = dir.join("slots");
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error).at(&path),
    };
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .at(&path)?;
    if bytes.is_empty() {
        let mut head = [0; SLOT];
        head[..8].copy_from_slice(&MAGIC);
        head[8..12].copy_from_slice(&VERSION.to_le_bytes());
        head[16..32].copy_from_slice(&vault);
        file.write_all_at(&head, 0).at(&path)?;
        file.sync_all().at(&path)?;
        File::open(dir).and_then(|dir| dir.sync_all()).at(dir)?;
        return Ok(((file, path), bytes));
    }
    version_of(&bytes, MAGIC, OLDEST..=VERSION, &path, "a key store")?;
    if take::<16>(&bytes, 16) != vault {
        return Err(VaultError::AnotherVault { path });
    }
    Ok(((file, path), bytes))
}

/// The hour of an instant, as slots count it; instants before 1970 fall in hour 0.
pub(crate) fn hour_of(instant: media::Micros) -> u32 {
    u32::try_from(instant.0.div_euclid(HOUR).max(0)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
