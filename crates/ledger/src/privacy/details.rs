//! What stands behind an entry's pseudonyms and commitments, as somebody reads it who holds the months' keys, and the check
//! that it belongs to that very entry.

use super::{Privacy, month_of, pseudonym};
use crate::{
    LedgerError,
    sequence::{Record, Records},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::{collections::BTreeMap, fs, path::Path};

/// How every commitment begins in a leaf.
const COMMITMENT: &str = "sha256:";
/// Where a leaf may hold one.
const COMMITTED: [&str; 10] = [
    "actor.authorisation",
    "origin.workstation",
    "origin.session",
    "origin.address",
    "justification.case_number",
    "justification.note",
    "recipient.person",
    "recipient.organisation",
    "change.old",
    "change.new",
];

/// What stands behind the pseudonym and the commitments of one entry, opened with the month's key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Details {
    /// The person who acted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// The person it concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// The texts behind the commitments, by their place in the leaf: `origin.address`.
    #[serde(default)]
    pub committed: BTreeMap<String, Opening>,
}

/// What opens one commitment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opening {
    /// 128 bits, base64url.
    pub salt: String,
    /// The text.
    pub text: String,
}

impl Opening {
    /// The commitment that this opens, as it stands in the leaf at `place`:
    /// `sha256:` and base64url of SHA-256(salt ‖ place ‖ 0x00 ‖ text).
    pub fn commitment(&self, place: &str) -> String {
        let salt = BASE64_URL_SAFE_NO_PAD.decode(&self.salt).unwrap_or_default();
        let mut hash = Sha256::new();
        hash.update(&salt);
        hash.update(place.as_bytes());
        hash.update([0]);
        hash.update(self.text.as_bytes());
        format!("{COMMITMENT}{}", BASE64_URL_SAFE_NO_PAD.encode(hash.finalize()))
    }
}

fn at<'a>(leaf: &'a Value, place: &str) -> Option<&'a str> {
    leaf.pointer(&format!("/{}", place.replace('.', "/")))?.as_str()
}

impl Details {
    /// Whether the texts are exactly those that the leaf committed to: none other, and none left out. Needs no key. Of the
    /// persons it says nothing.
    ///
    /// # Errors
    /// [`LedgerError::Details`] names the first place that does not fit.
    pub fn fit_commitments(&self, leaf: &Value) -> Result<(), LedgerError> {
        let misfit = |place: &str, why: &str| LedgerError::Details(format!("{place} {why}"));
        for (place, opening) in &self.committed {
            if at(leaf, place) != Some(opening.commitment(place).as_str()) {
                return Err(misfit(place, "is not the text that the entry committed to"));
            }
        }
        let left_out = COMMITTED.into_iter().find(|place| {
            at(leaf, place).is_some_and(|text| text.starts_with(COMMITMENT))
                && !self.committed.contains_key(*place)
        });
        left_out.map_or(Ok(()), |place| Err(misfit(place, "was left out")))
    }

    /// The same, and whether the persons are those behind the leaf's pseudonyms.
    pub(super) fn held_against(
        &self,
        leaf: &Value,
        pseudonym: impl Fn(&str) -> String,
    ) -> Result<(), LedgerError> {
        for (place, person) in [("actor", &self.actor), ("object", &self.object)] {
            let expected = person.as_deref().map(&pseudonym);
            if at(leaf, &format!("{place}.pseudonym")) != expected.as_deref() {
                return Err(LedgerError::Details(format!(
                    "{place} is not the person behind the entry's pseudonym"
                )));
            }
        }
        self.fit_commitments(leaf)
    }
}

/// The months' keys in the hands of somebody who reads the log offline: names, case numbers and the texts behind
/// commitments, for as long as a month's key exists.
#[derive(Debug)]
pub struct MonthKeys(Privacy);

impl MonthKeys {
    /// Opens a folder of months' keys; nothing is made in it.
    pub fn open(dir: &Path) -> Result<Self, LedgerError> {
        fs::read_dir(dir).map_err(LedgerError::io(dir))?;
        Ok(Self(Privacy::open(dir)?))
    }

    /// The pseudonyms under which a person appears, one for each month.
    pub fn pseudonyms(&self, person: &str) -> Result<Vec<String>, LedgerError> {
        self.0.months().iter().filter_map(|month| self.0.pseudonym(person, month).transpose()).collect()
    }

    /// The tags under which a case number is indexed, one for each month.
    pub fn case_tags(&self, case: &str) -> Result<Vec<String>, LedgerError> {
        self.0.months().iter().filter_map(|month| self.0.case_tag(case, month).transpose()).collect()
    }

    /// Whether what somebody handed over as an entry's details belongs to this leaf: persons and texts, or, where nothing was
    /// handed over, that nothing belongs there. `false` when the month's key is gone, so that persons could not be checked;
    /// texts were.
    ///
    /// # Errors
    /// [`LedgerError::Details`] when they do not belong to it.
    pub fn check(&self, leaf: &Value, details: Option<&Details>) -> Result<bool, LedgerError> {
        let when = at(leaf, "at").and_then(|at| at.parse().ok());
        let month = when.map(month_of).ok_or_else(|| LedgerError::Details("it has no time".to_owned()))?;
        match (self.0.key(&month, false)?, details) {
            (None, None) => Ok(false),
            (None, Some(details)) => details.fit_commitments(leaf).map(|()| false),
            (Some(key), details) => {
                let none = Details::default();
                let name = |person: &str| pseudonym(&key, &month, person);
                details.unwrap_or(&none).held_against(leaf, name).map(|()| true)
            }
        }
    }

    /// Reads the sealed details beside the entries of a log; its folder must hold the sequence file.
    pub fn details(self, dir: &Path) -> Result<DetailsReader, LedgerError> {
        Ok(DetailsReader { privacy: self.0, records: Records::open(dir)?, last: None })
    }
}

/// Opens sealed details one after the other. Entries must be asked in rising order.
#[derive(Debug)]
pub struct DetailsReader {
    privacy: Privacy,
    records: Records,
    last: Option<(u64, Record)>,
}

impl DetailsReader {
    /// What stands behind an entry's pseudonyms and commitments; none when it has none or when the month's key is gone. `leaf` is
    /// the entry as the caller proved it: the sequence file is the host's own, and is not believed.
    ///
    /// # Errors
    /// [`LedgerError::Details`] when what lies beside the entry is another entry's, or was taken away.
    pub fn of(&mut self, seq: u64, leaf: &[u8]) -> Result<Option<Details>, LedgerError> {
        if self.last.as_ref().is_none_or(|(number, _)| *number != seq) {
            self.last = Some((seq, self.records.skip_to(seq)?));
        }
        let sealed = self.last.as_ref().map(|(_, record)| record.details.as_slice()).unwrap_or_default();
        self.privacy.open_details(leaf, sealed).map_err(|error| match error {
            LedgerError::Details(why) => LedgerError::Details(format!("entry {seq}: {why}")),
            error => error,
        })
    }

    /// The tag of an entry's case number.
    ///
    /// # Errors
    /// As [`DetailsReader::of`].
    pub fn case_tag(&mut self, seq: u64, leaf: &[u8]) -> Result<Option<String>, LedgerError> {
        match self.of(seq, leaf)? {
            Some(details) => self.privacy.case_tag_in(leaf, &details),
            None => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Actor, Entry, Ledger, LedgerConfig, Object, Operation, sequence::read_frame};
    use chrono::DateTime;
    use std::io::BufReader;

    async fn log_of_two(root: &Path) {
        let ledger = Ledger::open(LedgerConfig::new(root.join("log"), root.join("log.key"), "rtr.example/t"));
        let ledger = ledger.unwrap();
        for person in ["observant", "jansen"] {
            let actor = Actor::Person {
                person: person.to_owned(),
                role: "observer".to_owned(),
                organisation: "rj-security".to_owned(),
                authorisation: Some(format!("AUT-{person}")),
            };
            let at = DateTime::from_timestamp(1_795_000_000, 0).unwrap();
            let object = Some(Object::person("somebody"));
            let entry = Entry { actor, object, ..Entry::new(at, Operation::Admin, "account.invite") };
            ledger.append(entry).await.unwrap();
        }
    }

    /// Rewrites the sequence file as its host could, without any key.
    fn rewrite(log: &Path, change: impl FnOnce(&mut [Record])) {
        let path = log.join("sequence");
        let bytes = fs::read(&path).unwrap();
        let mut reader = BufReader::new(&bytes[16..]);
        let mut records = Vec::new();
        while let Some((record, _)) = read_frame(&mut reader, records.len() as u64).unwrap() {
            records.push(record);
        }
        change(&mut records);
        let frames = (0..).zip(&records).flat_map(|(seq, record)| record.frame(seq));
        fs::write(&path, bytes[..16].iter().copied().chain(frames).collect::<Vec<u8>>()).unwrap();
    }

    #[tokio::test]
    async fn details_of_another_entry_and_none_where_some_belong_are_refused() {
        let root = tempfile::tempdir().unwrap();
        log_of_two(root.path()).await;
        let log = root.path().join("log");
        let mut leaves = Vec::new();
        rewrite(&log, |records| leaves = records.iter().map(|record| record.leaf.clone()).collect());
        let keys = || MonthKeys::open(&root.path().join("ledger-months")).unwrap();
        let read = |leaves: &[Vec<u8>]| {
            let mut reader = keys().details(&log).unwrap();
            [reader.of(0, &leaves[0]), reader.of(1, &leaves[1])]
        };
        let opened = read(&leaves).map(|details| details.unwrap().unwrap());
        assert_eq!(opened.each_ref().map(|d| d.actor.as_deref()), [Some("observant"), Some("jansen")]);

        rewrite(&log, |records| {
            let (first, second) = (records[0].details.clone(), records[1].details.clone());
            (records[0].details, records[1].details) = (second, first);
        });
        for (seq, refused) in (0..).zip(read(&leaves)) {
            let why = refused.unwrap_err().to_string();
            assert!(why.contains(&format!("entry {seq}: actor is not the person")), "{why}");
        }
        // Leaf and details swapped together: the file agrees with itself, and not with what was proven.
        rewrite(&log, |records| {
            let (first, second) = (records[0].leaf.clone(), records[1].leaf.clone());
            (records[0].leaf, records[1].leaf) = (second, first);
        });
        assert!(read(&leaves).iter().all(Result::is_err));
        rewrite(&log, |records| records.iter_mut().for_each(|record| record.details.clear()));
        assert!(read(&leaves).iter().all(Result::is_err), "taken away");
        // Without the month's key there is nothing to open, and nothing to hold against the entry.
        fs::remove_file(root.path().join("ledger-months/2026-11")).unwrap();
        assert!(read(&leaves).into_iter().all(|details| details.unwrap().is_none()));
    }

    #[tokio::test]
    async fn details_that_somebody_hands_over_are_held_against_the_entry() {
        let root = tempfile::tempdir().unwrap();
        log_of_two(root.path()).await;
        let months = root.path().join("ledger-months");
        let ledger = Ledger::open(LedgerConfig::new(
            root.path().join("log"),
            root.path().join("log.key"),
            "rtr.example/t",
        ));
        let ledger = ledger.unwrap();
        let leaf: Value = serde_json::from_slice(&ledger.leaf(0).unwrap()).unwrap();
        let honest = ledger.details(0).unwrap().unwrap();
        let check = |details: &Details| MonthKeys::open(&months).unwrap().check(&leaf, Some(details));
        assert!(check(&honest).unwrap());
        assert!(MonthKeys::open(&months).unwrap().check(&leaf, None).is_err(), "left out");
        let bent = |bend: fn(&mut Details)| {
            let mut details = honest.clone();
            bend(&mut details);
            details
        };
        let other_actor = bent(|d| d.actor = Some("jansen".to_owned()));
        let no_object = bent(|d| d.object = None);
        let less = bent(|d| drop(d.committed.remove("actor.authorisation")));
        let other_text = bent(|d| d.committed.values_mut().for_each(|opening| opening.text.push('x')));
        for details in [&other_actor, &no_object, &less, &other_text] {
            assert!(matches!(check(details), Err(LedgerError::Details(_))), "{details:?}");
        }
        // Without the month's key the persons are anybody's claim, the texts are not.
        fs::remove_file(months.join("2026-11")).unwrap();
        assert!(!check(&other_actor).unwrap());
        assert!(check(&less).is_err() && check(&other_text).is_err());
    }
}
