//! A footage request: who asks for what and why, who decides, and what may be fetched by whom until when.
//!
//! ```text
//! requested ──approve (another person; secures the footage)──▶ approved ──close──▶ closed
//!     └──────refuse (with a reason; kept)──▶ refused
//! ```
//!
//! Transitions refuse what cannot be; whether somebody may is the gate's to say, before any of them.

use chrono::{DateTime, TimeDelta, Utc};
use mandate::{CameraId, Export, ExportId, ExportState, PersonId, Purpose, RecipientKind, Statement};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Longest stretch that one request may ask for.
pub const LONGEST: TimeDelta = TimeDelta::hours(24);
/// Most cameras in one request.
pub const MOST_CAMERAS: usize = 32;
/// Longest text of any field, characters.
const LONGEST_TEXT: usize = 2000;
/// How often the sending of a file may begin; one of them may come to its end.
pub const ATTEMPTS: u32 = 3;

/// What somebody asks for (`POST /requests`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewFootageRequest {
    /// The cameras.
    pub cameras: Vec<CameraId>,
    /// First instant (UTC).
    pub from: DateTime<Utc>,
    /// End (UTC).
    pub until: DateTime<Utc>,
    /// What for: `investigation`, or `public_order` for the mayor.
    pub purpose: Purpose,
    /// The concrete offence, for example `Sr 300`.
    #[serde(default)]
    pub offence_ref: Option<String>,
    /// The police case number.
    #[serde(default)]
    pub case_number: Option<String>,
    /// What is asked for and why, in words.
    #[serde(default)]
    pub description: Option<String>,
    /// Who will fetch it; the requester, when nobody is named.
    #[serde(default)]
    pub recipient: Option<PersonId>,
    /// To whom it goes; police, when nothing is said.
    #[serde(default)]
    pub recipient_kind: RecipientKind,
}

/// How far a request has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RequestState {
    /// It waits for a police approver.
    Requested,
    /// Approved: the footage is secured and may be fetched.
    Approved,
    /// Refused.
    Refused,
    /// Done with: the footage that was secured for it is released.
    Closed,
}

/// A stretch of one camera that an approval secures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HeldStretch {
    /// Name of the hold in the vault.
    pub hold: String,
    /// The camera.
    pub camera: CameraId,
    /// First instant: the key frame from which the first picture asked for is decoded.
    pub from: DateTime<Utc>,
    /// End.
    pub until: DateTime<Utc>,
    /// Older holds that keep some of it, where it is past its ordinary term.
    #[serde(default)]
    pub out_of: Vec<String>,
}

/// One file of an approved request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExportFile {
    /// Its number in the request, from 0.
    pub number: u32,
    /// A name for it, without folders.
    pub name: String,
    /// The camera.
    pub camera: CameraId,
    /// The hold it is made of, and its place among that hold's files.
    pub hold: String,
    /// The same.
    pub place: u32,
    /// First instant presented.
    pub from: DateTime<Utc>,
    /// End of what is presented.
    pub until: DateTime<Utc>,
    /// Pictures in it, those before `from` that are needed for decoding included.
    pub pictures: u64,
    /// Length of the file.
    pub bytes: u64,
    /// Bytes of pictures in it.
    pub media_bytes: u64,
    /// SHA-256 of the file, in hex.
    pub sha256: String,
    /// How often it was sent to its end.
    #[serde(default)]
    pub downloads: u32,
    /// How often sending began.
    #[serde(default)]
    pub attempts: u32,
    /// The entry of a download that was permitted and waits for the witness to have seen it.
    #[serde(default)]
    pub waits: Option<u64>,
    /// The log in which that entry stands: origin and key hash.
    #[serde(default)]
    pub waits_log: Option<String>,
}

/// A stretch that was asked for and is in no file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LeftOut {
    /// The camera.
    pub camera: CameraId,
    /// First instant.
    pub from: DateTime<Utc>,
    /// End.
    pub until: DateTime<Utc>,
    /// A reason code of the law, a gap's reason (`camera_offline`, `destroyed` …), or `no_key_frame`.
    pub reason: String,
    /// The reason for people, Dutch.
    pub nl: String,
    /// The same, English.
    pub en: String,
}

/// A request and everything that became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FootageRequest {
    /// Its id.
    pub id: ExportId,
    /// Who asked.
    pub requested_by: PersonId,
    /// When.
    pub requested_at: DateTime<Utc>,
    /// What.
    #[serde(flatten)]
    pub asked: Asked,
    /// How far it has come.
    pub state: RequestState,
    /// Who approved or refused.
    #[serde(default)]
    pub decided_by: Option<PersonId>,
    /// When.
    #[serde(default)]
    pub decided_at: Option<DateTime<Utc>>,
    /// Why it was refused.
    #[serde(default)]
    pub refusal_reason: Option<String>,
    /// The newest entry of its approval. Until the witness has seen it, what it secures gives nobody anything beyond its term.
    #[serde(default)]
    pub entry: Option<u64>,
    /// The log in which that entry stands: origin and key hash.
    #[serde(default)]
    pub entry_log: Option<String>,
    /// End of the time in which it may be fetched.
    #[serde(default)]
    pub download_until: Option<DateTime<Utc>>,
    /// What its approval secures.
    #[serde(default)]
    pub held: Vec<HeldStretch>,
    /// Whether the files are known: after an approval, as soon as the footage is secured and hashed.
    #[serde(default)]
    pub ready: bool,
    /// The files.
    #[serde(default)]
    pub files: Vec<ExportFile>,
    /// What was asked for and is in no file, and why.
    #[serde(default)]
    pub left_out: Vec<LeftOut>,
}

/// [`NewFootageRequest`] as it is kept: the recipient is named.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Asked {
    /// The cameras.
    pub cameras: Vec<CameraId>,
    /// First instant.
    pub from: DateTime<Utc>,
    /// End.
    pub until: DateTime<Utc>,
    /// What for.
    pub purpose: Purpose,
    /// The concrete offence.
    pub offence_ref: Option<String>,
    /// The police case number.
    pub case_number: Option<String>,
    /// In words.
    pub description: Option<String>,
    /// Who will fetch it.
    pub recipient: PersonId,
    /// To whom it goes.
    pub recipient_kind: RecipientKind,
}

/// Why a step cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The request contradicts itself.
    #[error("{0}")]
    Invalid(&'static str),
    /// It is in another state.
    #[error("the request is {0:?}")]
    State(RequestState),
    /// The file was fetched.
    #[error("the file was fetched")]
    Fetched,
    /// Sending it began too often.
    #[error("sending the file was tried {ATTEMPTS} times")]
    TriedTooOften,
    /// There is no such file.
    #[error("there is no such file")]
    NoSuchFile,
}

impl NewFootageRequest {
    /// Whether it says what can be asked.
    ///
    /// # Errors
    /// [`RequestError::Invalid`] with what is wrong.
    pub fn check(&self, now: DateTime<Utc>) -> Result<(), RequestError> {
        let wrong = |what| Err(RequestError::Invalid(what));
        if self.cameras.is_empty() || self.cameras.len() > MOST_CAMERAS {
            return wrong("name one to 32 cameras");
        }
        let mut cameras: Vec<_> = self.cameras.iter().collect();
        cameras.sort();
        if cameras.windows(2).any(|pair| pair[0] == pair[1]) {
            return wrong("a camera is named twice");
        }
        if self.from >= self.until || self.until - self.from > LONGEST {
            return wrong("the stretch is empty or longer than a day");
        }
        if self.until > now {
            return wrong("the stretch lies in the future");
        }
        let texts = [&self.offence_ref, &self.case_number, &self.description];
        if texts.into_iter().flatten().any(|text| text.chars().count() > LONGEST_TEXT) {
            return wrong("a text is longer than 2000 characters");
        }
        Ok(())
    }

    /// What the requester says, as the law reads it.
    pub fn statement(&self) -> Statement {
        Statement {
            purpose: Some(self.purpose.clone()),
            offence_ref: self.offence_ref.clone(),
            case_number: self.case_number.clone(),
            recipient_kind: self.recipient_kind.clone(),
            ..Statement::default()
        }
    }
}

impl FootageRequest {
    /// A request as it was asked. The caller has passed the gate.
    pub fn new(id: ExportId, by: PersonId, at: DateTime<Utc>, new: NewFootageRequest) -> Self {
        let asked = Asked {
            cameras: new.cameras,
            from: new.from,
            until: new.until,
            purpose: new.purpose,
            offence_ref: new.offence_ref,
            case_number: new.case_number,
            description: new.description,
            recipient: new.recipient.unwrap_or_else(|| by.clone()),
            recipient_kind: new.recipient_kind,
        };
        Self {
            id,
            requested_by: by,
            requested_at: at,
            asked,
            state: RequestState::Requested,
            decided_by: None,
            decided_at: None,
            refusal_reason: None,
            entry: None,
            entry_log: None,
            download_until: None,
            held: Vec::new(),
            ready: false,
            files: Vec::new(),
            left_out: Vec::new(),
        }
    }

    /// What was said about it, as the law reads it.
    pub fn statement(&self) -> Statement {
        Statement {
            purpose: Some(self.asked.purpose.clone()),
            offence_ref: self.asked.offence_ref.clone(),
            case_number: self.asked.case_number.clone(),
            recipient_kind: self.asked.recipient_kind.clone(),
            ..Statement::default()
        }
    }

    /// The request as the law sees it; whether a file still has its hash is computed by the caller.
    pub fn export(&self, sha256_ok: bool) -> Export {
        let state = match self.state {
            RequestState::Requested => ExportState::Requested,
            RequestState::Approved => ExportState::Approved,
            RequestState::Refused | RequestState::Closed => ExportState::Closed,
        };
        let approved = self.state == RequestState::Approved;
        Export {
            id: self.id.clone(),
            state,
            requested_by: Some(self.requested_by.clone()),
            approved_by: self.decided_by.clone().filter(|_| approved),
            approved_at: self.decided_at.filter(|_| approved),
            recipient: Some(self.asked.recipient.to_string()),
            recipient_kind: self.asked.recipient_kind.clone(),
            purpose: Some(self.asked.purpose.clone()),
            offence_ref: self.asked.offence_ref.clone(),
            case_number: self.asked.case_number.clone(),
            description: self.asked.description.clone(),
            sha256_ok,
            download_until: self.download_until,
        }
    }

    fn need(&self, state: RequestState) -> Result<(), RequestError> {
        if self.state == state { Ok(()) } else { Err(RequestError::State(self.state)) }
    }

    /// Approves: this footage is to be secured, and may be fetched until an instant.
    ///
    /// # Errors
    /// [`RequestError::State`] unless it waits.
    pub fn approve(
        &mut self,
        by: PersonId,
        at: DateTime<Utc>,
        until: DateTime<Utc>,
        held: Vec<HeldStretch>,
    ) -> Result<(), RequestError> {
        self.need(RequestState::Requested)?;
        self.state = RequestState::Approved;
        (self.decided_by, self.decided_at) = (Some(by), Some(at));
        (self.download_until, self.held) = (Some(until), held);
        Ok(())
    }

    /// Refuses, with a reason that is kept.
    ///
    /// # Errors
    /// [`RequestError::State`] unless it waits; [`RequestError::Invalid`] without a reason.
    pub fn refuse(&mut self, by: PersonId, at: DateTime<Utc>, reason: &str) -> Result<(), RequestError> {
        self.need(RequestState::Requested)?;
        let reason = reason.trim();
        if reason.is_empty() || reason.chars().count() > LONGEST_TEXT {
            return Err(RequestError::Invalid("a refusal needs a reason, of 2000 characters at most"));
        }
        self.state = RequestState::Refused;
        (self.decided_by, self.decided_at) = (Some(by), Some(at));
        self.refusal_reason = Some(reason.to_owned());
        Ok(())
    }

    /// Ends an approval: nothing more is fetched.
    ///
    /// # Errors
    /// [`RequestError::State`] unless it is approved.
    pub fn close(&mut self) -> Result<(), RequestError> {
        self.need(RequestState::Approved)?;
        self.state = RequestState::Closed;
        Ok(())
    }

    /// One of its files.
    ///
    /// # Errors
    /// [`RequestError::NoSuchFile`].
    pub fn file(&self, number: u32) -> Result<&ExportFile, RequestError> {
        self.files.iter().find(|file| file.number == number).ok_or(RequestError::NoSuchFile)
    }

    /// Keeps that sending a file is permitted by an entry that the witness has yet to see.
    ///
    /// # Errors
    /// [`RequestError::NoSuchFile`].
    pub fn wait(&mut self, number: u32, entry: u64, log: Option<String>) -> Result<(), RequestError> {
        let file = self.files.iter_mut().find(|file| file.number == number);
        let file = file.ok_or(RequestError::NoSuchFile)?;
        (file.waits, file.waits_log) = (Some(entry), log);
        Ok(())
    }

    /// Counts that sending a file begins.
    ///
    /// # Errors
    /// [`RequestError::Fetched`] when it once came to its end, [`RequestError::TriedTooOften`],
    /// [`RequestError::NoSuchFile`].
    pub fn begin(&mut self, number: u32) -> Result<(), RequestError> {
        let file = self.files.iter_mut().find(|file| file.number == number);
        let file = file.ok_or(RequestError::NoSuchFile)?;
        if file.downloads > 0 {
            return Err(RequestError::Fetched);
        }
        if file.attempts >= ATTEMPTS {
            return Err(RequestError::TriedTooOften);
        }
        file.attempts += 1;
        // The next attempt has an entry of its own.
        (file.waits, file.waits_log) = (None, None);
        Ok(())
    }

    /// Counts that a file was sent to its end.
    pub fn fetched(&mut self, number: u32) {
        if let Some(file) = self.files.iter_mut().find(|file| file.number == number) {
            file.downloads += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_790_000_000 + minute * 60, 0).unwrap()
    }

    fn new() -> NewFootageRequest {
        NewFootageRequest {
            cameras: vec![CameraId::new("C1")],
            from: at(0),
            until: at(10),
            purpose: Purpose::Investigation,
            offence_ref: Some("Sr 300".to_owned()),
            case_number: Some("PL0500-1".to_owned()),
            description: None,
            recipient: None,
            recipient_kind: RecipientKind::Police,
        }
    }

    fn request() -> FootageRequest {
        let mut request =
            FootageRequest::new(ExportId::new("1"), PersonId::new("rechercheur"), at(11), new());
        request.files.push(ExportFile {
            number: 0,
            name: "f.mp4".to_owned(),
            camera: CameraId::new("C1"),
            hold: "h".to_owned(),
            place: 0,
            from: at(0),
            until: at(10),
            pictures: 1,
            bytes: 1,
            media_bytes: 1,
            sha256: String::new(),
            downloads: 0,
            attempts: 0,
            waits: None,
            waits_log: None,
        });
        request
    }

    #[test]
    fn what_cannot_be_asked_is_refused_with_a_reason() {
        assert_eq!(new().check(at(11)), Ok(()));
        let wrong = [
            NewFootageRequest { cameras: vec![], ..new() },
            NewFootageRequest { cameras: vec![CameraId::new("C1"), CameraId::new("C1")], ..new() },
            NewFootageRequest { until: at(0), ..new() },
            NewFootageRequest { from: at(-2000), ..new() },
            NewFootageRequest { until: at(12), ..new() },
            NewFootageRequest { description: Some("x".repeat(2001)), ..new() },
        ];
        for new in wrong {
            assert!(new.check(at(11)).is_err(), "{new:?}");
        }
    }

    #[test]
    fn each_step_follows_its_own_only() {
        let by = || PersonId::new("goedkeurder");
        let mut one = request();
        assert_eq!(one.export(true).recipient.as_deref(), Some("rechercheur"));
        assert_eq!(one.close(), Err(RequestError::State(RequestState::Requested)));
        one.approve(by(), at(12), at(99), Vec::new()).unwrap();
        assert_eq!(one.refuse(by(), at(13), "no"), Err(RequestError::State(RequestState::Approved)));
        assert_eq!(one.export(true).approved_by, Some(by()));
        one.close().unwrap();
        assert_eq!(one.export(true).state, ExportState::Closed);

        let mut other = request();
        assert!(matches!(other.refuse(by(), at(12), "  "), Err(RequestError::Invalid(_))));
        other.refuse(by(), at(12), "not necessary").unwrap();
        assert_eq!(other.refusal_reason.as_deref(), Some("not necessary"));
        assert!(other.approve(by(), at(13), at(99), Vec::new()).is_err());
    }

    #[test]
    fn a_file_is_fetched_once() {
        let mut request = request();
        request.begin(0).unwrap();
        request.begin(0).unwrap();
        request.fetched(0);
        assert_eq!(request.begin(0), Err(RequestError::Fetched));
        assert_eq!(request.begin(1), Err(RequestError::NoSuchFile));
        let mut broken = self::request();
        for _ in 0..ATTEMPTS {
            broken.begin(0).unwrap();
        }
        assert_eq!(broken.begin(0), Err(RequestError::TriedTooOften));
    }

    #[test]
    fn it_is_kept_as_it_was() {
        let mut request = request();
        request.approve(PersonId::new("goedkeurder"), at(12), at(99), Vec::new()).unwrap();
        let text = serde_json::to_string(&request).unwrap();
        assert_eq!(serde_json::from_str::<FootageRequest>(&text).unwrap(), request);
    }
}
