//! What the vault had to drop because the disk was too slow or full: an alarm, and an entry of the log for each stretch.
//!
//! Groups of one stream that follow each other are one entry: a disk that is slow for an hour makes one entry a second and
//! stream at most.

use crate::{api::Rooms, clock::instant, recorder::gap_word};
use ledger::{Entry, Object as LogObject, Operation, Outcome};
use std::collections::BTreeMap;

/// Tells what was dropped since this was last called.
pub fn tell(app: &Rooms) {
    let mut by_stream: BTreeMap<_, vault::Loss> = BTreeMap::new();
    for loss in app.vault.take_losses() {
        by_stream
            .entry((loss.stream, loss.reason as u8))
            .and_modify(|known| {
                known.units += loss.units;
                known.from = known.from.min(loss.from);
            })
            .or_insert(loss);
    }
    for loss in by_stream.into_values() {
        let camera = app.streams.iter().find(|c| c.main.stream == loss.stream).map(|c| &c.camera);
        tracing::error!(
            stream = loss.stream.0,
            camera = camera.map(ToString::to_string),
            pictures = loss.units,
            "ALARM: the disk does not keep up; pictures of the least important stream were dropped"
        );
        let snapshot = app.gate.snapshot();
        let municipality =
            camera.and_then(|camera| snapshot.register.camera(camera)).map(|c| c.municipality.to_string());
        let mut entry = Entry::new(app.gate.clock().now(), Operation::Collect, "record.dropped");
        entry.object = Some(LogObject {
            kind: "camera".to_owned(),
            camera: camera.map(ToString::to_string),
            municipality,
            from: Some(instant(loss.from)),
            ..LogObject::default()
        });
        entry.outcome = Outcome::Failed { reason_code: gap_word(loss.reason).to_owned() };
        entry.data = Some(serde_json::json!({ "pictures": loss.units }));
        app.gate.log().append_spooled(entry);
    }
}
