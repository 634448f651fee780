//! What is read: the published log, cosignatures, the index.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod common;

use chrono::DateTime;
use common::{at, config, look, published};
use ledger::{Clock, Entry, Filter, Ledger, LedgerConfig, Object, Outcome, note::CosignerKey, verify};
use std::fs;

/// Waits for all of them at the same time.
async fn futures_join<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut waiting: Vec<_> = futures.into_iter().map(|f| (Box::pin(f), None)).collect();
    std::future::poll_fn(|cx| {
        for (future, output) in &mut waiting {
            if output.is_none()
                && let std::task::Poll::Ready(ready) = future.as_mut().poll(cx)
            {
                *output = Some(ready);
            }
        }
        if waiting.iter().all(|(_, output)| output.is_some()) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    waiting.into_iter().map(|(_, output)| output.unwrap()).collect()
}

#[tokio::test]
async fn the_published_log_verifies_and_every_damage_is_seen() {
    let root = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(config(root.path())).unwrap();
    let vkey = ledger.vkey();
    let appends = (0..600).map(|i| ledger.append(Entry::heartbeat(at(i), Clock::Synchronised)));
    for outcome in futures_join(appends).await {
        outcome.unwrap();
    }
    published(&ledger, 600).await;
    let dir = root.path().join("log");
    let seen = verify(&dir, &vkey, &[]).unwrap();
    assert_eq!(seen.size, 600);
    let proof = ledger.inclusion(431, 600).unwrap();
    assert_eq!(proof.root, seen.root);
    assert!(proof.holds_for(&ledger.leaf(431).unwrap()));
    assert!(proof.to_text(&ledger.checkpoint().unwrap()).starts_with("c2sp.org/tlog-proof@v1\nindex 431\n"));
    // One flipped bit anywhere in the published files.
    let whole: Vec<_> = [
        "tile/0/000",
        "tile/0/001",
        "tile/0/002.p/88",
        "tile/1/000.p/2",
        "tile/entries/000",
        "tile/entries/002.p/88",
    ]
    .iter()
    .map(|name| dir.join(name))
    .collect();
    drop(ledger);
    for path in whole {
        let good = fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let mut bent = good.clone();
        let middle = bent.len() / 2;
        bent[middle] ^= 1;
        fs::write(&path, bent).unwrap();
        assert!(verify(&dir, &vkey, &[]).is_err(), "{}", path.display());
        fs::write(&path, good).unwrap();
    }
    // A start puts right what the tiles lack.
    fs::write(dir.join("tile/0/000"), b"").unwrap();
    fs::remove_file(dir.join("checkpoint")).unwrap();
    let ledger = Ledger::open(config(root.path())).unwrap();
    published(&ledger, 600).await;
    assert_eq!(verify(&dir, &vkey, &[]).unwrap(), seen);
}

#[tokio::test]
async fn a_cosignature_counts_only_from_a_trusted_witness_on_this_log() {
    let root = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(config(root.path())).unwrap();
    let police =
        CosignerKey::load_or_create(&root.path().join("witness.key"), "politie.example/witness").unwrap();
    ledger.append(Entry::heartbeat(at(0), Clock::Unknown)).await.unwrap();
    published(&ledger, 1).await;
    let note = ledger.checkpoint().unwrap();
    let text = note.split_once("\n\n").unwrap().0.to_owned() + "\n";
    let cosigned = note.clone() + &police.cosign(&text, at(60)).unwrap();
    assert!(ledger.record_cosignature(&cosigned).is_err(), "nobody trusts it yet");
    ledger.trust_witness(&police.vkey()).unwrap();
    assert!(ledger.record_cosignature(&note).is_err(), "no cosignature");
    // As the witness does it: a file in the log's folder.
    fs::write(root.path().join("log/cosignature"), &cosigned).unwrap();
    let mut health = ledger.health();
    health.wait_for(|health| health.witnessed_at.is_some()).await.unwrap();
    let expected = DateTime::from_timestamp(at(60).timestamp(), 0);
    assert_eq!((health.borrow().witnessed_at, health.borrow().witnessed_entries), (expected, 1));
    let key = ledger::WitnessKey::parse(&police.vkey()).unwrap();
    let seen = verify(&root.path().join("log"), &ledger.vkey(), std::slice::from_ref(&key)).unwrap();
    assert_eq!(seen.witnessed, [("politie.example/witness".to_owned(), 1, expected.unwrap())]);
    // It survives a restart.
    drop(ledger);
    let ledger =
        Ledger::open(LedgerConfig { witnesses: vec![police.vkey()], ..config(root.path()) }).unwrap();
    assert_eq!(ledger.health().borrow().witnessed_at, expected);
}

#[tokio::test]
async fn the_index_finds_and_is_rebuilt_when_it_does_not_fit() {
    let root = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(config(root.path())).unwrap();
    for n in 0..40_i64 {
        let entry = Entry {
            at: at(n),
            object: Some(Object::camera(
                format!("C{}", n % 4),
                if n % 2 == 0 { "enschede" } else { "borne" },
            )),
            outcome: if n % 5 == 0 {
                Outcome::Deny { reason_code: "NOT_ON_SHIFT".to_owned() }
            } else {
                Outcome::Permit
            },
            look: None,
            ..look(
                if n % 3 == 0 { "live_view.start" } else { "replay.start" },
                "L",
                if n % 2 == 0 { "a" } else { "b" },
                "",
            )
        };
        ledger.append(entry).await.unwrap();
    }
    let ask = |ledger: &Ledger, filter: Filter| -> Vec<u64> {
        ledger.query(&filter).unwrap().into_iter().map(|(seq, _)| seq).collect()
    };
    let some = |text: &str| Some(text.to_owned());
    let check = |ledger: &Ledger| {
        let all = |keep: fn(u64) -> bool| (0..40).filter(|n| keep(*n)).collect::<Vec<_>>();
        assert_eq!(ask(ledger, Filter { camera: some("C3"), ..Filter::default() }), all(|n| n % 4 == 3));
        assert_eq!(
            ask(ledger, Filter { municipality: some("borne"), ..Filter::default() }),
            all(|n| n % 2 == 1)
        );
        assert_eq!(ask(ledger, Filter { outcome: some("deny"), ..Filter::default() }), all(|n| n % 5 == 0));
        assert_eq!(
            ask(ledger, Filter { action: some("live_view."), ..Filter::default() }),
            all(|n| n % 3 == 0)
        );
        assert_eq!(
            ask(
                ledger,
                Filter {
                    who: some("a"),
                    action: some("replay.start"),
                    from: Some(at(10)),
                    until: Some(at(20)),
                    ..Filter::default()
                }
            ),
            all(|n| n % 2 == 0 && n % 3 != 0 && (10..20).contains(&n))
        );
        assert_eq!(
            ask(ledger, Filter { newest_first: true, limit: 2, before: Some(39), ..Filter::default() }),
            [38, 37]
        );
        assert!(ask(ledger, Filter { who: some("nobody"), ..Filter::default() }).is_empty());
        assert!(ask(ledger, Filter { camera: some("C3' OR 1"), ..Filter::default() }).is_empty());
    };
    check(&ledger);
    drop(ledger);
    // Another log's index, and no database at all.
    let other = tempfile::tempdir().unwrap();
    let foreign = Ledger::open(config(other.path())).unwrap();
    for n in 0..40 {
        foreign.append(Entry::heartbeat(at(n), Clock::Unknown)).await.unwrap();
    }
    ask(&foreign, Filter::default());
    drop(foreign);
    let path = root.path().join("log/index.sqlite");
    fs::copy(other.path().join("log/index.sqlite"), &path).unwrap();
    let ledger = Ledger::open(config(root.path())).unwrap();
    check(&ledger);
    drop(ledger);
    fs::write(&path, b"no database").unwrap();
    check(&Ledger::open(config(root.path())).unwrap());
}
