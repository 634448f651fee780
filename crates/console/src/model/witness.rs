//! What this workstation holds of the police's witness, by its own keys and its own clock (`decisions.md` 15): after five minutes
//! without a cosignature that held it raises the alarm, after an hour only the police look. The daemon enforces the same, but a host
//! that withholds the checkpoints is the very one whose daemon need not.
//!
//! Where no keys were brought, nothing of this is known here, and nothing is claimed.

use super::Model;
use mandate::{facts::OrganisationKind, roles::fits};
use protocol::api::Sentence;
use std::time::{Duration, Instant};

/// The witness's own alarm has gone off by then.
const LATE: Duration = Duration::from_mins(5);
/// From then on only the police look.
const POLICE_ONLY: Duration = Duration::from_hours(1);
/// A session that just began has yet to be told: the newest cosignature comes with the socket.
const PATIENCE: Duration = Duration::from_mins(1);

/// Since when this console could have heard of the witness.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listening {
    /// Since its first session.
    first: Instant,
    /// Since this one.
    now: Instant,
}

impl Listening {
    /// A session begins.
    pub fn again(before: Option<Self>, now: Instant) -> Self {
        // Ending sessions buys a host no time: what was never heard counts from the first.
        Self { first: before.map_or(now, |before| before.first), now }
    }
}

/// How the log stands with the police, as this workstation found it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confirmation {
    /// No keys were brought here, or nobody is logged in.
    NotChecked,
    /// A cosignature of the last minutes held, or it is too early to say.
    Fresh,
    /// None for so many minutes.
    Late(u64),
    /// None for an hour, and whoever sits here is not of the police.
    PoliceOnly,
}

impl Model {
    /// How the log stands with the police now.
    pub fn confirmation(&self) -> Confirmation {
        self.confirmation_at(Instant::now())
    }

    pub(super) fn confirmation_at(&self, now: Instant) -> Confirmation {
        let (Some(me), Some(listening), true) = (self.me(), self.listening, self.witnessed.checked) else {
            return Confirmation::NotChecked;
        };
        let age = match self.witnessed.heard {
            Some(heard) => heard.age(now),
            None => now.saturating_duration_since(listening.first),
        };
        if age < LATE || now.saturating_duration_since(listening.now) < PATIENCE {
            return Confirmation::Fresh;
        }
        if age >= POLICE_ONLY && !fits(me.role, OrganisationKind::Police) {
            return Confirmation::PoliceOnly;
        }
        Confirmation::Late(age.as_secs() / 60)
    }

    /// What the alarm under the top bar says of it, if anything, and whether pictures were taken away.
    pub fn confirmation_words(&self) -> Option<(String, bool)> {
        match self.confirmation() {
            Confirmation::NotChecked | Confirmation::Fresh => None,
            Confirmation::Late(minutes) => {
                Some((self.texts.with("log-unconfirmed-alarm", &[("minutes", minutes.into())]), false))
            }
            Confirmation::PoliceOnly => Some((self.texts.sentence(&police_only()).to_owned(), true)),
        }
    }

    /// Takes every picture away from whoever is not of the police, once an hour has passed.
    pub(super) fn obey_witness(&mut self) -> bool {
        let over = self.confirmation() == Confirmation::PoliceOnly;
        if over {
            for tile in &mut self.tiles {
                (tile.look_back, tile.still) = (None, None);
            }
            self.leave_replay();
        }
        over
    }
}

/// What a tile says then. The daemon says the same when it refuses.
pub(super) fn police_only() -> Sentence {
    Sentence {
        nl: "De politie heeft het logboek al een uur niet bevestigd. Alleen de politie mag nu kijken. Waarschuw de politie."
            .to_owned(),
        en: "The police have not confirmed the log for an hour. Only the police may look now. Call the police.".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        gallery::made_up_model,
        i18n::Language,
        model::Status,
        net::News,
        receipts::{Heard, Witnessed},
    };

    fn minutes(n: u64) -> Duration {
        Duration::from_mins(n)
    }

    /// A model whose keys are pinned and which heard of the witness so long ago; never where that is none.
    fn heard(age: Option<Duration>) -> Model {
        let mut model = made_up_model(Language::Nl);
        let heard = age.map(|age| Heard { by: Instant::now(), late: age });
        model.learn(News::Witnessed(Witnessed { checked: true, heard, ..Witnessed::default() }));
        model
    }

    #[test]
    fn silence_of_the_witness_is_told_after_five_minutes_and_from_the_start_where_it_was_never_heard() {
        let later = |model: &Model, n: u64| model.confirmation_at(Instant::now() + minutes(n));
        let never = heard(None);
        assert_eq!(later(&never, 4), Confirmation::Fresh);
        assert_eq!(later(&never, 6), Confirmation::Late(6));
        assert_eq!(later(&never, 61), Confirmation::PoliceOnly);
        let once = heard(Some(minutes(3)));
        assert_eq!(later(&once, 1), Confirmation::Fresh);
        assert_eq!(later(&once, 3), Confirmation::Late(6));
        // A cosignature that was old when it came is old: withheld checkpoints dripped out late buy nothing.
        assert_eq!(later(&heard(Some(minutes(59))), 2), Confirmation::PoliceOnly);
        // A new session does not begin to count anew, and is first given time to be told.
        let mut again = heard(None);
        let first = again.listening.unwrap();
        again.listening = Some(Listening::again(Some(first), first.first + minutes(70)));
        assert_eq!(later(&again, 70), Confirmation::Fresh);
        assert_eq!(later(&again, 72), Confirmation::PoliceOnly);
        let mut unpinned = heard(None);
        unpinned.witnessed.checked = false;
        assert_eq!(later(&unpinned, 500), Confirmation::NotChecked);
    }

    #[test]
    fn after_an_hour_whoever_is_not_of_the_police_sees_nothing() {
        let mut model = heard(Some(minutes(61)));
        let first = model.listening.unwrap();
        // The session is older than the patience it is given.
        let long_ago = Listening { now: first.now.checked_sub(minutes(2)).unwrap(), ..first };
        model.listening = Some(long_ago);
        assert_eq!(model.confirmation(), Confirmation::PoliceOnly);
        assert!(model.wants(false).is_empty());
        assert!(matches!(model.status(0, None), Status::LogUnconfirmed(_)), "{:?}", model.status(0, None));
        let words = model.confirmation_words();
        assert!(words.is_some_and(|(words, taken)| taken && words.contains("Alleen de politie")));
        // A cosignature that holds brings the pictures back.
        let fresh = Some(Heard { by: Instant::now(), late: Duration::ZERO });
        model.learn(News::Witnessed(Witnessed { checked: true, heard: fresh, ..Witnessed::default() }));
        assert!(!model.wants(false).is_empty());
        // The police look on, under the alarm.
        let mut police = heard(Some(minutes(61)));
        police.listening = Some(long_ago);
        let me = police.me().cloned().unwrap();
        police.learn(News::Me(protocol::api::Me { role: mandate::Role::PoliceOperator, ..me }));
        assert_eq!(police.confirmation(), Confirmation::Late(61));
        assert!(!police.wants(false).is_empty());
    }
}
