//! Control messages on the media socket `GET /api/v1/media` (WebSocket, sub-protocol `rtr.v1`), as JSON text
//! messages. The client authenticates with `Authorization: Bearer …`. Media travel as binary messages ([`crate::wire`]).

use crate::api::{CameraState, LedgerHealth, Refusal, Sentence, StreamRole};
use chrono::{DateTime, Utc};
use mandate::{CameraId, FactRef, IncidentId, Purpose};
use serde::{Deserialize, Serialize};

/// What a client may say.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ClientMessage {
    /// Watch a camera live. `subscription` is chosen by the client and unique on this socket while it lasts.
    Watch {
        /// The client's number for it.
        subscription: u32,
        /// The camera.
        camera: CameraId,
        /// Which stream.
        stream: StreamRole,
        /// An open incident, where the law asks for one.
        #[serde(default)]
        incident: Option<IncidentId>,
        /// Where it is shown, for the log: `tile 3`.
        #[serde(default)]
        display: Option<String>,
        /// Only key frames: a client short of strength asks for fewer pictures.
        #[serde(default)]
        key_frames_only: bool,
    },
    /// Look back. Units arrive at the pace of its motion, ending with one marked `last`; with `stay` it does not end but
    /// waits to be steered.
    Replay {
        /// The client's number for it.
        subscription: u32,
        /// The camera.
        camera: CameraId,
        /// Which stream.
        stream: StreamRole,
        /// First instant.
        from: DateTime<Utc>,
        /// End, exclusive.
        until: DateTime<Utc>,
        /// The incident it belongs to, where the law asks for one.
        #[serde(default)]
        incident: Option<IncidentId>,
        /// What for, where there is no incident: the law asks for a concrete offence, and past the footage's ordinary
        /// term for the number of the case that it was secured for.
        #[serde(default)]
        of: Option<Offence>,
        /// How it moves.
        #[serde(flatten)]
        motion: Motion,
        /// Whether it goes on, without pictures, when it has come to an end: the operator may yet turn round.
        #[serde(default)]
        stay: bool,
    },
    /// Several replays go on from another position, or otherwise, together. Each answers with
    /// [`ServerMessage::Steered`]; what arrives under its number before that answer is out of date.
    Steer {
        /// Which.
        subscriptions: Vec<u32>,
        /// The client's number for this steering, echoed.
        serial: u32,
        /// How they move from now on.
        #[serde(flatten)]
        motion: Motion,
    },
    /// Stop.
    Stop {
        /// Which.
        subscription: u32,
    },
    /// Answered with [`ServerMessage::Pong`] at once: the client measures the clock offset and the round trip.
    Ping {
        /// Echoed.
        sent: i64,
    },
}

fn one() -> f32 {
    1.0
}

/// Why somebody looks back without an incident.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offence {
    /// What for.
    #[serde(default)]
    pub purpose: Option<Purpose>,
    /// The concrete offence, for example `Sr 300`.
    #[serde(default)]
    pub offence_ref: Option<String>,
    /// The police case number.
    #[serde(default)]
    pub case_number: Option<String>,
}

/// How a replay moves: from a position, forward or backward, at a speed. Replays with the same motion are in step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Motion {
    /// Where it begins: pictures arrive from the key frame at or before it (backward: from the group in which it lies).
    /// The first instant of the replay if not given; backward, its end.
    #[serde(default)]
    pub position: Option<DateTime<Utc>>,
    /// Times real time, at most 64; below 0 backward, group by group, the pictures of each group in order. 0 sends as fast
    /// as the client takes it; of a replay that stays, only what the picture at the position needs, and two seconds more.
    #[serde(default = "one")]
    pub speed: f32,
    /// When the position is due on the daemon's clock: replays on one clock arrive in step, a little ahead of it. If not
    /// given, with the first picture.
    #[serde(default)]
    pub at: Option<DateTime<Utc>>,
    /// Only key frames, thinned out where more than ten a second would arrive. Always so above 4 times real time.
    #[serde(default)]
    pub key_frames_only: bool,
}

impl Default for Motion {
    fn default() -> Self {
        Self { position: None, speed: 1.0, at: None, key_frames_only: false }
    }
}

/// Why a subscription ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "cause", rename_all = "snake_case")]
pub enum EndCause {
    /// The law: refused, or the basis ended while it ran.
    Refused(Refusal),
    /// The client asked.
    Stopped,
    /// The replay is complete.
    Complete,
    /// The log cannot be written: no look without an entry.
    LogUnavailable {
        /// For people.
        sentence: Sentence,
    },
    /// The request itself was wrong.
    Invalid {
        /// For people.
        sentence: Sentence,
    },
}

/// What the daemon says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ServerMessage {
    /// First message: the daemon's clock and the log's state.
    Hello {
        /// The daemon's clock, µs UTC.
        now: i64,
        /// The log.
        ledger: LedgerHealth,
    },
    /// A subscription was permitted and logged; units follow.
    Started {
        /// Which.
        subscription: u32,
        /// The ledger entry of this look.
        ledger_seq: u64,
        /// The facts it rests on.
        basis: Vec<FactRef>,
        /// The first instant at which the answer could change.
        until: Option<DateTime<Utc>>,
    },
    /// At `until` the gate decided again and found a basis: the stream goes on.
    Continued {
        /// Which.
        subscription: u32,
        /// The new basis.
        basis: Vec<FactRef>,
        /// The next instant.
        until: Option<DateTime<Utc>>,
    },
    /// Codec parameters, before the first unit of each generation.
    Parameters {
        /// Which.
        subscription: u32,
        /// Generation.
        generation: u16,
        /// `h264` or `h265`.
        codec: String,
        /// Pixels.
        width: u16,
        /// Pixels.
        height: u16,
        /// Base64 of avcC or hvcC.
        record: String,
    },
    /// The client was too slow; so many pictures were skipped, up to the next key frame.
    Skipped {
        /// Which.
        subscription: u32,
        /// Pictures.
        pictures: u64,
    },
    /// A stretch of a replay that has no pictures.
    Gap {
        /// Which.
        subscription: u32,
        /// First instant.
        from: DateTime<Utc>,
        /// End.
        until: DateTime<Utc>,
        /// Why, as a stable word.
        reason: String,
        /// For people.
        sentence: Sentence,
    },
    /// A replay has been steered; what follows under its number belongs to the new motion.
    Steered {
        /// Which.
        subscription: u32,
        /// The client's number for the steering.
        serial: u32,
    },
    /// A replay that stays has sent all there is in its direction, and waits to be steered.
    AtEnd {
        /// Which.
        subscription: u32,
    },
    /// The subscription is over. Nothing more arrives under its number.
    Ended {
        /// Which.
        subscription: u32,
        /// Why.
        cause: EndCause,
    },
    /// The technical state of a camera changed.
    Camera {
        /// Which.
        camera: CameraId,
        /// Its state.
        state: CameraState,
    },
    /// The register changed, or a boundary passed: lists and closed tiles are worth asking again.
    RegisterChanged,
    /// The log's state changed.
    Ledger {
        /// Its state.
        ledger: LedgerHealth,
    },
    /// The police's witness cosigned a newer state of the log.
    Witnessed {
        /// The checkpoint with the log's signature and the witness's cosignature, a C2SP signed note.
        checkpoint: String,
    },
    /// The entry of a look that began on this socket, with its proof under a cosigned checkpoint: for the client to
    /// check and keep.
    Receipt {
        /// The entry, as in [`ServerMessage::Started`].
        ledger_seq: u64,
        /// A C2SP `tlog-proof@v1` with the entry as its extra data.
        proof: String,
    },
    /// Answer to a ping.
    Pong {
        /// Echo.
        sent: i64,
        /// The daemon's clock, µs UTC.
        now: i64,
    },
    /// The message could not be understood; the socket stays open.
    Error {
        /// What and what to do.
        sentence: Sentence,
    },
}
