//! A shift of eight hours through the gate, on a driven clock, and what an auditor reads of it afterwards: a log that is too
//! long to be read protects nobody (`quality.md`). Two observers with sixteen tiles each and the police's wall of nine watch a
//! Saturday night; incidents are marked, looked back at and closed; walls are divided anew, a network fails, a decree gets a new
//! version, a program asks in vain, and at six the window ends.

use super::*;
use ledger::Operation;
use std::collections::{BTreeMap, HashMap};

/// How long one look may have ended before the next like it begins and still be read as the same: `rtrctl ledger query --text`
/// puts them on one line (`rtrctl::ledger::readable`).
const SAME: TimeDelta = TimeDelta::seconds(5);

/// The room with sixteen cameras and a second observer.
async fn night() -> Room {
    let room = room().await;
    let mut more = Vec::new();
    let of_other = |text: String, id: &str| -> FactBody {
        serde_json::from_str(&text.replace("C1", id).replace("anna", "dirk").replace("Anna", "Dirk")).unwrap()
    };
    for fact in crate::testing::facts() {
        let text = serde_json::to_string(&fact).unwrap();
        match &fact {
            FactBody::Camera(_) => {
                for number in 2..=16 {
                    let text = text.replace("\"number\":1", &format!("\"number\":{number}"));
                    more.push(of_other(text, &format!("C{number}")));
                }
            }
            FactBody::Position(_) | FactBody::Mask(_) => {
                more.extend((2..=16).map(|number| of_other(text.clone(), &format!("C{number}"))));
            }
            FactBody::Person(p) if p.id.as_str() == "anna" => more.push(of_other(text, "C1")),
            FactBody::Authorisation(a) if a.person.as_str() == "anna" => more.push(of_other(text, "C1")),
            FactBody::Shift(_) => more.push(of_other(text, "C1")),
            _ => {}
        }
    }
    let more = more.into_iter().map(|body| (body, Provenance::default())).collect();
    room.journal.record_many(more).await.unwrap();
    settle().await;
    room.log.entries.lock().unwrap().clear();
    room
}

/// One workstation: which camera stands on which tile, and the look that shows it.
struct Desk {
    person: &'static str,
    role: Role,
    tiles: Vec<(usize, Option<Lease>)>,
}

impl Desk {
    fn new(person: &'static str, role: Role, tiles: usize) -> Self {
        Self { person, role, tiles: (1..=tiles).map(|camera| (camera, None)).collect() }
    }

    fn ask(&self, action: Action, object: Object, name: &'static str) -> Ask {
        let session = session(self.person, self.role);
        Ask { request: request(&session, action, object), session: Some(session), name, display: None }
    }

    fn camera(number: usize) -> CameraId {
        CameraId::new(format!("C{number}"))
    }

    /// The tile's picture begins, or begins anew in another size: the next look is there before the one before it goes.
    async fn show(&mut self, gate: &Gate, tile: usize) {
        let mut ask =
            self.ask(Action::LiveView, Object::Camera(Self::camera(self.tiles[tile].0)), "live_view");
        ask.display = Some(format!("tile {}", tile + 1));
        self.tiles[tile].1 = Some(gate.look(ask).await.unwrap());
    }

    async fn show_all(&mut self, gate: &Gate) {
        for tile in 0..self.tiles.len() {
            self.show(gate, tile).await;
        }
    }

    /// Another camera on a tile: the two change places.
    async fn change(&mut self, gate: &Gate, tile: usize, other: usize) {
        let (a, b) = (self.tiles[tile].0, self.tiles[other].0);
        (self.tiles[tile], self.tiles[other]) = ((b, None), (a, None));
        self.show(gate, tile).await;
        self.show(gate, other).await;
    }

    /// Marks an incident on a camera, looks back half a minute, and closes it.
    async fn incident(&self, gate: &Gate, clock: &ManualClock, camera: usize, id: &str) {
        let incident = IncidentId::new(id);
        let camera = Self::camera(camera);
        let mark = self.ask(Action::MarkIncident, Object::Camera(camera.clone()), "incident.mark");
        gate.act(&mark).await.unwrap();
        let until = clock.now();
        let footage = Object::Footage { camera, from: until - TimeDelta::seconds(30), until };
        let mut back = self.ask(Action::Replay, footage, "replay");
        back.request = back.request.for_incident(incident.clone());
        let back = gate.look(back).await.unwrap();
        clock.advance(TimeDelta::seconds(30));
        settle().await;
        drop(back);
        gate.act(&self.ask(Action::ListIncidents, Object::None, "incident.change")).await.unwrap();
        gate.incident_closed(&incident);
    }

    async fn says(&self, room: &Room, name: &'static str) {
        let mut entry = Entry::new(room.clock.now(), Operation::Admin, name);
        let who = Actor::Person { person: PersonId::new(self.person), role: self.role };
        entry.actor = actor(&who, &room.gate.snapshot(), &[]);
        crate::log::Log::append(&*room.log, entry).await.unwrap();
    }
}

/// The lines that are read: looks from start to end, those that follow one another on one line, signs of life as one count.
fn lines(entries: &[Entry]) -> BTreeMap<String, usize> {
    let mut lines: BTreeMap<String, usize> = BTreeMap::new();
    // By person, place and camera: how many looks are open on the line, and when the last of them ended of itself.
    let mut going: HashMap<String, (usize, Option<DateTime<Utc>>)> = HashMap::new();
    let mut looks: HashMap<String, String> = HashMap::new();
    for entry in entries {
        let key = format!("{:?} {:?} {:?}", entry.actor, entry.object, entry.justification);
        let Some(look) = entry.look.clone() else {
            if entry.action != "ledger.heartbeat" {
                *lines.entry(entry.action.to_string()).or_default() += 1;
            }
            continue;
        };
        if entry.action.ends_with(".start") {
            looks.insert(look, key.clone());
            let line = going.entry(key).or_insert((0, None));
            let goes_on = line.0 > 0 || line.1.is_some_and(|ended| entry.at - ended <= SAME);
            line.0 += 1;
            if !goes_on {
                *lines.entry(entry.action.to_string()).or_default() += 1;
            }
        } else if entry.action.ends_with(".stop") {
            let line = looks.remove(&look).and_then(|key| going.get_mut(&key)).expect("a stop has its start");
            line.0 -= 1;
            line.1 = matches!(entry.outcome, Outcome::Done).then_some(entry.at);
        }
    }
    assert!(looks.is_empty(), "every look that began has ended in the log");
    lines
}

#[tokio::test]
async fn the_log_of_an_eight_hour_shift_can_be_read() {
    let room = night().await;
    let (gate, clock) = (&room.gate, &room.clock);
    let mut desks = [
        Desk::new("anna", Role::Observer, 16),
        Desk::new("dirk", Role::Observer, 16),
        Desk::new("bert", Role::PoliceOperator, 9),
    ];
    for desk in &mut desks {
        desk.says(&room, "session.start").await;
        desk.show_all(gate).await;
    }
    for minute in 1..480_usize {
        clock.set(
            "2026-06-13T20:00:00Z".parse::<DateTime<Utc>>().unwrap() + TimeDelta::minutes(minute as i64),
        );
        settle().await;
        for (n, desk) in desks.iter_mut().enumerate() {
            let tile = (minute + n) % desk.tiles.len();
            // A picture is made large to see somebody better, and small again; ten times an hour.
            if minute % 6 == n {
                desk.show(gate, tile).await;
                clock.advance(TimeDelta::seconds(10));
                desk.show(gate, tile).await;
            }
            // Another camera is put where one looks; twice an hour.
            if minute % 30 == 10 + n {
                desk.change(gate, tile, 0).await;
            }
            // One picture alone for two minutes: the others end, and come back.
            if matches!(minute, 120 | 300) && n < 2 {
                desk.tiles.iter_mut().skip(1).for_each(|tile| tile.1 = None);
            }
            if matches!(minute, 122 | 302) && n < 2 {
                for tile in 1..16 {
                    desk.show(gate, tile).await;
                }
            }
            // The workstation's network fails for ten seconds: every look is asked for anew.
            if minute == 200 && n == 1 {
                desk.tiles.iter_mut().for_each(|tile| tile.1 = None);
                clock.advance(TimeDelta::seconds(10));
                desk.show_all(gate).await;
            }
        }
        // An incident every forty minutes; the police look at it in full and close it.
        if minute % 40 == 20 {
            let desk = &desks[minute % 3];
            desk.incident(gate, clock, 1 + minute % 16, &minute.to_string()).await;
        }
        if minute == 240 {
            let mut decree = room.journal.snapshot().facts.iter().find_map(|f| match &f.body {
                FactBody::Decree(d) => Some(d.clone()),
                _ => None,
            });
            decree.as_mut().unwrap().necessity = Some("better reasons".to_owned());
            room.journal.record(FactBody::Decree(decree.unwrap()), Provenance::default()).await.unwrap();
            settle().await;
        }
        // A program that asks for a picture which its user may never see, three times a second for a minute.
        if minute == 360 {
            for _ in 0..180 {
                gate.look(live("carla", Role::LegalAdmin)).await.err().unwrap();
            }
        }
    }
    clock.set("2026-06-14T04:00:00Z".parse().unwrap());
    settle().await;
    assert_eq!(gate.figures().0, 0, "the window ended every look");
    for desk in &desks {
        desk.says(&room, "session.stop").await;
    }
    gate.tell_refusals(true);

    let entries = room.log.entries.lock().unwrap();
    let beats = entries.iter().filter(|entry| entry.action == "ledger.heartbeat").count();
    let looks =
        entries.iter().filter(|entry| entry.action.ends_with(".start") && entry.look.is_some()).count();
    let lines = lines(&entries);
    let of_looks = lines["live_view.start"];
    let read: usize = lines.values().sum();
    println!(
        "a shift of 8 h at 41 tiles: {} entries, {beats} of them signs of life, {looks} looks; read as {read} lines, {of_looks} of them live \
         looks: {lines:?}",
        entries.len()
    );
    assert!((478..=480).contains(&beats), "{beats} signs of life in eight hours");
    assert_eq!(lines["looks.continue"], 1, "41 looks go on under the new decree with one entry");
    assert_eq!(lines["live_view"], 11, "180 refusals are ten and a count");
    let acts = read - of_looks;
    assert!(read <= 320 && acts <= 80, "{read} lines, {acts} of them no live looks: nobody reads that");
}
