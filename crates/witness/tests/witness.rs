//! The witness against a real ledger: it follows growth, and nothing else.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use base64::{Engine, prelude::BASE64_STANDARD};
use chrono::{DateTime, Utc};
use ledger::{Clock, Entry, Ledger, LedgerConfig, WitnessKey, note::CosignerKey};
use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    time::Duration,
};
use witness::{Refusal, Witness, epoch, http, letters, log_directory, watch::Watch};

fn config(root: &Path) -> LedgerConfig {
    LedgerConfig {
        limit: Duration::from_mins(1),
        ..LedgerConfig::new(root.join("log"), root.join("keys/log.key"), "rtr.example/test")
    }
}

fn at(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_000_000 + second, 0).unwrap()
}

async fn grow(ledger: &Ledger, by: u64) {
    for _ in 0..by {
        ledger.append(Entry::heartbeat(at(0), Clock::Unknown)).await.unwrap();
    }
    let size = ledger.size();
    ledger.published().wait_for(|published| *published >= size).await.unwrap();
}

fn key(root: &Path) -> CosignerKey {
    CosignerKey::load_or_create(&root.join("w/key"), "politie.example/w").unwrap()
}

fn open(root: &Path, log_vkey: &str) -> Witness {
    Witness::open(key(root), &root.join("w/state"), log_vkey).unwrap()
}

#[tokio::test]
async fn it_cosigns_growth_and_the_ledger_takes_note() {
    let root = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(config(root.path())).unwrap();
    let mut witness = open(root.path(), &ledger.vkey());
    ledger.trust_witness(&witness.vkey()).unwrap();
    let mut health = ledger.health();
    let dir = root.path().join("log");
    let mut signed = 0;
    for (round, by) in [(1, 3), (2, 300), (3, 0), (4, 1)] {
        grow(&ledger, by).await;
        let done = log_directory::cosign(&mut witness, &dir, at(round)).unwrap();
        assert_eq!((done.size, done.new), (signed + by, by));
        signed += by;
        health.wait_for(|health| health.witnessed_at == Some(at(round))).await.unwrap();
        assert_eq!(health.borrow().witnessed_entries, signed);
        // It remembers across restarts.
        drop(witness);
        witness = open(root.path(), &ledger.vkey());
        assert_eq!(witness.seen_size(), signed);
    }
    let key = WitnessKey::parse(&witness.vkey()).unwrap();
    assert_eq!(ledger::verify(&dir, &ledger.vkey(), &[key]).unwrap().witnessed[0].1, signed);
}

#[tokio::test]
async fn a_rewritten_or_shortened_log_gets_no_signature() {
    let root = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(config(root.path())).unwrap();
    grow(&ledger, 20).await;
    let vkey = ledger.vkey();
    let mut witness = open(root.path(), &vkey);
    log_directory::cosign(&mut witness, &root.path().join("log"), at(0)).unwrap();
    drop(ledger);
    // The host writes another history and signs it with the log's true key.
    for entries in [30, 20, 10] {
        let other = tempfile::tempdir().unwrap();
        fs::create_dir_all(other.path().join("keys")).unwrap();
        fs::copy(root.path().join("keys/log.key"), other.path().join("keys/log.key")).unwrap();
        let forged = Ledger::open(config(other.path())).unwrap();
        assert_eq!(forged.vkey(), vkey);
        for _ in 0..entries {
            forged.append(Entry::heartbeat(at(99), Clock::Unknown)).await.unwrap();
        }
        grow(&forged, 0).await;
        drop(forged);
        let refused = log_directory::cosign(&mut witness, &other.path().join("log"), at(1));
        // Its tiles lead from another beginning to a root that the log signed: that convicts. A shorter log may be an old copy.
        let told = match &refused {
            Err(refusal @ Refusal::Forked(20)) => entries >= 20 && refusal.is_alarm(),
            Err(refusal @ Refusal::Shorter { size: 10, seen: 20, .. }) => {
                entries == 10 && !refusal.is_alarm()
            }
            _ => false,
        };
        assert!(told, "{entries}: {refused:?}");
        assert!(!other.path().join("log/cosignature").exists());
        assert_eq!(witness.seen_size(), 20);
    }
    // Another log altogether.
    let other = tempfile::tempdir().unwrap();
    let foreign = Ledger::open(config(other.path())).unwrap();
    grow(&foreign, 30).await;
    let refused = log_directory::cosign(&mut witness, &other.path().join("log"), at(1));
    assert!(matches!(refused, Err(Refusal::Unknown(_))), "{refused:?}");
    assert!(refused.is_err_and(|refusal| !refusal.is_alarm()), "anybody could write that");
    // And a witness whose memory is damaged does not start over.
    drop(witness);
    fs::write(root.path().join("w/state"), "20\n").unwrap();
    let open = || Witness::open(key(root.path()), &root.path().join("w/state"), &vkey);
    assert!(open().is_err());
    // Nor does one whose memory is gone, while what it signed still lies there.
    fs::remove_file(root.path().join("w/state")).unwrap();
    let refused = open().unwrap_err().to_string();
    assert!(refused.contains("is missing") && refused.contains("state.signed"), "{refused}");
    fs::remove_file(root.path().join("w/state.signed")).unwrap();
    assert_eq!(open().unwrap().seen_size(), 0, "as the police decided");
}

#[tokio::test]
async fn a_damaged_tile_convicts_nobody() {
    let root = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(config(root.path())).unwrap();
    let dir = root.path().join("log");
    grow(&ledger, 20).await;
    let mut witness = open(root.path(), &ledger.vkey());
    log_directory::cosign(&mut witness, &dir, at(0)).unwrap();
    grow(&ledger, 12).await;
    let tile = dir.join("tile/0/000.p/32");
    let good = fs::read(&tile).unwrap();
    for place in [3 * 32, 25 * 32] {
        let mut bent = good.clone();
        bent[place] ^= 1;
        fs::write(&tile, bent).unwrap();
        let refused = log_directory::cosign(&mut witness, &dir, at(1)).unwrap_err();
        assert!(matches!(refused, Refusal::Malformed(_)), "{refused}");
    }
    fs::write(&tile, good).unwrap();
    assert_eq!(log_directory::cosign(&mut witness, &dir, at(2)).unwrap().size, 32);
}

fn get(to: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(to).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: w\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn post(to: SocketAddr, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(to).unwrap();
    write!(
        stream,
        "POST /secret/add-checkpoint HTTP/1.1\r\nHost: w\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

#[tokio::test]
async fn over_http_it_answers_as_the_standard_says() {
    let root = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(config(root.path())).unwrap();
    grow(&ledger, 5).await;
    let mut witness = open(root.path(), &ledger.vkey());
    let key = WitnessKey::parse(&witness.vkey()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = listener.local_addr().unwrap();
    let watch = Watch::new(0, Utc::now(), root.path().join("evidence"), None);
    std::thread::spawn(move || http::serve(&listener, Some(&mut witness), &watch, "secret"));
    assert!(get(to, "/status").starts_with("HTTP/1.1 200"));

    let first = ledger.checkpoint().unwrap();
    // What anybody could send sounds no alarm: another log, a bent signature, an odd proof.
    let foreign = Ledger::open(LedgerConfig::new(
        root.path().join("foreign"),
        root.path().join("foreign.key"),
        "rtr.example/other",
    ))
    .unwrap();
    grow(&foreign, 3).await;
    assert_eq!(post(to, &format!("old 0\n\n{}", foreign.checkpoint().unwrap())).0, 404);
    assert_eq!(post(to, &format!("old 0\n\n{}", first.replace("\n5\n", "\n6\n"))).0, 403);
    assert_eq!(post(to, &format!("old 0\n{}\n\n{first}", BASE64_STANDARD.encode([7; 32]))).0, 422);
    assert!(get(to, "/add-checkpoint").starts_with("HTTP/1.1 404"), "the prefix is part of the address");
    assert!(get(to, "/status").starts_with("HTTP/1.1 200"));
    let (status, line) = post(to, &format!("old 0\n\n{first}"));
    assert_eq!(status, 200);
    assert!(key.cosigned_at(&(first.clone() + &line)).is_some(), "{line}");
    grow(&ledger, 8).await;
    let second = ledger.checkpoint().unwrap();
    assert_eq!(post(to, &format!("old 0\n\n{second}")), (409, "5\n".to_owned()));
    let proof = ledger.consistency(5, 13).unwrap();
    let hashes: String = proof.hashes.iter().map(|hash| BASE64_STANDARD.encode(hash) + "\n").collect();
    let mut bent = proof.hashes.clone();
    bent[0][0] ^= 1;
    let bent: String = bent.iter().map(|hash| BASE64_STANDARD.encode(hash) + "\n").collect();
    assert_eq!(post(to, &format!("old 5\n{bent}\n{second}")).0, 422);
    // Whoever saw a true checkpoint can send it with garbage: it is kept, and the log has its minutes to prove it.
    let kept = |name: &str| fs::read_to_string(root.path().join(name)).unwrap();
    assert_eq!(kept("evidence.unproven"), second);
    assert!(get(to, "/status").starts_with("HTTP/1.1 200"));
    assert!(get(to, "/metrics").contains("rtr_witness_refusals_total 0"));
    assert_eq!(post(to, &format!("old 5\n{hashes}\n{second}")).0, 200);
    assert_eq!(post(to, &format!("old 13\n\n{second}")).0, 200, "the same again, for a fresh time");
    assert_eq!(post(to, &format!("old 13\n\n{first}")).0, 400);
    // A host that rolled the log back asks from where it is itself, and is told the size; what it showed is kept.
    assert_eq!(post(to, &format!("old 5\n\n{first}")), (409, "13\n".to_owned()));
    assert_eq!(kept("evidence.shorter"), first);
    assert!(get(to, "/status").starts_with("HTTP/1.1 200"), "an old request that came again is no alarm yet");
    assert_eq!(post(to, &format!("old 13\n\n{}", second.replace("\n13\n", "\n14\n"))).0, 403);
    assert_eq!(post(to, "nonsense").0, 400);
    // Two trees of one size under the log's own signature: a fork, and an alarm.
    let secret =
        ledger::LogKey::load_or_create(&root.path().join("keys/log.key"), "rtr.example/test").unwrap();
    let forked = secret.sign(13, [7; 32]).unwrap();
    assert_eq!(post(to, &format!("old 13\n\n{forked}")).0, 409);
    assert!(get(to, "/status").starts_with("HTTP/1.1 503"));
    assert!(get(to, "/metrics").contains("rtr_witness_refusals_total 1"));
    // Both halves of the evidence are notes that others can check.
    assert_eq!(kept("evidence.offered"), forked);
    assert!(
        key.cosigned_at(&kept("evidence.signed")).is_some() && kept("evidence.signed").contains("\n13\n")
    );
}

#[tokio::test]
async fn carried_by_hand_it_says_the_same() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("log");
    let ledger = Ledger::open(config(root.path())).unwrap();
    let vkey = ledger.vkey();
    let mut witness = open(root.path(), &vkey);
    ledger.trust_witness(&witness.vkey()).unwrap();
    let mut health = ledger.health();
    for (round, by) in [(1, 5), (2, 400)] {
        grow(&ledger, by).await;
        let request = letters::request(&dir, &vkey, None).unwrap();
        let answer = letters::answer(&mut witness, &request, at(round)).unwrap();
        assert_eq!(letters::deliver(&dir, &vkey, &answer).unwrap(), ledger.size());
        health.wait_for(|health| health.witnessed_at == Some(at(round))).await.unwrap();
    }
    // An older letter again: the witness is further, and a bent one is no proof.
    let old = letters::request(&dir, &vkey, Some(5)).unwrap();
    assert!(matches!(letters::answer(&mut witness, &old, at(3)), Err(Refusal::Conflict(405))));
    assert!(letters::answer(&mut witness, "old 405\n\nnonsense\n", at(3)).is_err());
}

#[tokio::test]
async fn after_a_loss_the_log_goes_on_only_as_the_police_granted() {
    let root = tempfile::tempdir().unwrap();
    let old = Ledger::open(config(root.path())).unwrap();
    grow(&old, 12).await;
    let mut witness = open(root.path(), &old.vkey());
    log_directory::cosign(&mut witness, &root.path().join("log"), at(0)).unwrap();
    drop(old);
    // Last night's mirror is shorter than what was witnessed: nothing is appended to it.
    let path = root.path().join("log/sequence");
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    assert!(matches!(Ledger::open(config(root.path())), Err(ledger::LedgerError::Rewritten(_))));

    let anew = tempfile::tempdir().unwrap();
    let new_config =
        LedgerConfig::new(anew.path().join("log"), anew.path().join("key"), "rtr.example/test-2");
    let log = Ledger::open(new_config.clone()).unwrap();
    let grant = witness.grant_epoch(&log.vkey(), "the disk of the log died", at(1)).unwrap();
    // From here on the old log has ended, whoever asks; the grant itself can be had again, and no other.
    assert_eq!(witness.grant_epoch(&log.vkey(), "asked again", at(2)).unwrap(), grant);
    drop(witness);
    let old_vkey =
        ledger::LogKey::load_or_create(&root.path().join("keys/log.key"), "rtr.example/test").unwrap();
    let mut witness = open(root.path(), &old_vkey.vkey());
    let other_grant = witness.grant_epoch("rtr.example/other+00000000+AA", "another", at(2));
    assert!(matches!(other_grant, Err(Refusal::Ended(_))), "{other_grant:?}");
    let (_, seen) = witness.seen();
    let further = witness.add_checkpoint(12, Vec::new(), &old_vkey.sign(12, seen).unwrap(), at(2));
    assert!(matches!(further, Err(Refusal::Ended(_))), "{further:?}");
    let keys = [WitnessKey::parse(&witness.vkey()).unwrap()];
    let (read, granted_at) = epoch::Grant::read(&grant, &keys).unwrap();
    assert_eq!((read.size, read.new_log.as_str(), granted_at), (12, log.vkey().as_str(), at(1)));
    assert!(epoch::Grant::read(&grant.replace("size 12", "size 11"), &keys).is_none());
    let state = anew.path().join("state");
    epoch::expect(&state, &grant).unwrap();
    let second = |log: &Ledger| Witness::open(key(root.path()), &state, &log.vkey()).unwrap();

    // Begun without the grant: no signature.
    grow(&log, 1).await;
    let refused = log_directory::cosign(&mut second(&log), &anew.path().join("log"), at(2));
    assert!(matches!(refused, Err(Refusal::Grant(_))), "{refused:?}");
    // Nor over the other two roads, on which the witness sees no entries.
    let offered = ledger::ConsistencyProof { old: 0, new: 1, hashes: Vec::new() };
    let offered = offered.request(&log.checkpoint().unwrap());
    let refused = letters::answer(&mut second(&log), &offered, at(2));
    assert!(matches!(refused, Err(Refusal::Grant(_))), "{refused:?}");
    let first_entry = |log: &Ledger| {
        let mut published = ledger::Published::open(&anew.path().join("log"), &log.vkey()).unwrap();
        published.prove(0).unwrap().to_text()
    };
    let refused = second(&log).begin(&first_entry(&log), at(2));
    assert!(matches!(refused, Err(Refusal::Grant(_))), "{refused:?}");
    drop(log);
    fs::remove_dir_all(anew.path().join("log")).unwrap();
    let log = Ledger::open(new_config).unwrap();
    let mut first = Entry::new(at(1), ledger::Operation::Admin, epoch::ACTION);
    first.data = Some(serde_json::json!({ "grant": grant }));
    log.append(first).await.unwrap();
    grow(&log, 3).await;
    // With the proof of its first entry it is signed whichever way its checkpoints come.
    let proof = first_entry(&log);
    let other = anew.path().join("state-of-a-letter-writer");
    epoch::expect(&other, &grant).unwrap();
    fs::create_dir_all(anew.path().join("w")).unwrap();
    fs::copy(root.path().join("w/key"), anew.path().join("w/key")).unwrap();
    let mut letter_writer = Witness::open(key(anew.path()), &other, &log.vkey()).unwrap();
    assert!(letter_writer.begin(&proof.replace("index 0", "index 1"), at(2)).is_err());
    let answer = letter_writer.begin(&proof, at(2)).unwrap();
    assert!(keys[0].cosigned_at(&answer).is_some() && letter_writer.seen_size() == 4);
    assert!(matches!(letter_writer.begin(&proof, at(3)), Err(Refusal::Conflict(4))));
    grow(&log, 2).await;
    let request = letters::request(&anew.path().join("log"), &log.vkey(), Some(4)).unwrap();
    letters::answer(&mut letter_writer, &request, at(3)).unwrap();
    assert_eq!(log_directory::cosign(&mut second(&log), &anew.path().join("log"), at(2)).unwrap().size, 6);
    // A grant for another log is none for this one.
    let foreign = grant.replace(&log.vkey(), "rtr.example/other+00000000+AA");
    let wrong = anew.path().join("wrong");
    epoch::expect(&wrong, &foreign).unwrap();
    let mut wrong = Witness::open(key(anew.path()), &wrong, &log.vkey()).unwrap();
    assert!(matches!(wrong.begin(&proof, at(3)), Err(Refusal::Grant(_))));
}
