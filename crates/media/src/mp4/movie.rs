//! The plain file: `ftyp`, `mdat` and `moov`, in the order that suits whoever writes it.

use super::{Mp4Error, boxes, end_of, ticks};
use crate::{AccessUnit, Micros, Parameters};
use boxes::{boxed, full, put16, put32, put64};
use std::sync::Arc;

/// Values that repeat, counted.
#[derive(Clone, Debug, Default)]
struct Runs<T>(Vec<(u32, T)>);

impl<T: Copy + PartialEq> Runs<T> {
    fn push(&mut self, value: T) {
        match self.0.last_mut() {
            Some((count, last)) if *last == value => *count += 1,
            _ => self.0.push((1, value)),
        }
    }
}

/// A plain MP4 file in the making: the table of its samples, from which everything but the pictures is written.
///
/// Give every picture to [`Movie::push`] in order and write its payload in the same order:
///
/// * [`Movie::head`], payloads, [`Movie::tail`]: what comes first needs the payloads' total length only;
/// * [`Movie::front`], payloads: plays while it is still being fetched; the table must be complete first.
#[derive(Clone, Debug, Default)]
pub struct Movie {
    /// What is presented, if not everything.
    from: Option<Micros>,
    until: Option<Micros>,
    first: Option<Micros>,
    /// End of the last picture by its own estimate.
    end: Micros,
    /// Decoding time of the newest sample.
    decoded: i64,
    last_duration: u32,
    bytes: u64,
    sizes: Vec<u32>,
    durations: Runs<u32>,
    /// Presentation less decoding time.
    shifts: Runs<i32>,
    shifted: bool,
    keys: Vec<u32>,
    /// Where each chunk begins, counted from the first payload byte; a chunk is a group of pictures.
    chunks: Vec<u64>,
    /// Per chunk: samples in it and its entry.
    contents: Runs<(u32, u32)>,
    in_chunk: u32,
    entries: Vec<Arc<Parameters>>,
    entry: u32,
}

impl Movie {
    /// A file that presents everything it holds.
    pub fn new() -> Self {
        Self::default()
    }

    /// A file that presents exactly `from <= t < until`, whatever it must hold for decoding.
    pub fn cut(from: Micros, until: Micros) -> Self {
        Self { from: Some(from), until: Some(until), ..Self::default() }
    }

    /// Enters the next picture; its payload follows the last one's in the file.
    ///
    /// # Errors
    /// [`Mp4Error`]; the file is then as it was.
    pub fn push(&mut self, unit: &AccessUnit) -> Result<(), Mp4Error> {
        let entry = self.entry_of(unit)?;
        let size = u32::try_from(unit.payload.len()).map_err(|_| Mp4Error::TooLong)?;
        let first = *self.first.get_or_insert(unit.captured);
        let presented = ticks(unit.captured.0.saturating_sub(first.0));
        // Decoding times rise; a picture shown before one that was decoded earlier is shifted back.
        let decoded = if self.sizes.is_empty() { 0 } else { presented.max(self.decoded + 1) };
        if self.sizes.len() >= u32::MAX as usize - 1 {
            return Err(Mp4Error::TooLong);
        }
        if !self.sizes.is_empty() {
            self.durations.push(u32::try_from(decoded - self.decoded).map_err(|_| Mp4Error::TooLong)?);
        }
        let shift = i32::try_from(presented - decoded).map_err(|_| Mp4Error::TooLong)?;
        self.shifted |= shift != 0;
        self.shifts.push(shift);
        if unit.key || entry != self.entry || self.sizes.is_empty() {
            self.end_chunk();
            self.chunks.push(self.bytes);
            self.entry = entry;
        }
        self.in_chunk += 1;
        self.sizes.push(size);
        if unit.key {
            self.keys.push(self.sizes.len() as u32);
        }
        self.bytes += u64::from(size);
        self.decoded = decoded;
        self.last_duration = unit.duration.max(1);
        self.end = self.end.max(end_of(unit));
        Ok(())
    }

    /// The number of the picture's sample entry, from 1.
    fn entry_of(&mut self, unit: &AccessUnit) -> Result<u32, Mp4Error> {
        let new = &unit.parameters;
        if new.record.is_empty() {
            return Err(Mp4Error::NoParameters);
        }
        let Some(first) = self.entries.first() else {
            if !unit.key {
                return Err(Mp4Error::NotAKey);
            }
            self.entries.push(Arc::clone(new));
            return Ok(1);
        };
        if first.codec != new.codec {
            return Err(Mp4Error::CodecChanged { from: first.codec, to: new.codec });
        }
        // The generation's number is ours, not the stream's.
        let same = |known: &Parameters| {
            (&known.record, known.width, known.height) == (&new.record, new.width, new.height)
        };
        let place = self.entries.iter().rposition(|known| Arc::ptr_eq(known, new) || same(known));
        Ok(if let Some(place) = place {
            place as u32 + 1
        } else {
            self.entries.push(Arc::clone(new));
            self.entries.len() as u32
        })
    }

    fn end_chunk(&mut self) {
        if self.in_chunk > 0 {
            self.contents.push((self.in_chunk, self.entry));
            self.in_chunk = 0;
        }
    }

    /// Pictures so far.
    pub fn samples(&self) -> usize {
        self.sizes.len()
    }

    /// Payload bytes so far.
    pub fn media_bytes(&self) -> u64 {
        self.bytes
    }

    /// The instant of presentation time 0.
    pub fn start(&self) -> Micros {
        let first = self.first.unwrap_or_default();
        self.from.map_or(first, |from| from.max(first))
    }

    /// The instant at which the presentation ends.
    pub fn end(&self) -> Micros {
        let end = self.first.unwrap_or_default().max(self.end);
        self.until.map_or(end, |until| until.min(end)).max(self.start())
    }

    /// What stands before the payloads when `moov` comes last: `ftyp` and the head of `mdat`. The same for every file whose
    /// payloads are `media_bytes` long.
    pub fn head(media_bytes: u64) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        file_type(&mut out);
        media_data(&mut out, media_bytes);
        out
    }

    /// What stands behind them: `moov`.
    pub fn tail(&self) -> Vec<u8> {
        self.moov(Self::head(self.bytes).len() as u64)
    }

    /// Bytes of a file written as head, payloads, tail.
    pub fn file_bytes(&self) -> u64 {
        (Self::head(self.bytes).len() + self.tail().len()) as u64 + self.bytes
    }

    /// What stands before the payloads when nothing follows them: `ftyp`, `moov` and the head of `mdat`.
    pub fn front(&self) -> Vec<u8> {
        let heads = Self::head(self.bytes).len() as u64;
        // Offsets have eight bytes each, so the length does not depend on them.
        let length = self.moov(0).len() as u64;
        let mut out = Vec::with_capacity((heads + length) as usize);
        file_type(&mut out);
        out.extend(self.moov(heads + length));
        media_data(&mut out, self.bytes);
        out
    }

    /// `moov`, for payloads that begin at this byte of the file.
    fn moov(&self, at: u64) -> Vec<u8> {
        let media_duration = self.decoded.max(0) as u64 + u64::from(self.last_duration);
        let (start, first) = (self.start(), self.first.unwrap_or_default());
        let skipped = ticks(start.0.saturating_sub(first.0));
        let shown = (ticks(self.end().0.saturating_sub(first.0)) - skipped).max(0) as u64;
        let size = self.entries.first().map_or((0, 0), |first| (first.width, first.height));
        let mut out = Vec::new();
        boxed(&mut out, *b"moov", |out| {
            boxes::movie_header(out, start, shown);
            boxed(out, *b"trak", |out| {
                boxes::track_header(out, start, shown, size);
                boxes::edit(out, shown, skipped);
                boxes::media(out, start, media_duration, |out| self.table(out, at));
            });
            boxed(out, *b"udta", |out| {
                boxed(out, [0xA9, b'd', b'a', b'y'], |out| {
                    let text = rfc3339(start);
                    put16(out, text.len() as u16);
                    put16(out, 0x55C4); // language "und"
                    out.extend(text.as_bytes());
                });
            });
        });
        out
    }

    fn table(&self, out: &mut Vec<u8>, at: u64) {
        boxes::descriptions(out, boxes::Sets::InEntries, self.entries.iter().map(AsRef::as_ref));
        full(out, *b"stts", 0, 0, |out| {
            let mut durations = self.durations.clone();
            if !self.sizes.is_empty() {
                durations.push(self.last_duration);
            }
            put32(out, durations.0.len() as u32);
            for (count, duration) in durations.0 {
                put32(out, count);
                put32(out, duration);
            }
        });
        if self.shifted {
            full(out, *b"ctts", 1, 0, |out| {
                put32(out, self.shifts.0.len() as u32);
                for (count, shift) in &self.shifts.0 {
                    put32(out, *count);
                    put32(out, shift.cast_unsigned());
                }
            });
        }
        full(out, *b"stss", 0, 0, |out| {
            put32(out, self.keys.len() as u32);
            for number in &self.keys {
                put32(out, *number);
            }
        });
        full(out, *b"stsz", 0, 0, |out| {
            put32(out, 0);
            put32(out, self.sizes.len() as u32);
            for size in &self.sizes {
                put32(out, *size);
            }
        });
        full(out, *b"stsc", 0, 0, |out| {
            let mut contents = self.contents.clone();
            if self.in_chunk > 0 {
                contents.push((self.in_chunk, self.entry));
            }
            put32(out, contents.0.len() as u32);
            let mut chunk = 1;
            for (count, (samples, entry)) in contents.0 {
                put32(out, chunk);
                put32(out, samples);
                put32(out, entry);
                chunk += count;
            }
        });
        full(out, *b"co64", 0, 0, |out| {
            put32(out, self.chunks.len() as u32);
            for chunk in &self.chunks {
                put64(out, at + chunk);
            }
        });
    }
}

fn file_type(out: &mut Vec<u8>) {
    boxes::file_type(out, *b"isom", &[*b"isom", *b"iso2", *b"avc1", *b"mp41"]);
}

/// The head of `mdat`, always with 64 bits of length.
fn media_data(out: &mut Vec<u8>, media_bytes: u64) {
    put32(out, 1);
    out.extend(b"mdat");
    put64(out, media_bytes + 16);
}

/// An instant as text, RFC 3339 in UTC with microseconds (civil-from-days on the proleptic Gregorian calendar).
fn rfc3339(at: Micros) -> String {
    let (seconds, micros) = (at.0.div_euclid(1_000_000), at.0.rem_euclid(1_000_000));
    let (days, of_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Years are counted from 1 March, so that the leap day is the last of its year.
    let shifted = days + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
}
