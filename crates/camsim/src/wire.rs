//! What a running camsim tells whoever started it, and how to speak to its control port.

use serde::{Deserialize, Serialize};
use std::{
    io::{self, BufRead, BufReader, Write},
    net::{Ipv4Addr, TcpStream},
    time::Duration,
};

/// The file written when every camera answers: where they are. Holds passwords, so it is readable by its owner only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// Port of the RTSP server.
    pub rtsp_port: u16,
    /// Port of the line protocol that makes cameras misbehave, always on 127.0.0.1.
    pub control_port: u16,
    /// The cameras, from number 1 up.
    pub cameras: Vec<Camera>,
}

/// One simulated camera.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Camera {
    /// Its number, from 1.
    pub n: u16,
    /// Address of the main stream.
    pub main: String,
    /// Address of the sub stream.
    pub sub: String,
    /// `h264` or `h265`.
    pub codec: String,
    /// Name for Digest authentication.
    pub username: String,
    /// Password for Digest authentication, made anew at every start.
    pub password: String,
}

/// Sends one command to the control port and returns its answer: `ok`, `error …`, or for `state` a line of JSON.
pub fn command(control_port: u16, line: &str) -> io::Result<String> {
    let mut socket = TcpStream::connect((Ipv4Addr::LOCALHOST, control_port))?;
    socket.set_read_timeout(Some(Duration::from_secs(10)))?;
    writeln!(socket, "{line}")?;
    let mut answer = String::new();
    BufReader::new(socket).read_line(&mut answer)?;
    Ok(answer.trim_end().to_owned())
}
