//! The daemon, from the window's side: one thread with its own runtime that logs in, keeps lists fresh, holds the one
//! media socket and hands each picture straight to its player. The window never waits for it: it sends [`Ask`]s and
//! finds [`News`] in a channel.
//!
//! Lost connections are made again for ever; after one, the window opens its looks anew, as each look is a new
//! decision and a new entry in the log.

use crate::{
    receipts::{Look, Receipts, Witnessed, collect},
    time::{DaemonClock, micros},
    video::Player,
};
use base64::Engine as _;
use bytes::Bytes;
use chrono::Utc;
use futures::{FutureExt as _, StreamExt as _, future::LocalBoxFuture, stream::FuturesUnordered};
use mandate::{CameraId, IncidentId};
use protocol::{
    api::{
        About, CameraView, Health, Incident, IncidentChange, LogIn, Me, MunicipalityView, NewIncident,
        Sentence, Timeline, Why,
    },
    client::{Client, ClientError, Incoming, MediaReceiver, MediaSender, Session, TimelineOf},
    socket::{ClientMessage, Motion, ServerMessage},
};
use std::{
    cell::RefCell,
    collections::{BTreeSet, HashMap},
    sync::mpsc,
    time::Duration,
};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// What the window asks of the daemon.
pub enum Ask {
    /// Log in.
    LogIn {
        /// Log-in name.
        username: String,
        /// Password; forgotten after use.
        password: String,
    },
    /// End the session.
    LogOut,
    /// Open a look; its pictures go to the player. `message` is a `watch` or a `replay`.
    Open {
        /// The number of the look on the socket.
        subscription: u32,
        /// Where its pictures go.
        player: Player,
        /// The message that opens it.
        message: ClientMessage,
    },
    /// Steer replays. Their pictures on the way are forgotten until the daemon answers with the same serial.
    Steer {
        /// The numbers of the looks.
        subscriptions: Vec<u32>,
        /// The number of this steering.
        serial: u32,
        /// How they go on.
        motion: Motion,
    },
    /// What is there of a camera's footage.
    Timeline(CameraId, TimelineOf),
    /// End a look.
    Close {
        /// The number of the look.
        subscription: u32,
    },
    /// Why may this camera be seen, or not?
    Why(CameraId),
    /// Mark an incident.
    Mark(NewIncident),
    /// Close an incident.
    CloseIncident(IncidentId),
    /// Ask for the state of cameras and services now.
    Health,
    /// Ask for the lists now.
    Refresh,
}

/// What the window learns.
#[derive(Clone, Debug)]
pub enum News {
    /// What the server is.
    About(About),
    /// Logged in.
    LoggedIn(Me),
    /// The session is over, or was never granted; why, unless the person asked for it.
    LoggedOut(Option<Trouble>),
    /// Who is logged in, again: a shift may have begun.
    Me(Me),
    /// Names of the municipalities in scope.
    Municipalities(Vec<MunicipalityView>),
    /// The cameras in scope.
    Cameras(Vec<CameraView>),
    /// The incidents in scope.
    Incidents(Vec<Incident>),
    /// State of cameras and services.
    Health(Box<Health>),
    /// Why a camera may be seen, or not.
    Why(Box<Why>),
    /// An incident was marked or changed.
    Incident(Incident),
    /// A control message of the media socket.
    Media(ServerMessage),
    /// The media socket is up, or gone with the reason.
    Socket(Result<(), String>),
    /// What the police's witness saw of the log.
    Witnessed(Witnessed),
    /// The daemon's clock, as well as it is known.
    Clock(DaemonClock),
    /// What is there of a camera's footage.
    Timeline(Box<Timeline>),
    /// Something the person asked for failed.
    Failed(Trouble),
}

/// Why something failed, for people.
#[derive(Clone, Debug, PartialEq)]
pub enum Trouble {
    /// The daemon refused and said why.
    Said(Sentence),
    /// The daemon cannot be reached; the technical reason.
    Unreachable(String),
}

impl From<ClientError> for Trouble {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Problem(problem) => Self::Said(problem.detail),
            other => Self::Unreachable(other.to_string()),
        }
    }
}

/// The window's end of the connection. Dropping it ends the thread and the session.
pub struct Net {
    asks: UnboundedSender<Ask>,
    news: mpsc::Receiver<News>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Net {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the machine gives no thread.
    pub fn start(client: Client, ctx: egui::Context, receipts: Receipts) -> std::io::Result<Self> {
        let (asks, asked) = unbounded_channel();
        let (tell, news) = mpsc::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = std::thread::Builder::new().name("net".to_owned()).spawn(move || {
            let window = Window { tell, ctx, receipts: RefCell::new(receipts) };
            window.tell_witnessed();
            runtime.block_on(life(&client, asked, &window));
        })?;
        Ok(Self { asks, news, thread: Some(thread) })
    }

    /// Asks something. What is asked after the thread ended is forgotten: the window is closing.
    pub fn ask(&self, ask: Ask) {
        drop(self.asks.send(ask));
    }

    /// The next piece of news, if there is one.
    pub fn news(&self) -> Option<News> {
        self.news.try_recv().ok()
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        let (closed, _) = unbounded_channel();
        self.asks = closed;
        // The thread logs out within a bounded time, so that a closed window leaves no session behind.
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

struct Window {
    tell: mpsc::Sender<News>,
    ctx: egui::Context,
    receipts: RefCell<Receipts>,
}

impl Window {
    fn tell(&self, news: News) {
        drop(self.tell.send(news));
        self.ctx.request_repaint();
    }

    fn tell_witnessed(&self) {
        let known = self.receipts.borrow().known().clone();
        self.tell(News::Witnessed(known));
    }
}

async fn life(client: &Client, mut asked: UnboundedReceiver<Ask>, window: &Window) {
    let mut about_known = false;
    loop {
        // The server's name and whether this is a demonstration are shown before anybody logs in.
        let ask = if about_known {
            asked.recv().await
        } else {
            tokio::select! {
                ask = asked.recv() => ask,
                about = client.about() => {
                    if let Ok(about) = about {
                        about_known = true;
                        window.tell(News::About(about));
                    } else {
                        tokio::time::sleep(Duration::from_secs(1)).await;
                    }
                    continue;
                }
            }
        };
        let Some(ask) = ask else { return };
        let Ask::LogIn { username, password } = ask else { continue };
        let credentials = LogIn { username, password, role: None, workstation: Some(workstation()) };
        let session = match client.log_in(&credentials).await {
            Ok(session) => session,
            Err(error) => {
                window.tell(News::LoggedOut(Some(error.into())));
                continue;
            }
        };
        if !about_known && let Ok(about) = client.about().await {
            about_known = true;
            window.tell(News::About(about));
        }
        window.tell(News::LoggedIn(session.me().clone()));
        match Shift::new(&session, window).run(&mut asked).await {
            End::Asked => {
                log_out(&session).await;
                window.tell(News::LoggedOut(None));
            }
            End::Refused(trouble) => window.tell(News::LoggedOut(Some(trouble))),
            End::WindowClosed => {
                log_out(&session).await;
                return;
            }
        }
    }
}

async fn log_out(session: &Session) {
    // A daemon that is gone will end the session by its term.
    drop(tokio::time::timeout(Duration::from_secs(2), session.log_out()).await);
}

fn workstation() -> String {
    std::fs::read_to_string("/etc/hostname")
        .map_or_else(|_| "console".to_owned(), |name| name.trim().to_owned())
}

enum End {
    Asked,
    Refused(Trouble),
    WindowClosed,
}

/// Which list an answer belongs to, so that at most one request for it is under way.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum List {
    Cameras,
    Incidents,
    Municipalities,
    Me,
    Health,
    /// No list: receipts of looks whose socket has closed.
    Receipts,
}

type Answer = (Option<List>, Result<Option<News>, ClientError>);

/// One session, from log-in to log-out.
struct Shift<'a> {
    session: &'a Session,
    window: &'a Window,
    players: HashMap<u32, Player>,
    /// Looks that were asked for and have not begun: none of their pictures is shown.
    opening: HashMap<u32, Look>,
    /// Replays that were steered and have not answered yet, with the serial of the newest steering.
    steered: HashMap<u32, u32>,
    clock: DaemonClock,
    /// Looks that began on the open socket, which brings their receipts itself.
    began_here: BTreeSet<u64>,
    /// Whether receipts of earlier sockets are being fetched.
    collecting: bool,
    answers: FuturesUnordered<LocalBoxFuture<'a, Answer>>,
    /// Lists being fetched, and whether they must be fetched again afterwards.
    under_way: HashMap<List, bool>,
}

/// Lists are fetched this often even when the daemon says nothing.
const REFRESH_EVERY: Duration = Duration::from_secs(5);
const PING_EVERY: Duration = Duration::from_secs(2);

impl<'a> Shift<'a> {
    fn new(session: &'a Session, window: &'a Window) -> Self {
        window.receipts.borrow_mut().logged_in();
        Self {
            session,
            window,
            players: HashMap::new(),
            opening: HashMap::new(),
            steered: HashMap::new(),
            clock: DaemonClock::default(),
            began_here: BTreeSet::new(),
            collecting: false,
            answers: FuturesUnordered::new(),
            under_way: HashMap::new(),
        }
    }

    async fn run(mut self, asked: &mut UnboundedReceiver<Ask>) -> End {
        let mut pause = Duration::from_millis(250);
        for list in [List::Municipalities, List::Cameras, List::Incidents] {
            self.fetch(list);
        }
        loop {
            let session = self.session;
            let mut opening = std::pin::pin!(session.media().fuse());
            let opened = loop {
                tokio::select! {
                    biased;
                    opened = &mut opening => break opened,
                    Some(answer) = self.answers.next(), if !self.answers.is_empty() => {
                        if let Some(end) = self.take(answer) { return end }
                    }
                    ask = asked.recv() => if let Some(end) = self.ask_without_socket(ask) { return end },
                }
            };
            match opened {
                Ok((sender, receiver)) => {
                    pause = Duration::from_millis(250);
                    self.window.tell(News::Socket(Ok(())));
                    match self.connected(asked, sender, receiver).await {
                        Ok(end) => return end,
                        Err(reason) => self.window.tell(News::Socket(Err(reason))),
                    }
                }
                Err(ClientError::Problem(problem)) if problem.status == 401 => {
                    return End::Refused(Trouble::Said(problem.detail));
                }
                Err(error) => self.window.tell(News::Socket(Err(error.to_string()))),
            }
            self.players.clear();
            self.opening.clear();
            self.steered.clear();
            self.began_here.clear();
            let mut wait = std::pin::pin!(tokio::time::sleep(pause));
            pause = (pause * 2).min(Duration::from_secs(5));
            loop {
                tokio::select! {
                    () = &mut wait => break,
                    Some(answer) = self.answers.next(), if !self.answers.is_empty() => {
                        if let Some(end) = self.take(answer) { return end }
                    }
                    ask = asked.recv() => if let Some(end) = self.ask_without_socket(ask) { return end },
                }
            }
        }
    }

    /// Until the socket is lost (`Err`) or the session ends.
    async fn connected(
        &mut self,
        asked: &mut UnboundedReceiver<Ask>,
        sender: MediaSender,
        mut receiver: MediaReceiver,
    ) -> Result<End, String> {
        // A writer of its own: reading pictures never waits for a slow send.
        let (say, mut said) = unbounded_channel::<ClientMessage>();
        let writer = async move {
            while let Some(message) = said.recv().await {
                if let Err(error) = sender.send(&message).await {
                    return error.to_string();
                }
            }
            sender.close().await;
            "closed".to_owned()
        };
        let mut writer = std::pin::pin!(writer);
        let mut refresh = tokio::time::interval(REFRESH_EVERY);
        let mut ping = tokio::time::interval(PING_EVERY);
        ping.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        refresh.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        let mut ticks = 0_u32;
        loop {
            tokio::select! {
                incoming = receiver.next() => match incoming {
                    Incoming::Unit(header, payload) => {
                        // What a steered replay still had on its way belongs to where it was.
                        if !self.steered.contains_key(&header.subscription)
                            && !self.opening.contains_key(&header.subscription)
                            && let Some(player) = self.players.get(&header.subscription)
                        {
                            player.push(header, payload);
                        }
                    }
                    Incoming::Control(message) => self.control(message),
                    Incoming::Closed(reason) => return Err(reason),
                },
                ask = asked.recv() => match ask {
                    Some(Ask::Open { subscription, player, message }) => {
                        player.set_clock_offset(self.clock.offset_us());
                        self.players.insert(subscription, player);
                        self.opening.extend(Look::asked(&message, Utc::now()));
                        drop(say.send(message));
                    }
                    Some(Ask::Steer { subscriptions, serial, motion }) => {
                        for subscription in &subscriptions {
                            self.steered.insert(*subscription, serial);
                        }
                        drop(say.send(ClientMessage::Steer { subscriptions, serial, motion }));
                    }
                    Some(Ask::Close { subscription }) => {
                        self.players.remove(&subscription);
                        self.steered.remove(&subscription);
                        drop(say.send(ClientMessage::Stop { subscription }));
                    }
                    other => if let Some(end) = self.ask_without_socket(other) { return Ok(end) },
                },
                Some(answer) = self.answers.next(), if !self.answers.is_empty() => {
                    if let Some(end) = self.take(answer) { return Ok(end) }
                }
                reason = &mut writer => return Err(reason),
                _ = ping.tick() => drop(say.send(ClientMessage::Ping { sent: micros(Utc::now()) })),
                _ = refresh.tick() => {
                    self.fetch(List::Cameras);
                    self.fetch(List::Incidents);
                    if ticks.is_multiple_of(6) {
                        self.fetch(List::Me);
                    }
                    ticks = ticks.wrapping_add(1);
                }
            }
        }
    }

    /// Carries out what needs no socket. Looks asked for without one are forgotten: the window opens them anew.
    fn ask_without_socket(&mut self, ask: Option<Ask>) -> Option<End> {
        let session = self.session;
        match ask {
            None => return Some(End::WindowClosed),
            Some(Ask::LogOut) => return Some(End::Asked),
            Some(Ask::Refresh) => {
                self.fetch(List::Cameras);
                self.fetch(List::Incidents);
            }
            Some(Ask::Health) => self.fetch(List::Health),
            Some(Ask::Why(camera)) => self.answers.push(
                async move { (None, session.why(&camera).await.map(|why| Some(News::Why(Box::new(why))))) }
                    .boxed_local(),
            ),
            Some(Ask::Mark(incident)) => self.answers.push(
                async move { (None, session.mark(&incident).await.map(|i| Some(News::Incident(i)))) }
                    .boxed_local(),
            ),
            Some(Ask::CloseIncident(id)) => self.answers.push(
                async move {
                    let change = IncidentChange { close: true, ..IncidentChange::default() };
                    (None, session.change_incident(&id, &change).await.map(|i| Some(News::Incident(i))))
                }
                .boxed_local(),
            ),
            Some(Ask::Timeline(camera, of)) => self.answers.push(
                async move {
                    let timeline = session.timeline(&camera, &of).await;
                    (None, timeline.map(|timeline| Some(News::Timeline(Box::new(timeline)))))
                }
                .boxed_local(),
            ),
            Some(Ask::LogIn { .. } | Ask::Open { .. } | Ask::Steer { .. } | Ask::Close { .. }) => {}
        }
        None
    }

    fn fetch(&mut self, list: List) {
        if let Some(again) = self.under_way.get_mut(&list) {
            *again = true;
            return;
        }
        self.under_way.insert(list, false);
        let session = self.session;
        self.answers.push(
            async move {
                let news = match list {
                    List::Receipts => return (Some(list), Ok(None)),
                    List::Cameras => session.cameras().await.map(News::Cameras),
                    List::Incidents => session.incidents().await.map(News::Incidents),
                    List::Municipalities => session.municipalities().await.map(News::Municipalities),
                    List::Me => session.refresh_me().await.map(News::Me),
                    List::Health => session.health().await.map(|health| News::Health(Box::new(health))),
                };
                (Some(list), news.map(Some))
            }
            .boxed_local(),
        );
    }

    fn take(&mut self, (list, answer): Answer) -> Option<End> {
        self.collecting &= list != Some(List::Receipts);
        if let Some(list) = list
            && self.under_way.remove(&list) == Some(true)
        {
            self.fetch(list);
        }
        match answer {
            Ok(news) => {
                if let Some(news) = news {
                    self.window.tell(news);
                }
            }
            Err(ClientError::Problem(problem)) if problem.status == 401 => {
                return Some(End::Refused(Trouble::Said(problem.detail)));
            }
            // What a role may not list is simply not there; only what a person asked for is worth a word.
            Err(error) if list.is_some() => tracing::debug!(?list, %error, "a list was not fetched"),
            Err(error) => self.window.tell(News::Failed(error.into())),
        }
        None
    }

    /// Fetches what the sockets before this one still owed, now that a cosignature covers it.
    fn collect_receipts(&mut self) {
        let (session, window) = (self.session, self.window);
        let overdue = window.receipts.borrow().overdue(&session.me().person, &self.began_here);
        if overdue.is_empty() || self.collecting {
            return;
        }
        self.collecting = true;
        self.answers.push(
            async move {
                let done =
                    collect(&window.receipts, overdue, async |entry| session.receipt(entry).await).await;
                window.tell_witnessed();
                (Some(List::Receipts), done.map(|()| None))
            }
            .boxed_local(),
        );
    }

    fn control(&mut self, message: ServerMessage) {
        match &message {
            ServerMessage::Witnessed { checkpoint } => {
                self.window.receipts.borrow_mut().checkpoint(checkpoint, Utc::now());
                self.window.tell_witnessed();
                self.collect_receipts();
            }
            ServerMessage::Started { subscription, ledger_seq, .. } => {
                if let Some(look) = self.opening.remove(subscription) {
                    self.began_here.insert(*ledger_seq);
                    let (person, look) = (&self.session.me().person, look.begun(Utc::now()));
                    self.window.receipts.borrow_mut().began(person, *ledger_seq, look);
                    self.window.tell_witnessed();
                } else {
                    tracing::warn!(subscription, ledger_seq, "a look began that was not asked for, or twice");
                }
            }
            ServerMessage::Receipt { ledger_seq, proof } => {
                self.began_here.remove(ledger_seq);
                self.window.receipts.borrow_mut().receipt(*ledger_seq, proof, Utc::now());
                self.window.tell_witnessed();
            }
            ServerMessage::Pong { sent, now } => {
                self.clock.learn(*sent, micros(Utc::now()), *now);
                for player in self.players.values() {
                    player.set_clock_offset(self.clock.offset_us());
                }
                self.window.tell(News::Clock(self.clock));
                return;
            }
            ServerMessage::Hello { now, .. } => {
                self.clock.learn_roughly(crate::time::from_micros(*now), Utc::now());
                self.window.tell(News::Clock(self.clock));
            }
            ServerMessage::Parameters { subscription, generation, codec, width, height, record } => {
                let codec = match codec.as_str() {
                    "h264" => media::Codec::H264,
                    "h265" => media::Codec::H265,
                    other => {
                        tracing::warn!(codec = other, "a codec this console does not know");
                        return;
                    }
                };
                match (
                    base64::engine::general_purpose::STANDARD.decode(record),
                    self.players.get(subscription),
                ) {
                    (Ok(record), Some(player)) => {
                        player.set_parameters(*generation, codec, *width, *height, Bytes::from(record));
                    }
                    (Err(error), _) => tracing::warn!(%error, "codec parameters that are not base64"),
                    (Ok(_), None) => {}
                }
                return;
            }
            ServerMessage::Steered { subscription, serial } => {
                // An older answer, to a steering that another has overtaken, changes nothing.
                if self.steered.get(subscription) == Some(serial) {
                    self.steered.remove(subscription);
                    if let Some(player) = self.players.get(subscription) {
                        player.flush();
                    }
                }
                return;
            }
            ServerMessage::Ended { subscription, .. } => {
                self.players.remove(subscription);
                self.opening.remove(subscription);
                self.steered.remove(subscription);
                self.fetch(List::Cameras);
            }
            ServerMessage::RegisterChanged => self.fetch(List::Cameras),
            _ => {}
        }
        self.window.tell(News::Media(message));
    }
}
