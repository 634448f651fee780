//! Two epochs of one log: the old one ended at what the police witnessed, the new one begins with their grant (decision 15).

use super::{
    keys::Policy,
    say,
    verify::{report, wrong},
};
use anyhow::{Result, bail};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use ledger::{
    Known, Published,
    epoch::{ACTION, Grant},
};
use std::{path::Path, process::ExitCode, time::Instant};

/// Checks that the log in `dir`, which holds, follows the one in `previous` as a witness granted. 0 when the old log is whole up
/// to where the police witnessed it; 1 when entries are lost, and which.
pub(super) fn follows(dir: &Path, policy: &Policy, previous: &Path, previous_key: &str) -> Result<ExitCode> {
    let mut log = Published::open(dir, &policy.log)?;
    if log.first() > 0 {
        bail!("the beginning of the new log was purged at the end of its term, and the grant with it");
    }
    let first: serde_json::Value = serde_json::from_slice(&log.leaf(0)?)?;
    let note = first.pointer("/data/grant").and_then(serde_json::Value::as_str).unwrap_or_default();
    let Some((grant, at)) = Grant::read(note, &policy.witnesses).filter(|_| first["action"] == ACTION) else {
        say("WRONG: the first entry carries no grant that a given witness signed");
        return Ok(ExitCode::FAILURE);
    };
    if grant.new_log != policy.log || grant.old_log != previous_key {
        say("WRONG: the grant is about other logs than these two");
        return Ok(ExitCode::FAILURE);
    }
    say(format!(
        "\ngranted at {at}: {} follows its epoch before at {} entries ({})",
        log.checkpoint().origin,
        grant.size,
        grant.reason
    ));
    let known = Known { witnesses: policy.witnesses.clone(), ..Known::default() };
    let began = Instant::now();
    let verified = match ledger::inspect(previous, previous_key, &known) {
        Ok(verified) => verified,
        Err(findings) => return Ok(wrong(&findings)),
    };
    report(&verified, &known, began.elapsed().as_secs_f64());
    if let Some((name, size, signed_at)) = verified.witnessed.iter().find(|(_, size, _)| *size > grant.size) {
        say(format!(
            "WRONG: {name} cosigned {size} entries of the epoch before at {signed_at}, and the grant ends it at {}",
            grant.size
        ));
        return Ok(ExitCode::FAILURE);
    }
    let old = Published::open(previous, previous_key)?;
    if old.size() < grant.size {
        say(format!(
            "LOST: entries {} to {} of the epoch before, which the police had witnessed, are not here",
            old.size(),
            grant.size - 1
        ));
        return Ok(ExitCode::FAILURE);
    }
    if old.tree().root_at(grant.size).map(|root| BASE64_STANDARD.encode(root)) != Some(grant.root) {
        say(format!("WRONG: its first {} entries are not what the police witnessed", grant.size));
        return Ok(ExitCode::FAILURE);
    }
    say(format!("whole: the epoch before has all {} entries that the police witnessed", grant.size));
    if old.size() > grant.size {
        say(format!("  and {} after them that nobody witnessed", old.size() - grant.size));
    }
    Ok(ExitCode::SUCCESS)
}
