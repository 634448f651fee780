//! One minute of encoded video, and the file it is kept in.
//!
//! A loop is exactly 1500 access units. In the file, after an eight-byte mark and the length of a JSON header, the units
//! follow each other; inside a unit every NAL unit has a four-byte big-endian length before it, which is what both RTP
//! payload formats want to start from.

use crate::code;
use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use std::{fs, io::Write, ops::Range, path::Path};

const MARK: &[u8; 8] = b"RTRLOOP1";

/// How a loop is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Codec {
    /// ITU-T H.264, RTP payload of RFC 6184.
    H264,
    /// ITU-T H.265, RTP payload of RFC 7798.
    H265,
}

impl Codec {
    /// `h264` or `h265`.
    pub fn name(self) -> &'static str {
        match self {
            Codec::H264 => "h264",
            Codec::H265 => "h265",
        }
    }

    /// The type of a NAL unit, from its first byte.
    pub fn nal_type(self, first: u8) -> u8 {
        match self {
            Codec::H264 => first & 0x1f,
            Codec::H265 => first >> 1 & 0x3f,
        }
    }

    /// Parameter sets in the order they are sent: (V,) S, P.
    pub fn parameter_sets(self) -> &'static [u8] {
        match self {
            Codec::H264 => &[7, 8],
            Codec::H265 => &[32, 33, 34],
        }
    }

    /// Whether a NAL unit of this type starts a group of pictures.
    pub fn is_key(self, nal_type: u8) -> bool {
        match self {
            Codec::H264 => nal_type == 5,
            Codec::H265 => (16..=21).contains(&nal_type),
        }
    }

    /// Whether a NAL unit of this type carries no picture and no parameters: delimiters, filler, the encoder's greeting.
    fn is_chaff(self, nal_type: u8) -> bool {
        match self {
            Codec::H264 => matches!(nal_type, 6 | 9 | 12),
            Codec::H265 => matches!(nal_type, 35 | 38..=40),
        }
    }
}

/// One encoded minute.
#[derive(Debug, Clone)]
pub struct Loop {
    header: Header,
    /// Every unit, one after the other.
    bytes: Vec<u8>,
    starts: Vec<usize>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Header {
    codec: Codec,
    width: usize,
    height: usize,
    /// (bytes, starts a group) of every frame of the minute.
    units: Vec<(u32, bool)>,
}

impl Loop {
    /// From what an encoder gave, in Annex B form, for frames 0 to 1499 of the minute.
    pub fn from_annex_b(codec: Codec, width: usize, height: usize, encoded: &[Vec<u8>]) -> Result<Loop> {
        ensure!(encoded.len() == usize::from(code::FRAMES), "the encoder gave {} frames", encoded.len());
        let mut bytes = Vec::with_capacity(encoded.iter().map(Vec::len).sum());
        let mut units = Vec::with_capacity(encoded.len());
        for (frame, unit) in encoded.iter().enumerate() {
            let start = bytes.len();
            let (mut key, mut parameters) = (false, 0);
            for nal in annex_b(unit) {
                let kind = codec.nal_type(*nal.first().context("an empty NAL unit")?);
                if codec.is_chaff(kind) {
                    continue;
                }
                key |= codec.is_key(kind);
                parameters += usize::from(codec.parameter_sets().contains(&kind));
                bytes.extend_from_slice(&(nal.len() as u32).to_be_bytes());
                bytes.extend_from_slice(nal);
            }
            ensure!(
                !key || parameters >= codec.parameter_sets().len(),
                "key frame {frame} came without its parameter sets"
            );
            units.push(((bytes.len() - start) as u32, key));
        }
        Ok(Loop::assemble(Header { codec, width, height, units }, bytes))
    }

    fn assemble(header: Header, bytes: Vec<u8>) -> Loop {
        let starts = header
            .units
            .iter()
            .scan(0, |at, (length, _)| {
                let start = *at;
                *at += *length as usize;
                Some(start)
            })
            .collect();
        Loop { header, bytes, starts }
    }

    /// Reads a loop from its file.
    pub fn load(path: &Path) -> Result<Loop> {
        let file = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
        let rest = file.strip_prefix(MARK).with_context(|| format!("{} is no loop", path.display()))?;
        let (length, rest) = rest.split_first_chunk::<4>().context("a loop cut short")?;
        let length = u32::from_le_bytes(*length) as usize;
        let (Some(header), Some(bytes)) = (rest.get(..length), rest.get(length..)) else {
            bail!("{} is cut short", path.display())
        };
        let header: Header = serde_json::from_slice(header)?;
        let total: usize = header.units.iter().map(|(length, _)| *length as usize).sum();
        ensure!(
            total == bytes.len() && header.units.len() == usize::from(code::FRAMES),
            "{} is damaged; delete it to have it made anew",
            path.display()
        );
        Ok(Loop::assemble(header, bytes.to_vec()))
    }

    /// Writes the loop so that a reader finds either all of it or nothing.
    pub fn save(&self, path: &Path) -> Result<()> {
        let header = serde_json::to_vec(&self.header)?;
        let partial = path.with_extension("partial");
        let mut file =
            fs::File::create(&partial).with_context(|| format!("creating {}", partial.display()))?;
        file.write_all(MARK)?;
        file.write_all(&(header.len() as u32).to_le_bytes())?;
        file.write_all(&header)?;
        file.write_all(&self.bytes)?;
        drop(file);
        fs::rename(&partial, path)?;
        Ok(())
    }

    /// How it is encoded.
    pub fn codec(&self) -> Codec {
        self.header.codec
    }

    /// Width and height in pixels.
    pub fn size(&self) -> (usize, usize) {
        (self.header.width, self.header.height)
    }

    /// Mean bits per second.
    pub fn bit_rate(&self) -> usize {
        self.bytes.len() * 8 / 60
    }

    /// The access unit of a frame of the minute, its NAL units with four-byte lengths.
    pub fn unit(&self, frame: u16) -> &[u8] {
        let frame = usize::from(frame % code::FRAMES);
        let start = self.starts.get(frame).copied().unwrap_or_default();
        let length = self.header.units.get(frame).map_or(0, |(length, _)| *length as usize);
        self.bytes.get(start..start + length).unwrap_or_default()
    }

    /// Whether a frame of the minute starts a group of pictures.
    pub fn is_key(&self, frame: u16) -> bool {
        self.header.units.get(usize::from(frame % code::FRAMES)).is_some_and(|(_, key)| *key)
    }

    /// The parameter sets of the first key frame, for the session description.
    pub fn parameter_sets(&self) -> Vec<&[u8]> {
        let key = (0..code::FRAMES).find(|&frame| self.is_key(frame)).unwrap_or(0);
        let wanted = self.codec().parameter_sets();
        nal_units(self.unit(key))
            .filter(|nal| nal.first().is_some_and(|&b| wanted.contains(&self.codec().nal_type(b))))
            .collect()
    }
}

/// The NAL units of a unit with four-byte lengths.
pub fn nal_units(mut unit: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (length, rest) = unit.split_first_chunk::<4>()?;
        let (nal, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        unit = rest;
        Some(nal)
    })
}

/// The NAL units between the start codes of Annex B.
fn annex_b(unit: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut starts: Vec<Range<usize>> = Vec::new();
    let mut at = 0;
    while let Some(found) = unit.get(at..).and_then(|rest| rest.windows(3).position(|w| w == [0, 0, 1])) {
        let code = at + found;
        if let Some(last) = starts.last_mut() {
            last.end = code;
        }
        starts.push(code + 3..unit.len());
        at = code + 3;
    }
    starts.into_iter().map(|range| {
        let nal = &unit[range];
        // A four-byte start code leaves its first zero at the end of the unit before it; trailing zeros are no data.
        let end = nal.iter().rposition(|&b| b != 0).map_or(0, |last| last + 1);
        &nal[..end]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minute() -> Vec<Vec<u8>> {
        (0..1500_u32)
            .map(|n| {
                let mut unit = vec![0, 0, 0, 1, 9, 0xf0];
                if n % 50 == 12 {
                    unit.extend([0, 0, 0, 1, 0x67, 1, 2, 3, 0, 0, 0, 1, 0x68, 4, 0, 0, 1, 0x65, 7]);
                } else {
                    unit.extend([0, 0, 1, 0x41]);
                }
                unit.extend(n.to_be_bytes().map(|b| b | 4));
                unit
            })
            .collect()
    }

    #[test]
    fn a_loop_comes_back_from_its_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.loop");
        let made = Loop::from_annex_b(Codec::H264, 64, 48, &minute()).unwrap();
        made.save(&path).unwrap();
        let back = Loop::load(&path).unwrap();
        assert_eq!(back.size(), (64, 48));
        assert!(back.is_key(12) && back.is_key(1462) && !back.is_key(0));
        assert_eq!(back.parameter_sets(), [&[0x67, 1, 2, 3][..], &[0x68, 4]]);
        for frame in 0..1500 {
            assert_eq!(made.unit(frame), back.unit(frame));
        }
        assert_eq!(nal_units(back.unit(0)).collect::<Vec<_>>(), [[0x41, 4, 4, 4, 4]]);
    }

    #[test]
    fn a_damaged_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.loop");
        Loop::from_annex_b(Codec::H264, 64, 48, &minute()).unwrap().save(&path).unwrap();
        let mut bytes = fs::read(&path).unwrap();
        bytes.truncate(bytes.len() - 1);
        fs::write(&path, bytes).unwrap();
        assert!(Loop::load(&path).is_err());
    }
}
