//! The calls about footage requests, and fetching files.

use super::{
    Client, ClientError, Session, chain,
    register::{query, stamp},
    segment,
};
use crate::{
    api::{
        Approval, FootageRequest, HoldRelease, HoldView, NewFootageRequest, NewHold, Problem, Timeline,
        WithReason,
    },
    socket::Offence,
};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use mandate::{CameraId, ExportId, IncidentId};
use std::time::Duration;

/// Longest wait for an answer that reads much footage: approving, and the first byte of a file.
const FOOTAGE_WITHIN: Duration = Duration::from_hours(12);

/// A file on its way.
#[derive(Debug)]
pub struct Download {
    answer: reqwest::Response,
}

impl Download {
    /// Its length, if the daemon knows it beforehand.
    pub fn length(&self) -> Option<u64> {
        self.answer.content_length()
    }

    /// The next bytes; none at its end.
    ///
    /// # Errors
    /// [`ClientError::Unreachable`] when it broke off: what came is not the file.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ClientError> {
        self.answer.chunk().await.map_err(|e| ClientError::Unreachable(chain(&e)))
    }

    /// All of it, in memory.
    ///
    /// # Errors
    /// As [`Download::next`].
    pub async fn all(mut self) -> Result<Vec<u8>, ClientError> {
        let mut all = Vec::new();
        while let Some(bytes) = self.next().await? {
            all.extend_from_slice(&bytes);
        }
        Ok(all)
    }
}

/// Which footage is wanted as a fragmented MP4.
#[derive(Clone, Debug)]
pub struct ReplayOf {
    /// The camera.
    pub camera: CameraId,
    /// First instant.
    pub from: DateTime<Utc>,
    /// End.
    pub until: DateTime<Utc>,
    /// The open incident, for who may look back inside one only.
    pub incident: Option<IncidentId>,
    /// What for: `investigation`.
    pub purpose: Option<String>,
    /// The concrete offence.
    pub offence_ref: Option<String>,
    /// The case that it was secured for, past its ordinary term.
    pub case_number: Option<String>,
    /// Times real time; as fast as it is taken, if not given.
    pub speed: Option<f32>,
}

/// Which stretch of a camera's time axis is wanted, and what for.
#[derive(Clone, Debug, PartialEq)]
pub struct TimelineOf {
    /// First instant.
    pub from: DateTime<Utc>,
    /// End.
    pub until: DateTime<Utc>,
    /// The open incident.
    pub incident: Option<IncidentId>,
    /// Without an incident: what for.
    pub of: Option<Offence>,
}

/// The stable word of an enum, as its serialisation spells it.
fn word(value: &impl serde::Serialize) -> Option<String> {
    serde_json::to_value(value).ok()?.as_str().map(ToOwned::to_owned)
}

impl Client {
    async fn fetch(&self, path: &str, token: &str) -> Result<Download, ClientError> {
        let address = format!("/api/v1/{path}");
        let url = self.base.join(&address).map_err(|_| ClientError::Address(address))?;
        let request = self.http.get(url).bearer_auth(token).timeout(FOOTAGE_WITHIN);
        let answer = request.send().await.map_err(|e| ClientError::Unreachable(chain(&e)))?;
        let status = answer.status().as_u16();
        if status == 200 {
            return Ok(Download { answer });
        }
        let bytes = answer.bytes().await.map_err(|e| ClientError::Unreachable(chain(&e)))?;
        Err(match serde_json::from_slice::<Problem>(&bytes) {
            Ok(problem) => ClientError::Problem(Box::new(problem)),
            Err(_) => ClientError::Answer(format!("status {status} without a problem document")),
        })
    }
}

impl Session {
    /// Asks for footage.
    pub async fn request_footage(&self, new: &NewFootageRequest) -> Result<FootageRequest, ClientError> {
        self.post("requests", new).await
    }

    /// The requests that this person made, may decide about, or fetches, newest first.
    pub async fn footage_requests(&self) -> Result<Vec<FootageRequest>, ClientError> {
        self.get("requests").await
    }

    /// One request.
    pub async fn footage_request(&self, id: &ExportId) -> Result<FootageRequest, ClientError> {
        self.get(&format!("requests/{}", segment(id.as_str()))).await
    }

    /// Approves somebody else's request. Returns when the footage is secured and its files are known.
    pub async fn approve_request(
        &self,
        id: &ExportId,
        approval: &Approval,
    ) -> Result<FootageRequest, ClientError> {
        self.post_long(&format!("requests/{}/approve", segment(id.as_str())), approval).await
    }

    /// Refuses a request; the reason is kept.
    pub async fn refuse_request(&self, id: &ExportId, reason: &str) -> Result<FootageRequest, ClientError> {
        let body = WithReason { reason: reason.to_owned() };
        self.post(&format!("requests/{}/refuse", segment(id.as_str())), &body).await
    }

    /// Ends an approval and releases what it secured.
    pub async fn close_request(&self, id: &ExportId, reason: &str) -> Result<FootageRequest, ClientError> {
        let body = WithReason { reason: reason.to_owned() };
        self.post(&format!("requests/{}/close", segment(id.as_str())), &body).await
    }

    /// Fetches one file of an approved request, asking again while its entry waits for the police's witness; `waiting` is
    /// called each time. Gives up after five minutes, with the daemon's own answer.
    pub async fn download_witnessed(
        &self,
        id: &ExportId,
        file: u32,
        mut waiting: impl FnMut(),
    ) -> Result<Download, ClientError> {
        let mut left = 60;
        loop {
            match self.download(id, file).await {
                Err(error) if left > 0 && error.problem().is_some_and(|p| p.code == "waits-for-witness") => {
                    left -= 1;
                    waiting();
                    tokio::time::sleep(Duration::from_secs(5)).await;
                }
                answer => return answer,
            }
        }
    }

    /// Fetches one file of an approved request. A problem `waits-for-witness`: it is permitted and logged; ask again.
    pub async fn download(&self, id: &ExportId, file: u32) -> Result<Download, ClientError> {
        let path = format!("requests/{}/files/{file}", segment(id.as_str()));
        self.client.fetch(&path, &self.token).await
    }

    /// Footage as a fragmented MP4, for players other than the console.
    pub async fn replay_mp4(&self, of: &ReplayOf) -> Result<Download, ClientError> {
        let query = query(&[
            ("camera", Some(of.camera.to_string())),
            ("from", Some(stamp(of.from))),
            ("until", Some(stamp(of.until))),
            ("incident", of.incident.as_ref().map(ToString::to_string)),
            ("purpose", of.purpose.clone()),
            ("offence_ref", of.offence_ref.clone()),
            ("case_number", of.case_number.clone()),
            ("speed", of.speed.map(|speed| speed.to_string())),
        ]);
        self.client.fetch(&format!("replay.mp4{query}"), &self.token).await
    }

    /// Secures footage for a case; it is when this returns.
    pub async fn hold(&self, new: &NewHold) -> Result<HoldView, ClientError> {
        self.post_long("holds", new).await
    }

    /// What is secured, released holds included.
    pub async fn holds(&self) -> Result<Vec<HoldView>, ClientError> {
        self.get("holds").await
    }

    /// Releases what was secured.
    pub async fn release_hold(&self, id: &str, reason: &str) -> Result<HoldView, ClientError> {
        let body = HoldRelease { reason: reason.to_owned() };
        self.post(&format!("holds/{}/release", segment(id)), &body).await
    }

    /// What is there of a camera's footage, and what of it may be seen.
    pub async fn timeline(&self, camera: &CameraId, of: &TimelineOf) -> Result<Timeline, ClientError> {
        let offence = of.of.clone().unwrap_or_default();
        let query = query(&[
            ("from", Some(stamp(of.from))),
            ("until", Some(stamp(of.until))),
            ("incident", of.incident.as_ref().map(ToString::to_string)),
            ("purpose", offence.purpose.as_ref().and_then(word)),
            ("offence_ref", offence.offence_ref),
            ("case_number", offence.case_number),
        ]);
        self.get(&format!("cameras/{}/timeline{query}", segment(camera.as_str()))).await
    }

    /// Like `post`, for what may take as long as reading a day of footage.
    async fn post_long<T: serde::de::DeserializeOwned>(
        &self,
        path: &str,
        body: &(impl serde::Serialize + Sync),
    ) -> Result<T, ClientError> {
        let patient = Client { patience: FOOTAGE_WITHIN, ..self.client.clone() };
        patient.call(reqwest::Method::POST, path, Some(&self.token), Some(body)).await
    }
}
