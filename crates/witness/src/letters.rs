//! The one-way road: networks that are separate, and a stick that is carried. The host writes a request, the police answer
//! it on their own machine, and the host takes the answer. The request is the body of C2SP tlog-witness `add-checkpoint`, the
//! answer the cosignature line with the checkpoint it is about.

use crate::{Refusal, Witness, http};
use chrono::{DateTime, Utc};
use ledger::{Published, note::Checkpoint};
use std::{fs, path::Path};

/// Writes a request for the newest checkpoint of the log in `dir`, with the proof that it extends the newest cosigned one.
/// Made on the host; needs no key but the log's public one.
///
/// # Errors
/// When the log cannot be read.
pub fn request(dir: &Path, log_vkey: &str, old: Option<u64>) -> Result<String, Refusal> {
    let unreadable = |e: &dyn ToString| Refusal::Unknown(e.to_string());
    let log = Published::open(dir, log_vkey).map_err(|e| unreadable(&e))?;
    let old = old.unwrap_or_else(|| log.cosigned().map_or(0, |cosigned| cosigned.size));
    let proof = log.tree().consistency(old, log.size());
    let proof = proof.ok_or_else(|| unreadable(&format!("no proof from {old} entries to {}", log.size())))?;
    Ok(proof.request(&log.checkpoint().note))
}

/// Answers a request: the checkpoint with the log's signature and the fresh cosignature.
///
/// # Errors
/// As [`Witness::add_checkpoint`].
pub fn answer(witness: &mut Witness, request: &str, now: DateTime<Utc>) -> Result<String, Refusal> {
    let malformed = || Refusal::Malformed("not a request of rtr-witness".to_owned());
    let (old, proof, note) = http::parse(request).ok_or_else(malformed)?;
    let line = witness.add_checkpoint(old, proof, note, now)?;
    let checkpoint =
        Checkpoint::read(note, witness.log_vkey()).map_err(|e| Refusal::Unknown(e.to_string()))?;
    Ok(checkpoint.with_cosignatures(&line))
}

/// Leaves an answer in the log's folder, where the ledger takes it up and checks it by the witnesses it trusts.
///
/// # Errors
/// When it is not about this log, or cannot be written.
pub fn deliver(dir: &Path, log_vkey: &str, answer: &str) -> Result<u64, Refusal> {
    let checkpoint = Checkpoint::read(answer, log_vkey).map_err(|e| Refusal::Unknown(e.to_string()))?;
    let fresh = dir.join("cosignature.new");
    fs::write(&fresh, answer)?;
    fs::rename(fresh, dir.join("cosignature"))?;
    Ok(checkpoint.size)
}
