//! An export checked by itself, with nothing but the file and keys: every entry by its path to the signed root, the range by
//! its numbers, opened names by the months' keys, the whole by the signature beside it.

use super::{SCHEMA, Selection, note_beside, statement};
use crate::ledger::keys::Policy;
use anyhow::{Context as _, Result, bail, ensure};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use ledger::{
    Details, InclusionProof, MonthKeys,
    note::{self, Checkpoint},
    tree::NodeHash,
};
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader},
    path::Path,
};

/// What a check found, in the words that are printed.
pub(in crate::ledger) struct Checked {
    pub(in crate::ledger) holds: bool,
    pub(in crate::ledger) lines: Vec<String>,
}

impl Checked {
    fn wrong(mut lines: Vec<String>, why: impl std::fmt::Display) -> Self {
        lines.push(format!("WRONG: {why:#}"));
        Self { holds: false, lines }
    }
}

/// The first line.
#[derive(Deserialize)]
struct Head {
    checkpoint: String,
    from: u64,
    to: u64,
    #[serde(flatten)]
    selection: Selection,
    #[serde(default)]
    persons: String,
    /// Exports from before it was asked have none.
    purpose: Option<String>,
}

/// Checks the file. `months` are the months' keys, for the names that it opens; `signer` is the key of whoever signed it whole.
pub(in crate::ledger) fn check(
    file: &Path,
    policy: &Policy,
    signer: Option<&str>,
    months: Option<&MonthKeys>,
) -> Result<Checked> {
    let mut reader = Lines::open(file)?;
    let head = reader.next()?.context("an empty file")?;
    ensure!(head["schema"] == SCHEMA, "{} is no export of a log", file.display());
    let head: Head = serde_json::from_value(head).context("line 1, the head of the export")?;
    let checkpoint = Checkpoint::read(&head.checkpoint, &policy.log)?;
    let mut body =
        Body { head: &head, checkpoint: &checkpoint, months, next: head.from, count: 0, unchecked: 0 };
    if let Err(why) = body.read(&mut reader) {
        return Ok(Checked::wrong(Vec::new(), why));
    }
    let Body { count, unchecked, .. } = body;

    let mut lines = vec![format!(
        "{count} entries, each entry proven in the log of {} entries that {} signed",
        checkpoint.size, checkpoint.origin
    )];
    let (from, to) = (head.from, head.to);
    lines.push(match head.selection.words() {
        None => format!("every entry from {from} up to {to} is there"),
        Some(words) => format!("a selection of the entries from {from} up to {to}: {words}"),
    });
    lines.extend(head.purpose.as_ref().map(|purpose| format!("made for the purpose {purpose}")));
    for witness in &policy.witnesses {
        lines.push(match witness.cosigned_at(&checkpoint.note) {
            Some(at) => format!("cosigned by {} at {at}", witness.name()),
            None => format!("ATTENTION: not cosigned by {}", witness.name()),
        });
    }
    if let Some(lacks) = policy.lacks(|witness| witness.cosigned_at(&checkpoint.note).is_some()) {
        return Ok(Checked::wrong(lines, lacks));
    }
    let hash = reader.hash();
    let beside = note_beside(file);
    let text = fs::read_to_string(&beside).ok();
    let expected = statement(&checkpoint.origin, count, &hash);
    let signed = match (&text, signer) {
        (Some(text), Some(key)) => note::read_text(text, key).is_ok_and(|signed| signed == expected),
        (Some(text), None) => text.starts_with(&format!("{expected}\n")),
        (None, Some(_)) => return Ok(Checked::wrong(lines, format_args!("{} is missing", beside.display()))),
        (None, None) => true,
    };
    if !signed {
        let why = format!("{} is about another file, or signed by another key", beside.display());
        return Ok(Checked::wrong(lines, why));
    }
    let whole = signer.is_some();
    match (&text, whole) {
        (_, true) => lines.push("the whole file is signed: nothing was taken out".to_owned()),
        (Some(_), false) => {
            let words = "a note about this very file lies beside it; check its signature with --signer-key";
            lines.push(words.to_owned());
        }
        (None, false) => {}
    }
    if head.selection.words().is_some() && !whole {
        let words = "ATTENTION: whether the selection is complete is nobody's word: the file is not signed as a whole";
        lines.push(words.to_owned());
    }
    if unchecked > 0 {
        let by = if whole { "as the signer opened them" } else { "whatever the file says" };
        let why = if months.is_some() {
            "their month's key is gone"
        } else {
            "give the months' keys with --months"
        };
        lines.push(format!("ATTENTION: the names in {unchecked} entries are {by}, not proven: {why}"));
    } else if months.is_some() && head.persons == "opened" {
        lines.push("every name is that of the person behind the entry's pseudonym".to_owned());
    }
    Ok(Checked { holds: true, lines })
}

/// What comes between the head and the end.
struct Body<'a> {
    head: &'a Head,
    checkpoint: &'a Checkpoint,
    months: Option<&'a MonthKeys>,
    /// The lowest number that may come next.
    next: u64,
    count: u64,
    /// Entries with names that no key could prove.
    unchecked: u64,
}

impl Body<'_> {
    fn read(&mut self, lines: &mut Lines) -> Result<()> {
        let (from, to, size) = (self.head.from, self.head.to, self.checkpoint.size);
        if from > to || to > size {
            bail!("line 1: entries from {from} up to {to} of a log of {size}");
        }
        loop {
            let Some(line) = lines.next()? else {
                bail!("the file ends after {} entries, without the line that counts them", self.count);
            };
            let number = lines.number;
            if let Some(end) = line.get("end") {
                if end.as_u64() != Some(self.count) {
                    bail!("line {number} counts {end} entries, and there are {}", self.count);
                }
                break;
            }
            self.entry(&line).with_context(|| format!("line {number}, entry {}", line["seq"]))?;
        }
        if self.head.selection.words().is_none() && self.next < to {
            bail!("entries {} to {} were taken out", self.next, to - 1);
        }
        if lines.next()?.is_some() {
            bail!("line {}: something stands behind the line that ends the export", lines.number);
        }
        Ok(())
    }

    fn entry(&mut self, line: &Value) -> Result<()> {
        let leaf = line.get("leaf").context("it has no leaf")?;
        let (seq, proof) = self.proof(line).context("it has no proof")?;
        let text = ledger::canonical::to_canonical(leaf).unwrap_or_default();
        ensure!(proof.holds_for(text.as_bytes()), "not what was signed");
        if seq < self.next || seq >= self.head.to {
            bail!("it is not of this range, or stands there twice");
        }
        match self.head.selection.words() {
            None if seq > self.next => bail!("entries {} to {} before it were taken out", self.next, seq - 1),
            Some(_) if !self.head.selection.takes(leaf) => bail!("it is not of this selection"),
            _ => {}
        }
        self.names(leaf, line.get("details"))?;
        self.next = seq + 1;
        self.count += 1;
        Ok(())
    }

    fn proof(&self, line: &Value) -> Option<(u64, InclusionProof)> {
        let seq = line.get("seq")?.as_u64()?;
        let hash = |hash: &Value| BASE64_STANDARD.decode(hash.as_str()?).ok()?.try_into().ok();
        let hashes: Vec<NodeHash> = line.get("proof")?.as_array()?.iter().map(hash).collect::<Option<_>>()?;
        let (size, root) = (self.checkpoint.size, self.checkpoint.root);
        Some((seq, InclusionProof { seq, size, root, hashes }))
    }

    /// Opened names and texts, against the entry.
    fn names(&mut self, leaf: &Value, details: Option<&Value>) -> Result<()> {
        let details: Option<Details> = details
            .map(|details| serde_json::from_value(details.clone()))
            .transpose()
            .context("its details are not of this format")?;
        let named = details.as_ref().is_some_and(|d| d.actor.is_some() || d.object.is_some());
        let proven = match (&details, self.months) {
            (Some(details), Some(months)) => months.check(leaf, Some(details))?,
            (Some(details), None) => details.fit_commitments(leaf).map(|()| false)?,
            // Names that were opened are not left out here and there, as long as their month's key exists.
            (None, Some(months)) if self.head.persons == "opened" => months.check(leaf, None)?,
            (None, _) => true,
        };
        self.unchecked += u64::from(named && !proven);
        Ok(())
    }
}

/// The lines of a file as JSON, hashed as they are read.
struct Lines {
    reader: BufReader<File>,
    hash: Sha256,
    number: u64,
}

impl Lines {
    fn open(file: &Path) -> Result<Self> {
        let reader = BufReader::new(File::open(file).with_context(|| file.display().to_string())?);
        Ok(Self { reader, hash: Sha256::new(), number: 0 })
    }

    fn next(&mut self) -> Result<Option<Value>> {
        let mut line = Vec::new();
        if self.reader.read_until(b'\n', &mut line)? == 0 {
            return Ok(None);
        }
        self.number += 1;
        self.hash.update(&line);
        serde_json::from_slice(&line).map(Some).with_context(|| format!("line {} is not JSON", self.number))
    }

    fn hash(self) -> Vec<u8> {
        self.hash.finalize().to_vec()
    }
}
