//! Beginning the log anew after a loss, as the police granted it (decision 15). Three steps, two machines:
//!
//! 1. on the host, with the new `origin` in the configuration: `rtrd --config FILE epoch prepare` makes the new log's key;
//! 2. at the police: `rtr-witness epoch` signs the grant for that key;
//! 3. on the host: `rtrd --config FILE epoch begin --grant FILE` puts the old log aside, unchanged, and starts the new one
//!    with the grant as its first entry and the register's head as its second.

use crate::journal::RECORD;
use anyhow::{Context as _, Result, ensure};
use chrono::Utc;
use ledger::{
    Entry, Ledger, LedgerConfig, Operation, WitnessKey,
    epoch::{ACTION, Grant},
    note::LogKey,
};
use rusqlite::{Connection, OpenFlags, OptionalExtension as _};
use settings::Settings;
use std::{fs, path::Path};

/// Makes the new log's key beside the old one and prints its public half.
///
/// # Errors
/// When the origin is still the old one, or the key cannot be written.
pub fn prepare(settings: &Settings) -> Result<()> {
    let data = &settings.daemon.data;
    let old = fs::read_to_string(data.join("ledger.vkey")).unwrap_or_default();
    ensure!(
        !old.starts_with(&format!("{}+", settings.daemon.origin)),
        "give the new log another `origin` in the configuration first: two histories under one name are a fork"
    );
    let key = LogKey::load_or_create(&data.join("ledger-next.key"), &settings.daemon.origin)?;
    fs::write(data.join("ledger-next.vkey"), format!("{}\n", key.vkey()))?;
    println!("{}", key.vkey());
    Ok(())
}

/// Puts the old log aside and begins the new one.
///
/// # Errors
/// When no configured witness signed the grant, when it is about other logs, or when a file cannot be moved or written.
pub async fn begin(settings: &Settings, grant: &Path) -> Result<()> {
    let data = &settings.daemon.data;
    let note = fs::read_to_string(grant).with_context(|| grant.display().to_string())?;
    let witnesses = settings
        .daemon
        .witnesses
        .iter()
        .map(|vkey| WitnessKey::parse(vkey))
        .collect::<Result<Vec<_>, _>>()?;
    let (granted, at) = Grant::read(&note, &witnesses).context("no configured witness signed this grant")?;
    let next = data.join("ledger-next.key");
    ensure!(next.exists(), "there is no prepared key: run `epoch prepare` first");
    let key = LogKey::load_or_create(&next, &settings.daemon.origin)?;
    ensure!(granted.new_log == key.vkey(), "the grant is for another new log than the one prepared here");
    let old = fs::read_to_string(data.join("ledger.vkey")).unwrap_or_default();
    ensure!(granted.old_log == old.trim(), "the grant is about another old log than the one here");
    let head = register_head(&data.join("journal.sqlite"))?;

    for (from, to) in
        [("ledger", ""), ("ledger.key", ".key"), ("ledger.vkey", ".vkey"), ("ledger.witnessed", ".witnessed")]
    {
        if !data.join(from).exists() {
            continue;
        }
        let to = data.join(format!("ledger-until-{}{to}", granted.size));
        ensure!(!to.exists(), "{} exists already", to.display());
        fs::rename(data.join(from), &to).with_context(|| to.display().to_string())?;
    }
    fs::rename(next, data.join("ledger.key"))?;
    fs::rename(data.join("ledger-next.vkey"), data.join("ledger.vkey"))?;
    let config =
        LedgerConfig::new(data.join("ledger"), data.join("ledger.key"), settings.daemon.origin.clone());
    let ledger = Ledger::open(config)?;
    let mut first = Entry::new(Utc::now(), Operation::Admin, ACTION);
    first.data = Some(serde_json::json!({ "grant": note, "granted": at.to_rfc3339() }));
    ledger.append(first).await?;
    if let Some(head) = head {
        // The journal goes on from this leaf, as it would from the one in the old log (decision 10).
        let mut entry = Entry::new(Utc::now(), Operation::Admin, RECORD);
        entry.data = Some(head);
        ledger.append(entry).await?;
    }
    let size = ledger.size();
    ledger.published().wait_for(|published| *published >= size).await?;
    println!("the log {} begins; the old one lies in ledger-until-{}", settings.daemon.origin, granted.size);
    Ok(())
}

/// What the journal's newest effective event is, in the words of its leaf.
fn register_head(journal: &Path) -> Result<Option<serde_json::Value>> {
    if !journal.exists() {
        return Ok(None);
    }
    let db = Connection::open_with_flags(journal, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let newest =
        "SELECT seq, hash, kind, version FROM events WHERE state = 'effective' ORDER BY seq DESC LIMIT 1";
    let head = db
        .query_row(newest, [], |row| {
            let (seq, hash): (i64, String) = (row.get(0)?, row.get(1)?);
            let (kind, version): (String, u32) = (row.get(2)?, row.get(3)?);
            Ok(serde_json::json!({ "journal": seq, "event": hash, "kind": kind, "version": version, "restated": true }))
        })
        .optional()?;
    Ok(head)
}
