//! What the witness signed last: one small file, replaced whole and synced before any signature is given.

use base64::{Engine, prelude::BASE64_STANDARD};
use ledger::tree::NodeHash;
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

/// The newest tree that was signed, and when it had last grown by this machine's clock (seconds of the Unix epoch).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) size: u64,
    pub(crate) root: NodeHash,
    pub(crate) grew_at: i64,
}

#[derive(Debug)]
pub(crate) struct StateFile {
    path: PathBuf,
    seen: Seen,
    /// Held for the life of the witness: two on one state would each sign without knowing of the other.
    _lock: File,
}

impl StateFile {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        if let Some(dir) = path.parent() {
            fs::create_dir_all(dir)?;
        }
        let lock =
            OpenOptions::new().write(true).create(true).truncate(false).open(with_suffix(path, ".lock"))?;
        lock.try_lock().map_err(|_| io::Error::other("another witness uses this state"))?;
        let seen = match fs::read_to_string(path) {
            Ok(text) => parse(&text).ok_or_else(|| {
                // Starting over silently would let a rewritten log pass: a person must look.
                io::Error::new(io::ErrorKind::InvalidData, format!("{} is damaged", path.display()))
            })?,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                refuse_when_lost(path)?;
                Seen::default()
            }
            Err(e) => return Err(e),
        };
        Ok(Self { path: path.to_owned(), seen, _lock: lock })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn seen(&self) -> Seen {
        self.seen
    }

    /// The checkpoint that was signed last. Only evidence: it is written after the state, and missing harms nothing.
    pub(crate) fn keep_note(&self, note: &str) {
        let (path, fresh) = (with_suffix(&self.path, ".signed"), with_suffix(&self.path, ".signed.new"));
        if let Err(e) = fs::write(&fresh, note).and_then(|()| fs::rename(&fresh, &path)) {
            eprintln!("the signed checkpoint could not be kept in {}: {e}", path.display());
        }
    }

    pub(crate) fn note(&self) -> Option<String> {
        fs::read_to_string(with_suffix(&self.path, ".signed")).ok()
    }

    /// The grant with which the log ended, if it did.
    pub(crate) fn ended(&self) -> io::Result<Option<String>> {
        match fs::read_to_string(self.ended_path()) {
            Ok(grant) => Ok(Some(grant)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }

    pub(crate) fn ended_path(&self) -> PathBuf {
        with_suffix(&self.path, ".ended")
    }

    /// The log ends with this grant: from here on nothing of it is signed, also after a loss of power.
    pub(crate) fn end(&self, grant: &str) -> io::Result<()> {
        replace(&self.ended_path(), grant.as_bytes())
    }

    pub(crate) fn remember(&mut self, seen: Seen) -> io::Result<()> {
        if seen == self.seen {
            return Ok(());
        }
        let text = format!("{}\n{}\n{}\n", seen.size, BASE64_STANDARD.encode(seen.root), seen.grew_at);
        replace(&self.path, text.as_bytes())?;
        self.seen = seen;
        Ok(())
    }
}

/// A state that is not there, while what is written after it lies there, was lost: starting over would let a rewritten log pass.
fn refuse_when_lost(path: &Path) -> io::Result<()> {
    let left = [".signed", ".evidence", ".evidence.shorter", ".evidence.unproven", ".ended"];
    match left.map(|suffix| with_suffix(path, suffix)).into_iter().find(|left| left.exists()) {
        None => Ok(()),
        Some(left) => Err(io::Error::other(format!(
            "{} is missing, and {} shows that something was signed here; bring the state back, or take away what is left of it to \
             trust the log anew as it is now",
            path.display(),
            left.display()
        ))),
    }
}

/// Replaces a file; content and name are durable when this returns.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let fresh = with_suffix(path, ".new");
    let mut file = File::create(&fresh)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&fresh, path)?;
    match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => File::open(dir)?.sync_all(),
        _ => Ok(()),
    }
}

fn parse(text: &str) -> Option<Seen> {
    let mut lines = text.strip_suffix('\n')?.lines();
    let size = lines.next()?.parse().ok()?;
    let root = BASE64_STANDARD.decode(lines.next()?).ok()?.try_into().ok()?;
    // The time came later than the format: an older state has none.
    let grew_at = lines.next().map_or(Some(0), |time| time.parse().ok())?;
    lines.next().is_none().then_some(Seen { size, root, grew_at })
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
