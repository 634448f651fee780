//! Any file as `rtr.toml` and as a file of facts: it is read, or refused with words that name the place.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::{fs, path::PathBuf, sync::LazyLock};

/// A folder of this process in memory, where there is one.
static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
    let memory = PathBuf::from("/dev/shm");
    let base = if memory.is_dir() { memory } else { std::env::temp_dir() };
    let folder = base.join(format!("settings-fuzz-{}", std::process::id()));
    fs::create_dir_all(folder.join("municipalities")).expect("a folder");
    fs::write(folder.join("organisations.toml"), "").expect("a file");
    folder
});

fuzz_target!(|text: &str| {
    let settings = FOLDER.join("rtr.toml");
    fs::write(&settings, text).expect("a file");
    if let Err(error) = settings::load(&settings) {
        assert!(!error.to_string().is_empty());
    }
    let facts = FOLDER.join("facts.toml");
    fs::write(&facts, text).expect("a file");
    if let Err(error) = settings::load_facts(&facts, &[]) {
        assert!(!error.to_string().is_empty());
    }
});
