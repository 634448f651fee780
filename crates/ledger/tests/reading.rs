//! What is read: the published log, cosignatures, the index.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod common;

use chrono::DateTime;
use common::{at, config, look, published};
use ledger::{
    Clock, Entry, Filter, Ledger, LedgerConfig, Object, Outcome,
    note::{Checkpoint, CosignerKey},
    verify,
};
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
async fn one_witness_s_answer_neither_takes_another_s_away_nor_freezes_the_time() {
    let root = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(config(root.path())).unwrap();
    let witness = |name: &str| {
        let key = CosignerKey::load_or_create(&root.path().join(name), &format!("politie.example/{name}"));
        let key = key.unwrap();
        ledger.trust_witness(&key.vkey()).unwrap();
        (ledger::WitnessKey::parse(&key.vkey()).unwrap(), key)
    };
    let ((a, police), (b, prosecutor)) = (witness("police"), witness("prosecutor"));
    let now = chrono::DateTime::from_timestamp(chrono::Utc::now().timestamp(), 0).unwrap();
    let grow = async || {
        let size = ledger.append(Entry::heartbeat(now, Clock::Unknown)).await.unwrap().seq + 1;
        published(&ledger, size).await;
        Checkpoint::read(&ledger.checkpoint().unwrap(), &ledger.vkey()).unwrap()
    };
    let sign = |checkpoint: &Checkpoint, key: &CosignerKey, second: i64| {
        let line = key.cosign(&checkpoint.text, now + chrono::TimeDelta::seconds(second)).unwrap();
        ledger.record_cosignature(&checkpoint.with_cosignatures(&line))
    };
    let kept = || {
        let note = ledger.witnessed_checkpoint().unwrap().note;
        (
            a.cosigned_at(&note).map(|at| (at - now).num_seconds()),
            b.cosigned_at(&note).map(|at| (at - now).num_seconds()),
        )
    };
    let first = grow().await;
    sign(&first, &police, 5).unwrap();
    sign(&first, &prosecutor, 3).unwrap();
    assert_eq!(kept(), (Some(5), Some(3)), "both lines stand under the same state");
    sign(&first, &police, 9).unwrap();
    sign(&first, &police, 7).unwrap();
    assert_eq!(kept(), (Some(9), Some(3)), "each with its newest time");
    // A clock that was ahead for a moment: what came later by a true one is taken, where the log has grown.
    sign(&first, &police, 100).unwrap();
    let second = grow().await;
    sign(&second, &police, 20).unwrap();
    assert_eq!((kept(), ledger.health().borrow().witnessed_entries), ((Some(20), None), 2));
    sign(&first, &prosecutor, 30).unwrap();
    assert_eq!(kept(), (Some(20), None), "what is smaller is no news");
    let refused = sign(&second, &police, 3600).unwrap_err().to_string();
    assert!(refused.contains("in the future"), "{refused}");
    assert_eq!(kept(), (Some(20), None));
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

#[tokio::test]
async fn a_log_that_is_cosigned_while_it_is_verified_is_not_called_shorter() {
    let root = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(config(root.path())).unwrap();
    let police = CosignerKey::load_or_create(&root.path().join("witness.key"), "politie.example/w").unwrap();
    ledger.trust_witness(&police.vkey()).unwrap();
    let grow_to = async |size: u64| {
        while ledger.size() < size {
            ledger.append(Entry::heartbeat(at(0), Clock::Synchronised)).await.unwrap();
        }
        published(&ledger, size).await;
        let checkpoint = Checkpoint::read(&ledger.checkpoint().unwrap(), &ledger.vkey()).unwrap();
        checkpoint.with_cosignatures(&police.cosign(&checkpoint.text, at(0)).unwrap())
    };
    let (dir, living) = (root.path().join("log"), root.path().join("living"));
    let first = grow_to(3).await;
    for name in ["tile/0/000.p/3", "checkpoint"] {
        fs::create_dir_all(living.join(name).parent().unwrap()).unwrap();
        fs::copy(dir.join(name), living.join(name)).unwrap();
    }
    let witnessed = ledger::verify::witnessed_path(&living);
    fs::write(&witnessed, first).unwrap();
    let later = grow_to(5).await;
    let opened = ledger::Published::open(&living, &ledger.vkey()).unwrap();
    // Whoever reads the entries waits here until the witness has signed what came after the checkpoint.
    let bundle = living.join("tile/entries/000.p/3");
    fs::create_dir_all(bundle.parent().unwrap()).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &bundle,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
        0,
    )
    .unwrap();
    let entries = ledger::tiles::bundle(&(0..3).map(|seq| ledger.leaf(seq).unwrap()).collect::<Vec<_>>());
    let signing = std::thread::spawn(move || {
        let mut gate = fs::OpenOptions::new().write(true).open(bundle).unwrap();
        fs::write(witnessed, later).unwrap();
        std::io::Write::write_all(&mut gate, &entries).unwrap();
    });
    let key = ledger::WitnessKey::parse(&police.vkey()).unwrap();
    let seen = verify(&living, &ledger.vkey(), &[key]).unwrap();
    assert_eq!((seen.size, seen.witnessed[0].1), (3, 3));
    signing.join().unwrap();
    assert_eq!(opened.cosigned().map(|cosigned| cosigned.size), Some(3), "nor called unsigned");
}
