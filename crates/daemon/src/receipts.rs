//! What a client may keep of its own looks. Once the police's witness has cosigned a checkpoint that covers the entry of
//! a look, the client gets that entry with its proof (C2SP tlog-proof): it can check both without trusting this daemon,
//! and show them years later (`decisions.md` 15).
//!
//! A workstation is told on its media socket, as soon as there is something to tell; `GET /receipts/{seq}` gives any other
//! client the same text for any act of its own (a hold, an approval), made by the same [`ledger::Ledger::receipt`].

use crate::{
    api::App,
    media_socket::{Out, Outgoing},
};
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
    let mut covered = 0;
    health.mark_changed();
    loop {
        tokio::select! {
            entry = started.recv() => {
                let Some(entry) = entry else { return };
                waiting.insert(entry);
                if waiting.len() > MOST_WAITING {
                    waiting.pop_first();
                }
            }
            changed = health.changed() => {
                if changed.is_err() {
                    return;
                }
                let at = health.borrow_and_update().witnessed_at;
                if at.is_none() || at == told {
                    continue;
                }
                let Some(checkpoint) = app.ledger.witnessed_checkpoint() else { continue };
                told = at;
                covered = checkpoint.size;
                let witnessed = ServerMessage::Witnessed { checkpoint: checkpoint.note };
                if out.send(Outgoing::Control(witnessed)).await.is_err() {
                    return;
                }
            }
        }
        // The cosignature may have been faster than the look's own way to its client.
        let later = waiting.split_off(&covered);
        for entry in std::mem::replace(&mut waiting, later) {
            let ledger = app.ledger.clone();
            match tokio::task::spawn_blocking(move || ledger.receipt(entry)).await {
                Ok(Ok(proven)) => {
                    let receipt = ServerMessage::Receipt { ledger_seq: entry, proof: proven.to_text() };
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
