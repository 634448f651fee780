//! Personal data beside an append-only log (decision 13): pseudonyms of the month for persons, salted commitments
//! for free text, and the details sealed under the month's key, stored with the record but never in the leaf.
//! Destroying a month's key leaves the tree whole and the details unreadable.

use crate::{
    LedgerError,
    canonical::{exact, to_canonical},
    entry::{Actor, Change, Entry, Object},
    note::create_secret,
};
use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hmac, rand,
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::{DateTime, Datelike, SecondsFormat, Utc};
use serde_json::{Map, Value, json};
use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{Read, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};
use zeroize::Zeroizing;

mod details;

pub use details::{Details, DetailsReader, MonthKeys, Opening};

/// The version of the leaf's schema.
const SCHEMA: u32 = 1;
/// A month as written: `2026-11`.
const MONTH_LEN: usize = 7;
const KEY_LEN: usize = 32;
const SALT_LEN: usize = 16;

/// A leaf's content and the sealed details that belong to it.
#[derive(Clone, Debug)]
pub(crate) struct Prepared {
    pub(crate) at: DateTime<Utc>,
    pub(crate) leaf: String,
    pub(crate) details: Vec<u8>,
}

/// Stands in a spooled leaf until it is logged; as long as the time that replaces it.
const NOT_YET_LOGGED: &str = "0000-00-00T00:00:00.000Z";

/// A spooled leaf with the time at which it is logged (decision 12: both times).
pub(crate) fn with_logged_at(leaf: &str, now: DateTime<Utc>) -> String {
    // The last one is the leaf's own field: in canonical order only fields with fixed keys come behind it.
    let mark = format!("\"logged_at\":\"{NOT_YET_LOGGED}\"");
    match leaf.rsplit_once(&mark) {
        Some((before, behind)) => format!("{before}\"logged_at\":\"{}\"{behind}", instant(now)),
        None => leaf.to_owned(),
    }
}

/// The keys of the months, made when first needed, in files of their own (0600) away from the log.
#[derive(Debug)]
pub(crate) struct Privacy {
    dir: PathBuf,
    months: Mutex<BTreeMap<String, Arc<Zeroizing<[u8; KEY_LEN]>>>>,
}

type MonthKey = Arc<Zeroizing<[u8; KEY_LEN]>>;

pub(crate) fn month_of(at: DateTime<Utc>) -> String {
    format!("{:04}-{:02}", at.year(), at.month())
}

impl Privacy {
    pub(crate) fn open(dir: &Path) -> Result<Self, LedgerError> {
        fs::create_dir_all(dir).map_err(LedgerError::io(dir))?;
        Ok(Self { dir: dir.to_owned(), months: Mutex::default() })
    }

    /// Makes sure that this month and the next have a key, so that a disk that fills up over midnight does not
    /// keep a cut from being spooled.
    pub(crate) fn prepare_months(&self, now: DateTime<Utc>) -> Result<(), LedgerError> {
        self.key(&month_of(now), true)?;
        self.key(&month_of(now + chrono::Months::new(1)), true).map(drop)
    }

    fn key(&self, month: &str, create: bool) -> Result<Option<MonthKey>, LedgerError> {
        let mut months = self.months.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = months.get(month) {
            return Ok(Some(key.clone()));
        }
        let path = self.dir.join(month);
        let mut key = Zeroizing::new([0; KEY_LEN]);
        match File::open(&path) {
            Ok(mut file) => file.read_exact(key.as_mut()).map_err(LedgerError::io(&path))?,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                if !create {
                    return Ok(None);
                }
                rand::fill(key.as_mut()).map_err(|_| LedgerError::Key("no random numbers".to_owned()))?;
                create_secret(&path, key.as_ref())?;
            }
            Err(e) => return Err(LedgerError::io(path)(e)),
        }
        let key = Arc::new(key);
        months.insert(month.to_owned(), key.clone());
        Ok(Some(key))
    }

    /// The months of which a key exists.
    pub(crate) fn months(&self) -> Vec<String> {
        let mut months: Vec<String> = fs::read_dir(&self.dir)
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter(|name| name.len() == MONTH_LEN)
            .collect();
        months.sort();
        months
    }

    /// Destroys the key of a month whose log term is over: overwritten in place, synced, unlinked.
    pub(crate) fn destroy_month(&self, month: &str) -> Result<(), LedgerError> {
        self.months.lock().unwrap_or_else(PoisonError::into_inner).remove(month);
        let path = self.dir.join(month);
        let overwrite = || {
            let mut file = OpenOptions::new().write(true).open(&path)?;
            file.write_all(&[0; KEY_LEN])?;
            file.sync_all()?;
            fs::remove_file(&path)?;
            File::open(&self.dir)?.sync_all()
        };
        overwrite().map_err(LedgerError::io(&path))
    }

    /// The pseudonym of a person in a month, if that month has a key.
    pub(crate) fn pseudonym(&self, person: &str, month: &str) -> Result<Option<String>, LedgerError> {
        Ok(self.key(month, false)?.map(|key| pseudonym(&key, month, person)))
    }

    /// The tag under which a case number is indexed in a month, if that month has a key. It is in no leaf.
    pub(crate) fn case_tag(&self, case: &str, month: &str) -> Result<Option<String>, LedgerError> {
        let tag = |key: MonthKey| {
            let purpose = derive(&key, "rtr ledger cases v1");
            let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, purpose.as_ref()), case.as_bytes());
            format!("{month}/{}", BASE64_URL_SAFE_NO_PAD.encode(tag))
        };
        Ok(self.key(month, false)?.map(tag))
    }

    /// The tag of the case number behind a record's commitment, if it has one that can be opened.
    pub(crate) fn case_tag_of(&self, leaf: &[u8], sealed: &[u8]) -> Option<String> {
        const MARK: &[u8] = b"\"case_number\":";
        // Few entries have one; the others are not worth opening.
        if !leaf.windows(MARK.len()).any(|window| window == MARK) {
            return None;
        }
        let details = self.open_details(leaf, sealed).ok()??;
        self.case_tag_in(leaf, &details).ok()?
    }

    /// The tag of the case number in opened details.
    pub(crate) fn case_tag_in(&self, leaf: &[u8], details: &Details) -> Result<Option<String>, LedgerError> {
        match (details.committed.get("justification.case_number"), month_of_leaf(leaf)) {
            (Some(case), Some(month)) => self.case_tag(&case.text, &month),
            _ => Ok(None),
        }
    }

    /// Turns an entry into its leaf and sealed details. Writes nothing, unless the month has no key yet.
    pub(crate) fn prepare(&self, entry: &Entry) -> Result<Prepared, LedgerError> {
        self.prepare_leaf(entry, None)
    }

    /// The same for an entry that waits in the spool: its leaf has room for the time at which it is logged.
    pub(crate) fn prepare_spooled(&self, entry: &Entry) -> Result<Prepared, LedgerError> {
        self.prepare_leaf(entry, Some(NOT_YET_LOGGED))
    }

    fn prepare_leaf(&self, entry: &Entry, logged_at: Option<&str>) -> Result<Prepared, LedgerError> {
        let month = month_of(entry.at);
        let key = self.key(&month, true)?.ok_or_else(|| LedgerError::Key(format!("no key for {month}")))?;
        let mut hider = Hider { key: &key, month: &month, details: Details::default() };
        let mut fields = leaf(entry, &mut hider)?;
        if let Some(logged_at) = logged_at {
            fields.put("logged_at", logged_at);
        }
        let leaf = to_canonical(&Value::Object(fields.0))?;
        let details = if hider.details == Details::default() {
            Vec::new()
        } else {
            seal(&key, &month, &hider.details)?
        };
        Ok(Prepared { at: entry.at, leaf, details })
    }

    /// What stands behind a leaf's pseudonyms and commitments: none when it has neither, or when its month's key is
    /// destroyed. The seal says only of which month the details are, so they are held against the leaf: whoever keeps the disks
    /// could have put another entry's in their place, or taken them away.
    pub(crate) fn open_details(&self, leaf: &[u8], sealed: &[u8]) -> Result<Option<Details>, LedgerError> {
        let month = month_of_leaf(leaf)
            .ok_or_else(|| LedgerError::Key("the entry does not say when it was made".to_owned()))?;
        let Some(key) = self.key(&month, false)? else { return Ok(None) };
        let details = match sealed {
            [] => Details::default(),
            sealed => unseal(&key, &month, sealed)?,
        };
        let value: Value = serde_json::from_slice(leaf).unwrap_or_default();
        details.held_against(&value, |person| pseudonym(&key, &month, person))?;
        Ok((!sealed.is_empty()).then_some(details))
    }
}

/// The month under whose key a leaf was made: `2026-11`.
pub(crate) fn month_of_leaf(leaf: &[u8]) -> Option<String> {
    crate::shared::time_of(leaf).map(month_of)
}

fn derive(key: &[u8; KEY_LEN], purpose: &str) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), purpose.as_bytes())
}

fn pseudonym(key: &[u8; KEY_LEN], month: &str, person: &str) -> String {
    let purpose = derive(key, "rtr ledger pseudonyms v1");
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, purpose.as_ref()), person.as_bytes());
    // 80 bits: no collision among the people of one room, and short enough to read out.
    let short = tag.as_ref().first_chunk::<10>().copied().unwrap_or_default();
    format!("{month}/{}", BASE64_URL_SAFE_NO_PAD.encode(short))
}

fn detail_key(key: &[u8; KEY_LEN]) -> Result<LessSafeKey, LedgerError> {
    UnboundKey::new(&AES_256_GCM, derive(key, "rtr ledger details v1").as_ref())
        .map(LessSafeKey::new)
        .map_err(|_| LedgerError::Key("no detail key".to_owned()))
}

/// `month ‖ nonce ‖ AES-256-GCM(details)`. Random 96-bit nonces: far below 2^32 entries a month (NIST SP 800-38D 8.3).
fn seal(key: &[u8; KEY_LEN], month: &str, details: &Details) -> Result<Vec<u8>, LedgerError> {
    let no_seal = |_| LedgerError::Key("the details could not be sealed".to_owned());
    let mut text = serde_json::to_vec(details).map_err(|_| LedgerError::NotCanonical("details"))?;
    let mut nonce = [0; NONCE_LEN];
    rand::fill(&mut nonce).map_err(no_seal)?;
    detail_key(key)?
        .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(month), &mut text)
        .map_err(no_seal)?;
    Ok([month.as_bytes(), &nonce, &text].concat())
}

fn unseal(key: &[u8; KEY_LEN], month: &str, sealed: &[u8]) -> Result<Details, LedgerError> {
    let damaged = || LedgerError::Key("the details do not open with the month's key".to_owned());
    let (nonce, sealed) = sealed
        .strip_prefix(month.as_bytes())
        .and_then(|rest| rest.split_first_chunk::<NONCE_LEN>())
        .ok_or_else(damaged)?;
    let mut text = sealed.to_vec();
    let opened = detail_key(key)?
        .open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(month), &mut text)
        .map_err(|_| damaged())?;
    serde_json::from_slice(opened).map_err(|_| damaged())
}

/// Replaces what must not stand in the leaf and remembers it.
struct Hider<'a> {
    key: &'a [u8; KEY_LEN],
    month: &'a str,
    details: Details,
}

impl Hider<'_> {
    fn pseudonym(&self, person: &str) -> String {
        pseudonym(self.key, self.month, person)
    }

    fn commit(&mut self, place: &str, text: &str) -> Result<Value, LedgerError> {
        let mut salt = [0; SALT_LEN];
        rand::fill(&mut salt).map_err(|_| LedgerError::Key("no random numbers".to_owned()))?;
        let opening = Opening { salt: BASE64_URL_SAFE_NO_PAD.encode(salt), text: text.to_owned() };
        let commitment = opening.commitment(place);
        self.details.committed.insert(place.to_owned(), opening);
        Ok(Value::String(commitment))
    }
}

/// An instant as it stands in leaves: UTC, milliseconds.
pub(crate) fn instant(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// A JSON object under construction that leaves out what is absent.
#[derive(Default)]
struct Fields(Map<String, Value>);

impl Fields {
    fn put(&mut self, key: &str, value: impl Into<Value>) {
        self.0.insert(key.to_owned(), value.into());
    }
    fn text(&mut self, key: &str, value: Option<&String>) {
        if let Some(text) = value {
            self.put(key, text.as_str());
        }
    }
    fn time(&mut self, key: &str, value: Option<DateTime<Utc>>) {
        if let Some(at) = value {
            self.put(key, instant(at));
        }
    }
    fn hidden(
        &mut self,
        hider: &mut Hider<'_>,
        group: &str,
        key: &str,
        value: Option<&String>,
    ) -> Result<(), LedgerError> {
        if let Some(text) = value {
            let commitment = hider.commit(&format!("{group}.{key}"), text)?;
            self.put(key, commitment);
        }
        Ok(())
    }
    fn group(&mut self, key: &str, fields: Fields) {
        if !fields.0.is_empty() {
            self.put(key, Value::Object(fields.0));
        }
    }
}

fn leaf(entry: &Entry, hider: &mut Hider<'_>) -> Result<Fields, LedgerError> {
    let mut leaf = Fields::default();
    leaf.put("v", SCHEMA);
    leaf.put("at", instant(entry.at));
    leaf.put("clock", entry.clock.as_str());
    leaf.put("operation", entry.operation.as_str());
    leaf.put("action", entry.action.as_ref());
    leaf.text("look", entry.look.as_ref());
    leaf.put("actor", actor(&entry.actor, hider)?);

    let mut origin = Fields::default();
    origin.hidden(hider, "origin", "workstation", entry.origin.workstation.as_ref())?;
    origin.hidden(hider, "origin", "session", entry.origin.session.as_ref())?;
    origin.hidden(hider, "origin", "address", entry.origin.address.as_ref())?;
    leaf.group("origin", origin);

    if let Some(subject) = &entry.object {
        leaf.put("object", object(subject, hider));
    }

    let mut why = Fields::default();
    why.text("purpose", entry.justification.purpose.as_ref());
    why.text("incident", entry.justification.incident.as_ref());
    why.text("offence", entry.justification.offence.as_ref());
    why.text("instruction", entry.justification.instruction.as_ref());
    why.hidden(hider, "justification", "case_number", entry.justification.case_number.as_ref())?;
    why.hidden(hider, "justification", "note", entry.justification.note.as_ref())?;
    leaf.group("justification", why);

    let mut law = Fields::default();
    if !entry.legal_context.basis.is_empty() {
        law.put("basis", entry.legal_context.basis.clone());
    }
    law.text("policy_version", entry.legal_context.policy_version.as_ref());
    law.text("register_head", entry.legal_context.register_head.as_ref());
    law.time("until", entry.legal_context.until);
    leaf.group("legal_context", law);

    if let Some(recipient) = &entry.recipient {
        let mut to = Fields::default();
        to.hidden(hider, "recipient", "person", recipient.person.as_ref())?;
        to.hidden(hider, "recipient", "organisation", recipient.organisation.as_ref())?;
        to.text("article", recipient.article.as_ref());
        leaf.group("recipient", to);
    }

    leaf.put("outcome", entry.outcome.as_str());
    if let Some(code) = entry.outcome.reason_code() {
        leaf.put("reason_code", code);
    }
    match &entry.change {
        Some(Change::Clear { old, new }) => {
            leaf.put("change", json!({ "old": exact(old), "new": exact(new) }));
        }
        Some(Change::Private { old, new }) => {
            let mut change = Fields::default();
            change.put("old", hider.commit("change.old", &to_canonical(&exact(old))?)?);
            change.put("new", hider.commit("change.new", &to_canonical(&exact(new))?)?);
            leaf.group("change", change);
        }
        None => {}
    }
    if let Some(data) = &entry.data {
        leaf.put("data", exact(data));
    }
    Ok(leaf)
}

fn actor(actor: &Actor, hider: &mut Hider<'_>) -> Result<Value, LedgerError> {
    let mut fields = Fields::default();
    match actor {
        Actor::System => fields.put("kind", "system"),
        Actor::Anonymous => fields.put("kind", "anonymous"),
        Actor::Person { person, role, organisation, authorisation } => {
            fields.put("kind", "person");
            fields.put("pseudonym", hider.pseudonym(person));
            fields.put("role", role.as_str());
            fields.put("organisation", organisation.as_str());
            // One authorisation is one person's for years: in clear it would tie the months' pseudonyms together.
            fields.hidden(hider, "actor", "authorisation", authorisation.as_ref())?;
            hider.details.actor = Some(person.clone());
        }
    }
    Ok(Value::Object(fields.0))
}

fn object(object: &Object, hider: &mut Hider<'_>) -> Value {
    let mut fields = Fields::default();
    fields.put("kind", object.kind.as_str());
    fields.text("id", object.id.as_ref());
    fields.text("camera", object.camera.as_ref());
    fields.text("municipality", object.municipality.as_ref());
    fields.time("from", object.from);
    fields.time("until", object.until);
    fields.text("screen", object.screen.as_ref());
    if let Some(person) = &object.person {
        fields.put("pseudonym", hider.pseudonym(person));
        hider.details.object = Some(person.clone());
    }
    Value::Object(fields.0)
}
