//! A room with made-up data: every state a tile can be in, on one wall. `rtr-console --gallery` shows it, the image
//! tests compare it, and the behaviour tests drive it. It answers as a daemon would, at once and from memory.

use crate::{
    i18n::Language,
    layout::Layout,
    model::Model,
    net::{Ask, News, Trouble},
    receipts::{Heard, Witnessed},
    time::{DaemonClock, micros},
    video::{PlayerId, VideoSystem},
};
use chrono::{DateTime, TimeDelta, Utc};
use mandate::{CameraId, FactKind, FactRef, ReasonCode, Role};
use protocol::{
    api::{
        About, Access, CameraState, CameraView, GapText, Incident, IncidentCategory, IncidentSource,
        LedgerHealth, Me, MunicipalityView, Refusal, RefusedSpan, Sentence, Span, Timeline, TimelineSpan,
        Why,
    },
    socket::{ClientMessage, ServerMessage},
};
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// The moment of the made-up room: Saturday 13 June 2026, 22:41:07 in Twente.
pub fn moment() -> DateTime<Utc> {
    DateTime::from_timestamp(1_781_383_267, 0).unwrap_or_default()
}

/// Cameras: number, name, municipality.
const CAMERAS: [(u32, &str, &str); 12] = [
    (12, "Oude Markt", "enschede"),
    (14, "Stationsplein", "enschede"),
    (21, "Van Heekplein", "enschede"),
    (22, "Brammelerdwarsstraat", "enschede"),
    (23, "Van Lochemstraat", "enschede"),
    (25, "Oldenzaalsestraat", "enschede"),
    (26, "Walstraat", "enschede"),
    (27, "Heurne", "enschede"),
    (28, "Nicolaas Beetsstraat", "enschede"),
    (33, "Marktstraat", "hengelo"),
    (41, "Marktplein", "almelo"),
    (51, "Centrum", "borne"),
];

fn sentence(nl: &str, en: &str) -> Sentence {
    Sentence { nl: nl.to_owned(), en: en.to_owned() }
}

/// The cameras as an observer sees them at `now`.
pub fn made_up_cameras(now: DateTime<Utc>) -> Vec<CameraView> {
    let open = Access::Open { until: Some(now + TimeDelta::seconds(7 * 3600 + 18 * 60 + 53)) };
    let refusal = |code, decree: Option<&str>, opens_at| {
        Access::Closed(Refusal {
            code,
            sentence: sentence("Buiten de uitkijkperiode.", "Outside the live period."),
            decree: decree.map(str::to_owned),
            until: opens_at,
            opens_at,
        })
    };
    CAMERAS
        .into_iter()
        .map(|(number, name, municipality)| CameraView {
            id: format!("{}-C{number}", municipality[..3].to_uppercase()).into(),
            number,
            name: name.to_owned(),
            municipality: municipality.into(),
            ptz: number == 25,
            access: match municipality {
                "hengelo" => {
                    let opens = now + TimeDelta::days(5) + TimeDelta::seconds(22 * 3600 + 18 * 60 + 53);
                    refusal(ReasonCode::OutsideLiveWindow, Some("DEMO-HEN-01"), Some(opens))
                }
                "borne" => {
                    let opens = now + TimeDelta::days(6) + TimeDelta::seconds(21 * 3600 + 18 * 60 + 53);
                    refusal(ReasonCode::OutsideUsePeriod, Some("DEMO-BOR-01"), Some(opens))
                }
                _ => open.clone(),
            },
            state: match municipality {
                "almelo" => CameraState::Down {
                    since: now - TimeDelta::seconds(15),
                    cause: "time_out".to_owned(),
                    detail: sentence("Camera antwoordt niet.", "The camera does not answer."),
                    retry_at: Some(now + TimeDelta::seconds(4)),
                },
                "enschede" => CameraState::Up { since: now - TimeDelta::hours(1) },
                _ => CameraState::Idle,
            },
        })
        .collect()
}

fn made_up_incidents(now: DateTime<Utc>) -> Vec<Incident> {
    let incident = |id: &str,
                    ago: i64,
                    camera: &str,
                    category,
                    note: &str,
                    source,
                    instruction: Option<&str>,
                    closed| Incident {
        id: id.into(),
        at: now - TimeDelta::seconds(ago),
        cameras: vec![camera.into()],
        category,
        note: note.to_owned(),
        source,
        instruction: instruction.map(str::to_owned),
        marked_by: "j.observant".into(),
        closed_at: closed,
        outside_number: None,
    };
    let closed = Some(now - TimeDelta::seconds(300));
    vec![
        incident(
            "INC-0613-04",
            187,
            "ENS-C27",
            IncidentCategory::Fight,
            "eenheid ter plaatse",
            IncidentSource::Own,
            Some("OPD-0613-04"),
            None,
        ),
        incident(
            "INC-0613-03",
            607,
            "ENS-C12",
            IncidentCategory::Nuisance,
            "",
            IncidentSource::Own,
            None,
            closed,
        ),
        incident(
            "INC-0613-02",
            2_167,
            "ENS-C14",
            IncidentCategory::Medical,
            "",
            IncidentSource::Radio,
            None,
            closed,
        ),
    ]
}

fn made_up_me(now: DateTime<Utc>) -> Me {
    let begin = now - TimeDelta::seconds(41 * 60 + 7);
    Me {
        person: "j.observant".into(),
        name: "J. Observant".to_owned(),
        role: Role::Observer,
        municipalities: ["enschede", "hengelo", "almelo", "borne"].map(Into::into).to_vec(),
        shift: Some(Span { from: begin, until: begin + TimeDelta::hours(8) }),
        expires_at: begin + TimeDelta::hours(9),
    }
}

fn made_up_municipalities() -> Vec<MunicipalityView> {
    [("enschede", "Enschede"), ("hengelo", "Hengelo"), ("almelo", "Almelo"), ("borne", "Borne")]
        .map(|(id, name)| MunicipalityView { id: id.into(), name: name.to_owned() })
        .to_vec()
}

/// The clock of the made-up room runs from its own moment.
pub fn made_up_clock() -> DaemonClock {
    DaemonClock::with_offset((moment() - Utc::now()).num_microseconds().unwrap_or(0))
}

/// A console with an observer logged in to the made-up room.
pub fn made_up_model(language: Language) -> Model {
    let mut model = Model::new(language, Layout::Sixteen);
    for news in made_up_news() {
        model.learn(news);
    }
    model
}

fn made_up_news() -> Vec<News> {
    let now = moment();
    vec![
        News::Clock(made_up_clock()),
        News::LoggedIn(made_up_me(now)),
        News::Municipalities(made_up_municipalities()),
        News::Cameras(made_up_cameras(now)),
        News::Incidents(made_up_incidents(now)),
        News::Socket(Ok(())),
        News::Media(ServerMessage::Ledger {
            ledger: LedgerHealth {
                entries: 4_312,
                writable: true,
                failing_since: None,
                witnessed_at: Some(now - TimeDelta::seconds(9)),
                witness_late: false,
            },
        }),
        News::Witnessed(Witnessed {
            checked: true,
            at: Some(now - TimeDelta::seconds(9)),
            heard: Some(Heard { by: Instant::now(), late: Duration::from_secs(9) }),
            entries: 4_312,
            ..Witnessed::default()
        }),
    ]
}

/// Answers for the made-up room.
#[derive(Default)]
pub struct MadeUp {
    news: VecDeque<News>,
    looks: Vec<(u32, u32)>,
    incidents: u32,
    /// The picture stands still: one scene per camera, always the same, for image tests.
    pub frozen: bool,
}

impl MadeUp {
    /// A room where nobody is logged in yet.
    pub fn closed_door() -> Self {
        let about = About {
            version: "0.1.0".to_owned(),
            demo: true,
            origin: "rtr-twente.example/demo".to_owned(),
            now: moment(),
        };
        Self { news: VecDeque::from([News::Clock(made_up_clock()), News::About(about)]), ..Self::default() }
    }

    /// A room where the observer sits already.
    pub fn logged_in() -> Self {
        let mut room = Self::closed_door();
        room.news.extend(made_up_news());
        room
    }

    /// The next piece of news.
    pub fn news(&mut self) -> Option<News> {
        self.news.pop_front()
    }

    /// Says something to the window, as the daemon would.
    pub fn tell(&mut self, news: News) {
        self.news.push_back(news);
    }

    /// Answers something.
    pub fn ask(&mut self, ask: Ask, video: &mut VideoSystem) {
        match ask {
            Ask::LogIn { password, .. } if password == "geheim" => self.news.extend(made_up_news()),
            Ask::LogIn { .. } => self.news.push_back(News::LoggedOut(Some(Trouble::Said(sentence(
                "Naam of wachtwoord klopt niet.",
                "Name or password is not right.",
            ))))),
            Ask::LogOut => self.news.push_back(News::LoggedOut(None)),
            Ask::Open { subscription, message, .. } => self.open(subscription, &message, video),
            Ask::Close { subscription } => self.looks.retain(|(s, _)| *s != subscription),
            Ask::Why(camera) => {
                let access = made_up_cameras(moment()).into_iter().find(|c| c.id == camera).map(|c| c.access);
                let fact = |kind, id: &str| FactRef { kind, id: id.into(), version: 1 };
                if let Some(access) = access {
                    let open = matches!(access, Access::Open { .. });
                    let basis = [
                        fact(FactKind::Decree, "DEMO-ENS-01"),
                        fact(FactKind::Window, "ENS-UITGAAN"),
                        fact(FactKind::Shift, "D-0613-N"),
                    ];
                    self.news.push_back(News::Why(Box::new(Why {
                        camera,
                        at: moment(),
                        access,
                        basis: if open { basis.to_vec() } else { Vec::new() },
                        lines: vec![
                            sentence("Besluit DEMO-ENS-01 van de burgemeester van Enschede, geldig tot 1 januari 2027.", "Decree DEMO-ENS-01 of the mayor of Enschede, valid until 1 January 2027."),
                            sentence("Uitkijkperiode vrijdag en zaterdag 20:00 tot 06:00.", "Live period Friday and Saturday 20:00 to 06:00."),
                        ],
                    })));
                }
            }
            Ask::Mark(new) => {
                self.incidents += 1;
                self.news.push_back(News::Incident(Incident {
                    id: format!("INC-0613-{:02}", 4 + self.incidents).into(),
                    at: new.at,
                    cameras: new.cameras,
                    category: new.category,
                    note: new.note,
                    source: new.source,
                    instruction: new.instruction,
                    marked_by: "j.observant".into(),
                    closed_at: None,
                    outside_number: new.outside_number,
                }));
            }
            Ask::Timeline(camera, of) => {
                self.news.push_back(News::Timeline(Box::new(made_up_timeline(camera, of.from, of.until))));
            }
            Ask::CloseIncident(_) | Ask::Health | Ask::Refresh | Ask::Steer { .. } => {}
        }
    }

    fn open(&mut self, subscription: u32, message: &ClientMessage, video: &mut VideoSystem) {
        let (camera, replay) = match message {
            ClientMessage::Watch { camera, .. } => (camera, false),
            ClientMessage::Replay { camera, .. } => (camera, true),
            _ => return,
        };
        let number = made_up_cameras(moment()).iter().find(|c| &c.id == camera).map_or(0, |c| c.number);
        self.news.push_back(News::Media(ServerMessage::Started {
            subscription,
            ledger_seq: 1,
            basis: Vec::new(),
            until: None,
        }));
        if replay {
            let captured = micros(moment()) - 12_000_000;
            video.show_still(PlayerId(u64::from(subscription)), scene(number, 0.4), captured);
            return;
        }
        // A camera that is down sends nothing.
        if number != 41 {
            video.show_still(PlayerId(u64::from(subscription)), scene(number, 0.0), micros(moment()));
            self.looks.push((subscription, number));
        }
    }

    /// A second has passed.
    pub fn tick(&mut self, video: &mut VideoSystem, model: &Model) {
        if self.frozen {
            return;
        }
        let now = micros(model.clock.now());
        for (subscription, number) in &self.looks {
            let phase = (now / 1_000_000).rem_euclid(60) as f32 / 60.0;
            video.show_still(PlayerId(u64::from(*subscription)), scene(*number, phase), now);
        }
    }
}

/// What is there of a made-up camera: the first minutes may not be seen, one camera was away for a while.
fn made_up_timeline(camera: CameraId, from: DateTime<Utc>, until: DateTime<Utc>) -> Timeline {
    let span = |from, until, gap| TimelineSpan { from, until, gap };
    let limit = until - TimeDelta::minutes(15);
    let (away, back) = (until - TimeDelta::seconds(500), until - TimeDelta::seconds(440));
    let spans = if camera.as_str().ends_with("14") {
        let gap = GapText {
            reason: "camera_offline".to_owned(),
            sentence: sentence("De camera gaf geen beeld.", "The camera gave no picture."),
        };
        vec![span(from, away, None), span(away, back, Some(gap)), span(back, until, None)]
    } else {
        vec![span(from, until, None)]
    };
    let refused = RefusedSpan {
        from,
        until: limit,
        code: ReasonCode::ReplayLimit,
        sentence: sentence("Zo ver mag u niet terugkijken.", "You may not look back this far."),
    };
    let seed = camera.as_str().bytes().map(u32::from).sum::<u32>();
    let second = |n: i64| {
        let at = from + TimeDelta::seconds(n);
        let gap = spans.iter().any(|span| span.gap.is_some() && span.from <= at && at < span.until);
        let wave = (f64::from(seed) + n as f64 / 90.0).sin().abs() * 60_000.0;
        let flicker = (n as u32).wrapping_mul(2_654_435_761).wrapping_add(seed) >> 18;
        if gap || at < limit { 0 } else { wave as u32 + flicker }
    };
    let activity = (0..(until - from).num_seconds()).map(second).collect();
    Timeline { camera, from, until, refused: vec![refused], step: 1, activity, spans }
}

/// A street at night, different for each camera: grey, a road in perspective, lamps, a car.
pub fn scene(number: u32, phase: f32) -> egui::ColorImage {
    const SIZE: [usize; 2] = [320, 180];
    let mut bytes = Vec::with_capacity(SIZE[0] * SIZE[1] * 3);
    let noise = |x: usize, y: usize| {
        let mut h = (x as u32).wrapping_mul(374_761_393)
            ^ (y as u32).wrapping_mul(668_265_263)
            ^ number.wrapping_mul(2_654_435_761);
        h = (h ^ (h >> 13)).wrapping_mul(1_274_126_177);
        (h >> 24) as f32 / 255.0 - 0.5
    };
    let tone = 0.16 + 0.03 * (number % 5) as f32;
    let vanish = 0.35 + 0.06 * (number % 6) as f32;
    let car = (phase * 2.0 + number as f32 * 0.37).fract();
    for y in 0..SIZE[1] {
        for x in 0..SIZE[0] {
            let (u, v) = (x as f32 / SIZE[0] as f32, y as f32 / SIZE[1] as f32);
            let mut light = tone + 0.10 * v;
            if v > 0.35 {
                let depth = (v - 0.35) / 0.65;
                let across = (u - vanish) / (0.08 + 0.55 * depth);
                if across.abs() < 1.0 {
                    light += 0.07;
                    if across.abs() < 0.03 && (depth * 9.0 + phase).fract() < 0.5 {
                        light += 0.22;
                    }
                    let size = 0.05 + 0.1 * car;
                    if (depth - car).abs() < size && (across - 0.4).abs() < 0.28 {
                        light = 0.55 - 0.2 * (depth - car).abs() / size;
                    }
                }
            } else if (u * (4.0 + (number % 3) as f32)).fract() < 0.12 && v > 0.12 {
                light += 0.06;
            }
            let lamp =
                ((u - 0.2 - 0.6 * ((number % 4) as f32 / 4.0)).powi(2) * 3.2 + (v - 0.22).powi(2)).sqrt();
            light += 0.5 * (1.0 - lamp * 4.0).max(0.0).powi(2);
            light += noise(x, y) * 0.035;
            let level = (light.clamp(0.0, 1.0) * 255.0) as u8;
            bytes.extend([level, level, (f32::from(level) * 1.03).min(255.0) as u8]);
        }
    }
    egui::ColorImage::from_rgb(SIZE, &bytes)
}
