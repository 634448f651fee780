//! Disks that lose power, fail to sync, or are slow. In tests, every write and sync of volumes and key store passes here
//! ([`Act::happens`]) before it happens: it is written down, and can be made to fail or to wait. What was written down is
//! replayed up to any instant as a power cut would leave it: what was synced is there; of the rest any part, torn at any sector.
//!
//! Of the index, what its last durable commit left is kept, or nothing: a power cut may take all of it.

use crate::error::VaultError;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, PoisonError},
};

/// What a disk writes at once.
const SECTOR: usize = 512;

/// Something that is about to be done to a file.
pub(crate) enum Act<'a> {
    /// Made with this content, synced with its folder.
    Create(&'a Path, &'a [u8]),
    Write(&'a Path, u64, &'a [u8]),
    Cut(&'a Path, u64),
    Sync(&'a Path),
}

#[derive(Clone)]
enum Done {
    Create(PathBuf, Vec<u8>),
    Write(PathBuf, u64, Vec<u8>),
    Cut(PathBuf, u64),
    Sync(PathBuf),
    /// The system said that it failed: what was not synced then never will be.
    SyncFailed(PathBuf),
    /// The index's files after a durable commit.
    Index(Vec<(PathBuf, Vec<u8>)>),
    /// What the test says of the instant.
    Mark(u64),
}

#[derive(Default)]
struct State {
    done: Vec<Done>,
    failing: Vec<Fault>,
    /// Syncs of volumes wait; how many do.
    slow: bool,
    waiting: u32,
    /// The next write or sync of a file whose name contains this ends its thread.
    deadly: Option<&'static str>,
}

/// Syncs, or else writes, of files whose name contains `which` fail with this error of the system, so many times.
struct Fault {
    which: &'static str,
    syncs: bool,
    error: rustix::io::Errno,
    times: u32,
}

/// What happened on one disk.
pub(crate) struct Disk {
    root: PathBuf,
    state: Mutex<State>,
    changed: Condvar,
}

static DISKS: Mutex<Vec<Arc<Disk>>> = Mutex::new(Vec::new());

impl Act<'_> {
    fn path(&self) -> &Path {
        match self {
            Self::Create(path, _) | Self::Write(path, ..) | Self::Cut(path, _) | Self::Sync(path) => path,
        }
    }

    pub(crate) fn happens(&self) -> Result<(), VaultError> {
        let disks = DISKS.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(disk) = disks.iter().find(|disk| self.path().starts_with(&disk.root)).cloned() else {
            return Ok(());
        };
        drop(disks);
        disk.happens(self)
    }
}

impl State {
    /// How this fails, if it does.
    fn fault(&mut self, act: &Act<'_>) -> Option<rustix::io::Errno> {
        let (name, sync) = (act.path().to_string_lossy(), matches!(act, Act::Sync(_)));
        let fault = self.failing.iter_mut().find(|fault| {
            fault.times > 0
                && fault.syncs == sync
                && name.contains(fault.which)
                && !matches!(act, Act::Cut(..))
        })?;
        fault.times -= 1;
        Some(fault.error)
    }
}

impl Disk {
    /// From now on what happens below a folder is written down.
    pub(crate) fn watch(root: &Path) -> Arc<Self> {
        let disk = Arc::new(Self { root: root.to_owned(), state: Mutex::default(), changed: Condvar::new() });
        DISKS.lock().unwrap().push(Arc::clone(&disk));
        disk
    }

    fn happens(&self, act: &Act<'_>) -> Result<(), VaultError> {
        let path = act.path().strip_prefix(&self.root).unwrap().to_owned();
        let mut state = self.state.lock().unwrap();
        if state.deadly.is_some_and(|which| path.to_string_lossy().contains(which)) {
            state.deadly = None;
            drop(state);
            panic!("the thread dies, as the test asked");
        }
        if let Some(error) = state.fault(act) {
            if matches!(act, Act::Sync(_)) {
                state.done.push(Done::SyncFailed(path));
            }
            return Err(VaultError::Io { path: act.path().to_owned(), source: error.into() });
        }
        let volume = path.extension().is_some_and(|kind| kind == "vol");
        if matches!(act, Act::Sync(_)) && volume && state.slow {
            state.waiting += 1;
            self.changed.notify_all();
            state = self.changed.wait_while(state, |state| state.slow).unwrap();
            state.waiting -= 1;
        }
        state.done.push(match act {
            Act::Create(_, bytes) => Done::Create(path, bytes.to_vec()),
            Act::Write(_, at, bytes) => Done::Write(path, *at, bytes.to_vec()),
            Act::Cut(_, size) => Done::Cut(path, *size),
            Act::Sync(_) => Done::Sync(path),
        });
        Ok(())
    }

    /// The index in this folder was committed durably.
    pub(crate) fn index_is_durable(dir: &Path) {
        let disks = DISKS.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(disk) = disks.iter().find(|disk| dir.starts_with(&disk.root)).cloned() else { return };
        drop(disks);
        let files = ["index.sqlite", "index.sqlite-wal"].map(|name| dir.join(name));
        let read = files
            .iter()
            .filter_map(|path| Some((path.strip_prefix(&disk.root).ok()?.to_owned(), fs::read(path).ok()?)));
        let index = Done::Index(read.collect());
        disk.state.lock().unwrap().done.push(index);
    }

    pub(crate) fn mark(&self, what: u64) {
        self.state.lock().unwrap().done.push(Done::Mark(what));
    }

    /// The next syncs of files whose name contains `which` fail with EIO.
    pub(crate) fn fail_syncs(&self, which: &'static str, times: u32) {
        let fault = Fault { which, syncs: true, error: rustix::io::Errno::IO, times };
        self.state.lock().unwrap().failing.push(fault);
    }

    /// From now on files whose name contains `which` are neither made nor written: this is why.
    pub(crate) fn fail_writes(&self, which: &'static str, error: rustix::io::Errno) {
        let fault = Fault { which, syncs: false, error, times: u32::MAX };
        self.state.lock().unwrap().failing.push(fault);
    }

    /// Nothing fails any more.
    pub(crate) fn repair(&self) {
        self.state.lock().unwrap().failing.clear();
    }

    /// Syncs of volumes wait from now on, or go on.
    pub(crate) fn be_slow(&self, slow: bool) {
        self.state.lock().unwrap().slow = slow;
        self.changed.notify_all();
    }

    /// The next write or sync of a file whose name contains `which` ends its thread.
    pub(crate) fn kill(&self, which: &'static str) {
        self.state.lock().unwrap().deadly = Some(which);
    }

    /// Until the writer waits for the disk.
    pub(crate) fn until_waiting(&self) {
        drop(self.changed.wait_while(self.state.lock().unwrap(), |state| state.waiting == 0).unwrap());
    }

    pub(crate) fn acts(&self) -> usize {
        self.state.lock().unwrap().done.len()
    }

    /// The newest mark of the first `acts`.
    pub(crate) fn mark_at(&self, acts: usize) -> u64 {
        let state = self.state.lock().unwrap();
        let mark = |done: &Done| if let Done::Mark(mark) = done { Some(*mark) } else { None };
        state.done.iter().take(acts).rev().find_map(mark).unwrap_or(0)
    }

    /// The files as a power cut after so many acts may leave them, laid over what `root` had before.
    pub(crate) fn cut_power(&self, acts: usize, chance: &mut Chance, root: &Path) {
        /// What is durable, what is not yet, and what never will be.
        type Contents = (Vec<u8>, Vec<Done>, Vec<Done>);
        let done: Vec<_> = self.state.lock().unwrap().done.iter().take(acts).cloned().collect();
        let mut files: BTreeMap<PathBuf, Contents> = BTreeMap::new();
        let read = |path: &Path| -> Contents {
            (fs::read(root.join(path)).unwrap_or_default(), Vec::new(), Vec::new())
        };
        let index = done
            .iter()
            .rev()
            .find_map(|done| if let Done::Index(files) = done { Some(files.clone()) } else { None });
        let last = done.len().saturating_sub(1);
        for (number, act) in done.into_iter().enumerate() {
            match &act {
                Done::Mark(_) | Done::Index(_) => {}
                Done::Create(path, bytes) => {
                    // Cut in the middle of it, it is there in part or not at all.
                    let kept = if number == last { chance.below(bytes.len() + 1) } else { bytes.len() };
                    files.insert(path.clone(), (bytes[..kept].to_vec(), Vec::new(), Vec::new()));
                }
                Done::Write(path, ..) | Done::Cut(path, _) => {
                    let path = path.clone();
                    files.entry(path.clone()).or_insert_with(|| read(&path)).1.push(act);
                }
                Done::Sync(path) => {
                    let (bytes, pending, _) = files.entry(path.clone()).or_insert_with(|| read(path));
                    pending.drain(..).for_each(|act| apply(bytes, &act, |_| true));
                }
                Done::SyncFailed(path) => {
                    let (_, pending, lost) = files.entry(path.clone()).or_insert_with(|| read(path));
                    lost.append(pending);
                }
            }
        }
        // Mostly it survives: what the list of open volumes leaves out must then be in it.
        if let Some(index) = index.filter(|_| chance.below(4) > 0) {
            for (path, bytes) in index {
                fs::create_dir_all(root.join(&path).parent().unwrap()).unwrap();
                fs::write(root.join(path), bytes).unwrap();
            }
        }
        for (path, (mut bytes, pending, lost)) in files {
            for act in lost.into_iter().chain(pending) {
                match chance.below(4) {
                    0 => {}
                    1 => apply(&mut bytes, &act, |_| true),
                    _ => {
                        let salt = chance.next();
                        apply(&mut bytes, &act, |sector| Chance(salt ^ sector as u64 | 1).below(2) == 0);
                    }
                }
            }
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
    }
}

/// What of a write reaches the file: the sectors that `keeps` takes.
fn apply(bytes: &mut Vec<u8>, act: &Done, keeps: impl Fn(usize) -> bool) {
    match act {
        Done::Write(_, at, written) => {
            for (sector, part) in written.chunks(SECTOR).enumerate().filter(|(sector, _)| keeps(*sector)) {
                let from = *at as usize + sector * SECTOR;
                bytes.resize(bytes.len().max(from + part.len()), 0);
                bytes[from..from + part.len()].copy_from_slice(part);
            }
        }
        Done::Cut(_, size) if keeps(0) => bytes.resize(*size as usize, 0),
        _ => {}
    }
}

/// Chance that repeats itself (xorshift).
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }
}

mod tests;
