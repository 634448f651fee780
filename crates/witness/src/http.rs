//! `POST /add-checkpoint` of C2SP tlog-witness, beside it `GET /signed` (the checkpoint signed last), and the police's own `GET /status` (503 while there is an alarm) and
//! `GET /metrics`, over plain HTTP/1.1 on loopback (a TLS proxy or a tunnel stands before it elsewhere). One request a connection, bounded in size and time; small enough to be read by whoever must trust it.

use crate::{Refusal, Witness, watch::Watch};
use base64::{Engine, prelude::BASE64_STANDARD};
use chrono::{TimeDelta, Utc};
use ledger::tree::NodeHash;
use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    time::{Duration, Instant},
};

/// A checkpoint with 63 proof lines is far below this.
const LARGEST_BODY: usize = 64 << 10;
const LARGEST_HEAD: u64 = 16 << 10;
/// How long a shorter log, or one without a proof, may be contradicted by a newer checkpoint before it is an alarm.
pub const PATIENCE_WITH_OFFERS: TimeDelta = TimeDelta::minutes(2);

/// How long one request may take, all of it: a client that dribbles must not keep the log away.
const PATIENCE: Duration = Duration::from_secs(5);

/// Serves requests one after the other, for ever. Without a witness only status and metrics are served. Checkpoints are
/// taken at `/PREFIX/add-checkpoint` (the standard's submission prefix), at `/add-checkpoint` where it is empty.
pub fn serve(
    listener: &TcpListener,
    mut witness: Option<&mut Witness>,
    watch: &Watch,
    prefix: &str,
) -> io::Result<()> {
    let path = match prefix.trim_matches('/') {
        "" => "/add-checkpoint".to_owned(),
        prefix => format!("/{prefix}/add-checkpoint"),
    };
    for stream in listener.incoming() {
        if let Err(e) = stream.and_then(|stream| answer(stream, witness.as_deref_mut(), watch, &path)) {
            eprintln!("a request was dropped: {e}");
        }
    }
    Ok(())
}

enum Asked {
    AddCheckpoint(String),
    Signed,
    Status,
    Metrics,
    Other,
}

/// A stream that is read for a bounded time, however it dribbles.
struct Bounded<'a> {
    stream: &'a TcpStream,
    end: Instant,
}

impl Read for Bounded<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let left = self.end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.stream.set_read_timeout(Some(left))?;
        let mut stream = self.stream;
        stream.read(into)
    }
}

fn answer(mut stream: TcpStream, witness: Option<&mut Witness>, watch: &Watch, path: &str) -> io::Result<()> {
    stream.set_write_timeout(Some(PATIENCE))?;
    let now = Utc::now();
    let text = "text/plain; charset=utf-8";
    let (status, kind, body) = match (read_request(&stream, path)?, witness) {
        (Asked::AddCheckpoint(body), Some(witness)) => respond(witness, watch, &body),
        (Asked::Signed, Some(witness)) => match witness.signed_note() {
            Some(note) => ("200 OK", text, note),
            None => ("404 Not Found", text, "nothing was signed yet\n".to_owned()),
        },
        (Asked::Status, _) => match watch.status(now) {
            (true, body) => ("200 OK", text, body),
            (false, body) => ("503 Service Unavailable", text, body),
        },
        (Asked::Metrics, _) => ("200 OK", "text/plain; version=0.0.4", watch.metrics(now)),
        _ => ("404 Not Found", text, "POST /add-checkpoint, GET /status, GET /metrics\n".to_owned()),
    };
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

/// Beside `…/add-checkpoint`: what was signed last, with both signatures. A log that is refused can prove by it, to itself and to
/// its operator, that history is missing; a number alone anybody on the way could say.
fn signed_beside(add_checkpoint: &str) -> Option<String> {
    Some(format!("{}signed", add_checkpoint.strip_suffix("add-checkpoint")?))
}

fn read_request(stream: &TcpStream, path: &str) -> io::Result<Asked> {
    let bounded = Bounded { stream, end: Instant::now() + PATIENCE };
    let mut reader = BufReader::new(bounded).take(LARGEST_HEAD);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let asked = line.clone();
    let mut length = 0;
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if line.trim_end().is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().map_err(io::Error::other)?;
        }
    }
    if length > LARGEST_BODY {
        return Err(io::Error::other("a request of that size is none of ours"));
    }
    let mut body = vec![0; length];
    reader.set_limit(length as u64);
    reader.read_exact(&mut body)?;
    Ok(match asked.split(' ').collect::<Vec<_>>().as_slice() {
        ["POST", asked, _] if *asked == path => {
            Asked::AddCheckpoint(String::from_utf8_lossy(&body).into_owned())
        }
        ["GET", asked, _] if signed_beside(path).as_deref() == Some(*asked) => Asked::Signed,
        ["GET", "/status", _] => Asked::Status,
        ["GET", "/metrics", _] => Asked::Metrics,
        _ => Asked::Other,
    })
}

/// The statuses are the standard's: 200 cosignature, 400 malformed, 403 bad signature, 404 another log, 409 other old size
/// (with the right one) or another tree of the same size, 422 not an extension.
fn respond(witness: &mut Witness, watch: &Watch, body: &str) -> (&'static str, &'static str, String) {
    let outcome = parse(body)
        .ok_or_else(|| Refusal::Malformed("not an add-checkpoint request".to_owned()))
        .and_then(|(old, proof, note)| witness.add_checkpoint(old, proof, note, Utc::now()));
    match outcome {
        Ok(line) => {
            watch.cosigned(witness.seen_size(), None, Utc::now());
            ("200 OK", "text/plain; charset=utf-8", line)
        }
        Err(Refusal::Conflict(size)) => ("409 Conflict", "text/x.tlog.size", format!("{size}\n")),
        Err(e @ Refusal::Shorter { old, size, seen }) => {
            // The log comes at least once a minute: a reader who sends an old checkpoint again is contradicted soon.
            watch.shorter(size, body, PATIENCE_WITH_OFFERS, Utc::now());
            watch.sound(Utc::now());
            eprintln!("refused: {e}");
            if old > size {
                ("400 Bad Request", "text/plain; charset=utf-8", format!("{e}\n"))
            } else {
                ("409 Conflict", "text/x.tlog.size", format!("{seen}\n"))
            }
        }
        Err(e @ Refusal::Inconsistent { new, .. }) => {
            // Likewise: whoever saw the log's newest checkpoint can send it with any proof.
            watch.unproven(new, body, PATIENCE_WITH_OFFERS, Utc::now());
            watch.sound(Utc::now());
            eprintln!("refused: {e}");
            ("422 Unprocessable Entity", "text/plain; charset=utf-8", format!("{e}\n"))
        }
        Err(e) => {
            if e.is_alarm() {
                watch.refused(&e.to_string(), body, witness.signed_note().as_deref(), Utc::now());
                watch.sound(Utc::now());
            }
            let status = match e {
                Refusal::Malformed(_) => "400 Bad Request",
                Refusal::Unknown(_) | Refusal::Grant(_) | Refusal::Ended(_) => "403 Forbidden",
                Refusal::OtherLog(_) => "404 Not Found",
                Refusal::Forked(_) => "409 Conflict",
                Refusal::Proof => "422 Unprocessable Entity",
                _ => "500 Internal Server Error",
            };
            eprintln!("refused: {e}");
            (status, "text/plain; charset=utf-8", format!("{e}\n"))
        }
    }
}

/// `old <size>`, the proof's hashes one a line, an empty line, the checkpoint.
pub(crate) fn parse(body: &str) -> Option<(u64, Vec<NodeHash>, &str)> {
    let (head, note) = body.split_once("\n\n")?;
    let mut lines = head.lines();
    let old = lines.next()?.strip_prefix("old ")?.parse().ok()?;
    let proof: Vec<NodeHash> =
        lines.map(|line| BASE64_STANDARD.decode(line).ok()?.try_into().ok()).collect::<Option<_>>()?;
    (proof.len() <= 63).then_some((old, proof, note))
}
