//! `rtrctl check`: the configuration, read as the daemon would read it.

use mandate::FactBody;
use std::{path::Path, process::ExitCode};

/// Prints what the configuration holds, or every mistake with file, line, key and the nearest known key.
pub(crate) fn run(file: &Path) -> ExitCode {
    let settings = match settings::load(file) {
        Ok(settings) => settings,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let count = |wanted: fn(&FactBody) -> bool| settings.facts.iter().filter(|f| wanted(f)).count();
    println!("{} is right.", file.display());
    println!("  municipalities {}", count(|f| matches!(f, FactBody::Municipality(_))));
    println!("  decrees        {}", count(|f| matches!(f, FactBody::Decree(_))));
    println!("  cameras        {}", count(|f| matches!(f, FactBody::Camera(_))));
    println!("  people         {}", count(|f| matches!(f, FactBody::Person(_))));
    for body in &settings.facts {
        let FactBody::Camera(camera) = body else { continue };
        if !settings.sources.iter().any(|s| s.camera == camera.id) {
            println!("  note: camera `{}` has no [[stream]]; it will show as offline", camera.id);
        }
    }
    ExitCode::SUCCESS
}
