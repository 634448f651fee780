//! Footage that is secured for a case: exactly its chunks' keys, claimed at once, and their ciphertext, copied unchanged.
//!
//! A hold is a folder `holds/ID` beside each copy of the key store, so it lives on both devices and in no backup:
//!
//! * `key`, 64 bytes: `RTRCASE1`, then bare: 0 (8), the case's key (32), first 16 bytes of BLAKE3 of bytes 0..48; or sealed:
//!   2 or 3 (by what, [`crate::protection`]), 0 (7), the case's key sealed (40), first 8 bytes of BLAKE3 of bytes 0..56.
//!   Releasing overwrites it.
//! * `claims`: `RTRCLAIM`, format version (u32, 1), stream (u32), identity of the vault (16), first instant (i64), end (i64),
//!   number of claims (u64), the volumes' salts aside; then for each claim volume (u64), offset (u64), bytes (u64), record
//!   number (u64), and the chunk's key under the case's key (48: AES-256-GCM, nonce: place in this list, associated data:
//!   the 32 bytes before). While they are being written they are called `claims.part`: a folder without claims keeps nothing.
//! * `held`: `RTRHELD1`, then entries of kind (u32: 1 chunk, 2 parameters), 0 (u32), volume (u64), offset (u64), length (u64)
//!   and the record's bytes as they stood in the volume, so that their leaves still prove what was recorded. While it is
//!   being copied it is called `held.part`; volumes that it needs are not unlinked before it is whole.
//! * `missing`: how many chunks should be in it and could not be read (u64); no file: none.
//!
//! An hour's key is fetched under the key store's lock, so it is either claimed or dead. The hour's key dies on time: a hold
//! keeps its own chunks and nothing beside them, and reading gives frames from its first instant to its end only.

mod kept;
mod mending;
mod read;

pub(crate) use kept::{HeldChunk, Kept};
pub(crate) use mending::{differing, finish};
pub use read::HeldReader;

use crate::{
    chunk,
    config::Held,
    error::{At, VaultError},
    index::ChunkRef,
    keys,
    passes::pass_by_pass,
    protection::{Protection, Purpose, SEALED, Seal},
    vault::Shared,
    volume::{self, RecordHead, VolumeHead, i64_at, take, u32_at, u64_at},
};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use media::{Micros, StreamId};
use std::{
    collections::{BTreeSet, HashMap, hash_map::Entry},
    fs::{self, File, OpenOptions},
    io::Write,
    os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
};
use zeroize::Zeroizing;

const KEY_MAGIC: [u8; 8] = *b"RTRCASE1";
const CLAIMS_MAGIC: [u8; 8] = *b"RTRCLAIM";
const HELD_MAGIC: [u8; 8] = *b"RTRHELD1";
const VERSION: u32 = 1;
const CLAIMS_HEAD: usize = 56;
const CLAIM: usize = 80;
const ENTRY: usize = 32;

/// One chunk of a hold.
#[derive(Clone)]
struct Claim {
    volume: u64,
    offset: u64,
    total: u64,
    number: u64,
    wrapped: [u8; 48],
}

impl Claim {
    fn place(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (at, value) in [self.volume, self.offset, self.total, self.number].into_iter().enumerate() {
            bytes[at * 8..at * 8 + 8].copy_from_slice(&value.to_le_bytes());
        }
        bytes
    }
}

/// What a hold's `claims` say.
struct Claims {
    stream: StreamId,
    from: Micros,
    until: Micros,
    list: Vec<Claim>,
}

impl Claims {
    fn encode(&self, vault: [u8; 16]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(CLAIMS_HEAD + self.list.len() * CLAIM);
        bytes.extend(CLAIMS_MAGIC);
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend(self.stream.0.to_le_bytes());
        bytes.extend(vault);
        bytes.extend(self.from.0.to_le_bytes());
        bytes.extend(self.until.0.to_le_bytes());
        bytes.extend((self.list.len() as u64).to_le_bytes());
        for claim in &self.list {
            bytes.extend(claim.place());
            bytes.extend(claim.wrapped);
        }
        bytes
    }

    /// Adds a chunk and its key, wrapped by the case's.
    fn add(&mut self, mut claim: Claim, key: &[u8; 32], wrap: &LessSafeKey) -> Result<(), VaultError> {
        let mut sealed = Zeroizing::new(key.to_vec());
        wrap.seal_in_place_append_tag(nonce(self.list.len()), Aad::from(claim.place()), &mut *sealed)
            .map_err(|_| VaultError::Random)?;
        claim.wrapped = take(&sealed, 0);
        self.list.push(claim);
        Ok(())
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        if take::<8>(bytes, 0) != CLAIMS_MAGIC || u32_at(bytes, 8) != VERSION {
            return None;
        }
        let list: Vec<_> = bytes
            .get(CLAIMS_HEAD..)?
            .chunks_exact(CLAIM)
            .map(|e| Claim {
                volume: u64_at(e, 0),
                offset: u64_at(e, 8),
                total: u64_at(e, 16),
                number: u64_at(e, 24),
                wrapped: take(e, 32),
            })
            .collect();
        let (from, until) = (Micros(i64_at(bytes, 32)), Micros(i64_at(bytes, 40)));
        (list.len() as u64 == u64_at(bytes, 48)).then_some(Self {
            stream: StreamId(u32_at(bytes, 12)),
            from,
            until,
            list,
        })
    }
}

/// Whether a name is one that folders may have.
fn is_name(id: &str) -> bool {
    (1..=64).contains(&id.len())
        && id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

fn folders(keys: &[PathBuf; 2], id: &str) -> Result<[PathBuf; 2], VaultError> {
    if is_name(id) {
        Ok(keys.each_ref().map(|dir| dir.join("holds").join(id)))
    } else {
        Err(VaultError::NoSuchHold(id.to_owned()))
    }
}

fn nonce(place: usize) -> Nonce {
    let mut bytes = [0; 12];
    bytes[..8].copy_from_slice(&(place as u64).to_le_bytes());
    Nonce::assume_unique_for_key(bytes)
}

fn cipher(key: &[u8; 32]) -> Result<LessSafeKey, VaultError> {
    UnboundKey::new(&AES_256_GCM, key).map(LessSafeKey::new).map_err(|_| VaultError::Random)
}

fn write_durably(path: &Path, bytes: &[u8]) -> Result<(), VaultError> {
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path).at(path)?;
    #[cfg(test)]
    crate::powercut::Act::Write(path, 0, bytes).happens()?;
    file.write_all(bytes).and_then(|()| file.sync_all()).at(path)
}

/// Writes a hold's claims: they are there whole or not at all, so that a name whose claiming was cut short is free again.
fn write_claims(folder: &Path, bytes: &[u8]) -> Result<(), VaultError> {
    let (part, whole) = (folder.join("claims.part"), folder.join("claims"));
    write_durably(&part, bytes)?;
    fs::rename(&part, &whole).at(&whole)
}

fn sync_folder(dir: &Path) -> Result<(), VaultError> {
    File::open(dir).and_then(|dir| dir.sync_all()).at(dir)
}

/// Where a copy reads from: the volumes, and other holds for what is in no volume any more.
struct Sources<'a> {
    dir: &'a Path,
    open: HashMap<u64, (File, VolumeHead, u64)>,
}

impl Sources<'_> {
    /// A record and its head, if it is still in its volume and whole.
    fn record(&mut self, volume: u64, offset: u64) -> Option<(RecordHead, Vec<u8>)> {
        let (file, _, size) = self.get(volume).ok()?;
        volume::read_raw(file, offset, *size)
    }

    /// The head of a chunk's record, and the salt of its volume.
    fn head(&mut self, chunk: &ChunkRef) -> Option<(RecordHead, [u8; 32])> {
        let (file, head, _) = self.get(chunk.volume).ok()?;
        let mut bytes = [0; volume::RECORD_HEAD];
        file.read_exact_at(&mut bytes, chunk.offset).ok()?;
        Some((RecordHead::decode(&bytes)?, head.salt))
    }

    fn get(&mut self, number: u64) -> Result<&(File, VolumeHead, u64), VaultError> {
        match self.open.entry(number) {
            Entry::Occupied(open) => Ok(open.into_mut()),
            Entry::Vacant(place) => {
                let path = self.dir.join(volume::file_name(number));
                let file = File::open(&path).at(&path)?;
                let head = VolumeHead::read(&file, &path)?;
                let size = file.metadata().at(&path)?.len();
                Ok(place.insert((file, head, size)))
            }
        }
    }
}

/// Secures these chunks for a case: their keys at once, then their ciphertext, both on both devices. The key store is locked
/// for as long as one hour's key is fetched, never while a disk is read: the writer needs it each round.
pub(crate) fn secure(
    shared: &Shared,
    id: &str,
    stream: StreamId,
    range: (Micros, Micros),
    chunks: &[ChunkRef],
    kept: &[Kept],
) -> Result<(), VaultError> {
    let (dir, keys) = (&shared.config.dir, &shared.config.keys);
    reserve(keys, id)?;
    let (claims, unreadable) = claim(shared, id, stream, range, chunks, kept)?;
    let lacking = copy(dir, keys, id, &claims)?;
    note_missing(keys, id, unreadable + lacking)
}

/// Takes a name: whoever makes the first folder has it.
fn reserve(key_dirs: &[PathBuf; 2], id: &str) -> Result<(), VaultError> {
    let [first, second] = folders(key_dirs, id)?;
    let mut folder = fs::DirBuilder::new();
    folder.mode(0o700);
    for folder in [&first, &second] {
        let parent = folder.parent().unwrap_or(folder);
        fs::DirBuilder::new().recursive(true).mode(0o700).create(parent).at(parent)?;
    }
    if second.exists() {
        return Err(VaultError::HoldExists(id.to_owned()));
    }
    match folder.create(&first) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            Err(VaultError::HoldExists(id.to_owned()))
        }
        other => other.at(&first),
    }
}

/// Stores the keys of these chunks under a new key of the case, in both copies, durably. Chunks whose key is dead are taken
/// from the holds in `kept`, or left out; gives also how many were left out because they cannot be read.
fn claim(
    shared: &Shared,
    id: &str,
    stream: StreamId,
    range: (Micros, Micros),
    chunks: &[ChunkRef],
    kept: &[Kept],
) -> Result<(Claims, u64), VaultError> {
    let folders = folders(&shared.config.keys, id)?;
    let mut case_key = Zeroizing::new([0; 32]);
    aws_lc_rs::rand::fill(&mut *case_key).map_err(|_| VaultError::Random)?;
    let wrap = cipher(&case_key)?;
    let mut sources = Sources { dir: &shared.config.dir, open: HashMap::new() };
    let mut claims = Claims { stream, from: range.0, until: range.1, list: Vec::new() };
    let (mut unreadable, mut slots) = (BTreeSet::new(), HashMap::new());
    for chunk in chunks {
        let Some((record, salt)) = sources.head(chunk).filter(|(record, _)| record.stream == stream) else {
            unreadable.insert((chunk.volume, chunk.offset));
            continue;
        };
        let slot = match slots.entry(record.key) {
            Entry::Occupied(known) => known.into_mut(),
            // An hour's key is either fetched here or dead: this lock orders the two.
            Entry::Vacant(place) => {
                place.insert(shared.keys().key(stream, keys::hour_of(chunk.from), record.key)?)
            }
        };
        let Some(key) = slot.as_ref().and_then(|slot| chunk::derive(&slot.key, &salt, record.number)) else {
            continue;
        };
        let claim = Claim {
            volume: chunk.volume,
            offset: chunk.offset,
            total: record.total(),
            number: record.number,
            wrapped: [0; 48],
        };
        claims.add(claim, &key, &wrap)?;
    }
    drop(slots);
    let known: BTreeSet<_> = claims.list.iter().map(|claim| (claim.volume, claim.offset)).collect();
    let (mut older, mut found) = (HashMap::new(), Vec::new());
    for (kept, chunk) in kept.iter().flat_map(|kept| kept.within(range).map(move |chunk| (kept, chunk))) {
        let place = (chunk.at.volume, chunk.at.offset);
        if !known.contains(&place)
            && let Some((claim, key)) = kept.claim(chunk)
        {
            unreadable.remove(&place);
            if older.insert(place, (claim, key)).is_none() {
                found.push(chunk.at);
            }
        }
    }
    for chunk in pass_by_pass(found) {
        if let Some((claim, key)) = older.remove(&(chunk.volume, chunk.offset)) {
            claims.add(claim, &key, &wrap)?;
        }
    }
    let key_file = key_file(&shared.config.protection, shared.identity, id, &case_key)?;
    let bytes = claims.encode(shared.identity);
    for folder in &folders {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).at(folder)?;
        write_durably(&folder.join("key"), &*key_file)?;
        write_claims(folder, &bytes)?;
        sync_folder(folder)?;
        folder.parent().map_or(Ok(()), sync_folder)?;
    }
    Ok((claims, unreadable.len() as u64))
}

/// Says beside a hold how many chunks it should have and has not.
fn note_missing(key_dirs: &[PathBuf; 2], id: &str, missing: u64) -> Result<(), VaultError> {
    if missing == 0 {
        return Ok(());
    }
    tracing::error!(hold = id, chunks = missing, "chunks could not be read and are not secured");
    for folder in &folders(key_dirs, id)? {
        write_durably(&folder.join("missing"), &missing.to_le_bytes())?;
        sync_folder(folder)?;
    }
    Ok(())
}

/// The bytes of a case's key file.
fn key_file(
    protection: &Protection,
    vault: [u8; 16],
    id: &str,
    key: &[u8; 32],
) -> Result<Zeroizing<[u8; 64]>, VaultError> {
    let mut file = Zeroizing::new([0; 64]);
    file[..8].copy_from_slice(&KEY_MAGIC);
    let seal = protection.seal_kind();
    if seal == Seal::Bare {
        file[16..48].copy_from_slice(key);
        let check = blake3::hash(&file[..48]);
        file[48..].copy_from_slice(&check.as_bytes()[..16]);
    } else {
        file[8] = seal.code();
        // A key of that name may be left from a claim that failed: it must not seal twice.
        protection.destroy(vault, Purpose::Case(id))?;
        file[16..56].copy_from_slice(&protection.seal(vault, Purpose::Case(id), key)?);
        let check = blake3::hash(&file[..56]);
        file[56..].copy_from_slice(&check.as_bytes()[..8]);
    }
    Ok(file)
}

/// The key in a case's key file; none when the file is not whole or is overwritten.
fn key_in(
    bytes: &[u8],
    protection: &Protection,
    vault: [u8; 16],
    id: &str,
) -> Result<Option<Zeroizing<[u8; 32]>>, VaultError> {
    let bytes = Zeroizing::new(take::<64>(bytes, 0));
    if take::<8>(&*bytes, 0) != KEY_MAGIC {
        return Ok(None);
    }
    if bytes[8] == 0 {
        let whole = take::<16>(&*bytes, 48) == take::<16>(blake3::hash(&bytes[..48]).as_bytes(), 0);
        return Ok(whole.then(|| Zeroizing::new(take(&*bytes, 16))));
    }
    let whole = take::<8>(&*bytes, 56) == take::<8>(blake3::hash(&bytes[..56]).as_bytes(), 0);
    let Some(seal) = Seal::of(bytes[8]).filter(|_| whole) else { return Ok(None) };
    protection.open(seal, vault, Purpose::Case(id), &take::<SEALED>(&*bytes, 16)).map(Some)
}

/// Copies the ciphertext of a hold beside its keys, on both devices. Gives how many chunks could not be read.
fn copy(dir: &Path, key_dirs: &[PathBuf; 2], id: &str, claims: &Claims) -> Result<u64, VaultError> {
    let folders = folders(key_dirs, id)?;
    let mut sources = Sources { dir, open: HashMap::new() };
    let mut files = Vec::new();
    for folder in &folders {
        let path = folder.join("held.part");
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path).at(&path)?;
        file.write_all(&HELD_MAGIC).at(&path)?;
        files.push((file, path));
    }
    let (mut parameters, mut lacking) = (BTreeSet::new(), 0);
    let mut out = Vec::new();
    // What is in no volume any more lies in the holds that it was claimed from.
    let mut others: Option<Vec<Kept>> = None;
    for claim in &claims.list {
        out.clear();
        let found = sources.record(claim.volume, claim.offset).map(|(head, record)| {
            let described = sources.record(claim.volume, head.parameters).map(|(_, record)| record);
            (head, record, described)
        });
        let found = found.or_else(|| {
            let others = others.get_or_insert_with(|| Kept::all(key_dirs, claims.stream, id));
            others.iter().find_map(|kept| kept.records(claim.volume, claim.offset))
        });
        let Some((head, record, described)) = found else {
            lacking += 1;
            continue;
        };
        if let Some(described) = described.filter(|_| parameters.insert((claim.volume, head.parameters))) {
            entry(&mut out, 2, claim.volume, head.parameters, &described);
        }
        entry(&mut out, 1, claim.volume, claim.offset, &record);
        for (file, path) in &mut files {
            file.write_all(&out).at(&*path)?;
        }
    }
    for ((file, path), folder) in files.iter().zip(&folders) {
        file.sync_all().at(path)?;
        let whole = folder.join("held");
        fs::rename(path, &whole).at(&whole)?;
        sync_folder(folder)?;
    }
    Ok(lacking)
}

fn entry(out: &mut Vec<u8>, kind: u32, volume: u64, offset: u64, record: &[u8]) {
    out.extend(kind.to_le_bytes());
    out.extend([0; 4]);
    out.extend(volume.to_le_bytes());
    out.extend(offset.to_le_bytes());
    out.extend((record.len() as u64).to_le_bytes());
    out.extend(record);
}

fn ids(key_dirs: &[PathBuf; 2]) -> BTreeSet<String> {
    let entries =
        key_dirs.iter().flat_map(|dir| fs::read_dir(dir.join("holds")).into_iter().flatten().flatten());
    entries.filter_map(|entry| entry.file_name().into_string().ok()).filter(|id| is_name(id)).collect()
}

fn claims_of(folders: &[PathBuf; 2]) -> Option<Claims> {
    folders.iter().find_map(|folder| Claims::decode(&fs::read(folder.join("claims")).ok()?))
}

/// The case's key, from whichever copy is whole; none when it is gone.
fn key_of(
    protection: &Protection,
    vault: [u8; 16],
    folders: &[PathBuf; 2],
    id: &str,
) -> Result<Option<Zeroizing<[u8; 32]>>, VaultError> {
    for folder in folders {
        if let Ok(bytes) = fs::read(folder.join("key")).map(Zeroizing::new)
            && let Some(key) = key_in(&bytes, protection, vault, id)?
        {
            return Ok(Some(key));
        }
    }
    Ok(None)
}

/// A hold, if there is one.
pub(crate) fn one(key_dirs: &[PathBuf; 2], id: String) -> Option<Held> {
    let folders = folders(key_dirs, &id).ok()?;
    let claims = claims_of(&folders)?;
    let missing = folders.iter().filter_map(|folder| fs::read(folder.join("missing")).ok());
    let missing = missing.map(|bytes| u64_at(&bytes, 0)).max().unwrap_or(0);
    Some(Held {
        id,
        stream: claims.stream,
        from: claims.from,
        until: claims.until,
        chunks: claims.list.len() as u64,
        bytes: claims.list.iter().map(|claim| claim.total).sum(),
        whole: missing == 0 && folders.iter().all(|folder| folder.join("held").exists()),
        missing,
    })
}

/// Every hold there is.
pub(crate) fn list(key_dirs: &[PathBuf; 2]) -> Vec<Held> {
    ids(key_dirs).into_iter().filter_map(|id| one(key_dirs, id)).collect()
}

/// Overwrites a case's key file; one that is not there has no key.
fn overwrite_key(path: &Path) -> Result<(), VaultError> {
    let file = match OpenOptions::new().write(true).open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        file => file.at(path)?,
    };
    #[cfg(test)]
    crate::powercut::Act::Write(path, 0, &[0; 64]).happens()?;
    file.write_all_at(&[0; 64], 0).and_then(|()| file.sync_all()).at(path)
}

/// Overwrites the case's key in both copies, then removes the rest. What is past its term opens no more.
pub(crate) fn release(
    protection: &Protection,
    vault: [u8; 16],
    key_dirs: &[PathBuf; 2],
    id: &str,
) -> Result<(), VaultError> {
    let folders = folders(key_dirs, id)?;
    if !folders.iter().any(|folder| folder.exists()) {
        return Err(VaultError::NoSuchHold(id.to_owned()));
    }
    // A device that fails keeps no key alive on the other. Its folder stays, so that releasing can be asked again.
    folders.iter().map(|folder| overwrite_key(&folder.join("key"))).fold(Ok(()), Result::and)?;
    for folder in folders.iter().filter(|folder| folder.exists()) {
        fs::remove_dir_all(folder).at(folder)?;
        folder.parent().map_or(Ok(()), sync_folder)?;
    }
    if let Err(error) = protection.destroy(vault, Purpose::Case(id)) {
        tracing::error!(hold = id, %error, "the case's key is overwritten, but what sealed it stays in the token");
    }
    Ok(())
}
