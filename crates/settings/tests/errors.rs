//! The shipped configuration is valid, and mistakes are told with file, line, key and the nearest known key.
#![expect(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::{fs, path::Path};

fn shipped() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../config"))
}

fn copied(change: impl Fn(&str, String) -> String) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("municipalities")).unwrap();
    for name in ["rtr.toml", "organisations.toml"] {
        let text = fs::read_to_string(shipped().join(name)).unwrap();
        fs::write(folder.path().join(name), change(name, text)).unwrap();
    }
    for entry in fs::read_dir(shipped().join("municipalities")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let text = fs::read_to_string(&path).unwrap();
        fs::write(folder.path().join("municipalities").join(&name), change(&name, text)).unwrap();
    }
    folder
}

fn error_of(change: impl Fn(&str, String) -> String) -> String {
    let folder = copied(change);
    settings::load(&folder.path().join("rtr.toml")).unwrap_err().to_string()
}

#[test]
fn what_ships_is_valid() {
    let settings = settings::load(&shipped().join("rtr.toml")).unwrap();
    assert!(settings.daemon.demo);
    assert_eq!(settings.sources.len(), 16);
    // Where the platform runs is a processor whose agreement the files hold (Wpg 6c).
    let host = settings.law.host.unwrap();
    let carries = |body: &mandate::FactBody| {
        matches!(body, mandate::FactBody::Agreement(a)
            if a.kind == mandate::facts::AgreementKind::Processor && a.parties.get(1) == Some(&host))
    };
    assert!(settings.facts.iter().any(carries), "{host}");
}

#[test]
fn an_unknown_key_is_told_with_its_neighbour() {
    let error =
        error_of(|name, text| if name == "rtr.toml" { text.replace("volume_mib", "volum_mb") } else { text });
    assert!(error.contains("rtr.toml:"), "{error}");
    assert!(error.contains("unknown key `volum_mb`; the nearest known key is `volume_mib`"), "{error}");
}

#[test]
fn a_broken_reference_names_line_and_nearest() {
    let error = error_of(|name, text| {
        if name == "enschede.toml" {
            text.replacen("decree = \"DEMO-ENS-01\"", "decree = \"DEMO-ENS-1\"", 1)
        } else {
            text
        }
    });
    assert!(error.contains("there is no decree `DEMO-ENS-1`; the nearest is `DEMO-ENS-01`"), "{error}");
    let text = fs::read_to_string(shipped().join("municipalities/enschede.toml")).unwrap();
    let line = text.lines().position(|l| l.contains("decree = \"DEMO-ENS-01\"")).unwrap() + 1;
    assert!(error.contains(&format!("enschede.toml:{line}:")), "{error}");
}

#[test]
fn more_than_four_weeks_is_refused() {
    let error = error_of(|_, text| text.replace("retention_days = 28", "retention_days = 29"));
    assert!(error.contains("151c lid 9"), "{error}");
}

/// What the controller may choose has its bounds, and the line says which.
#[test]
fn a_choice_outside_its_bounds_is_refused() {
    for (shipped, wrong, bounds) in [
        ("limit_minutes = 15", "limit_minutes = 61", "61 is not from 0 to 60"),
        ("confirmation_hours = 24", "confirmation_hours = 0", "0 is not from 1 to 168"),
        ("sign_check_days = 180", "sign_check_days = -1", "-1 is not from 1 to 366"),
        ("session_hours = 10", "log_term_years = 3", "3 is not from 4 to 100"),
        ("volume_seconds = 60", "volume_seconds = 3601", "3601 is not from 0 to 3600"),
    ] {
        let error =
            error_of(|name, text| if name == "rtr.toml" { text.replace(shipped, wrong) } else { text });
        let text = fs::read_to_string(shipped_file()).unwrap();
        let line = text.lines().position(|l| l.contains(shipped)).unwrap() + 1;
        assert!(error.contains(bounds) && error.contains(&format!("rtr.toml:{line}:")), "{error}");
    }
}

fn shipped_file() -> std::path::PathBuf {
    shipped().join("rtr.toml")
}

#[test]
fn a_missing_file_is_named() {
    let error = settings::load(Path::new("no/such/rtr.toml")).unwrap_err().to_string();
    assert!(error.contains("no/such/rtr.toml"), "{error}");
}

#[test]
fn keys_are_sealed_by_one_thing_only() {
    let both = "[keys]\ncredential = \"rtr-footage\"\ntoken = \"pkcs11:token=RTR\"\n";
    let error = error_of(|name, text| if name == "rtr.toml" { text.replace("[keys]", both) } else { text });
    assert!(error.contains("rtr.toml:") && error.contains("by one of them"), "{error}");
}
