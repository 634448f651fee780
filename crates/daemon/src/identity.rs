//! Accounts and sessions. Passwords are kept as Argon2id, session tokens as SHA-256 only; an unknown name costs the
//! same time as a wrong password; attempts are counted per account and per address.
//!
//! An account proves who somebody is. What they may do is the register's business, never this module's.

mod enrol;

pub use enrol::SHORTEST_PASSWORD;

use crate::clock::SharedClock;
use argon2::{Algorithm, Argon2, Params, Version};
use chrono::{DateTime, TimeDelta, Utc};
use mandate::{PersonId, Role};
use rusqlite::{Connection, OptionalExtension as _, params};
use sha2::{Digest as _, Sha256};
use std::{
    collections::{HashMap, hash_map::Entry},
    net::IpAddr,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};
use subtle::ConstantTimeEq as _;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use zeroize::{Zeroize as _, Zeroizing};

/// Argon2id memory in KiB and passes: 64 MiB and 3 cost 144 ms on the reference machine. Debug builds and tests,
/// where the same takes seconds, use the least the library allows in practice.
const ARGON: (u32, u32) = if cfg!(debug_assertions) { (1024, 1) } else { (64 * 1024, 3) };
/// How many failed attempts per account and address, and per address, are allowed in [`ATTEMPT_WINDOW`].
const ATTEMPTS_PER_ACCOUNT: usize = 5;
const ATTEMPTS_PER_ADDRESS: usize = 30;
const ATTEMPT_WINDOW: TimeDelta = TimeDelta::seconds(60);
/// Bounds the table of attempts, so that made-up names cannot fill the memory.
const ATTEMPT_KEYS: usize = 10_000;
/// Log-ins hashed at the same time; the rest wait.
const HASHES_AT_ONCE: usize = 2;
/// Longest password that is looked at, bytes.
const LONGEST_PASSWORD: usize = 1024;

/// Why identity could not be established.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// Name or password is wrong; which of them is not said.
    #[error("name or password is wrong")]
    Refused,
    /// Too many failed attempts.
    #[error("too many attempts; wait until {until}")]
    TooMany {
        /// When the next attempt is looked at.
        until: DateTime<Utc>,
    },
    /// The password is too short or too long.
    #[error("choose a password of {SHORTEST_PASSWORD} characters or more")]
    Password,
    /// The invitation is for an account that exists, and the second person has not confirmed it.
    #[error("the invitation waits for its second person")]
    Unconfirmed,
    /// No such session, or it expired.
    #[error("no session")]
    NoSession,
    /// The store failed.
    #[error("accounts: {0}")]
    Store(#[from] rusqlite::Error),
    /// The machine failed (random numbers, hashing, threads).
    #[error("accounts: {0}")]
    Machine(String),
}

/// A session: one person in one role at one workstation.
#[derive(Clone, Debug)]
pub struct Session {
    /// Public name of the session for the log: never the token.
    pub id: Arc<str>,
    /// Who.
    pub person: PersonId,
    /// In which role.
    pub role: Role,
    /// Name of the workstation as the client gave it.
    pub workstation: Arc<str>,
    /// The address it logged in from.
    pub address: IpAddr,
    /// When it ends even when used.
    pub expires_at: DateTime<Utc>,
    /// Cancelled when the session ends, so that its looks end with it.
    pub ended: CancellationToken,
}

struct Live {
    session: Session,
    last_used: DateTime<Utc>,
    /// What the store says of `last_used`; written at most every half minute.
    stored_use: DateTime<Utc>,
}

/// The instants of failed attempts per account and address, and per address alone.
type Attempts = HashMap<(Option<PersonId>, IpAddr), Vec<DateTime<Utc>>>;

struct Inner {
    store: Mutex<Connection>,
    live: Mutex<HashMap<[u8; 32], Live>>,
    attempts: Mutex<Attempts>,
    hashing: Semaphore,
    clock: SharedClock,
    idle: TimeDelta,
    absolute: TimeDelta,
}

/// Accounts and sessions. Cheap to clone.
#[derive(Clone)]
pub struct Identity(Arc<Inner>);

impl Identity {
    /// Opens `accounts.sqlite` at `path`. A session ends after `idle` without use and at the latest after `absolute`.
    pub fn open(
        path: &Path,
        clock: SharedClock,
        idle: TimeDelta,
        absolute: TimeDelta,
    ) -> Result<Self, IdentityError> {
        let store = Connection::open(path)?;
        store.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON;
             CREATE TABLE IF NOT EXISTS accounts (
               person TEXT PRIMARY KEY, memory_kib INTEGER NOT NULL, passes INTEGER NOT NULL,
               salt BLOB NOT NULL, hash BLOB NOT NULL) STRICT;
             CREATE TABLE IF NOT EXISTS sessions (
               token_hash BLOB PRIMARY KEY, id TEXT NOT NULL, person TEXT NOT NULL, role TEXT NOT NULL,
               workstation TEXT NOT NULL, address TEXT NOT NULL,
               last_used INTEGER NOT NULL, expires_at INTEGER NOT NULL) STRICT;",
        )?;
        Ok(Self(Arc::new(Inner {
            store: Mutex::new(store),
            live: Mutex::default(),
            attempts: Mutex::default(),
            hashing: Semaphore::new(HASHES_AT_ONCE),
            clock,
            idle,
            absolute,
        })))
    }

    /// Whether any account exists.
    pub fn is_empty(&self) -> Result<bool, IdentityError> {
        let store = self.0.store.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(store.query_row("SELECT count(*) = 0 FROM accounts", [], |row| row.get(0))?)
    }

    /// Makes an account with a random password of 120 bits, which is returned and kept nowhere.
    pub fn create(&self, person: &PersonId) -> Result<Zeroizing<String>, IdentityError> {
        let password = Zeroizing::new(random_text()?);
        let salt: [u8; 16] = random()?;
        let hash = hash(password.as_bytes(), &salt, ARGON)?;
        let store = self.0.store.lock().unwrap_or_else(PoisonError::into_inner);
        store.execute(
            "INSERT INTO accounts (person, memory_kib, passes, salt, hash) VALUES (?, ?, ?, ?, ?)",
            params![person.as_str(), ARGON.0, ARGON.1, salt, hash],
        )?;
        Ok(password)
    }

    /// Checks a name and a password. The hash is computed off the async threads, also for a name that does not exist.
    pub async fn check(
        &self,
        name: &str,
        password: &str,
        address: IpAddr,
    ) -> Result<PersonId, IdentityError> {
        let person = PersonId::new(name.get(..name.len().min(128)).unwrap_or_default());
        // Counted before the work, so that parallel attempts cannot slip through; given back on success.
        self.count_attempt(&person, address)?;
        let permit = self.0.hashing.acquire().await.map_err(|e| IdentityError::Machine(e.to_string()))?;
        let inner = self.0.clone();
        let mut given = Zeroizing::new(password.as_bytes().to_vec());
        let wanted = person.clone();
        let right = tokio::task::spawn_blocking(move || -> Result<bool, IdentityError> {
            let known = {
                let store = inner.store.lock().unwrap_or_else(PoisonError::into_inner);
                store
                    .query_row(
                        "SELECT memory_kib, passes, salt, hash FROM accounts WHERE person = ?",
                        [wanted.as_str()],
                        |row| {
                            Ok((
                                (row.get::<_, u32>(0)?, row.get::<_, u32>(1)?),
                                row.get::<_, Vec<u8>>(2)?,
                                row.get::<_, Vec<u8>>(3)?,
                            ))
                        },
                    )
                    .optional()?
            };
            let exists = known.is_some();
            let too_long = given.len() > LONGEST_PASSWORD;
            given.truncate(LONGEST_PASSWORD);
            let (cost, salt, expected) = known.unwrap_or_else(|| (ARGON, vec![0; 16], vec![0; 32]));
            let actual = hash(&given, &salt, cost)?;
            let equal: bool = actual.ct_eq(expected.as_slice()).into();
            given.zeroize();
            Ok(equal && exists && !too_long)
        })
        .await
        .map_err(|e| IdentityError::Machine(e.to_string()))??;
        drop(permit);
        if !right {
            return Err(IdentityError::Refused);
        }
        self.forgive(&person, address);
        Ok(person)
    }

    /// Starts a session for a person who was checked. Gives the bearer token, of which only the hash is kept.
    pub fn start(
        &self,
        person: PersonId,
        role: Role,
        workstation: &str,
        address: IpAddr,
    ) -> Result<(Zeroizing<String>, Session), IdentityError> {
        let secret: [u8; 32] = random()?;
        let token = Zeroizing::new(hex(&secret));
        let now = self.0.clock.now();
        let session = Session {
            id: Arc::from(hex(&random::<8>()?)),
            person,
            role,
            workstation: Arc::from(workstation.chars().take(64).collect::<String>()),
            address,
            expires_at: now + self.0.absolute,
            ended: CancellationToken::new(),
        };
        let key = token_hash(&token);
        let role_text = role_name(role)?;
        self.0.store.lock().unwrap_or_else(PoisonError::into_inner).execute(
            "INSERT INTO sessions VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            params![
                key,
                &*session.id,
                session.person.as_str(),
                role_text,
                &*session.workstation,
                address.to_string(),
                now.timestamp_micros(),
                session.expires_at.timestamp_micros()
            ],
        )?;
        let live = Live { session: session.clone(), last_used: now, stored_use: now };
        self.0.live.lock().unwrap_or_else(PoisonError::into_inner).insert(key, live);
        Ok((token, session))
    }

    /// The session of a bearer token; counts as use.
    pub fn session(&self, token: &str) -> Result<Session, IdentityError> {
        let key = token_hash(token);
        let now = self.0.clock.now();
        let mut live = self.0.live.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = match live.entry(key) {
            Entry::Occupied(known) => known.into_mut(),
            // Not since the daemon started: perhaps from before.
            Entry::Vacant(place) => place.insert(self.stored(&key)?.ok_or(IdentityError::NoSession)?),
        };
        if now >= entry.session.expires_at || now - entry.last_used >= self.0.idle {
            let session = entry.session.clone();
            live.remove(&key);
            drop(live);
            self.forget(&key, &session)?;
            return Err(IdentityError::NoSession);
        }
        entry.last_used = now;
        let store_use = now - entry.stored_use >= TimeDelta::seconds(30);
        if store_use {
            entry.stored_use = now;
        }
        let session = entry.session.clone();
        drop(live);
        if store_use {
            self.0.store.lock().unwrap_or_else(PoisonError::into_inner).execute(
                "UPDATE sessions SET last_used = ? WHERE token_hash = ?",
                params![now.timestamp_micros(), key],
            )?;
        }
        Ok(session)
    }

    /// Ends a session and everything that runs under it.
    pub fn end(&self, token: &str) -> Result<(), IdentityError> {
        let key = token_hash(token);
        let session = self.session(token)?;
        self.0.live.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
        self.forget(&key, &session)
    }

    /// Ends every session whose time is over; call now and then.
    pub fn sweep(&self) -> Result<(), IdentityError> {
        let now = self.0.clock.now();
        let over: Vec<_> = {
            let mut live = self.0.live.lock().unwrap_or_else(PoisonError::into_inner);
            let idle = self.0.idle;
            live.extract_if(|_, l| now >= l.session.expires_at || now - l.last_used >= idle).collect()
        };
        for (key, live) in over {
            self.forget(&key, &live.session)?;
        }
        self.0.store.lock().unwrap_or_else(PoisonError::into_inner).execute(
            "DELETE FROM sessions WHERE expires_at <= ? OR last_used <= ?",
            params![now.timestamp_micros(), (now - self.0.idle - TimeDelta::seconds(60)).timestamp_micros()],
        )?;
        let mut attempts = self.0.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        attempts.retain(|_, times| times.iter().any(|t| now - *t < ATTEMPT_WINDOW));
        Ok(())
    }

    fn forget(&self, key: &[u8; 32], session: &Session) -> Result<(), IdentityError> {
        session.ended.cancel();
        let store = self.0.store.lock().unwrap_or_else(PoisonError::into_inner);
        store.execute("DELETE FROM sessions WHERE token_hash = ?", params![key])?;
        Ok(())
    }

    fn stored(&self, key: &[u8; 32]) -> Result<Option<Live>, IdentityError> {
        let store = self.0.store.lock().unwrap_or_else(PoisonError::into_inner);
        let row = store
            .query_row(
                "SELECT id, person, role, workstation, address, last_used, expires_at FROM sessions WHERE token_hash = ?",
                params![key],
                |row| {
                    Ok((
                        row.get::<_, String>(0)?,
                        row.get::<_, String>(1)?,
                        row.get::<_, String>(2)?,
                        row.get::<_, String>(3)?,
                        row.get::<_, String>(4)?,
                        row.get::<_, i64>(5)?,
                        row.get::<_, i64>(6)?,
                    ))
                },
            )
            .optional()?;
        let Some((id, person, role, workstation, address, last_used, expires_at)) = row else {
            return Ok(None);
        };
        let unreadable =
            |what: &str| IdentityError::Machine(format!("the stored session's {what} cannot be read"));
        let last_used = DateTime::from_timestamp_micros(last_used).ok_or_else(|| unreadable("last use"))?;
        let session = Session {
            id: Arc::from(id),
            person: PersonId::from(person),
            role: serde_json::from_value(serde_json::Value::String(role)).map_err(|_| unreadable("role"))?,
            workstation: Arc::from(workstation),
            address: address.parse().map_err(|_| unreadable("address"))?,
            expires_at: DateTime::from_timestamp_micros(expires_at).ok_or_else(|| unreadable("term"))?,
            ended: CancellationToken::new(),
        };
        Ok(Some(Live { session, last_used, stored_use: last_used }))
    }

    fn count_attempt(&self, person: &PersonId, address: IpAddr) -> Result<(), IdentityError> {
        let now = self.0.clock.now();
        let mut attempts = self.0.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        let keys = [
            ((Some(person.clone()), address), ATTEMPTS_PER_ACCOUNT),
            ((None, address), ATTEMPTS_PER_ADDRESS),
        ];
        for (key, most) in &keys {
            let times = attempts.entry(key.clone()).or_default();
            times.retain(|t| now - *t < ATTEMPT_WINDOW);
            if times.len() >= *most {
                let until = times.first().map_or(now, |t| *t + ATTEMPT_WINDOW);
                return Err(IdentityError::TooMany { until });
            }
        }
        if attempts.len() > ATTEMPT_KEYS {
            attempts.retain(|_, times| times.iter().any(|t| now - *t < ATTEMPT_WINDOW));
        }
        if attempts.len() > ATTEMPT_KEYS {
            return Err(IdentityError::TooMany { until: now + ATTEMPT_WINDOW });
        }
        for (key, _) in keys {
            attempts.entry(key).or_default().push(now);
        }
        Ok(())
    }

    fn forgive(&self, person: &PersonId, address: IpAddr) {
        let mut attempts = self.0.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        attempts.remove(&(Some(person.clone()), address));
        // One attempt of the address is given back, not all: guessing other accounts stays counted.
        if let Some(times) = attempts.get_mut(&(None, address)) {
            times.pop();
        }
    }
}

fn hash(password: &[u8], salt: &[u8], (memory_kib, passes): (u32, u32)) -> Result<[u8; 32], IdentityError> {
    let machine = |e: argon2::Error| IdentityError::Machine(e.to_string());
    let params = Params::new(memory_kib, passes, 1, Some(32)).map_err(machine)?;
    let mut out = [0; 32];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(password, salt, &mut out)
        .map_err(machine)?;
    Ok(out)
}

fn token_hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

fn role_name(role: Role) -> Result<String, IdentityError> {
    match serde_json::to_value(role) {
        Ok(serde_json::Value::String(name)) => Ok(name),
        _ => Err(IdentityError::Machine("a role without a name".to_owned())),
    }
}

/// Random bytes from the system's generator.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], IdentityError> {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| IdentityError::Machine("no random numbers".to_owned()))?;
    Ok(bytes)
}

/// 24 characters of 5 bits, in groups of six, without the letters people confuse.
fn random_text() -> Result<String, IdentityError> {
    const LETTERS: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz123456789";
    let mut text = String::new();
    for (i, byte) in random::<24>()?.iter().enumerate() {
        if i > 0 && i % 6 == 0 {
            text.push('-');
        }
        text.push(char::from(LETTERS.get(usize::from(byte % 32)).copied().unwrap_or(b'x')));
    }
    Ok(text)
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|n| char::from_digit(n.into(), 16))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn identity() -> (Identity, ManualClock, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let clock = ManualClock::new("2026-06-13T20:00:00Z".parse().unwrap());
        let path = folder.path().join("accounts.sqlite");
        let identity =
            Identity::open(&path, Arc::new(clock.clone()), TimeDelta::minutes(30), TimeDelta::hours(10))
                .unwrap();
        (identity, clock, folder)
    }

    #[tokio::test]
    async fn a_password_opens_its_own_account_only() {
        let (identity, _, _folder) = identity();
        let (anna, bert) = (PersonId::new("anna"), PersonId::new("bert"));
        let password = identity.create(&anna).unwrap();
        let other = identity.create(&bert).unwrap();
        assert_ne!(*password, *other);
        assert_eq!(identity.check("anna", &password, HERE).await.unwrap(), anna);
        assert!(matches!(identity.check("anna", &other, HERE).await, Err(IdentityError::Refused)));
        assert!(matches!(identity.check("nobody", &password, HERE).await, Err(IdentityError::Refused)));
        assert!(matches!(identity.check("anna", "", HERE).await, Err(IdentityError::Refused)));
    }

    #[tokio::test]
    async fn guessing_is_stopped_and_the_right_password_then_waits_too() {
        let (identity, clock, _folder) = identity();
        let password = identity.create(&PersonId::new("anna")).unwrap();
        for _ in 0..ATTEMPTS_PER_ACCOUNT {
            assert!(matches!(identity.check("anna", "guess", HERE).await, Err(IdentityError::Refused)));
        }
        assert!(matches!(identity.check("anna", &password, HERE).await, Err(IdentityError::TooMany { .. })));
        // Another workstation is not locked out by it.
        let elsewhere = IpAddr::from([127, 0, 0, 2]);
        assert!(identity.check("anna", &password, elsewhere).await.is_ok());
        clock.advance(ATTEMPT_WINDOW);
        assert!(identity.check("anna", &password, HERE).await.is_ok());
    }

    #[tokio::test]
    async fn right_passwords_are_never_counted() {
        let (identity, _, _folder) = identity();
        let password = identity.create(&PersonId::new("anna")).unwrap();
        for _ in 0..ATTEMPTS_PER_ADDRESS + 5 {
            identity.check("anna", &password, HERE).await.unwrap();
        }
    }

    #[tokio::test]
    async fn sessions_end_by_idling_by_term_and_by_logging_out() {
        let (identity, clock, folder) = identity();
        let anna = PersonId::new("anna");
        let (token, session) = identity.start(anna.clone(), Role::Observer, "desk 1", HERE).unwrap();
        assert_eq!(identity.session(&token).unwrap().person, anna);
        for _ in 0..20 {
            clock.advance(TimeDelta::minutes(29));
            assert!(identity.session(&token).is_ok());
        }
        clock.advance(TimeDelta::minutes(20));
        assert!(matches!(identity.session(&token), Err(IdentityError::NoSession)), "the term of ten hours");
        assert!(session.ended.is_cancelled());
        let (token, session) = identity.start(anna.clone(), Role::Observer, "desk 1", HERE).unwrap();
        clock.advance(TimeDelta::minutes(30));
        identity.sweep().unwrap();
        assert!(session.ended.is_cancelled(), "idle");
        assert!(identity.session(&token).is_err());
        let (token, session) = identity.start(anna, Role::Observer, "desk 1", HERE).unwrap();
        identity.end(&token).unwrap();
        assert!(session.ended.is_cancelled() && identity.session(&token).is_err());
        // The token itself is nowhere on disk.
        drop(identity);
        for file in std::fs::read_dir(folder.path()).unwrap() {
            let bytes = std::fs::read(file.unwrap().path()).unwrap();
            assert!(!bytes.windows(token.len()).any(|w| w == token.as_bytes()));
        }
    }

    #[tokio::test]
    async fn a_session_survives_a_restart() {
        let (identity, clock, folder) = identity();
        let (token, _) = identity.start(PersonId::new("anna"), Role::PoliceOperator, "desk 1", HERE).unwrap();
        drop(identity);
        let path = folder.path().join("accounts.sqlite");
        let again =
            Identity::open(&path, Arc::new(clock.clone()), TimeDelta::minutes(30), TimeDelta::hours(10))
                .unwrap();
        assert_eq!(again.session(&token).unwrap().role, Role::PoliceOperator);
    }
}
