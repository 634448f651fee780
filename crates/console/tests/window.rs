//! The window as a person uses it: by keys and by what a screen reader says. A few small pictures watch the looks.
//! The room behind it is made up (`gallery`), its clock is that of 13 June 2026.
#![expect(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use console::{
    app::{App, Backend, Unattended},
    command::Room,
    gallery::{MadeUp, made_up_cameras, moment},
    i18n::Language,
    layout::Layout,
    model::{Listening, Model},
    net::News,
    receipts::Witnessed,
    theme,
    video::VideoSystem,
};
use egui::{Event, Key, Modifiers};
use egui_kittest::{Harness, kittest::Queryable as _};
use protocol::{api::LedgerHealth, socket::ServerMessage};
use std::time::{Duration, Instant};

/// The window is made in its first frame, as it needs the context.
type Window = Harness<'static, Option<App>>;

fn window(room: fn() -> MadeUp, layout: Layout, size: [f32; 2]) -> Window {
    let mut harness =
        Harness::builder().with_size(size).with_context_setup(theme::install).wgpu().build_ui_state(
            move |ui, app: &mut Option<App>| {
                app.get_or_insert_with(|| {
                    let video = VideoSystem::new(ui.ctx().clone(), None);
                    let mut room = room();
                    room.frozen = true;
                    let backend = Backend::MadeUp(Box::new(room));
                    App::new(Model::new(Language::Nl, layout), backend, video, Unattended::default())
                })
                .frame(ui);
            },
            None,
        );
    harness.run_steps(6);
    harness
}

fn wall() -> Window {
    window(MadeUp::logged_in, Layout::Sixteen, [1920.0, 1080.0])
}

fn app(window: &Window) -> &App {
    window.state().as_ref().unwrap()
}

fn tell(window: &mut Window, news: News) {
    window.state_mut().as_mut().unwrap().made_up().unwrap().tell(news);
    window.run_steps(3);
}

fn key(window: &mut Window, key: Key) {
    window.key_press(key);
    window.run_steps(4);
}

fn text(window: &mut Window, text: &str) {
    for character in text.chars() {
        window.event(Event::Text(character.to_string()));
    }
    window.run_steps(4);
}

fn numbers(window: &Window) -> Vec<u32> {
    let model = &app(window).model;
    let shown = model.tiles.iter().take(model.layout.tiles());
    shown.filter_map(|t| t.camera.as_ref()).filter_map(|c| model.camera(c)).map(|c| c.number).collect()
}

#[test]
fn nobody_sees_anything_before_logging_in() {
    let mut window = window(MadeUp::closed_door, Layout::Sixteen, [1280.0, 720.0]);
    assert!(window.query_by_label("Camera 12, Oude Markt, live").is_none());
    window.get_by_label("Naam").focus();
    window.run_steps(2);
    text(&mut window, "j.observant");
    window.get_by_label("Wachtwoord").focus();
    window.run_steps(2);
    text(&mut window, "verkeerd");
    window.get_by_label("Inloggen").click();
    window.run_steps(4);
    window.get_by_label("Naam of wachtwoord klopt niet.");
    window.get_by_label("Wachtwoord").focus();
    window.run_steps(2);
    text(&mut window, "geheim");
    key(&mut window, Key::Enter);
    window.run_steps(4);
    window.get_by_label("Camera 12, Oude Markt, live");
}

#[test]
fn every_tile_says_what_it_shows() {
    let window = wall();
    window.get_by_label("Camera 12, Oude Markt, live");
    window.get_by_label("Camera 33, Marktstraat, Gesloten tot vr 21:00");
    window.get_by_label("Camera 51, Centrum, Niet in gebruik");
    window.get_by_label("Camera 41, Marktplein, geen beeld");
    assert_eq!(
        numbers(&window),
        [12, 14, 21, 22, 23, 25, 26, 27, 28, 33, 41, 51],
        "in the order of their numbers"
    );
    // Only what the law opens was asked for.
    assert_eq!(app(&window).model.feeds.iter().count(), 10);
}

#[test]
fn a_number_and_enter_show_a_camera() {
    let mut window = wall();
    text(&mut window, "21");
    assert_eq!(app(&window).model.keypad.entry(), "21");
    key(&mut window, Key::Enter);
    assert_eq!(numbers(&window)[0], 21);
    text(&mut window, "3.12");
    key(&mut window, Key::Enter);
    assert_eq!((numbers(&window)[2], app(&window).model.selected), (12, 2));
    text(&mut window, "*4");
    key(&mut window, Key::Enter);
    assert_eq!(app(&window).model.layout, Layout::Nine);
    text(&mut window, "99");
    key(&mut window, Key::Enter);
    window.get_by_label("Er is geen camera 99 in uw gebied.");
}

#[test]
fn an_incident_is_marked_by_two_keys() {
    let mut window = wall();
    key(&mut window, Key::M);
    window.get_by_label_contains("Incident · camera 12");
    text(&mut window, "4");
    let incident = &app(&window).model.incidents[0];
    assert_eq!(incident.category, protocol::api::IncidentCategory::Theft);
    assert_eq!(incident.cameras, [made_up_cameras(moment())[0].id.clone()]);
    assert!(window.query_by_label_contains("Incident · camera 12").is_none(), "the form is gone");
    assert_eq!(app(&window).model.keypad.entry(), "", "the digit was no camera number");
    window.get_by_label_contains("Diefstal of beroving · camera 12");
}

#[test]
fn a_note_comes_before_the_key() {
    let mut window = wall();
    key(&mut window, Key::M);
    key(&mut window, Key::N);
    text(&mut window, "3 personen");
    key(&mut window, Key::Enter);
    text(&mut window, "1");
    let incident = &app(&window).model.incidents[0];
    assert_eq!(
        (incident.note.as_str(), incident.category),
        ("3 personen", protocol::api::IncidentCategory::Fight)
    );
}

#[test]
fn nothing_is_marked_on_a_closed_camera() {
    let mut window = wall();
    text(&mut window, "1.33");
    key(&mut window, Key::Enter);
    let before = app(&window).model.incidents.len();
    key(&mut window, Key::M);
    text(&mut window, "4");
    assert_eq!(app(&window).model.incidents.len(), before);
    window.get_by_label("Buiten de uitkijkperiode.");
}

#[test]
fn the_language_changes_while_it_runs() {
    let mut window = wall();
    key(&mut window, Key::L);
    window.get_by_label("Camera 33, Marktstraat, Closed until Fri 21:00");
    window.get_by_label_contains("Log confirmed by the police 22:40:58");
    key(&mut window, Key::L);
    window.get_by_label("Camera 33, Marktstraat, Gesloten tot vr 21:00");
}

#[test]
fn the_palette_finds_every_command() {
    let mut window = wall();
    window.key_press_modifiers(Modifiers::COMMAND, Key::K);
    window.run_steps(4);
    text(&mut window, "wand met 9");
    key(&mut window, Key::Enter);
    assert_eq!(app(&window).model.layout, Layout::Nine);
    assert!(window.query_by_label("Opdracht of camera").is_none(), "the palette is gone");
}

#[test]
fn why_names_the_decision() {
    let mut window = wall();
    text(&mut window, "?");
    window.get_by_label("U mag dit beeld live zien.");
    window.get_by_label_contains("Besluit DEMO-ENS-01");
    key(&mut window, Key::Escape);
    assert!(window.query_by_label("U mag dit beeld live zien.").is_none());
}

#[test]
fn looking_back_and_back_to_live() {
    let mut window = wall();
    key(&mut window, Key::R);
    assert!(
        app(&window).model.incidents[0].category == protocol::api::IncidentCategory::Other,
        "a quick mark first"
    );
    let replays =
        |w: &Window| app(w).model.feeds.iter().filter(|f| f.shows != console::feeds::Shows::Live).count();
    assert_eq!(replays(&window), 1);
    key(&mut window, Key::Escape);
    assert_eq!(replays(&window), 0);
    window.get_by_label("Camera 12, Oude Markt, live");
}

#[test]
fn arrows_and_enlarging() {
    let mut window = wall();
    key(&mut window, Key::ArrowRight);
    key(&mut window, Key::ArrowDown);
    assert_eq!(app(&window).model.selected, 5);
    key(&mut window, Key::F);
    assert!(window.query_by_label("Camera 12, Oude Markt, live").is_none());
    window.get_by_label("Camera 25, Oldenzaalsestraat, live");
    key(&mut window, Key::Escape);
    window.get_by_label("Camera 12, Oude Markt, live");
}

#[test]
fn a_window_that_closes_takes_its_picture_along() {
    let mut window = wall();
    let mut cameras = made_up_cameras(moment());
    cameras[0].access = cameras[9].access.clone();
    tell(&mut window, News::Cameras(cameras));
    window.get_by_label("Camera 12, Oude Markt, Gesloten tot vr 21:00");
    let first = app(&window).model.tiles[0].camera.clone().unwrap();
    assert!(app(&window).model.feeds.iter().all(|f| f.camera != first));
}

#[test]
fn a_failing_log_is_said_aloud() {
    let mut window = wall();
    let ledger = LedgerHealth { writable: false, failing_since: Some(moment()), ..LedgerHealth::default() };
    tell(&mut window, News::Media(ServerMessage::Ledger { ledger }));
    window.get_by_label_contains("Het logboek kan niet worden geschreven (sinds 22:41:07)");
}

/// The session is so old that it could have been told.
fn sit_for(window: &mut Window, minutes: u64) {
    let model = &mut window.state_mut().as_mut().unwrap().model;
    let now = Instant::now();
    let begun = now.checked_sub(Duration::from_mins(minutes)).unwrap();
    model.listening = Some(Listening::again(None, begun));
    window.run_steps(4);
}

#[test]
fn a_log_that_the_police_do_not_confirm_is_said_aloud_and_after_an_hour_only_the_police_look() {
    let mut window = window(MadeUp::logged_in, Layout::Four, [1280.0, 720.0]);
    // Keys were brought, and no checkpoint was ever delivered.
    tell(&mut window, News::Witnessed(Witnessed { checked: true, ..Witnessed::default() }));
    sit_for(&mut window, 4);
    assert!(window.query_by_label_contains("niet bevestigd. Waarschuw").is_none());
    sit_for(&mut window, 7);
    window.get_by_label_contains("al 7 minuten niet bevestigd. Waarschuw de politie.");
    window.get_by_label_contains("Politie heeft het logboek nog niet bevestigd");
    window.get_by_label("Camera 12, Oude Markt, live");
    sit_for(&mut window, 60);
    window.get_by_label_contains("Alleen de politie mag nu kijken.");
    window.get_by_label("Camera 12, Oude Markt, gesloten");
    assert_eq!(app(&window).model.feeds.iter().count(), 0, "looks that were running are over");
    mask_clocks(&mut window);
    window.snapshot("police-only");
}

#[test]
fn a_lost_connection_never_looks_live() {
    let mut window = wall();
    tell(&mut window, News::Socket(Err("gone".to_owned())));
    window.get_by_label("Camera 12, Oude Markt, geen beeld");
    assert_eq!(app(&window).model.feeds.iter().count(), 0);
    tell(&mut window, News::Socket(Ok(())));
    window.run_steps(4);
    window.get_by_label("Camera 12, Oude Markt, live");
}

#[test]
fn only_the_rooms_of_the_role() {
    let window = wall();
    assert_eq!(app(&window).model.rooms(), [Room::Wall, Room::Replay, Room::Incidents]);
    assert!(window.query_by_label("Techniek").is_none());
}

#[test]
fn looks_of_the_wall() {
    let mut window = window(MadeUp::logged_in, Layout::Nine, [1280.0, 720.0]);
    mask_clocks(&mut window);
    window.snapshot("wall");
}

#[test]
fn looks_of_the_marking_form() {
    let mut window = window(MadeUp::logged_in, Layout::Four, [960.0, 600.0]);
    key(&mut window, Key::M);
    mask_clocks(&mut window);
    window.mask(egui::Rect::from_min_size(egui::pos2(624.0, 56.0), egui::vec2(336.0, 40.0)));
    window.snapshot("mark");
}

#[test]
fn looks_of_the_log_in() {
    let mut window = window(MadeUp::closed_door, Layout::Nine, [480.0, 360.0]);
    window.mask(egui::Rect::from_min_size(egui::pos2(60.0, 40.0), egui::vec2(360.0, 80.0)));
    window.snapshot("log-in");
}

/// The bars carry running clocks and measured figures.
fn mask_clocks(window: &mut Window) {
    let size = window.ctx.content_rect().size();
    window.mask(egui::Rect::from_min_size(egui::pos2(72.0, 0.0), egui::vec2(size.x - 72.0, 56.0)));
    window.mask(egui::Rect::from_min_size(egui::pos2(0.0, size.y - 28.0), egui::vec2(size.x, 28.0)));
}

/// Three cameras on one clock: added by number, moved by keys, each with its axis; Escape ends all of it.
#[test]
fn cameras_are_looked_back_at_in_step() {
    let mut window = wall();
    key(&mut window, Key::F5);
    assert_eq!(app(&window).model.room, Room::Replay);
    for number in ["14", "21"] {
        text(&mut window, number);
        key(&mut window, Key::Enter);
    }
    window.run_steps(4);
    let replay = |window: &Window| {
        let replay = app(window).model.replay.as_ref().unwrap();
        (replay.tiles.len(), replay.clock.is_paused(), replay.clock.speed(), replay.position())
    };
    assert_eq!(replay(&window).0, 3);
    for label in
        ["Tijdas van camera 12", "Tijdas van camera 14", "Tijdas van camera 21", "Stilstaan", "Achteruit"]
    {
        window.get_by_label(label);
    }
    window.get_by_label_contains("Camera 14, Stationsplein, ");
    key(&mut window, Key::Space);
    let (_, paused, _, at) = replay(&window);
    assert!(paused);
    key(&mut window, Key::ArrowLeft);
    assert_eq!(replay(&window).3, at - chrono::TimeDelta::seconds(5));
    key(&mut window, Key::ArrowUp);
    assert!((replay(&window).2 - 2.0).abs() < 0.01 && !replay(&window).1, "faster, and on");
    for _ in 0..4 {
        key(&mut window, Key::ArrowDown);
    }
    assert!(replay(&window).2 < 0.0, "slower and slower is backward");
    key(&mut window, Key::Space);
    // What may not be seen is a wall.
    for _ in 0..4 {
        window.get_by_label("Naar het begin").click();
        window.run_steps(2);
        key(&mut window, Key::ArrowLeft);
    }
    let limit = app(&window).model.replay.as_ref().unwrap().limit().unwrap();
    assert_eq!(replay(&window).3, limit);
    text(&mut window, ".");
    assert!(replay(&window).3 > limit, "one picture on");
    key(&mut window, Key::Delete);
    assert_eq!(replay(&window).0, 2);
    key(&mut window, Key::Escape);
    assert!(app(&window).model.replay.is_none() && app(&window).model.room == Room::Wall);
}
