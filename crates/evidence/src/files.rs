//! Which pictures go into which file. A file begins with a key frame and has one codec and no pause: where pictures are
//! missing, the next file begins, so that nothing is frozen or joined that was not. The plan depends on the pictures only, so
//! the same stretch gives the same files each time, byte by byte.

use media::{AccessUnit, mp4::pause_between};

/// Where a picture goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placed {
    /// Nowhere: it cannot be decoded without pictures that are not there.
    Nowhere,
    /// It begins a file.
    Begins,
    /// It belongs to the file that was begun.
    Continues,
}

/// Places the pictures of one stretch, in order.
#[derive(Debug, Default)]
pub struct Planner {
    before: Option<AccessUnit>,
}

impl Planner {
    /// A stretch whose first picture comes next.
    pub fn new() -> Self {
        Self::default()
    }

    /// Says where the next picture goes.
    pub fn place(&mut self, unit: &AccessUnit) -> Placed {
        let belongs = self.before.as_ref().is_some_and(|before| {
            before.parameters.codec == unit.parameters.codec && !pause_between(before, unit)
        });
        let placed = match (belongs, unit.key) {
            (true, _) => Placed::Continues,
            (false, true) => Placed::Begins,
            (false, false) => Placed::Nowhere,
        };
        self.before = (placed != Placed::Nowhere).then(|| unit.clone());
        placed
    }

    /// Pictures are known to be missing here: the next file begins with the next key frame.
    pub fn pause(&mut self) {
        self.before = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use media::{Codec, Micros, Parameters, StreamId, Ticks};
    use std::sync::Arc;

    fn unit(at: i64, key: bool, codec: Codec) -> AccessUnit {
        let record = Bytes::from_static(b"r");
        AccessUnit {
            stream: StreamId(1),
            parameters: Arc::new(Parameters { generation: 1, codec, width: 2, height: 2, record }),
            captured: Micros(at * 40_000),
            media_time: Ticks(0),
            duration: 3600,
            key,
            discontinuity: false,
            received: Micros(0),
            camera_time: None,
            received_within: 0,
            payload: Bytes::new(),
        }
    }

    #[test]
    fn a_pause_or_another_codec_begins_a_new_file_at_a_key_frame() {
        use Codec::{H264, H265};
        use Placed::{Begins, Continues, Nowhere};
        let mut planner = Planner::new();
        let mut place = |at, key, codec| planner.place(&unit(at, key, codec));
        assert_eq!(place(0, false, H264), Nowhere);
        assert_eq!(place(1, true, H264), Begins);
        assert_eq!(place(2, false, H264), Continues);
        // One lost picture is jitter; two seconds are not.
        assert_eq!(place(4, false, H264), Continues);
        assert_eq!(place(60, false, H264), Nowhere);
        assert_eq!(place(61, true, H264), Begins);
        assert_eq!(place(62, true, H265), Begins);
        // Another pass over the same time: the clock had been set back.
        assert_eq!(place(10, false, H265), Nowhere);
        assert_eq!(place(11, true, H265), Begins);
        planner.pause();
        assert_eq!(planner.place(&unit(63, false, H265)), Nowhere);
    }
}
