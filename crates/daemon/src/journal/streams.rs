//! The numbers under which the vault files the streams of cameras, made on first use and kept for ever.

use super::{Journal, JournalError};
use mandate::CameraId;
use media::StreamId;
use protocol::api::StreamRole;
use rusqlite::params;

impl Journal {
    /// The number under which a camera's stream is filed, made on first use and kept for ever.
    pub fn stream(&self, camera: &CameraId, role: StreamRole) -> Result<StreamId, JournalError> {
        let role = match role {
            StreamRole::Main => "main",
            StreamRole::Sub => "sub",
        };
        let store = self.store();
        store.execute(
            "INSERT OR IGNORE INTO streams (camera, role) VALUES (?, ?)",
            params![camera.as_str(), role],
        )?;
        let number: u32 = store.query_row(
            "SELECT stream FROM streams WHERE camera = ? AND role = ?",
            params![camera.as_str(), role],
            |row| row.get(0),
        )?;
        Ok(StreamId(number))
    }

    /// Every stream that was ever recorded under a number, with its camera, also of cameras that are configured no more.
    pub fn recorded_streams(&self) -> Result<Vec<(StreamId, CameraId)>, JournalError> {
        let store = self.store();
        let mut statement =
            store.prepare_cached("SELECT stream, camera FROM streams WHERE role = 'main' ORDER BY stream")?;
        let rows = statement
            .query_map([], |row| Ok((StreamId(row.get(0)?), CameraId::from(row.get::<_, String>(1)?))))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}
