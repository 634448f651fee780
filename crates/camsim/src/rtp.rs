//! From an access unit to the payloads of its RTP packets: RFC 6184 for H.264, RFC 7798 for H.265.
//!
//! Done here and not by a payloader element because sixteen cameras share a few loops: cutting a unit needs no parsing,
//! and that keeps a simulated camera far cheaper than the software that is measured against it.

use crate::loops::{Codec, nal_units};

/// Bytes of an RTP header without extensions, RFC 3550 section 5.1.
pub const HEADER: usize = 12;
/// Largest packet, header included: what fits an Ethernet frame with room for tunnels.
pub const MTU: usize = 1400;
/// Ticks per second of the RTP clock for video.
pub const CLOCK_RATE: u32 = 90_000;
/// Ticks per frame.
pub const FRAME_TICKS: u32 = CLOCK_RATE / 25;
/// NAL unit type of a fragment in H.264, RFC 6184 section 5.8.
const FU_A: u8 = 0x1c;
/// NAL unit type of a fragment in H.265, RFC 7798 section 4.4.3.
const FU: u8 = 0x31;
/// The dynamic payload type every stream uses.
pub const PAYLOAD_TYPE: u8 = 96;

/// Calls `packet(prefix, chunk, last)` for every RTP packet of a unit: its payload is `prefix` and then `chunk`; `last`
/// is the marker bit.
pub fn packetise(codec: Codec, unit: &[u8], mut packet: impl FnMut(&[u8], &[u8], bool)) {
    let room = MTU - HEADER;
    let mut nals = nal_units(unit).peekable();
    while let Some(nal) = nals.next() {
        let last_nal = nals.peek().is_none();
        if nal.len() <= room {
            packet(&[], nal, last_nal);
            continue;
        }
        // Fragmentation units: the NAL header is replaced by an indicator and a header with start and end flags.
        let (mut prefix, body, size) = match (codec, nal) {
            (Codec::H264, [first, body @ ..]) => ([first & 0xe0 | FU_A, first & 0x1f, 0], body, 2),
            (Codec::H265, [first, second, body @ ..]) => {
                ([first & 0x81 | FU << 1, *second, first >> 1 & 0x3f], body, 3)
            }
            _ => continue,
        };
        let mut chunks = body.chunks(room - size).enumerate().peekable();
        while let Some((n, chunk)) = chunks.next() {
            let end = chunks.peek().is_none();
            let flags = &mut prefix[size - 1];
            *flags = *flags & 0x3f | u8::from(n == 0) << 7 | u8::from(end) << 6;
            packet(&prefix[..size], chunk, last_nal && end);
        }
    }
}

/// A whole packet of our payload type.
pub fn packet(
    prefix: &[u8],
    chunk: &[u8],
    marker: bool,
    sequence: u16,
    timestamp: u32,
    source: u32,
) -> Vec<u8> {
    let mut packet = Vec::with_capacity(HEADER + prefix.len() + chunk.len());
    packet.extend_from_slice(&[0x80, PAYLOAD_TYPE | u8::from(marker) << 7]);
    packet.extend_from_slice(&sequence.to_be_bytes());
    packet.extend_from_slice(&timestamp.to_be_bytes());
    packet.extend_from_slice(&source.to_be_bytes());
    packet.extend_from_slice(prefix);
    packet.extend_from_slice(chunk);
    packet
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(nals: &[Vec<u8>]) -> Vec<u8> {
        nals.iter().flat_map(|nal| [&(nal.len() as u32).to_be_bytes()[..], nal].concat()).collect()
    }

    /// What a receiver does, straight from the RFCs.
    fn reassemble(codec: Codec, packets: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let mut nals: Vec<Vec<u8>> = Vec::new();
        for p in packets {
            match codec {
                Codec::H264 if p[0] & 0x1f == 28 => {
                    if p[1] & 0x80 != 0 {
                        nals.push(vec![p[0] & 0xe0 | p[1] & 0x1f]);
                    }
                    nals.last_mut().unwrap().extend(&p[2..]);
                }
                Codec::H265 if p[0] >> 1 & 0x3f == 49 => {
                    if p[2] & 0x80 != 0 {
                        nals.push(vec![p[0] & 0x81 | (p[2] & 0x3f) << 1, p[1]]);
                    }
                    nals.last_mut().unwrap().extend(&p[3..]);
                }
                _ => nals.push(p.clone()),
            }
        }
        nals
    }

    #[test]
    fn a_receiver_gets_back_what_was_cut() {
        let long: Vec<u8> = [0x65].into_iter().chain((0..9_000_u32).map(|n| (n % 253) as u8)).collect();
        let long5: Vec<u8> =
            [0x26, 0x01].into_iter().chain((0..9_000_u32).map(|n| (n % 251) as u8)).collect();
        for (codec, nals) in [
            (Codec::H264, vec![vec![0x67, 1, 2], vec![0x68, 3], long]),
            (Codec::H265, vec![vec![0x40, 1, 9], vec![0x42, 1, 8], vec![0x44, 1, 7], long5]),
        ] {
            let (mut packets, mut markers) = (Vec::new(), Vec::new());
            packetise(codec, &unit(&nals), |prefix, chunk, last| {
                packets.push([prefix, chunk].concat());
                markers.push(last);
            });
            assert!(packets.iter().all(|p| p.len() + HEADER <= MTU));
            assert_eq!(markers.iter().filter(|&&m| m).count(), 1);
            assert_eq!(markers.last(), Some(&true));
            assert_eq!(reassemble(codec, &packets), nals);
        }
    }
}
