//! What a client may keep of its own looks. Once the police's witness has cosigned a checkpoint that covers the entry of
//! a look, the client gets that entry with its proof (C2SP tlog-proof): it can check both without trusting this daemon,
//! and show them years later (`decisions.md` 15).

use crate::{
    api::App,
    media_socket::{Out, Outgoing},
};
use ledger::{LedgerError, note::Checkpoint};
use protocol::socket::ServerMessage;
use std::collections::BTreeSet;
use tokio::sync::mpsc::UnboundedReceiver;

/// Entries that wait for the witness; at sixteen looks a minute this is eight hours without one.
const MOST_WAITING: usize = 8192;

/// Tells one socket of each newer cosignature, and sends the receipts of the looks that began on it. `started` brings the
/// entries of their starts. Ends with the socket.
pub(crate) async fn run(app: App, mut started: UnboundedReceiver<u64>, out: Out) {
    let mut health = app.gate.log().health();
    let mut waiting = BTreeSet::new();
    let mut told = None;
    health.mark_changed();
    loop {
        tokio::select! {
            entry = started.recv() => {
                let Some(entry) = entry else { return };
                waiting.insert(entry);
                if waiting.len() > MOST_WAITING {
                    waiting.pop_first();
                }
                continue;
            }
            changed = health.changed() => {
                if changed.is_err() {
                    return;
                }
            }
        }
        let at = health.borrow_and_update().witnessed_at;
        if at.is_none() || at == told {
            continue;
        }
        let Some(checkpoint) = app.ledger.witnessed_checkpoint() else { continue };
        told = at;
        let witnessed = ServerMessage::Witnessed { checkpoint: checkpoint.note.clone() };
        if out.send(Outgoing::Control(witnessed)).await.is_err() {
            return;
        }
        let later = waiting.split_off(&checkpoint.size);
        let covered = std::mem::replace(&mut waiting, later);
        for entry in covered {
            let (ledger, checkpoint) = (app.ledger.clone(), checkpoint.clone());
            let read = tokio::task::spawn_blocking(move || receipt(&ledger, entry, &checkpoint)).await;
            match read {
                Ok(Ok(proof)) => {
                    let receipt = ServerMessage::Receipt { ledger_seq: entry, proof };
                    if out.send(Outgoing::Control(receipt)).await.is_err() {
                        return;
                    }
                }
                Ok(Err(error)) => tracing::error!(%error, entry, "no receipt for a look"),
                Err(error) => tracing::error!(%error, entry, "no receipt for a look"),
            }
        }
    }
}

/// An entry with its proof under a cosigned checkpoint. Reads from disk.
fn receipt(ledger: &ledger::Ledger, entry: u64, checkpoint: &Checkpoint) -> Result<String, LedgerError> {
    let proof = ledger.inclusion(entry, checkpoint.size)?;
    Ok(proof.to_text_with(&ledger.leaf(entry)?, &checkpoint.note))
}
