//! `export`: a range of entries as JSON lines that prove themselves. The first line says what the file is and carries the
//! signed checkpoint; each entry brings the path that leads to it; the last line counts them. With `--sign` a signed note
//! over the whole file lies beside it, so that nobody can take lines out either.

use super::{LogAndKeys, keys::Policy, say};
use anyhow::{Context as _, Result, ensure};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use chrono::{DateTime, Utc};
use clap::Args;
use ledger::{
    InclusionProof, MonthKeys, Published,
    note::{self, Checkpoint, LogKey},
    tree::{NodeHash, leaf_hash},
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader, BufWriter, Write as _},
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
    /// Only entries from this instant on, for example 2026-11-01T00:00:00Z
    #[arg(long)]
    since: Option<DateTime<Utc>>,
    /// Only entries before this instant
    #[arg(long)]
    until: Option<DateTime<Utc>>,
    /// Only entries about this municipality
    #[arg(long)]
    municipality: Option<String>,
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
            "from": from, "to": until, "since": self.since, "until": self.until, "municipality": self.municipality,
            "persons": if names.is_some() { "opened" } else { "pseudonymised" },
            "leaf": "RFC 8785; its hash is SHA-256(0x00 || leaf)",
            "check": "rtrctl ledger verify --export FILE --policy POLICY",
        }))?;
        let mut count = 0_u64;
        for seq in from..until {
            let leaf = log.leaf(seq)?;
            let value: Value =
                serde_json::from_slice(&leaf).with_context(|| format!("entry {seq} is not JSON"))?;
            if !self.wanted(&value) {
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
                && let Some(details) = names.of(seq)?
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

    fn wanted(&self, entry: &Value) -> bool {
        let at = || entry.get("at")?.as_str()?.parse::<DateTime<Utc>>().ok();
        let municipality = entry.pointer("/object/municipality").and_then(Value::as_str);
        (self.since.is_none() && self.until.is_none()
            || at().is_some_and(|at| {
                self.since.is_none_or(|since| at >= since) && self.until.is_none_or(|until| at < until)
            }))
            && (self.municipality.is_none() || self.municipality.as_deref() == municipality)
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

/// Checks an export by itself: the checkpoint's signatures, and each entry's path to its root.
pub(crate) fn verify(file: &Path, policy: &Policy, signer: Option<&str>) -> Result<ExitCode> {
    let mut lines = BufReader::new(File::open(file).with_context(|| file.display().to_string())?).lines();
    let head: Value = serde_json::from_str(&lines.next().context("an empty file")??)?;
    ensure!(head["schema"] == SCHEMA, "{} is no export of a log", file.display());
    let checkpoint = Checkpoint::read(head["checkpoint"].as_str().unwrap_or_default(), &policy.log)?;
    let (mut count, mut ended) = (0_u64, false);
    for (number, line) in (2..).zip(lines) {
        let line: Value = serde_json::from_str(&line?).with_context(|| format!("line {number}"))?;
        if let Some(end) = line.get("end") {
            ended = end.as_u64() == Some(count);
            break;
        }
        let held = (|| {
            let seq = line.get("seq")?.as_u64()?;
            let leaf = ledger::canonical::to_canonical(line.get("leaf")?).ok()?;
            let hashes: Vec<NodeHash> = line
                .get("proof")?
                .as_array()?
                .iter()
                .map(|hash| BASE64_STANDARD.decode(hash.as_str()?).ok()?.try_into().ok())
                .collect::<Option<_>>()?;
            let proof = InclusionProof { seq, size: checkpoint.size, root: checkpoint.root, hashes };
            let opened = line.get("details").is_none_or(|details| opens(line.get("leaf"), details));
            (proof.holds_for(leaf.as_bytes()) && opened).then_some(())
        })();
        if held.is_none() {
            say(format!("WRONG: line {number}, entry {}: not what was signed", line["seq"]));
            return Ok(ExitCode::FAILURE);
        }
        count += 1;
    }
    if !ended {
        say(format!("WRONG: the file ends after {count} entries, without the line that counts them"));
        return Ok(ExitCode::FAILURE);
    }
    say(format!(
        "{count} entries, each proven in the log of {} entries that {} signed",
        checkpoint.size, checkpoint.origin
    ));
    for witness in &policy.witnesses {
        match witness.cosigned_at(&checkpoint.note) {
            Some(at) => say(format!("cosigned by {} at {at}", witness.name())),
            None => say(format!("ATTENTION: not cosigned by {}", witness.name())),
        }
    }
    let beside = note_beside(file);
    if let Ok(text) = fs::read_to_string(&beside) {
        let hash = Sha256::digest(fs::read(file)?);
        let expected = statement(&checkpoint.origin, count, &hash);
        let signed = match signer {
            Some(key) => note::read_text(&text, key).is_ok_and(|signed| signed == expected),
            None => text.starts_with(&format!("{expected}\n")),
        };
        if !signed {
            say(format!("WRONG: {} is about another file, or signed by another key", beside.display()));
            return Ok(ExitCode::FAILURE);
        }
        say(match signer {
            Some(_) => "the whole file is signed: nothing was taken out",
            None => "a note about this very file lies beside it; check its signature with --signer-key",
        });
    } else if signer.is_some() {
        say(format!("WRONG: {} is missing", beside.display()));
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

/// Whether the opened texts are those that the entry committed to.
fn opens(leaf: Option<&Value>, details: &Value) -> bool {
    let details: Result<ledger::Details, _> = serde_json::from_value(details.clone());
    details.is_ok_and(|details| {
        details.committed.iter().all(|(place, opening)| {
            let pointer = format!("/{}", place.replace('.', "/"));
            let committed = leaf.and_then(|leaf| leaf.pointer(&pointer)).and_then(Value::as_str);
            committed == Some(opening.commitment(place).as_str())
        })
    })
}
