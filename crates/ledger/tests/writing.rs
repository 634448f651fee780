//! What is written: canonical leaves without persons, many writers in one sync, what cannot be a leaf.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod common;

use chrono::TimeDelta;
use common::{at, config, look, published, runtime};
use ledger::{Clock, DiskFaults, DiskStep, Entry, Filter, Justification, Ledger, LedgerConfig, LedgerError};
use std::{
    collections::BTreeSet,
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

#[tokio::test]
async fn an_entry_is_a_canonical_leaf_without_personal_data() {
    let root = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(config(root.path())).unwrap();
    let entry = Entry {
        justification: Justification {
            purpose: Some("incident".to_owned()),
            case_number: Some("PL0600-2026123456".to_owned()),
            note: Some("man met rode jas".to_owned()),
            ..Justification::default()
        },
        ..look("live_view.start", "L1", "j.jansen", "ENS-C01")
    };
    let receipt = ledger.append(entry).await.unwrap();
    assert_eq!((receipt.seq, receipt.at), (0, at(0)));
    let leaf = String::from_utf8(ledger.leaf(0).unwrap()).unwrap();
    for secret in ["jansen", "desk-3", "10.0.0.7", "PL0600", "rode jas"] {
        assert!(!leaf.contains(secret), "{leaf}");
    }
    assert!(leaf.starts_with(r#"{"action":"live_view.start","actor":{"authorisation":"sha256:"#), "{leaf}");
    assert!(leaf.contains(r#""at":"2026-11-18T11:06:40.123Z""#), "{leaf}");
    let (_, value) = ledger.entries(0, 10).unwrap().remove(0);
    assert_eq!(ledger::canonical::to_canonical(&value).unwrap(), leaf);
    // Whoever holds the month's key sees what stands behind it, and that it fits.
    let details = ledger.details(0).unwrap().unwrap();
    assert_eq!(details.actor.as_deref(), Some("j.jansen"));
    assert_eq!(details.committed["justification.note"].text, "man met rode jas");
    for (place, opening) in &details.committed {
        let (group, field) = place.split_once('.').unwrap();
        assert_eq!(value[group][field], opening.commitment(place), "{place}");
    }
    assert_eq!(ledger.pseudonym("j.jansen", at(0)).unwrap().as_deref(), value["actor"]["pseudonym"].as_str());
    // Without the key the leaf remains and the details do not. (Once the writer has had a second round it has made this
    // month's key sure and does not make it again.)
    ledger.append(Entry::heartbeat(at(1), Clock::Unknown)).await.unwrap();
    ledger.destroy_month("2026-11").unwrap();
    assert_eq!(ledger.details(0).unwrap(), None);
    assert_eq!(ledger.leaf(0).unwrap(), leaf.as_bytes());
}

#[tokio::test]
async fn a_person_has_another_pseudonym_each_month() {
    let root = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(config(root.path())).unwrap();
    for days in [0, 1, 31] {
        let entry = Entry { at: at(days * 86_400), ..look("replay.start", "L", "a", "ENS-C01") };
        ledger.append(entry).await.unwrap();
    }
    let names: Vec<_> = ledger
        .entries(0, 9)
        .unwrap()
        .iter()
        .map(|(_, leaf)| leaf["actor"]["pseudonym"].to_string())
        .collect();
    assert_eq!(names[0], names[1]);
    assert_ne!(names[0], names[2]);
    // And is found under both.
    let found = ledger.query(&Filter { who: Some("a".to_owned()), ..Filter::default() }).unwrap();
    assert_eq!(found.len(), 3);
}

#[test]
fn sixty_four_writers_at_once_share_their_syncs() {
    #[derive(Default)]
    struct Syncs(AtomicU64);
    impl DiskFaults for Syncs {
        fn before(&self, step: DiskStep) -> io::Result<()> {
            if step == DiskStep::Sync {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        }
    }
    let root = tempfile::tempdir().unwrap();
    let syncs = Arc::new(Syncs::default());
    let ledger = Ledger::open(LedgerConfig { faults: Some(syncs.clone()), ..config(root.path()) }).unwrap();
    let began = Instant::now();
    let threads: Vec<_> = (0..64)
        .map(|writer| {
            let ledger = ledger.clone();
            std::thread::spawn(move || {
                runtime().block_on(async move {
                    let mut receipts = Vec::new();
                    for n in 0..20 {
                        let name = format!("{writer}-{n}");
                        let receipt =
                            ledger.append(look("live_view.start", &name, "a", "ENS-C01")).await.unwrap();
                        receipts.push((receipt.seq, name));
                    }
                    receipts
                })
            })
        })
        .collect();
    let receipts: Vec<_> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
    let took = began.elapsed();
    let leaves = ledger.entries(0, 2000).unwrap();
    assert_eq!(leaves.len(), 64 * 20);
    for (seq, name) in &receipts {
        assert_eq!(leaves[*seq as usize].1["look"], name.as_str(), "the receipt names its own entry");
    }
    assert_eq!(receipts.iter().map(|(seq, _)| *seq).collect::<BTreeSet<_>>().len(), 64 * 20);
    let syncs = syncs.0.load(Ordering::Relaxed);
    eprintln!(
        "1280 entries by 64 writers: {took:?}, {syncs} syncs, {:.0} entries/s",
        1280.0 / took.as_secs_f64()
    );
    assert!(syncs < 1280, "{syncs} syncs: no group commit");
}

#[tokio::test]
async fn what_cannot_be_a_leaf_is_refused_and_harms_nothing() {
    let root = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(config(root.path())).unwrap();
    let big = Entry { data: Some("x".repeat(70_000).into()), ..Entry::heartbeat(at(0), Clock::Unknown) };
    assert!(matches!(ledger.append(big.clone()).await, Err(LedgerError::TooLarge(_))));
    assert!(ledger.health().borrow().writable);
    assert!(matches!(Ledger::open(config(root.path())), Err(LedgerError::InUse(_))));
    assert!(matches!(ledger.leaf(0), Err(LedgerError::Beyond { asked: 0, size: 0 })));
    // Nobody waits for what is spooled, so nobody hears of the refusal: the log tells that something is missing.
    ledger.append_spooled(big);
    published(&ledger, 1).await;
    assert_eq!(ledger.entries(0, 1).unwrap().remove(0).1["data"]["spool_lost"], 1);
    assert!(ledger.health().borrow().writable);
    ledger.append(Entry::heartbeat(at(0) + TimeDelta::days(1), Clock::Unknown)).await.unwrap();
}
