//! The floor: the least a recorder can cost. One thread waits for readiness and copies the bytes of each RTSP/TCP
//! connection to a file as they arrive, unparsed: no depacketising, no index, no encryption, no sync. The bench runs it as
//! a process of its own against the same cameras as the daemon and quotes the ratio.

use crate::Arguments;
use anyhow::{Context as _, Result, bail};
use mio::{Events, Interest, Poll, Token};
use std::{
    collections::HashMap,
    fs::File,
    io::{ErrorKind, Read as _, Write as _},
    net::TcpStream,
    path::PathBuf,
    time::{Duration, Instant},
};

/// `floor --list FILE --dir DIR --seconds S`; each line of the list is `url [user password]`.
pub(crate) fn run(rest: &[String]) -> Result<()> {
    let mut arguments = Arguments::new(rest);
    let list = arguments.option("--list")?.context("--list names the file of addresses")?;
    let folder = PathBuf::from(arguments.option("--dir")?.context("--dir names the folder to write to")?);
    let seconds = arguments.number("--seconds", 60)?;
    arguments.done()?;

    let text = std::fs::read_to_string(&list)?;
    let mut poll = Poll::new()?;
    let mut sessions = Vec::new();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let url = words.next().context("an empty line in the list of addresses")?;
        let stream = play(url, words.next().zip(words.next())).with_context(|| url.to_owned())?;
        stream.set_nonblocking(true)?;
        let mut stream = mio::net::TcpStream::from_std(stream);
        poll.registry().register(&mut stream, Token(sessions.len()), Interest::READABLE)?;
        let file = File::create(folder.join(format!("{}.rtp", sessions.len())))?;
        sessions.push((stream, file));
    }

    let mut buffer = vec![0; 64 * 1024];
    let mut events = Events::with_capacity(256);
    let end = Instant::now() + Duration::from_secs(seconds as u64);
    let mut bytes = 0;
    while Instant::now() < end && !crate::processes::interrupted() {
        poll.poll(&mut events, Some(Duration::from_millis(200)))?;
        for event in &events {
            let Some((stream, file)) = sessions.get_mut(event.token().0) else { continue };
            loop {
                match stream.read(&mut buffer) {
                    Ok(0) => bail!("a camera ended its connection"),
                    Ok(n) => {
                        bytes += n as u64;
                        file.write_all(buffer.get(..n).unwrap_or_default())?;
                    }
                    Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                    Err(e) => return Err(e.into()),
                }
            }
        }
    }
    println!("{bytes}");
    Ok(())
}

/// The RTSP dialogue (RFC 2326) up to PLAY, with Digest log-in (RFC 2617) where asked.
fn play(url: &str, credentials: Option<(&str, &str)>) -> Result<TcpStream> {
    let host =
        url.strip_prefix("rtsp://").and_then(|r| r.split('/').next()).context("not an rtsp:// address")?;
    let mut rtsp = Rtsp {
        stream: TcpStream::connect(host)?,
        sequence: 0,
        credentials: credentials.map(|(u, p)| (u.to_owned(), p.to_owned())),
        challenge: None,
    };
    rtsp.stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let described = rtsp.ask("DESCRIBE", url, "Accept: application/sdp\r\n")?;
    let base = described.headers.get("content-base").map_or(url, |b| b.trim_end_matches('/'));
    let video = described.body.split("m=video").nth(1).context("no video in the description")?;
    let control = video.lines().find_map(|l| l.strip_prefix("a=control:")).unwrap_or("").trim();
    let control =
        if control.starts_with("rtsp://") { control.to_owned() } else { format!("{base}/{control}") };
    let set_up = rtsp.ask("SETUP", &control, "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n")?;
    let session = set_up.headers.get("session").context("no session")?;
    let session = session.split(';').next().unwrap_or_default().to_owned();
    rtsp.ask("PLAY", base, &format!("Session: {session}\r\nRange: npt=0.000-\r\n"))?;
    Ok(rtsp.stream)
}

struct Rtsp {
    stream: TcpStream,
    sequence: u32,
    credentials: Option<(String, String)>,
    challenge: Option<(String, String)>,
}

struct Answer {
    status: u16,
    headers: HashMap<String, String>,
    body: String,
}

impl Rtsp {
    fn ask(&mut self, method: &str, url: &str, extra: &str) -> Result<Answer> {
        let mut answer = self.ask_once(method, url, extra)?;
        if answer.status == 401 {
            let challenge = answer.headers.get("www-authenticate").context("401 without a challenge")?;
            let part = |name: &str| {
                let rest = challenge.split(&format!("{name}=\"")).nth(1).unwrap_or_default();
                rest.split('"').next().unwrap_or_default().to_owned()
            };
            self.challenge = Some((part("realm"), part("nonce")));
            answer = self.ask_once(method, url, extra)?;
        }
        if answer.status != 200 {
            bail!("{method} was answered with {}", answer.status);
        }
        Ok(answer)
    }

    fn ask_once(&mut self, method: &str, url: &str, extra: &str) -> Result<Answer> {
        self.sequence += 1;
        let authorization = match (&self.challenge, &self.credentials) {
            (Some((realm, nonce)), Some((user, password))) => {
                let hash = |text: String| format!("{:x}", md5::compute(text));
                let response = hash(format!(
                    "{}:{nonce}:{}",
                    hash(format!("{user}:{realm}:{password}")),
                    hash(format!("{method}:{url}"))
                ));
                format!(
                    "Authorization: Digest username=\"{user}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{url}\", response=\"{response}\"\r\n"
                )
            }
            _ => String::new(),
        };
        let sequence = self.sequence;
        write!(self.stream, "{method} {url} RTSP/1.0\r\nCSeq: {sequence}\r\n{authorization}{extra}\r\n")?;
        self.answer()
    }

    fn answer(&mut self) -> Result<Answer> {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            self.stream.read_exact(&mut byte)?;
            head.extend(byte);
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        let status =
            head.split_whitespace().nth(1).and_then(|s| s.parse().ok()).context("not an RTSP answer")?;
        let headers: HashMap<_, _> = head
            .lines()
            .filter_map(|l| l.split_once(':'))
            .map(|(k, v)| (k.trim().to_ascii_lowercase(), v.trim().to_owned()))
            .collect();
        let length = headers.get("content-length").and_then(|l| l.parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        Ok(Answer { status, headers, body: String::from_utf8_lossy(&body).into_owned() })
    }
}
