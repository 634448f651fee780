//! Reading plain files back: the table of samples, for verifiers and tests. Files that are odd or not ours give an error
//! and never anything else.

use crate::{Codec, Parameters};
use bytes::Bytes;

/// Why a file cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a plain MP4 file with one H.264 or H.265 track: {0}")]
pub struct NotReadable(&'static str);

/// One sample as the table describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Where its bytes begin in the file.
    pub offset: u64,
    /// How many there are.
    pub size: u32,
    /// Decoding time in ticks of the track's clock.
    pub decoded: i64,
    /// Presentation less decoding time.
    pub shift: i32,
    /// Whether decoding can begin here.
    pub key: bool,
    /// Its sample entry, from 0.
    pub entry: usize,
}

/// What a file's `moov` says of its first video track.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Track {
    /// Ticks per second.
    pub timescale: u32,
    /// The sample entries; generations count them from 1.
    pub entries: Vec<Parameters>,
    /// Every sample in order of decoding.
    pub samples: Vec<Sample>,
    /// The edits: duration in the movie's clock, and media time (-1: nothing is shown).
    pub edits: Vec<(u64, i64)>,
}

type Read<T> = Result<T, NotReadable>;

fn u32_at(bytes: &[u8], at: usize) -> Read<u32> {
    let found = bytes.get(at..).and_then(<[u8]>::first_chunk::<4>);
    found.map(|bytes| u32::from_be_bytes(*bytes)).ok_or(NotReadable("a box is cut short"))
}

fn u64_at(bytes: &[u8], at: usize) -> Read<u64> {
    Ok(u64::from(u32_at(bytes, at)?) << 32 | u64::from(u32_at(bytes, at + 4)?))
}

/// The boxes in some bytes: kind and content.
fn boxes(mut bytes: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    std::iter::from_fn(move || {
        let (head, after) = bytes.split_at_checked(8)?;
        let (length, kind) = head.split_at(4);
        let mut content = after;
        let length = match u32_at(length, 0).ok()? {
            0 => bytes.len() as u64,
            1 => {
                content = after.get(8..)?;
                u64_at(after, 0).ok()?
            }
            length => u64::from(length),
        };
        let header = (bytes.len() - content.len()) as u64;
        let whole = length.min(bytes.len() as u64).max(header);
        content = content.get(..(whole - header) as usize)?;
        bytes = bytes.get(whole as usize..)?;
        Some((kind, content))
    })
}

/// The first box along a path of kinds.
fn find<'a>(bytes: &'a [u8], path: &[&[u8; 4]]) -> Read<&'a [u8]> {
    let Some((kind, rest)) = path.split_first() else { return Ok(bytes) };
    let found = boxes(bytes).find(|(found, _)| found == kind).ok_or(NotReadable("a box is missing"))?;
    find(found.1, rest)
}

/// Entries of a table: a count behind version and flags, then so many rows.
fn rows<const N: usize>(content: &[u8]) -> Read<impl Iterator<Item = &[u8; N]>> {
    let count = u32_at(content, 4)? as usize;
    let rows = content.get(8..).unwrap_or_default();
    if rows.len() / N < count {
        return Err(NotReadable("a table is cut short"));
    }
    Ok(rows.as_chunks::<N>().0.iter().take(count))
}

/// Reads the table of a whole file, or of its beginning up to the end of `moov`.
///
/// # Errors
/// [`NotReadable`].
pub fn track(file: &[u8]) -> Result<Track, NotReadable> {
    let moov = find(file, &[b"moov"])?;
    let is_video = |trak: &[u8]| {
        find(trak, &[b"mdia", b"hdlr"]).is_ok_and(|handler| handler.get(8..12) == Some(b"vide".as_slice()))
    };
    let trak = boxes(moov).find(|(kind, content)| kind == b"trak" && is_video(content));
    let (_, trak) = trak.ok_or(NotReadable("there is no video"))?;
    let header = find(trak, &[b"mdia", b"mdhd"])?;
    let timescale = u32_at(header, if header.first() == Some(&1) { 20 } else { 12 })?;
    let table = find(trak, &[b"mdia", b"minf", b"stbl"])?;
    let entries = entries(find(table, &[b"stsd"])?)?;
    let mut edits = Vec::new();
    if let Ok(list) = find(trak, &[b"edts", b"elst"]) {
        if list.first() == Some(&1) {
            for row in rows::<20>(list)? {
                edits.push((u64_at(row, 0)?, u64_at(row, 8)?.cast_signed()));
            }
        } else {
            for row in rows::<12>(list)? {
                edits.push((u64::from(u32_at(row, 0)?), i64::from(u32_at(row, 4)?.cast_signed())));
            }
        }
    }
    Ok(Track { timescale, entries, samples: samples(table)?, edits })
}

fn entries(descriptions: &[u8]) -> Read<Vec<Parameters>> {
    let mut entries = Vec::new();
    for (kind, content) in boxes(descriptions.get(8..).unwrap_or_default()) {
        let (codec, configuration) = match kind {
            b"avc1" | b"avc3" => (Codec::H264, b"avcC"),
            b"hvc1" | b"hev1" => (Codec::H265, b"hvcC"),
            _ => return Err(NotReadable("its codec is neither H.264 nor H.265")),
        };
        let size = u32_at(content, 24)?;
        let record = find(content.get(78..).unwrap_or_default(), &[configuration])?;
        entries.push(Parameters {
            generation: entries.len() as u16 + 1,
            codec,
            width: (size >> 16) as u16,
            height: size as u16,
            record: Bytes::copy_from_slice(record),
        });
    }
    Ok(entries)
}

fn samples(table: &[u8]) -> Read<Vec<Sample>> {
    let sizes = find(table, &[b"stsz"])?;
    let (fixed, count) = (u32_at(sizes, 4)?, u32_at(sizes, 8)? as usize);
    if fixed == 0 && sizes.len().saturating_sub(12) / 4 < count {
        return Err(NotReadable("the table of sizes is cut short"));
    }
    let chunks: Vec<u64> = if let Ok(chunks) = find(table, &[b"co64"]) {
        rows::<8>(chunks)?.map(|row| u64::from_be_bytes(*row)).collect()
    } else {
        rows::<4>(find(table, &[b"stco"])?)?.map(|row| u64::from(u32::from_be_bytes(*row))).collect()
    };
    let contents: Vec<&[u8; 12]> = rows(find(table, &[b"stsc"])?)?.collect();
    let mut durations = rows::<8>(find(table, &[b"stts"])?)?;
    let mut shifts = find(table, &[b"ctts"]).ok().map(rows::<8>).transpose()?;
    let keys: Option<Vec<u32>> = find(table, &[b"stss"])
        .ok()
        .map(|keys| rows::<4>(keys).map(|rows| rows.map(|row| u32::from_be_bytes(*row)).collect()))
        .transpose()?;
    let (mut duration, mut shift) = ((0, 0), (0, 0));
    let mut decoded = 0_i64;
    let mut samples = Vec::new();
    for (place, chunk) in chunks.iter().enumerate() {
        let next = contents
            .partition_point(|row| u32_at(row.as_slice(), 0).unwrap_or(u32::MAX) as usize <= place + 1);
        let row = next.checked_sub(1).and_then(|at| contents.get(at));
        let row = row.ok_or(NotReadable("a chunk has no samples"))?;
        let entry = (u32_at(row.as_slice(), 8)? as usize).wrapping_sub(1);
        let mut offset = *chunk;
        for _ in 0..u32_at(row.as_slice(), 4)? {
            if samples.len() == count {
                return Ok(samples);
            }
            let size = if fixed == 0 { u32_at(sizes, 12 + samples.len() * 4)? } else { fixed };
            if duration.0 == 0 {
                let row = durations.next().ok_or(NotReadable("a sample has no duration"))?;
                duration = (u32_at(row, 0)?, u32_at(row, 4)?);
            }
            if let Some(rows) = shifts.as_mut().filter(|_| shift.0 == 0) {
                let row = rows.next().ok_or(NotReadable("a sample has no presentation time"))?;
                shift = (u32_at(row, 0)?, u32_at(row, 4)?.cast_signed());
            }
            let number = samples.len() as u32 + 1;
            let key = keys.as_ref().is_none_or(|keys| keys.binary_search(&number).is_ok());
            samples.push(Sample { offset, size, decoded, shift: shift.1, key, entry });
            offset = offset.saturating_add(u64::from(size));
            decoded = decoded.saturating_add(i64::from(duration.1));
            (duration.0, shift.0) = (duration.0.saturating_sub(1), shift.0.saturating_sub(1));
        }
    }
    if samples.len() < count { Err(NotReadable("samples lie in no chunk")) } else { Ok(samples) }
}
