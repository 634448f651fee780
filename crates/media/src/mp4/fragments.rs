//! The fragmented file: a head that names the first parameters, then one fragment per group of pictures.
//!
//! A camera may change its parameters on the way, and players skip a second head. So the sample entry is one that allows
//! parameter sets among the pictures (`avc3`, `hev1`; ISO/IEC 14496-15 clauses 5.4.2 and 8.4.1), and where they change,
//! the new sets stand before the key frame.

use super::{Mp4Error, boxes, pause_between, ticks};
use crate::{AccessUnit, Micros, Parameters, parameter_sets};
use boxes::{TRACK, boxed, full, put32, put64};
use bytes::Bytes;
use std::sync::Arc;

/// A group longer than this is cut into several fragments, so that memory stays bounded.
const LARGEST_FRAGMENT: usize = 8 << 20;
/// The same, in pictures.
const LONGEST_FRAGMENT: usize = 600;
/// Seconds from 1900-01-01 to 1970-01-01 UTC.
const NTP_EPOCH: i64 = 2_208_988_800;
/// Flags of a sample that others need, and that needs none or others (ISO/IEC 14496-12 clause 8.8.3.1).
const KEY: u32 = 0x0200_0000;
const NOT_KEY: u32 = 0x0101_0000;

/// A fragmented file as a stream: give it pictures, send what it gives.
///
/// Media time 0 is the first picture's capture; a stretch without pictures is a leap of media time.
#[derive(Debug, Default)]
pub struct Fragments {
    shown_from: Option<Micros>,
    parameters: Option<Arc<Parameters>>,
    origin: Micros,
    sequence: u32,
    decoded: i64,
    group: Vec<AccessUnit>,
    group_bytes: usize,
}

impl Fragments {
    /// A stream without pictures yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A stream that presents pictures from an instant on; those before it are for decoding only.
    pub fn shown_from(from: Micros) -> Self {
        Self { shown_from: Some(from), ..Self::default() }
    }

    /// Takes the next picture and gives what can be sent: the head before the first, and whole groups.
    ///
    /// # Errors
    /// [`Mp4Error::NotAKey`] at the start and where parameters change; [`Mp4Error::CodecChanged`], after which
    /// [`Fragments::finish`] gives the rest and the picture begins a new stream.
    pub fn push(&mut self, unit: &AccessUnit) -> Result<Vec<Bytes>, Mp4Error> {
        let mut out = Vec::new();
        let changed;
        let mut unit = unit;
        match &self.parameters {
            None if !unit.key => return Err(Mp4Error::NotAKey),
            None if unit.parameters.record.is_empty() => return Err(Mp4Error::NoParameters),
            None => {
                self.parameters = Some(Arc::clone(&unit.parameters));
                self.origin = unit.captured;
                self.decoded = -1;
                out.push(head(&unit.parameters, unit.captured, self.shown_from.unwrap_or(unit.captured)));
            }
            Some(known) if known.codec != unit.parameters.codec => {
                return Err(Mp4Error::CodecChanged { from: known.codec, to: unit.parameters.codec });
            }
            Some(known) if known.record != unit.parameters.record => {
                if !unit.key {
                    return Err(Mp4Error::NotAKey);
                }
                let sets = parameter_sets(known.codec, &unit.parameters.record);
                let mut payload = sets.ok_or(Mp4Error::NoParameters)?;
                payload.extend_from_slice(&unit.payload);
                self.parameters = Some(Arc::clone(&unit.parameters));
                changed = AccessUnit { payload: payload.into(), ..unit.clone() };
                unit = &changed;
            }
            Some(_) => {}
        }
        let full = self.group_bytes + unit.payload.len() > LARGEST_FRAGMENT
            || self.group.len() >= LONGEST_FRAGMENT
            || self.group.last().is_some_and(|last| pause_between(last, unit));
        if unit.key || full {
            self.fragment(Some(unit), &mut out)?;
        }
        self.group_bytes += unit.payload.len();
        self.group.push(unit.clone());
        Ok(out)
    }

    /// What is left: the last group.
    ///
    /// # Errors
    /// [`Mp4Error::TooLong`].
    pub fn finish(&mut self) -> Result<Vec<Bytes>, Mp4Error> {
        let mut out = Vec::new();
        self.fragment(None, &mut out)?;
        Ok(out)
    }

    /// Writes the group that waits as a fragment; `next` is the picture after it.
    fn fragment(&mut self, next: Option<&AccessUnit>, out: &mut Vec<Bytes>) -> Result<(), Mp4Error> {
        let group = std::mem::take(&mut self.group);
        let bytes = std::mem::take(&mut self.group_bytes);
        let Some(first) = group.first() else { return Ok(()) };
        let presented = |unit: &AccessUnit| ticks(unit.captured.0.saturating_sub(self.origin.0));
        let mut decoded = Vec::with_capacity(group.len() + 1);
        for unit in group.iter().chain(next) {
            let at = presented(unit).max(decoded.last().copied().unwrap_or(self.decoded) + 1);
            decoded.push(at);
        }
        let mut samples = Vec::with_capacity(group.len());
        for (place, unit) in group.iter().enumerate() {
            let at = decoded.get(place).copied().unwrap_or_default();
            let after = group.get(place + 1).or(next).filter(|after| !pause_between(unit, after));
            let duration = match (after, decoded.get(place + 1)) {
                (Some(_), Some(then)) => then - at,
                _ => i64::from(unit.duration.max(1)),
            };
            let number = |value: i64| u32::try_from(value).map_err(|_| Mp4Error::TooLong);
            let size = u32::try_from(unit.payload.len()).map_err(|_| Mp4Error::TooLong)?;
            let shift = i32::try_from(presented(unit) - at).map_err(|_| Mp4Error::TooLong)?;
            samples.push((number(duration)?, size, if unit.key { KEY } else { NOT_KEY }, shift));
            self.decoded = at;
        }
        self.sequence += 1;
        let base = decoded.first().copied().unwrap_or_default().max(0) as u64;
        let mut head = Vec::with_capacity(160 + samples.len() * 16);
        // Version 1 with 64 bits of media time; flags 24: when it was captured.
        full(&mut head, *b"prft", 1, 24, |out| {
            put32(out, TRACK);
            put64(out, ntp(first.captured));
            put64(out, base);
        });
        let start = head.len();
        boxed(&mut head, *b"moof", |out| {
            full(out, *b"mfhd", 0, 0, |out| put32(out, self.sequence));
            boxed(out, *b"traf", |out| {
                full(out, *b"tfhd", 0, 0x02_0000, |out| put32(out, TRACK)); // offsets count from this moof
                full(out, *b"tfdt", 1, 0, |out| put64(out, base));
                // Data offset; per sample: duration, size, flags, shift.
                full(out, *b"trun", 1, 0x0F01, |out| {
                    put32(out, samples.len() as u32);
                    put32(out, 0); // filled in below, when the length of this box is known
                    for (duration, size, flags, shift) in &samples {
                        put32(out, *duration);
                        put32(out, *size);
                        put32(out, *flags);
                        put32(out, shift.cast_unsigned());
                    }
                });
            });
        });
        let offset = ((head.len() - start + 8) as u32).to_be_bytes();
        let place = head.len() - samples.len() * 16 - 4;
        if let Some(place) = head.get_mut(place..place + 4) {
            place.copy_from_slice(&offset);
        }
        put32(&mut head, u32::try_from(bytes + 8).map_err(|_| Mp4Error::TooLong)?);
        head.extend(b"mdat");
        out.push(head.into());
        out.extend(group.into_iter().map(|unit| unit.payload));
        Ok(())
    }
}

/// `ftyp` and a `moov` without samples. The edit's duration is 0: it lasts as long as the fragments do (ISO/IEC 14496-12
/// clause 8.6.6).
fn head(parameters: &Parameters, first: Micros, shown_from: Micros) -> Bytes {
    let start = first.max(shown_from);
    let skipped = ticks(start.0.saturating_sub(first.0));
    let mut out = Vec::new();
    boxes::file_type(&mut out, *b"iso6", &[*b"iso6", *b"isom", *b"mp41"]);
    boxed(&mut out, *b"moov", |out| {
        boxes::movie_header(out, start, 0);
        boxed(out, *b"trak", |out| {
            boxes::track_header(out, start, 0, (parameters.width, parameters.height));
            if skipped > 0 {
                boxes::edit(out, 0, skipped);
            }
            boxes::media(out, start, 0, |out| {
                boxes::descriptions(out, boxes::Sets::AlsoAmongPictures, std::iter::once(parameters));
                for kind in [*b"stts", *b"stsc"] {
                    full(out, kind, 0, 0, |out| put32(out, 0));
                }
                full(out, *b"stsz", 0, 0, |out| put64(out, 0));
                full(out, *b"stco", 0, 0, |out| put32(out, 0));
            });
        });
        boxed(out, *b"mvex", |out| {
            full(out, *b"trex", 0, 0, |out| {
                for value in [TRACK, 1, 0, 0, 0] {
                    put32(out, value);
                }
            });
        });
    });
    out.into()
}

/// NTP time: seconds since 1900 and a binary fraction.
fn ntp(at: Micros) -> u64 {
    let seconds = at.0.div_euclid(1_000_000).saturating_add(NTP_EPOCH).max(0) as u64;
    let fraction = ((at.0.rem_euclid(1_000_000) as u64) << 32) / 1_000_000;
    (seconds & 0xFFFF_FFFF) << 32 | fraction
}
