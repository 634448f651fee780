//! Which stream numbers belong to which camera, and how each is reached. Fixed at start-up: settings name the sources,
//! the journal keeps the numbers.

use crate::journal::{Journal, JournalError};
use ingest::{SessionConfig, Transport};
use mandate::CameraId;
use media::StreamId;
use protocol::api::StreamRole;
use settings::{CameraSource, StreamSource};
use std::collections::HashMap;

/// The two streams of one camera, ready for ingest.
#[derive(Clone, Debug)]
pub struct CameraStreams {
    /// The camera.
    pub camera: CameraId,
    /// The full picture; recorded.
    pub main: SessionConfig,
    /// The small one, if the camera has it.
    pub sub: Option<SessionConfig>,
    /// Which pictures go first when the disk is too slow: those of the lowest number.
    pub importance: u8,
}

impl CameraStreams {
    /// The stream in this role; a camera without a small picture shows its full one.
    pub fn stream(&self, role: StreamRole) -> StreamId {
        match (role, &self.sub) {
            (StreamRole::Sub, Some(sub)) => sub.stream,
            _ => self.main.stream,
        }
    }
}

/// All configured cameras.
#[derive(Clone, Debug, Default)]
pub struct Streams {
    cameras: Vec<CameraStreams>,
    by_camera: HashMap<CameraId, usize>,
    /// Whose each stream that was ever numbered is, configured or not.
    filed: HashMap<StreamId, CameraId>,
}

impl Streams {
    /// The streams of the configured sources, numbered by the journal.
    pub fn new(sources: &[CameraSource], journal: &Journal) -> Result<Self, JournalError> {
        let mut all = Self::default();
        for source in sources {
            let main = session(&source.camera, &source.main, journal, StreamRole::Main)?;
            let sub = source
                .sub
                .as_ref()
                .map(|s| session(&source.camera, s, journal, StreamRole::Sub))
                .transpose()?;
            all.by_camera.insert(source.camera.clone(), all.cameras.len());
            all.cameras.push(CameraStreams {
                camera: source.camera.clone(),
                main,
                sub,
                importance: source.importance,
            });
        }
        all.filed = journal.recorded_streams()?.into_iter().collect();
        Ok(all)
    }

    /// Whose a stream is, also when its camera is configured no more.
    pub fn filed(&self, stream: StreamId) -> Option<&CameraId> {
        self.filed.get(&stream)
    }

    /// The recorded stream of a camera, also when it is configured no more.
    pub fn recorded(&self, camera: &CameraId) -> Option<StreamId> {
        self.filed.iter().find(|(_, whose)| *whose == camera).map(|(stream, _)| *stream)
    }

    /// Every camera.
    pub fn iter(&self) -> impl Iterator<Item = &CameraStreams> {
        self.cameras.iter()
    }

    /// One camera.
    pub fn get(&self, camera: &CameraId) -> Option<&CameraStreams> {
        self.by_camera.get(camera).and_then(|i| self.cameras.get(*i))
    }
}

fn session(
    camera: &CameraId,
    source: &StreamSource,
    journal: &Journal,
    role: StreamRole,
) -> Result<SessionConfig, JournalError> {
    Ok(SessionConfig {
        stream: journal.stream(camera, role)?,
        camera_group: camera.to_string(),
        url: source.url.clone(),
        username: source.username.clone(),
        password: source.password.clone(),
        transport: match source.transport {
            settings::Transport::Tcp => Transport::Tcp,
            settings::Transport::Udp => Transport::Udp,
        },
        recorded: role == StreamRole::Main,
    })
}
