//! Any bytes as a volume: head, footer, the walk after a crash and every record it finds. Nothing may panic, read
//! beyond the file or allocate what the file does not hold.
//!
//! `cd crates/volumes && RUSTC_BOOTSTRAP=1 ASAN_OPTIONS=detect_odr_violation=0 cargo fuzz run volume ../vault/tests/golden`
//! (SQLite is linked twice; that is what the option is about.)
#![no_main]

use std::{fs::File, io::Write, path::Path};
use volumes::volume::{self, VolumeHead};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let memory = rustix::fs::memfd_create("volume", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
    let mut file = File::from(memory);
    file.write_all(bytes).unwrap();
    let path = Path::new("memory");
    let _ = VolumeHead::read(&file, path);
    if let Ok(Some(footer)) = volume::read_footer(&file, path) {
        for (offset, _) in footer.records.iter().take(1000) {
            let _ = volume::read_record(&file, *offset, bytes.len() as u64);
        }
    }
    for trusted in [0, u64::MAX] {
        for found in volume::walk(&file, path, trusted).unwrap() {
            if let Some((_, body)) = volume::read_record(&file, found.offset, bytes.len() as u64) {
                let _ = volume::decode_parameters(&body);
            }
        }
    }
});
