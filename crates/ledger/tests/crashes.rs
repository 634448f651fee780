//! Crashes at any instant: nothing durable is lost, the tree only grows, open looks are closed.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod common;

use common::{at, config, look, runtime};
use ledger::{Clock, Entry, Filter, Justification, Ledger, LedgerError, Operation, Outcome, verify};
use proptest::prelude::*;
use std::fs;

#[test]
fn looks_that_a_crash_left_open_are_closed_at_the_start() {
    let root = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(config(root.path())).unwrap();
    runtime().block_on(async {
        ledger.append(look("live_view.start", "L1", "a", "ENS-C01")).await.unwrap();
        ledger.append(look("replay.start", "L2", "a", "ENS-C02")).await.unwrap();
        let refused = Entry {
            outcome: Outcome::Deny { reason_code: "OUTSIDE_LIVE_WINDOW".to_owned() },
            ..look("live_view.start", "L3", "a", "ENS-C01")
        };
        ledger.append(refused).await.unwrap();
        ledger.append_spooled(Entry { at: at(5), ..look("live_view.stop", "L1", "a", "ENS-C01") });
        ledger.append(Entry::heartbeat(at(60), Clock::Unknown)).await.unwrap();
    });
    assert_eq!(ledger.open_looks().iter().map(|l| l.look.as_str()).collect::<Vec<_>>(), ["L2"]);
    drop(ledger);
    let ledger = Ledger::open(config(root.path())).unwrap();
    runtime().block_on(async {
        let mut health = ledger.health();
        health.wait_for(|health| health.entries == 6).await.unwrap();
    });
    let (_, closing) = ledger.entries(5, 1).unwrap().remove(0);
    assert_eq!(closing["action"], "replay.stop");
    assert_eq!(closing["look"], "L2");
    assert_eq!(closing["outcome"], "unknown");
    assert_eq!(closing["object"]["camera"], "ENS-C02");
    assert_eq!(closing["data"]["start"], 1);
    assert_eq!(closing["data"]["between"][0], "2026-11-18T11:07:40.123Z");
    assert!(ledger.open_looks().is_empty());
    drop(ledger);
    // Once is enough.
    let ledger = Ledger::open(config(root.path())).unwrap();
    assert_eq!(ledger.size(), 6);
}

#[test]
fn cut_at_any_byte_of_the_last_record_the_log_goes_on_from_the_one_before() {
    let root = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(config(root.path())).unwrap();
    runtime().block_on(async {
        for n in 0..3 {
            ledger.append(Entry::heartbeat(at(n), Clock::Unknown)).await.unwrap();
        }
    });
    let path = root.path().join("log/sequence");
    let before = fs::metadata(&path).unwrap().len() as usize;
    runtime().block_on(ledger.append(look("live_view.start", "L1", "a", "ENS-C01"))).unwrap();
    drop(ledger);
    let whole = fs::read(&path).unwrap();
    // As if the power went before the checkpoint of the last entry was published.
    for cut in (before..whole.len()).step_by(31) {
        let copy = tempfile::tempdir().unwrap();
        fs::create_dir_all(copy.path().join("log")).unwrap();
        fs::write(copy.path().join("log/sequence"), &whole[..cut]).unwrap();
        let ledger = Ledger::open(config(copy.path())).unwrap();
        runtime().block_on(async {
            // A torn tail is itself worth an entry.
            let expected = 3 + u64::from(cut > before);
            ledger.health().wait_for(|health| health.entries == expected).await.unwrap();
            let receipt = ledger.append(Entry::heartbeat(at(9), Clock::Unknown)).await.unwrap();
            assert_eq!(receipt.seq, expected, "cut at {cut}");
            if cut > before {
                assert_eq!(ledger.entries(3, 1).unwrap()[0].1["action"], "ledger.tail_dropped");
            }
        });
        let (vkey, size) = (ledger.vkey(), ledger.size());
        drop(ledger);
        assert_eq!(verify(&copy.path().join("log"), &vkey, &[]).unwrap().size, size);
    }
    // But a log that is shorter than what was signed is not continued.
    fs::write(&path, &whole[..before]).unwrap();
    assert!(matches!(Ledger::open(config(root.path())), Err(LedgerError::Rewritten(_))));
    // Nor one that was rewritten with every checksum right.
    let other = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(config(other.path())).unwrap();
    runtime().block_on(async {
        for n in 0..9 {
            ledger.append(Entry::heartbeat(at(n + 100), Clock::Unknown)).await.unwrap();
        }
    });
    drop(ledger);
    fs::copy(other.path().join("log/sequence"), &path).unwrap();
    assert!(matches!(Ledger::open(config(root.path())), Err(LedgerError::Rewritten(_))));
    fs::write(&path, &whole).unwrap();
    assert_eq!(Ledger::open(config(root.path())).unwrap().size(), 4);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Any mix of entries, reopened after any number of them: same leaves, consistent trees.
    #[test]
    fn what_was_durable_stays_and_the_tree_only_grows(rounds in proptest::collection::vec(proptest::collection::vec("[ -~]{0,40}", 0..12), 1..5)) {
        let root = tempfile::tempdir().unwrap();
        let mut leaves: Vec<Vec<u8>> = Vec::new();
        let mut heads: Vec<(u64, [u8; 32])> = Vec::new();
        for round in rounds {
            let ledger = Ledger::open(config(root.path())).unwrap();
            for text in round {
                let entry = Entry {
                    justification: Justification { note: Some(text.clone()), ..Justification::default() },
                    data: Some(text.into()),
                    ..Entry::new(at(0), Operation::Admin, "test")
                };
                let seq = runtime().block_on(ledger.append(entry)).unwrap().seq;
                prop_assert_eq!(seq, leaves.len() as u64);
                leaves.push(ledger.leaf(seq).unwrap());
            }
            let size = ledger.size();
            prop_assert_eq!(size, leaves.len() as u64);
            for (seq, leaf) in leaves.iter().enumerate() {
                prop_assert_eq!(&ledger.leaf(seq as u64).unwrap(), leaf);
            }
            let root = if size == 0 { ledger::tree::Tree::new().root() } else { ledger.inclusion(0, size).unwrap().root };
            for (old, old_root) in &heads {
                prop_assert!(ledger.consistency(*old, size).unwrap().holds(*old_root, root));
            }
            heads.push((size, root));
        }
    }
}

#[test]
fn a_damaged_index_is_made_anew_whichever_page_was_hit() {
    const PAGE: usize = 4096;
    const ENTRIES: u64 = 200;
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("log/index.sqlite");
    let camera = Filter { camera: Some("ENS-C01".to_owned()), ..Filter::default() };
    {
        let ledger = Ledger::open(config(root.path())).unwrap();
        runtime().block_on(async {
            for n in 0..ENTRIES {
                let gap = Entry { look: None, ..look("record.gap", "", "a", "ENS-C01") };
                assert_eq!(ledger.append(gap).await.unwrap().seq, n);
            }
        });
        assert_eq!(ledger.find(&camera).unwrap().len() as u64, ENTRIES);
    }
    let whole = fs::read(&path).unwrap();
    let pages = whole.len() / PAGE;
    assert!(pages > 10, "{pages} pages");
    for hit in 0..pages {
        let mut torn = whole.clone();
        torn[hit * PAGE..(hit + 1) * PAGE].fill(0);
        fs::write(&path, torn).unwrap();
        let ledger = Ledger::open(config(root.path())).unwrap();
        let newest = ledger.newest("record.gap").unwrap().map(|(seq, _)| seq);
        assert_eq!(newest, Some(ENTRIES - 1), "page {hit} of {pages}");
        let found = ledger.find(&camera).unwrap().len() as u64;
        assert_eq!(found, ENTRIES, "page {hit} of {pages}");
    }
}
