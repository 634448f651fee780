//! The verbs on logs made here: what was purged, what somebody changed in an export, what somebody swapped beside the log.

use super::{
    Verb, export,
    keys::{Policy, Quorum},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use chrono::{DateTime, Utc};
use clap::Parser;
use ledger::{
    Actor, Entry, Ledger, LedgerConfig, MonthKeys, Object, Operation, Outcome, Purge,
    epoch::{ACTION, Grant},
    note::{Checkpoint, CosignerKey},
};
use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

#[derive(Parser)]
struct Line {
    #[command(subcommand)]
    verb: Verb,
}

/// Runs one line of `rtrctl ledger`.
fn ledger(words: &[&str]) -> ExitCode {
    let words = std::iter::once("ledger").chain(words.iter().copied());
    super::run(Line::try_parse_from(words).unwrap().verb, None)
}

fn at(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_000_000 + second, 0).unwrap()
}

async fn cosign(ledger: &Ledger, police: &CosignerKey, second: i64) {
    let size = ledger.size();
    ledger.published().wait_for(|published| *published >= size).await.unwrap();
    let checkpoint = Checkpoint::read(&ledger.checkpoint().unwrap(), &ledger.vkey()).unwrap();
    let line = police.cosign(&checkpoint.text, at(second)).unwrap();
    ledger.record_cosignature(&checkpoint.with_cosignatures(&line)).unwrap();
}

const MONTH: i64 = 31 * 86_400;

/// A log of looks by two people, a month apart at entry 300.
struct Log {
    root: tempfile::TempDir,
    ledger: Ledger,
    police: CosignerKey,
}

impl Log {
    async fn new(entries: i64) -> Self {
        let root = tempfile::tempdir().unwrap();
        let config = LedgerConfig::new(root.path().join("log"), root.path().join("log.key"), "rtr.example/t");
        let ledger = Ledger::open(config).unwrap();
        let police = CosignerKey::load_or_create(&root.path().join("witness.key"), "politie.example/w");
        let police = police.unwrap();
        ledger.trust_witness(&police.vkey()).unwrap();
        let mut appends = tokio::task::JoinSet::new();
        for n in 0..entries {
            let actor = Actor::Person {
                person: if n % 2 == 0 { "observant" } else { "jansen" }.to_owned(),
                role: "observer".to_owned(),
                organisation: "rj-security".to_owned(),
                authorisation: Some("AUT-1".to_owned()),
            };
            let municipality = if n % 3 == 0 { "enschede" } else { "borne" };
            let object = Some(Object::camera("ENS-C01", municipality));
            let when = at(n + if n < 300 { 0 } else { 2 * MONTH });
            let entry = Entry::new(when, Operation::Consult, "replay.start");
            let (ledger, entry) =
                (ledger.clone(), Entry { actor, object, outcome: Outcome::Permit, ..entry });
            appends.spawn(async move { ledger.append(entry).await.unwrap() });
            // One after the other into the queue, so that they keep their order.
            tokio::task::yield_now().await;
        }
        appends.join_all().await;
        let log = Self { root, ledger, police };
        log.witness(0).await;
        log
    }

    async fn witness(&self, second: i64) {
        cosign(&self.ledger, &self.police, second).await;
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    fn policy(&self) -> Policy {
        Policy { log: self.ledger.vkey(), witnesses: Vec::new(), quorum: Quorum::AtLeast(0, Vec::new()) }
    }

    fn export(&self, name: &str, more: &[&str]) -> PathBuf {
        let (dir, out, key) = (self.text("log"), self.text(name), self.ledger.vkey());
        let words = ["export", &dir, "--log-key", &key, "--out", &out, "--purpose", "lawfulness"];
        assert_eq!(ledger(&[&words, more].concat()), ExitCode::SUCCESS);
        self.path(name)
    }

    fn check(&self, file: &Path, months: bool) -> (bool, String) {
        let months = months.then(|| MonthKeys::open(&self.path("ledger-months")).unwrap());
        let checked = export::check(file, &self.policy(), None, months.as_ref()).unwrap();
        (checked.holds, checked.lines.join("\n"))
    }
}

#[tokio::test]
async fn what_a_purge_left_is_audited_exported_and_indexed_with_the_months_keys() {
    let log = Log::new(700).await;
    let (cutoff, now) = (at(MONTH), at(100 * MONTH));
    assert!(matches!(log.ledger.purge(cutoff, now).await.unwrap(), Purge::Announced { first: 256, .. }));
    log.witness(60).await;
    assert_eq!(log.ledger.purge(cutoff, now).await.unwrap(), Purge::Done { first: 256 });
    log.witness(120).await;

    let (dir, months, key) = (log.text("log"), log.text("ledger-months"), log.ledger.vkey());
    let index = log.text("index.sqlite");
    let common = ["--log-key", &key, "--months", &months, "--purpose", "lawfulness"];
    let reads = |words: &[&str]| ledger(&[words, &common].concat());
    assert_eq!(reads(&["audit", &dir]), ExitCode::SUCCESS);
    assert_eq!(reads(&["rebuild-index", &dir, "--index", &index]), ExitCode::SUCCESS);
    let file = log.export("purged.jsonl", &["--names", &months]);
    let text = fs::read_to_string(&file).unwrap();
    assert_eq!(text.matches("\"actor\":\"observant\"").count(), (700 - 256) / 2);
    let (holds, said) = log.check(&file, true);
    assert!(holds && said.contains("every entry from 256 up to 701 is there"), "{said}");
    assert!(said.contains("every name is that of the person"), "{said}");
}

#[tokio::test]
async fn a_name_changed_in_an_export_is_seen_with_the_months_keys_and_never_called_proven_without() {
    let log = Log::new(6).await;
    let file = log.export("names.jsonl", &["--names", &log.text("ledger-months")]);
    let honest = fs::read_to_string(&file).unwrap();
    assert!(honest.lines().next().unwrap().contains("\"purpose\":\"lawfulness\""), "{honest}");
    let (holds, said) = log.check(&file, false);
    assert!(holds && said.contains("ATTENTION: the names in 6 entries are whatever the file says"), "{said}");
    let (holds, said) = log.check(&file, true);
    assert!(holds && !said.contains("names in"), "{said}");

    fs::write(&file, honest.replacen("\"actor\":\"observant\"", "\"actor\":\"jansen\"", 1)).unwrap();
    assert!(log.check(&file, false).1.contains("ATTENTION"));
    let (holds, said) = log.check(&file, true);
    assert!(!holds && said.contains("line 2, entry 0") && said.contains("actor is not the person"), "{said}");
    // A name that is left out is missed too.
    let line = honest.lines().nth(3).unwrap();
    let mut without: serde_json::Value = serde_json::from_str(line).unwrap();
    without.as_object_mut().unwrap().remove("details");
    fs::write(&file, honest.replacen(line, &without.to_string(), 1)).unwrap();
    let (holds, said) = log.check(&file, true);
    assert!(!holds && said.contains("line 4, entry 2"), "{said}");
}

#[tokio::test]
async fn an_export_without_a_signature_loses_no_line_unseen() {
    let log = Log::new(8).await;
    let file = log.export("all.jsonl", &[]);
    let honest = fs::read_to_string(&file).unwrap();
    assert!(log.check(&file, false).1.contains("every entry from 0 up to 8 is there"));
    let lines: Vec<&str> = honest.lines().collect();
    let with = |change: &dyn Fn(&mut Vec<String>)| {
        let mut changed: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        change(&mut changed);
        fs::write(&file, changed.join("\n") + "\n").unwrap();
        let (holds, said) = log.check(&file, false);
        assert!(!holds, "nobody saw it: {said}");
        said
    };
    let end = |count: usize| format!("{{\"end\":{count}}}");
    let said = with(&|lines| {
        lines.remove(4);
        lines[8] = end(7);
    });
    assert!(said.contains("entry 4: entries 3 to 3 before it were taken out"), "{said}");
    let said = with(&|lines| {
        lines.remove(8);
        lines[8] = end(7);
    });
    assert!(said.contains("entries 7 to 7 were taken out"), "{said}");
    let said = with(&|lines| {
        lines.insert(3, lines[2].clone());
        lines[10] = end(9);
    });
    assert!(said.contains("stands there twice"), "{said}");
    let said = with(&|lines| lines.push(lines[1].clone()));
    assert!(said.contains("line 11: something stands behind"), "{said}");
    with(&|lines| drop(lines.pop()));

    // A selection may have gaps: it is said that nobody vouches for them, and nothing else may stand in it.
    let file = log.export("some.jsonl", &["--municipality", "enschede"]);
    let honest = fs::read_to_string(&file).unwrap();
    assert_eq!(honest.lines().count(), 2 + 3);
    let (holds, said) = log.check(&file, false);
    assert!(holds && said.contains("municipality enschede"), "{said}");
    assert!(said.contains("ATTENTION: whether the selection is complete"), "{said}");
    fs::write(
        &file,
        honest.replacen(
            "\"municipality\":\"enschede\",\"origin\"",
            "\"municipality\":\"borne\",\"origin\"",
            1,
        ),
    )
    .unwrap();
    let (holds, said) = log.check(&file, false);
    assert!(!holds && said.contains("not of this selection"), "{said}");
}

#[tokio::test]
async fn what_the_given_witnesses_did_not_cosign_is_not_enough() {
    let log = Log::new(6).await;
    let (dir, key, seen) = (log.text("log"), log.ledger.vkey(), log.police.vkey());
    let other = CosignerKey::load_or_create(&log.path("other.key"), "politie.example/other").unwrap().vkey();
    let policy = |quorum: &str| {
        let text = format!(
            "log {key}\nwitness W1 {seen}\nwitness W2 {other}\ngroup both all W1 W2\nquorum {quorum}\n"
        );
        let path = log.text(quorum);
        fs::write(&path, text).unwrap();
        path
    };
    let export = log.export("all.jsonl", &[]).display().to_string();
    let proof = log.text("proof");
    assert_eq!(ledger(&["proof", &dir, "3", "--log-key", &key, "--out", &proof]), ExitCode::SUCCESS);
    let (one, both, none) = (policy("W1"), policy("both"), policy("none"));
    let (whole, entry) = (["verify", &dir].to_vec(), ["verify", &dir, "--entry", "3"].to_vec());
    for what in
        [whole, entry, ["verify", "--proof", &proof].to_vec(), ["verify", "--export", &export].to_vec()]
    {
        let with = |keys: &[&str]| ledger(&[&what, keys].concat());
        assert_eq!(with(&["--log-key", &key]), ExitCode::SUCCESS, "nobody is given");
        assert_eq!(with(&["--log-key", &key, "--witness-key", &seen]), ExitCode::SUCCESS);
        assert_eq!(with(&["--log-key", &key, "--witness-key", &other]), ExitCode::FAILURE);
        let either = ["--log-key", &key, "--witness-key", &other, "--witness-key", &seen];
        assert_eq!(with(&either), ExitCode::SUCCESS);
        assert_eq!(with(&["--policy", &one]), ExitCode::SUCCESS);
        assert_eq!(with(&["--policy", &none]), ExitCode::SUCCESS);
        assert_eq!(with(&["--policy", &both]), ExitCode::FAILURE, "{what:?}");
    }
}

#[tokio::test]
async fn a_log_that_was_cosigned_beyond_the_grant_did_not_end_there() {
    let old = Log::new(6).await;
    let (dir, old_key, seen) = (old.text("log"), old.ledger.vkey(), old.police.vkey());
    let follows = async |name: &str, size: u64| {
        let config = LedgerConfig::new(old.path(name), old.path(&format!("{name}.key")), "rtr.example/t-2");
        let new_log = Ledger::open(config).unwrap();
        let root = old.ledger.inclusion(0, size).unwrap().root;
        let grant = Grant {
            old_log: old_key.clone(),
            size,
            root: BASE64_STANDARD.encode(root),
            new_log: new_log.vkey(),
            reason: "the disk died".to_owned(),
        };
        let note = format!("{}\n{}", grant.text(), old.police.cosign(&grant.text(), at(1)).unwrap());
        let mut first = Entry::new(at(2), Operation::Admin, ACTION);
        first.data = Some(serde_json::json!({ "grant": note }));
        new_log.append(first).await.unwrap();
        new_log.trust_witness(&seen).unwrap();
        cosign(&new_log, &old.police, 3).await;
        let (new, key) = (old.text(name), new_log.vkey());
        let words = ["verify", &new, "--log-key", &key, "--witness-key", &seen];
        ledger(&[&words[..], &["--previous", &dir, "--previous-key", &old_key]].concat())
    };
    assert_eq!(follows("whole", 6).await, ExitCode::SUCCESS);
    assert_eq!(follows("beyond", 4).await, ExitCode::FAILURE);
}

#[test]
fn names_are_opened_and_entries_handed_over_only_for_a_purpose() {
    for words in [
        &["export", "log", "--log-key", "k", "--out", "file"][..],
        &["audit", "log", "--log-key", "k", "--months", "m"],
        &["rebuild-index", "log", "--log-key", "k", "--months", "m"],
        &["query", "log", "--log-key", "k", "--months", "m", "--who", "somebody"],
        &["export", "log", "--log-key", "k", "--out", "file", "--purpose", "statistics"],
    ] {
        let words = std::iter::once("ledger").chain(words.iter().copied());
        assert!(Line::try_parse_from(words.clone()).is_err(), "{:?}", words.collect::<Vec<_>>());
    }
}
