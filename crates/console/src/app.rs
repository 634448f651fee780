//! The window: gathers news, keys and clicks, draws the rooms, and applies what was commanded between frames.

use crate::{
    cameras, chrome,
    command::{Command, Room, shortcut},
    feeds::{Shows, Step},
    gallery::MadeUp,
    health, incidents, login,
    model::{Model, Overlay, Status, Still},
    net::{Ask, Net},
    overlays, replay,
    report::{self, Book, FirstPictures, Latency, Report, TileReport},
    theme, tile, time,
    video::{LoadLevel, PlayerId, ReplayClock, VideoSystem},
    wall, why,
};
use egui::{Event, Key, Margin, Panel, Ui};
use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Who answers what the window asks.
pub enum Backend {
    /// A daemon.
    Daemon(Net),
    /// Made-up data, for the gallery and the tests.
    MadeUp(Box<MadeUp>),
}

/// What an unattended run leaves behind.
#[derive(Clone, Debug, Default)]
pub struct Unattended {
    /// The report, written each second.
    pub report: Option<PathBuf>,
    /// The screenshot, taken at the end.
    pub screenshot: Option<PathBuf>,
    /// When the run ends; never, if none.
    pub run_for: Option<Duration>,
    /// Who logs in, and with which password.
    pub credentials: Option<(String, String)>,
}

#[derive(Default)]
struct Drafts {
    log_in: login::Draft,
    cameras: cameras::Draft,
    incident: incidents::Draft,
    palette: overlays::PaletteDraft,
}

/// The window.
pub struct App {
    /// Everything the console knows.
    pub model: Model,
    backend: Backend,
    video: VideoSystem,
    drafts: Drafts,
    unattended: Unattended,
    figures: chrome::Figures,
    drawn: Vec<(usize, tile::Drawn)>,
    book: Book,
    started: Instant,
    last_second: Instant,
    stills: u64,
    writing: bool,
    ending: Option<Ending>,
}

/// The last steps of an unattended run.
struct Ending {
    picture: Arc<Mutex<Option<Arc<egui::ColorImage>>>>,
    asked_at: Instant,
}

/// Players of stills are numbered from here, above every subscription.
const STILLS: u64 = 1 << 40;

impl App {
    /// A window onto a backend. `video` draws the pictures.
    pub fn new(model: Model, backend: Backend, video: VideoSystem, unattended: Unattended) -> Self {
        Self {
            model,
            backend,
            video,
            drafts: Drafts::default(),
            unattended,
            figures: chrome::Figures::default(),
            drawn: Vec::new(),
            book: Book::default(),
            started: Instant::now(),
            last_second: Instant::now(),
            stills: 0,
            writing: false,
            ending: None,
        }
    }

    /// One frame.
    pub fn frame(&mut self, ui: &mut Ui) {
        self.hear();
        let mut commands = Vec::new();
        self.keys(ui, &mut commands);
        self.draw(ui, &mut commands);
        for command in commands {
            self.carry_out(command);
        }
        self.reconcile();
        self.speak();
        self.every_second(ui.ctx());
        self.end_when_due(ui.ctx());
        // The clock moves; everything else asks for its own repaint.
        let to_next_second = 1_000_000 - time::micros(self.model.clock.now()).rem_euclid(1_000_000);
        ui.ctx().request_repaint_after(Duration::from_micros(to_next_second as u64 + 2_000));
    }

    /// Takes in what the daemon said.
    fn hear(&mut self) {
        // Once: who logs out of an unattended window stays out.
        if self.model.about.is_some()
            && let Some((username, password)) = self.unattended.credentials.take()
        {
            self.model.apply(Command::LogIn { username, password });
        }
        loop {
            let news = match &mut self.backend {
                Backend::Daemon(net) => net.news(),
                Backend::MadeUp(made_up) => made_up.news(),
            };
            let Some(news) = news else { break };
            let before: Vec<_> = self.model.feeds.iter().cloned().collect();
            for gone in self.model.learn(news) {
                if let Some(feed) = before.iter().find(|f| f.subscription == gone) {
                    self.book_out(feed);
                }
                self.video.remove(PlayerId(u64::from(gone)));
            }
        }
        let now = Instant::now();
        self.model.notice.take_if(|n| n.until <= now);
    }

    fn book_out(&mut self, feed: &crate::feeds::Feed) {
        if feed.shows == Shows::Live {
            let stats = self.video.player(PlayerId(u64::from(feed.subscription))).stats();
            self.book.close(feed.tile, feed.camera.as_str(), &stats, feed.skipped);
        }
    }

    /// Keys that mean something here, unless someone is writing.
    fn keys(&mut self, ui: &Ui, commands: &mut Vec<Command>) {
        let ctx = ui.ctx();
        // Escape has already left the field when it arrives here: it does that, and nothing else.
        let now_writing = ctx.text_edit_focused();
        let writing = std::mem::replace(&mut self.writing, now_writing) || now_writing;
        let (events, now) = ctx.input(|i| (i.events.clone(), i.time));
        self.model.keypad.expire(now);
        let marking = matches!(self.model.overlay, Overlay::Mark { .. });
        let palette = self.model.overlay == Overlay::Palette;
        if self.model.me().is_none() {
            if events.iter().any(|e| matches!(e, Event::Key { key: Key::F1, pressed: true, .. })) {
                commands.push(Command::SwitchLanguage);
            }
            return;
        }
        for event in &events {
            match event {
                Event::Text(text) if !writing && !marking && !palette => {
                    for character in text.chars() {
                        let stepping =
                            self.model.room == Room::Replay && self.model.keypad.entry().is_empty();
                        if character == '?' {
                            commands.push(Command::Why);
                        } else if stepping && matches!(character, ',' | '.') {
                            commands.push(Command::ReplayStep { forward: character == '.' });
                        } else {
                            self.model.keypad.push(character, now);
                        }
                    }
                }
                Event::Key { key: Key::Enter, pressed: true, .. } if !writing && !palette => {
                    match self.model.keypad.enter(now) {
                        Some(Ok(command)) => commands.push(command),
                        Some(Err(entry)) => {
                            let text = self.model.texts.with("entry-unknown", &[("entry", entry.into())]);
                            self.model.say(text, true);
                        }
                        None => {}
                    }
                }
                Event::Key { key: Key::Backspace, pressed: true, .. } if !writing && !palette => {
                    self.model.keypad.erase(now);
                }
                Event::Key { key, pressed: true, repeat: false, modifiers, .. } => {
                    let Some(shortcut) = shortcut(*key, *modifiers) else { continue };
                    // `?` comes as text, so that it works on every keyboard.
                    if *key == Key::Questionmark || (*key == Key::Slash && modifiers.shift) {
                        continue;
                    }
                    let plain = shortcut.modifiers == egui::Modifiers::NONE;
                    let arrow =
                        matches!(key, Key::ArrowLeft | Key::ArrowRight | Key::ArrowUp | Key::ArrowDown);
                    let leave = *key == Key::Escape;
                    // In a text field letters are letters; Escape closes the palette at once.
                    if (writing || palette) && plain && !(leave && palette) {
                        continue;
                    }
                    if marking && (arrow || *key == Key::M || *key == Key::N) {
                        continue;
                    }
                    commands.push((shortcut.command)());
                }
                _ => {}
            }
        }
        if let Some(left) = self.model.keypad.expire(now) {
            ctx.request_repaint_after(Duration::from_secs_f64(left.max(0.05)));
        }
    }

    fn draw(&mut self, ui: &mut Ui, commands: &mut Vec<Command>) {
        let level = self.video.load_level();
        self.figures.level = level;
        self.model.key_frames_only = level == LoadLevel::KeyFrames;
        self.figures.hz = self.video.pacer().rate_hz();
        self.drawn.clear();
        let Self { model, drafts, video, .. } = self;
        if model.me().is_none() {
            login::ui(ui, model, &mut drafts.log_in, commands);
            return;
        }
        chrome::rail(ui, model, commands);
        chrome::top_bar(ui, model);
        chrome::alarm(ui, model);
        chrome::status_bar(ui, model, &self.figures);
        if model.room == Room::Wall {
            side_panel(ui, model, drafts, commands);
        }
        let rest = ui.available_rect_before_wrap();
        let ground = match model.room {
            Room::Wall | Room::Replay => egui::Frame::new(),
            _ => egui::Frame::new().fill(theme::BACKGROUND),
        };
        egui::CentralPanel::default().frame(ground).show(ui, |ui| match model.room {
            Room::Wall => self.drawn = wall::ui(ui, model, video, commands),
            Room::Replay => replay::room(ui, model, video, commands),
            Room::Incidents => incidents::room(ui, model, commands),
            Room::Health => health::room(ui, model),
        });
        overlays::ui(ui, rest, model, &mut drafts.palette, commands);
        model.search_wanted = false;
        for (index, drawn) in &self.drawn {
            if let Some(tile) = model.tiles.get_mut(*index) {
                tile.pixels_wide = drawn.pixels_wide;
            }
        }
        self.figures.live = self.drawn.iter().filter(|(_, d)| d.status == Status::Live).count();
    }

    fn carry_out(&mut self, command: Command) {
        if command == Command::Still {
            self.hold_still();
            return;
        }
        if let Command::ReplayStep { forward } = command {
            self.model.replay_step(forward, &mut self.video);
            return;
        }
        let before: Vec<_> = self.model.tiles.iter().map(|t| t.still).collect();
        self.model.apply(command);
        self.drop_stills(&before);
    }

    /// Holds the picture of the selected tile, or lets it go. It never leaves the window.
    fn hold_still(&mut self) {
        let before: Vec<_> = self.model.tiles.iter().map(|t| t.still).collect();
        let index = self.model.selected;
        let player = self.drawn.iter().find(|(i, _)| *i == index).and_then(|(_, d)| d.player);
        let Some(tile) = self.model.tiles.get_mut(index) else { return };
        if tile.still.take().is_none()
            && let Some(player) = player
            && let (Some(picture), Some(captured)) = (self.video.still(player), self.video.captured(player))
        {
            self.stills += 1;
            let player = PlayerId(STILLS + self.stills);
            self.video.show_still(player, picture, captured);
            tile.still = Some(Still { player, captured: time::from_micros(captured) });
        }
        self.drop_stills(&before);
    }

    fn drop_stills(&mut self, before: &[Option<Still>]) {
        for still in before.iter().flatten() {
            if !self.model.tiles.iter().any(|t| t.still == Some(*still)) {
                self.video.remove(still.player);
            }
        }
    }

    /// Opens and closes looks so that the socket carries what the wall shows.
    fn reconcile(&mut self) {
        let level = self.figures.level;
        let before: Vec<_> = self.model.tiles.iter().map(|t| t.still).collect();
        let wants = self.model.wants(level >= LoadLevel::SubStreams);
        self.drop_stills(&before);
        let (video, selected) = (&mut self.video, self.model.selected);
        let old: Vec<_> = self.model.feeds.iter().cloned().collect();
        let steps = self.model.feeds.reconcile(
            &wants,
            |s| video.has_picture(PlayerId(u64::from(s))),
            |tile| level == LoadLevel::KeyFrames && tile != selected,
            Instant::now(),
        );
        for step in steps {
            match step {
                Step::Open { subscription, replay_from, message } => {
                    let player = self.video.player(PlayerId(u64::from(subscription)));
                    if let Some(from) = replay_from {
                        player.set_replay(Some(ReplayClock::new(time::micros(from), 1.0)));
                    }
                    self.model.outbox.push(Ask::Open { subscription, player, message });
                }
                Step::Close { subscription, tell } => {
                    if let Some(feed) = old.iter().find(|f| f.subscription == subscription) {
                        self.book_out(feed);
                    }
                    self.video.remove(PlayerId(u64::from(subscription)));
                    if tell {
                        self.model.outbox.push(Ask::Close { subscription });
                    }
                }
                Step::Hide { subscription, hidden } => {
                    self.video.player(PlayerId(u64::from(subscription))).set_hidden(hidden);
                }
            }
        }
        for gone in self.model.tend_replay(&mut self.video) {
            self.video.remove(PlayerId(u64::from(gone)));
        }
        // Running looks follow the load too, without a new decision: dropping pictures here asks nothing of the law.
        for feed in self.model.feeds.iter().filter(|f| f.shows == Shows::Live) {
            let only = level == LoadLevel::KeyFrames && feed.tile != selected;
            self.video.player(PlayerId(u64::from(feed.subscription))).set_key_frames_only(only);
        }
    }

    /// Says what has to be said to the daemon.
    fn speak(&mut self) {
        for ask in self.model.outbox.drain(..) {
            match &mut self.backend {
                Backend::Daemon(net) => net.ask(ask),
                Backend::MadeUp(made_up) => made_up.ask(ask, &mut self.video),
            }
        }
    }

    fn every_second(&mut self, ctx: &egui::Context) {
        if self.last_second.elapsed() < Duration::from_secs(1) {
            return;
        }
        self.last_second = Instant::now();
        let mut medians: Vec<f64> = self
            .drawn
            .iter()
            .filter(|(_, d)| d.status == Status::Live)
            .filter_map(|(_, d)| d.player)
            .filter_map(|p| self.video.player(p).stats().latency_ms.map(|(p50, _)| p50))
            .collect();
        self.figures.latency_ms = report::median(&mut medians);
        if let Some(ms) = self.figures.latency_ms {
            self.book.latency(ms);
        }
        if self.model.room == Room::Health {
            self.model.outbox.push(Ask::Health);
        }
        if let Backend::MadeUp(made_up) = &mut self.backend {
            made_up.tick(&mut self.video, &self.model);
        }
        if let Some(path) = self.unattended.report.clone()
            && self.model.me().is_some()
        {
            let report = self.report(ctx.pixels_per_point());
            if let Err(error) = report::write(&path, &report) {
                tracing::error!(%error, path = %path.display(), "the report could not be written");
            }
        }
    }

    /// What the wall shows now.
    pub fn report(&mut self, pixels_per_point: f32) -> Report {
        let mut tiles = Vec::new();
        for (index, drawn) in &self.drawn {
            let Some(view) = self
                .model
                .tiles
                .get(*index)
                .and_then(|t| t.camera.as_ref())
                .and_then(|c| self.model.camera(c))
            else {
                continue;
            };
            let sums = self.book.sums(*index, view.id.as_str());
            let feed =
                drawn.player.and_then(|p| self.model.feeds.iter().find(|f| u64::from(f.subscription) == p.0));
            let stats = drawn.player.map(|p| self.video.player(p).stats()).unwrap_or_default();
            let pixels =
                |r: egui::Rect| [r.left(), r.top(), r.width(), r.height()].map(|v| v * pixels_per_point);
            tiles.push(TileReport {
                tile: index + 1,
                camera: view.id.to_string(),
                number: view.number,
                municipality: view.municipality.to_string(),
                state: drawn.status.word(),
                reason_code: match &drawn.status {
                    Status::Closed(refusal) => Some(why::code(refusal.code)),
                    _ => None,
                },
                name: tile::accessible_name(*index, Some(view), &drawn.status, &self.model),
                frames_shown: sums.shown + stats.frames_shown,
                frames_dropped: sums.dropped + report::dropped(&stats, feed.map_or(0, |f| f.skipped)),
                first_picture_ms: sums.first_picture_ms.or(stats.first_picture_ms),
                latency_ms: stats.latency_ms.map(|(p50, p99)| Latency { p50, p99 }),
                decoder: stats.decoder.clone(),
                rect: pixels(drawn.rect),
                picture: drawn.picture.map(pixels),
            });
        }
        let mut notices: Vec<String> = self.model.notice.iter().map(|n| n.text.clone()).collect();
        if !self.model.ledger.writable {
            let since = self.model.ledger.failing_since.map_or_else(String::new, time::clock);
            notices.push(self.model.texts.with("ledger-failing", &[("time", since.into())]));
        }
        if self.model.witnessed.mismatch.is_some() {
            notices.push(self.model.texts.get("log-mismatch-alarm"));
        }
        notices.extend(self.model.confirmation_words().map(|(words, _)| words));
        let mut first_pictures = self.book.first_pictures();
        let live = self.model.feeds.iter().filter(|f| f.shows == Shows::Live);
        for subscription in live.map(|f| f.subscription) {
            let stats = self.video.player(PlayerId(u64::from(subscription))).stats();
            first_pictures.extend(stats.first_picture_ms);
        }
        Report {
            tiles,
            ledger_entries: self.model.ledger.entries,
            receipts: self.model.witnessed.receipts,
            ledger_writable: self.model.ledger.writable,
            connected: self.model.socket.is_ok(),
            notices,
            hz: self.figures.hz,
            cpu_s: report::cpu_seconds(),
            wall_s: self.book.wall_s(),
            first_pictures_ms: FirstPictures::of(first_pictures),
            latency_by_minute: self.book.by_minute(),
            shed_level: self.figures.level as u8,
        }
    }

    /// At the end of an unattended run: the screenshot, the last report, and out.
    fn end_when_due(&mut self, ctx: &egui::Context) {
        let Some(run_for) = self.unattended.run_for else { return };
        if self.started.elapsed() < run_for {
            return;
        }
        let Some(ending) = &self.ending else {
            if let Some(path) = &self.unattended.report {
                let path = path.clone();
                let report = self.report(ctx.pixels_per_point());
                if let Err(error) = report::write(&path, &report) {
                    tracing::error!(%error, "the report could not be written");
                }
            }
            let picture = Arc::new(Mutex::new(None));
            let (slot, again) = (picture.clone(), ctx.clone());
            ctx.request_screenshot(move |image| {
                *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(image);
                again.request_repaint();
            });
            self.ending = Some(Ending { picture, asked_at: Instant::now() });
            ctx.request_repaint();
            return;
        };
        let picture = ending.picture.lock().unwrap_or_else(PoisonError::into_inner).take();
        // A window system that gives no picture must not keep the run from ending.
        if picture.is_none() && ending.asked_at.elapsed() < Duration::from_secs(5) {
            ctx.request_repaint_after(Duration::from_millis(20));
            return;
        }
        if let (Some(path), Some(picture)) = (&self.unattended.screenshot, &picture)
            && let Err(error) = report::write_png(path, picture)
        {
            tracing::error!(%error, path = %path.display(), "the screenshot could not be written");
        }
        self.unattended.run_for = None;
        ctx.send_viewport_cmd(egui::ViewportCommand::Close);
    }

    /// The made-up backend, for tests.
    pub fn made_up(&mut self) -> Option<&mut MadeUp> {
        match &mut self.backend {
            Backend::MadeUp(made_up) => Some(made_up),
            Backend::Daemon(_) => None,
        }
    }
}

fn side_panel(ui: &mut Ui, model: &Model, drafts: &mut Drafts, commands: &mut Vec<Command>) {
    let frame = theme::surface(Margin { left: 20, right: 0, top: 14, bottom: 8 });
    let panel = Panel::right("side")
        .exact_size(theme::SIDE_PANEL)
        .resizable(false)
        .show_separator_line(true)
        .frame(frame);
    panel.show(ui, |ui| {
        egui::ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
            ui.spacing_mut().item_spacing.y = 0.0;
            ui.set_max_width(theme::SIDE_PANEL - 40.0);
            match &model.overlay {
                Overlay::Mark { .. } => {
                    incidents::form(ui, model, &mut drafts.incident, commands);
                    incidents::shift_log(ui, model);
                }
                Overlay::Why { .. } => why::ui(ui, model),
                _ => {
                    drafts.incident = incidents::Draft::default();
                    cameras::ui(ui, model, &mut drafts.cameras, commands);
                    ui.add_space(12.0);
                    let line = ui.cursor().min.y;
                    ui.painter().hline(
                        ui.max_rect().left() - 20.0..=ui.max_rect().right() + 20.0,
                        line,
                        theme::line(),
                    );
                    ui.add_space(6.0);
                    incidents::shift_log(ui, model);
                }
            }
        });
    });
}

impl eframe::App for App {
    fn ui(&mut self, ui: &mut Ui, _frame: &mut eframe::Frame) {
        self.frame(ui);
    }

    fn clear_color(&self, _visuals: &egui::Visuals) -> [f32; 4] {
        // The wall's ground: clearing is nearly free, filling every pixel once more is not.
        theme::PICTURE_GAP.to_normalized_gamma_f32()
    }

    fn on_exit(&mut self, _gl: Option<&eframe::glow::Context>) {
        self.video.destroy();
    }
}
