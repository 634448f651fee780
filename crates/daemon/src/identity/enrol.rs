//! How a person comes to an account: somebody who may invites them with a token that is good for an hour and once, and
//! they choose their own password with it. Of the token only the hash is kept. At the very first start a token of the
//! same kind, shown on the host, lets two people in (`decisions.md` 9).

use super::{ARGON, Identity, IdentityError, LONGEST_PASSWORD, hash, hex, random, token_hash};
use chrono::{DateTime, TimeDelta, Utc};
use mandate::PersonId;
use rusqlite::{Connection, OptionalExtension as _, params};
use std::{net::IpAddr, sync::PoisonError};
use zeroize::Zeroizing;

/// How long a token is good for.
const GOOD_FOR: TimeDelta = TimeDelta::hours(1);
/// Shortest password, characters (NCSC-NL: length before variety).
pub const SHORTEST_PASSWORD: usize = 12;
/// Under this name attempts with tokens are counted.
const ATTEMPTS_AS: &str = "\u{0}enrolment";

fn table(store: &Connection) -> Result<(), rusqlite::Error> {
    store.execute_batch(
        "CREATE TABLE IF NOT EXISTS invitations (
           token_hash BLOB PRIMARY KEY, person TEXT, expires_at INTEGER NOT NULL) STRICT;
         CREATE TABLE IF NOT EXISTS unconfirmed_invitations (
           person TEXT PRIMARY KEY, invited_by TEXT NOT NULL) STRICT;",
    )
}

impl Identity {
    /// A token for a person, or (none) for the first start. It replaces earlier ones for the same.
    pub fn invite(
        &self,
        person: Option<&PersonId>,
    ) -> Result<(Zeroizing<String>, DateTime<Utc>), IdentityError> {
        self.offer(person, None)
    }

    /// A token for somebody who has an account: it is good once a second person has confirmed it ([`Identity::confirm`]), so that
    /// nobody takes over an account alone.
    pub fn invite_again(
        &self,
        person: &PersonId,
        invited_by: &PersonId,
    ) -> Result<(Zeroizing<String>, DateTime<Utc>), IdentityError> {
        self.offer(Some(person), Some(invited_by))
    }

    fn offer(
        &self,
        person: Option<&PersonId>,
        waits_since: Option<&PersonId>,
    ) -> Result<(Zeroizing<String>, DateTime<Utc>), IdentityError> {
        let secret: [u8; 20] = random()?;
        let token = Zeroizing::new(hex(&secret));
        let expires_at = self.0.clock.now() + GOOD_FOR;
        let person = person.map(PersonId::as_str);
        let store = self.0.store.lock().unwrap_or_else(PoisonError::into_inner);
        table(&store)?;
        store.execute("DELETE FROM invitations WHERE person IS ?", [person])?;
        store.execute("DELETE FROM unconfirmed_invitations WHERE person IS ?", [person])?;
        // The mark first: a crash in between leaves no token that is good too early.
        if let (Some(person), Some(invited_by)) = (person, waits_since) {
            let sql = "INSERT INTO unconfirmed_invitations VALUES (?, ?)";
            store.execute(sql, [person, invited_by.as_str()])?;
        }
        store.execute(
            "INSERT INTO invitations VALUES (?, ?, ?)",
            params![token_hash(&token), person, expires_at.timestamp_micros()],
        )?;
        Ok((token, expires_at))
    }

    /// Whether a person has chosen a password before.
    pub fn has_account(&self, person: &PersonId) -> Result<bool, IdentityError> {
        let store = self.0.store.lock().unwrap_or_else(PoisonError::into_inner);
        let sql = "SELECT EXISTS (SELECT 1 FROM accounts WHERE person = ?)";
        Ok(store.query_row(sql, [person.as_str()], |row| row.get(0))?)
    }

    /// Who invited a person whose invitation waits for a second person; none where none waits.
    pub fn unconfirmed(&self, person: &PersonId) -> Result<Option<PersonId>, IdentityError> {
        let now = self.0.clock.now().timestamp_micros();
        let store = self.0.store.lock().unwrap_or_else(PoisonError::into_inner);
        table(&store)?;
        let sql =
            "SELECT u.invited_by FROM unconfirmed_invitations u JOIN invitations i ON i.person = u.person
                   WHERE u.person = ? AND i.expires_at > ?";
        let by: Option<String> =
            store.query_row(sql, params![person.as_str(), now], |row| row.get(0)).optional()?;
        Ok(by.map(PersonId::from))
    }

    /// The second person's word: the invitation that waits is good from now on. False when none by `invited_by` waits any more.
    pub fn confirm(&self, person: &PersonId, invited_by: &PersonId) -> Result<bool, IdentityError> {
        let store = self.0.store.lock().unwrap_or_else(PoisonError::into_inner);
        table(&store)?;
        let sql = "DELETE FROM unconfirmed_invitations WHERE person = ? AND invited_by = ?";
        Ok(store.execute(sql, [person.as_str(), invited_by.as_str()])? > 0)
    }

    /// Whether a token for the first start is still good.
    pub fn awaits_first_start(&self) -> Result<bool, IdentityError> {
        let now = self.0.clock.now().timestamp_micros();
        let store = self.0.store.lock().unwrap_or_else(PoisonError::into_inner);
        table(&store)?;
        let sql = "SELECT EXISTS (SELECT 1 FROM invitations WHERE person IS NULL AND expires_at > ?)";
        Ok(store.query_row(sql, [now], |row| row.get(0))?)
    }

    /// Whom a token is for: a person, or (none) the first start.
    ///
    /// # Errors
    /// [`IdentityError::Refused`] for a token that is unknown, used or too old; [`IdentityError::Unconfirmed`];
    /// [`IdentityError::TooMany`].
    pub fn invited(&self, token: &str, address: IpAddr) -> Result<Option<PersonId>, IdentityError> {
        let counted = PersonId::new(ATTEMPTS_AS);
        self.count_attempt(&counted, address)?;
        let now = self.0.clock.now().timestamp_micros();
        let store = self.0.store.lock().unwrap_or_else(PoisonError::into_inner);
        table(&store)?;
        let found: Option<Option<String>> = store
            .query_row(
                "SELECT person FROM invitations WHERE token_hash = ? AND expires_at > ?",
                params![token_hash(token), now],
                |row| row.get(0),
            )
            .optional()?;
        drop(store);
        let person = found.ok_or(IdentityError::Refused)?.map(PersonId::from);
        self.forgive(&counted, address);
        match &person {
            Some(waits) if self.unconfirmed(waits)?.is_some() => Err(IdentityError::Unconfirmed),
            _ => Ok(person),
        }
    }

    /// Uses a token up. False when somebody else did so first.
    pub fn use_up(&self, token: &str) -> Result<bool, IdentityError> {
        let store = self.0.store.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(store.execute("DELETE FROM invitations WHERE token_hash = ?", params![token_hash(token)])? > 0)
    }

    /// Makes an account with this password, or gives an account this password; sessions under an older one end.
    pub async fn set_password(&self, person: &PersonId, password: &str) -> Result<(), IdentityError> {
        if password.chars().count() < SHORTEST_PASSWORD || password.len() > LONGEST_PASSWORD {
            return Err(IdentityError::Password);
        }
        let permit = self.0.hashing.acquire().await.map_err(|e| IdentityError::Machine(e.to_string()))?;
        let salt: [u8; 16] = random()?;
        let given = Zeroizing::new(password.as_bytes().to_vec());
        let hashed = tokio::task::spawn_blocking(move || hash(&given, &salt, ARGON))
            .await
            .map_err(|e| IdentityError::Machine(e.to_string()))??;
        drop(permit);
        self.0.store.lock().unwrap_or_else(PoisonError::into_inner).execute(
            "INSERT INTO accounts (person, memory_kib, passes, salt, hash) VALUES (?, ?, ?, ?, ?)
             ON CONFLICT (person) DO UPDATE SET memory_kib = excluded.memory_kib, passes = excluded.passes,
               salt = excluded.salt, hash = excluded.hash",
            params![person.as_str(), ARGON.0, ARGON.1, salt, hashed],
        )?;
        let over: Vec<_> = {
            let mut live = self.0.live.lock().unwrap_or_else(PoisonError::into_inner);
            live.extract_if(|_, l| l.session.person == *person).collect()
        };
        for (key, live) in over {
            self.forget(&key, &live.session)?;
        }
        let store = self.0.store.lock().unwrap_or_else(PoisonError::into_inner);
        store.execute("DELETE FROM sessions WHERE person = ?", [person.as_str()])?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use std::sync::Arc;

    #[tokio::test]
    async fn a_token_is_good_once_and_for_an_hour() {
        let folder = tempfile::tempdir().unwrap();
        let clock = ManualClock::new("2026-06-13T20:00:00Z".parse().unwrap());
        let hours = TimeDelta::hours(10);
        let identity =
            Identity::open(&folder.path().join("a.sqlite"), Arc::new(clock.clone()), hours, hours).unwrap();
        let here = std::net::Ipv4Addr::LOCALHOST.into();
        let anna: PersonId = "anna".into();
        let (old, _) = identity.invite(Some(&anna)).unwrap();
        let (token, _) = identity.invite(Some(&anna)).unwrap();
        assert!(matches!(identity.invited(&old, here), Err(IdentityError::Refused)), "replaced");
        assert_eq!(identity.invited(&token, here).unwrap(), Some(anna.clone()));
        assert!(matches!(identity.set_password(&anna, "short").await, Err(IdentityError::Password)));
        assert!(identity.use_up(&token).unwrap() && !identity.use_up(&token).unwrap());
        identity.set_password(&anna, "correct horse battery").await.unwrap();
        assert_eq!(identity.check("anna", "correct horse battery", here).await.unwrap(), anna);
        // A new password ends what runs under the old one.
        let (bearer, session) = identity.start(anna.clone(), mandate::Role::Observer, "desk", here).unwrap();
        identity.set_password(&anna, "another long password").await.unwrap();
        assert!(session.ended.is_cancelled() && identity.session(&bearer).is_err());
        // For an account that exists the next token waits for a second person, and the one after that again.
        let carla: PersonId = "carla".into();
        assert!(identity.has_account(&anna).unwrap() && !identity.has_account(&carla).unwrap());
        for _ in 0..2 {
            let (again, _) = identity.invite_again(&anna, &carla).unwrap();
            assert!(matches!(identity.invited(&again, here), Err(IdentityError::Unconfirmed)));
            assert_eq!(identity.unconfirmed(&anna).unwrap(), Some(carla.clone()));
            assert!(!identity.confirm(&anna, &"dora".into()).unwrap(), "that was another invitation");
            assert!(identity.confirm(&anna, &carla).unwrap() && !identity.confirm(&anna, &carla).unwrap());
            assert_eq!(identity.invited(&again, here).unwrap(), Some(anna.clone()));
        }
        assert!(!identity.awaits_first_start().unwrap());
        let (first, _) = identity.invite(None).unwrap();
        assert!(identity.awaits_first_start().unwrap());
        clock.advance(TimeDelta::minutes(61));
        assert!(matches!(identity.invited(&first, here), Err(IdentityError::Refused)), "too old");
        assert!(!identity.awaits_first_start().unwrap());
    }
}
