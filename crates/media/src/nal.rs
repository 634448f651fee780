//! NAL units of a length-prefixed payload (ISO/IEC 14496-15 clause 4.3.3): walking them, and writing them as a byte
//! stream (Annex B of ISO/IEC 14496-10 and 23008-2) for decoders and tools that want that.

use crate::Codec;

/// A payload whose lengths do not add up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a NAL unit at byte {offset} claims {length} bytes, of which {available} are there")]
pub struct BrokenPayload {
    /// Where the unit's length stands.
    pub offset: usize,
    /// What it says.
    pub length: usize,
    /// What follows it.
    pub available: usize,
}

/// Walks the NAL units of a payload with 4-byte big-endian lengths. After an error it ends.
pub fn nal_units(payload: &[u8]) -> impl Iterator<Item = Result<&[u8], BrokenPayload>> {
    let mut rest = payload;
    std::iter::from_fn(move || {
        let offset = payload.len() - rest.len();
        let Some((length, after)) = rest.split_first_chunk::<4>() else {
            let left = std::mem::take(&mut rest).len();
            return (left > 0).then_some(Err(BrokenPayload { offset, length: 4, available: left }));
        };
        let length = u32::from_be_bytes(*length) as usize;
        if let Some((unit, next)) = after.split_at_checked(length) {
            rest = next;
            Some(Ok(unit))
        } else {
            rest = &[];
            Some(Err(BrokenPayload { offset, length, available: after.len() }))
        }
    })
}

/// Appends the payload's NAL units to `out`, each behind a 4-byte start code.
///
/// # Errors
/// [`BrokenPayload`]; the whole units before it are then in `out`.
pub fn append_annex_b(payload: &[u8], out: &mut Vec<u8>) -> Result<(), BrokenPayload> {
    for unit in nal_units(payload) {
        out.extend([0, 0, 0, 1]);
        out.extend(unit?);
    }
    Ok(())
}

/// The parameter sets of a decoder configuration record as NAL units with 4-byte lengths, to stand before a key frame:
/// SPS and PPS of an `AVCDecoderConfigurationRecord`, all arrays of an `HEVCDecoderConfigurationRecord` (ISO/IEC 14496-15
/// clauses 5.3.3.1 and 8.3.3.1). None when the record does not add up.
pub fn parameter_sets(codec: Codec, record: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(record.len() + 16);
    let mut rest = record;
    let mut sets = |rest: &mut &[u8], count: usize| -> Option<()> {
        for _ in 0..count {
            let (length, after) = rest.split_first_chunk::<2>()?;
            let length = u16::from_be_bytes(*length);
            let (unit, after) = after.split_at_checked(usize::from(length))?;
            out.extend(u32::from(length).to_be_bytes());
            out.extend_from_slice(unit);
            *rest = after;
        }
        Some(())
    };
    match codec {
        Codec::H264 => {
            rest = rest.get(5..)?;
            // Five bits of the first count, eight of the second.
            for mask in [0x1f, 0xff] {
                let (count, after) = rest.split_first()?;
                rest = after;
                sets(&mut rest, usize::from(count & mask))?;
            }
        }
        Codec::H265 => {
            let (arrays, after) = rest.get(22..)?.split_first()?;
            rest = after;
            for _ in 0..*arrays {
                let ([_, high, low], after) = rest.split_first_chunk::<3>()?;
                rest = after;
                sets(&mut rest, usize::from(u16::from_be_bytes([*high, *low])))?;
            }
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn units_are_found_again(units in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..9)) {
            let payload: Vec<u8> = units.iter().flat_map(|u| [&(u.len() as u32).to_be_bytes()[..], u].concat()).collect();
            prop_assert_eq!(nal_units(&payload).collect::<Result<Vec<_>, _>>().unwrap(), units.clone());
            let mut annex_b = Vec::new();
            append_annex_b(&payload, &mut annex_b).unwrap();
            let expected: Vec<u8> = units.iter().flat_map(|u| [&[0, 0, 0, 1][..], u].concat()).collect();
            prop_assert_eq!(annex_b, expected);
        }

        #[test]
        fn nothing_from_outside_can_make_it_fail_otherwise(payload in prop::collection::vec(any::<u8>(), 0..99)) {
            let _ = nal_units(&payload).count();
        }
    }

    #[test]
    fn parameter_sets_are_taken_out_of_either_record() {
        let avc = [1, 100, 0, 40, 0xff, 0xe1, 0, 3, 0x67, 1, 2, 1, 0, 2, 0x68, 9, 0xfd, 0xf8, 0xf8, 0];
        let sets = parameter_sets(Codec::H264, &avc).unwrap();
        let units: Vec<_> = nal_units(&sets).map(Result::unwrap).collect();
        assert_eq!(units, [&[0x67, 1, 2][..], &[0x68, 9]]);
        let mut hevc = vec![1; 22];
        hevc.extend([2, 0xa0, 0, 1, 0, 2, 0x40, 1, 0xa1, 0, 2, 0, 1, 0x42, 0, 1, 0x43]);
        let sets = parameter_sets(Codec::H265, &hevc).unwrap();
        let units: Vec<_> = nal_units(&sets).map(Result::unwrap).collect();
        assert_eq!(units, [&[0x40, 1][..], &[0x42], &[0x43]]);
        for cut in 0..avc.len() - 4 {
            assert_eq!(parameter_sets(Codec::H264, &avc[..cut]), None, "{cut}");
        }
        for cut in 0..hevc.len() {
            assert_eq!(parameter_sets(Codec::H265, &hevc[..cut]), None, "{cut}");
        }
    }

    #[test]
    fn a_cut_payload_says_where() {
        let broken = nal_units(&[0, 0, 0, 1, 9, 0, 0, 0, 5, 1, 2]).last().unwrap().unwrap_err();
        assert_eq!(broken, BrokenPayload { offset: 5, length: 5, available: 2 });
        assert_eq!(nal_units(&[0, 0]).last().unwrap().unwrap_err().available, 2);
    }
}
