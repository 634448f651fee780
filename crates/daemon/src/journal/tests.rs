use super::*;
use crate::{
    clock::ManualClock,
    testing::{FakeLog, facts, journal},
};
use chrono::Datelike as _;

/// Whoever has the file can drop the triggers: tests play that person.
fn tampered(journal: &Journal) {
    journal.store().execute_batch("DROP TRIGGER events_fixed; DROP TRIGGER events_stay;").unwrap();
}

fn clock() -> ManualClock {
    ManualClock::new("2026-06-13T20:00:00Z".parse().unwrap())
}

/// The newest register leaf, as the ledger would give it back.
fn leaf(log: &FakeLog, back: usize) -> Option<RegisterLeaf> {
    let entries = log.entries.lock().unwrap();
    let (seq, entry) = entries.iter().enumerate().rev().filter(|(_, e)| e.action == RECORD).nth(back)?;
    let json = serde_json::json!({ "action": RECORD, "at": entry.at, "data": entry.data });
    RegisterLeaf::read(seq as u64, &json)
}

fn open(folder: &Path, log: &Arc<FakeLog>, leaf: Option<&RegisterLeaf>) -> Result<Journal, JournalError> {
    Journal::open(&folder.join("journal.sqlite"), log.clone(), Arc::new(clock()), Policy::default(), leaf)
}

#[tokio::test]
async fn what_was_recorded_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let log = FakeLog::new(&clock());
    let first = journal(folder.path(), &log, &clock()).await;
    let (head, count) = (first.snapshot().head.clone(), first.snapshot().facts.len());
    assert_eq!(count, facts().len());
    assert_eq!(log.entries.lock().unwrap().len(), count, "one leaf for each event");
    assert!(matches!(first.record_first(facts()).await, Err(JournalError::NotEmpty)));
    drop(first);
    let again = open(folder.path(), &log, leaf(&log, 0).as_ref()).unwrap();
    assert_eq!(again.snapshot().head, head);
    assert_eq!(again.snapshot().facts.len(), count);
}

#[tokio::test]
async fn a_crash_between_the_steps_is_settled_by_the_ledger() {
    let folder = tempfile::tempdir().unwrap();
    let log = FakeLog::new(&clock());
    let journal = journal(folder.path(), &log, &clock()).await;
    let count = journal.snapshot().facts.len() as i64;
    let pending = |journal: &Journal| {
        let sql = "UPDATE events SET state = 'pending', known_from = NULL, ledger_seq = NULL WHERE seq = ?";
        journal.store().execute(sql, [count]).unwrap();
    };
    // The leaf was durable: the event took place.
    tampered(&journal);
    pending(&journal);
    drop(journal);
    let journal = open(folder.path(), &log, leaf(&log, 0).as_ref()).unwrap();
    assert_eq!(journal.snapshot().facts.len() as i64, count);
    // It was not: the event never was.
    pending(&journal);
    drop(journal);
    let journal = open(folder.path(), &log, leaf(&log, 1).as_ref()).unwrap();
    assert_eq!(journal.snapshot().facts.len() as i64, count - 1);
}

#[tokio::test]
async fn a_journal_that_is_not_the_ledgers_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let log = FakeLog::new(&clock());
    let journal = journal(folder.path(), &log, &clock()).await;
    drop(journal);
    assert!(matches!(open(folder.path(), &log, leaf(&log, 3).as_ref()), Err(JournalError::Apart { .. })));
    assert!(matches!(open(folder.path(), &log, None), Err(JournalError::Apart { .. })));
}

#[tokio::test]
async fn a_changed_event_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let log = FakeLog::new(&clock());
    let journal = journal(folder.path(), &log, &clock()).await;
    tampered(&journal);
    let sql = "UPDATE events SET body = replace(body, '21:00', '20:00') WHERE kind = 'period'";
    assert_eq!(journal.store().execute(sql, []).unwrap(), 1);
    drop(journal);
    assert!(matches!(open(folder.path(), &log, leaf(&log, 0).as_ref()), Err(JournalError::Damaged { .. })));
}

#[tokio::test]
async fn nothing_takes_effect_without_its_leaf() {
    let folder = tempfile::tempdir().unwrap();
    let log = FakeLog::new(&clock());
    let journal = journal(folder.path(), &log, &clock()).await;
    let before = journal.snapshot();
    log.fail(Some(before.register.known_at()));
    let refused = journal.record(facts().remove(0), Provenance::default()).await;
    assert!(matches!(refused, Err(JournalError::Log(_))));
    assert!(Arc::ptr_eq(&before, &journal.snapshot()));
}

fn sign(id: &str) -> FactBody {
    serde_json::from_value(serde_json::json!({ "kind": "signage", "id": id, "area": "A1" })).unwrap()
}

#[tokio::test]
async fn what_is_effective_can_be_neither_changed_nor_removed() {
    let folder = tempfile::tempdir().unwrap();
    let log = FakeLog::new(&clock());
    let journal = journal(folder.path(), &log, &clock()).await;
    let id = journal.propose(&sign("B2"), &"carla".into(), mandate::Role::LegalAdmin, None).unwrap().id;
    let by = Provenance { proposal: Some(id), verified_by: Some("bert".into()), ..Provenance::default() };
    journal.record(sign("B2"), by.clone()).await.unwrap();
    assert_eq!(
        journal.proposal(id).unwrap().unwrap().end.map(|e| e.outcome),
        Some(ProposalOutcome::Verified)
    );
    assert!(matches!(journal.record(sign("B2"), by).await, Err(JournalError::Ended(_))));
    assert!(!journal.withdraw(id, &"carla".into()).unwrap());
    for sql in [
        "DELETE FROM events WHERE seq = 1",
        "UPDATE events SET known_from = 0 WHERE seq = 1",
        "INSERT OR REPLACE INTO events SELECT * FROM events WHERE seq = 1",
        "DELETE FROM proposals",
        "UPDATE proposals SET body = '{}'",
        "DELETE FROM proposal_ends",
        "UPDATE proposal_ends SET outcome = 'withdrawn'",
        "INSERT INTO proposal_ends VALUES (99, 'verified', 'x', 0)",
    ] {
        assert!(journal.store().execute(sql, []).is_err(), "{sql}");
    }
}

#[tokio::test]
async fn a_withdrawn_proposal_takes_no_effect() {
    let folder = tempfile::tempdir().unwrap();
    let log = FakeLog::new(&clock());
    let journal = journal(folder.path(), &log, &clock()).await;
    let id =
        journal.propose(&sign("B2"), &"carla".into(), mandate::Role::LegalAdmin, Some("why")).unwrap().id;
    assert_eq!(journal.open_proposals().unwrap().len(), 1);
    assert!(journal.withdraw(id, &"carla".into()).unwrap());
    assert!(journal.open_proposals().unwrap().is_empty());
    let by = Provenance { proposal: Some(id), ..Provenance::default() };
    assert!(matches!(journal.record(sign("B2"), by).await, Err(JournalError::Ended(_))));
}

/// A journal of the first release, which had no version yet, is brought up to date and keeps what it holds.
#[tokio::test]
async fn an_older_journal_is_migrated_and_a_newer_one_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.sqlite");
    let store = Connection::open(&path).unwrap();
    store
        .execute_batch(
            "CREATE TABLE events (
               seq INTEGER PRIMARY KEY, hash TEXT NOT NULL, salt BLOB NOT NULL, kind TEXT NOT NULL, id TEXT NOT NULL,
               version INTEGER NOT NULL, body TEXT NOT NULL, entered_by TEXT, verified_by TEXT,
               known_from INTEGER, ledger_seq INTEGER,
               state TEXT NOT NULL CHECK (state IN ('pending', 'effective')),
               UNIQUE (kind, id, version)) STRICT;
             CREATE TABLE proposals (
               id INTEGER PRIMARY KEY AUTOINCREMENT, body TEXT NOT NULL, entered_by TEXT NOT NULL,
               entered_role TEXT NOT NULL, entered_at INTEGER NOT NULL, verified_by TEXT) STRICT;
             CREATE TABLE streams (
               stream INTEGER PRIMARY KEY AUTOINCREMENT, camera TEXT NOT NULL, role TEXT NOT NULL,
               UNIQUE (camera, role)) STRICT;",
        )
        .unwrap();
    let body = serde_json::to_string(&sign("B2")).unwrap();
    let sql = "INSERT INTO proposals (body, entered_by, entered_role, entered_at, verified_by)
               VALUES (?, 'carla', 'legal_admin', 5, ?)";
    store.execute(sql, params![body, "bert"]).unwrap();
    store.execute(sql, params![body, None::<String>]).unwrap();
    drop(store);
    let log = FakeLog::new(&clock());
    let journal = open(folder.path(), &log, None).unwrap();
    let all = journal.proposals(10).unwrap();
    assert_eq!(all.iter().map(|p| p.end.is_some()).collect::<Vec<_>>(), [false, true]);
    journal.store().pragma_update(None, "user_version", 99).unwrap();
    drop(journal);
    assert!(matches!(open(folder.path(), &log, None), Err(JournalError::Newer { version: 99, .. })));
}

/// The log hangs while an event is recorded; when it answers again the event was written, or it was not.
async fn hung(written: bool) -> (tempfile::TempDir, Arc<FakeLog>, Journal, u64) {
    let folder = tempfile::tempdir().unwrap();
    let log = FakeLog::new(&clock());
    let journal = journal(folder.path(), &log, &clock()).await;
    let id = journal.propose(&sign("B2"), &"carla".into(), mandate::Role::LegalAdmin, None).unwrap().id;
    let by = Provenance { proposal: Some(id), verified_by: Some("bert".into()), ..Provenance::default() };
    log.hang();
    assert!(matches!(journal.record(sign("B2"), by).await, Err(JournalError::Log(_))));
    assert!(journal.proposal(id).unwrap().unwrap().settling);
    assert!(!journal.withdraw(id, &"carla".into()).unwrap(), "nobody withdraws what may have taken effect");
    let next = journal.record(sign("B3"), Provenance::default()).await;
    assert!(matches!(next, Err(JournalError::Unsettled { .. })));
    log.recover(written);
    (folder, log, journal, id)
}

fn holds(journal: &Journal, id: &str) -> bool {
    journal.snapshot().facts.iter().any(|f| name_of(&f.body).1 == id)
}

#[tokio::test]
async fn an_event_that_was_durable_late_takes_effect_with_the_next_call() {
    let (folder, log, journal, id) = hung(true).await;
    journal.record(sign("B3"), Provenance::default()).await.unwrap();
    assert!(holds(&journal, "B2") && holds(&journal, "B3"));
    assert_eq!(
        journal.proposal(id).unwrap().unwrap().end.map(|e| e.outcome),
        Some(ProposalOutcome::Verified)
    );
    let actions = log.actions();
    assert_eq!(
        actions[actions.len() - 3..],
        ["register.record done", "register.settled done", "register.record done"]
    );
    // And a restart finds the same.
    let head = journal.snapshot().head.clone();
    drop(journal);
    let again = open(folder.path(), &log, leaf(&log, 0).as_ref()).unwrap();
    assert_eq!(again.snapshot().head, head);
}

#[tokio::test]
async fn an_event_that_was_never_written_gives_way_to_the_next() {
    let (folder, log, journal, id) = hung(false).await;
    journal.record(sign("B3"), Provenance::default()).await.unwrap();
    assert!(!holds(&journal, "B2") && holds(&journal, "B3"));
    let proposal = journal.proposal(id).unwrap().unwrap();
    assert!(proposal.end.is_none() && !proposal.settling, "it waits for its second person again");
    let head = journal.snapshot().head.clone();
    drop(journal);
    let again = open(folder.path(), &log, leaf(&log, 0).as_ref()).unwrap();
    assert_eq!(again.snapshot().head, head);
}

#[tokio::test]
async fn what_is_unsettled_is_settled_without_a_call_when_the_log_can_be_written() {
    let (_folder, _log, journal, _) = hung(true).await;
    let mut register = journal.watch();
    let settling = tokio::spawn(journal.clone().keep_settled());
    register.wait_for(|s| s.facts.iter().any(|f| name_of(&f.body).1 == "B2")).await.unwrap();
    settling.abort();
}

#[tokio::test]
async fn a_log_that_refuses_without_trying_leaves_nothing_in_doubt() {
    let folder = tempfile::tempdir().unwrap();
    let log = FakeLog::new(&clock());
    let journal = journal(folder.path(), &log, &clock()).await;
    log.fail(Some(journal.snapshot().register.known_at()));
    assert!(matches!(journal.record(sign("B2"), Provenance::default()).await, Err(JournalError::Log(_))));
    log.fail(None);
    journal.record(sign("B3"), Provenance::default()).await.unwrap();
    assert!(!holds(&journal, "B2") && holds(&journal, "B3"));
}

/// A journal that asks for the witness, and the second person's word on a version of Anna's authorisation.
fn grant(until: &str, municipalities: &[&str]) -> FactBody {
    serde_json::from_value(serde_json::json!({ "kind": "authorisation", "id": "AUT-anna", "person": "anna",
        "role": "observer", "municipalities": municipalities, "from": "2026-01-01T00:00:00Z", "until": until,
        "document_ref": "D", "granted_by": "carla" }))
    .unwrap()
}

async fn enter(journal: &Journal, body: FactBody) -> u64 {
    let carla = PersonId::new("carla");
    let proposed = journal.propose(&body, &carla, mandate::Role::UserAdmin, None).unwrap();
    let by = Provenance {
        entered_by: Some(carla.clone()),
        verified_by: Some(PersonId::new("dora")),
        proposal: Some(proposed.id),
        ..Provenance::default()
    };
    journal.record(body, by).await.unwrap();
    proposed.id
}

/// Until when Anna may, as the register says.
fn anna(journal: &Journal) -> Vec<String> {
    let snapshot = journal.snapshot();
    let person = PersonId::new("anna");
    let grants = snapshot.register.authorisations(&person);
    grants.map(|a| a.until.format("%Y").to_string()).collect()
}

#[tokio::test]
async fn a_grant_waits_for_the_witness_and_an_ending_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let log = FakeLog::new(&clock());
    let journal = journal(folder.path(), &log, &clock()).await;
    log.witnessed_all();
    journal.wait_for_witness(true).unwrap();
    tokio::spawn(journal.clone().keep_granting());
    assert_eq!(anna(&journal), ["2028"], "what the first start recorded waits for nothing");

    // Longer: the version before goes on meanwhile.
    let longer = enter(&journal, grant("2030-01-01T00:00:00Z", &["enschede"])).await;
    assert_eq!(anna(&journal), ["2028"]);
    assert!(journal.proposal(longer).unwrap().unwrap().unwitnessed);
    // Shorter than both: at once, though nobody has seen it. And wider again: not at once.
    enter(&journal, grant("2027-01-01T00:00:00Z", &["enschede"])).await;
    assert_eq!(anna(&journal), ["2027"]);
    enter(&journal, grant("2029-01-01T00:00:00Z", &["enschede"])).await;
    assert_eq!(anna(&journal), ["2027"]);

    // A restart gives nothing, and takes nothing.
    drop(journal);
    let journal = open(folder.path(), &log, leaf(&log, 0).as_ref()).unwrap();
    journal.wait_for_witness(true).unwrap();
    assert_eq!(anna(&journal), ["2027"]);
    tokio::spawn(journal.clone().keep_granting());
    log.witnessed_all();
    let mut register = journal.watch();
    let granted = |now: &Arc<Snapshot>| {
        now.register.authorisations(&PersonId::new("anna")).any(|a| a.until.to_string().starts_with("2029"))
    };
    register.wait_for(granted).await.unwrap();
    assert!(!journal.proposal(longer).unwrap().unwrap().unwitnessed);
    // Nothing in common with what was: it ends, and the other waits.
    enter(&journal, grant("2030-01-01T00:00:00Z", &["borne"])).await;
    assert_eq!(anna(&journal), ["2026"]);

    // Where no witness is configured nothing waits, whatever was kept.
    drop(journal);
    let journal = open(folder.path(), &log, leaf(&log, 0).as_ref()).unwrap();
    journal.wait_for_witness(false).unwrap();
    assert_eq!(anna(&journal), ["2030"]);
    let again = enter(&journal, grant("2031-01-01T00:00:00Z", &["enschede"])).await;
    assert_eq!(
        (anna(&journal), journal.proposal(again).unwrap().unwrap().unwitnessed),
        (vec!["2031".to_owned()], false)
    );
}

/// A past answer rests on who could do what then, not on what the witness has seen since.
#[tokio::test]
async fn the_register_as_it_stood_knows_which_grants_waited() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let log = FakeLog::new(&clock);
    let journal = journal(folder.path(), &log, &clock).await;
    log.witnessed_all();
    journal.wait_for_witness(true).unwrap();
    tokio::spawn(journal.clone().keep_granting());
    clock.advance(TimeDelta::minutes(1));
    enter(&journal, grant("2030-01-01T00:00:00Z", &["enschede"])).await;
    clock.advance(TimeDelta::minutes(10));
    log.witnessed_all();
    let granted = |now: &Arc<Snapshot>| {
        now.register.authorisations(&PersonId::new("anna")).any(|a| a.until.year() == 2030)
    };
    journal.watch().wait_for(granted).await.unwrap();
    let as_known = |at: &str| {
        let snapshot = journal.as_known(at.parse().unwrap()).unwrap();
        let anna = PersonId::new("anna");
        snapshot.register.authorisations(&anna).map(|a| a.until.year()).collect::<Vec<_>>()
    };
    assert_eq!(as_known("2026-06-13T20:00:30Z"), [2028]);
    assert_eq!(as_known("2026-06-13T20:10:59Z"), [2028], "entered, and not yet witnessed");
    assert_eq!(as_known("2026-06-13T20:11:00Z"), [2030]);
    // Where no witness is asked for any more, what waited acts from then on.
    enter(&journal, grant("2031-01-01T00:00:00Z", &["enschede"])).await;
    clock.advance(TimeDelta::minutes(1));
    journal.wait_for_witness(false).unwrap();
    let until = |at: &str| {
        let snapshot = journal.as_known(at.parse().unwrap()).unwrap();
        snapshot.register.authorisations(&PersonId::new("anna")).next().map(|a| a.until.year())
    };
    assert_eq!(until("2026-06-13T20:11:59Z"), Some(2030));
    assert_eq!(until("2026-06-13T20:12:00Z"), Some(2031));
}

/// Names and free text of people are commitments (`decisions.md` 13); windows stand in clear, but for their ground.
#[tokio::test]
async fn who_was_consulted_and_what_was_found_are_not_in_clear() {
    let folder = tempfile::tempdir().unwrap();
    let log = FakeLog::new(&clock());
    let journal = journal(folder.path(), &log, &clock()).await;
    let consultation = serde_json::json!({ "kind": "consultation", "id": "O2", "municipality": "enschede",
        "held_at": "2026-06-12T10:00:00Z", "prosecutor": "mr. O. Justitie" });
    let audit = serde_json::json!({ "kind": "audit", "id": "AU1", "type": "internal",
        "scope_from": "2025-06-01T00:00:00Z", "scope_until": "2026-06-01T00:00:00Z", "auditor": "A. Controleur" });
    for body in [consultation, audit] {
        journal.record(serde_json::from_value(body).unwrap(), Provenance::default()).await.unwrap();
        let entry = log.entries.lock().unwrap().last().cloned().unwrap();
        assert!(matches!(entry.change, Some(Change::Private { .. })), "{:?}", entry.object);
    }
    let window = |until: &str| {
        serde_json::from_value(serde_json::json!({ "kind": "extra_window", "id": "X1", "type": "event",
            "decree": "D1", "from": "2026-06-14T10:00:00Z", "until": until, "ordered_by": "mayor",
            "consultation": "O1", "ground": "a fair, says J. Jansen" }))
        .unwrap()
    };
    for until in ["2026-06-14T20:00:00Z", "2026-06-14T18:00:00Z"] {
        journal.record(window(until), Provenance::default()).await.unwrap();
        let entry = log.entries.lock().unwrap().last().cloned().unwrap();
        let Some(Change::Clear { old, new }) = entry.change else { panic!("windows stand in clear") };
        assert!(!old.to_string().contains("Jansen") && !new.to_string().contains("Jansen"), "{old} {new}");
        assert!(new.to_string().contains("mayor"));
        assert_eq!(entry.justification.note.as_deref(), Some("a fair, says J. Jansen"));
    }
}
