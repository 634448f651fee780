//! From a hold to files. Everything here reads footage that an approval secured; it blocks, so it runs on threads of its own.
//! A file is never kept: it is made anew from the hold each time it is fetched, and is the same bytes each time.

use super::ExportError;
use crate::{
    clock::{instant, micros},
    recorder::gap_word,
    replay::gap_sentence,
    streams::Streams,
};
use aws_lc_rs::digest::{Context, SHA256};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use evidence::{ExportFile, FootageRequest, LeftOut, Placed, Planner};
use mandate::CameraId;
use media::{AccessUnit, GapReason, Micros, StreamId, mp4::Movie};
use protocol::api::StreamRole;
use vault::{Item, SpanKind, Vault, VaultError};

/// A stretch shorter than this between two files or at an edge is no gap: pictures follow each other in steps.
const STEP: i64 = 1_000_000;

/// Walks a hold's pictures file by file: whether the picture begins a file, and the picture. Stops when told.
fn walk(
    vault: &Vault,
    hold: &str,
    mut each: impl FnMut(bool, AccessUnit) -> Result<bool, ExportError>,
) -> Result<(), ExportError> {
    let mut planner = Planner::new();
    for item in vault.read_hold(hold)? {
        match item {
            Item::Gap { .. } => planner.pause(),
            Item::Unit(unit) => {
                let placed = planner.place(&unit);
                if placed != Placed::Nowhere && !each(placed == Placed::Begins, unit)? {
                    return Ok(());
                }
            }
        }
    }
    Ok(())
}

/// The stretch that a request's files present.
fn cut(request: &FootageRequest) -> (Micros, Micros) {
    (micros(request.asked.from), micros(request.asked.until))
}

/// Secures what an approved request names and finds its files. May be called again after it was cut short.
pub(crate) fn prepare(
    vault: &Vault,
    streams: &Streams,
    request: &FootageRequest,
) -> Result<(Vec<ExportFile>, Vec<LeftOut>), ExportError> {
    // First everything is secured, then it is looked at.
    for held in &request.held {
        let Some(streams) = streams.get(&held.camera) else { continue };
        let stream = streams.stream(StreamRole::Main);
        match vault.hold_also(&held.hold, stream, micros(held.from), micros(held.until), &held.out_of) {
            Ok(_) => {}
            // An earlier attempt made it and was cut short later; a name alone keeps nothing.
            Err(VaultError::HoldExists(_)) if is_made(vault, &held.hold) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let (from, until) = cut(request);
    let mut files = Vec::new();
    for held in &request.held {
        let mut movies: Vec<Movie> = Vec::new();
        walk(vault, &held.hold, |begins, unit| {
            if begins {
                movies.push(Movie::cut(from, until));
            }
            if let Some(movie) = movies.last_mut() {
                movie.push(&unit)?;
            }
            Ok(true)
        })?;
        let mut made = Vec::new();
        for (place, movie) in movies.into_iter().enumerate() {
            let start = instant(movie.start());
            made.push(ExportFile {
                number: (files.len() + place) as u32,
                name: format!("{}_{}.mp4", plain(&held.camera), start.format("%Y%m%dT%H%M%S%3fZ")),
                camera: held.camera.clone(),
                hold: held.hold.clone(),
                place: place as u32,
                from: start,
                until: instant(movie.end()),
                pictures: movie.samples() as u64,
                bytes: movie.file_bytes(),
                media_bytes: movie.media_bytes(),
                sha256: String::new(),
                downloads: 0,
                attempts: 0,
                waits: None,
                waits_log: None,
            });
        }
        for file in &mut made {
            file.sha256 = hash(vault, request, file)?;
        }
        files.extend(made);
    }
    let mut left_out = request.left_out.clone();
    for camera in &request.asked.cameras {
        let Some(stream) = streams.get(camera).map(|s| s.stream(StreamRole::Main)) else { continue };
        for (from, until) in holes(request, camera, &files) {
            left_out.extend(reasons(vault, stream, camera, from, until)?);
        }
    }
    left_out.sort_by(|a, b| (&a.camera, a.from).cmp(&(&b.camera, b.from)));
    Ok((files, left_out))
}

/// Whether a hold keeps everything that it could get: both copies are there, or it says how much is missing.
fn is_made(vault: &Vault, hold: &str) -> bool {
    vault.held(hold).is_some_and(|held| held.whole || held.missing > 0)
}

/// A camera's id as part of a file's name.
fn plain(camera: &CameraId) -> String {
    camera.as_str().chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).collect()
}

/// What was asked of a camera and is neither in a file nor known to be refused.
fn holes(request: &FootageRequest, camera: &CameraId, files: &[ExportFile]) -> Vec<(Micros, Micros)> {
    let known = request.left_out.iter().filter(|l| l.camera == *camera).map(|l| (l.from, l.until));
    let made = files.iter().filter(|f| f.camera == *camera).map(|f| (f.from, f.until));
    let mut covered: Vec<(DateTime<Utc>, DateTime<Utc>)> = known.chain(made).collect();
    covered.sort_unstable();
    let (mut at, end) = cut(request);
    let mut holes = Vec::new();
    for (from, until) in covered.into_iter().map(|(f, u)| (micros(f), micros(u))).chain([(end, end)]) {
        if from.0 - at.0 > STEP {
            holes.push((at, from));
        }
        at = at.max(until);
    }
    holes
}

/// Why there is nothing in a stretch.
fn reasons(
    vault: &Vault,
    stream: StreamId,
    camera: &CameraId,
    from: Micros,
    until: Micros,
) -> Result<Vec<LeftOut>, VaultError> {
    let spans = vault.spans(stream, from, until)?;
    let whole = spans.is_empty().then_some((from, until, SpanKind::Gap(GapReason::NotRunning)));
    let spans = spans.into_iter().map(|span| (span.from, span.until, span.kind)).chain(whole);
    let left_out = spans.filter(|(from, until, _)| until.0 - from.0 > STEP).map(|(from, until, kind)| {
        let (reason, nl, en) = match kind {
            SpanKind::Gap(reason) => {
                let sentence = gap_sentence(reason);
                (gap_word(reason), sentence.nl, sentence.en)
            }
            SpanKind::Recorded => (
                "no_key_frame",
                "Niet te decoderen: het sleutelbeeld ervoor ontbreekt of mag niet worden verstrekt."
                    .to_owned(),
                "It cannot be decoded: the key frame before it is missing or may not be given.".to_owned(),
            ),
        };
        let (from, until) = (instant(from), instant(until));
        LeftOut { camera: camera.clone(), from, until, reason: reason.to_owned(), nl, en }
    });
    Ok(left_out.collect())
}

/// Makes a file, piece by piece, in order. Ends early when `sink` says that nobody wants more.
pub(crate) fn file(
    vault: &Vault,
    request: &FootageRequest,
    file: &ExportFile,
    mut sink: impl FnMut(Bytes) -> bool,
) -> Result<(), ExportError> {
    let (from, until) = cut(request);
    let mut movie = Movie::cut(from, until);
    let mut place = None::<u32>;
    if !sink(Movie::head(file.media_bytes).into()) {
        return Ok(());
    }
    let mut wanted = true;
    walk(vault, &file.hold, |begins, unit| {
        if begins {
            place = Some(place.map_or(0, |place| place + 1));
        }
        if place == Some(file.place) {
            movie.push(&unit)?;
            wanted = sink(unit.payload);
        }
        Ok(wanted && place <= Some(file.place))
    })?;
    if wanted {
        sink(movie.tail().into());
    }
    Ok(())
}

/// SHA-256 of a file as it would be sent now, in hex.
pub(crate) fn hash(
    vault: &Vault,
    request: &FootageRequest,
    export: &ExportFile,
) -> Result<String, ExportError> {
    let mut digest = Context::new(&SHA256);
    file(vault, request, export, |bytes| {
        digest.update(&bytes);
        true
    })?;
    Ok(crate::identity::hex(digest.finish().as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use vault::VaultConfig;

    /// A name that was taken and never claimed is no hold, so that a request whose preparing was cut short is not done.
    #[test]
    fn a_name_alone_is_no_hold() {
        let folder = tempfile::tempdir().unwrap();
        let keys = [folder.path().join("a"), folder.path().join("b")];
        let vault = Vault::open(VaultConfig::new(folder.path().join("vault"), keys)).unwrap();
        std::fs::create_dir_all(folder.path().join("a/holds/case")).unwrap();
        let hold = || vault.hold("case", StreamId(1), Micros(0), Micros(1));
        assert!(matches!(hold(), Err(VaultError::HoldExists(_))) && !is_made(&vault, "case"));
        std::fs::remove_dir(folder.path().join("a/holds/case")).unwrap();
        hold().unwrap();
        assert!(matches!(hold(), Err(VaultError::HoldExists(_))) && is_made(&vault, "case"));
    }
}
