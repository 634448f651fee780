//! What is known of a session at every moment: connecting, up, or down with a cause that an operator understands.

use media::Micros;

/// The state of one stream's session. Instants are µs UTC on the daemon's clock.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum SessionState {
    /// Not open: outside its use period nothing is connected.
    #[default]
    Idle,
    /// Opened for the first time; no picture has come yet.
    Connecting,
    /// Pictures come in.
    Up {
        /// When the first picture of this connection came.
        since: Micros,
    },
    /// No pictures, and the next attempt is planned.
    Down {
        /// When the outage began: it spans all failed attempts since the last picture.
        since: Micros,
        /// Why the last attempt failed.
        cause: DownCause,
        /// One technical line for whoever repairs the camera, English, without credentials.
        detail: String,
        /// When the next attempt starts.
        retry_at: Micros,
    },
}

/// Why a stream has no pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DownCause {
    /// No answer in time, or no way to the camera's network.
    TimeOut,
    /// The camera's address answers but nothing listens there.
    Refused,
    /// The camera does not accept the user name or password.
    Unauthorised,
    /// The camera answers in a way that is no usable RTSP, or offers no H.264 or H.265.
    Protocol,
    /// The camera ended the connection.
    Ended,
    /// Connected, but no picture came for some seconds.
    NoFrames,
}

impl DownCause {
    /// The stable word for interfaces and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TimeOut => "time_out",
            Self::Refused => "refused",
            Self::Unauthorised => "unauthorised",
            Self::Protocol => "protocol",
            Self::Ended => "ended",
            Self::NoFrames => "no_frames",
        }
    }

    /// What happened and what to do about it, in Dutch and in English.
    pub fn sentence(self) -> (&'static str, &'static str) {
        match self {
            Self::TimeOut => (
                "De camera antwoordt niet. Controleer voeding en netwerk van de camera.",
                "The camera does not answer. Check its power and its network.",
            ),
            Self::Refused => (
                "De camera weigert de verbinding. Controleer adres en poort, of wacht tot de camera is opgestart.",
                "The camera refuses the connection. Check address and port, or wait until it has started.",
            ),
            Self::Unauthorised => (
                "De camera weigert de gebruikersnaam of het wachtwoord. Controleer de ingestelde gegevens.",
                "The camera rejects the user name or password. Check the configured credentials.",
            ),
            Self::Protocol => (
                "De camera geeft een onbruikbaar antwoord. Controleer de streamnaam en of de camera H.264 of H.265 levert.",
                "The camera's answer cannot be used. Check the stream name and that it offers H.264 or H.265.",
            ),
            Self::Ended => ("De camera heeft de verbinding beëindigd.", "The camera ended the connection."),
            Self::NoFrames => (
                "De camera is verbonden maar stuurt geen beeld.",
                "The camera is connected but sends no picture.",
            ),
        }
    }
}
