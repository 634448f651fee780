//! `POST /add-checkpoint` of C2SP tlog-witness, over plain HTTP/1.1 on loopback (a TLS proxy or a tunnel stands before
//! it elsewhere). One request a connection, bounded in size and time; small enough to be read by whoever must trust it.

use crate::{Refusal, Witness};
use base64::{Engine, prelude::BASE64_STANDARD};
use chrono::Utc;
use ledger::tree::NodeHash;
use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    time::Duration,
};

/// A checkpoint with 63 proof lines is far below this.
const LARGEST_BODY: usize = 64 << 10;
const LARGEST_HEAD: u64 = 16 << 10;

/// Serves requests one after the other, for ever.
pub fn serve(listener: &TcpListener, witness: &mut Witness) -> io::Result<()> {
    for stream in listener.incoming() {
        if let Err(e) = stream.and_then(|stream| answer(stream, witness)) {
            eprintln!("a request was dropped: {e}");
        }
    }
    Ok(())
}

fn answer(mut stream: TcpStream, witness: &mut Witness) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.set_write_timeout(Some(Duration::from_secs(5)))?;
    let (status, kind, body) = match read_request(&stream)? {
        Some(body) => respond(witness, &body),
        None => ("404 Not Found", "text/plain", "POST /add-checkpoint\n".to_owned()),
    };
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

/// The body of a `POST /add-checkpoint`; none for any other request.
fn read_request(stream: &TcpStream) -> io::Result<Option<String>> {
    let mut reader = BufReader::new(stream).take(LARGEST_HEAD);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let wanted = line.starts_with("POST /add-checkpoint HTTP/1.");
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
    Ok(wanted.then(|| String::from_utf8_lossy(&body).into_owned()))
}

/// The statuses are the standard's: 200 cosignature, 400 malformed, 403 bad signature or unknown log,
/// 409 other old size (with the right one), 422 not an extension.
fn respond(witness: &mut Witness, body: &str) -> (&'static str, &'static str, String) {
    let outcome = parse(body)
        .ok_or_else(|| Refusal::Malformed("not an add-checkpoint request".to_owned()))
        .and_then(|(old, proof, note)| witness.add_checkpoint(old, proof, note, Utc::now()));
    match outcome {
        Ok(line) => ("200 OK", "text/plain; charset=utf-8", line),
        Err(Refusal::Conflict(size)) => ("409 Conflict", "text/x.tlog.size", format!("{size}\n")),
        Err(e) => {
            let status = match e {
                Refusal::Malformed(_) => "400 Bad Request",
                Refusal::Unknown(_) => "403 Forbidden",
                Refusal::Inconsistent { .. } => "422 Unprocessable Entity",
                _ => "500 Internal Server Error",
            };
            eprintln!("refused: {e}");
            (status, "text/plain; charset=utf-8", format!("{e}\n"))
        }
    }
}

/// `old <size>`, the proof's hashes one a line, an empty line, the checkpoint.
fn parse(body: &str) -> Option<(u64, Vec<NodeHash>, &str)> {
    let (head, note) = body.split_once("\n\n")?;
    let mut lines = head.lines();
    let old = lines.next()?.strip_prefix("old ")?.parse().ok()?;
    let proof: Vec<NodeHash> =
        lines.map(|line| BASE64_STANDARD.decode(line).ok()?.try_into().ok()).collect::<Option<_>>()?;
    (proof.len() <= 63).then_some((old, proof, note))
}
