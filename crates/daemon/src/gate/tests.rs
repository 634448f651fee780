//! The gate over a real journal and a log that can be made to fail.

mod shift;

use super::*;
use crate::{
    clock::{Clock as _, ManualClock},
    journal::{Journal, Provenance},
    testing::{FakeLog, journal},
};
use mandate::{FactBody, IncidentId, PersonId, Role, facts::LiveOutsideWindow};
use tokio_util::sync::CancellationToken;

struct Room {
    gate: Gate,
    journal: Journal,
    log: Arc<FakeLog>,
    clock: ManualClock,
    _folder: tempfile::TempDir,
}

/// Saturday evening, inside the window of 21:00 to 06:00 in Enschede.
async fn room() -> Room {
    let folder = tempfile::tempdir().unwrap();
    let clock = ManualClock::new("2026-06-13T20:00:00Z".parse().unwrap());
    let log = FakeLog::new(&clock);
    let journal = journal(folder.path(), &log, &clock).await;
    log.entries.lock().unwrap().clear();
    let gate = Gate::new(journal.watch(), log.clone(), Arc::new(clock.clone()));
    tokio::spawn(gate.clone().supervise());
    Room { gate, journal, log, clock, _folder: folder }
}

fn session(person: &str, role: Role) -> Session {
    Session {
        id: "s".into(),
        person: PersonId::new(person),
        role,
        workstation: "desk 1".into(),
        address: std::net::Ipv4Addr::LOCALHOST.into(),
        expires_at: "2026-06-14T20:00:00Z".parse().unwrap(),
        ended: CancellationToken::new(),
    }
}

fn live(person: &str, role: Role) -> Ask {
    let session = session(person, role);
    Ask {
        request: request(&session, Action::LiveView, Object::Camera("C1".into())),
        session: Some(session),
        name: "live_view",
        display: Some("tile 1".to_owned()),
    }
}

/// Lets the supervisor do what is due.
async fn settle() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

async fn end(lease: &mut Lease) -> EndCause {
    loop {
        if let LeaseState::Ended(cause) = lease.state() {
            return cause;
        }
        lease.changed().await;
    }
}

#[tokio::test]
async fn a_look_is_logged_before_it_begins_and_when_it_stops() {
    let room = room().await;
    let lease = room.gate.look(live("anna", Role::Observer)).await.unwrap();
    assert_eq!(room.log.actions(), ["live_view.start permit"]);
    assert!(lease.ticket().covers(room.clock.now()));
    let ticket = lease.ticket();
    drop(lease);
    assert!(!ticket.running());
    assert_eq!(room.log.actions(), ["live_view.start permit", "live_view.stop done"]);
    let entries = room.log.entries.lock().unwrap();
    assert_eq!(entries[0].look, entries[1].look);
    assert!(entries[0].legal_context.basis.contains(&"decree D1 v1".to_owned()));
}

#[tokio::test]
async fn a_refusal_is_logged_and_says_why_and_when_it_opens() {
    let room = room().await;
    room.clock.set("2026-06-13T12:00:00Z".parse().unwrap());
    let request = live("bert", Role::PoliceOperator);
    let Err(Refused::Denied { refusal, ledger_seq }) = room.gate.look(request).await else {
        panic!("open at noon")
    };
    assert_eq!(refusal.code, ReasonCode::OutsideLiveWindow);
    assert_eq!(refusal.opens_at, Some("2026-06-13T19:00:00Z".parse().unwrap()));
    assert_eq!(ledger_seq, Some(0));
    assert_eq!(room.log.actions(), ["live_view deny"]);
}

/// By day recording runs and nobody watches. The police open an incident that their own system knows, and look live at it;
/// nobody else does, and not where the period says never.
#[tokio::test]
async fn outside_the_window_the_police_open_an_incident_with_a_number_of_their_own() {
    let room = room().await;
    room.clock.set("2026-06-17T12:00:00Z".parse().unwrap());
    let new = |outside_number: Option<&str>| protocol::api::NewIncident {
        at: room.clock.now(),
        cameras: vec!["C1".into()],
        category: protocol::api::IncidentCategory::Fight,
        note: String::new(),
        source: protocol::api::IncidentSource::Own,
        instruction: None,
        quick: false,
        outside_number: outside_number.map(ToOwned::to_owned),
    };
    let mark = async |person, role, number| {
        let (session, new, camera) = (session(person, role), new(number), CameraId::from("C1"));
        let nothing = mandate::Resolved::default();
        match crate::api::room::pass_mark(&room.gate, &session, &new, &camera, nothing).await {
            Ok(_) => None,
            Err(Refused::Denied { refusal, .. }) => Some(refusal.code),
            Err(other) => panic!("{other:?}"),
        }
    };
    let outside = async |mode| {
        let mut period =
            crate::testing::facts().into_iter().find(|f| matches!(f, FactBody::Period(_))).unwrap();
        if let FactBody::Period(period) = &mut period {
            period.live_outside_window = Some(mode);
        }
        room.journal.record(period, Provenance::default()).await.unwrap();
    };
    outside(LiveOutsideWindow::PoliceIncident).await;
    let number = Some("BVH 2026123456");
    let (bert, anna) = (("bert", Role::PoliceOperator), ("anna", Role::Observer));
    assert_eq!(mark(bert.0, bert.1, None).await, Some(ReasonCode::OutsideLiveWindow));
    assert_eq!(mark(anna.0, anna.1, number).await, Some(ReasonCode::RoleNotPermitted));
    assert_eq!(mark(bert.0, bert.1, number).await, None);
    let entry = room.log.entries.lock().unwrap().last().cloned().unwrap();
    assert_eq!(
        (entry.action.as_ref(), entry.justification.case_number.as_deref()),
        ("incident.mark", number)
    );
    assert_eq!(entry.justification.incident, None);
    let mut look = live(bert.0, bert.1);
    assert!(room.gate.look(look.clone()).await.is_err(), "not without it");
    look.request = look.request.for_incident(IncidentId::new("1"));
    room.gate.look(look.clone()).await.unwrap();
    outside(LiveOutsideWindow::Never).await;
    assert_eq!(mark(bert.0, bert.1, number).await, Some(ReasonCode::OutsideLiveWindow));
    assert!(room.gate.look(look).await.is_err());
}

#[tokio::test]
async fn the_end_of_the_window_ends_the_look_and_both_entries_stand() {
    let room = room().await;
    let mut lease = room.gate.look(live("bert", Role::PoliceOperator)).await.unwrap();
    let ticket = lease.ticket();
    // 06:00 in Amsterdam; before it nothing ends, at it the ticket itself no longer covers.
    let close = "2026-06-14T04:00:00Z".parse().unwrap();
    assert!(ticket.covers(close - TimeDelta::milliseconds(1)) && !ticket.covers(close));
    room.clock.set(close);
    let EndCause::Refused(refusal) = end(&mut lease).await else { panic!("another end") };
    assert_eq!(refusal.code, ReasonCode::OutsideLiveWindow);
    assert!(!ticket.running());
    drop(lease);
    let actions = room.log.actions();
    assert_eq!(
        actions.iter().filter(|a| a.starts_with("live_view")).collect::<Vec<_>>(),
        ["live_view.start permit", "live_view.stop deny"]
    );
}

#[tokio::test]
async fn a_revocation_cuts_every_look_at_once() {
    let room = room().await;
    let mut looks = Vec::new();
    for _ in 0..20 {
        looks.push(room.gate.look(live("bert", Role::PoliceOperator)).await.unwrap());
    }
    let now = room.clock.now();
    let revocation = serde_json::json!({ "kind": "revocation", "decree": "D1", "revoked_from": now });
    let body: FactBody = serde_json::from_value(revocation).unwrap();
    room.journal.record(body, Provenance::default()).await.unwrap();
    for look in &mut looks {
        let EndCause::Refused(refusal) = end(look).await else { panic!("another end") };
        assert_eq!(refusal.code, ReasonCode::DecreeRevoked);
    }
    let (open, _) = room.gate.figures();
    assert_eq!(open, 0);
}

#[tokio::test]
async fn a_new_basis_goes_on_without_a_break_and_many_looks_log_one_entry() {
    let room = room().await;
    let mut looks = Vec::new();
    for _ in 0..3 {
        looks.push(room.gate.look(live("bert", Role::PoliceOperator)).await.unwrap());
    }
    let decree = room.journal.snapshot().facts.iter().find_map(|f| match &f.body {
        FactBody::Decree(d) => Some(d.clone()),
        _ => None,
    });
    let mut decree = decree.unwrap();
    decree.necessity = Some("better reasons".to_owned());
    room.log.entries.lock().unwrap().clear();
    room.journal.record(FactBody::Decree(decree), Provenance::default()).await.unwrap();
    for look in &mut looks {
        loop {
            let LeaseState::Running { basis, .. } = look.changed().await else { panic!("it broke") };
            if basis.iter().any(|f| f.kind == FactKind::Decree && f.version == 2) {
                break;
            }
        }
        assert!(look.ticket().covers(room.clock.now()));
    }
    assert_eq!(room.log.actions(), ["register.record done", "looks.continue permit"]);
}

#[tokio::test]
async fn a_failing_log_refuses_new_looks_at_once_and_ends_running_ones_after_the_grace() {
    let room = room().await;
    let mut lease = room.gate.look(live("bert", Role::PoliceOperator)).await.unwrap();
    let since = room.clock.now();
    room.log.fail(Some(since));
    let refused = room.gate.look(live("bert", Role::PoliceOperator)).await;
    assert!(matches!(refused, Err(Refused::LogUnavailable)));
    assert!(
        lease.ticket().covers(since + GRACE - TimeDelta::milliseconds(1)),
        "running looks have their grace"
    );
    room.clock.set(since + GRACE);
    assert!(matches!(end(&mut lease).await, EndCause::LogUnavailable { .. }));
    room.log.fail(None);
    room.gate.look(live("bert", Role::PoliceOperator)).await.unwrap();
}

#[tokio::test]
async fn every_role_that_may_never_look_is_refused() {
    let room = room().await;
    for role in [Role::UserAdmin, Role::SystemAdmin, Role::LegalAdmin, Role::Auditor, Role::Investigator] {
        let Err(Refused::Denied { refusal, .. }) = room.gate.look(live("bert", role)).await else {
            panic!("{role:?} saw a picture")
        };
        assert_eq!(refusal.code, ReasonCode::RoleNotPermitted);
    }
}

#[tokio::test]
async fn a_closed_camera_says_when_it_opens_though_the_shift_ends_before() {
    let room = room().await;
    room.clock.set("2026-06-14T04:00:00Z".parse().unwrap());
    let request = live("anna", Role::Observer).request;
    let Access::Closed(refusal) = room.gate.access(&request) else { panic!("open after the window") };
    assert_eq!(refusal.opens_at, Some("2026-06-14T19:00:00Z".parse().unwrap()));
}

/// What 300 looks go on under is more than one entry has room for: each stands in one of several, and none ends.
#[tokio::test]
async fn many_looks_that_go_on_are_told_in_as_many_entries_as_they_need() {
    let room = room().await;
    let mut looks = Vec::new();
    for _ in 0..300 {
        looks.push(room.gate.look(live("bert", Role::PoliceOperator)).await.unwrap());
    }
    room.log.entries.lock().unwrap().clear();
    let mut decree = crate::testing::facts().into_iter().find(|f| matches!(f, FactBody::Decree(_))).unwrap();
    if let FactBody::Decree(decree) = &mut decree {
        decree.necessity = Some("told anew".to_owned());
    }
    room.journal.record(decree, Provenance::default()).await.unwrap();
    for look in &mut looks {
        let goes_on = |state: &LeaseState| matches!(state, LeaseState::Running { basis, .. } if basis.iter().any(|f| &*f.id == "D1" && f.version == 2));
        while !goes_on(&look.state()) {
            assert!(matches!(look.state(), LeaseState::Running { .. }), "{:?}", look.state());
            look.changed().await;
        }
    }
    let entries = room.log.entries.lock().unwrap().clone();
    let mut told = std::collections::BTreeSet::new();
    let continued: Vec<_> = entries.iter().filter(|entry| entry.action == "looks.continue").collect();
    assert!(continued.len() > 1);
    for entry in &continued {
        let data = entry.data.as_ref().unwrap();
        assert!(data.to_string().len() < 60_000);
        for look in data["looks"].as_array().unwrap() {
            assert!(told.insert(look["look"].as_str().unwrap().to_owned()), "told once");
        }
    }
    assert_eq!(told.len(), 300);
}

/// Numbers that other stores keep survive a new epoch: what the police knew of the old log is witnessed, what was lost with it
/// never is, however long the new one grows.
#[tokio::test]
async fn an_entry_of_a_former_log_counts_by_what_the_police_knew_of_that() {
    let room = room().await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("ledger-until-7.vkey"), "room/1+aaaa+Akey\n").unwrap();
    room.gate.know_logs(Logs::read(folder.path(), "room/2+bbbb+Akey").unwrap());
    let of = |seq, log: &str| EntryOf { seq, log: Some(log.to_owned()) };
    assert_eq!(room.gate.seen(&of(7, "room/1+aaaa")), Seen::Yes, "nobody asks for a witness");
    room.gate.require_witness();
    let ours = room.gate.entry_of(0);
    assert_eq!((ours.log.as_deref(), room.gate.seen(&ours)), (Some("room/2+bbbb"), Seen::NotYet));
    room.log.witnessed_all();
    assert_eq!(room.gate.seen(&ours), Seen::Yes);
    assert_eq!(room.gate.seen(&EntryOf { log: None, ..ours }), Seen::Yes, "from before names were kept");
    assert_eq!(room.gate.seen(&of(6, "room/1+aaaa")), Seen::Yes);
    assert_eq!(room.gate.seen(&of(7, "room/1+aaaa")), Seen::Never);
    assert_eq!(room.gate.seen(&of(0, "room/0+cccc")), Seen::Never, "nobody knows that log");
}

#[tokio::test]
async fn without_the_witness_only_the_police_look() {
    let room = room().await;
    room.gate.require_witness();
    let mut observer = room.gate.look(live("anna", Role::Observer)).await.unwrap();
    let police = room.gate.look(live("bert", Role::PoliceOperator)).await.unwrap();
    let silent = room.clock.now() + POLICE_ONLY_AFTER;
    room.clock.set(silent - TimeDelta::seconds(1));
    drop(room.gate.look(live("anna", Role::Observer)).await.unwrap());
    room.clock.set(silent);
    assert!(matches!(end(&mut observer).await, EndCause::LogUnavailable { .. }));
    assert!(matches!(room.gate.look(live("anna", Role::Observer)).await, Err(Refused::Unwitnessed)));
    assert!(
        police.ticket().covers(silent) && room.gate.look(live("bert", Role::PoliceOperator)).await.is_ok()
    );
    room.log.witnessed(silent);
    room.gate.look(live("anna", Role::Observer)).await.unwrap();
}

#[tokio::test]
async fn a_sign_of_life_each_minute_also_while_somebody_looks() {
    let room = room().await;
    settle().await;
    let look = room.gate.look(live("anna", Role::Observer)).await.unwrap();
    let beats = || room.log.actions().iter().filter(|a| *a == "ledger.heartbeat done").count();
    for (seconds, expected) in [(5, 0), (50, 0), (5, 1), (55, 1), (5, 2)] {
        room.clock.advance(TimeDelta::seconds(seconds));
        settle().await;
        assert_eq!(beats(), expected, "at {}", room.clock.now());
    }
    drop(look);
}

#[tokio::test]
async fn what_is_refused_again_and_again_is_counted() {
    let room = room().await;
    settle().await;
    for _ in 0..30 {
        assert!(room.gate.look(live("carla", Role::LegalAdmin)).await.is_err());
    }
    assert!(
        room.gate.look(live("carla", Role::SystemAdmin)).await.is_err(),
        "another role is another attempt"
    );
    let refused = |actions: &[String]| actions.iter().filter(|a| *a == "live_view deny").count();
    assert_eq!(refused(&room.log.actions()), 11);
    room.clock.advance(TimeDelta::seconds(61));
    settle().await;
    let entries = room.log.entries.lock().unwrap();
    let last = entries.iter().rev().find(|e| e.action == "live_view").unwrap();
    assert_eq!(last.data, Some(serde_json::json!({ "repeated": 20 })));
}

/// How long this thread has worked; a shared machine may let it wait meanwhile.
fn cpu_time() -> std::time::Duration {
    let spent = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    std::time::Duration::new(spent.tv_sec.unsigned_abs(), spent.tv_nsec as u32)
}

/// A change of a decree decides every open lease again within a second: first all go on under the new version, then the
/// revocation ends all of them.
#[tokio::test]
async fn five_hundred_looks_are_decided_again_within_a_second() {
    const LOOKS: usize = 500;
    let room = room().await;
    let mut looks = Vec::new();
    for _ in 0..LOOKS {
        looks.push(room.gate.look(live("bert", Role::PoliceOperator)).await.unwrap());
    }
    let decree = room.journal.snapshot().facts.iter().find_map(|f| match &f.body {
        FactBody::Decree(d) => Some(d.clone()),
        _ => None,
    });
    let mut decree = decree.unwrap();
    decree.necessity = Some("better reasons".to_owned());
    let began = cpu_time();
    room.journal.record(FactBody::Decree(decree), Provenance::default()).await.unwrap();
    for look in &mut looks {
        let mut state = look.watch();
        let renewed = |state: &LeaseState| match state {
            LeaseState::Running { basis, .. } => {
                basis.iter().any(|f| f.kind == FactKind::Decree && f.version == 2)
            }
            LeaseState::Ended(_) => panic!("a look broke"),
        };
        state.wait_for(renewed).await.unwrap();
    }
    let renewed = cpu_time().saturating_sub(began);
    let revocation =
        serde_json::json!({ "kind": "revocation", "decree": "D1", "revoked_from": room.clock.now() });
    let began = cpu_time();
    let body: FactBody = serde_json::from_value(revocation).unwrap();
    room.journal.record(body, Provenance::default()).await.unwrap();
    for look in &mut looks {
        assert!(matches!(end(look).await, EndCause::Refused(_)));
        assert!(!look.ticket().running());
    }
    let revoked = cpu_time().saturating_sub(began);
    println!("{LOOKS} looks: under a new version after {renewed:?}, ended by a revocation after {revoked:?}");
    let second = std::time::Duration::from_secs(1);
    assert!(renewed < second && revoked < second, "{renewed:?}, {revoked:?}");
}

/// The room under a decree that opens a picture on an incident outside the windows too (V12).
async fn on_call() -> Room {
    let room = room().await;
    let decree = room.journal.snapshot().facts.iter().find_map(|f| match &f.body {
        FactBody::Decree(d) => Some(d.clone()),
        _ => None,
    });
    let mut decree = decree.unwrap();
    decree.live_outside_window = mandate::facts::LiveOutsideWindow::PoliceIncident;
    room.journal.record(FactBody::Decree(decree), Provenance::default()).await.unwrap();
    room
}

/// The same, ninety minutes after the window.
async fn by_day() -> Room {
    let room = on_call().await;
    room.clock.set("2026-06-14T05:30:00Z".parse().unwrap());
    room
}

fn on_incident(person: &str, role: Role, incident: &str) -> Ask {
    let mut ask = live(person, role);
    ask.request = ask.request.for_incident(IncidentId::new(incident));
    ask
}

async fn instruct(room: &Room, id: &str, from: &str, until: &str) {
    let body = serde_json::json!({ "kind": "instruction", "id": id, "cameras": ["C1"], "from": from, "until": until,
        "entered_by": "bert" });
    room.journal.record(serde_json::from_value(body).unwrap(), Provenance::default()).await.unwrap();
}

#[tokio::test]
async fn what_rests_on_an_incident_ends_when_it_is_closed() {
    let room = on_call().await;
    let mut inside = room.gate.look(on_incident("bert", Role::PoliceOperator, "1")).await.unwrap();
    room.gate.incident_closed(&IncidentId::new("1"));
    settle().await;
    assert!(inside.ticket().covers(room.clock.now()), "the window carries it");
    room.clock.set("2026-06-14T04:00:00Z".parse().unwrap());
    assert!(matches!(end(&mut inside).await, EndCause::Refused(_)), "and nothing else");

    let room = by_day().await;
    let mut mine = room.gate.look(on_incident("bert", Role::PoliceOperator, "1")).await.unwrap();
    let other = room.gate.look(on_incident("bert", Role::PoliceOperator, "2")).await.unwrap();
    room.gate.incident_closed(&IncidentId::new("1"));
    assert!(!mine.ticket().running(), "at once");
    let EndCause::Refused(refusal) = end(&mut mine).await else { panic!("another end") };
    assert_eq!(refusal.code, ReasonCode::OutsideLiveWindow);
    assert_eq!(refusal.opens_at, Some("2026-06-14T19:00:00Z".parse().unwrap()), "not at once again");
    settle().await;
    assert!(other.ticket().covers(room.clock.now()), "another incident is open");
    // Asked for while it was open, begun when it was closed.
    let mut late = room.gate.look(on_incident("bert", Role::PoliceOperator, "1")).await.unwrap();
    assert!(matches!(end(&mut late).await, EndCause::Refused(_)));
    let entries = room.log.entries.lock().unwrap();
    let stop = entries.iter().find(|e| e.action == "live_view.stop").unwrap();
    assert_eq!(stop.justification.incident.as_deref(), Some("1"), "the log keeps what it was for");
}

#[tokio::test]
async fn a_look_goes_on_under_the_instruction_that_follows() {
    let room = on_call().await;
    room.clock.set("2026-06-14T04:30:00Z".parse().unwrap());
    instruct(&room, "I1", "2026-06-14T04:00:00Z", "2026-06-14T05:00:00Z").await;
    let mut ask = on_incident("anna", Role::Observer, "1");
    ask.request.resolved.instruction = Some("I1".into());
    let mut look = room.gate.look(ask).await.unwrap();
    instruct(&room, "I2", "2026-06-14T05:00:00Z", "2026-06-14T05:20:00Z").await;
    room.clock.set("2026-06-14T05:00:00Z".parse().unwrap());
    loop {
        let LeaseState::Running { basis, .. } = look.changed().await else { panic!("it broke") };
        if basis.iter().any(|fact| fact.kind == FactKind::Instruction && &*fact.id == "I2") {
            break;
        }
    }
    let entry = |action: &str| {
        let entries = room.log.entries.lock().unwrap();
        entries.iter().find(|e| e.action == action).unwrap().justification.instruction.clone()
    };
    assert_eq!(entry("live_view.continue").as_deref(), Some("I2"));
    room.clock.set("2026-06-14T05:20:00Z".parse().unwrap());
    assert!(matches!(end(&mut look).await, EndCause::Refused(_)));
}

#[tokio::test]
async fn a_refusal_names_what_it_rests_on_and_counts_are_told_at_a_stop() {
    let room = room().await;
    room.clock.set("2026-06-13T12:00:00Z".parse().unwrap());
    for _ in 0..=REFUSALS_EACH {
        room.gate.look(live("bert", Role::PoliceOperator)).await.err().unwrap();
    }
    let address: std::net::IpAddr = "10.0.0.9".parse().unwrap();
    for _ in 0..5 {
        room.gate.guessed(address);
    }
    room.gate.tell_refusals(true);
    let entries = room.log.entries.lock().unwrap();
    let refused = entries.iter().find(|e| e.action == "live_view").unwrap();
    let data = refused.data.as_ref().unwrap();
    assert!(data.get("refused_until").is_some(), "until when: {data}");
    let counts: Vec<_> = entries
        .iter()
        .filter_map(|e| Some((e.action.as_ref(), e.data.as_ref()?.get("repeated")?.as_u64()?)))
        .collect();
    assert_eq!(counts, [("live_view", 1), ("session.start", 4)]);
    let guess = entries.iter().find(|e| e.action == "session.start").unwrap();
    assert_eq!(guess.outcome.reason_code(), Some("TOO_MANY_ATTEMPTS"));
}
