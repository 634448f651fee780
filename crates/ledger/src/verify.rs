//! Verifying a published log as an outsider would: from the tiles and entry bundles alone, trusting nothing but the
//! log's public key and those of the witnesses.
//!
//! The signed root proves the right edge of the tree, the edge proves the tiles above, each tile the tiles below it, and
//! those the entries; so whatever is wrong is named with its place. Entries are read in spans by several threads and
//! never kept: memory does not grow with the log.

use crate::{
    canonical::is_canonical,
    note::{Checkpoint, WitnessKey},
    tiles::{PRUNED, TileAt, TileDirectory, WIDTH, WITNESSED, entries_path, hash_tile_path},
    tree::{NodeHash, Tree, leaf_hash, subtree},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use chrono::{DateTime, Months, TimeDelta, Utc};
use kept::check_kept;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

mod kept;

pub use kept::{Known, SHORTEST_TERM};

/// Bundles that one thread takes at a time.
const SPAN: u64 = 64;
/// More findings than these say nothing new.
const MOST_FINDINGS: usize = 100;
/// Entries of one moment may change places; a clock that goes back further than this was set back.
const CLOCK_TOLERANCE: TimeDelta = TimeDelta::seconds(5);
/// How every leaf that announces a purge begins: `action` is the first key of the canonical form.
const PURGE_LEAF: &[u8] = br#"{"action":"ledger.purge","#;

/// What holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The log's name.
    pub origin: String,
    /// How many entries.
    pub size: u64,
    /// Their root.
    pub root: NodeHash,
    /// The first entry that is still there; those before it were purged at the end of the log's own term.
    pub first: u64,
    /// What announced that they go; none where nothing was purged.
    pub purged: Option<Announcement>,
    /// Bytes of all entries that were read.
    pub bytes: u64,
    /// How many of them are covered by the newest cosignature of each witness that has one, and its time (UTC).
    pub witnessed: Vec<(String, u64, DateTime<Utc>)>,
    /// Where the clock went back: the first entry with the earlier time, and by how much. The log is whole all the same.
    pub clock_back: Vec<(u64, TimeDelta)>,
}

/// An entry that announced a purge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// Its time (UTC).
    pub at: DateTime<Utc>,
    /// Only entries from before this instant (UTC) were to go.
    pub before: DateTime<Utc>,
}

/// What does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// The checkpoint is missing, malformed or not signed by this key.
    #[error("the checkpoint: {0}")]
    Checkpoint(String),
    /// A tile or bundle is missing or malformed.
    #[error("{path} (entries {first} to {last}): {why}")]
    Unreadable {
        /// Which file.
        path: String,
        /// The first entry that it covers.
        first: u64,
        /// The last.
        last: u64,
        /// Why.
        why: String,
    },
    /// A bundle holds another number of entries than it must.
    #[error("{path} holds {found} entries instead of {expected}; the first that is not as signed is {seq}")]
    Count {
        /// Which file.
        path: String,
        /// Entries found.
        found: u64,
        /// Entries expected.
        expected: u64,
        /// Where it first departs.
        seq: u64,
    },
    /// An entry is not what was signed.
    #[error("entry {0} is not what was signed")]
    Entry(u64),
    /// An entry is as signed, but not canonical JSON: the log's writer broke its own form.
    #[error("entry {0} is not canonical JSON")]
    NotCanonical(u64),
    /// Entries and their tile were changed together; what was signed says otherwise.
    #[error("entries {first} to {last} are not what was signed")]
    Entries {
        /// The first that may be changed.
        first: u64,
        /// The last that may be changed.
        last: u64,
    },
    /// A tile is not what was signed, though the entries below it are.
    #[error("{path} (entries {first} to {last}) is not what was signed")]
    Tile {
        /// Which tile.
        path: String,
        /// The first entry below it.
        first: u64,
        /// The last.
        last: u64,
    },
    /// The entries do not have the root that was signed.
    #[error("the {size} entries do not have the root that was signed")]
    Root {
        /// The size of the checkpoint.
        size: u64,
    },
    /// The log is shorter than one that was signed, cosigned or shown before.
    #[error(
        "the log ends at entry {size}; {name} shows that it had {known} entries: it was cut or rolled back at {size}"
    )]
    Shorter {
        /// Entries that are there.
        size: u64,
        /// Who knows better.
        name: String,
        /// Entries that were signed.
        known: u64,
    },
    /// Something signed or shown before is not part of this log.
    #[error(
        "{name}: what was signed at {size} entries is not part of this log; it was rewritten between entry {from} and {size}"
    )]
    Forked {
        /// Who knows better.
        name: String,
        /// Up to here it is the history that the reader kept, by the largest smaller checkpoint or proof among what was kept that
        /// is part of it; 0 where there is none.
        from: u64,
        /// The size that was signed.
        size: u64,
    },
    /// A kept proof does not hold.
    #[error("{name}: entry {seq} is not where the proof shows it")]
    Proof {
        /// Which proof.
        name: String,
        /// Its entry.
        seq: u64,
    },
    /// Entries are missing and no entry of the log says that they were purged.
    #[error("entries 0 to {0} are missing without an entry that says they were purged")]
    Purge(u64),
    /// The announcement of a purge names an instant that was not past the log's term then.
    #[error(
        "the entries before {first} were purged too early: what was announced at {at} as older than {before} was not past the term \
         of {months} months"
    )]
    PurgedEarly {
        /// The first entry that is left.
        first: u64,
        /// When the purge was announced (UTC).
        at: DateTime<Utc>,
        /// What was said of the age of the entries (UTC).
        before: DateTime<Utc>,
        /// The term that was asked for.
        months: u32,
    },
    /// An entry that was kept elsewhere is younger than what was to be purged, and is gone.
    #[error(
        "{name}: entry {seq} was purged, though it is not older than {before} as the announcement of the purge says"
    )]
    PurgedYounger {
        /// The proof that brings the entry.
        name: String,
        /// The entry.
        seq: u64,
        /// What was announced (UTC).
        before: DateTime<Utc>,
    },
}

impl VerifyError {
    /// The first entry that the finding touches, where it has a place.
    pub fn position(&self) -> Option<u64> {
        match self {
            Self::Checkpoint(_) => None,
            Self::Unreadable { first: seq, .. }
            | Self::Count { seq, .. }
            | Self::Entry(seq)
            | Self::NotCanonical(seq)
            | Self::Entries { first: seq, .. }
            | Self::Tile { first: seq, .. }
            | Self::Shorter { size: seq, .. }
            | Self::Forked { from: seq, .. }
            | Self::Proof { seq, .. }
            | Self::PurgedYounger { seq, .. } => Some(*seq),
            Self::Root { .. } | Self::Purge(_) | Self::PurgedEarly { .. } => Some(0),
        }
    }
}

/// Recomputes a whole published log from its entries: every leaf, every tile, the root, the signatures.
///
/// # Errors
/// The first finding of [`inspect`].
pub fn verify(dir: &Path, log_vkey: &str, witnesses: &[WitnessKey]) -> Result<Verified, VerifyError> {
    let known = Known { witnesses: witnesses.to_vec(), ..Known::default() };
    inspect(dir, log_vkey, &known).map_err(|mut findings| findings.swap_remove(0))
}

/// The same, with what was kept from earlier, and with everything that is wrong (at most a hundred findings, by place).
///
/// # Errors
/// All findings; never an empty list.
pub fn inspect(dir: &Path, log_vkey: &str, known: &Known) -> Result<Verified, Vec<VerifyError>> {
    // First: what a witness signs while a living log is read is newer than the checkpoint.
    let beside = kept::read_beside(dir);
    let checkpoint = read_note(dir, "checkpoint", log_vkey).map_err(|e| vec![e])?;
    let mut findings = Vec::new();
    let (mut first, mut purged) = (0, None);
    if dir.join(PRUNED).exists() {
        let tombstone = read_note(dir, PRUNED, log_vkey).map_err(|e| vec![e])?;
        first = tombstone.size;
        purged = Some(tombstone.root);
        if !first.is_multiple_of(WIDTH) || first > checkpoint.size {
            return Err(vec![VerifyError::Purge(first)]);
        }
    }
    let tiles = TileDirectory::new(dir);
    let upper = Upper::read(&tiles, &checkpoint, first, &mut findings);
    let spans = read_entries(&tiles, checkpoint.size, first, &upper);

    let mut verified = Verified {
        origin: checkpoint.origin.clone(),
        size: checkpoint.size,
        root: checkpoint.root,
        first,
        purged: None,
        bytes: 0,
        witnessed: Vec::new(),
        clock_back: Vec::new(),
    };
    let mut own = Tree::new();
    let mut last: Option<[u8; 24]> = None;
    for span in spans.into_values() {
        verified.bytes += span.bytes;
        // The announcement stood in the log before a witness, so the tombstone may say nothing else.
        let announced = span.purges.into_iter().find(|purge| (purge.0, Some(purge.1)) == (first, purged));
        verified.purged = verified.purged.or(announced.map(|(_, _, announcement)| announcement));
        findings.extend(span.findings);
        if let (Some(before), Some((seq, at))) = (last, span.begins) {
            verified.clock_back.extend(stepped_back(before, at).map(|by| (seq, by)));
        }
        last = span.ends.or(last);
        verified.clock_back.extend(span.clock_back);
        if !upper.trusted && first == 0 {
            span.leaves.into_iter().for_each(|leaf| own.push(leaf));
        }
    }
    if !upper.trusted {
        // The edge is not what was signed. Are it and the tiles damaged, or are the entries other ones?
        let edge_finding = (own.root() == checkpoint.root && own.size() == checkpoint.size)
            .then(|| differing(&tiles, &own))
            .flatten();
        findings.push(edge_finding.unwrap_or(VerifyError::Root { size: checkpoint.size }));
    }
    let other_root = |root| upper.tree.as_ref().is_some_and(|tree| tree.root_at(first) != Some(root));
    match verified.purged {
        None if first > 0 => findings.push(VerifyError::Purge(first)),
        _ if upper.trusted && purged.is_some_and(other_root) => findings.push(VerifyError::Purge(first)),
        Some(announced) => findings.extend(announced.too_early(first, known.log_term)),
        None => {}
    }
    check_kept(beside, log_vkey, known, &checkpoint, upper.tree.as_ref(), &mut verified, &mut findings);
    if findings.is_empty() {
        return Ok(verified);
    }
    findings.sort_by_key(|finding| {
        (finding.position().unwrap_or(0), matches!(finding, VerifyError::Root { .. }))
    });
    findings.dedup();
    findings.truncate(MOST_FINDINGS);
    Err(findings)
}

fn read_note(dir: &Path, name: &str, log_vkey: &str) -> Result<Checkpoint, VerifyError> {
    let failed = |e: &dyn ToString| VerifyError::Checkpoint(format!("{name}: {}", e.to_string()));
    let note = fs::read_to_string(dir.join(name)).map_err(|e| failed(&e))?;
    Checkpoint::read(&note, log_vkey).map_err(|e| failed(&e))
}

fn unreadable(path: &Path, first: u64, last: u64, why: &dyn ToString) -> VerifyError {
    VerifyError::Unreadable { path: path.display().to_string(), first, last, why: why.to_string() }
}

impl Announcement {
    /// What is wrong with it where each entry must be kept for `term`.
    fn too_early(self, first: u64, term: Months) -> Option<VerifyError> {
        let Self { at, before } = self;
        let due = at.checked_sub_months(term).is_some_and(|due| before <= due);
        (!due).then(|| VerifyError::PurgedEarly { first, at, before, months: term.as_u32() })
    }
}

/// What an entry announces: the first entry that is to stay, the root of those before, and the rest.
fn announcement(leaf: &[u8]) -> Option<(u64, NodeHash, Announcement)> {
    let value: serde_json::Value = serde_json::from_slice(leaf).ok()?;
    let text = |pointer: &str| value.pointer(pointer)?.as_str();
    let root = BASE64_STANDARD.decode(text("/data/root")?).ok()?.try_into().ok()?;
    let (at, before) = (text("/at")?.parse().ok()?, text("/data/before")?.parse().ok()?);
    Some((value.pointer("/data/first")?.as_u64()?, root, Announcement { at, before }))
}

/// The tiles above the leaves' own.
struct Upper {
    /// Reads any node; present when the edge could be read.
    tree: Option<Tree>,
    /// Whether the edge has the root that was signed.
    trusted: bool,
    /// The roots of the bundles, by number: absent where the tile that holds them is not as signed.
    bundles: BTreeMap<u64, NodeHash>,
    /// The leaf hashes of the partial bundle.
    partial: Vec<NodeHash>,
}

impl Upper {
    fn read(
        tiles: &TileDirectory,
        checkpoint: &Checkpoint,
        first: u64,
        findings: &mut Vec<VerifyError>,
    ) -> Self {
        let size = checkpoint.size;
        let mut upper =
            Self { tree: None, trusted: size == 0, bundles: BTreeMap::new(), partial: Vec::new() };
        match Tree::open(tiles.clone(), size) {
            Ok(tree) => upper.tree = Some(tree),
            Err(e) => {
                findings.push(unreadable(
                    &tiles.dir().join("tile"),
                    0,
                    size.saturating_sub(1),
                    &format!("a tile of the right edge: {e}"),
                ));
                return upper;
            }
        }
        let Some(tree) = &upper.tree else { return upper };
        upper.trusted = tree.root() == checkpoint.root;
        if upper.trusted {
            upper.partial = tree.edge().into_iter().next().unwrap_or_default();
        }
        // From the top down: each level's hashes prove the tiles of the level below.
        let mut proven: BTreeMap<u64, NodeHash> = BTreeMap::new();
        for level in (1_u8..8).rev() {
            let shift = 8 * u32::from(level);
            let (count, pruned) = (size >> shift, first >> shift);
            if count == 0 {
                continue;
            }
            let mut below = BTreeMap::new();
            for n in pruned / WIDTH..count.div_ceil(WIDTH) {
                let width = WIDTH.min(count - n * WIDTH);
                let at = TileAt { level, n, width };
                let span = |n: u64| (n * WIDTH) << shift;
                let (from, to) = (span(n), span(n + 1).min(size) - 1);
                let path = hash_tile_path(level, n, width);
                let hashes = match tiles.hashes(at) {
                    Ok(hashes) => hashes,
                    Err(e) => {
                        findings.push(unreadable(&path, from, to, &e));
                        continue;
                    }
                };
                // A partial tile is part of the edge.
                let holds =
                    if width < WIDTH { upper.trusted } else { proven.get(&n).copied() == subtree(&hashes) };
                if holds {
                    below.extend((n * WIDTH..).zip(hashes));
                } else if upper.trusted && proven.contains_key(&n) {
                    findings.push(VerifyError::Tile {
                        path: path.display().to_string(),
                        first: from,
                        last: to,
                    });
                }
            }
            proven = below;
        }
        upper.bundles = proven;
        upper
    }
}

/// The first tile of the edge that is not what the entries make of it.
fn differing(tiles: &TileDirectory, own: &Tree) -> Option<VerifyError> {
    let size = own.size();
    crate::tiles::new_tiles(0, size).into_iter().find_map(|tile| {
        let expected = own.hashes(tile.level, tile.n * WIDTH, tile.width);
        let there = tiles.hashes(tile).ok();
        let shift = 8 * u32::from(tile.level);
        (expected != there).then(|| VerifyError::Tile {
            path: hash_tile_path(tile.level, tile.n, tile.width).display().to_string(),
            first: (tile.n * WIDTH) << shift,
            last: (((tile.n + 1) * WIDTH) << shift).min(size) - 1,
        })
    })
}

/// What one thread found in one span of bundles.
#[derive(Default)]
struct Span {
    bytes: u64,
    findings: Vec<VerifyError>,
    /// Leaf hashes, kept only where the edge is not trusted.
    leaves: Vec<NodeHash>,
    /// Announcements: the first entry that was to stay, the root of those before, and what else they say.
    purges: Vec<(u64, NodeHash, Announcement)>,
    begins: Option<(u64, [u8; 24])>,
    ends: Option<[u8; 24]>,
    clock_back: Vec<(u64, TimeDelta)>,
}

fn read_entries(tiles: &TileDirectory, size: u64, first: u64, upper: &Upper) -> BTreeMap<u64, Span> {
    let (from, until) = (first / WIDTH, size.div_ceil(WIDTH));
    let next = AtomicU64::new(from / SPAN);
    let spans = Mutex::new(BTreeMap::new());
    let threads = thread::available_parallelism().map_or(1, std::num::NonZero::get).min(8);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number * SPAN >= until {
                        return;
                    }
                    let mut span = Span::default();
                    for n in (number * SPAN).max(from)..((number + 1) * SPAN).min(until) {
                        span.bundle(tiles, n, WIDTH.min(size - n * WIDTH), upper);
                    }
                    spans.lock().unwrap_or_else(PoisonError::into_inner).insert(number, span);
                }
            });
        }
    });
    spans.into_inner().unwrap_or_else(PoisonError::into_inner)
}

impl Span {
    fn bundle(&mut self, tiles: &TileDirectory, n: u64, width: u64, upper: &Upper) {
        let first = n * WIDTH;
        let last = first + width - 1;
        let path = entries_path(n, width);
        let bytes = match tiles.bundle(n, width) {
            Ok(bytes) => bytes,
            Err(e) => return self.find(unreadable(&path, first, last, &e)),
        };
        let mut hashes = Vec::with_capacity(width as usize);
        let (mut odd, mut damaged) = (Vec::new(), false);
        let mut rest = bytes.as_slice();
        // A bundle that is fuller than the checkpoint asks is a newer one: its first entries count.
        while (hashes.len() as u64) < width && !rest.is_empty() {
            let Some((leaf, behind)) = next_entry(rest) else {
                damaged = true;
                break;
            };
            let seq = first + hashes.len() as u64;
            self.leaf(seq, leaf);
            if !is_canonical(leaf) {
                odd.push(seq);
            }
            hashes.push(leaf_hash(leaf));
            rest = behind;
        }
        if !upper.trusted {
            self.leaves.extend(&hashes);
        }
        let tile_path = hash_tile_path(0, n, width).display().to_string();
        let tile = tiles.hashes(TileAt { level: 0, n, width });
        if let Err(e) = &tile {
            self.find(unreadable(Path::new(&tile_path), first, last, e));
        }
        let tile = tile.ok();
        // What is proven of this bundle: its root, or, of the partial one, each leaf.
        let root = upper.bundles.get(&n).copied();
        let as_signed = if width == WIDTH {
            root.is_some() && subtree(&hashes) == root
        } else {
            upper.trusted && hashes == upper.partial
        };
        if as_signed {
            for seq in odd {
                self.find(VerifyError::NotCanonical(seq));
            }
            if tile.is_some_and(|tile| tile != hashes) {
                self.find(VerifyError::Tile { path: tile_path, first, last });
            }
            return;
        }
        let proven = if width < WIDTH {
            upper.trusted.then_some(&upper.partial)
        } else {
            tile.as_ref().filter(|tile| root.is_none() || subtree(tile) == root)
        };
        let Some(proven) = proven else {
            if upper.trusted {
                self.find(VerifyError::Entries { first, last });
            }
            return;
        };
        let differing = |seq: u64| hashes.get((seq - first) as usize) != proven.get((seq - first) as usize);
        if hashes.len() as u64 != width {
            let seq = (first..=last).find(|seq| differing(*seq)).unwrap_or(last);
            if damaged {
                return self.find(unreadable(&path, seq, last, &"the lengths of its entries do not fit"));
            }
            let (found, expected) = (hashes.len() as u64, width);
            return self.find(VerifyError::Count { path: path.display().to_string(), found, expected, seq });
        }
        (first..=last).filter(|seq| differing(*seq)).for_each(|seq| self.find(VerifyError::Entry(seq)));
    }

    fn find(&mut self, finding: VerifyError) {
        if self.findings.len() < MOST_FINDINGS {
            self.findings.push(finding);
        }
    }

    fn leaf(&mut self, seq: u64, leaf: &[u8]) {
        self.bytes += leaf.len() as u64;
        if leaf.starts_with(PURGE_LEAF) {
            self.purges.extend(announcement(leaf));
        }
        let Some(at) = time_text(leaf, b"\"at\":\"") else { return };
        match self.ends {
            Some(before) if at < before => {
                // What waited in the spool is logged later than it happened, and says both.
                let logged = time_text(leaf, b"\"logged_at\":\"");
                if let Some(by) = stepped_back(before, logged.unwrap_or(at))
                    && self.clock_back.len() < MOST_FINDINGS
                {
                    self.clock_back.push((seq, by));
                }
                if logged.is_none() {
                    self.ends = Some(at);
                }
            }
            _ => self.ends = Some(at),
        }
        if self.begins.is_none() {
            self.begins = Some((seq, time_text(leaf, b"\"logged_at\":\"").unwrap_or(at)));
        }
    }
}

fn next_entry(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = bytes.split_first_chunk::<2>()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*len)))
}

/// The text of a time, all of one length, so that they are compared without being read.
fn time_text(leaf: &[u8], mark: &[u8]) -> Option<[u8; 24]> {
    let start = leaf.windows(mark.len()).position(|window| window == mark)? + mark.len();
    leaf.get(start..start + 24)?.try_into().ok()
}

fn stepped_back(before: [u8; 24], at: [u8; 24]) -> Option<TimeDelta> {
    if at >= before {
        return None;
    }
    let read = |text: [u8; 24]| std::str::from_utf8(&text).ok()?.parse::<DateTime<Utc>>().ok();
    Some(read(before)? - read(at)?).filter(|by| *by > CLOCK_TOLERANCE)
}

/// The path of the file that holds the newest checkpoint with a cosignature.
pub fn witnessed_path(dir: &Path) -> PathBuf {
    dir.join(WITNESSED)
}
