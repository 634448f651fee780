//! The boxes that both kinds of file share, written field by field as ISO/IEC 14496-12 lists them.

use crate::{Codec, Micros, Parameters};

/// Both clocks of every file.
pub(super) const TIMESCALE: u32 = 90_000;
/// The only track.
pub(super) const TRACK: u32 = 1;
/// Seconds from 1904-01-01 to 1970-01-01 UTC.
const EPOCH: i64 = 2_082_844_800;
/// No rotation, no scaling.
const UNITY: [u32; 9] = [0x0001_0000, 0, 0, 0, 0x0001_0000, 0, 0, 0, 0x4000_0000];

/// One edit at normal speed: so much is presented, from this media time on.
pub(super) fn edit(out: &mut Vec<u8>, shown: u64, skipped: i64) {
    boxed(out, *b"edts", |out| {
        full(out, *b"elst", 1, 0, |out| {
            put32(out, 1);
            put64(out, shown);
            put64(out, skipped.cast_unsigned());
            put32(out, 0x0001_0000);
        });
    });
}

/// A box around what `body` writes.
pub(super) fn boxed(out: &mut Vec<u8>, kind: [u8; 4], body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend([0; 4]);
    out.extend(kind);
    body(out);
    let length = ((out.len() - start) as u32).to_be_bytes();
    if let Some(place) = out.get_mut(start..start + 4) {
        place.copy_from_slice(&length);
    }
}

/// A box with version and flags.
pub(super) fn full(
    out: &mut Vec<u8>,
    kind: [u8; 4],
    version: u8,
    flags: u32,
    body: impl FnOnce(&mut Vec<u8>),
) {
    boxed(out, kind, |out| {
        put32(out, u32::from(version) << 24 | flags);
        body(out);
    });
}

pub(super) fn put16(out: &mut Vec<u8>, value: u16) {
    out.extend(value.to_be_bytes());
}
pub(super) fn put32(out: &mut Vec<u8>, value: u32) {
    out.extend(value.to_be_bytes());
}
pub(super) fn put64(out: &mut Vec<u8>, value: u64) {
    out.extend(value.to_be_bytes());
}

/// The whole second of an instant, as these boxes count.
fn seconds_since_1904(at: Micros) -> u64 {
    at.0.div_euclid(1_000_000).saturating_add(EPOCH).max(0) as u64
}

/// `ftyp`.
pub(super) fn file_type(out: &mut Vec<u8>, major: [u8; 4], compatible: &[[u8; 4]]) {
    boxed(out, *b"ftyp", |out| {
        out.extend(major);
        put32(out, 0);
        for brand in compatible {
            out.extend(brand);
        }
    });
}

/// `mvhd`.
pub(super) fn movie_header(out: &mut Vec<u8>, start: Micros, duration: u64) {
    full(out, *b"mvhd", 1, 0, |out| {
        put64(out, seconds_since_1904(start));
        put64(out, seconds_since_1904(start));
        put32(out, TIMESCALE);
        put64(out, duration);
        put32(out, 0x0001_0000); // normal speed
        put16(out, 0x0100); // full volume
        out.extend([0; 10]);
        for value in &UNITY {
            put32(out, *value);
        }
        out.extend([0; 24]);
        put32(out, TRACK + 1);
    });
}

/// `tkhd`. The presented size is that of the first parameters.
pub(super) fn track_header(out: &mut Vec<u8>, start: Micros, duration: u64, size: (u16, u16)) {
    // Enabled, in the movie, in the preview.
    full(out, *b"tkhd", 1, 7, |out| {
        put64(out, seconds_since_1904(start));
        put64(out, seconds_since_1904(start));
        put32(out, TRACK);
        put32(out, 0);
        put64(out, duration);
        out.extend([0; 16]); // layer, group, volume of a picture
        for value in &UNITY {
            put32(out, *value);
        }
        put32(out, u32::from(size.0) << 16);
        put32(out, u32::from(size.1) << 16);
    });
}

/// `mdia` with the given sample table.
pub(super) fn media(out: &mut Vec<u8>, start: Micros, duration: u64, table: impl FnOnce(&mut Vec<u8>)) {
    boxed(out, *b"mdia", |out| {
        full(out, *b"mdhd", 1, 0, |out| {
            put64(out, seconds_since_1904(start));
            put64(out, seconds_since_1904(start));
            put32(out, TIMESCALE);
            put64(out, duration);
            put16(out, 0x55C4); // language "und"
            put16(out, 0);
        });
        full(out, *b"hdlr", 0, 0, |out| {
            put32(out, 0);
            out.extend(b"vide");
            out.extend([0; 12]);
            out.extend(b"camera\0");
        });
        boxed(out, *b"minf", |out| {
            full(out, *b"vmhd", 0, 1, |out| out.extend([0; 8]));
            boxed(out, *b"dinf", |out| {
                full(out, *b"dref", 0, 0, |out| {
                    put32(out, 1);
                    full(out, *b"url ", 0, 1, |_| {}); // in this file
                });
            });
            boxed(out, *b"stbl", table);
        });
    });
}

/// Where parameter sets stand.
#[derive(Clone, Copy)]
pub(super) enum Sets {
    /// In the sample entries only.
    InEntries,
    /// Also before pictures, where they change.
    AlsoAmongPictures,
}

/// `stsd`: one entry per set of parameters, numbered from 1 in this order.
pub(super) fn descriptions<'a>(
    out: &mut Vec<u8>,
    sets: Sets,
    entries: impl ExactSizeIterator<Item = &'a Parameters>,
) {
    full(out, *b"stsd", 0, 0, |out| {
        put32(out, entries.len() as u32);
        for parameters in entries {
            let (entry, configuration) = match (parameters.codec, sets) {
                (Codec::H264, Sets::InEntries) => (*b"avc1", *b"avcC"),
                (Codec::H265, Sets::InEntries) => (*b"hvc1", *b"hvcC"),
                (Codec::H264, Sets::AlsoAmongPictures) => (*b"avc3", *b"avcC"),
                (Codec::H265, Sets::AlsoAmongPictures) => (*b"hev1", *b"hvcC"),
            };
            boxed(out, entry, |out| {
                out.extend([0; 6]);
                put16(out, 1); // data reference
                out.extend([0; 16]);
                put16(out, parameters.width);
                put16(out, parameters.height);
                put32(out, 0x0048_0000); // 72 dpi, as everybody writes
                put32(out, 0x0048_0000);
                put32(out, 0);
                put16(out, 1); // one picture a sample
                out.extend([0; 32]); // no compressor's name
                put16(out, 0x0018);
                put16(out, 0xFFFF);
                boxed(out, configuration, |out| out.extend_from_slice(&parameters.record));
            });
        }
    });
}
