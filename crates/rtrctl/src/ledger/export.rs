//! `export`: a range of entries as JSON lines that prove themselves. The first line says what the file is and carries the
//! signed checkpoint; each entry brings the path that leads to it; the last line counts them. A whole range shows by its numbers
//! that nothing was taken out; with `--sign` a signed note over the whole file lies beside it, which says so of a selection too.

mod check;

pub(super) use check::check;

use super::{LogAndKeys, purpose::Purpose, say};
use anyhow::{Context as _, Result, ensure};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use chrono::{DateTime, SecondsFormat, Utc};
use clap::Args;
use ledger::{MonthKeys, Published, note::LogKey, tree::leaf_hash};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::{
    fs::{self, File},
    io::{BufWriter, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

/// What the first line calls the format.
const SCHEMA: &str = "rtr-ledger-export/1";

/// `rtrctl ledger export`
#[derive(Args)]
pub(crate) struct Export {
    #[command(flatten)]
    log: LogAndKeys,
    /// The file to write, JSON lines; a new one
    #[arg(long)]
    out: PathBuf,
    /// First entry
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// End, exclusive; the whole log otherwise
    #[arg(long)]
    to: Option<u64>,
    #[command(flatten)]
    selection: Selection,
    /// For what the entries are handed over; it stands in the export's first line
    #[arg(long, value_enum)]
    purpose: Purpose,
    /// Opens names and the texts behind commitments with the months' keys in this folder, for as long as those exist
    #[arg(long, value_name = "FOLDER")]
    names: Option<PathBuf>,
    /// Leaves persons as the pseudonyms of their month, though the keys are given: for a first reading
    #[arg(long)]
    pseudonymised: bool,
    /// Signs the whole file with this key (made when it is not there) into FILE.note
    #[arg(long, value_name = "KEY")]
    sign: Option<PathBuf>,
    /// The name of that key
    #[arg(long, default_value = "rtr-export", requires = "sign")]
    signer: String,
}

impl Export {
    pub(crate) fn run(&self) -> Result<ExitCode> {
        let policy = self.log.policy()?;
        let folder = self.log.folder();
        let mut log = Published::open(&folder, &policy.log)?;
        ensure!(!self.out.exists(), "{} exists already", self.out.display());
        let checkpoint = log.cosigned().unwrap_or_else(|| log.checkpoint().clone());
        let until = self.to.unwrap_or(checkpoint.size).min(checkpoint.size);
        let from = self.from.max(log.first());
        let mut names = match (&self.names, self.pseudonymised) {
            (Some(months), false) => Some(MonthKeys::open(months)?.details(&folder)?),
            _ => None,
        };

        let mut out = Sink { file: BufWriter::new(File::create_new(&self.out)?), hash: Sha256::new() };
        out.line(&json!({
            "schema": SCHEMA, "origin": checkpoint.origin, "checkpoint": checkpoint.note,
            "from": from, "to": until, "since": self.selection.since, "until": self.selection.until,
            "municipality": self.selection.municipality, "purpose": self.purpose.word(),
            "made_at": Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true),
            "persons": if names.is_some() { "opened" } else { "pseudonymised" },
            "leaf": "RFC 8785; its hash is SHA-256(0x00 || leaf)",
            "check": "rtrctl ledger verify --export FILE --policy POLICY [--months FOLDER]",
        }))?;
        let mut count = 0_u64;
        for seq in from..until {
            let leaf = log.leaf(seq)?;
            let value: Value =
                serde_json::from_slice(&leaf).with_context(|| format!("entry {seq} is not JSON"))?;
            if !self.selection.takes(&value) {
                continue;
            }
            let proof = log
                .tree()
                .inclusion(seq, checkpoint.size)
                .filter(|proof| proof.root == checkpoint.root && proof.holds_for_hash(leaf_hash(&leaf)))
                .with_context(|| {
                    format!("entry {seq} is not what was signed: nothing further is exported")
                })?;
            let path: Vec<String> = proof.hashes.iter().map(|hash| BASE64_STANDARD.encode(hash)).collect();
            let mut line = json!({ "seq": seq, "leaf": value, "proof": path });
            if let (Some(names), Some(fields)) = (&mut names, line.as_object_mut())
                && let Some(details) = names.of(seq, &leaf)?
            {
                fields.insert("details".to_owned(), serde_json::to_value(details)?);
            }
            out.line(&line)?;
            count += 1;
        }
        out.line(&json!({ "end": count }))?;
        let hash = out.finish()?;
        if let Some(key) = &self.sign {
            let key = LogKey::load_or_create(key, &self.signer)?;
            let note = key.sign_text(&statement(&checkpoint.origin, count, &hash))?;
            fs::write(note_beside(&self.out), note)?;
            say(format!("signed by {}", key.vkey()));
        }
        say(format!("{count} entries of {from}..{until} in {}", self.out.display()));
        Ok(ExitCode::SUCCESS)
    }
}

/// Which entries of the range: all of them where nothing is named. Stands in the export's head, so that a check knows whether
/// numbers may be missing.
#[derive(Args, Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Selection {
    /// Only entries from this instant on, for example 2026-11-01T00:00:00Z
    #[arg(long)]
    since: Option<DateTime<Utc>>,
    /// Only entries before this instant
    #[arg(long)]
    until: Option<DateTime<Utc>>,
    /// Only entries about this municipality
    #[arg(long)]
    municipality: Option<String>,
}

impl Selection {
    fn takes(&self, entry: &Value) -> bool {
        let at = || entry.get("at")?.as_str()?.parse::<DateTime<Utc>>().ok();
        let municipality = entry.pointer("/object/municipality").and_then(Value::as_str);
        (self.since.is_none() && self.until.is_none()
            || at().is_some_and(|at| {
                self.since.is_none_or(|since| at >= since) && self.until.is_none_or(|until| at < until)
            }))
            && (self.municipality.is_none() || self.municipality.as_deref() == municipality)
    }

    /// What it says, for people; none when it takes everything.
    fn words(&self) -> Option<String> {
        let words: Vec<String> = [
            self.since.map(|since| format!("since {since}")),
            self.until.map(|until| format!("until {until}")),
            self.municipality.as_ref().map(|municipality| format!("municipality {municipality}")),
        ]
        .into_iter()
        .flatten()
        .collect();
        (!words.is_empty()).then(|| words.join(", "))
    }
}

fn statement(origin: &str, count: u64, hash: &[u8]) -> String {
    format!("{SCHEMA}\n{origin}\n{count} entries\nsha256 {}\n", BASE64_STANDARD.encode(hash))
}

fn note_beside(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".note");
    name.into()
}

struct Sink {
    file: BufWriter<File>,
    hash: Sha256,
}

impl Sink {
    fn line(&mut self, value: &Value) -> Result<()> {
        let mut line = serde_json::to_vec(value)?;
        line.push(b'\n');
        self.hash.update(&line);
        Ok(self.file.write_all(&line)?)
    }

    fn finish(mut self) -> Result<Vec<u8>> {
        self.file.flush()?;
        self.file.get_ref().sync_all()?;
        Ok(self.hash.finalize().to_vec())
    }
}
