//! What an attacker who holds the disks and the log's key can do to a log, and where the verifier sees it.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use chrono::{DateTime, Utc};
use ledger::{
    Clock, Entry, Known, Ledger, LedgerConfig, VerifyError, inspect,
    note::{CosignerKey, LogKey},
    tiles::{bundle, unbundle},
    tree::{Tree, leaf_hash},
};
use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};
use tempfile::TempDir;

const SIZE: u64 = 700;

fn at(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_000_000 + second, 0).unwrap()
}

fn config(root: &Path) -> LedgerConfig {
    LedgerConfig {
        limit: Duration::from_mins(1),
        ..LedgerConfig::new(root.join("log"), root.join("keys/log.key"), "rtr.example/test")
    }
}

/// A log of `size` entries, a second apart, published; and its key.
fn log_of(root: &Path, size: u64, first: i64) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let ledger = Ledger::open(config(root)).unwrap();
        let mut tasks = tokio::task::JoinSet::new();
        for n in ledger.size()..size {
            // One after the other into the queue, so that they keep their order.
            let entry = Entry::heartbeat(at(first + n as i64), Clock::Synchronised);
            let ledger = ledger.clone();
            tasks.spawn(async move { ledger.append(entry).await.unwrap() });
            tokio::task::yield_now().await;
        }
        tasks.join_all().await;
        ledger.published().wait_for(|published| *published >= size).await.unwrap();
        ledger.vkey()
    })
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

struct Attacked {
    dir: TempDir,
    vkey: String,
}

impl Attacked {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let vkey = log_of(dir.path(), SIZE, 0);
        Self { dir, vkey }
    }

    fn log(&self) -> PathBuf {
        self.dir.path().join("log")
    }

    fn look(&self) -> Result<ledger::Verified, Vec<VerifyError>> {
        inspect(&self.log(), &self.vkey, &Known::default())
    }

    /// Changes a file, looks, and puts it back.
    fn with(&self, path: &str, change: impl FnOnce(Vec<u8>) -> Vec<u8>) -> Vec<VerifyError> {
        let path = self.log().join(path);
        let good = fs::read(&path).unwrap();
        fs::write(&path, change(good.clone())).unwrap();
        let seen = self.look();
        fs::write(&path, good).unwrap();
        assert!(seen.is_err(), "an attack that nobody saw");
        seen.unwrap_err()
    }

    fn with_entries(&self, n: u64, width: u64, change: impl FnOnce(&mut Vec<Vec<u8>>)) -> Vec<VerifyError> {
        let path = ledger::tiles::entries_path(n, width);
        self.with(path.to_str().unwrap(), |bytes| {
            let mut entries = unbundle(&bytes).unwrap();
            change(&mut entries);
            bundle(&entries)
        })
    }
}

#[test]
fn every_flipped_byte_is_found_at_its_entry() {
    let log = Attacked::new();
    assert_eq!(log.look().unwrap().size, SIZE);
    // Each byte of one entry in a full bundle, and of one in the partial one.
    for (n, width, within) in [(1_u64, 256, 40_usize), (2, 188, 187)] {
        let path = ledger::tiles::entries_path(n, width);
        let bytes = fs::read(log.log().join(&path)).unwrap();
        let entries = unbundle(&bytes).unwrap();
        let start: usize = entries[..within].iter().map(|entry| entry.len() + 2).sum::<usize>() + 2;
        let seq = n * 256 + within as u64;
        for at in start..start + entries[within].len() {
            let found = log.with(path.to_str().unwrap(), |mut bytes| {
                bytes[at] ^= 1 << (at % 8);
                bytes
            });
            assert_eq!(found, [VerifyError::Entry(seq)], "byte {at}");
        }
        // A length before an entry moves everything behind it.
        let found = log.with(path.to_str().unwrap(), |mut bytes| {
            bytes[start - 1] ^= 0x01;
            bytes
        });
        assert_eq!(found[0].position(), Some(seq), "{found:?}");
    }
    // A byte of every hash in every tile, each time another one.
    for (path, first) in
        [("tile/0/000", 0), ("tile/0/001", 256), ("tile/0/002.p/188", 512), ("tile/1/000.p/2", 0)]
    {
        let length = fs::metadata(log.log().join(path)).unwrap().len() as usize;
        for hash in (0..length).step_by(32) {
            let at = hash + hash / 32 % 32;
            let found = log.with(path, |mut bytes| {
                bytes[at] ^= 0x40;
                bytes
            });
            assert_eq!(found[0].position(), Some(first), "{path} byte {at}: {found:?}");
        }
    }
    // Every byte of the checkpoint's text and of its signature.
    for at in 0..fs::metadata(log.log().join("checkpoint")).unwrap().len() as usize {
        let found = log.with("checkpoint", |mut bytes| {
            bytes[at] ^= 1 << (at % 7);
            bytes
        });
        assert_eq!(found[0].position(), None, "checkpoint byte {at}: {found:?}");
    }
}

#[test]
fn a_bent_cosignature_and_a_bent_tombstone_are_found() {
    let log = Attacked::new();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let police = CosignerKey::load_or_create(&log.dir.path().join("w.key"), "politie.example/w").unwrap();
    runtime.block_on(async {
        let ledger = Ledger::open(config(log.dir.path())).unwrap();
        ledger.trust_witness(&police.vkey()).unwrap();
        let witness = async |second: i64| {
            let size = ledger.size();
            ledger.published().wait_for(|published| *published >= size).await.unwrap();
            let note = ledger.checkpoint().unwrap();
            let (text, signatures) = note.split_once("\n\n").unwrap();
            let own = signatures.lines().next().unwrap();
            let line = police.cosign(&format!("{text}\n"), at(second)).unwrap();
            ledger.record_cosignature(&format!("{text}\n\n{own}\n{line}")).unwrap();
        };
        witness(1000).await;
        // Past every term.
        let later = 6 * 366 * 86_400;
        ledger.purge(at(2 * SIZE as i64), at(later)).await.unwrap();
        witness(1001).await;
        let done = ledger.purge(at(2 * SIZE as i64), at(later + 1)).await.unwrap();
        assert_eq!(done, ledger::Purge::Done { first: 256 });
        // One entry more, so that the newest checkpoint does not bear the cosignature as well.
        ledger.append(Entry::heartbeat(at(later + 2), Clock::Synchronised)).await.unwrap();
        let size = ledger.size();
        ledger.published().wait_for(|published| *published >= size).await.unwrap();
    });
    let witnesses = vec![ledger::WitnessKey::parse(&police.vkey()).unwrap()];
    let known = Known { witnesses, ..Known::default() };
    let look = || inspect(&log.log(), &log.vkey, &known);
    let good = look().unwrap();
    assert_eq!((good.first, good.witnessed.len()), (256, 1));
    for (name, must_fail) in [("checkpoint.pruned", true), ("checkpoint.witnessed", false)] {
        let path = log.log().join(name);
        let bytes = fs::read(&path).unwrap();
        for at in 0..bytes.len() {
            let mut bent = bytes.clone();
            bent[at] ^= 1 << (at % 7);
            fs::write(&path, bent).unwrap();
            match look() {
                Err(_) => {}
                // The log's own signature is whole: then it is the witness's line that counts for nothing.
                Ok(seen) => assert!(!must_fail && seen.witnessed.is_empty(), "{name} byte {at}"),
            }
        }
        fs::write(&path, bytes).unwrap();
    }
    // A tombstone with another root or of other entries, signed with the log's true key.
    let signer = LogKey::load_or_create(&log.dir.path().join("keys/log.key"), "rtr.example/test").unwrap();
    for (size, root) in [(256, [7; 32]), (512, good.root)] {
        let path = log.log().join("checkpoint.pruned");
        let honest = fs::read(&path).unwrap();
        fs::write(&path, signer.sign(size, root).unwrap()).unwrap();
        assert!(look().unwrap_err().contains(&VerifyError::Purge(size)));
        fs::write(&path, honest).unwrap();
    }
    look().unwrap();
}

#[test]
fn dropped_added_reordered_and_missing_entries_are_found_at_their_place() {
    let log = Attacked::new();
    let found = log.with_entries(1, 256, |entries| drop(entries.remove(10)));
    assert_eq!(found[0].position(), Some(266), "{found:?}");
    assert!(matches!(found[0], VerifyError::Count { found: 255, expected: 256, .. }));
    let found = log.with_entries(1, 256, |entries| entries.swap(3, 200));
    assert_eq!(found, [VerifyError::Entry(259), VerifyError::Entry(456)]);
    let found = log.with_entries(0, 256, |entries| entries[255] = br#"{"action":"x"}"#.to_vec());
    assert_eq!(found, [VerifyError::Entry(255)]);
    let found = log.with_entries(2, 188, |entries| drop(entries.pop()));
    assert_eq!(found[0].position(), Some(699), "{found:?}");
    for (path, first) in [("tile/entries/001", 256), ("tile/0/001", 256), ("tile/entries/002.p/188", 512)] {
        let moved = log.log().join("aside");
        fs::rename(log.log().join(path), &moved).unwrap();
        let found = log.look().unwrap_err();
        assert_eq!(found[0].position(), Some(first), "{path}: {found:?}");
        fs::rename(&moved, log.log().join(path)).unwrap();
    }
    log.look().unwrap();
}

#[test]
fn an_entry_rewritten_together_with_its_tiles_is_found() {
    let log = Attacked::new();
    // With the tile of its bundle: the tile above does not know it.
    let mut leaves = unbundle(&fs::read(log.log().join("tile/entries/001")).unwrap()).unwrap();
    let mut changed = leaves.clone();
    changed[7] = br#"{"action":"forged"}"#.to_vec();
    let tile = |leaves: &[Vec<u8>]| leaves.iter().flat_map(|leaf| leaf_hash(leaf)).collect::<Vec<u8>>();
    fs::write(log.log().join("tile/entries/001"), bundle(&changed)).unwrap();
    let good_tile = fs::read(log.log().join("tile/0/001")).unwrap();
    fs::write(log.log().join("tile/0/001"), tile(&changed)).unwrap();
    let found = log.look().unwrap_err();
    assert_eq!(found, [VerifyError::Entries { first: 256, last: 511 }]);
    // With every tile above: then it is the root that differs.
    let mut tree = Tree::new();
    for leaf in &changed {
        tree.push(leaf_hash(leaf));
    }
    let above = fs::read(log.log().join("tile/1/000.p/2")).unwrap();
    let forged = [&above[..32], &tree.root()].concat();
    fs::write(log.log().join("tile/1/000.p/2"), forged).unwrap();
    assert!(log.look().unwrap_err().contains(&VerifyError::Root { size: SIZE }));
    leaves.truncate(256);
    fs::write(log.log().join("tile/entries/001"), bundle(&leaves)).unwrap();
    fs::write(log.log().join("tile/0/001"), good_tile).unwrap();
    fs::write(log.log().join("tile/1/000.p/2"), above).unwrap();
    log.look().unwrap();
}

#[test]
fn a_rollback_a_fork_and_an_old_checkpoint_are_found_by_whoever_kept_something() {
    let log = Attacked::new();
    let last_night = tempfile::tempdir().unwrap();
    copy(log.dir.path(), last_night.path());
    let before = fs::read_to_string(log.log().join("checkpoint")).unwrap();
    log_of(log.dir.path(), SIZE + 300, 0);
    let kept = fs::read_to_string(log.log().join("checkpoint")).unwrap();
    let proof = {
        let mut published = ledger::Published::open(&log.log(), &log.vkey).unwrap();
        published.prove(900).unwrap().to_text()
    };
    let know = |kept: &[&str]| Known {
        kept: kept.iter().map(|text| ("kept".to_owned(), (*text).to_owned())).collect(),
        ..Known::default()
    };
    inspect(&log.log(), &log.vkey, &know(&[&kept, &proof])).unwrap();
    // Last night's backup is whole in itself; what was shown later gives it away, at the entry where it ends.
    let old = last_night.path().join("log");
    inspect(&old, &log.vkey, &Known::default()).unwrap();
    for shown in [&kept, &proof] {
        let found = inspect(&old, &log.vkey, &know(&[shown])).unwrap_err();
        assert_eq!(found, [VerifyError::Shorter { size: SIZE, name: "kept".to_owned(), known: SIZE + 300 }]);
    }
    // It goes on from there with another history, signed with the true key: two readers compare.
    log_of(last_night.path(), SIZE + 400, 5000);
    inspect(&old, &log.vkey, &Known::default()).unwrap();
    for shown in [&kept, &proof] {
        let found = inspect(&old, &log.vkey, &know(&[shown])).unwrap_err();
        let forked = |from| VerifyError::Forked { name: "kept".to_owned(), from, size: SIZE + 300 };
        assert_eq!(found, [forked(0)]);
        // What was kept from before the fork says from where to look.
        let found = inspect(&old, &log.vkey, &know(&[shown, &before])).unwrap_err();
        assert_eq!(found, [forked(SIZE)]);
        assert_eq!(found[0].position(), Some(SIZE));
    }
    // Two whole copies say where they part.
    let [ours, theirs] = [&log.log(), &old].map(|dir| ledger::Published::open(dir, &log.vkey).unwrap());
    assert_eq!((ours.parts_from(&theirs).unwrap(), ours.parts_from(&ours).unwrap()), (Some(SIZE), None));
    // An old checkpoint put back over the newer log: what the witness signed later lies beside it.
    let key = CosignerKey::load_or_create(&log.dir.path().join("w.key"), "politie.example/w").unwrap();
    let text = kept.split_once("\n\n").unwrap().0.to_owned() + "\n";
    let cosigned = kept.clone() + &key.cosign(&text, at(0)).unwrap();
    fs::write(log.log().join("checkpoint.witnessed"), cosigned).unwrap();
    let signer = LogKey::load_or_create(&log.dir.path().join("keys/log.key"), "rtr.example/test").unwrap();
    let mut tree = Tree::new();
    let mut published = ledger::Published::open(&log.log(), &log.vkey).unwrap();
    (0..600).for_each(|seq| tree.push(leaf_hash(&published.leaf(seq).unwrap())));
    fs::write(log.log().join("checkpoint"), signer.sign(600, tree.root()).unwrap()).unwrap();
    let found = log.look().unwrap_err();
    assert!(
        found.iter().any(|f| matches!(f, VerifyError::Shorter { size: 600, known: 1000, .. })),
        "{found:?}"
    );
}

#[test]
fn a_clock_that_was_set_back_is_seen_at_its_entry() {
    let dir = tempfile::tempdir().unwrap();
    log_of(dir.path(), 300, 0);
    let vkey = log_of(dir.path(), 310, -3600);
    let seen = inspect(&dir.path().join("log"), &vkey, &Known::default()).unwrap();
    assert_eq!(seen.clock_back.len(), 1);
    assert_eq!(seen.clock_back[0].0, 300);
    assert!((3590..3600).contains(&seen.clock_back[0].1.num_seconds()), "{:?}", seen.clock_back);
}
