//! The register's calls.

use super::{Client, ClientError, Session, segment};
use crate::api::{
    CaptureBasis, DestroyQuarantined, Emergency, Endings, Enrolled, Enrolment, Explanation, FactRecord,
    FirstStart, Invitation, LONGEST_OF_PERSON_DAYS, Me, NewEmergency, NewFirstStart, NewInvitation,
    NewPreview, NewProposal, Outlook, PeriodView, Preview, Proposal, Quarantine, Verification,
};
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use mandate::{CameraId, Fact, MunicipalityId, PersonId, endings::Unconfirmed};

/// Which facts are wanted; an absent field does not restrict.
#[derive(Clone, Debug, Default)]
pub struct FactFilter {
    /// The newest versions as known at this instant, instead of every version.
    pub known_at: Option<DateTime<Utc>>,
    /// Only what says of itself that it holds at this instant.
    pub holding_at: Option<DateTime<Utc>>,
    /// `decree`, `period`, `authorisation` …
    pub kind: Option<String>,
    /// One id.
    pub id: Option<String>,
    /// One municipality.
    pub municipality: Option<String>,
}

/// Whose outlook is wanted.
#[derive(Clone, Debug)]
pub enum OutlookOf {
    /// A camera's.
    Camera(CameraId),
    /// A person's.
    Person(PersonId),
    /// All cameras of a municipality.
    Municipality(MunicipalityId),
}

/// `?a=b&c=d` of the pairs that have a value.
pub(super) fn query(pairs: &[(&str, Option<String>)]) -> String {
    let set = pairs.iter().filter_map(|(key, value)| Some(format!("{key}={}", segment(value.as_ref()?))));
    let joined: Vec<String> = set.collect();
    if joined.is_empty() { String::new() } else { format!("?{}", joined.join("&")) }
}

/// An instant as the API reads it.
pub(super) fn stamp(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

impl Client {
    /// Chooses a password with an invitation; needs no session.
    pub async fn enrol(&self, enrolment: &Enrolment) -> Result<Enrolled, ClientError> {
        self.call(reqwest::Method::POST, "enrolment", None, Some(enrolment)).await
    }

    /// The first two people of an empty register, with the token that was shown on the host.
    pub async fn first_start(&self, new: &NewFirstStart) -> Result<FirstStart, ClientError> {
        self.call(reqwest::Method::POST, "first-start", None, Some(new)).await
    }
}

impl Session {
    /// Invites a person to choose a password.
    pub async fn invite(&self, person: &PersonId) -> Result<Invitation, ClientError> {
        self.post("accounts", &NewInvitation { person: person.clone() }).await
    }

    /// Confirms, as an authoriser of the police, that somebody with an account may choose a new password.
    pub async fn confirm_invitation(&self, person: &PersonId) -> Result<Enrolled, ClientError> {
        self.post("accounts/confirmations", &NewInvitation { person: person.clone() }).await
    }

    /// The session of a token that an earlier log-in gave.
    ///
    /// # Errors
    /// [`ClientError::Problem`] with code `not-logged-in` when it is over.
    pub async fn resume(client: &Client, token: &str) -> Result<Self, ClientError> {
        let me: Me = client.call(reqwest::Method::GET, "me", Some(token), None::<&()>).await?;
        Ok(Self { client: client.clone(), token: token.into(), me })
    }

    /// Use and live periods of the scope's decrees.
    pub async fn periods(&self) -> Result<Vec<PeriodView>, ClientError> {
        self.get("periods").await
    }

    /// All facts of the register in every version.
    pub async fn facts(&self) -> Result<Vec<Fact>, ClientError> {
        self.get("register/facts").await
    }

    /// The facts that a filter names.
    pub async fn facts_where(&self, filter: &FactFilter) -> Result<Vec<Fact>, ClientError> {
        let query = query(&[
            ("known_at", filter.known_at.map(stamp)),
            ("holding_at", filter.holding_at.map(stamp)),
            ("kind", filter.kind.clone()),
            ("id", filter.id.clone()),
            ("municipality", filter.municipality.clone()),
        ]);
        self.get(&format!("register/facts{query}")).await
    }

    /// Every version of one fact and how it came to be, oldest first.
    pub async fn history(&self, kind: &str, id: &str) -> Result<Vec<FactRecord>, ClientError> {
        self.get(&format!("register/history/{}/{}", segment(kind), segment(id))).await
    }

    /// Facts that wait for a second person, and those that were verified or withdrawn.
    pub async fn proposals(&self) -> Result<Vec<Proposal>, ClientError> {
        self.get("register/proposals").await
    }

    /// Facts that wait for a second person, in the order in which they were entered.
    pub async fn open_proposals(&self) -> Result<Vec<Proposal>, ClientError> {
        self.get("register/proposals?state=open").await
    }

    /// Enters a fact; it takes effect when a second person verifies it, or at once where none is needed.
    pub async fn propose(&self, proposal: &NewProposal) -> Result<Proposal, ClientError> {
        self.post("register/proposals", proposal).await
    }

    /// Takes back a proposal that waits.
    pub async fn withdraw(&self, proposal: u64) -> Result<Proposal, ClientError> {
        let path = format!("register/proposals/{proposal}");
        self.client.call(reqwest::Method::DELETE, &path, Some(&self.token), None::<&()>).await
    }

    /// Verifies somebody else's proposal, which then takes effect.
    pub async fn verify(&self, proposal: u64) -> Result<Proposal, ClientError> {
        self.post(&format!("register/proposals/{proposal}/verification"), &serde_json::json!({})).await
    }

    /// Verifies several proposals, which take effect together.
    pub async fn verify_together(&self, proposals: Vec<u64>) -> Result<Vec<Proposal>, ClientError> {
        self.post("register/verifications", &Verification { proposals }).await
    }

    /// What facts would change, open and close. Nothing is entered.
    pub async fn preview(&self, preview: &NewPreview) -> Result<Preview, ClientError> {
        self.post("register/preview", preview).await
    }

    /// When something is open between two instants. A person's year is asked for month by month and joined: each is answered
    /// from the register as it is then.
    pub async fn outlook(
        &self,
        of: &OutlookOf,
        from: Option<DateTime<Utc>>,
        until: Option<DateTime<Utc>>,
    ) -> Result<Outlook, ClientError> {
        let month = TimeDelta::days(LONGEST_OF_PERSON_DAYS);
        let (OutlookOf::Person(_), Some(until)) = (of, until) else {
            return self.outlook_piece(of, from, until).await;
        };
        let mut from = from.unwrap_or_else(Utc::now);
        // What is longer than a year is refused by the daemon, in its own words.
        if until - from <= month || until - from > TimeDelta::days(366) {
            return self.outlook_piece(of, Some(from), Some(until)).await;
        }
        let mut joined: Option<Outlook> = None;
        while from < until {
            let end = (from + month).min(until);
            let piece = self.outlook_piece(of, Some(from), Some(end)).await?;
            match &mut joined {
                None => joined = Some(piece),
                Some(joined) => {
                    joined.until = piece.until;
                    if let (Some(before), Some(after)) = (&mut joined.person, piece.person) {
                        before.append(after);
                    }
                }
            }
            from = end;
        }
        match joined {
            Some(joined) => Ok(joined),
            None => self.outlook_piece(of, Some(from), Some(until)).await,
        }
    }

    async fn outlook_piece(
        &self,
        of: &OutlookOf,
        from: Option<DateTime<Utc>>,
        until: Option<DateTime<Utc>>,
    ) -> Result<Outlook, ClientError> {
        let (key, id) = match of {
            OutlookOf::Camera(id) => ("camera", id.to_string()),
            OutlookOf::Person(id) => ("person", id.to_string()),
            OutlookOf::Municipality(id) => ("municipality", id.to_string()),
        };
        let query = query(&[(key, Some(id)), ("from", from.map(stamp)), ("until", until.map(stamp))]);
        self.get(&format!("register/outlook{query}")).await
    }

    /// What ends within so many days.
    pub async fn endings(&self, days: u32) -> Result<Endings, ClientError> {
        self.get(&format!("register/endings?days={days}")).await
    }

    /// Enters an emergency window, which takes effect at once.
    pub async fn declare_emergency(&self, emergency: &NewEmergency) -> Result<Emergency, ClientError> {
        self.post("register/emergencies", emergency).await
    }

    /// Emergency windows that wait for written confirmation.
    pub async fn emergencies(&self) -> Result<Vec<Unconfirmed>, ClientError> {
        self.get("register/emergencies").await
    }

    /// A past answer, computed again; `asked` are the keys of `GET /register/explanation`.
    pub async fn explain(&self, asked: &[(&str, Option<String>)]) -> Result<Explanation, ClientError> {
        self.get(&format!("register/explanation{}", query(asked))).await
    }

    /// The figures of a period in a format: `json`, `csv` or `html`, as the daemon writes it.
    pub async fn report(&self, asked: &[(&str, Option<String>)]) -> Result<String, ClientError> {
        let path = format!("reports{}", query(asked));
        let (status, bytes) =
            self.client.send(reqwest::Method::GET, &path, Some(&self.token), None::<&()>).await?;
        if !(200..300).contains(&status) {
            return Err(match serde_json::from_slice(&bytes) {
                Ok(problem) => ClientError::Problem(Box::new(problem)),
                Err(_) => ClientError::Answer(format!("status {status} without a problem document")),
            });
        }
        String::from_utf8(bytes.to_vec()).map_err(|e| ClientError::Answer(e.to_string()))
    }

    /// Footage that was closed off as unlawfully recorded, newest first.
    pub async fn quarantine(&self) -> Result<Vec<Quarantine>, ClientError> {
        self.get("quarantine").await
    }

    /// Decides that footage which was closed off is destroyed now (GW-21). When this returns its keys are gone.
    pub async fn destroy_quarantined(
        &self,
        id: u64,
        decision: &DestroyQuarantined,
    ) -> Result<Quarantine, ClientError> {
        self.post(&format!("quarantine/{id}/destruction"), decision).await
    }

    /// Under which bases a camera's footage was captured.
    pub async fn capture_basis(
        &self,
        camera: &CameraId,
        from: Option<DateTime<Utc>>,
        until: Option<DateTime<Utc>>,
    ) -> Result<Vec<CaptureBasis>, ClientError> {
        let query = query(&[("from", from.map(stamp)), ("until", until.map(stamp))]);
        self.get(&format!("cameras/{}/basis{query}", segment(camera.as_str()))).await
    }
}
