//! The end of the log's own term.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod common;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use chrono::DateTime;
use common::{at, config, look, published};
use ledger::{
    Clock, Entry, Filter, Known, Ledger, LedgerError, Operation, VerifyError, note::CosignerKey, verify,
};
use std::fs;

const MONTH: i64 = 31 * 86_400;
/// When what is a month old is past every term.
const LATER: i64 = 100 * MONTH;

/// What the publisher and the witness do together.
async fn witness(ledger: &Ledger, police: &CosignerKey, second: i64) {
    published(ledger, ledger.size()).await;
    let note = ledger.checkpoint().unwrap();
    let text = note.split_once("\n\n").unwrap().0.to_owned() + "\n";
    let own = note.lines().find(|line| line.starts_with('—')).unwrap();
    let cosigned = format!("{text}\n{own}\n{}", police.cosign(&text, at(second)).unwrap());
    ledger.record_cosignature(&cosigned).unwrap();
}

fn police(root: &std::path::Path, ledger: &Ledger) -> CosignerKey {
    let police = CosignerKey::load_or_create(&root.join("witness.key"), "politie.example/w").unwrap();
    ledger.trust_witness(&police.vkey()).unwrap();
    police
}

#[tokio::test]
async fn a_cut_logged_in_the_next_month_keeps_the_key_of_its_own() {
    let root = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(config(root.path())).unwrap();
    let police = police(root.path(), &ledger);
    let mut appends = tokio::task::JoinSet::new();
    for n in 0..600_i64 {
        // The entry that is kept first is of the later month; one behind it happened in the month before.
        let when = if n < 256 || n == 300 { at(n) } else { at(2 * MONTH + n) };
        let entry = Entry { at: when, look: None, ..look("replay.start", "", "a", "ENS-C01") };
        let ledger = ledger.clone();
        appends.spawn(async move { ledger.append(entry).await.unwrap() });
        tokio::task::yield_now().await;
    }
    appends.join_all().await;
    witness(&ledger, &police, 1).await;
    let (cutoff, now) = (at(MONTH), at(LATER));
    assert!(matches!(ledger.purge(cutoff, now).await.unwrap(), ledger::Purge::Announced { first: 256, .. }));
    witness(&ledger, &police, 2).await;
    assert_eq!(ledger.purge(cutoff, now).await.unwrap(), ledger::Purge::Done { first: 256 });
    let late = ledger.details(300).unwrap();
    assert_eq!(late.and_then(|details| details.actor).as_deref(), Some("a"), "its month's key is gone");
}

#[tokio::test]
async fn a_log_from_before_a_new_epoch_ends_with_its_term() {
    let root = tempfile::tempdir().unwrap();
    let old = Ledger::open(config(root.path())).unwrap();
    // Years ago: the ledger itself sees to the keys of this month and the next.
    let then = DateTime::from_timestamp(1_577_900_000, 0).unwrap();
    old.append(Entry { at: then, look: None, ..look("replay.start", "L", "a", "ENS-C01") }).await.unwrap();
    drop(old);
    let aside = root.path().join("log-until-1");
    fs::rename(root.path().join("log"), &aside).unwrap();
    fs::write(root.path().join("log-until-1.key"), "secret").unwrap();
    fs::write(root.path().join("log-until-1.vkey"), "public").unwrap();
    fs::write(root.path().join("log-until-2"), "no folder").unwrap();
    let ledger = Ledger::open(config(root.path())).unwrap();
    let police = police(root.path(), &ledger);
    ledger.append(Entry::heartbeat(at(2 * MONTH), Clock::Unknown)).await.unwrap();
    let key_of_then = root.path().join("keys/ledger-months/2020-01");
    assert!(key_of_then.exists());

    let sequence = fs::File::options().write(true).open(aside.join("sequence")).unwrap();
    sequence.set_modified(at(10).into()).unwrap();
    let (cutoff, now) = (at(MONTH), at(2 * MONTH));
    assert!(ledger.purge_former(at(5), now).await.unwrap().is_empty(), "its newest entry is within the term");
    let announced = vec![(aside.clone(), ledger::Former::Announced { seq: 1 })];
    assert_eq!(ledger.purge_former(cutoff, now).await.unwrap(), announced);
    assert_eq!(ledger.purge_former(cutoff, now).await.unwrap(), announced, "announced once");
    assert_eq!(ledger.newest("ledger.epoch_purge").unwrap().unwrap().1["data"]["folder"], "log-until-1");
    witness(&ledger, &police, 1).await;
    let done = ledger.purge_former(cutoff, now).await.unwrap();
    assert_eq!(done, [(aside.clone(), ledger::Former::Destroyed)]);
    assert!(!aside.exists() && !root.path().join("log-until-1.key").exists());
    assert!(root.path().join("log-until-1.vkey").exists(), "with it the grant can still be read");
    assert!(!key_of_then.exists(), "nobody needs that month's key any more");
    assert!(ledger.purge_former(cutoff, now).await.unwrap().is_empty());
}

#[tokio::test]
async fn the_end_of_the_logs_own_term_leaves_a_tombstone_and_a_tree_that_verifies() {
    let root = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(config(root.path())).unwrap();
    let police = CosignerKey::load_or_create(&root.path().join("witness.key"), "politie.example/w").unwrap();
    ledger.trust_witness(&police.vkey()).unwrap();
    let key = ledger::WitnessKey::parse(&police.vkey()).unwrap();
    let month = 31 * 86_400;
    for n in 0..900_i64 {
        // 400 entries of one month, the others two months later.
        let at = if n < 400 { at(n) } else { at(2 * month + n) };
        ledger.append(Entry { at, look: None, ..look("replay.start", "", "a", "ENS-C01") }).await.unwrap();
    }
    let cutoff = at(month);
    let dir = root.path().join("log");
    let witness = |second: i64| {
        let (ledger, police) = (ledger.clone(), &police);
        async move {
            published(&ledger, ledger.size()).await;
            let note = ledger.checkpoint().unwrap();
            let text = note.split_once("\n\n").unwrap().0.to_owned() + "\n";
            let own = note.lines().find(|line| line.starts_with('—')).unwrap();
            let cosigned = format!("{text}\n{own}\n{}", police.cosign(&text, at(second)).unwrap());
            ledger.record_cosignature(&cosigned).unwrap();
        }
    };
    let kept = ledger.inclusion(700, 900).unwrap();
    // Nothing goes before a witness has seen it, and nothing before it has seen the announcement.
    assert_eq!(ledger.purge(cutoff, at(LATER)).await.unwrap(), ledger::Purge::NothingDue);
    witness(1).await;
    let announced = ledger::Purge::Announced { first: 256, seq: 900 };
    assert_eq!(ledger.purge(cutoff, at(LATER)).await.unwrap(), announced);
    assert_eq!(ledger.purge(cutoff, at(LATER)).await.unwrap(), announced);
    assert!(dir.join("tile/entries/000").exists());
    witness(2).await;
    assert_eq!(ledger.purge(cutoff, at(LATER)).await.unwrap(), ledger::Purge::Done { first: 256 });
    assert!(!dir.join("tile/entries/000").exists() && !dir.join("tile/0/000").exists());
    assert!(matches!(ledger.leaf(255), Err(LedgerError::Purged { asked: 255, first: 256 })));
    assert!(ledger.leaf(256).is_ok());
    let sequence = fs::read(dir.join("sequence")).unwrap();
    assert!(sequence[16..40_000].iter().all(|byte| *byte == 0), "the bytes are gone");
    // What is left verifies, old proofs hold, and the log goes on; also after a restart that reads everything anew.
    let vkey = ledger.vkey();
    assert!(kept.holds_for(&ledger.leaf(700).unwrap()));
    let mut open = Some(ledger);
    for round in 0..3 {
        let ledger = open.take().unwrap_or_else(|| Ledger::open(config(root.path())).unwrap());
        ledger.append(Entry::heartbeat(at(LATER), Clock::Unknown)).await.unwrap();
        published(&ledger, ledger.size()).await;
        let seen = verify(&dir, &ledger.vkey(), std::slice::from_ref(&key)).unwrap();
        assert_eq!((seen.first, seen.size), (256, 902 + round));
        let found =
            ledger.query(&Filter { camera: Some("ENS-C01".to_owned()), ..Filter::default() }).unwrap();
        assert_eq!(found.first().map(|(seq, _)| *seq), Some(256));
        drop(ledger);
        // Whoever holds the months' keys reads what is left, as an audit does.
        let months = ledger::MonthKeys::open(&root.path().join("keys/ledger-months")).unwrap();
        let mut details = months.details(&dir).unwrap();
        let log = ledger::Published::open(&dir, &vkey).unwrap();
        let mut opened = 0;
        for (seq, leaf) in ledger::leaves_in_order(&log) {
            let details = details.of(seq, &leaf.unwrap()).unwrap();
            opened += u64::from(details.is_some_and(|details| details.actor.as_deref() == Some("a")));
        }
        assert_eq!(opened, 900 - 256);
        assert!(matches!(details.of(3, b"{}"), Err(LedgerError::Purged { asked: 3, .. })));
        if round == 0 {
            continue;
        }
        fs::remove_file(dir.join("progress")).unwrap();
        fs::remove_file(dir.join("index.sqlite")).unwrap();
    }
    // Without its announcement the gap is a crime.
    fs::rename(dir.join("checkpoint.pruned"), dir.join("aside")).unwrap();
    assert!(verify(&dir, &vkey, &[]).is_err());
}

#[tokio::test]
async fn a_purge_before_the_term_was_over_does_not_hold() {
    let root = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(config(root.path())).unwrap();
    let police = police(root.path(), &ledger);
    let mut appends = tokio::task::JoinSet::new();
    for n in 0..600_i64 {
        let entry = Entry { at: at(n), look: None, ..look("replay.start", "", "a", "ENS-C01") };
        let ledger = ledger.clone();
        appends.spawn(async move { ledger.append(entry).await.unwrap() });
        tokio::task::yield_now().await;
    }
    appends.join_all().await;
    witness(&ledger, &police, 1).await;
    let (receipt, older) = (ledger.receipt(255).unwrap().to_text(), ledger.receipt(99).unwrap().to_text());
    // A host that claims less than it takes, five years later by a clock that it set.
    let now = at(62 * MONTH);
    let root_of_256 = BASE64_STANDARD.encode(ledger.inclusion(0, 256).unwrap().root);
    let data = serde_json::json!({ "first": 256, "root": root_of_256, "before": at(100) });
    let announcement = Entry { data: Some(data), ..Entry::new(now, Operation::Destroy, "ledger.purge") };
    ledger.append(announcement).await.unwrap();
    witness(&ledger, &police, 2).await;
    assert_eq!(ledger.purge(at(MONTH), now).await.unwrap(), ledger::Purge::Done { first: 256 });
    let dir = root.path().join("log");
    let inspected = |months: u32, kept: &str| {
        let kept = (!kept.is_empty()).then(|| ("receipt".to_owned(), kept.to_owned()));
        let log_term = chrono::Months::new(months);
        let known = Known { kept: kept.into_iter().collect(), log_term, ..Known::default() };
        ledger::inspect(&dir, &ledger.vkey(), &known)
    };
    let announced = inspected(60, "").unwrap().purged.unwrap();
    assert_eq!((announced.at, announced.before), (now, at(100)));
    assert!(inspected(60, &older).is_ok(), "the receipt of an entry that was as old as was said");
    let early = inspected(72, "").unwrap_err();
    assert!(matches!(early[..], [VerifyError::PurgedEarly { first: 256, months: 72, .. }]), "{early:?}");
    let younger = inspected(60, &receipt).unwrap_err();
    assert!(matches!(younger[..], [VerifyError::PurgedYounger { seq: 255, .. }]), "{younger:?}");
}

#[tokio::test]
async fn a_purge_that_was_cut_short_is_finished_wherever_it_stopped() {
    // What cannot be removed as a file stops the purge there, as a crash would.
    for (stops_at, restarts) in
        [("tile/0/000", true), ("tile/0/000", false), ("tile/entries/000", true), ("tile/entries/001", false)]
    {
        let root = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::open(config(root.path())).unwrap();
        let police = police(root.path(), &ledger);
        let mut appends = tokio::task::JoinSet::new();
        for n in 0..900_i64 {
            let at = if n < 512 { at(n) } else { at(2 * MONTH + n) };
            let entry = Entry { at, look: None, ..look("replay.start", "", "a", "ENS-C01") };
            let ledger = ledger.clone();
            appends.spawn(async move { ledger.append(entry).await.unwrap() });
            tokio::task::yield_now().await;
        }
        appends.join_all().await;
        witness(&ledger, &police, 1).await;
        let announced = ledger.purge(at(MONTH), at(LATER)).await.unwrap();
        assert!(matches!(announced, ledger::Purge::Announced { first: 512, .. }), "{announced:?}");
        witness(&ledger, &police, 2).await;
        let dir = root.path().join("log");
        let obstacle = dir.join(stops_at);
        fs::remove_file(&obstacle).unwrap();
        fs::create_dir(&obstacle).unwrap();
        assert!(ledger.purge(at(MONTH), at(LATER)).await.is_err(), "{stops_at}");
        fs::remove_dir(&obstacle).unwrap();
        if restarts {
            drop(ledger);
            ledger = Ledger::open(config(root.path())).unwrap();
            published(&ledger, 901).await;
        } else {
            assert_eq!(ledger.purge(at(MONTH), at(LATER)).await.unwrap(), ledger::Purge::NothingDue);
        }
        for gone in ["tile/entries/000", "tile/entries/001", "tile/0/000", "tile/0/001"] {
            assert!(!dir.join(gone).exists(), "stopped at {stops_at}: {gone} is still there");
        }
        let sequence = fs::read(dir.join("sequence")).unwrap();
        assert!(sequence[16..80_000].iter().all(|byte| *byte == 0), "{stops_at}: the bytes are still there");
        assert!(
            !root.path().join("keys/ledger-months/2026-11").exists(),
            "{stops_at}: the month's key lives"
        );
        assert_eq!(verify(&dir, &ledger.vkey(), &[]).unwrap().first, 512);
    }
}
