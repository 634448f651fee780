//! `verify` and `proof`.

use super::{
    LogAndKeys, epoch, export,
    keys::{Keys, Policy, text_or_file},
    say,
};
use anyhow::{Context as _, Result, bail, ensure};
use chrono::{Months, Utc};
use clap::Args;
use ledger::{
    InclusionProof, KeptProof, Known, MonthKeys, Published, Verified, note::Checkpoint, tree::leaf_hash,
};
use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Instant,
};

/// `rtrctl ledger verify`
#[derive(Args)]
pub(crate) struct Verify {
    /// The log's folder, or a copy of it; not needed with --proof or --export
    #[arg(required_unless_present_any = ["proof", "export"])]
    dir: Option<PathBuf>,
    #[command(flatten)]
    keys: Keys,
    /// Checks this entry only, with its proof
    #[arg(long, value_name = "SEQ")]
    entry: Option<u64>,
    /// A checkpoint or tlog-proof kept from earlier, or a workstation's file of receipts (`2026-11-22.jsonl`); each must be part
    /// of this log. May be given more than once
    #[arg(long, value_name = "FILE")]
    kept: Vec<PathBuf>,
    /// Another copy of the same log: the two must be one history; where they part is said. May be given more than once
    #[arg(long, value_name = "DIR")]
    other: Vec<PathBuf>,
    /// Checks a tlog-proof by itself, without a log
    #[arg(long, value_name = "FILE", conflicts_with_all = ["entry", "kept", "export"])]
    proof: Option<PathBuf>,
    /// The entry that the proof is about, when the proof does not bring it along
    #[arg(long, value_name = "FILE", requires = "proof")]
    leaf: Option<PathBuf>,
    /// Checks an export by itself, without a log
    #[arg(long, value_name = "FILE", conflicts_with_all = ["entry", "kept"])]
    export: Option<PathBuf>,
    /// The public key of whoever signed the export as a whole
    #[arg(long, value_name = "VKEY", requires = "export")]
    signer_key: Option<String>,
    /// The folder of the months' keys, so that the names an export opens are checked too
    #[arg(long, value_name = "FOLDER", requires = "export")]
    months: Option<PathBuf>,
    /// The log that this one follows after a loss, or what is left of it: checks that its end and this beginning are tied by a
    /// grant that a given witness signed
    #[arg(long, value_name = "DIR", requires = "previous_key")]
    previous: Option<PathBuf>,
    /// The public key of that log (text or file)
    #[arg(long, value_name = "VKEY|FILE", requires = "previous")]
    previous_key: Option<String>,
    /// How many years entries must have been kept before they were purged, at least four
    #[arg(long, value_name = "YEARS", default_value_t = 5, value_parser = clap::value_parser!(u32).range(4..=100))]
    log_term_years: u32,
    /// Fails also when no witness is given, when the newest cosignature is older than an hour, or when the clock went back
    #[arg(long)]
    strict: bool,
}

impl Verify {
    pub(crate) fn run(&self) -> Result<ExitCode> {
        let policy = self.keys.policy()?;
        if let Some(file) = &self.proof {
            return self.run_proof(file, &policy);
        }
        if let Some(file) = &self.export {
            let months = self.months.as_deref().map(MonthKeys::open).transpose()?;
            let checked = export::check(file, &policy, self.signer_key.as_deref(), months.as_ref())?;
            checked.lines.iter().for_each(say);
            return Ok(if checked.holds { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        let dir = super::folder(self.dir.as_deref().unwrap_or(Path::new(".")));
        if let Some(seq) = self.entry {
            return match Published::open(&dir, &policy.log).and_then(|mut log| log.prove(seq)) {
                Ok(proven) => {
                    say(String::from_utf8_lossy(&proven.leaf));
                    say(format!(
                        "entry {seq} stands in the log of {} entries that {} signed ({} hashes)",
                        proven.proof.size,
                        proven.checkpoint.origin,
                        proven.proof.hashes.len()
                    ));
                    Ok(cosigned(&policy, &proven.checkpoint.note))
                }
                Err(finding) => Ok(wrong(&[finding])),
            };
        }
        let kept: Vec<(String, String)> =
            self.kept.iter().map(|file| kept(file)).collect::<Result<Vec<_>>>()?.concat();
        let log_term = Months::new(self.log_term_years * 12);
        let known = Known { witnesses: policy.witnesses.clone(), kept, log_term };
        let began = Instant::now();
        match ledger::inspect(&dir, &policy.log, &known) {
            Ok(verified) => {
                report(&verified, &known, began.elapsed().as_secs_f64());
                let signed = |name: &str| verified.witnessed.iter().any(|(witness, _, _)| witness == name);
                let quorum = enough(policy.lacks(|witness| signed(witness.name())));
                if quorum != ExitCode::SUCCESS {
                    return Ok(quorum);
                }
                let fresh = verified.witnessed.iter().any(|(_, _, at)| (Utc::now() - *at).num_minutes() < 60);
                let strictly = fresh && verified.clock_back.is_empty();
                if self.strict && !strictly {
                    return Ok(ExitCode::FAILURE);
                }
                if !self.agrees(&dir, &policy.log)? {
                    return Ok(ExitCode::FAILURE);
                }
                match (&self.previous, &self.previous_key) {
                    (Some(previous), Some(key)) => {
                        epoch::follows(&dir, &policy, &super::folder(previous), &text_or_file(key)?)
                    }
                    _ => Ok(ExitCode::SUCCESS),
                }
            }
            Err(findings) => Ok(wrong(&findings)),
        }
    }

    /// Whether every other copy is of one history with this one.
    fn agrees(&self, dir: &Path, log_key: &str) -> Result<bool> {
        let mut agree = true;
        for copy in &self.other {
            let name = copy.display();
            let (own, other) =
                (Published::open(dir, log_key)?, Published::open(&super::folder(copy), log_key)?);
            match own.parts_from(&other)? {
                None => {
                    say(format!("  other       {name} ({} entries) is of the same history", other.size()));
                }
                Some(seq) => {
                    agree = false;
                    say(format!(
                        "WRONG: {name} holds another history, signed by the same log: the two part at entry {seq}"
                    ));
                }
            }
        }
        Ok(agree)
    }

    fn run_proof(&self, file: &Path, policy: &Policy) -> Result<ExitCode> {
        let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
        let kept = KeptProof::parse(&text).with_context(|| format!("{} is no tlog-proof", file.display()))?;
        let leaf = match (&self.leaf, &kept.extra) {
            (Some(leaf), _) => fs::read(leaf).with_context(|| leaf.display().to_string())?,
            (None, Some(leaf)) => leaf.clone(),
            (None, None) => bail!("the proof does not bring its entry along: give it with --leaf"),
        };
        let checkpoint = match Checkpoint::read(&kept.checkpoint, &policy.log) {
            Ok(checkpoint) => checkpoint,
            Err(e) => {
                say(format!("WRONG: {e}"));
                return Ok(ExitCode::FAILURE);
            }
        };
        let proof = InclusionProof {
            seq: kept.seq,
            size: checkpoint.size,
            root: checkpoint.root,
            hashes: kept.hashes,
        };
        if !proof.holds_for_hash(leaf_hash(&leaf)) {
            say(format!("WRONG: entry {} is not the one that was signed", kept.seq));
            return Ok(ExitCode::FAILURE);
        }
        say(String::from_utf8_lossy(&leaf));
        say(format!(
            "entry {} stands in the log of {} entries that {} signed",
            kept.seq, checkpoint.size, checkpoint.origin
        ));
        Ok(cosigned(policy, &kept.checkpoint))
    }
}

/// Says who cosigned a note, and whether that is enough.
fn cosigned(policy: &Policy, note: &str) -> ExitCode {
    for witness in &policy.witnesses {
        match witness.cosigned_at(note) {
            Some(at) => say(format!("cosigned by {} at {at}", witness.name())),
            None => say(format!("not cosigned by {}", witness.name())),
        }
    }
    enough(policy.lacks(|witness| witness.cosigned_at(note).is_some()))
}

/// Whether there are enough cosignatures, where `lacks` says what is missing.
fn enough(lacks: Option<String>) -> ExitCode {
    let Some(lacks) = lacks else { return ExitCode::SUCCESS };
    say(format!("WRONG: {lacks}; without it the host could show another history"));
    ExitCode::FAILURE
}

/// What a file holds: one checkpoint or proof, or a workstation's receipts, one JSON object a line.
fn kept(file: &Path) -> Result<Vec<(String, String)>> {
    let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let name = file.display().to_string();
    if !text.starts_with('{') {
        return Ok(vec![(name, text)]);
    }
    let receipt = |(number, line): (usize, &str)| {
        let receipt: serde_json::Value =
            serde_json::from_str(line).with_context(|| format!("{name}, line {number}"))?;
        let proof =
            receipt["proof"].as_str().with_context(|| format!("{name}, line {number}: no receipt"))?;
        Ok((format!("{name}, line {number}"), proof.to_owned()))
    };
    (1..).zip(text.lines()).map(receipt).collect()
}

pub(super) fn wrong(findings: &[ledger::VerifyError]) -> ExitCode {
    for finding in findings {
        say(format!("WRONG: {finding}"));
    }
    if let Some(position) = findings.iter().filter_map(ledger::VerifyError::position).min() {
        say(format!("the first place that is wrong: entry {position}"));
    }
    ExitCode::FAILURE
}

/// Says what was checked.
pub(crate) fn report(verified: &Verified, known: &Known, seconds: f64) {
    say(format!("the log {} holds", verified.origin));
    let mean = verified.bytes as f64 / (verified.size - verified.first).max(1) as f64;
    say(format!(
        "  entries     {} ({} to {}), {mean:.0} bytes each: every one hashed, every tile compared, canonical form",
        verified.size - verified.first,
        verified.first,
        verified.size.saturating_sub(1)
    ));
    if verified.first > 0 {
        say(format!(
            "  purged      the entries before {}, by a signed tombstone and an entry that says so",
            verified.first
        ));
    }
    if let Some(purged) = verified.purged {
        say(format!("              announced at {} as older than {}", purged.at, purged.before));
    }
    say("  checkpoint  signed by the log, and the tree has the root that was signed");
    for witness in &known.witnesses {
        match verified.witnessed.iter().find(|(name, _, _)| name == witness.name()) {
            Some((name, size, at)) => say(format!("  witness     {name} cosigned {size} entries at {at}")),
            None => say(format!("  witness     ATTENTION: no cosignature of {}", witness.name())),
        }
    }
    if known.witnesses.is_empty() {
        say("  witness     ATTENTION: no key given; without it the host could show another history");
    }
    match known.kept.as_slice() {
        [] => {}
        [(name, _)] => say(format!("  kept        {name} is part of this log")),
        [(first, _), .., (last, _)] => {
            say(format!(
                "  kept        {} of them, {first} to {last}: each is part of this log",
                known.kept.len()
            ));
        }
    }
    for (seq, by) in &verified.clock_back {
        say(format!("  clock       ATTENTION: it went back by {} s at entry {seq}", by.num_seconds()));
    }
    say(format!("  in          {seconds:.1} s"));
}

/// `rtrctl ledger proof`
#[derive(Args)]
pub(crate) struct Proof {
    #[command(flatten)]
    log: LogAndKeys,
    /// The entry
    seq: u64,
    /// Where to write it; standard output otherwise
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Leaves the entry itself out of the file
    #[arg(long)]
    bare: bool,
}

impl Proof {
    pub(crate) fn run(&self) -> Result<ExitCode> {
        let mut log = Published::open(&self.log.folder(), &self.log.policy()?.log)?;
        let proven = match log.prove(self.seq) {
            Ok(proven) => proven,
            Err(finding) => return Ok(wrong(&[finding])),
        };
        let text = if self.bare { proven.proof.to_text(&proven.checkpoint.note) } else { proven.to_text() };
        match &self.out {
            Some(file) => {
                ensure!(!file.exists(), "{} exists already", file.display());
                fs::write(file, text).with_context(|| file.display().to_string())?;
            }
            None => say(text.trim_end()),
        }
        Ok(ExitCode::SUCCESS)
    }
}
