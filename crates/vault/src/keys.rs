//! The key store: one random key per stream and hour, in a slot that is overwritten in place when its time has come.
//!
//! Two files named `slots` in two folders (on two devices, in no backup), 0600. Nothing else bears a key, and none is
//! derived from a master: what can be derived cannot be destroyed.
//!
//! Head, 64 bytes: `RTRKEYS1` (8), format version (u32, 1), 0 (u32), identity of the vault (16), identity of the key store
//! (16, random; the same in both copies), how often it was opened (u64), 0 (8). The copy that was opened less often was away
//! meanwhile and is made equal to the other, never believed.
//! Then slots of 64 bytes, so that none crosses a sector, little-endian:
//!
//! | bytes | what |
//! | --- | --- |
//! | 0 | 1: in use. A free or destroyed slot is 64 zero bytes |
//! | 1..4 | 0 |
//! | 4..8 | stream |
//! | 8..12 | hour: hours since 1970 UTC |
//! | 12..16 | 0 |
//! | 16..24 | id of the key, random |
//! | 24..56 | the key |
//! | 56..64 | first 8 bytes of BLAKE3 of bytes 0..56 |
//!
//! A key is used only after both copies are synced, and destroyed in both. So a slot that is in use in one copy and
//! free in the other was either never used or is being destroyed: it is destroyed at the next start. A slot that is
//! damaged in one copy is mended from the other, and a copy that is missing altogether is made anew. Where both are missing
//! the vault says so and makes a new key store: what was recorded before opens no more, what comes is recorded. Should a copy
//! of the old one turn up again, its identity differs and the vault refuses to start with a mixture.

use crate::{
    error::{At, VaultError},
    volume::{take, u32_at, u64_at},
};
use media::StreamId;
use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
    fs::{self, File, OpenOptions},
    ops::Range,
    os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
};
use zeroize::Zeroizing;

const MAGIC: [u8; 8] = *b"RTRKEYS1";
const VERSION: u32 = 1;
const SLOT: usize = 64;
/// Files grow by this many slots, so that most new keys change no file size.
const GROWTH: u64 = 1024;
const FREE: [u8; SLOT] = [0; SLOT];

/// Microseconds in an hour.
pub(crate) const HOUR: i64 = 3_600_000_000;

/// A key and the slot id that chunks name it by.
pub(crate) struct SlotKey {
    pub(crate) id: u64,
    pub(crate) key: Zeroizing<[u8; 32]>,
}

/// The open key store. Callers hold it under one mutex: that orders use against destruction.
pub(crate) struct KeyStore {
    copies: [(File, PathBuf); 2],
    /// In use: (stream, hour) → (id, slot number).
    live: BTreeMap<(u32, u32), Vec<(u64, u64)>>,
    free: BTreeSet<u64>,
    slots: u64,
    lost: bool,
    mended: u64,
}

/// What stands in the head of a copy beside what every copy has.
struct Head {
    store: [u8; 16],
    opened: u64,
}

impl Head {
    fn of(bytes: &[u8]) -> Option<Self> {
        (!bytes.is_empty()).then(|| Self { store: take(bytes, 32), opened: u64_at(bytes, 48) })
    }
}

impl KeyStore {
    /// Opens both copies. `fresh` says that the vault has never had footage, so that missing keys are no loss.
    pub(crate) fn open(dirs: &[PathBuf; 2], vault: [u8; 16], fresh: bool) -> Result<Self, VaultError> {
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
        let store_id = a_head.or(b_head).map_or(made, |head| head.store);
        let slots = (a_bytes.len().max(b_bytes.len()).saturating_sub(SLOT) / SLOT) as u64;
        let mut store =
            Self { copies: [a, b], live: BTreeMap::new(), free: BTreeSet::new(), slots, lost, mended: 0 };
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
            let whole = |slot: &[u8; SLOT]| matches!(parse(slot), Slot::Live(..));
            let kept = match a_opened.cmp(&b_opened) {
                Ordering::Greater if whole(&a) => a,
                Ordering::Less if whole(&b) => b,
                Ordering::Equal => match (parse(&a), parse(&b)) {
                    (Slot::Live(..), Slot::Live(..) | Slot::Damaged) => a,
                    (Slot::Damaged, Slot::Live(..)) => b,
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
            match parse(&kept) {
                Slot::Live(stream, hour, id) => {
                    store.live.entry((stream, hour)).or_default().push((id, number));
                }
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
        store.mended = mended;
        for (file, path) in &store.copies {
            file.write_all_at(&store_id, 32).at(path)?;
            file.write_all_at(&(a_opened.max(b_opened) + 1).to_le_bytes(), 48).at(path)?;
        }
        store.sync()?;
        Ok(store)
    }

    /// Whether keys were lost, and in how many slots the copies differed, when it was opened.
    pub(crate) fn at_opening(&self) -> (bool, u64) {
        (self.lost, self.mended)
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

    /// The keys of a stream for these hours: hour, id, commitment. Reads each slot.
    pub(crate) fn names(&self, stream: StreamId, hours: Range<u32>) -> Vec<(u32, u64, blake3::Hash)> {
        let live = self.live.range((stream.0, hours.start)..(stream.0, hours.end.max(hours.start)));
        live.flat_map(|((_, hour), keys)| keys.iter().map(|(id, _)| (*hour, *id)))
            .filter_map(|(hour, id)| Some((hour, id, commitment(&self.key(stream, hour, id)?.key))))
            .collect()
    }

    /// The keys of these streams and hours, made where there are none; both copies are synced before it returns.
    pub(crate) fn ensure(&mut self, wanted: &BTreeSet<(u32, u32)>) -> Result<(), VaultError> {
        let new: Vec<_> = wanted.iter().filter(|key| !self.live.contains_key(key)).copied().collect();
        if new.is_empty() {
            return Ok(());
        }
        let mut made = Vec::new();
        for (stream, hour) in new {
            let number = self.free_slot()?;
            let mut slot = Zeroizing::new([0; SLOT]);
            aws_lc_rs::rand::fill(&mut slot[16..56]).map_err(|_| VaultError::Random)?;
            slot[0] = 1;
            slot[4..8].copy_from_slice(&stream.to_le_bytes());
            slot[8..12].copy_from_slice(&hour.to_le_bytes());
            let check = blake3::hash(&slot[..56]);
            slot[56..].copy_from_slice(&check.as_bytes()[..8]);
            self.write_slot(0, number, &slot)?;
            self.write_slot(1, number, &slot)?;
            made.push(((stream, hour), u64_at(&*slot, 16), number));
        }
        self.sync()?;
        for (place, id, number) in made {
            self.free.remove(&number);
            self.live.entry(place).or_default().push((id, number));
        }
        Ok(())
    }

    /// The key to write with; none when it was never made or is destroyed.
    pub(crate) fn current(&self, stream: StreamId, hour: u32) -> Option<SlotKey> {
        let (id, _) = *self.live.get(&(stream.0, hour))?.last()?;
        self.key(stream, hour, id)
    }

    /// The key that a chunk names; none when it is destroyed.
    pub(crate) fn key(&self, stream: StreamId, hour: u32, id: u64) -> Option<SlotKey> {
        let (_, number) = *self.live.get(&(stream.0, hour))?.iter().find(|(live, _)| *live == id)?;
        self.copies.iter().find_map(|(file, _)| {
            let mut slot = Zeroizing::new([0; SLOT]);
            file.read_exact_at(&mut *slot, position(number)).ok()?;
            let whole = parse(&slot) == Slot::Live(stream.0, hour, id);
            whole.then(|| SlotKey { id, key: Zeroizing::new(take(&*slot, 24)) })
        })
    }

    /// Overwrites every slot of the stream for these hours (end exclusive), in both copies, and syncs. Gives the
    /// hours and the commitments of the keys (BLAKE3 in derive-key mode, context `RTR vault slot key commitment v1`).
    pub(crate) fn destroy(
        &mut self,
        stream: StreamId,
        hours: Range<u32>,
    ) -> Result<Vec<(u32, String)>, VaultError> {
        let due: Vec<_> = self
            .live
            .range((stream.0, hours.start)..(stream.0, hours.end.max(hours.start)))
            .flat_map(|((_, hour), keys)| keys.iter().map(|(id, number)| (*hour, *id, *number)))
            .collect();
        let mut gone = Vec::new();
        for (hour, id, _) in &due {
            let commitment = self
                .key(stream, *hour, *id)
                .map_or_else(String::new, |slot| commitment(&slot.key).to_hex().to_string());
            gone.push((*hour, commitment));
        }
        // Copy by copy, each synced: at no instant may a key survive in a copy that a later start would trust.
        for copy in 0..2 {
            for (_, _, number) in &due {
                self.write_slot(copy, *number, &FREE)?;
            }
        }
        if !due.is_empty() {
            self.sync()?;
        }
        for (hour, _, number) in due {
            self.live.remove(&(stream.0, hour));
            self.free.insert(number);
        }
        Ok(gone)
    }

    fn free_slot(&mut self) -> Result<u64, VaultError> {
        if let Some(number) = self.free.pop_first() {
            return Ok(number);
        }
        let first = self.slots;
        for (file, path) in &self.copies {
            // Written, not only set as a length: a key must never fail for want of disk in the middle of an hour.
            file.write_all_at(&vec![0; GROWTH as usize * SLOT], position(first)).at(path)?;
        }
        self.slots += GROWTH;
        self.free.extend(first + 1..self.slots);
        Ok(first)
    }

    fn write_slot(&self, copy: usize, number: u64, slot: &[u8; SLOT]) -> Result<(), VaultError> {
        let Some((file, path)) = self.copies.get(copy) else { return Ok(()) };
        file.write_all_at(slot, position(number)).at(path)
    }

    fn sync(&self) -> Result<(), VaultError> {
        self.copies.iter().try_for_each(|(file, path)| rustix::fs::fdatasync(file).at(path))
    }
}

/// What says which key it was without giving it away.
pub(crate) fn commitment(key: &[u8; 32]) -> blake3::Hash {
    blake3::Hash::from_bytes(blake3::derive_key("RTR vault slot key commitment v1", key))
}

#[derive(PartialEq, Eq)]
enum Slot {
    Free,
    Live(u32, u32, u64),
    Damaged,
}

fn parse(slot: &[u8; SLOT]) -> Slot {
    if *slot == FREE {
        return Slot::Free;
    }
    let check = blake3::hash(&take::<56>(slot, 0));
    if slot[0] == 1 && take::<8>(slot, 56) == take::<8>(check.as_bytes(), 0) {
        Slot::Live(u32_at(slot, 4), u32_at(slot, 8), u64_at(slot, 16))
    } else {
        Slot::Damaged
    }
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
    if take::<8>(&bytes, 0) != MAGIC {
        return Err(VaultError::NotOurs { path, expected: "a key store" });
    }
    let found = u32_at(&bytes, 8);
    if found != VERSION {
        return Err(VaultError::UnknownVersion { path, found, known: VERSION });
    }
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
mod tests {
    use super::*;

    fn dirs(root: &Path) -> [PathBuf; 2] {
        [root.join("a"), root.join("b")]
    }

    fn open(root: &Path, fresh: bool) -> Result<KeyStore, VaultError> {
        KeyStore::open(&dirs(root), [7; 16], fresh)
    }

    #[test]
    fn a_destroyed_key_is_in_neither_copy() {
        let root = tempfile::tempdir().unwrap();
        let mut store = open(root.path(), true).unwrap();
        store.ensure(&[(1, 10), (1, 11), (2, 10)].into()).unwrap();
        let dying = store.current(StreamId(1), 10).unwrap();
        let gone = store.destroy(StreamId(1), 0..11).unwrap();
        assert_eq!(gone.len(), 1);
        assert!(store.key(StreamId(1), 10, dying.id).is_none());
        for dir in dirs(root.path()) {
            let bytes = fs::read(dir.join("slots")).unwrap();
            assert!(!bytes.windows(32).any(|w| w == *dying.key), "the key is still in {}", dir.display());
        }
        assert!(store.current(StreamId(1), 11).is_some() && store.current(StreamId(2), 10).is_some());
        drop(store);
        let store = open(root.path(), false).unwrap();
        assert!(store.key(StreamId(1), 10, dying.id).is_none());
        assert!(store.current(StreamId(2), 10).is_some());
    }

    #[test]
    fn a_lost_copy_is_made_anew_and_a_half_destroyed_key_is_finished() {
        let root = tempfile::tempdir().unwrap();
        let mut store = open(root.path(), true).unwrap();
        store.ensure(&[(1, 10), (1, 11)].into()).unwrap();
        let (ten, eleven) =
            (store.current(StreamId(1), 10).unwrap(), store.current(StreamId(1), 11).unwrap());
        drop(store);
        fs::remove_file(root.path().join("b/slots")).unwrap();
        let store = open(root.path(), false).unwrap();
        assert_eq!(*store.current(StreamId(1), 10).unwrap().key, *ten.key);
        assert!(
            fs::read(root.path().join("a/slots")).unwrap() == fs::read(root.path().join("b/slots")).unwrap()
        );
        // A crash between the two overwrites: free in one copy, in use in the other.
        store.write_slot(0, 0, &FREE).unwrap();
        drop(store);
        let store = open(root.path(), false).unwrap();
        assert!(store.current(StreamId(1), 10).is_none());
        // A damaged slot is mended from the other copy.
        store.write_slot(1, 1, &[3; SLOT]).unwrap();
        drop(store);
        let store = open(root.path(), false).unwrap();
        assert_eq!(*store.current(StreamId(1), 11).unwrap().key, *eleven.key);
        drop(store);
        fs::remove_file(root.path().join("a/slots")).unwrap();
        fs::remove_file(root.path().join("b/slots")).unwrap();
        // Both gone: said, not hidden, and the store goes on with new keys.
        let store = open(root.path(), false).unwrap();
        assert!(store.at_opening().0 && store.current(StreamId(1), 11).is_none());
        drop(store);
        assert!(matches!(
            KeyStore::open(&dirs(root.path()), [8; 16], false),
            Err(VaultError::AnotherVault { .. })
        ));
    }

    #[test]
    fn a_copy_that_was_away_is_never_believed() {
        let root = tempfile::tempdir().unwrap();
        let mut store = open(root.path(), true).unwrap();
        store.ensure(&[(1, 10), (1, 11)].into()).unwrap();
        assert_eq!(store.differing().unwrap(), 0);
        drop(store);
        // The second device was not mounted: a run with the first alone destroys one key and makes another.
        fs::rename(root.path().join("b"), root.path().join("away")).unwrap();
        let mut store = open(root.path(), false).unwrap();
        store.destroy(StreamId(1), 0..11).unwrap();
        store.ensure(&[(1, 12)].into()).unwrap();
        drop(store);
        fs::remove_dir_all(root.path().join("b")).unwrap();
        fs::rename(root.path().join("away"), root.path().join("b")).unwrap();
        let store = open(root.path(), false).unwrap();
        assert!(store.current(StreamId(1), 10).is_none(), "a destroyed key came back");
        assert!(store.current(StreamId(1), 12).is_some() && store.at_opening().1 > 0);
        drop(store);
        // A key store that was made while the right one was away is refused beside it.
        fs::rename(root.path().join("a"), root.path().join("right")).unwrap();
        fs::rename(root.path().join("b"), root.path().join("right-b")).unwrap();
        drop(open(root.path(), false).unwrap());
        fs::remove_dir_all(root.path().join("a")).unwrap();
        fs::rename(root.path().join("right"), root.path().join("a")).unwrap();
        assert!(matches!(open(root.path(), false), Err(VaultError::KeyStoresDiffer { .. })));
    }
}
