//! Fetches the receipts that came too late for the socket of their looks, once the witness has signed what covers them.

use super::{Mismatch, Receipts};
use chrono::Utc;
use protocol::client::ClientError;
use std::cell::RefCell;

/// Asks for each of these receipts, and checks and keeps what comes. Stops at the first answer that says nothing about the receipt
/// itself: what is left is asked for at the next cosignature.
///
/// # Errors
/// When the session is over.
pub async fn collect(
    receipts: &RefCell<Receipts>,
    entries: Vec<u64>,
    ask: impl AsyncFn(u64) -> Result<String, ClientError>,
) -> Result<(), ClientError> {
    for entry in entries {
        match ask(entry).await {
            Ok(proof) => receipts.borrow_mut().receipt(entry, &proof, Utc::now()),
            Err(ClientError::Problem(problem)) if problem.status == 401 => {
                return Err(ClientError::Problem(problem));
            }
            // Another's entry, or none, where the witness has signed that there is one: it was a look of this very person.
            Err(ClientError::Problem(problem)) if matches!(problem.status, 403 | 404) => {
                receipts.borrow_mut().withheld(entry);
            }
            Err(error) => {
                tracing::warn!(%error, entry, "a receipt could not be fetched; it is tried again");
                break;
            }
        }
    }
    Ok(())
}

impl Receipts {
    fn withheld(&mut self, entry: u64) {
        self.refused.insert(entry);
        self.wrong(Mismatch::Withheld(entry));
    }
}
