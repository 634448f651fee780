//! One stream's session: connect, play, and when it ends begin again, for ever, until the stream is closed.
//!
//! retina does RTSP and takes RTP apart; audio is never set up. What is ours: what a lost connection means, when to
//! try again, and where each picture lies in time.

use crate::backoff::{self, Backoff};
use crate::clock::{self, CameraClock, CaptureClock};
use crate::control::Transport;
use crate::hub::Hub;
use crate::rounds::{self, Lane};
use crate::sockets;
use crate::state::{DownCause, SessionState};
use bytes::Bytes;
use futures::StreamExt as _;
use media::{AccessUnit, Codec, GapReason, Micros, Parameters, StreamId, Ticks};
use retina::client::{
    Credentials, Demuxed, PlayOptions, SessionGroup, SessionIdPolicy, SessionOptions, SetupOptions,
    TcpTransportOptions, UdpTransportOptions,
};
use retina::codec::{
    CodecItem, FrameFormat, ParametersRef, VideoFrame, VideoParameters, VideoParametersCodec,
};
use retina::rtcp::PacketRef;
use std::pin::pin;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use url::Url;

/// From the first packet to the answer to PLAY.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Without a picture for this long the connection is given up. Longer than the longest interval between pictures of
/// a camera that saves bandwidth at night (one per second or two).
const STALL: Duration = Duration::from_secs(5);
/// A connection that brought pictures for this long has proven itself.
const PROVEN: Duration = Duration::from_secs(10);
/// How long a new attempt waits for the old session's end at the camera.
const GOODBYE: Duration = Duration::from_secs(1);
/// 25 pictures a second, until the stream tells.
const USUAL_DURATION: u32 = 3600;
/// RTCP BYE (RFC 3550 section 6.6).
const RTCP_BYE: u8 = 203;

/// When and why a session is to end: planned, lifted or carried out from any thread.
#[derive(Debug, Default)]
pub(crate) struct Closing {
    /// Held while the hub's cut is set, so that the two never differ. Taken before the slot's lock.
    plan: Mutex<Option<(Micros, GapReason)>>,
    token: CancellationToken,
}

impl Closing {
    /// Plans the end; `cut` sets the hub's cut.
    pub(crate) fn plan(&self, at: Micros, reason: GapReason, cut: impl FnOnce()) {
        let mut plan = self.lock();
        if !self.token.is_cancelled() {
            *plan = Some((at, reason));
            cut();
        }
    }

    /// Lifts what was planned; false when it is too late.
    pub(crate) fn lift(&self, lift_cut: impl FnOnce()) -> bool {
        let mut plan = self.lock();
        let in_time = !self.token.is_cancelled();
        if in_time {
            *plan = None;
            lift_cut();
        }
        in_time
    }

    /// Ends the session, if its end is still planned.
    pub(crate) fn expire(&self) {
        if self.lock().is_some() {
            self.token.cancel();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<(Micros, GapReason)>> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A session to be run.
pub(crate) struct Session {
    pub(crate) stream: StreamId,
    pub(crate) url: Url,
    pub(crate) credentials: Option<Credentials>,
    pub(crate) transport: Transport,
    pub(crate) recorded: bool,
    pub(crate) hub: Arc<Hub>,
    pub(crate) lane: Arc<Lane>,
    pub(crate) group: Arc<SessionGroup>,
    pub(crate) state: watch::Sender<SessionState>,
    pub(crate) parameters: Arc<Mutex<Option<Arc<Parameters>>>>,
    pub(crate) closing: Arc<Closing>,
    pub(crate) opened: Micros,
}

/// How a connection ended.
enum End {
    /// The stream is closed.
    Closed,
    /// It is to be tried again.
    Down(DownCause, String),
}

/// What lives longer than one connection.
struct Course {
    clock: CaptureClock,
    backoff: Backoff,
    /// Where pictures ended, or the opening: the start of the outage.
    ended_at: Micros,
    /// Whether the last camera software met keeps sending into closed connections (old live555): then its session
    /// must have run out before the next attempt.
    lingers: bool,
}

impl Session {
    /// Runs until the stream is closed, after the stream's previous session has ended.
    pub(crate) async fn run(self, previous: Option<JoinHandle<()>>) {
        if let Some(previous) = previous
            && let Err(error) = previous.await
        {
            tracing::error!(stream = %self.stream, %error, "the stream's previous session failed");
        }
        {
            let plan = self.closing.lock();
            self.lane.slot.begin(plan.map(|(at, _)| at), std::thread::current());
        }
        if self.recorded {
            // Open, and nothing comes yet.
            self.hub.gap(self.stream, self.opened, GapReason::CameraOffline);
        }
        let mut course = Course {
            clock: CaptureClock::new(),
            backoff: Backoff::default(),
            ended_at: self.opened,
            lingers: false,
        };
        self.state.send_replace(SessionState::Connecting);
        loop {
            let end = self.connection(&mut course).await;
            self.lane.hurried.store(false, Relaxed);
            self.hub.interrupt(&self.lane.slot);
            match end {
                End::Closed => break,
                End::Down(cause, detail) => {
                    if !self.down(&mut course, cause, detail).await {
                        break;
                    }
                }
            }
        }
        self.hub.end(&self.lane.slot);
        let plan = *self.closing.lock();
        if self.recorded
            && let Some((at, reason)) = plan
        {
            self.hub.gap(self.stream, at, reason);
        }
        self.state.send_replace(SessionState::Idle);
    }

    /// Tells that the stream is down and waits for the next attempt; false when the stream is closed meanwhile.
    async fn down(&self, course: &mut Course, cause: DownCause, detail: String) -> bool {
        let was_up = matches!(*self.state.borrow(), SessionState::Up { .. });
        if was_up && self.recorded {
            self.hub.gap(self.stream, course.ended_at, GapReason::CameraOffline);
        }
        let random = backoff::random();
        let mut wait = match cause {
            DownCause::Unauthorised => course.backoff.longest(random),
            _ => course.backoff.wait(random),
        };
        let stale = self.group.stale_sessions();
        if course.lingers
            && let Some(expires) = stale.max_expires
        {
            wait = wait.max(expires.saturating_duration_since(Instant::now()));
        }
        tracing::warn!(stream = %self.stream, cause = cause.as_str(), detail, ?wait, "no pictures");
        self.state.send_replace(SessionState::Down {
            since: course.ended_at,
            cause,
            detail,
            retry_at: clock::now().plus(wait.as_micros() as i64),
        });
        // Meanwhile the old session is torn down; a camera that is gone cannot answer, so that has its own limit.
        let goodbye = async {
            if stale.num_sessions > 0
                && tokio::time::timeout(GOODBYE, self.group.await_stale_sessions(&stale)).await.is_err()
            {
                tracing::debug!(stream = %self.stream, "the camera may still hold the old session");
            }
        };
        let next_attempt = async { tokio::join!(tokio::time::sleep(wait), goodbye) };
        tokio::select! {
            biased;
            () = self.closing.token.cancelled() => false,
            _ = next_attempt => true,
        }
    }

    /// One connection, from the first packet to its end.
    async fn connection(&self, course: &mut Course) -> End {
        self.lane.hurried.store(true, Relaxed);
        course.clock.reconnected();
        let connected = tokio::select! {
            biased;
            () = self.closing.token.cancelled() => return End::Closed,
            connected = tokio::time::timeout(HANDSHAKE, self.connect()) => connected,
        };
        match connected {
            Err(_) => {
                End::Down(DownCause::TimeOut, format!("no complete answer within {} s", HANDSHAKE.as_secs()))
            }
            Ok(Err(end)) => end,
            Ok(Ok((playing, index))) => {
                course.lingers = playing.tool().is_some_and(retina::client::Tool::has_live555_tcp_bug)
                    && self.transport == Transport::Tcp;
                self.play(playing, index, course).await
            }
        }
    }

    /// DESCRIBE, SETUP of the first video stream, PLAY.
    async fn connect(&self) -> Result<(Demuxed, usize), End> {
        let options = SessionOptions::default()
            .creds(self.credentials.clone())
            .user_agent("RTR".to_owned())
            .session_group(Arc::clone(&self.group))
            // Only one stream is set up, so a changed session id cannot be a mistake of ours.
            .session_id(SessionIdPolicy::UseFirst);
        let mut session =
            retina::client::Session::describe(self.url.clone(), options).await.map_err(judge)?;
        let index = session
            .streams()
            .iter()
            .position(|stream| stream.media() == "video" && matches!(stream.encoding_name(), "h264" | "h265"))
            .ok_or_else(|| {
                let offered: Vec<_> = session
                    .streams()
                    .iter()
                    .map(|stream| format!("{}/{}", stream.media(), stream.encoding_name()))
                    .collect();
                End::Down(DownCause::Protocol, format!("no H.264 or H.265 among: {}", offered.join(", ")))
            })?;
        let transport = match self.transport {
            Transport::Tcp => retina::client::Transport::Tcp(TcpTransportOptions::default()),
            Transport::Udp => retina::client::Transport::Udp(UdpTransportOptions::default()),
        };
        // Four-byte lengths, parameter sets out of band: as `media` carries pictures.
        let options = SetupOptions::default().transport(transport).frame_format(FrameFormat::MP4);
        session.setup(index, options).await.map_err(judge)?;
        if self.transport == Transport::Udp {
            let granted = sockets::widen_udp_buffers();
            tracing::debug!(stream = %self.stream, granted, "UDP receive buffer");
        }
        let playing = session.play(PlayOptions::default()).await.map_err(judge)?.demuxed().map_err(judge)?;
        Ok((playing, index))
    }

    async fn play(&self, mut playing: Demuxed, index: usize, course: &mut Course) -> End {
        let mut picture = Picture::default();
        let mut closed = pin!(self.closing.token.cancelled());
        let mut last_picture = Instant::now();
        let mut stalled = pin!(tokio::time::sleep_until(last_picture + STALL));
        let mut proven = false;
        loop {
            // What has arrived comes first: also at a close, where it is delivered up to the closing instant.
            let item = tokio::select! {
                biased;
                item = playing.next() => item,
                () = &mut closed => return End::Closed,
                () = &mut stalled => {
                    // Moved only here: a timer moved at every picture would cost more than all else in this loop.
                    let deadline = last_picture + STALL;
                    if deadline <= Instant::now() {
                        return End::Down(DownCause::NoFrames, format!("no picture for {} s", STALL.as_secs()));
                    }
                    stalled.as_mut().reset(deadline);
                    continue;
                }
            };
            match item {
                Some(Ok(CodecItem::VideoFrame(frame))) => {
                    last_picture = Instant::now();
                    let Some(unit) = self.unit(frame, &playing, index, &mut picture, course) else {
                        continue;
                    };
                    course.ended_at = unit.captured.plus(i64::from(unit.duration) * 100 / 9);
                    let received = unit.received;
                    if !self.hub.publish(&self.lane.slot, unit, self.recorded) {
                        return End::Closed;
                    }
                    let since = *picture.first.get_or_insert_with(|| {
                        self.lane.hurried.store(false, Relaxed);
                        self.state.send_replace(SessionState::Up { since: received });
                        last_picture
                    });
                    if !proven && last_picture - since >= PROVEN {
                        proven = true;
                        course.backoff.reset();
                    }
                }
                Some(Ok(CodecItem::Rtcp(packets))) => {
                    if let Some(rtp) = packets.rtp_timestamp()
                        && let Some(Ok(Some(report))) = packets.pkts().next().map(PacketRef::as_sender_report)
                    {
                        picture.camera.report(rtp.timestamp(), report.ntp_timestamp().0);
                    }
                    if packets.pkts().any(|packet| packet.payload_type() == RTCP_BYE) {
                        return End::Down(DownCause::Ended, "the camera said goodbye (RTCP BYE)".to_owned());
                    }
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return judge(error),
                None => return End::Down(DownCause::Ended, "the camera closed the connection".to_owned()),
            }
        }
    }

    /// Makes an access unit of a picture; `None` before the connection's first key frame with known parameters.
    fn unit(
        &self,
        frame: VideoFrame,
        playing: &Demuxed,
        index: usize,
        picture: &mut Picture,
        course: &mut Course,
    ) -> Option<AccessUnit> {
        if frame.loss() > 0 {
            self.lane.slot.count_lost(u64::from(frame.loss()));
            picture.broken = true;
        }
        if frame.has_new_parameters() || picture.parameters.is_none() {
            match playing.streams().get(index).and_then(retina::client::Stream::parameters) {
                Some(ParametersRef::Video(parameters)) => {
                    picture.duration = nominal_duration(parameters);
                    picture.parameters = self.generation(parameters);
                }
                _ => picture.parameters = None,
            }
        }
        let rtp = frame.timestamp().timestamp();
        let received = clock::micros(frame.end_ctx().received_wall().into());
        let stamp = course.clock.stamp(rtp, received);
        self.lane.slot.note_drift(course.clock.drift_ppm());
        if stamp.jumped {
            tracing::warn!(stream = %self.stream, "the camera's or the daemon's clock jumped");
            picture.camera.forget();
            picture.broken = true;
        }
        let key = frame.is_random_access_point();
        let parameters = picture.parameters.clone().filter(|_| key || picture.first.is_some())?;
        if let Some(before) = picture.before.replace(stamp.media_time)
            && !stamp.jumped
        {
            // Of two seconds at most: what is longer is a pause, not a frame rate.
            let since = stamp.media_time.0 - before.0;
            if (1..=180_000).contains(&since) {
                picture.duration = since as u32;
            }
        }
        Some(AccessUnit {
            stream: self.stream,
            parameters,
            captured: stamp.captured,
            media_time: stamp.media_time,
            duration: picture.duration,
            key,
            discontinuity: std::mem::take(&mut picture.broken),
            received,
            camera_time: picture.camera.at(rtp),
            received_within: rounds::uncertainty(received),
            payload: Bytes::from(frame.into_data()),
        })
    }

    /// The parameters under their generation: the last one's if they are the same, else the next.
    fn generation(&self, parameters: &VideoParameters) -> Option<Arc<Parameters>> {
        let codec = match parameters.codec_params() {
            VideoParametersCodec::H264 { .. } => Codec::H264,
            VideoParametersCodec::H265 { .. } => Codec::H265,
            _ => return None,
        };
        let (width, height) = parameters.pixel_dimensions();
        let mut newest = self.parameters.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(newest) = newest.as_ref()
            && newest.codec == codec
            && newest.record == parameters.extra_data()
        {
            return Some(Arc::clone(newest));
        }
        let generation = newest.as_ref().map_or(1, |newest| newest.generation.wrapping_add(1).max(1));
        let next = Arc::new(Parameters {
            generation,
            codec,
            width: u16::try_from(width).ok()?,
            height: u16::try_from(height).ok()?,
            record: Bytes::copy_from_slice(parameters.extra_data()),
        });
        tracing::info!(stream = %self.stream, generation, ?codec, width, height, "codec parameters");
        *newest = Some(Arc::clone(&next));
        Some(next)
    }
}

/// What one connection knows of its pictures.
struct Picture {
    parameters: Option<Arc<Parameters>>,
    camera: CameraClock,
    /// When the connection's first unit went out.
    first: Option<Instant>,
    before: Option<Ticks>,
    duration: u32,
    /// Whether the next unit follows a break; so does the first of a connection.
    broken: bool,
}

impl Default for Picture {
    fn default() -> Self {
        Self {
            parameters: None,
            camera: CameraClock::default(),
            first: None,
            before: None,
            duration: USUAL_DURATION,
            broken: true,
        }
    }
}

/// One picture's duration by the parameter sets, in ticks of 90 kHz.
fn nominal_duration(parameters: &VideoParameters) -> u32 {
    parameters
        .frame_rate()
        .and_then(|(seconds, frames)| (u64::from(seconds) * 90_000).checked_div(u64::from(frames)))
        .filter(|ticks| (90..=180_000).contains(ticks))
        .map_or(USUAL_DURATION, |ticks| ticks as u32)
}

/// What an error of retina means. Of its errors only an RTSP status can be read as a value, so connection errors
/// are told apart by the kernel's error number in the text, which is the same in every language and version.
fn judge(error: retina::Error) -> End {
    let text = error.to_string();
    let cause = match error.status_code() {
        Some(401 | 403) => DownCause::Unauthorised,
        Some(status) if status >= 300 => DownCause::Protocol,
        _ => cause_of(&text),
    };
    End::Down(cause, first_line(&text))
}

fn cause_of(text: &str) -> DownCause {
    let number = text
        .split_once("(os error ")
        .and_then(|(_, rest)| rest.split_once(')'))
        .and_then(|(number, _)| number.parse::<i32>().ok());
    match number.map(rustix::io::Errno::from_raw_os_error) {
        Some(rustix::io::Errno::CONNREFUSED) => DownCause::Refused,
        Some(rustix::io::Errno::CONNRESET | rustix::io::Errno::PIPE | rustix::io::Errno::CONNABORTED) => {
            DownCause::Ended
        }
        Some(_) => DownCause::TimeOut,
        None if text.starts_with("Unable to connect") => DownCause::TimeOut,
        None if text.contains("EOF while") || text.contains("at EOF") => DownCause::Ended,
        None if text.contains("failed to respond") || text == "Timeout" => DownCause::TimeOut,
        None => DownCause::Protocol,
    }
}

/// The first line, of which the rest are coordinates for a packet capture, at most 200 characters.
fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().chars().take(200).collect()
}
