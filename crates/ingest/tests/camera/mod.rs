//! A camera that does as it is told: RTSP in a few lines, so that a test decides every packet.
//!
//! It speaks enough RTSP/1.0 (DESCRIBE, SETUP interleaved or over UDP, PLAY, keep-alives, TEARDOWN); all
//! pictures are H.264 whose first byte of slice data counts them, so that loss and disorder show.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

/// SPS and PPS of an H.264 stream of 320x240, made with x264.
pub(crate) const SMALL: (&[u8], &[u8]) = (
    &[
        0x67, 0x42, 0xc0, 0x0d, 0xda, 0x05, 0x07, 0xec, 0x04, 0x40, 0x00, 0x00, 0x03, 0x00, 0x40, 0x00, 0x00,
        0x0c, 0x83, 0xc5, 0x0a, 0xa8,
    ],
    &[0x68, 0xce, 0x0f, 0xc8],
);

/// The same of 640x360.
pub(crate) const LARGE: (&[u8], &[u8]) = (
    &[
        0x67, 0x42, 0xc0, 0x1e, 0xda, 0x02, 0x80, 0xbf, 0xe5, 0xc0, 0x44, 0x00, 0x00, 0x03, 0x00, 0x04, 0x00,
        0x00, 0x03, 0x00, 0xc8, 0x3c, 0x58, 0xba, 0x80,
    ],
    &[0x68, 0xce, 0x0f, 0xc8],
);

/// What the camera does once a client has said PLAY; when it returns, the connection is closed.
pub(crate) type Script = dyn Fn(&mut Playing) + Send + Sync;

/// A camera on a port of its own.
pub(crate) struct Camera {
    pub(crate) address: SocketAddr,
    /// Connections so far.
    pub(crate) connections: Arc<AtomicUsize>,
}

impl Camera {
    /// Starts one that plays `script` to every client. With `status`, DESCRIBE is answered with that instead.
    pub(crate) fn start(status: Option<&'static str>, script: Box<Script>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        let script: Arc<Script> = Arc::from(script);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                count.fetch_add(1, SeqCst);
                let script = Arc::clone(&script);
                std::thread::spawn(move || serve(client, status, &*script));
            }
        });
        Self { address, connections }
    }

    pub(crate) fn url(&self) -> String {
        format!("rtsp://{}/main", self.address)
    }
}

fn serve(client: TcpStream, status: Option<&str>, script: &Script) {
    let mut requests = BufReader::new(client.try_clone().unwrap());
    let address = client.local_addr().unwrap();
    let mut answers = client;
    let mut datagrams = None;
    loop {
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            if requests.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            if line.trim().is_empty() {
                break;
            }
            head.push(line.trim().to_owned());
        }
        let method = head[0].split(' ').next().unwrap_or_default().to_owned();
        let sequence = head.iter().find_map(|line| line.strip_prefix("CSeq: ")).unwrap_or("0").to_owned();
        let mut answer = |status: &str, more: &str, body: &str| {
            let text = format!("RTSP/1.0 {status}\r\nCSeq: {sequence}\r\n{more}\r\n{body}");
            answers.write_all(text.as_bytes()).is_ok()
        };
        let go_on = match (method.as_str(), status) {
            ("DESCRIBE", Some(status)) => {
                answer(status, "WWW-Authenticate: Digest realm=\"camera\", nonce=\"1\"\r\n", "")
            }
            ("DESCRIBE", None) => {
                let body = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=camera\r\nt=0 0\r\n\
                    m=audio 0 RTP/AVP 0\r\na=control:audio\r\n\
                    m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:video\r\n";
                let more = format!(
                    "Content-Type: application/sdp\r\nContent-Base: rtsp://{address}/main/\r\nContent-Length: {}\r\n",
                    body.len()
                );
                answer("200 OK", &more, body)
            }
            ("SETUP", _) => {
                assert!(head[0].contains("/video"), "only pictures are ever set up: {}", head[0]);
                let port = head
                    .iter()
                    .find_map(|line| line.split_once("client_port=")?.1.split('-').next()?.parse().ok());
                datagrams = port.map(datagram_sockets);
                let transport = match &datagrams {
                    None => "RTP/AVP/TCP;unicast;interleaved=0-1".to_owned(),
                    Some([rtp, rtcp]) => {
                        let ports = [rtp, rtcp].map(|socket| socket.local_addr().unwrap().port());
                        format!("RTP/AVP;unicast;server_port={}-{};ssrc=00000007", ports[0], ports[1])
                    }
                };
                answer("200 OK", &format!("Session: 1;timeout=60\r\nTransport: {transport}\r\n"), "")
            }
            ("PLAY", _) => {
                answer("200 OK", "Session: 1\r\n", "");
                let to = answers.try_clone().unwrap();
                script(&mut Playing { to, datagrams, sequence: 100, rtp: 0, alive: true });
                return;
            }
            _ => answer("200 OK", "Session: 1\r\n", ""),
        };
        if !go_on {
            return;
        }
    }
}

/// Sockets for RTP and RTCP on neighbouring ports, towards a client on this machine.
fn datagram_sockets(client_port: u16) -> [UdpSocket; 2] {
    let pair = || {
        let rtp = UdpSocket::bind("127.0.0.1:0").ok()?;
        let rtcp = UdpSocket::bind(("127.0.0.1", rtp.local_addr().ok()?.port().checked_add(1)?)).ok()?;
        Some([rtp, rtcp])
    };
    let sockets = std::iter::repeat_with(pair).take(100).flatten().next().unwrap();
    for (socket, port) in sockets.iter().zip([client_port, client_port + 1]) {
        socket.connect(("127.0.0.1", port)).unwrap();
    }
    sockets
}

/// A client that is being played to.
pub(crate) struct Playing {
    to: TcpStream,
    datagrams: Option<[UdpSocket; 2]>,
    pub(crate) sequence: u16,
    /// RTP time of the next picture.
    pub(crate) rtp: u32,
    /// False once the client has gone.
    pub(crate) alive: bool,
}

impl Playing {
    /// Sends a picture: a key frame with parameter sets if they are given, of `size` bytes, counted by `number`; then
    /// moves RTP time by a 25th of a second.
    pub(crate) fn picture(&mut self, number: u8, key: Option<(&[u8], &[u8])>, size: usize) {
        if let Some((sps, pps)) = key {
            self.packet(sps, false);
            self.packet(pps, false);
        }
        let header = if key.is_some() { 0x65 } else { 0x41 };
        let mut slice = vec![0x80 | 1; size.max(2)];
        slice[0] = number | 0x80;
        // FU-A (RFC 6184 section 5.8) in packets of 1400 bytes.
        let count = slice.len().div_ceil(1400);
        for (index, part) in slice.chunks(1400).enumerate() {
            let (start, end) = (index == 0, index + 1 == count);
            if count == 1 {
                let mut nal = vec![header];
                nal.extend_from_slice(part);
                self.packet(&nal, true);
            } else {
                let mut unit =
                    vec![header & 0xe0 | 0x1c, header & 0x1f | u8::from(start) << 7 | u8::from(end) << 6];
                unit.extend_from_slice(part);
                self.packet(&unit, end);
            }
        }
        self.rtp = self.rtp.wrapping_add(3600);
    }

    /// Leaves out `count` packets.
    pub(crate) fn lose(&mut self, count: u16) {
        self.sequence = self.sequence.wrapping_add(count);
    }

    fn packet(&mut self, payload: &[u8], marker: bool) {
        let mut packet = vec![0x80, 0x60 | u8::from(marker) << 7];
        packet.extend_from_slice(&self.sequence.to_be_bytes());
        packet.extend_from_slice(&self.rtp.to_be_bytes());
        packet.extend_from_slice(&7u32.to_be_bytes());
        packet.extend_from_slice(payload);
        self.sequence = self.sequence.wrapping_add(1);
        self.interleaved(0, &packet);
    }

    /// A sender report that says that RTP time `rtp` was this NTP time; with `bye`, the last of the session.
    pub(crate) fn report(&mut self, rtp: u32, ntp: u64, bye: bool) {
        let mut report = vec![0x80, 200, 0, 6];
        report.extend_from_slice(&7u32.to_be_bytes());
        report.extend_from_slice(&ntp.to_be_bytes());
        report.extend_from_slice(&rtp.to_be_bytes());
        report.extend_from_slice(&[0; 8]);
        if bye {
            report.extend_from_slice(&[0x81, 203, 0, 1, 0, 0, 0, 7]);
        }
        self.interleaved(1, &report);
    }

    fn interleaved(&mut self, channel: u8, data: &[u8]) {
        if let Some(sockets) = &self.datagrams {
            // A client that is not there yet or not any more is none of a camera's business.
            _ = sockets[usize::from(channel)].send(data);
            return;
        }
        let mut message = vec![b'$', channel];
        message.extend_from_slice(&(data.len() as u16).to_be_bytes());
        message.extend_from_slice(data);
        self.alive &= self.to.write_all(&message).is_ok();
    }

    /// Goes on at 25 pictures a second with a key frame every `group`, until the client goes.
    pub(crate) fn live(&mut self, group: u8, size: usize) {
        let mut number = 0u8;
        while self.alive {
            self.picture(number & 0x7f, number.is_multiple_of(group).then_some(SMALL), size);
            number = number.wrapping_add(1) & 0x7f;
            // The camera's own pace, not a wait for anything.
            std::thread::sleep(std::time::Duration::from_millis(40));
        }
    }

    /// Does nothing until the client goes.
    pub(crate) fn hold(&mut self) {
        let mut sink = [0; 512];
        while std::io::Read::read(&mut self.to, &mut sink).is_ok_and(|size| size > 0) {}
    }
}
